"""The outputs that the README shows are those of the commands, told the same story on a server whose clock is set."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import time_machine
from safetensors.numpy import save

from artifact_store.cli import main
from tests.servers.conftest import Server
from tests.servers.story import Story

README = Path(__file__).resolve().parents[2] / "README.md"
BUCKET, NOW = "acme-models", "2026-11-26T00:14:55+00:00"
GOOD, BAD = (int(datetime.fromisoformat(f"2026-11-25T{time}:00+00:00").timestamp()) for time in ("22:10", "23:15"))
SHARDS = [f"llama-ft/model-0000{n}-of-00004.safetensors" for n in (1, 2, 3, 4)]


def weights(size: int, value: int, name: str) -> bytes:
    """A file of this size."""
    head = len(save({name: np.zeros(10_000, np.uint8)})) - 10_000
    return save({name: np.full(size - head, value, np.uint8)})


@pytest.fixture
def story(moto: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Story]:
    boto = moto.boto()
    boto.create_bucket(Bucket=BUCKET)
    boto.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    story = Story(moto, BUCKET)
    names = {f"t{n}": key.rpartition("/")[2] for n, key in enumerate(SHARDS)}
    index = json.dumps({"metadata": {"total_size": 44_000}, "weight_map": names}).encode()
    for second, key in enumerate(SHARDS):
        story.put(GOOD + second, key, weights(11_264, 1, f"t{second}"))
    story.put(GOOD + 4, "llama-ft/model.safetensors.index.json", index)
    story.put(GOOD + 5, "llama-ft/config.json", b'{"model_type": "llama"}')
    for second, key in enumerate(SHARDS[:3]):
        story.put(BAD + second, key, weights(11_264, 2, f"t{second}"))
    story.delete(BAD + 3, SHARDS[3])
    story.put(BAD + 3, "llama-ft/model.safetensors", weights(908_288, 2, "t0"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.endpoint)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    yield story
    for page in boto.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            boto.delete_object(Bucket=BUCKET, Key=entry["Key"], VersionId=entry["VersionId"])
    boto.delete_bucket(Bucket=BUCKET)


@pytest.mark.parametrize("command", ["log", "restore"])
def test_the_output_shown_is_the_one_given(
    command: str, story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = README.read_text().split(f"<!-- from: artifact-store {command} -->\n```\n", 1)[1].split("\n```", 1)[0]
    first, *shown = block.splitlines()
    with time_machine.travel(datetime.fromisoformat(NOW), tick=False):
        assert main.run(first.removeprefix("$ artifact-store ").split()) == 0
    told = capsys.readouterr()
    given = (told.out + told.err).replace(str(tmp_path), "~")
    for parts in "\n".join(shown).split("..."):
        pattern = re.escape(parts.strip("\n"))
        # The plan's name ends by chance, and so long did it take.
        pattern = re.sub(r"-[0-9a-f]{4}\\\.plan", r"-[0-9a-f]{4}\\.plan", pattern)
        pattern = re.sub(r"in\\ [0-9.\\]+\\ s", r"in\\ [0-9.]+\\ s", pattern)
        assert re.search(pattern, given), f"{parts}\n--- is not in\n{given}"

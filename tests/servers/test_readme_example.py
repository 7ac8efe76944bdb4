"""The README's Python example, run as it stands."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from tests.servers.conftest import Server, new_bucket
from tests.servers.story import BEFORE, SPOILED, STORED, Story

README = Path(__file__).resolve().parents[2] / "README.md"
GOOD, BAD = b'{"good": true}', b'{"good": null}'


def test_the_python_example_brings_the_model_back(moto: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    story = Story(moto, new_bucket(moto))
    story.put(STORED, "llama-ft/config.json", GOOD)
    story.put(SPOILED, "llama-ft/config.json", BAD)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.endpoint)
    code = code.replace("acme-models", story.bucket).replace("2026-11-25T14:00:00Z", BEFORE)
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        exec(compile(code, "README.md", "exec"), {})
    assert told.getvalue().splitlines() == ["1 keys then", str(GOOD), "copy llama-ft/config.json"]
    assert story.contents() == {"llama-ft/config.json": GOOD}

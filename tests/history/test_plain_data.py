"""A folder that holds no model is not judged by the names in it: it is restored like any other."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as save_safetensors

from artifact_store.history.layouts import LAYOUTS
from artifact_store.history.models import Verdict, assess, survey
from artifact_store.history.scope import parse_scope
from artifact_store.history.sets import shallow
from artifact_store.restore.apply import apply
from artifact_store.restore.planner import make_plan
from tests.model_files import Files, archive
from tests.restore.memory import MemoryS3

T0 = 1_000_000
APART = 60
"""Seconds between two files, so that they may pass for those of one save."""

CSV = b"id,name\n1,a\n"
ARRAYS = save_safetensors({"lora_a": np.zeros(4, np.float32)})

FOLDERS: dict[str, Files] = {
    "not of mlflow": {"MLmodel": b"x: 1\n", "rows.csv": CSV},
    "flutter": {".metadata": b"# This file tracks properties of this Flutter project.\n", "pubspec.yaml": b"name: a\n"},
    "empty metadata": {".metadata": b"", "rows.csv": CSV},
    "pickled metadata": {".metadata": pickle.dumps({"rows": 1}), "rows.csv": CSV},
    "metadata of tables": {"rows.metadata": b"{}", "__0.metadata": b"rows: 1\n", "rows.csv": CSV},
    "adapter of mlx": {"adapter_config.json": b'{"fine_tune_type": "lora"}', "adapters.safetensors": ARRAYS},
    "adapter of adapterhub": {"adapter_config.json": b'{"config": {}}', "pytorch_adapter.bin": archive(1)},
    "adapter of a network": {"adapter_config.json": b'{"mtu": 1500}', "hosts.txt": b"::1\n"},
    "adapter in yaml": {"adapter_config.json": b"mtu: 1500\n"},
    "weights of classes": {"class.weights.json": b'{"cat": 1.5, "dog": 0.2}', "rows.csv": CSV},
    "weights of a map": {"roads.weights.json": b'{"weight_map": {"a": 0.5}}'},
    "weights in a list": {"sample.weights.json": b"[0.5, 0.5]"},
    "tensors in common": {"common.pt": archive(1), "rows.csv": CSV},
    "tensors and metadata": {"common.pt": archive(1), "metadata.json": b'{"author": "me"}'},
    "text of protobuf": {"config.pbtxt": b'node { name: "x" op: "Placeholder" }\n', "rows.csv": CSV},
    "config that is empty": {"config.pbtxt": b"", "rows.csv": CSV},
    "config in folders": {"config.pbtxt": b"task: 1\n", "train/rows.csv": CSV, "v1/rows.csv": CSV},
    "index of faiss": {"x.index": b"IxFI" + bytes(200), "y.index": b"IxF2" + bytes(900)},
    "index in text": {"book.index": b"a 1\nb 2\n" * 20, "short.index": b"a", "none.index": b""},
    "index of a search": {"rows.index": bytes(range(256)) * 9, "rows.data": CSV},
    "numbered data": {"a.data-00000-of-00002": CSV, "a.data-00001-of-00002": CSV},
    "numbered data, cut": {"a.data-00000-of-00003": CSV, "a.data-00002-of-00003": b"", "checkpoint": b"row 3"},
    "records": {
        "train.index": b"0 10\n" * 12,
        "train.tfrecord-00000-of-00002": CSV,
        "train.tfrecord-00001-of-00002": CSV,
    },
    "where a job stands": {
        "checkpoint": b"step 3",
        "latest": b"2024-01-01/run",
        "model.bin": b"abc",
        "data.h5": b"abc",
    },
    "empty where a job stands": {"checkpoint": b"", "latest": b"", "rows.csv": CSV},
    "newest of days": {"latest": b"20240102", "20240102/rows.csv": CSV, "20240101/rows.csv": CSV},
    "newest that is gone": {"latest": b"20240103", "20240101/rows.csv": CSV, "latest_universal": b"en"},
    "newest in binary": {"latest": b"\xff\xfe", "rows.csv": CSV},
    "output of a model": {"model_output.h5": b"abc" * 20, "checkpoint_metrics.hdf5": b"", "train.h5": b"abc"},
    "list of models": {"model_index.json": b'{"models": ["a", "b"]}', "metadata.json": b'{"x": 1}'},
    "places of models": {"model_index.json": b'{"prod": ["s3://x", "v1"], "dev": ["a", "b"]}'},
    "list of models, cut": {"model_index.json": b'{"models": [', "rows.csv": CSV},
    "saves of a game": {"level1.ckpt": b"level 1, 3 lives\n", "level2.ckpt": b"level 2, 1 life\n"},
    "checkpoint in json": {"job.ckpt": b'{"offset": 12}', "job.ckpt.bak": b"{}"},
    "states of a country": {"us_states.pt": b"Alasca\n", "mp_rank_list.txt": b"1\n"},
    "manifests": {
        "manifest.json": b"{}",
        "metadata.json": b"[]",
        "MANIFEST": b"a 1\n",
        "manifest.ocdbt": b"",
        "d/00ab": CSV,
    },
    "metadata in capitals": {"_METADATA": b"Title: A\n", "rows.csv": CSV},
    "documentation": {"aliases/home": b"index.html\n", "version-1/index.html": b"<p>", "version-2/index.html": b"<p>"},
    "numbered folders": {f"{number:02}/photo.jpg": bytes([number]) for number in range(12)},
    "git": {"4b/825dc642cb6eb9a060e54bf8d69288fbee4904": b"x\x9c+)", "e6/9de29bb2d1d6434b8b29ae775ad8c2e48c5391": b"x"},
    "terraform": {"variables/variables.tf": b"", "variables/prod.tfvars": b"", "assets/logo.svg": b"<svg/>"},
    "model of data": {"model.json": b'{"tables": []}', "model-v2.json": b"{", "model.safetensors.md": b"# notes"},
    "meta": {"meta.pt": archive(1), "meta.yaml": b"a: 1\n", "artifacts/plot.png": b"\x89PNG"},
}


@pytest.mark.parametrize("name", FOLDERS)
def test_each_folder_holds_a_name_that_some_layout_looks_at(name: str) -> None:
    folder = shallow("d/", FOLDERS[name])
    assert any(layout.marks(folder) for layout in LAYOUTS)


@pytest.fixture(params=FOLDERS)
def saved(request: pytest.FixtureRequest) -> tuple[MemoryS3, Files]:
    """The folder, a file a minute, and one day later all of it damaged."""
    s3, files = MemoryS3(), FOLDERS[request.param]
    for number, (path, data) in enumerate(files.items()):
        s3.clock = T0 + APART * number
        s3.put(f"d/{path}", data)
    s3.clock = T0 + 86_400
    for path in files:
        s3.put(f"d/{path}", b"damaged")
    s3.clock += 86_400
    return s3, files


def verdicts(s3: MemoryS3, instant: int) -> list[Verdict]:
    jobs = survey(s3, parse_scope("s3://bkt"), lambda candidate: assess("bkt", candidate, instant))
    return [verdict for found in jobs for verdict in found]


def test_it_is_whole_or_no_model_at_all_while_it_is_written_and_after(saved: tuple[MemoryS3, Files]) -> None:
    s3, files = saved
    for number in range(len(files) + 1):
        told = [(one.title, one.condition, one.reasons) for one in verdicts(s3, T0 + APART * number) if not one.whole]
        assert told == []


def test_it_is_restored_as_it_was(saved: tuple[MemoryS3, Files], tmp_path: Path) -> None:
    s3, files = saved
    apply(s3, make_plan(s3, parse_scope("s3://bkt"), T0 + 40_000, tmp_path / "plan"))
    assert s3.contents() == {f"d/{path}": data for path, data in files.items()}

"""Whatever the bytes, a check ends with a finding, after few bytes and in little time."""

import io
import json
import random
import struct
import time
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store.formats.checks import _ENDINGS, _NAMES, SMALL, check
from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.protobuf import SKIPS
from artifact_store.formats.source import HEAD, LIMIT
from tests import model_files as made
from tests.formats.asking import ask
from tests.formats.test_ocdbt import WHOLE as MANIFEST
from tests.formats.test_plain import CONFIG, SOURCE
from tests.formats.test_protobuf import MODEL, SAVED

MOST_REQUESTS = SKIPS + 2
SECONDS = 2.0
"""Processor time of one check of a small file; those that are as large as a check allows take some seconds."""


def npz() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as out:
        out.writestr(zipfile.ZipInfo("a.npy"), bytes(200))
    return stream.getvalue()


WHOLE = {
    "model.safetensors": made.safetensors("w", 1),
    "m.gguf": made.gguf_single(1, 1)["m.gguf"],
    "model.pt": made.archive(1),
    "last.ckpt": made.archive(1),
    "pytorch_model.bin": made.archive(1),
    "weights.bin": made.archive(1),
    "__0_0.distcp": made.archive(1) * 2,
    "model.keras": made.keras(1, 1)["model.keras"],
    "arrays.npz": npz(),
    "model.h5": made.hdf5(1),
    "model.onnx": made.onnx_external(1, 1)["model.onnx"],
    "model.tar.gz": made.tar_gz(1),
    "model.safetensors.index.json": made.hf_sharded(1, 3)["model.safetensors.index.json"],
    "conda.yaml": b"name: env\ndependencies:\n  - python=3.11\n  - pip: [mlflow, 'torch==2']\n",
    "MLmodel": made.mlflow(1, 1)["MLmodel"],
    "modeling.py": SOURCE,
    "vocab.txt": b"[PAD]\n[UNK]\n",
    "config.pbtxt": CONFIG,
    "tokenizer.model": MODEL,
    "saved_model.pb": SAVED,
    "manifest.ocdbt": MANIFEST,
}


def bounded(name: str, data: bytes, size: int | None = None) -> Finding:
    start = time.process_time()
    asked = ask(name, data, size)
    spent = time.process_time() - start
    # the first look is made before a format counts what it asks for
    assert asked.total <= LIMIT + HEAD
    assert len(asked.ranges) <= MOST_REQUESTS
    assert spent < SECONDS
    assert "\n" not in asked.finding.problem
    assert len(asked.finding.problem) < 500
    return asked.finding


def test_every_format_is_among_the_files() -> None:
    known = {*_ENDINGS, *_NAMES}
    tried = {name.rsplit(".", 1)[-1].lower() for name in WHOLE} | {name.lower() for name in WHOLE}
    checks = {entry.check for entry in (*_ENDINGS.values(), *_NAMES.values())}
    assert checks == {(_NAMES.get(name) or _ENDINGS[name]).check for name in known & tried}


@pytest.mark.parametrize("name", WHOLE)
def test_real_files_pass(name: str) -> None:
    assert bounded(name, WHOLE[name]).problem == ""


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.binary(max_size=400), st.integers(0, 2**50))
def test_any_bytes_of_any_size(name: str, data: bytes, more: int) -> None:
    bounded(name, data)
    bounded(name, data, len(data) + more)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_a_real_file_with_its_start_kept_and_anything_behind_it(name: str, data: st.DataObject) -> None:
    whole = WHOLE[name]
    kept = data.draw(st.integers(1, min(len(whole), 200)))
    bounded(name, whole[:kept] + data.draw(st.binary(max_size=300)))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_a_real_file_with_bits_flipped_cut_or_grown(name: str, data: st.DataObject) -> None:
    changed = bytearray(WHOLE[name])
    for at, bit in data.draw(st.lists(st.tuples(st.integers(0, len(changed) - 1), st.integers(0, 7)), max_size=6)):
        changed[at] ^= 1 << bit
    cut = data.draw(st.integers(0, len(changed)) | st.just(len(changed)))
    bounded(name, bytes(changed[:cut]))
    bounded(name, bytes(changed), len(changed) + data.draw(st.integers(0, 2**45)))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_a_real_file_with_a_huge_number_anywhere(name: str, data: st.DataObject) -> None:
    """Counts, lengths and offsets are little-endian numbers of four or eight bytes, or varints."""
    whole = WHOLE[name]
    at = data.draw(st.integers(0, len(whole) - 1))
    huge = data.draw(
        st.sampled_from([b"\xff" * 4, b"\xff" * 8, struct.pack("<Q", 2**63 - 1), struct.pack("<Q", 2**40), bytes(8)])
        | st.integers(0, 2**63).map(lambda number: struct.pack("<Q", number))
        | st.integers(0, 2**31).map(lambda number: struct.pack("<I", number))
    )
    changed = whole[:at] + huge + whole[at + len(huge) :]
    bounded(name, changed)
    bounded(name, changed, data.draw(st.integers(len(changed), 2**45)))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_an_answer_of_another_length_than_was_asked_for(name: str, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 2**40))
    finding = short_answers(check(name, size), data)
    assert finding.problem or not finding.proved or size <= 64


def short_answers(running: Check, data: st.DataObject) -> Finding:
    came: bytes | None = None
    for _ in range(MOST_REQUESTS):
        try:
            part = running.send(came)
        except StopIteration as end:
            return end.value
        came = data.draw(st.binary(max_size=min(part.last - part.first + 1, 64)))
    pytest.fail("goes on for ever")


BOMBS = {
    "model.safetensors": struct.pack("<Q", 9_000_000) + b'{"a":' * 1_800_000,
    "m.gguf": b"GGUF"
    + struct.pack("<IQQ", 3, 0, 1)
    + struct.pack("<Q1sIIQ", 1, b"a", 9, 8, 3_500_000)
    + bytes(28_000_000),
    "config.json": b"[" * 1_999_999,
    "tokenizer.json": b"[" + b"{}," * 660_000 + b"{}]",
    "conda.yaml": b"a: &a [1]\n" + b"".join(b"k%d: [*a, *a]\n" % n for n in range(14_000)),
    "MLmodel": b"? " * 120_000,
    "model.onnx": b"\x3a\x00" * 500_000,
    "saved_model.pb": b"\x12\x00" * 400_000,
    "tokenizer.model": b"\x0a\x00" * 900_000,
    "config.pbtxt": b"{" * 1_000_000,
    "labels.pbtxt": b'"\\' * 500_000,
    "modeling.py": b"(" * 1_000_000,
    "manifest.ocdbt": MANIFEST[:4] + struct.pack("<Q", 250_000) + bytes(249_988),
    "model.pt": npz()[:60] + random.Random(0).randbytes(200_000),
    "weights.h5": b"\x89HDF\r\n\x1a\n" * 1000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_made_to_cost_much_costs_little(name: str) -> None:
    bounded(name, BOMBS[name])


def test_a_file_without_a_known_name_costs_nothing_or_one_small_request() -> None:
    for size in (0, 1, SMALL, SMALL + 1, 2**45):
        assert ask("weights.unknown", b"", size).total == (size if size <= SMALL else 0)


def test_values_nested_in_a_header_are_bounded_in_memory_too() -> None:
    deep = (
        json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})[:-1].encode() + b',"x":' + b"[" * 5000
    )
    assert bounded("model.safetensors", struct.pack("<Q", len(deep)) + deep).problem != ""

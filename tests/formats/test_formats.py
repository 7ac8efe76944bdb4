"""The name decides what is checked, what lies in a file's place is named, and a check never raises."""

import gzip
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store.formats.checks import check
from artifact_store.formats.finding import Finding, Range, Tensor
from artifact_store.formats.gzip_ import LEAST
from artifact_store.formats.tensors import tensor_diff
from tests.formats.asking import ask, look, problem

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21465c06ff8a8b2b1c0f\nsize 4976698672\n"
DENIED = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>'
HTML = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
FORMATS = {
    "model.safetensors": "safetensors",
    "model-00001-of-00002.GGUF": "gguf",
    "model.pt": "zip",
    "model.pth": "zip",
    "last.ckpt": "",
    "__0_0.distcp": "",
    "weights.bin": "",
    "pytorch_model.bin": "zip",
    "pytorch_model-00001-of-00002.bin": "zip",
    "diffusion_pytorch_model.fp16.bin": "zip",
    "adapter_model.bin": "zip",
    "model.keras": "zip",
    "arrays.npz": "zip",
    "model.h5": "hdf5",
    "model.weights.h5": "hdf5",
    "data.hdf5": "hdf5",
    "model.onnx": "onnx",
    "model.tar.gz": "gzip",
    "model.tgz": "gzip",
    "config.json": "json",
    "conda.yaml": "yaml",
    "python_env.yml": "yaml",
    "MLmodel": "yaml",
    "tokenizer.model": "sentencepiece",
    "spiece.model": "sentencepiece",
    "source.spm": "sentencepiece",
    "vocab.txt": "text",
    "modeling_tiny.py": "python",
    "config.pbtxt": "pbtxt",
    "saved_model.pb": "savedmodel",
    "manifest.ocdbt": "ocdbt",
    "booster.model": "",
    "LICENSE": "",
}


@pytest.mark.parametrize(("name", "format_"), FORMATS.items())
def test_a_name_means_a_format_in_any_folder(name, format_):
    for path in (name, f"a.json/b.gguf/{name}"):
        assert look(path, b"neither this nor that, and long enough").format == format_


@pytest.mark.parametrize("name", FORMATS)
def test_what_lies_in_place_of_a_file_is_named_whatever_the_file(name):
    assert problem(name, LFS) == (
        "is a git-lfs pointer to sha256:4d7a2146… and not the file itself: `git lfs pull` was not run before the upload"
    )
    assert problem(name, DENIED) == (
        "is an XML error of a server (AccessDenied) and not the file itself: a failed download was uploaded"
    )
    assert problem(name, b"<Error>").startswith("is an XML error of a server and not the file itself")
    for page in (HTML, b"<html>", b"\xef\xbb\xbf<HTML lang='en'>", b"<!-- x --><html>"):
        assert problem(name, page).startswith("is an HTML page and not the file itself")
    assert problem(name, b'<?xml version="1.0"?><a/>').startswith("is an XML document and not the file itself")


def test_pages_and_documents_are_themselves_where_the_name_says_so():
    for name in ("model.xml", "report.html", "README.md", "plot.svg", "labels.txt"):
        assert problem(name, HTML) == ""
        assert problem(name, b'<?xml version="1.0"?><net/>') == ""
        assert problem(name, LFS) != ""
        assert problem(name, DENIED) != ""


def test_an_empty_file_is_a_fault_where_its_format_cannot_be_empty():
    empty = {name for name in FORMATS if problem(name, b"")}
    assert set(FORMATS) - empty == {
        "conda.yaml",
        "python_env.yml",
        "modeling_tiny.py",
        "booster.model",
        "LICENSE",
    }
    for name in FORMATS:
        assert ask(name, b"").ranges == []


def test_a_file_of_unknown_name_is_only_looked_at_where_it_is_small():
    asked = ask("booster.model", b"x" * 65_536)
    assert asked.finding == Finding(proved=False)
    assert asked.ranges == [Range(0, 65_535)]
    assert ask("booster.model", LFS, 65_537).ranges == []


def test_gzip_is_known_by_its_start_and_never_proved():
    whole = gzip.compress(b"")
    found = look("model.tar.gz", gzip.compress(b"x" * 1000))
    assert (found.format, found.problem, found.proved) == ("gzip", "", False)
    assert len(whole) >= LEAST
    for size in range(1, LEAST):
        assert (
            problem("model.tar.gz", whole[:size]) == f"has {size} bytes and the smallest gzip file has 18: it was cut"
        )
    for wrong in (b"PK\x03\x04", b"\x1f\x8b\x07\x00", b"\x1f\x8b\x08\xff", bytes(4)):
        assert "where gzip starts with 1f 8b 08: it is no gzip file" in problem("model.tar.gz", wrong + bytes(50))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(FORMATS)), st.binary(max_size=300), st.integers(0, 2**43))
def test_a_check_of_any_bytes_ends_with_a_finding_within_its_bounds(name, data, more):
    asked = ask(name, data[:200], len(data) + more if len(data) > 200 else len(data))
    assert isinstance(asked.finding, Finding)
    assert asked.total <= 34 * 1024**2
    assert len(asked.ranges) < 80


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "LICENSE"])
def test_fewer_bytes_than_asked_for_are_a_fault_of_the_reading(name):
    running = check(name, 1000)
    asked = next(running)
    with pytest.raises(StopIteration) as end:
        running.send(b"x" * 10)
    assert asked == Range(0, 999)
    assert end.value.value.problem == "1,000 bytes were asked for from byte 0 and 10 came; read it again"


def test_tensors_are_compared_by_name_shape_and_type():
    old, wide, half = Tensor("F32", (2, 2), 16), Tensor("F32", (4, 2), 32), Tensor("F16", (2, 2), 8)
    other = Tensor("F16", (4, 2), 16)
    before = {"same": old, "gone": old, "wider": old, "halved": old, "both": old}
    after = {"new": old, "same": old, "wider": wide, "halved": half, "both": other}
    diff = tensor_diff(before, after)
    assert diff.added == {"new": old}
    assert diff.gone == {"gone": old}
    assert diff.reshaped == {"both": (old, other), "wider": (old, wide)}
    assert diff.retyped == {"both": (old, other), "halved": (old, half)}
    assert diff
    assert not tensor_diff(before, dict(before))


def test_importing_the_checks_loads_no_library():
    code = "import sys, artifact_store.formats; print({'yaml', 'numpy', 'onnx', 'pickle'} & set(sys.modules) or 'none')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "none\n"

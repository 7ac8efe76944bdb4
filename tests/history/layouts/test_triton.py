"""Each version in a Triton repository is a model; the config that Triton polls points to them."""

import time

import pytest

from artifact_store.history.layouts.triton import CONFIG_BYTES, LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import only, recognise, recognise_reading

ONNX = b"""\
name: "detector"
# backend: "python"
backend: "onnxruntime"
max_batch_size: 8
"""
PREFIX = "repository/detector/"


def test_each_version_is_a_model_and_the_config_points_to_it():
    files = {
        "config.pbtxt": ONNX,
        "labels.txt": 9,
        "1/model.onnx": 900,
        "10/model.onnx": 900,
        "10/model.onnx.data": 900,
        "configs/gpu.pbtxt": 9,
    }
    first = ModelSet(
        layout="triton",
        prefix=PREFIX,
        name="1",
        members=("1/model.onnx",),
        pointers=("config.pbtxt",),
        others=("configs/gpu.pbtxt", "labels.txt"),
        parts={"1": ("1/model.onnx",)},
    )
    sets, asked = recognise_reading(LAYOUT, files, PREFIX)
    assert sets[0] == first
    assert (sets[1].name, sets[1].members, sets[1].missing) == ("10", ("10/model.onnx", "10/model.onnx.data"), ())
    assert asked == ["config.pbtxt"]


@pytest.mark.parametrize(
    ("config", "file"),
    [
        (ONNX, "model.onnx"),
        (b'platform: "tensorrt_plan"', "model.plan"),
        (b"backend: 'python'", "model.py"),
        (b'platform: "pytorch_libtorch"', "model.pt"),
        (b'backend: "onnxruntime" default_model_filename: "a/net.onnx"', "a/net.onnx"),
        (b'name: "#1" backend: "vllm" # backend', "model.json"),
    ],
)
def test_the_file_a_version_lacks_is_missing(config, file):
    found = only(LAYOUT, {"config.pbtxt": config, "2/other.bin": 9})
    assert found.missing == (Missing(f"2/{file}", "config.pbtxt"),)
    assert only(LAYOUT, {"config.pbtxt": config, f"2/{file}": 9}).missing == ()


def test_a_saved_model_is_a_folder():
    config = b'platform: "tensorflow_savedmodel"'
    assert only(LAYOUT, {"config.pbtxt": config, "1/model.savedmodel/saved_model.pb": 9}).missing == ()
    assert only(LAYOUT, {"config.pbtxt": config, "1/model.savedmodels/saved_model.pb": 9}).missing == (
        Missing("1/model.savedmodel", "config.pbtxt"),
    )


@pytest.mark.parametrize(
    "config",
    [
        b'backend: "tensorrtllm"',
        b'backend: "pytorch" platform: "torch_aoti"',
        b'platform: "tensorrt_plan" cc_model_filenames { key: "7.5" value: "t4.plan" }',
        b'backend: "pytorch" runtime: "model.py"',
    ],
)
def test_what_a_version_must_hold_is_not_guessed(config):
    assert only(LAYOUT, {"config.pbtxt": config, "1/engine": 9}).missing == ()


def test_a_model_without_a_version_is_a_warning():
    found = only(LAYOUT, {"config.pbtxt": ONNX, "v1/model.onnx": 9, "0/model.onnx": 9, "model.onnx": 9})
    assert found.warnings == ("no folder of a version beside config.pbtxt: the names of versions are numbers from 1",)
    assert found.problems == found.missing == ()
    assert found.others == ("0/model.onnx", "model.onnx", "v1/model.onnx")


def test_an_ensemble_is_its_config_and_what_its_version_holds():
    config = b"""
    platform: "ensemble"
    ensemble_scheduling { step [ { model_name: "tokenize" }, { model_name: "bert" model_version: -1 }, { model_name: "bert" } ] }
    """
    kept = only(LAYOUT, {"config.pbtxt": config, "1/.keep": 0})
    assert (kept.name, kept.members, kept.may_be_empty) == ("1", ("1/.keep",), frozenset({"1/.keep"}))
    alone = only(LAYOUT, {"config.pbtxt": config})
    assert (alone.name, alone.members) == ("", ())
    for found in (kept, alone):
        assert found.warnings == (
            "needs the model bert of the same repository",
            "needs the model tokenize of the same repository",
        )
        assert found.problems == found.missing == ()


def test_empty_files_of_python_packages_are_no_fault():
    found = only(LAYOUT, {"config.pbtxt": b'backend: "python"', "1/model.py": 9, "1/lib/__init__.py": 0})
    assert "1/lib/__init__.py" in found.may_be_empty


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (b"", "config.pbtxt is empty"),
        (b"\xff\xfe", "config.pbtxt is no text in UTF-8"),
        (
            b'backend: "onnxruntime" default_model_filename: "../../other/model.onnx"',
            "config.pbtxt names ../../other/model.onnx, which is no path inside the folder",
        ),
        (
            b'default_model_filename: "/model.onnx"',
            "config.pbtxt names /model.onnx, which is no path inside the folder",
        ),
    ],
)
def test_a_config_that_says_nothing_usable_is_a_problem(config, problem):
    found = only(LAYOUT, {"config.pbtxt": config, "1/model.onnx": 9})
    assert found.problems == (problem,)
    assert (found.members, found.missing) == (("1/model.onnx",), ())


def test_a_config_made_of_quotes_takes_no_more_time_than_its_length():
    config = (b'"\\' * CONFIG_BYTES)[:CONFIG_BYTES]
    start = time.process_time()
    only(LAYOUT, {"config.pbtxt": config, "1/model.onnx": 9})
    assert time.process_time() - start < 1.5, "a megabyte of open strings was read in quadratic time"


@pytest.mark.parametrize("config", [b'node { name: "x" op: "Placeholder" }', b"", b'name: "m', b"\xff"])
def test_without_a_version_a_config_that_names_no_backend_is_another_tools(config):
    assert recognise(LAYOUT, {"config.pbtxt": config, "model.onnx": 9}) == []
    assert only(LAYOUT, {"config.pbtxt": config, "1/model.onnx": 9}).name == "1"


def test_folders_without_a_config_are_none_of_triton():
    assert recognise(LAYOUT, {"1/model.onnx": 9, "2/model.onnx": 9}) == []


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (b'name: "m', "config.pbtxt has a string that does not end, at character 6: it was cut"),
        (b"input [ {", "config.pbtxt ends with 2 brackets open: it was cut"),
        (bytes(40), "config.pbtxt is no text: character 0 is zero; it was overwritten, or not all of it came"),
        (b"<html><body>502</body></html>", "config.pbtxt is an HTML page and not the file itself"),
        (b"<Error><Code>SlowDown</Code></Error>", "config.pbtxt is an XML error of a server (SlowDown)"),
    ],
)
def test_a_config_that_was_cut_or_is_none_is_a_problem(config, problem):
    found = only(LAYOUT, {"config.pbtxt": config, "1/model.onnx": 9})
    assert [text.startswith(problem) for text in found.problems] == [True], found.problems


def test_the_file_that_the_backend_loads_may_not_be_empty_and_those_beside_it_may():
    config = b'backend: "python"'
    found = only(LAYOUT, {"config.pbtxt": config, "1/model.py": 0, "1/__init__.py": 0})
    assert found.may_be_empty == {"1/__init__.py"}

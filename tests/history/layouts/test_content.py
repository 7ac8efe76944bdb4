"""Whoever can write to the bucket writes indexes: what they say is bounded, and never followed out of the folder."""

import json
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.history.layouts import content
from artifact_store.history.layouts.content import Fault
from tests.history.layouts.bucket import folder


def drive(reading, data):
    """What the reading returns where every file it asks for holds `data`."""
    try:
        next(reading)
        reading.send(data)
    except StopIteration as end:
        return end.value
    raise AssertionError("asked for a second file")


def test_an_object_is_read_as_it_is():
    data = b'{"a": [1, {"b": null}]}'
    assert drive(content.read_object(folder({"i.json": data}), "i.json"), data) == {"a": [1, {"b": None}]}


def test_a_json_file_of_a_million_empty_objects_is_not_built():
    data = b"[" + b"{}," * content.NESTED + b"{}]"
    with pytest.raises(Fault, match=r"^i\.json holds more than 1,000,000 objects and arrays$"):
        drive(content.read_object(folder({"i.json": data}), "i.json"), data)


def test_a_file_that_grew_since_the_listing_is_refused_by_what_came():
    with pytest.raises(Fault, match=r"^m\.yaml has 2,000,000 bytes, more than the 1,048,576 "):
        drive(content.read_yaml(folder({"m.yaml": 10}), "m.yaml"), b"a" * 2_000_000)


def test_every_scalar_of_yaml_is_the_text_that_stands_there():
    data = b"a: 010\nb: 2026-11-20\nc: null\nd: yes\ne: 1:2:3\n"
    assert drive(content.read_yaml(folder({"m": data}), "m"), data) == {
        "a": "010",
        "b": "2026-11-20",
        "c": "null",
        "d": "yes",
        "e": "1:2:3",
    }


@pytest.mark.parametrize(
    ("path", "inner"),
    [("a.bin", "a.bin"), ("./a/b.bin", "a/b.bin"), ("a//b", "a/b"), ("...", "..."), ("..a/b", "..a/b"), ("ü ä", "ü ä")],
)
def test_a_path_inside_the_folder_is_taken(path, inner):
    assert content.inner_path(path, "i") == inner


@pytest.mark.parametrize("path", ["/a", "..", "a/../b", "../a", "", ".", "a\n", "a\x00", "\u202ea", None, 7, ["a"], {}])
def test_a_path_that_could_leave_the_folder_or_fool_a_terminal_is_not(path):
    with pytest.raises(Fault, match=r"^i names ") as error:
        content.inner_path(path, "i")
    assert str(error.value).isprintable()


@given(st.text(alphabet="ab./\\ ", max_size=12))
def test_no_path_that_is_taken_leads_out_of_the_folder(path):
    try:
        inner = content.inner_path(path, "i")
    except Fault:
        return
    assert posixpath.normpath(posixpath.join("/folder", path)) == f"/folder/{inner}"


def test_what_is_asked_of_a_folder_is_asked_of_the_one_that_holds_it():
    data = json.dumps({"a": 1}).encode()
    reading = content.below("unet", content.read_object(folder({"i.json": data}), "i.json"))
    assert next(reading) == "unet/i.json"
    with pytest.raises(StopIteration) as end:
        reading.send(data)
    assert end.value.value == {"a": 1}


@given(st.text(max_size=300))
def test_a_name_is_shown_in_one_short_line_that_prints(text):
    shown = content.shown(text)
    assert shown.isprintable()
    assert len(shown) <= 1300


def test_a_name_that_prints_is_shown_as_it_is():
    assert content.shown("model-00001-of-00002.safetensors") == "model-00001-of-00002.safetensors"
    assert content.shown("a" * 200) == "a" * 117 + "..."


def test_files_at_a_path_are_the_file_or_all_below_the_folder_and_no_markers():
    given_ = folder({"a": 1, "a/": 0, "a/b": 1, "a/c/": 0, "a/c/d": 1, "ab": 1})
    assert content.files_at(given_, "a") == ["a"]
    assert content.files_at(given_, "a/c") == ["a/c/d"]
    assert content.files_at(given_, "b") == []

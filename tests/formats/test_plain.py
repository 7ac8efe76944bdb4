"""Text beside weights is refused only where it certainly is none, or was certainly cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store.formats.plain import MAX_TEXT
from tests.formats.asking import ask, look, problem

CONFIG = b"""\
# a "comment with one quote
name: "m"
backend: 'onnxruntime'
input [ { name: "x" data_type: TYPE_FP32 dims: [ 3, -1 ] } ]
parameters: { key: "say \\"}\\"" value: { string_value: "it's" } }
instance_group < kind: KIND_CPU >
"""
SOURCE = b'"""Tiny."""\n\n\nSTEP = "\xc3\xa4"  # 1\n'


@pytest.mark.parametrize("name", ["vocab.txt", "merges.txt", "labels.txt"])
def test_text_of_any_encoding_passes_and_zeros_do_not(name: str) -> None:
    for data in ("a\nä\n".encode(), "ä".encode("latin-1"), "a".encode("utf-16"), b"[PAD]\n\0\n"):
        found = look(name, data)
        assert (found.format, found.problem, found.proved) == ("text", "", False)
    zeros = "holds nothing but zero bytes: its upload or download was not finished"
    assert problem(name, bytes(90)) == zeros
    assert ask(name, b"", 10**9).finding.problem == zeros
    assert ask(name, b"", 10**9).total <= 65_536
    assert (problem(name, b"") != "") is (name == "vocab.txt")


def test_a_source_passes_and_one_that_python_does_not_read_is_refused() -> None:
    found = look("modeling.py", SOURCE)
    assert (found.format, found.problem, found.proved) == ("python", "", False)
    assert problem("modeling.py", b"") == ""
    assert "is no Python: byte 9 is zero" in problem("modeling.py", b"import os\0")
    for odd in (SOURCE[:-6], SOURCE[:22], b"# \xe4\n"):
        assert problem("modeling.py", odd) == ""
    assert problem("modeling.py", b"<html><body>502</body></html>").startswith("is an HTML page")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_what_python_compiles_passes(data: bytes) -> None:
    try:
        compile(data, "modeling.py", "exec")
    except (SyntaxError, ValueError):
        return
    assert problem("modeling.py", data) == ""


def test_a_config_passes_and_cut_inside_a_bracket_or_a_string_it_is_refused() -> None:
    found = look("config.pbtxt", CONFIG)
    assert (found.format, found.problem, found.proved) == ("pbtxt", "", False)
    lines = CONFIG.splitlines(keepends=True)
    for number in range(1, len(lines)):
        assert problem("config.pbtxt", b"".join(lines[:number])) == ""
    for part in (b'"x" ', b"dims:", b"dims: [ 3,", b"value: {", b"KIND_CPU"):
        assert problem("config.pbtxt", CONFIG[: CONFIG.index(part) + len(part)]) != ""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty (0 bytes)"),
        (b'name: "m', "has a string that does not end, at character 6: it was cut"),
        (b"name:  \n", "ends with a field without its value: it was cut"),
        (b"name: # none\n", "ends with a field without its value: it was cut"),
        (b"input [ {", "ends with 2 brackets open: it was cut"),
        (b"a: 1 }", "closes a '}' that nothing opened, at character 5: it was overwritten"),
        (b"a [ }", "closes a '}' that nothing opened"),
        (bytes(9), "is no text: character 0 is zero"),
        (b"a: \xff", "is no text: byte 3 is no UTF-8 text"),
        (b"<html><body>502</body></html>", "is an HTML page"),
    ],
)
def test_what_is_no_config_is_refused_with_its_reason(data: bytes, said: str) -> None:
    assert said in problem("config.pbtxt", data)


def test_a_text_too_large_to_read_is_left_unproved() -> None:
    for name in ("config.pbtxt", "modeling.py"):
        asked = ask(name, b"x" * (MAX_TEXT + 1))
        assert (asked.finding.problem, asked.finding.proved) == ("", False)
        assert asked.total <= MAX_TEXT
    assert ask("config.pbtxt", b"[", MAX_TEXT + 1).finding.problem == ""

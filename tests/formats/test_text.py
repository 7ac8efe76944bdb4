"""A config passes where its parser reads it; a large one is looked at from both ends."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store.formats.text import MAX_JSON, MAX_VALUES, MAX_YAML
from tests.formats.asking import ask, look, problem

INDEX = json.dumps(
    {"metadata": {"total_size": 10}, "weight_map": {"ä": "model-00001-of-00001.safetensors"}}, indent=2
).encode()
MLMODEL = b"""artifact_path: model
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.transformers
run_id: 4b1c
signature:
  inputs: '[{"type": "string"}]'
"""
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(values, st.sampled_from([None, 2]), st.booleans())
def test_what_python_writes_as_json_passes(value, indent, ascii_only):
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    try:
        data.decode()
    except UnicodeDecodeError:
        assert "is no UTF-8 text" in problem("config.json", data)
    else:
        found = look("config.json", data)
        assert (found.format, found.problem, found.proved) == ("json", "", True)


@pytest.mark.parametrize("size", range(len(INDEX)))
def test_json_cut_anywhere_is_refused(size):
    assert problem("model.safetensors.index.json", INDEX[:size]) != ""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty (0 bytes): its upload failed, or nothing was ever written"),
        (b'{"a": 1,}', "is no JSON: "),
        (b'{"a": 1}\n{"b": 2}', "is no JSON: Extra data at line 2 column 1 of 17 bytes; it was cut or overwritten"),
        (b'{"a": "\xff"}', "is no JSON: byte 7 is no UTF-8 text; it was cut or overwritten"),
        (b"\xef\xbb\xbf{}", "is no JSON: Unexpected UTF-8 BOM"),
        (bytes(10), "is no JSON: Expecting value at line 1 column 1 of 10 bytes"),
        (b"[" * 100_000, "is JSON that is nested too deep to be a config"),
        (b"[" * (MAX_VALUES + 1), "is no JSON: it starts with b'[' and ends with b'['"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(data, said):
    assert said in problem("config.json", data)


def test_json_of_more_values_than_are_parsed_is_looked_at_from_both_ends():
    many = b"[" + b"1," * MAX_VALUES + b"1]"
    found = look("tokenizer.json", many)
    assert (found.problem, found.proved) == ("", False)
    assert "it was cut" in problem("tokenizer.json", many[:-1])


@pytest.mark.parametrize(
    ("head", "tail", "said"),
    [
        (b' {"a"', b'"}\n', ""),
        (b"[", b"]", ""),
        (b'{"a"', b'"b', "it starts with b'{' and ends with b'b' at 16,777,217 bytes; it was cut"),
        (b"[", b"}", "it starts with b'[' and ends with b'}'"),
        (b"", b"]", "is no JSON: it starts with b'x'"),
    ],
)
def test_a_json_file_too_large_to_parse_costs_its_ends_alone(head, tail, said):
    data = (head + b"x" * MAX_JSON)[: MAX_JSON + 1 - len(tail)] + tail
    asked = ask("tokenizer.json", data)
    assert asked.total < 70_000
    assert asked.finding.proved is bool(said)
    assert said in asked.finding.problem
    assert bool(said) is bool(asked.finding.problem)


def test_a_number_of_any_length_is_no_reason_to_refuse():
    assert problem("a.json", b"1" * 100_000) == ""


@settings(max_examples=40, deadline=None)
@given(values)
def test_what_is_written_as_yaml_passes(value):
    data = yaml.safe_dump(value, allow_unicode=True).encode(errors="replace")
    found = look("conda.yaml", data)
    assert (found.format, found.problem, found.proved) == ("yaml", "", True)


def test_an_mlmodel_passes_and_needs_its_flavors():
    found = look("m/MLmodel", MLMODEL)
    assert (found.format, found.problem, found.proved) == ("yaml", "", True)
    lines = MLMODEL.splitlines(keepends=True)
    missing = "has no map `flavors`, which every MLmodel has: it was cut or overwritten"
    for cut in (
        lines[:1],
        lines[:2],
        lines[5:],
        [b"- flavors: {}\n"],
        [b"a: {flavors: {}}\n"],
        [b"flavors: none\n"],
        [b"\n"],
    ):
        assert problem("m/MLmodel", b"".join(cut)) == missing
    assert problem("m/MLmodel", b"") == "is empty (0 bytes): its upload failed, or nothing was ever written"
    assert problem("m/MLmodel", b"x: {y: 1}\n? [flavors]\n: {}\nflavors: {a: b}\n") == ""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'a: "b', "is no YAML: found unexpected end of stream at line 1; it was cut or overwritten"),
        (b"a: [1, 2\n", "is no YAML: "),
        (b"a: b: c", "is no YAML: mapping values are not allowed in this context at line 1"),
        (b"a: \x00", "is no YAML: "),
        (b"a: \xff", "is no YAML: byte 3 is no UTF-8 text"),
        (b"a: *b", "is no YAML: it uses *b and has no &b before it"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_place(data, said):
    with pytest.raises((yaml.YAMLError, UnicodeDecodeError)):
        yaml.safe_load(data.decode())
    assert said in problem("conda.yaml", data)


def test_yaml_that_is_nested_too_deep_is_refused():
    for data in (b"[" * 500, b"a:\n " + b"- " * 500, b"{a: " * 101):
        assert problem("conda.yaml", data) == "is YAML that is nested deeper than 100: it is no config"
    assert problem("conda.yaml", b"[" * 100 + b"]" * 100) == ""
    assert "nest" in problem("conda.yaml", b"[" * 250_000)


def test_yaml_that_unfolds_without_end_is_not_unfolded():
    bomb = b"a: &a {x: 1}\n" + b"".join(b"%c: &%c {<<: [*%c, *%c]}\n" % (c, c, c - 1, c - 1) for c in range(98, 123))
    assert problem("conda.yaml", bomb) == ""
    assert problem("MLmodel", bomb + b"flavors: {a: *z}\n") == ""
    sixties = b"flavors: {a: " + b"1:" * 100_000 + b"1}"
    assert problem("MLmodel", sixties) == ""


def test_empty_yaml_is_whole_and_yaml_too_large_to_parse_is_left_unproved():
    assert look("a.yaml", b"").problem == ""
    for path in ("a.yaml", "MLmodel"):
        asked = ask(path, b"[" * (MAX_YAML + 1))
        assert (asked.finding.problem, asked.finding.proved) == ("", False)
        assert asked.total == 1024

"""A safetensors file passes exactly where the library reads it, and a hostile one costs an error."""

import json
import struct

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from artifact_store.formats.finding import Tensor
from artifact_store.formats.safetensors import BITS, MAX_HEADER, MAX_VALUES
from tests.formats.asking import ask, look, problem

PATH = "m/model.safetensors"
WEIGHTS = {"a.weight": np.ones((3, 4), np.float32), "b": np.arange(5, dtype=np.int8), "c": np.zeros((0, 2), np.float16)}
WHOLE = save(WEIGHTS, {"format": "np"})
LENGTH = 8 + int.from_bytes(WHOLE[:8], "little")


def made(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="U8", shape=(1,), offsets=(0, 1), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def loads(data):
    try:
        safetensors.deserialize(data)
    except (safetensors.SafetensorError, OverflowError):
        return False
    return True


def test_a_whole_file_gives_its_tensors_its_size_and_a_digest():
    found = look(PATH, WHOLE)
    assert (found.format, found.problem, found.proved) == ("safetensors", "", True)
    assert found.tensors == {
        "a.weight": Tensor("F32", (3, 4), 48),
        "b": Tensor("I8", (5,), 5),
        "c": Tensor("F16", (0, 2), 0),
    }
    assert found.facts == {"total_size": 53}
    assert len(found.digest) == 64


def test_the_digest_is_of_names_types_and_shapes_and_not_of_values_or_metadata():
    other = look(PATH, save({name: array + 1 for name, array in WEIGHTS.items()})).digest
    assert other == look(PATH, WHOLE).digest
    for changed in ({"b": WEIGHTS["b"].reshape(5, 1)}, {"b": WEIGHTS["b"].astype(np.uint8)}, {"z": np.ones(1)}):
        assert look(PATH, save(WEIGHTS | changed)).digest != other


def test_one_request_is_enough_for_a_large_file_with_a_small_header():
    header = {"a": entry("F32", (10**9,), (0, 4 * 10**9))}
    asked = ask(PATH, made(header), len(made(header)) + 4 * 10**9)
    assert asked.finding.problem == ""
    assert [(r.first, r.last) for r in asked.ranges] == [(0, 16_383)]


def test_a_long_header_is_fetched_once_with_what_the_first_request_left():
    header = made({f"layer.{i}": entry(shape=(0,), offsets=(0, 0)) for i in range(3000)})
    asked = ask(PATH, header)
    assert asked.finding.problem == ""
    assert len(asked.finding.tensors) == 3000
    assert [(r.first, r.last) for r in asked.ranges] == [(0, 16_383), (16_384, len(header) - 1)]


@pytest.mark.parametrize("dtype", BITS)
def test_every_type_of_the_library_has_its_number_of_bits(dtype):
    right = BITS[dtype]
    for size in range(1, 70):
        data = made({"a": entry(dtype, (8,), (0, size))}, bytes(size))
        assert loads(data) is (size == right)
        assert (problem(PATH, data) == "") is (size == right)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (WHOLE[:-1], "has 268 bytes where its header accounts for 269, 1 too few: it was cut"),
        (WHOLE + b"\0", "has 270 bytes where its header accounts for 269, 1 too many: it is not one file"),
        (WHOLE[:100], "says that its header has 208 bytes and has 100 in all: it was cut in the header"),
        (WHOLE[:5], "its header needs bytes up to 8 and the file has 5: it was cut, or is damaged"),
        (b"", "is empty (0 bytes): its upload failed, or nothing was ever written"),
        (
            made({"a": entry(), "b": entry(offsets=(2, 3))}, b"123"),
            "has tensor 'b' at 2 where 1 was expected: it leaves",
        ),
        (
            made({"a": entry(), "b": entry(offsets=(0, 1))}, b"1"),
            "has tensor 'b' at 0 where 1 was expected: it overlaps",
        ),
        (made({"a": entry(offsets=(1, 2))}, b"12"), "has tensor 'a' at 1 where 0 was expected: it leaves a hole"),
        (made({"a": entry("U9")}, b"1"), "has tensor 'a' of the unknown type 'U9'"),
        (made({"a": entry("F32", (2,), (0, 4))}, b"1234"), "has tensor 'a' of F32 [2], 8 bytes, in a place of 4"),
        (made({"a": entry("F4", (3,), (0, 1))}, b"1"), "has tensor 'a' of F4 [3], which is no whole number of bytes"),
        (made({"__metadata__": {"epoch": 3}}), "has __metadata__ that is not a map of strings to strings"),
        (made({"a": {"dtype": "U8"}}), "has tensor 'a' without dtype, shape or data_offsets"),
        (made({"a": entry(shape=(1.0,))}, b"1"), "has tensor 'a' with a shape that is no list of sizes"),
        (made({"a": entry(shape=(True,))}, b"1"), "has tensor 'a' with a shape that is no list of sizes"),
        (made({"a": entry(offsets=(0, 1, 1))}, b"1"), "has tensor 'a' with data_offsets that are no two positions"),
        (made({"a": entry(offsets=(-1, 0))}, b"1"), "has tensor 'a' with data_offsets that are no two positions"),
        (made({"a": entry("U8", (2**63, 4, 0), (0, 0))}), "has tensor 'a' with more elements than a file can hold"),
        (made(b'{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"1"), "holds 'dtype' twice"),
        (made(b'{"__metadata__":{},"__metadata__":{}}'), "holds '__metadata__' twice"),
        (made(b'{"a":{},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"1"), "has tensor 'a' without dtype"),
        (made(b'{"a":1,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"1"), "has tensor 'a' without dtype"),
        (made(b'{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"1"), "which is no Unicode text"),
        (made(b'{"__metadata__":{"a":"\\ud800"}}'), "which is no Unicode text"),
        (made(b'{"a":{"x":NaN,"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"1"), "holds NaN"),
        (made(b"{"), "has a header that is no JSON"),
        (made(b"[]"), "has a header that is no JSON object"),
        (made(b"\xff{}"), "has a header that is no JSON"),
        (made(b""), "has a header that is no JSON"),
        (struct.pack("<Q", MAX_HEADER + 1) + bytes(100), "says that its header has 100,000,001 bytes, and 100,000,000"),
        (struct.pack("<Q", 2**63) + bytes(100), "says that its header has 9,223,372,036,854,775,808 bytes"),
    ],
)
def test_what_the_library_refuses_is_refused_with_its_reason(data, said):
    assert not loads(data)
    assert said in problem(PATH, data)


@pytest.mark.parametrize(
    "data",
    [
        WHOLE,
        WHOLE[:LENGTH] + bytes(len(WHOLE) - LENGTH),
        made({}),
        made(b' {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"1"),
        made(b'{"__metadata__":null}'),
        made({"a": entry(x=[[1]])}, b"1"),
        made({"a": entry("U8", (0, 2**63, 4), (0, 0))}),
        made(
            b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
            b"1",
        ),
    ],
)
def test_what_the_library_reads_passes(data):
    assert loads(data)
    assert problem(PATH, data) == ""


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_a_file_cut_anywhere_is_refused(size):
    assert not loads(WHOLE[:size])
    assert problem(PATH, WHOLE[:size]) != ""


@settings(max_examples=400)
@given(st.integers(0, LENGTH - 1), st.integers(0, 255))
def test_a_byte_changed_in_the_header_is_judged_as_the_library_judges_it(at, value):
    data = WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :]
    assert (problem(PATH, data) == "") is loads(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**65) | st.floats() | st.sampled_from(["U8", "F32", "", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["dtype", "shape", "x"]), inner),
    max_leaves=6,
)


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "__metadata__"]),
        json_values
        | st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["U8", "F32", "F4", "I3"]),
                "shape": st.lists(st.integers(0, 3), max_size=2),
                "data_offsets": st.lists(st.integers(0, 6), min_size=2, max_size=2),
            }
        ),
    ),
    st.integers(0, 6),
)
def test_what_the_library_refuses_never_passes(header, size):
    data = made(header, bytes(size))
    if problem(PATH, data) == "":
        assert loads(data)


def test_a_deeply_nested_header_is_refused():
    assert "nested too deep" in problem(PATH, made(b"[" * 1_000_000))
    assert "nested too deep" in problem(PATH, made(b'{"a":' * 1_000_000))


def test_a_header_of_more_values_than_are_parsed_is_left_unproved_without_parsing_it():
    found = look(PATH, made(b"[" + b"[]," * MAX_VALUES + b"[]]"))
    assert (found.problem, found.proved, found.tensors) == ("", False, {})


def test_a_header_larger_than_what_is_read_is_left_unproved_after_one_request():
    asked = ask(PATH, struct.pack("<Q", MAX_HEADER), MAX_HEADER + 8)
    assert (asked.finding.problem, asked.finding.proved) == ("", False)
    assert asked.total == 16_384

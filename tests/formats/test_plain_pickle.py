"""A pickle is read as plain data, or refused in one line with nothing run and little built."""

from __future__ import annotations

import collections
import os
import pickle
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store.formats import plain_pickle
from artifact_store.formats.plain_pickle import Name, PickleRefused, Record, read
from artifact_store.history.layouts.dcp import ALLOWED
from tests.history.layouts import torch_names

NONE: frozenset[str] = frozenset()

integers = st.integers(-(2**63), 2**64 - 1)
plain = st.recursive(
    st.none()
    | st.booleans()
    | integers
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text("ab0é") | integers, inner),
    max_leaves=30,
)


@settings(max_examples=100)
@given(plain, st.integers(2, 5))
def test_what_pickle_writes_of_plain_data_comes_back_the_same(value, protocol):
    if protocol == 2 and _holds_bytes(value):
        return  # written as a call of codecs.encode
    assert read(pickle.dumps(value, protocol), NONE) == value


def _holds_bytes(value):
    if isinstance(value, dict):
        return any(_holds_bytes(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_bytes(inner) for inner in value)
    return isinstance(value, bytes)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_records_and_names_are_kept_as_they_were_called_and_nothing_is_looked_up(protocol):
    value = torch_names.metadata([("layer.weight", "__0_0.distcp", 0, 132)])
    data = torch_names.dumped(value, protocol)
    top = read(data, ALLOWED)
    assert (top.name, top.args) == ("torch.distributed.checkpoint.metadata.Metadata", ())
    (index,) = top.field("storage_data")
    assert index.field("fqn") == "layer.weight"
    size = index.field("offset")
    assert (size.name, size.args, size.state) == ("torch.Size", ((0, 0),), None)
    info = top.field("storage_data")[index]
    assert info.state == {"relative_path": "__0_0.distcp", "offset": 0, "length": 132}
    properties = top.field("state_dict_metadata")["layer.weight"].field("properties")
    assert properties.state[0] == Name("torch.float32")
    assert properties.state[1].name == "torch.serialization._get_layout"
    assert properties.field("dtype") is None


def test_an_ordered_dict_is_a_dict():
    value = collections.OrderedDict(b=1, a=2)
    assert read(pickle.dumps(value), frozenset({"collections.OrderedDict"})) == {"b": 1, "a": 2}


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_pickle_that_runs_a_command_is_refused_and_runs_nothing(tmp_path, protocol):
    canary = tmp_path / "ran"
    with pytest.raises(PickleRefused) as caught:
        read(pickle.dumps(Runs(canary), protocol), NONE)
    assert not canary.exists()
    assert "\n" not in str(caught.value)
    if protocol >= 2:
        assert str(caught.value) == "asks for 'posix.system', which is not plain data; nothing of it was run"
    pickle.loads(pickle.dumps(Runs(canary), protocol))
    assert canary.exists()  # the canary does sing


def test_what_calls_an_allowed_name_that_runs_code_elsewhere_makes_a_record_of_it():
    class Attribute:
        def __reduce__(self):
            return getattr, ("text", "upper")

    found = read(pickle.dumps(Attribute()), frozenset({"builtins.getattr"}))
    assert isinstance(found, Record)
    assert (found.name, found.args) == ("builtins.getattr", ("text", "upper"))


def called_with(data: bytes) -> str:
    with pytest.raises(PickleRefused) as caught:
        read(data, frozenset({"torch.Size"}))
    return str(caught.value)


def long4(number: bytes) -> bytes:
    return b"\x80\x04\x8b" + struct.pack("<i", len(number)) + number + b"."


def sharing(levels: int) -> bytes:
    """Each tuple holds the one before it twice: 3 bytes a level, 2**levels values to walk."""
    return b"\x80\x04)\x94" + b"".join(b"h" + bytes([n]) + b"\x86\x94" for n in range(levels)) + b"."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is cut off, or takes more values than it has put down"),
        (b"\x80\x04", "is cut off, or takes more values than it has put down"),
        (b"\x80\x04\x85.", "is cut off, or takes more values than it has put down"),
        (b"\x80\x04\x8d" + b"\xff" * 8 + b"x.", "is cut off, or takes more values than it has put down"),
        (b"\x80\x04(.", "ends with 0 values; a pickle leaves one"),
        (b"\x80\x04NN.", "ends with 2 values; a pickle leaves one"),
        (b"\xde\xad.", "uses operation 0xde at byte 0, which plain data does not need"),
        (b"<?xml version='1.0'?>", "uses operation 0x3c at byte 0, which plain data does not need"),
        (
            b"\x80\x02cos\nsystem\nX\x04\0\0\0truetR.",
            "asks for 'os.system', which is not plain data; nothing of it was run",
        ),
        (b"(S'true'\nios\nsystem\n.", "uses STRING at byte 1, which plain data does not need"),
        (b"(ios\nsystem\n.", "uses INST at byte 1, which plain data does not need"),
        (b"\x80\x02Pother\n.", "uses PERSID at byte 2, which plain data does not need"),
        (b"\x80\x02\x82\x01.", "uses EXT1 at byte 2, which plain data does not need"),
        (b"\x80\x05\x97.", "uses NEXT_BUFFER at byte 2, which plain data does not need"),
        (b"L" + b"9" * 100_000 + b"L\n.", "uses LONG at byte 0, which plain data does not need"),
        (long4(b"\xff" * 1_000_000), "holds a number of 1,000,000 bytes; at most 9 are read"),
        (b"\x80\x04h\x07.", "recalls value 7, which it never kept"),
        (b"\x80\x02NNR.", "calls NoneType with NoneType"),
        (b"\x80\x02N)R.", "calls NoneType with tuple"),
        (b"\x80\x02NN\x93.", "calls something by a name that is no text"),
        (b"\x80\x02NNa.", "appends to NoneType, which is no list"),
        (b"\x80\x02}(Nu.", "sets 1 keys and values in dict"),
        (b"\x80\x02})Ns.", "has tuple as a key; text, numbers and records are read"),
        (b"\x80\x02}}b.", "sets the state of dict, which takes none"),
        (b"\x80\x02]\x94h\x00a.", "changes a value that already lies in another"),
        (b"\x80\x02]\x94h\x00\x85h\x00Na.", "changes a value that already lies in another"),
        (b"\x80\x04\x8c\x01\xff.", "holds text that is no UTF-8"),
        (b"\x80\x04" + b"(" * 100_000, "is nested more than 64 deep"),
        (b"\x80\x04)" + b"\x85" * 100_000 + b".", "is nested more than 64 deep"),
        (b"\x80\x04]q\x00" + b"]h\x00aq\x00" * 100 + b".", "is nested more than 64 deep"),
        (b"\x80\x04" + b"N" * 200_001 + b".", "puts down more than 200,000 values at once"),
        (
            sharing(60),
            "grows to more than 20,000,000 values when what it shares is counted each time",
        ),
        (b"\x80\x04" + b"N" * (16 * 1024**2), "is 16,777,218 bytes long; at most 16,777,216 are read"),
    ],
)
def test_a_hostile_pickle_is_refused_in_one_line(data, message):
    assert called_with(data) == message


def test_a_bomb_of_empty_lists_ends_at_the_limit(monkeypatch):
    monkeypatch.setattr(plain_pickle, "MOST_OBJECTS", 1000)
    assert called_with(b"\x80\x04](" + b"]" * 1000 + b"e.") == "holds more than 1,000 objects"
    assert read(b"\x80\x04](" + b"]" * 999 + b"e.", NONE) == [[]] * 999


def test_no_more_operations_are_done_than_the_limit(monkeypatch):
    monkeypatch.setattr(plain_pickle, "MOST_OPERATIONS", 3)
    assert read(b"\x80\x04N.", NONE) is None
    assert called_with(b"\x80\x04N\x85.") == "holds more than 3 operations"


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 2000), st.integers(0, 255))
def test_whatever_the_bytes_the_answer_is_a_value_or_a_refusal(noise, at, byte):
    good = torch_names.dumped(torch_names.metadata([("a.b", "__0_0.distcp", 0, 1)]))
    spoiled = bytearray(good)
    spoiled[at % len(good)] = byte
    refusals = []
    for data in (noise, b"\x80\x04" + noise, bytes(spoiled), good[: at % len(good)]):
        try:
            read(data, ALLOWED)
        except PickleRefused as refusal:
            refusals.append(str(refusal))
    assert all(len(text.splitlines()) == 1 and len(text) < 300 for text in refusals)

"""ONNX: a protobuf message, and the files beside it that hold its tensors.

A large file is walked at the top level alone, over what lies in it; a small one to the bottom, as the parser would.
Neither uses the onnx library. Refused: what does not parse to the end, or lacks what every model has.
Source: onnx/onnx.proto, and the encoding of protobuf (protobuf.dev, "Encoding").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as made

from artifact_store.formats.finding import Check, Finding, Tensor
from artifact_store.formats.protobuf import MAX_FIELDS, field, top_level, varint
from artifact_store.formats.source import Fault, Source, Unread

NAME = "onnx"

WHOLE = 1024**2
"""Bytes of a file that is read whole and walked to the bottom: a graph whose tensors lie beside it."""

MAX_DEPTH = 100
"""Messages in messages; the limit of the protobuf parsers themselves."""

MAX_EXTERNAL = 100_000
"""Tensors that lie in other files; the largest exports have some thousands."""

MAX_NAME = 1024
"""Bytes of a tensor's name that are kept."""

# message -> field -> the message in it, or what is packed in it: "4" and "8" fixed bytes, "v" varints
MESSAGES: dict[str, dict[int, str]] = {
    "ModelProto": {
        7: "GraphProto",
        8: "OperatorSetIdProto",
        14: "StringStringEntryProto",
        20: "TrainingInfoProto",
        25: "FunctionProto",
        26: "DeviceConfigurationProto",
    },
    "OperatorSetIdProto": {},
    "GraphProto": {
        1: "NodeProto",
        5: "TensorProto",
        11: "ValueInfoProto",
        12: "ValueInfoProto",
        13: "ValueInfoProto",
        14: "TensorAnnotation",
        15: "SparseTensorProto",
        16: "StringStringEntryProto",
    },
    "NodeProto": {5: "AttributeProto", 9: "StringStringEntryProto", 10: "NodeDeviceConfigurationProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        7: "4",
        8: "v",
        10: "TensorProto",
        11: "GraphProto",
        14: "TypeProto",
        15: "TypeProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "TensorProto": {
        1: "v",
        3: "TensorProto.Segment",
        4: "4",
        5: "v",
        7: "v",
        10: "8",
        11: "v",
        13: "StringStringEntryProto",
        16: "StringStringEntryProto",
    },
    "TensorProto.Segment": {},
    "StringStringEntryProto": {},
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto", 3: "v"},
    "TypeProto": {
        1: "TypeProto.Tensor",
        4: "TypeProto.Sequence",
        5: "TypeProto.Map",
        7: "TypeProto.Opaque",
        8: "TypeProto.SparseTensor",
        9: "TypeProto.Optional",
    },
    "TypeProto.Tensor": {2: "TensorShapeProto"},
    "TensorShapeProto": {1: "TensorShapeProto.Dimension"},
    "TensorShapeProto.Dimension": {},
    "TypeProto.Sequence": {1: "TypeProto"},
    "TypeProto.Map": {2: "TypeProto"},
    "TypeProto.Optional": {1: "TypeProto"},
    "TypeProto.SparseTensor": {2: "TensorShapeProto"},
    "TypeProto.Opaque": {},
    "NodeDeviceConfigurationProto": {2: "ShardingSpecProto"},
    "ShardingSpecProto": {2: "v", 3: "IntIntListEntryProto", 4: "ShardedDimProto"},
    "IntIntListEntryProto": {2: "v"},
    "ShardedDimProto": {2: "SimpleShardedDimProto"},
    "SimpleShardedDimProto": {},
    "ValueInfoProto": {2: "TypeProto", 4: "StringStringEntryProto"},
    "TensorAnnotation": {2: "StringStringEntryProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto", 3: "StringStringEntryProto", 4: "StringStringEntryProto"},
    "FunctionProto": {
        7: "NodeProto",
        9: "OperatorSetIdProto",
        11: "AttributeProto",
        12: "ValueInfoProto",
        14: "StringStringEntryProto",
    },
    "DeviceConfigurationProto": {},
}

# TensorProto.DataType, in order of its numbers
TYPES = (
    "UNDEFINED",
    "FLOAT",
    "UINT8",
    "INT8",
    "UINT16",
    "INT16",
    "INT32",
    "INT64",
    "STRING",
    "BOOL",
    "FLOAT16",
    "DOUBLE",
    "UINT32",
    "UINT64",
    "COMPLEX64",
    "COMPLEX128",
    "BFLOAT16",
    "FLOAT8E4M3FN",
    "FLOAT8E4M3FNUZ",
    "FLOAT8E5M2",
    "FLOAT8E5M2FNUZ",
    "UINT4",
    "INT4",
    "FLOAT4E2M1",
    "FLOAT8E8M0",
    "UINT2",
    "INT2",
    "FLOAT6E2M3",
    "FLOAT6E3M2",
)

# fields of TensorProto: dims, data_type, name, external_data, data_location; and those that hold values
_DIMS, _TYPE, _NAME, _ENTRY, _LOCATION = 1, 2, 8, 13, 14
_DATA = frozenset({4, 5, 6, 7, 9, 10, 11})
_EXTERNAL = 1
_NUMBER = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class External:
    """Bytes of a tensor in another file. location: relative to the folder of the model, "/" between its parts, never
    out of it. length: None where it goes on to the end of that file."""

    tensor: str
    location: str
    offset: int
    length: int | None

    @property
    def least(self) -> int:
        """Bytes that the file must have at least; it may have more, as saving twice appends."""
        return self.offset + (self.length or 0)


def external(data: bytes) -> list[External]:
    """What a model's file says of the files beside it, in its order.

    Raises Fault where it is no such file, names a file outside its folder, or is larger than what is walked.
    """
    walk = _Walk(data, MAX_FIELDS)
    try:
        _complete(walk.message("ModelProto", 0, len(data)))
    except Unread:
        raise Fault(
            f"has more than {MAX_FIELDS:,} fields or {MAX_EXTERNAL:,} external tensors, too many to walk"
        ) from None
    return walk.externals


def check(source: Source) -> Check:
    """facts: "external", the tensors that lie in other files, where the file is small enough to be walked. Tensors then
    are the initializers; the size of one elsewhere is its length there, 0 where that is not said."""
    if source.size > WHOLE:
        seen = yield from top_level(source)
        _complete(seen)
        return Finding(NAME)
    data = yield from source.read(0, source.size)
    walk = _Walk(data, MAX_FIELDS)
    _complete(walk.message("ModelProto", 0, len(data)))
    return Finding(NAME, tensors=walk.tensors, facts={"external": len(walk.externals)})


def _complete(seen: set[int]) -> None:
    # opset_import is written behind the graph: a file that was cut at the graph's very end parses and lacks it
    for number, name in ((1, "ir_version"), (7, "graph"), (8, "opset_import")):
        if number not in seen:
            raise Fault(f"has no {name}, which every ONNX model has: it was cut between two fields, or is no ONNX file")


@dataclass(slots=True)
class _Walk:
    data: bytes
    left: int
    tensors: dict[str, Tensor] = made(default_factory=dict)
    externals: list[External] = made(default_factory=list)

    def fields(self, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        data = self.data
        while at < end:
            self.left -= 1
            if self.left < 0:
                raise Unread
            tag = data[at]
            # one byte of tag and one of length are nearly all fields there are, and half the time is saved
            if (
                8 <= tag < 0x80
                and tag & 7 == 2
                and end - at > 1
                and data[at + 1] < 0x80
                and data[at + 1] + 2 <= end - at
            ):
                entry = tag >> 3, 2, at + 2, at + 2 + data[at + 1]
            else:
                entry = field(data, at, end)
            yield entry
            at = entry[3]

    def message(self, name: str, at: int, end: int, depth: int = 0, holder: str = "") -> set[int]:
        """Walks it and what it holds; returns the numbers of its fields."""
        if depth > MAX_DEPTH:
            raise Fault(f"has messages nested deeper than {MAX_DEPTH}: no parser reads it")
        inner = MESSAGES[name]
        seen = set()
        for number, wire, begin, stop in self.fields(at, end):
            seen.add(number)
            kind = inner.get(number) if wire == 2 else None
            if kind in MESSAGES:
                self.message(kind, begin, stop, depth + 1, name)
            elif kind:
                self._packed(kind, number, begin, stop)
        if name == "TensorProto":
            self._tensor(at, end, initializer=holder == "GraphProto")
        return seen

    def _packed(self, kind: str, number: int, begin: int, stop: int) -> None:
        if kind == "v":
            ends = stop == begin or self.data[stop - 1] < 0x80
            # eleven bytes in a row that all go on are no number
            if not ends or re.search(rb"[\x80-\xff]{10}", self.data[begin:stop]):
                raise Fault(f"has a packed field {number} that is no list of numbers: it was overwritten")
        elif (stop - begin) % int(kind):
            raise Fault(
                f"has a packed field {number} of {stop - begin} bytes, no multiple of {kind}: it was overwritten"
            )

    def _tensor(self, at: int, end: int, *, initializer: bool) -> None:
        texts: dict[int, str] = {}
        numbers: dict[int, int] = {}
        shape: list[int] = []
        entries: dict[str, str] = {}
        size = 0
        for number, wire, begin, stop in self.fields(at, end):
            if number == _DIMS:
                shape += self._varints(begin, stop)
            elif number in _DATA:
                size += stop - begin
            elif number == _ENTRY and wire == 2:
                pair = {n: self._text(b, s) for n, w, b, s in self.fields(begin, stop) if w == 2}
                entries[pair.get(1, "")] = pair.get(2, "")
            elif wire == 2:
                texts[number] = self._text(begin, min(stop, begin + MAX_NAME))
            elif wire == 0:
                numbers[number] = varint(self.data, begin, stop)[0]
        name = texts.get(_NAME, "")
        if numbers.get(_LOCATION) == _EXTERNAL:
            found = _external(name, entries)
            if len(self.externals) == MAX_EXTERNAL:
                raise Unread
            self.externals.append(found)
            size = found.length or 0
        if initializer and name:
            kind = numbers.get(_TYPE, 0)
            dtype = TYPES[kind] if kind < len(TYPES) else f"type {kind}"
            self.tensors[name] = Tensor(dtype, tuple(shape), size)

    def _varints(self, begin: int, stop: int) -> Iterator[int]:
        at = begin
        while at < stop:
            value, at = varint(self.data, at, stop)
            yield value

    def _text(self, begin: int, stop: int) -> str:
        return self.data[begin:stop].decode(errors="replace")


def _external(tensor: str, entries: dict[str, str]) -> External:
    location = entries.get("location", "")
    parts = [part for part in location.split("/") if part not in ("", ".")]
    if not parts or location.startswith("/") or ".." in parts or "\\" in location:
        raise Fault(
            f"has tensor {tensor[:80]!r} in {location[:80]!r}, which is no file in its folder: no loader reads it"
        )
    for key in ("offset", "length"):
        if key in entries and not _NUMBER.fullmatch(entries[key]):
            raise Fault(f"has tensor {tensor[:80]!r} with the {key} {entries[key][:20]!r}, which is no number of bytes")
    length = int(entries["length"]) if "length" in entries else None
    return External(tensor, "/".join(parts), int(entries.get("offset", "0")), length)

"""GGUF, versions 2 and 3, either byte order: counts, key-value pairs, tensor infos, then the tensors, aligned.

Refuses what ggml refuses (ggml/src/gguf.cpp) of the structure; values of pairs are stepped over, not understood. What a
later ggml may know and this table does not is left unproved.
"""

from __future__ import annotations

import struct
from typing import Literal

from artifact_store.formats.finding import Check, Finding, Tensor
from artifact_store.formats.source import HEAD, Fault, Reading, Source, Unread

NAME = "gguf"
MAGIC = b"GGUF"

MAX_PAIRS = 65_536
"""Key-value pairs that are read, and arrays in arrays of all of them. Models have under a hundred; there is no limit in
the specification."""

MAX_TENSORS = 200_000
"""Tensor infos that are read; they take 100 MB of memory. The largest models have some thousands in a file."""

MAX_KEY = 65_535
"""Bytes of a key (GGUF specification, "File Structure")."""

MAX_NAME = 1024
"""Bytes of a tensor's name. The specification says 64; ggml can be built for more (GGML_MAX_NAME)."""

MAX_DIMS = 4
"""GGML_MAX_DIMS."""

MAX_NESTING = 8
"""Arrays in arrays. The specification allows them, no writer nests them."""

STEP = 256 * 1024
"""Bytes asked for when the header goes on; doubled each time up to 4 MiB, so that a vocabulary costs few requests."""

ALIGNMENT = 32
"""Where no general.alignment is given (GGUF_DEFAULT_ALIGNMENT)."""

# type of a value -> its struct format
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_FACTS = {"split.no", "split.count", "split.tensors.count", "general.alignment"}

# number of a tensor type -> (name, elements in a block, bytes of a block); ggml.h and ggml-common.h
TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}

LATER = range(42, 96)
"""Numbers that ggml may give to types after this was written: files with them are left unproved, not refused."""

_LONGEST = 2**63


class _Cursor:
    """A place in the header. Every step is checked against the size of the file before anything is read or skipped."""

    __slots__ = ("arrays", "at", "order", "source", "step")

    def __init__(self, source: Source, at: int, order: Literal["<", ">"]) -> None:
        self.source = source
        self.at = at
        self.order = order
        self.step = STEP
        self.arrays = 0

    def load(self, count: int) -> Reading[int]:
        asked = self.source.left
        index = yield from self.source.load(self.at, count, self.step)
        if self.source.left != asked:
            self.step = min(2 * self.step, 16 * STEP)
        return index

    def unpack(self, form: str) -> Reading[tuple[int, ...]]:
        size = struct.calcsize("=" + form)
        index = yield from self.load(size)
        values: tuple[int, ...] = struct.unpack_from(self.order + form, self.source.data, index)
        self.at += size
        return values

    def number(self, form: str) -> Reading[int]:
        return (yield from self.unpack(form))[0]

    def text(self, what: str, limit: int) -> Reading[str]:
        length = yield from self.number("Q")
        if length > limit:
            raise Fault(
                f"has {what} of {length:,} bytes where {limit:,} is the limit: its header was cut or overwritten"
            )
        index = yield from self.load(length)
        raw = self.source.data[index : index + length]
        self.at += length
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise Fault(f"has {what} that is no UTF-8 text ({raw[:20]!r}): its header was overwritten") from None

    def skip(self, count: int, what: str) -> None:
        self.at += count
        if self.at > self.source.size:
            raise Fault(
                f"has {what} that would end at byte {self.at:,} of {self.source.size:,}: it was cut, or is damaged"
            )

    def skip_strings(self, count: int, what: str) -> Reading[None]:
        unpack = struct.Struct(self.order + "Q").unpack_from
        while count:
            index = yield from self.load(8)
            data = self.source.data
            begin = index
            last = len(data) - 8
            while count and index <= last:
                index += 8 + unpack(data, index)[0]
                count -= 1
            self.skip(index - begin, what)


def check(source: Source) -> Check:
    """facts: split.no, split.count and split.tensors.count where the header has them."""
    magic = yield from source.read(0, min(4, source.size), HEAD)
    if magic != MAGIC:
        raise Fault(f"starts with {magic!r} where GGUF starts with {MAGIC!r}: it is no GGUF file, or was overwritten")
    version = int.from_bytes((yield from source.read(4, 4)), "little")
    # the other byte order leaves the lower half empty, as ggml tells them apart
    order: Literal["<", ">"] = ">" if version & 0xFFFF == 0 else "<"
    if order == ">":
        version = int.from_bytes(version.to_bytes(4, "little"), "big")
    if version not in (2, 3):
        raise Fault(
            f"is GGUF of version {version}, and loaders read 2 and 3: it is too old or too new, or was overwritten"
        )
    cursor = _Cursor(source, 8, order)
    count, pairs = yield from cursor.unpack("QQ")
    # the shortest info is a name of no bytes, no dimensions, type and offset; the shortest pair an empty key and a byte
    for number, least, what in ((count, 24, "tensors"), (pairs, 13, "key-value pairs")):
        if number * least > source.size:
            raise Fault(
                f"says that it has {number:,} {what}, more than fit into {source.size:,} bytes: it was overwritten"
            )
    if count > MAX_TENSORS or pairs > MAX_PAIRS:
        raise Unread
    facts = yield from _pairs(cursor, pairs)
    alignment = facts.pop("general.alignment", ALIGNMENT)
    if alignment <= 0 or alignment & (alignment - 1):
        raise Fault(f"has general.alignment {alignment}, which is no power of two: its header was overwritten")
    return (yield from _tensors(cursor, count, alignment, facts))


def _pairs(cursor: _Cursor, count: int) -> Reading[dict[str, int]]:
    facts: dict[str, int] = {}
    seen: set[str] = set()
    for _ in range(count):
        key = yield from cursor.text("a key", MAX_KEY)
        if key in seen:
            raise Fault(f"has key {key[:80]!r} twice: no loader reads it")
        seen.add(key)
        kind = yield from cursor.number("I")
        if key == "general.alignment" and kind != 4:
            raise Fault(f"has general.alignment of type {kind} where it is 4 (u32): its header was overwritten")
        if key in _FACTS and _SCALARS.get(kind, "f") not in "f?d":
            facts[key] = yield from cursor.number(_SCALARS[kind])
        else:
            yield from _skip(cursor, kind, f"a value of {key[:80]!r}", 0)
    return facts


def _skip(cursor: _Cursor, kind: int, what: str, depth: int) -> Reading[None]:
    if kind == _STRING:
        yield from cursor.skip_strings(1, what)
    elif kind == _ARRAY:
        yield from _skip_array(cursor, what, depth)
    else:
        cursor.skip(_width(kind, what), what)


def _skip_array(cursor: _Cursor, what: str, depth: int) -> Reading[None]:
    if depth == MAX_NESTING:
        raise Fault(f"has {what} of arrays in more than {MAX_NESTING} arrays: it is no honest GGUF file")
    kind = yield from cursor.number("I")
    length = yield from cursor.number("Q")
    if length * _width(kind, what) > cursor.source.size - cursor.at:
        raise Fault(f"has {what} of {length:,} elements, more than the file can hold: it was cut, or is damaged")
    if kind == _STRING:
        yield from cursor.skip_strings(length, what)
    elif kind == _ARRAY:
        cursor.arrays += length
        if cursor.arrays > MAX_PAIRS:
            raise Unread
        for _ in range(length):
            yield from _skip_array(cursor, what, depth + 1)
    else:
        cursor.skip(length * _width(kind, what), what)


def _width(kind: int, what: str) -> int:
    """Bytes of a value; of a string or an array the least it can have."""
    if kind in _SCALARS:
        return struct.calcsize("=" + _SCALARS[kind])
    if kind in (_STRING, _ARRAY):
        return 8 if kind == _STRING else 12
    raise Fault(f"has {what} of the unknown type {kind}: its header was overwritten")


def _tensors(cursor: _Cursor, count: int, alignment: int, facts: dict[str, int]) -> Check:
    tensors: dict[str, Tensor] = {}
    expected = end = 0
    for _ in range(count):
        name = yield from cursor.text("a tensor's name", MAX_NAME)
        if name in tensors:
            raise Fault(f"has tensor {name[:80]!r} twice: no loader reads it")
        dims = yield from cursor.number("I")
        if dims > MAX_DIMS:
            raise Fault(
                f"has tensor {name[:80]!r} of {dims:,} dimensions where {MAX_DIMS} is the limit: it was overwritten"
            )
        *shape, kind, offset = yield from cursor.unpack("Q" * dims + "IQ")
        tensor = _tensor(name, kind, tuple(shape))
        if offset != expected:
            raise Fault(
                f"has tensor {name[:80]!r} at {offset:,} where {expected:,} was expected: its header is damaged"
            )
        tensors[name] = tensor
        end = offset + tensor.size
        expected = -(-end // alignment) * alignment
    start = -(-cursor.at // alignment) * alignment
    # a file may end without the padding behind its last tensor, and without the data section where it has no tensors
    size, accounted = cursor.source.size, start + end
    if count and accounted > size:
        raise Fault(
            f"has {size:,} bytes where its header accounts for {accounted:,}, {accounted - size:,} too few: it was cut"
        )
    return Finding(NAME, tensors=tensors, facts=facts)


def _tensor(name: str, kind: int, shape: tuple[int, ...]) -> Tensor:
    if kind not in TYPES:
        if kind in LATER:
            raise Unread
        raise Fault(f"has tensor {name[:80]!r} of the unknown type {kind}: its header was overwritten")
    dtype, block, bytes_of_block = TYPES[kind]
    elements = 1
    for size in shape:
        elements *= size
    if elements >= _LONGEST or any(size >= _LONGEST for size in shape):
        raise Fault(f"has tensor {name[:80]!r} with more elements than a file can hold: its header was overwritten")
    if (shape[0] if shape else 1) % block:
        raise Fault(f"has tensor {name[:80]!r} with rows that are no multiple of the {block} of {dtype}")
    return Tensor(dtype, shape, elements // block * bytes_of_block)

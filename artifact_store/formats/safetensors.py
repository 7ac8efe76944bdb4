"""safetensors: 8 bytes of length, a JSON header, then the tensors without a gap up to the end of the file.

Refuses what the library refuses (safetensors 0.8, `SafeTensors::read_metadata`); the values of tensors are not seen.
"""

from __future__ import annotations

import json
from typing import Any

from artifact_store.formats.finding import Check, Finding, Tensor
from artifact_store.formats.source import Fault, Source, Unread

NAME = "safetensors"

HEAD = 16 * 1024
"""Bytes of the first request: some 130 tensors, as shards of large models have them. A longer header costs a second
request; 64 KiB at first would cost every file a third more time (measured), and four times the traffic."""

MAX_HEADER = 100_000_000
"""The library's own limit on the header's bytes (MAX_HEADER_SIZE); a longer one is refused by every loader."""

MAX_VALUES = 1_000_000
"""JSON values of a header that is parsed: 100,000 tensors; they take 110 MB and 1.5 s at the worst (measured)."""

BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
"""Bits of an element by the type's name in the header."""

_WORD = 2**64


def check(source: Source) -> Check:
    """facts: "total_size", the bytes of all tensors, which a sharded model's index sums up."""
    start = yield from source.read(0, 8, HEAD)
    length = int.from_bytes(start, "little")
    if length > MAX_HEADER:
        raise Fault(
            f"says that its header has {length:,} bytes, and {MAX_HEADER:,} is the limit: it is no safetensors file"
        )
    if 8 + length > source.size:
        raise Fault(
            f"says that its header has {length:,} bytes and has {source.size:,} in all: it was cut in the header"
        )
    header = yield from source.read(8, length)
    tensors, end = _read(header)
    whole = 8 + length + end
    if whole != source.size:
        off = abs(whole - source.size)
        how = f"{off:,} too few: it was cut" if source.size < whole else f"{off:,} too many: it is not one file"
        raise Fault(f"has {source.size:,} bytes where its header accounts for {whole:,}, {how}")
    return Finding(NAME, tensors=tensors, facts={"total_size": end})


def _read(header: bytes) -> tuple[dict[str, Tensor], int]:
    """The tensors, and the bytes they take together."""
    if sum(header.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        raise Unread
    try:
        entries = json.loads(header.decode(), object_pairs_hook=_once, parse_constant=_constant)
    except RecursionError:
        raise Fault("has a header that is nested too deep: it is no safetensors file") from None
    except Fault:
        raise
    except ValueError as error:
        raise Fault(f"has a header that is no JSON ({_short(error)}): it was damaged or overwritten") from None
    if type(entries) is not dict:
        raise Fault("has a header that is no JSON object: it is no safetensors file")
    _metadata(entries.pop("__metadata__", None))
    placed = sorted((*_entry(name, entry), name) for name, entry in entries.items())
    tensors: dict[str, Tensor] = {}
    at = 0
    for first, end, dtype, shape, name in placed:
        if first != at:
            what = "overlaps the tensor before" if first < at else "leaves a hole before it"
            raise Fault(f"has tensor {name!r} at {first:,} where {at:,} was expected: it {what}")
        size = _size(name, dtype, shape)
        if end - first != size:
            raise Fault(f"has tensor {name!r} of {dtype} {list(shape)}, {size:,} bytes, in a place of {end - first:,}")
        tensors[name] = Tensor(dtype, shape, size)
        at = end
    return tensors, at


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        for name in ("__metadata__", "dtype", "shape", "data_offsets"):
            # tensors may share a name (the last counts), the fields of one may not
            if names.count(name) > 1:
                raise Fault(f"has a header that holds {name!r} twice in one place: no loader reads it")
        if any(type(value) is dict for value in made.values()):
            # the header itself: the library reads the entries that do not count as well
            for name, value in pairs:
                if name != "__metadata__":
                    _entry(name, value)
    return made


def _constant(name: str) -> None:
    raise Fault(f"has a header that holds {name}, which is no JSON: no loader reads it")


def _metadata(entries: Any) -> None:
    if entries is None:
        return
    if type(entries) is not dict or not all(type(value) is str for value in entries.values()):
        raise Fault("has __metadata__ that is not a map of strings to strings: no loader reads it")
    for text in (*entries, *entries.values()):
        _encodable(text)


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Fault(f"has {text[:40]!a} in its header, which is no Unicode text: no loader reads it") from None


def _entry(name: str, entry: Any) -> tuple[int, int, str, tuple[int, ...]]:
    """Its first byte and the one after its last, type, shape."""
    _encodable(name)
    if type(entry) is not dict or not entry.keys() >= {"dtype", "shape", "data_offsets"}:
        raise Fault(f"has tensor {name[:80]!r} without dtype, shape or data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if type(dtype) is not str or dtype not in BITS:
        raise Fault(f"has tensor {name[:80]!r} of the unknown type {str(dtype)[:20]!r}")
    if not _numbers(shape):
        raise Fault(f"has tensor {name[:80]!r} with a shape that is no list of sizes")
    if not _numbers(offsets) or len(offsets) != 2:
        raise Fault(f"has tensor {name[:80]!r} with data_offsets that are no two positions")
    return offsets[0], offsets[1], dtype, tuple(shape)


def _numbers(values: Any) -> bool:
    return type(values) is list and all(type(value) is int and 0 <= value < _WORD for value in values)


def _size(name: str, dtype: str, shape: tuple[int, ...]) -> int:
    bits = 1
    for factor in (*shape, BITS[dtype]):
        bits *= factor
        # the library multiplies in this order and gives up at the first overflow
        if bits >= _WORD:
            raise Fault(f"has tensor {name[:80]!r} with more elements than a file can hold")
    if bits % 8:
        raise Fault(f"has tensor {name[:80]!r} of {dtype} {list(shape)}, which is no whole number of bytes")
    return bits // 8


def _short(error: ValueError) -> str:
    return str(error).splitlines()[0][:80]

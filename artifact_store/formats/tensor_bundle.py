"""The index of a TensorFlow checkpoint (`.index`): how many data files there are, and how long each must be.

The index is a table of sorted blocks (the one of LevelDB) whose values are protocol buffers. Names of tensors are not
rebuilt: their prefixes are shared, so a small file can hold any amount of them. Source: tensor_bundle.h,
tensor_bundle.proto and lib/io/table of TensorFlow. Does no I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAGIC: Final = bytes.fromhex("57fb808b247547db")
FOOTER: Final = 48
MOST_ENTRIES: Final = 500_000
MOST_SHARDS: Final = 100_000
_VARINT: Final = 10
_NOT_PACKED: Final = 0
_COUNT, _SHARD, _OFFSET, _SIZE, _SLICES = 1, 3, 4, 5, 7


class BundleRefused(ValueError):
    """The bytes are no index that can be read. The message is one line that starts with a verb."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """shards: number of data files. ends: number of the file, from 0 -> where its last tensor ends, in bytes; files
    that hold no tensor are absent."""

    shards: int
    ends: dict[int, int]


def read(data: bytes) -> Bundle:
    """Raises BundleRefused."""
    if len(data) < FOOTER or not data.endswith(MAGIC):
        raise BundleRefused("does not end as the index of a checkpoint: it was cut off, or is something else")
    try:
        return _bundle(data)
    except IndexError:
        raise BundleRefused("points outside itself: it was cut off or overwritten") from None


def _bundle(data: bytes) -> Bundle:
    at = len(data) - FOOTER
    for _ in range(2):  # the table of tables comes first and is empty
        _, at = varint(data, at)
    start, at = varint(data, at)
    size, at = varint(data, at)
    shards = -1
    ends: dict[int, int] = {}
    left, entries = len(data), 0
    for _, handle in _entries(_block(data, start, size)):
        start, after = varint(handle, 0)
        size, _ = varint(handle, after)
        left -= size
        if left < 0:
            raise BundleRefused("names the same blocks again and again")
        for named, value in _entries(_block(data, start, size)):
            entries += 1
            if entries > MOST_ENTRIES:
                raise BundleRefused(f"holds more than {MOST_ENTRIES:,} tensors")
            numbers = fields(value)
            if not named:
                shards = numbers.get(_COUNT, 0)
            elif _SLICES not in numbers:
                shard, end = numbers.get(_SHARD, 0), numbers.get(_OFFSET, 0) + numbers.get(_SIZE, 0)
                ends[shard] = max(ends.get(shard, 0), end)
    if not 0 < shards <= MOST_SHARDS:
        raise BundleRefused(f"says {max(shards, 0):,} data files; 1 to {MOST_SHARDS:,} are read")
    if ends and max(ends) >= shards:
        raise BundleRefused(f"puts a tensor in data file {max(ends):,} of {shards:,}")
    return Bundle(shards, ends)


def _block(data: bytes, start: int, size: int) -> bytes:
    if start + size >= len(data):
        raise IndexError
    if data[start + size] != _NOT_PACKED:
        raise BundleRefused("is compressed, which is not read")
    return data[start : start + size]


def _entries(block: bytes) -> Iterator[tuple[bool, bytes]]:
    """For each entry whether it has a name, and its value. The only one without a name is the header."""
    if len(block) < 4:
        raise IndexError
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    at = 0
    while at < end:
        shared, at = varint(block, at)
        own, at = varint(block, at)
        length, at = varint(block, at)
        after = at + own + length
        if after > end:
            raise IndexError
        yield shared + own > 0, block[at + own : after]
        at = after


def fields(message: bytes) -> dict[int, int]:
    """The fields of a protocol buffer by number: the value of a number, the length of all else. Raises IndexError."""
    found: dict[int, int] = {}
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        kind, value = key & 7, 0
        if kind == 0:
            value, at = varint(message, at)
        elif kind == 1:
            at += 8
        elif kind == 2:
            value, at = varint(message, at)
            at += value
        elif kind == 5:
            at += 4
        else:
            raise IndexError
        found[key >> 3] = value
    if at != len(message):
        raise IndexError
    return found


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at this place, at most 64 bits, and the place after it. Raises IndexError."""
    value = 0
    for number in range(_VARINT):
        byte = data[at + number]
        value |= (byte & 0x7F) << 7 * number
        if byte < 0x80:
            return value & (2**64 - 1), at + number + 1
    raise IndexError

"""OCDBT databases, as Orbax saves arrays into them: `manifest.ocdbt` says how long it is and carries a checksum.

The data files beside it have no header of their own and are not looked at.
Source: google/tensorstore, tensorstore/kvstore/ocdbt/index.rst, "Manifest format".
"""

from __future__ import annotations

from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.source import Fault, Source

NAME = "ocdbt"

MAGIC = b"\x0c\xdb\x3a\x2a"

MAX_MANIFEST = 256 * 1024
"""Bytes of a manifest whose checksum is computed: 0.05 s at most. They have some hundreds."""

_LEAST = len(MAGIC) + 8 + 1 + 1 + 4
_POLYNOMIAL = 0x82F63B78


def check(source: Source) -> Check:
    head = yield from source.read(0, min(source.size, 12))
    if head[:4] != MAGIC[: len(head)]:
        raise Fault(f"starts with {head[:4]!r} where an OCDBT manifest starts with {MAGIC!r}: it was overwritten")
    if source.size < _LEAST:
        raise Fault(f"has {source.size} bytes and the smallest OCDBT manifest has {_LEAST}: it was cut")
    length = int.from_bytes(head[4:], "little")
    if length != source.size:
        raise Fault(f"has {source.size:,} bytes and says that it has {length:,}: it was cut, or is of two writes")
    if source.size > MAX_MANIFEST:
        return Finding(NAME, proved=False)
    data = yield from source.read(0, source.size)
    if crc32c(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise Fault("has another checksum than the one it carries: it was damaged")
    return Finding(NAME)


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), which zlib does not have."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = tuple(map(_entry, range(256)))

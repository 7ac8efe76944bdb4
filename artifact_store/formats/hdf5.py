"""HDF5 (`.h5`, `.hdf5`, Keras weights): the superblock says where the file ends.

Refuses what is shorter than that, as the library does; longer files pass, as there. Groups and data are not walked.
Since version 2 the superblock has a checksum, which is compared.
Source: HDF5 File Format Specification, "Disk Format: Level 0A - Format Signature and Superblock".
"""

from __future__ import annotations

from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.source import HEAD, Fault, Reading, Source

NAME = "hdf5"
SIGNATURE = b"\x89HDF\r\n\x1a\n"

SUPERBLOCK = 12 + 4 * 32 + 4
"""Bytes of the longest superblock of version 2 or 3, with its checksum; more than the older ones need."""

WIDTHS = frozenset({2, 4, 8, 16, 32})
"""Bytes that an address or a length may have; nearly every file has 8."""

PROBE = 512
"""Bytes read where the superblock may lie behind a user block: it is looked for at 0, 512, 1,024, 2,048 and so on."""

_MASK = 2**32 - 1

# by version: which bytes are always 0, which hold the widths of addresses and lengths, how many lie before the base
# address
_PLACES = {0: ((9, 10, 12), (13, 14), 24), 1: ((9, 10, 12), (13, 14), 28), 2: ((), (9, 10), 12), 3: ((), (9, 10), 12)}


def check(source: Source) -> Check:
    """facts: "end", where the file ends at the earliest, in bytes."""
    at = yield from _superblock(source)
    block = yield from source.read(at, min(SUPERBLOCK, source.size - at), PROBE)
    version = block[8] if len(block) > 8 else -1
    if version not in _PLACES:
        raise Fault(f"has a superblock of version {version} where 0 to 3 are known: it was cut or overwritten")
    zeros, widths, before = _PLACES[version]
    if len(block) < before:
        raise Fault(f"ends in its superblock, at {source.size:,} bytes: it was cut")
    if any(block[place] for place in zeros) or any(block[place] not in WIDTHS for place in widths):
        raise Fault(f"has a superblock of version {version} that no library writes: it was overwritten")
    width = block[widths[0]]
    least = before + 3 * width
    if len(block) < least:
        raise Fault(f"ends in its superblock, at {source.size:,} bytes: it was cut")
    if version >= 2:
        _sum(block[: least + width + 4])
    # base address, then free space (0, 1) or superblock extension (2, 3), then end of file
    base = int.from_bytes(block[before : before + width], "little")
    end = int.from_bytes(block[least - width : least], "little")
    # a block that was put before a file moves it, and the library reads it all the same
    end += at - base
    if end > source.size:
        missing = end - source.size
        raise Fault(f"has {source.size:,} bytes where its superblock says {end:,}, {missing:,} too few: it was cut")
    if end < at + least:
        raise Fault(
            f"says that it ends at byte {end:,}, inside its own superblock: it was never closed, or overwritten"
        )
    return Finding(NAME, facts={"end": end})


def _superblock(source: Source) -> Reading[int]:
    """Where it begins."""
    at = 0
    while at + len(SIGNATURE) <= source.size:
        found = yield from source.read(at, len(SIGNATURE), PROBE if at else HEAD)
        if found == SIGNATURE:
            return at
        at = at * 2 or 512
    raise Fault("has no HDF5 signature: it is no HDF5 file, or its start was overwritten")


def _sum(block: bytes) -> None:
    """The last four bytes are the checksum of those before: Bob Jenkins' lookup3, "hashlittle" with 0 to begin with."""
    *words, expected = (int.from_bytes(block[at : at + 4], "little") for at in range(0, len(block), 4))
    a = b = c = (0xDEADBEEF + len(block) - 4) & _MASK
    while len(words) > 3:
        a, b, c = a + words[0], b + words[1], c + words[2]
        del words[:3]
        for turn in (4, 6, 8, 16, 19, 4):
            a = ((a - c) ^ _rotate(c, turn)) & _MASK
            a, b, c = b, (c + b) & _MASK, a
    a, b, c = (start + word for start, word in zip((a, b, c), (*words, 0, 0, 0), strict=False))
    for turn in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotate(b, turn)) & _MASK
        a, b, c = b, c, a
    if b != expected:
        raise Fault("has a superblock that does not match its own checksum: it was cut or overwritten")


def _rotate(value: int, turn: int) -> int:
    value &= _MASK
    return value << turn | value >> (32 - turn)

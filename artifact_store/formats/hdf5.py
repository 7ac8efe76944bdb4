"""HDF5 (`.h5`, `.hdf5`, Keras weights): the superblock says where the file ends.

Refuses what is shorter than that, as the library does; longer files pass, as there. Groups and data are not walked.
Source: HDF5 File Format Specification, "Disk Format: Level 0A - Format Signature and Superblock".
"""

from __future__ import annotations

import struct

from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.source import HEAD, Fault, Source

NAME = "hdf5"
SIGNATURE = b"\x89HDF\r\n\x1a\n"

SUPERBLOCK = 52
"""Bytes up to the end-of-file address of every version, with addresses of 8 bytes."""

PROBE = 512
"""Bytes read where the superblock may lie behind a user block: it is looked for at 0, 512, 1,024, 2,048 and so on."""

# by version: where the bytes lie that every writer sets to 0 and to 8 (sizes of addresses and of lengths), and how many
# lie before the base address
_FIXED = {0: ((9, 10, 12), (13, 14), 24), 1: ((9, 10, 12), (13, 14), 28), 2: ((), (9, 10), 12), 3: ((), (9, 10), 12)}


def check(source: Source) -> Check:
    at = 0
    while True:
        if at + len(SIGNATURE) > source.size:
            raise Fault("has no HDF5 signature: it is no HDF5 file, or its start was overwritten")
        found = yield from source.read(at, len(SIGNATURE), PROBE if at else HEAD)
        if found == SIGNATURE:
            break
        at = at * 2 or 512
    block = yield from source.read(at, min(SUPERBLOCK, source.size - at), PROBE)
    version = block[8] if len(block) > 8 else -1
    if version not in _FIXED:
        raise Fault(f"has a superblock of version {version} where 0 to 3 are known: it was cut or overwritten")
    zeros, eights, before = _FIXED[version]
    if len(block) < before + 24:
        raise Fault(f"ends in its superblock, at {source.size:,} bytes: it was cut")
    if any(block[place] for place in zeros) or any(block[place] != 8 for place in eights):
        raise Fault(f"has a superblock of version {version} that no library writes: it was overwritten")
    # base address, then free space (0, 1) or superblock extension (2, 3), then end of file: three in a row
    base, _, end = struct.unpack_from("<3Q", block, before)
    # a block that was put before a file moves it, and the library reads it all the same
    end += at - base
    if end > source.size:
        missing = end - source.size
        raise Fault(f"has {source.size:,} bytes where its superblock says {end:,}, {missing:,} too few: it was cut")
    if end < at + before + 24:
        raise Fault(
            f"says that it ends at byte {end:,}, inside its own superblock: it was never closed, or overwritten"
        )
    return Finding(NAME, facts={"end": end})

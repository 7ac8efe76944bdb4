"""Zip archives: `.pt`, `.pth`, `.bin`, `.ckpt` of PyTorch, `.keras`, `.npz`.

The end record and the directory show that the file is whole: both lie at its end. Entries are not read, so a checksum
of one is not compared. The pickle that older PyTorch wrote is named and never opened; nothing cheap shows its end.
Source: PKWARE APPNOTE.TXT 6.3, sections 4.3.7 to 4.3.16 and 4.5.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.source import Fault, Reading, Source, Unread

NAME = "zip"
PICKLE = "pickle"

TAIL = 65_535 + 22 + 20 + 56
"""Bytes in which an end record can lie: itself with the longest comment, and both ZIP64 records before it."""

MAX_DIRECTORY = 16 * 1024**2
"""Bytes of a directory that is read: 150,000 entries of PyTorch, and a large checkpoint has some thousands."""

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = 30
_VERSION = 63
_UTF8 = 0x800
_ZIP64 = 1
_ALL16, _ALL32 = 0xFFFF, 0xFFFFFFFF


def check(source: Source) -> Check:
    head = yield from source.read(0, min(4, source.size))
    if head not in (b"PK\x03\x04", b"PK\x05\x06"):
        raise Fault(
            f"starts with {head!r} where a zip archive starts with b'PK\\x03\\x04': it was overwritten or is none"
        )
    return (yield from _zip(source))


def check_torch(source: Source) -> Check:
    """A zip archive, or a pickle of older PyTorch. facts: "entries"."""
    head = yield from source.read(0, min(4, source.size))
    if head[:1] == b"\x80":
        return Finding(PICKLE, proved=False)
    return (yield from check(source))


def check_maybe(source: Source) -> Check:
    """As check_torch, for endings that others use too: what starts as neither is left as it is."""
    head = yield from source.read(0, min(4, source.size))
    if head[:1] == b"\x80" or head == b"PK\x03\x04"[: len(head)]:
        return (yield from check_torch(source))
    return Finding(proved=False)


@dataclass(frozen=True, slots=True)
class _Directory:
    first: int
    size: int
    entries: int


def _zip(source: Source) -> Check:
    directory = yield from _end(source)
    if directory.size > MAX_DIRECTORY:
        raise Unread
    data = yield from source.read(directory.first, directory.size)
    places = []
    at = 0
    while at < len(data):
        begin, end, at = _entry(data, at)
        places.append((begin, end))
        if end > directory.first:
            raise Fault(
                f"has an entry that ends at byte {end:,}, behind its directory at {directory.first:,}: it is damaged"
            )
    # some writers of more entries than the field holds leave ZIP64 out and count modulo 65,536
    if len(places) & _ALL16 != directory.entries & _ALL16:
        raise Fault(
            f"has {len(places):,} entries in its directory and {directory.entries:,} in its end record: it is damaged"
        )
    places.sort()
    for (_, end), (begin, _) in pairwise(places):
        if begin < end:
            raise Fault(f"has entries that overlap at byte {begin:,}: it is no honest zip archive")
    return Finding(NAME, facts={"entries": len(places)})


def check_ckpt(source: Source) -> Check:
    """As check_maybe. Zero bytes begin none of the formats with this ending: zip, pickle, tables of TensorFlow 1."""
    yield from _begun(source)
    return (yield from check_maybe(source))


def check_distcp(source: Source) -> Check:
    """Archives or pickles of single tensors one behind the other: only where the first begins is known."""
    yield from _begun(source)
    return Finding(proved=False)


def _begun(source: Source) -> Reading[None]:
    head = yield from source.read(0, min(4, source.size))
    if head == bytes(4):
        raise Fault("starts with zero bytes, as no checkpoint does: its upload or download was not finished")


def _end(source: Source) -> Reading[_Directory]:
    """Where the directory lies, checked against the file and the record that names it."""
    start = max(0, source.size - TAIL)
    tail = yield from source.read(start, source.size - start)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise Fault("has no end record in its last 64 KiB: it was cut, or is no zip archive")
    _, disk, first_disk, _, entries, size, first, _ = _END.unpack_from(tail, found)
    end = start + found
    if found >= _LOCATOR.size and tail[found - _LOCATOR.size :].startswith(b"PK\x06\x07"):
        _, on, where, disks = _LOCATOR.unpack_from(tail, found - _LOCATOR.size)
        if on or disks > 1 or where + _END64.size > end - _LOCATOR.size:
            raise Fault(f"has a ZIP64 locator that points to byte {where:,} of {source.size:,}: it is damaged")
        record = yield from source.read(where, _END64.size)
        mark, _, _, _, disk, first_disk, _, entries, size, first = _END64.unpack(record)
        if mark != b"PK\x06\x06":
            raise Fault(f"has no ZIP64 record at byte {where:,} where its locator points: it is damaged")
        end = where
    if disk or first_disk:
        raise Fault(f"says that it is disk {disk} of an archive of several: it is damaged")
    if first + size > end:
        raise Fault(
            f"says that its directory ends at byte {first + size:,}, behind its end record at {end:,}: it was cut"
        )
    if size < entries * _ENTRY.size:
        raise Fault(f"says that {entries:,} entries have a directory of {size:,} bytes: it is damaged")
    if first + size != end:
        raise Fault(f"has {end - first - size:,} bytes between its directory and its end record: it was glued together")
    return _Directory(first, size, entries)


def _entry(data: bytes, at: int) -> tuple[int, int, int]:
    """(first byte, one after the last that it can have at least, where the next begins in the directory)."""
    if len(data) - at < _ENTRY.size or data[at : at + 4] != b"PK\x01\x02":
        raise Fault(f"has a directory that breaks off at its byte {at:,}: it is damaged")
    fields = _ENTRY.unpack_from(data, at)
    if fields[2] > _VERSION:
        raise Fault(f"has an entry of zip version {fields[2] / 10}, and {_VERSION / 10} is the newest: it is damaged")
    packed, plain, name, extra, comment, begin = fields[8], fields[9], fields[10], fields[11], fields[12], fields[16]
    more = at + _ENTRY.size + name
    following = more + extra + comment
    if following > len(data):
        raise Fault(f"has a directory that breaks off at its byte {at:,}: it is damaged")
    if fields[3] & _UTF8 and not _is_text(data[at + _ENTRY.size : more]):
        raise Fault(f"has a directory with a name that is no UTF-8 text at its byte {at:,}: it is damaged")
    for kind, content in _extras(data[more : more + extra]):
        if kind == _ZIP64:
            packed, begin = _wide(content, packed, plain, begin)
    return begin, begin + _LOCAL + name + packed, following


def _extras(extra: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    # fewer than four bytes at the end are padding that some writers leave
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        at += 4 + length
        if at > len(extra):
            raise Fault(
                f"has an entry with an extra field of {length:,} bytes that breaks off: its directory is damaged"
            )
        yield kind, extra[at - length : at]


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _wide(content: bytes, packed: int, plain: int, begin: int) -> tuple[int, int]:
    """Packed size and place from the ZIP64 field, which holds only those that did not fit, in a fixed order."""
    numbers = [value for (value,) in struct.iter_unpack("<Q", content[: len(content) // 8 * 8])]
    try:
        if plain == _ALL32:
            numbers.pop(0)
        packed = numbers.pop(0) if packed == _ALL32 else packed
        begin = numbers.pop(0) if begin == _ALL32 else begin
    except IndexError:
        raise Fault("has an entry whose ZIP64 field is too short: its directory is damaged") from None
    return packed, begin

"""Protobuf on the wire: fields of a message, each inside it, up to its very end.

Owns the walk over the outermost message of a file, which is enough to show that it was cut. What the fields mean is for
the formats. Groups are refused: no format of models uses them.
Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

from artifact_store.formats.source import HEAD, Fault, Reading, Source, Unread

MAX_FIELDS = 2_500_000
"""Fields that are walked; they take 2 s (measured, 0.6 us a field)."""

SKIPS = 64
"""Requests for one file: what is large is stepped over, and short fields lie together."""


def top_level(source: Source) -> Reading[set[int]]:
    """The numbers of the fields of the outermost message. Raises Fault, Unread."""
    seen: set[int] = set()
    at = 0
    requests, left = 0, source.left
    for _ in range(MAX_FIELDS):
        if at == source.size:
            return seen
        # a tag has 5 bytes at most, a length or a number 10
        index = yield from source.load(at, min(15, source.size - at), HEAD)
        if source.left != left:
            requests, left = requests + 1, source.left
            if requests == SKIPS:
                raise Unread
        number, _, _, stop = field(source.data, index, index + source.size - at)
        seen.add(number)
        at += stop - index
    raise Unread


def field(data: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """(number, wire type, first byte of the content, one after its last). end: where the message ends, which may lie
    behind what is held; the content may, too. Raises Fault."""
    tag, begin = varint(data, at, min(end, at + 5))
    number, wire = tag >> 3, tag & 7
    if not number or tag >> 32:
        raise Fault(f"has no protobuf field where one should begin ({data[at : at + 8]!r}): it was cut or overwritten")
    if wire == 0:
        _, stop = varint(data, begin, min(end, begin + 10))
    elif wire == 2:
        length, begin = varint(data, begin, min(end, begin + 10))
        stop = begin + length
    elif wire in (1, 5):
        stop = begin + (8 if wire == 1 else 4)
    else:
        raise Fault(f"has a protobuf field {number} of wire type {wire}: it was overwritten, or is another file")
    if stop > end:
        raise Fault(f"has a protobuf field {number} that ends {stop - end:,} bytes behind its message: it was cut")
    return number, wire, begin, stop


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(number, one after its last byte). Raises Fault."""
    value = shift = 0
    for index in range(at, end):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, index + 1
        shift += 7
    raise Fault("has a protobuf number that does not end: it was cut or overwritten")

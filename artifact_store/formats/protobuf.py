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

_START = 15
"""Bytes of the longest tag and the longest length or number: 5 and 10."""


def top_level(source: Source) -> Reading[set[int]]:
    """The numbers of the fields of the outermost message. Raises Fault, Unread."""
    seen: set[int] = set()
    at = fields = requests = 0
    left = source.left
    while at < source.size:
        index = yield from source.load(at, min(_START, source.size - at), HEAD)
        if source.left != left:
            requests, left = requests + 1, source.left
            if requests == SKIPS:
                raise Unread
        data, end = source.data, index + source.size - at
        # as many as are held, and the last of the file whose start may be shorter
        held = len(data) if len(data) == end else len(data) - _START + 1
        begin = index
        while index < held:
            tag = data[index]
            # one byte of tag and one of length: most fields of a tokenizer, and half the time is saved
            if 8 <= tag < 0x80 and tag & 7 == 2 and end - index > 1 and data[index + 1] < 0x80:
                number, stop = tag >> 3, index + 2 + data[index + 1]
                if stop > end:
                    raise _cut(number, stop - end)
            else:
                number, _, _, stop = field(data, index, end)
            seen.add(number)
            index = stop
            fields += 1
            if fields > MAX_FIELDS:
                raise Unread
        at += index - begin
    return seen


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
        raise _cut(number, stop - end)
    return number, wire, begin, stop


def _cut(number: int, beyond: int) -> Fault:
    return Fault(f"has a protobuf field {number} that ends {beyond:,} bytes behind its message: it was cut")


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

"""Text that lies beside weights: vocabularies, Python sources, protobuf in text form.

Refuses only what is certain: bytes that are no text, and text that was cut where it cannot end. That a source compiles
or a vocabulary is complete is not shown.
"""

from __future__ import annotations

import re

from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.source import HEAD, Fault, Source

TEXT = "text"
PYTHON = "python"
PBTXT = "pbtxt"

MAX_TEXT = 1024**2
"""Bytes of a text that is read whole; of a longer one the beginning is looked at."""

# a string ends with its line; a quote that is left over opens one that does not end
_TOKEN = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\#[^\n]*|[\[\]{}<>"']""")
_CLOSES = {"}": "{", "]": "[", ">": "<"}


def check_text(source: Source) -> Check:
    """Any text in any encoding: refused where its beginning is nothing but zero bytes."""
    head = yield from source.read(0, min(source.size, HEAD))
    if not head.strip(b"\0"):
        raise Fault("holds nothing but zero bytes: its upload or download was not finished")
    return Finding(TEXT, proved=False)


def check_python(source: Source) -> Check:
    """Source code holds no zero bytes. Its encoding is no matter: Python reads past odd bytes in comments."""
    head = yield from source.read(0, min(source.size, MAX_TEXT))
    if (at := head.find(b"\0")) >= 0:
        raise Fault(f"is no Python: byte {at:,} is zero; it was overwritten or its download was not finished")
    return Finding(PYTHON, proved=False)


def check_pbtxt(source: Source) -> Check:
    """Protobuf in text form (Triton's config.pbtxt): every string and bracket is closed, no field lacks its value."""
    if source.size > MAX_TEXT:
        return Finding(PBTXT, proved=False)
    data = yield from source.read(0, source.size)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Fault(f"is no text: byte {error.start:,} is no UTF-8 text; it was cut or overwritten") from None
    closed(text)
    return Finding(PBTXT, proved=False)


def closed(text: str) -> None:
    """Raises Fault where a string or bracket is open at the end, or a field without its value; or it is no text."""
    if "\0" in text:
        raise Fault(f"is no text: character {text.index(chr(0)):,} is zero; it was overwritten, or not all of it came")
    opened: list[str] = []
    after = 0
    last = ""
    for match in _TOKEN.finditer(text):
        mark = match[0]
        last = text[after : match.start()].rstrip() or last
        after = match.end()
        if mark in ('"', "'"):
            raise Fault(f"has a string that does not end, at character {match.start():,}: it was cut")
        if mark in "{[<":
            opened.append(mark)
        elif mark in _CLOSES and (not opened or opened.pop() != _CLOSES[mark]):
            raise Fault(f"closes a {mark!r} that nothing opened, at character {match.start():,}: it was overwritten")
        if mark[0] != "#":
            last = mark
    if opened:
        raise Fault(f"ends with {len(opened):,} brackets open: it was cut")
    if (text[after:].rstrip() or last).endswith(":"):
        raise Fault("ends with a field without its value: it was cut")

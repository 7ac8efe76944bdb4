"""S3's small XML documents as dictionaries, by a real parser. Owns no meaning; lists of objects are read in `pages`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape


def text(value: str) -> str:
    """XML text in which no parser changes a line end: a bare CR would arrive as LF."""
    return escape(value, {"\r": "&#13;", "\n": "&#10;"})


def records(body: bytes, kinds: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Every element of these kinds with the text of its descendants, in the document's order. Raises ExpatError."""
    found: list[tuple[str, dict[str, str]]] = []
    pieces: list[str] = []

    def start(tag: str, _: Any) -> None:
        if tag in kinds:
            found.append((tag, {}))
        pieces.clear()

    def end(tag: str) -> None:
        if found and tag not in kinds:
            found[-1][1].setdefault(tag, "".join(pieces))
        pieces.clear()

    parse(body, start, end, pieces)
    return found


def flat(body: bytes) -> dict[str, str]:
    """Element name to text, the first of each name; {} where the body is no XML."""
    found: dict[str, str] = {}
    pieces: list[str] = []

    def end(tag: str) -> None:
        found.setdefault(tag, "".join(pieces))
        pieces.clear()

    try:
        parse(body, lambda *_: pieces.clear(), end, pieces)
    except expat.ExpatError:
        return {}
    return found


def parse(body: bytes, start: Callable[[str, Any], None], end: Callable[[str], None], pieces: list[str]) -> None:
    """Call `start` and `end` for each element; `pieces` gets the text. Raises ExpatError."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = pieces.append
    # While S3 works on a long request it sends spaces to keep the connection, also before the XML declaration, where
    # XML allows none (API reference, "CompleteMultipartUpload").
    parser.Parse(body.lstrip(), True)

"""SentencePiece tokenizers (`tokenizer.model`, `spiece.model`, `.spm`): a protobuf message of one short field a piece.

Refuses what does not parse to its end. `tokenizer.model` is also the name of a tiktoken vocabulary, which is text and
cannot be told from a cut one: it is left unproved.
Source: sentencepiece/src/sentencepiece_model.proto; tiktoken/load.py, "load_tiktoken_bpe".
"""

from __future__ import annotations

import re

from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.protobuf import top_level
from artifact_store.formats.source import Fault, Source

NAME = "sentencepiece"

MAX_MODEL = 16 * 1024**2
"""Bytes of a tokenizer that is walked; the largest, of 262,144 pieces, have 5 MB."""

_PIECE = b"\x0a"
_TIKTOKEN = re.compile(rb"[A-Za-z0-9+/]+=* [0-9]+\r?\n")


def check(source: Source) -> Check:
    head = yield from source.read(0, min(source.size, 512))
    if head.startswith(_PIECE):
        if source.size > MAX_MODEL:
            return Finding(NAME, proved=False)
        yield from source.load(0, source.size)
        yield from top_level(source)
        return Finding(NAME)
    if _TIKTOKEN.match(head):
        return Finding(proved=False)
    raise Fault(
        f"starts with {head[:8]!r}, neither a piece of SentencePiece nor a line of tiktoken: it was overwritten or cut"
    )

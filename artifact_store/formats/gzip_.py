"""gzip (`model.tar.gz`): only its first bytes can be looked at without reading all of it."""

from __future__ import annotations

from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.source import HEAD, Fault, Source

NAME = "gzip"

LEAST = 18
"""Bytes of the smallest file there is: header 10, trailer 8 (RFC 1952, 2.3)."""


def check(source: Source) -> Check:
    head = yield from source.read(0, min(source.size, 4), HEAD)
    # 08 is deflate, the only method; the upper three flags are reserved and zero (RFC 1952, 2.3.1)
    if head[:3] != b"\x1f\x8b\x08"[: len(head)] or (head[3:] and head[3] & 0xE0):
        raise Fault(f"starts with {head!r} where gzip starts with 1f 8b 08: it is no gzip file")
    if source.size < LEAST:
        raise Fault(f"has {source.size} bytes and the smallest gzip file has {LEAST}: it was cut")
    return Finding(NAME, proved=False)

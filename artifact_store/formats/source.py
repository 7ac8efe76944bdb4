"""How a check reads a file that it does not have: forwards, in few requests, never more than it is allowed to.

Owns the bytes that are held, the bounds of the file and the total asked for. What the bytes mean is for the formats.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from artifact_store.formats.finding import Range

R = TypeVar("R")

LIMIT = 32 * 1024**2
"""Bytes a check asks for in total. The largest honest headers are GGUF vocabularies: 262,144 tokens make 4 MB."""

HEAD = 64 * 1024
"""Bytes of the first request: small files whole, and most headers; S3 takes the same time for 64 KiB as for 1 byte."""


class Fault(ValueError):
    """What is wrong with a file, in one line without its name."""


class Unread(Exception):
    """The header may be right, and is larger than what a check reads or uses what it does not know."""


Reading: TypeAlias = Generator[Range, bytes, R]


class Source:
    """A file of `size` bytes of which `data` is held, beginning at byte `start`."""

    __slots__ = ("data", "left", "size", "start")

    def __init__(self, size: int, limit: int = LIMIT) -> None:
        self.size = size
        self.left = limit
        self.start = 0
        self.data = b""

    def load(self, first: int, count: int, ahead: int = 0) -> Reading[int]:
        """Hold bytes first..first+count-1; returns the index of `first` in `data`.

        ahead: bytes that are worth having in the same request. Raises Fault where the file ends before or the server
        sends another number of bytes than was asked for, Unread where the limit is used up.
        """
        end = first + count
        if end > self.size:
            raise Fault(
                f"its header needs bytes up to {end:,} and the file has {self.size:,}: it was cut, or is damaged"
            )
        held = self.start + len(self.data)
        if self.start <= first and end <= held:
            return first - self.start
        kept = self.data[first - self.start :] if self.start <= first < held else b""
        begin = first + len(kept)
        want = max(end - begin, min(ahead, self.left, self.size - begin))
        if want > self.left:
            raise Unread
        self.left -= want
        came = yield Range(begin, begin + want - 1)
        if len(came) != want:
            raise Fault(f"{want:,} bytes were asked for from byte {begin:,} and {len(came):,} came; read it again")
        self.start, self.data = first, kept + came
        return 0

    def read(self, first: int, count: int, ahead: int = 0) -> Reading[bytes]:
        """Bytes first..first+count-1. Raises as `load`."""
        index = yield from self.load(first, count, ahead)
        return self.data[index : index + count]

"""Runs a check over bytes, as a server that serves ranges would, and keeps what it asked for."""

from __future__ import annotations

from dataclasses import dataclass

from artifact_store.formats.checks import check
from artifact_store.formats.finding import Finding, Range


@dataclass(frozen=True)
class Asked:
    finding: Finding
    ranges: list[Range]

    @property
    def total(self) -> int:
        """Bytes."""
        return sum(asked.last - asked.first + 1 for asked in self.ranges)


def ask(path: str, data: bytes, size: int | None = None) -> Asked:
    """size: of a file that begins with `data` and goes on with zeros."""
    size = len(data) if size is None else size
    running = check(path, size)
    ranges: list[Range] = []
    came: bytes | None = None
    while True:
        try:
            asked = running.send(came)
        except StopIteration as end:
            return Asked(end.value, ranges)
        assert 0 <= asked.first <= asked.last < size, f"{asked} lies outside of {size} bytes"
        ranges.append(asked)
        came = data[asked.first : asked.last + 1].ljust(asked.last - asked.first + 1, b"\0")


def look(path: str, data: bytes, size: int | None = None) -> Finding:
    return ask(path, data, size).finding


def problem(path: str, data: bytes, size: int | None = None) -> str:
    found = look(path, data, size).problem
    assert "\n" not in found
    return found

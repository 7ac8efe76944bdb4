"""What happened to a bucket, so that the instant to go back to can be found.

Owns events, bursts and the histogram, as pure functions of keys' histories. Removed versions and markers leave no trace
in a listing, so they cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from artifact_store.history.state import by_time

if TYPE_CHECKING:
    from artifact_store.history.listing import History

QUIET_SECONDS = 60
"""A pause of this length ends a burst."""
BIN_SECONDS = (1, 5, 15, 30, 60, 300, 900, 3600, 21_600, 86_400, 604_800, 2_592_000, 31_536_000)


class Kind(StrEnum):
    CREATE = "create"
    OVERWRITE = "overwrite"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One event. second: since the epoch. size: bytes written, 0 for a delete. lost: bytes no longer current."""

    second: int
    kind: Kind
    key: str
    version_id: str
    size: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Burst:
    """Changes with no pause of QUIET_SECONDS between them. first, last: seconds of the first and last change.

    before: the last quiet second before it, which is the instant to go back to.
    """

    first: int
    last: int
    counts: dict[Kind, int]
    lost: int
    samples: tuple[str, ...]

    @property
    def before(self) -> int:
        return self.first - 1

    @property
    def destructive(self) -> bool:
        """Something that was current is so no more."""
        return bool(self.counts[Kind.OVERWRITE] or self.counts[Kind.DELETE])


@dataclass(frozen=True, slots=True)
class Bin:
    """start: its first second; its length is that of the histogram."""

    start: int
    counts: dict[Kind, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def changes(history: History) -> Iterator[Change]:
    """One key's events, oldest first. A marker on a key that is deleted already changes nothing."""
    entries = history.entries if history.interleaved else by_time(history.entries)
    live: int | None = None
    for entry in reversed(entries):
        second = int(entry.last_modified // 1)
        if entry.is_marker:
            if live is not None:
                yield Change(second, Kind.DELETE, history.key, entry.version_id, 0, live)
            live = None
        else:
            kind = Kind.CREATE if live is None else Kind.OVERWRITE
            yield Change(second, kind, history.key, entry.version_id, entry.size, live or 0)
            live = entry.size


def within(found: Iterable[Change], since: float | None, until: float | None) -> list[Change]:
    """The changes in since <= t <= until, oldest first."""
    low, high = since if since is not None else float("-inf"), until if until is not None else float("inf")
    return sorted((c for c in found if low <= c.second <= high), key=lambda c: (c.second, c.key.encode()))


def bursts(found: Sequence[Change]) -> list[Burst]:
    """All bursts of changes that are oldest first, oldest first."""
    groups: list[list[Change]] = []
    for change in found:
        if groups and change.second - groups[-1][-1].second < QUIET_SECONDS:
            groups[-1].append(change)
        else:
            groups.append([change])
    return [_burst(group) for group in groups]


def histogram(found: Sequence[Change], rows: int = 24) -> tuple[int, list[Bin]]:
    """(length of a bin in seconds, the bins that hold something), for changes that are oldest first.

    The length is the shortest round one that needs at most `rows` bins from the first change to the last.
    """
    if not found:
        return BIN_SECONDS[0], []
    first, last = found[0].second, found[-1].second
    length = next((n for n in BIN_SECONDS if last // n - first // n < rows), BIN_SECONDS[-1])
    bins: dict[int, dict[Kind, int]] = {}
    for change in found:
        counts = bins.setdefault(change.second // length * length, dict.fromkeys(Kind, 0))
        counts[change.kind] += 1
    return length, [Bin(start, counts) for start, counts in sorted(bins.items())]


def _burst(group: Sequence[Change]) -> Burst:
    counts = dict.fromkeys(Kind, 0)
    for change in group:
        counts[change.kind] += 1
    hurt = [c.key for c in group if c.kind is not Kind.CREATE] or [c.key for c in group]
    return Burst(group[0].second, group[-1].second, counts, sum(c.lost for c in group), tuple(dict.fromkeys(hurt))[:3])

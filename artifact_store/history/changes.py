"""What happened to a bucket, so that the instant to go back to can be found.

Owns events, their sums by second, bursts and the histogram, as pure functions of keys' histories. Versions and markers
that were removed leave no trace in a listing, so they cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from artifact_store.history.state import by_time

if TYPE_CHECKING:
    from artifact_store.history.listing import History

QUIET_SECONDS = 60
"""A pause of this length without an overwrite or delete ends a burst."""
SAMPLES = 3
"""Keys that a sum names."""
BIN_SECONDS = (1, 5, 15, 30, 60, 300, 900, 3600, 21_600, 86_400, 604_800, 2_592_000, 31_536_000)


class Kind(StrEnum):
    CREATE = "create"
    """The first version of a key."""
    OVERWRITE = "overwrite"
    DELETE = "delete"
    UNDELETE = "undelete"
    """A version on top of a delete marker: the key is back."""


HARM = frozenset({Kind.OVERWRITE, Kind.DELETE})
"""What takes something away that was current."""


@dataclass(frozen=True, slots=True)
class Change:
    """One event. second: since the epoch. size: bytes written, 0 for a delete. lost: bytes no longer current."""

    second: int
    kind: Kind
    key: str
    version_id: str
    size: int = 0
    lost: int = 0


@dataclass(slots=True)
class Tally:
    """Changes summed up, of a second or of a longer time. first, last: seconds since the epoch, both included.

    lost: bytes no longer current. samples: the first few keys that were overwritten or deleted.
    """

    first: int
    last: int
    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    size: int = 0
    lost: int = 0
    samples: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def harm(self) -> int:
        """Overwrites and deletes."""
        return sum(self.counts[kind] for kind in HARM)

    @property
    def before(self) -> int:
        """The last second before it: for a burst, the instant to go back to."""
        return self.first - 1

    def add(self, change: Change) -> None:
        """Count in a change of its time."""
        self.counts[change.kind] += 1
        self.size += change.size
        self.lost += change.lost
        if change.kind in HARM:
            self._sample([change.key])

    def merge(self, later: Tally) -> None:
        """Count in a later sum."""
        self.last = later.last
        for kind, count in later.counts.items():
            self.counts[kind] += count
        self.size += later.size
        self.lost += later.lost
        self._sample(later.samples)

    def _sample(self, keys: Iterable[str]) -> None:
        for key in keys:
            if len(self.samples) < SAMPLES and key not in self.samples:
                self.samples.append(key)


def changes(history: History) -> Iterator[Change]:
    """One key's events, oldest first. A marker on a key that is deleted already changes nothing."""
    entries = history.entries if history.interleaved else by_time(history.entries)
    live: int | None = None
    seen = False
    for entry in reversed(entries):
        second = int(entry.last_modified // 1)
        if entry.is_marker:
            if live is not None:
                yield Change(second, Kind.DELETE, history.key, entry.version_id, 0, live)
            live = None
            continue
        kind = Kind.OVERWRITE if live is not None else Kind.UNDELETE if seen else Kind.CREATE
        yield Change(second, kind, history.key, entry.version_id, entry.size, live or 0)
        live, seen = entry.size, True


def within(found: Iterable[Change], since: float | None, until: float | None) -> Iterator[Change]:
    """The changes in since <= t <= until, in the order given."""
    low, high = since if since is not None else float("-inf"), until if until is not None else float("inf")
    return (change for change in found if low <= change.second <= high)


def in_order(found: Iterable[Change]) -> list[Change]:
    """Oldest first; within a second by key, and a key's own in the order given."""
    return sorted(found, key=lambda change: (change.second, change.key.encode("utf-8", "surrogatepass")))


def by_second(found: Iterable[Change]) -> list[Tally]:
    """Changes in any order summed up for each second that has some, oldest first. Memory grows with seconds alone."""
    sums: dict[int, Tally] = {}
    for change in found:
        second = change.second
        if second not in sums:
            sums[second] = Tally(second, second)
        sums[second].add(change)
    return [sums[second] for second in sorted(sums)]


def bursts(seconds: Sequence[Tally], most: int) -> list[Tally]:
    """The bursts of overwrites and deletes, oldest first; of more than `most` those that hit most keys.

    seconds: as `by_second` gives them. What is only created or brought back is neither the start of a burst nor part.
    """
    groups: list[Tally] = []
    for second in seconds:
        if not second.harm:
            continue
        if groups and second.first - groups[-1].last < QUIET_SECONDS:
            groups[-1].merge(second)
        else:
            groups.append(_copy(second))
    heaviest = sorted(groups, key=lambda burst: burst.harm, reverse=True)[:most]
    return sorted(heaviest, key=lambda burst: burst.first)


def histogram(seconds: Sequence[Tally], rows: int = 24) -> tuple[int, list[Tally]]:
    """(length of a bin in seconds, the bins that hold something), oldest first; a bin's `first` is where it begins.

    seconds: as `by_second` gives them. The length is the shortest round one for which `rows` bins at most reach from
    the first change to the last.
    """
    if not seconds:
        return BIN_SECONDS[0], []
    first, last = seconds[0].first, seconds[-1].last
    length = next((n for n in BIN_SECONDS if last // n - first // n < rows), BIN_SECONDS[-1])
    bins: list[Tally] = []
    for second in seconds:
        start = second.first // length * length
        if not bins or bins[-1].first != start:
            bins.append(Tally(start, start))
        bins[-1].merge(second)
    return length, bins


def _copy(one: Tally) -> Tally:
    made = Tally(one.first, one.last)
    made.merge(one)
    return made

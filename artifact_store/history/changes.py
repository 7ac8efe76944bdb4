"""What happened to a bucket, so that the instant to go back to can be found.

Owns events, their sums by second and the histogram, as pure functions of keys' histories. Versions and markers that
were removed leave no trace in a listing, so they cannot be told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from statistics import median_low
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from artifact_store.history.listing import History

BEATS = 5
"""Pauses of about the same length before an overwrite or delete of a key that make it one at a steady beat."""
LONGEST_BEAT = 900
"""Seconds. What is rarer hides nothing, and a push a day is worth being seen."""
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
    """One event. second: since the epoch. size: bytes written, 0 for a delete. lost: bytes no longer current.
    steady: an overwrite or delete that the key sees at a steady beat, as from a job that saves every minute. news: how
    unusual it is for the key, 1 for the first change of its kind, and half as much for each one after it."""

    second: int
    kind: Kind
    key: str
    version_id: str
    size: int = 0
    lost: int = 0
    steady: bool = False
    news: float = 1.0


@dataclass(slots=True)
class Tally:
    """Changes summed up, of a second or of a longer time. first, last: seconds since the epoch, both included.

    steady: those of counts at a steady beat. lost, samples: bytes no longer current and the first few keys that were
    overwritten or deleted, of what is at no steady beat. news: that of all overwrites and deletes at no steady beat.
    """

    first: int
    last: int
    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    steady: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(HARM, 0))
    size: int = 0
    lost: int = 0
    news: float = 0.0
    samples: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def harm(self) -> int:
        """Overwrites and deletes at no steady beat."""
        return sum(self.struck(kind) for kind in HARM)

    def struck(self, kind: Kind) -> int:
        """Changes of a kind at no steady beat."""
        return self.counts[kind] - self.steady.get(kind, 0)

    @property
    def before(self) -> int:
        """The last second before it: for a burst, the instant to go back to."""
        return self.first - 1

    def add(self, change: Change) -> None:
        """Count in a change of its time."""
        self.counts[change.kind] += 1
        self.size += change.size
        if change.steady:
            self.steady[change.kind] += 1
            return
        self.lost += change.lost
        if change.kind in HARM:
            self.news += change.news
            self._sample([change.key])

    def merge(self, later: Tally) -> None:
        """Count in a later sum."""
        self.last = later.last
        for kind, count in later.counts.items():
            self.counts[kind] += count
        for kind, count in later.steady.items():
            self.steady[kind] += count
        self.size += later.size
        self.lost += later.lost
        self.news += later.news
        self._sample(later.samples)

    def _sample(self, keys: Iterable[str]) -> None:
        for key in keys:
            if len(self.samples) < SAMPLES and key not in self.samples:
                self.samples.append(key)


def changes(history: History) -> Iterator[Change]:
    """One key's events, oldest first. A marker on a key that is deleted already changes nothing."""
    found = list(_events(history))
    beat = steady(found)
    former: Counter[Kind] = Counter()
    for place, change in enumerate(found):
        seen = former[change.kind]
        former[change.kind] += 1
        yield replace(change, steady=place in beat, news=0.5**seen) if seen else change


def steady(found: Sequence[Change]) -> frozenset[int]:
    """The places of the overwrites and deletes at a steady beat among one key's events, which are given oldest first.

    Such a one comes after a pause like the BEATS pauses before it (their median, give or take a quarter or a second, as
    most of them are), and none of its kind follows sooner: what breaks in between two beats is never at the beat.
    """
    beat: set[int] = set()
    if len(found) <= BEATS:
        return frozenset()
    for kind in HARM:
        places = [place for place, change in enumerate(found) if change.kind is kind]
        pauses = [found[b].second - found[a].second for a, b in pairwise(places)]
        for number in range(BEATS, len(pauses)):
            before = pauses[number - BEATS : number]
            usual = median_low(before)
            play = max(1, usual // 4)
            alike = sum(abs(pause - usual) <= play for pause in before)
            in_time = abs(pauses[number] - usual) <= play and usual <= LONGEST_BEAT
            followed = number + 1 < len(pauses) and pauses[number + 1] < usual - play
            if 2 * alike > BEATS and in_time and not followed:
                beat.add(places[number + 1])
    return frozenset(beat)


def _events(history: History) -> Iterator[Change]:
    entries = history.ordered()
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

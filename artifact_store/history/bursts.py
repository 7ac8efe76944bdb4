"""Bursts of overwrites and deletes: the accidents, each with the last quiet second before it.

Owns where a burst begins and ends, so that the instant to go back to is right also while something else is writing all
the time. Told too early an instant costs nothing, told too late it loses what was hit first: so doubt goes to earlier.

What a key does at a steady beat (see `changes.steady`) is no part of a burst at all. The rest is first cut at pauses.
What is left together is then cut where it has gone on for long at one level and steps far above it, and where it comes
back to that level: an accident amid writes that keep no beat.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence

from artifact_store.history.changes import Tally

QUIET_SECONDS = 60
"""A pause of this length without an overwrite or delete ends a burst."""
WINDOW_SECONDS = 10
"""Levels are compared as overwrites and deletes in so many seconds."""
RAISED, FAR_ABOVE = 2, 5
"""Times the level before: where a burst may have begun, and what proves that it has."""
CALM_SECONDS = 20
"""So long after the last raised window a burst is over, and what was never proved to be one is none."""
LEVEL_SECONDS, LEVEL_WINDOWS = 600, 20
"""A level is known when it has lasted so long and had so many windows with something in them. What comes sooner belongs
to the burst: accidents may begin slowly."""
REMEMBERED = 200
"""Windows, the newest, whose median is the level."""


def bursts(seconds: Sequence[Tally], most: int) -> tuple[list[Tally], int]:
    """The bursts, oldest first, of more than `most` the largest; and how many are left out.

    seconds: as `changes.by_second` gives them. Each overwrite and delete that keeps no beat is in exactly one burst.
    Largest are those with most keys to which such a thing has hardly happened before; what goes on at a level between
    others counts least, however long it lasts.
    """
    found: list[tuple[bool, Tally]] = []
    for group in _groups(seconds):
        parts = list(_steps(group))
        found += [(raised or len(parts) == 1, _sum(part)) for raised, part in parts]
    largest = sorted(found, key=lambda one: (one[0], one[1].news, one[1].harm), reverse=True)[:most]
    return sorted((burst for _, burst in largest), key=lambda burst: burst.first), len(found) - len(largest)


def _groups(seconds: Sequence[Tally]) -> Iterator[list[Tally]]:
    """Seconds with harm, cut at pauses."""
    group: list[Tally] = []
    for second in seconds:
        if not second.harm:
            continue
        if group and second.first - group[-1].last >= QUIET_SECONDS:
            yield group
            group = []
        group.append(second)
    if group:
        yield group


def _steps(group: Sequence[Tally]) -> Iterator[tuple[bool, Sequence[Tally]]]:
    """A group, cut where its level steps up and where it comes back: (whether it is far above the level, part)."""
    level = _Level()
    start = 0
    raised: int | None = None
    proved = False
    last_raised = 0
    for index, ahead in enumerate(_ahead(group)):
        now = group[index].first
        if raised is not None and now - last_raised > CALM_SECONDS:
            if proved:
                yield True, group[start:index]
                start = index
            raised, proved = None, False
        typical = level.typical(now)
        if typical is None or ahead < RAISED * typical:
            # What is counted once it is over does not lift the level it is measured by.
            if raised is None:
                level.add(now, ahead)
            continue
        last_raised = now
        if raised is None:
            raised = index
        if not proved and ahead >= FAR_ABOVE * typical:
            if raised > start:
                yield False, group[start:raised]
            start, proved = raised, True
    yield proved, group[start:]


def _ahead(group: Sequence[Tally]) -> Iterator[int]:
    """For each second: the harm in the window that begins with it."""
    end = total = 0
    for second in group:
        while end < len(group) and group[end].first < second.first + WINDOW_SECONDS:
            total += group[end].harm
            end += 1
        yield total
        total -= second.harm


class _Level:
    """What is usual: the median of the newest windows."""

    def __init__(self) -> None:
        self._began: int | None = None
        self._newest: deque[int] = deque()
        self._sorted: list[int] = []

    def add(self, now: int, ahead: int) -> None:
        self._began = now if self._began is None else self._began
        self._newest.append(ahead)
        insort(self._sorted, ahead)
        if len(self._newest) > REMEMBERED:
            del self._sorted[bisect_left(self._sorted, self._newest.popleft())]

    def typical(self, now: int) -> int | None:
        """None where nothing is usual yet."""
        if self._began is None or now - self._began < LEVEL_SECONDS or len(self._sorted) < LEVEL_WINDOWS:
            return None
        return self._sorted[len(self._sorted) // 2]


def _sum(part: Sequence[Tally]) -> Tally:
    made = Tally(part[0].first, part[0].first)
    for second in part:
        made.merge(second)
    return made

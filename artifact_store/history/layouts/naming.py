"""Names that count: numbers without gaps, and long lists in short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from artifact_store.history.layouts.content import shown
from artifact_store.history.sets import Missing

MOST_NUMBERS: Final = 100_000
"""A name may claim any number of pieces ("-of-99999999999"); no more than these are counted out."""
MOST_LISTED: Final = 3
MOST_MISSING: Final = 1_000
"""Absent files that are named one by one: a few bytes can claim 100,000."""


def gaps(numbers: Iterable[int]) -> list[int]:
    """What is absent of 0..the largest; empty where more are absent than MOST_NUMBERS."""
    there = set(numbers)
    top = max(there, default=-1)
    if top + 1 - len(there) > MOST_NUMBERS:
        return []
    return [number for number in range(top + 1) if number not in there]


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = sorted(names)
    more = len(every) - MOST_LISTED
    return ", ".join(shown(name) for name in every[:MOST_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def told(missing: Sequence[Missing]) -> tuple[tuple[Missing, ...], tuple[str, ...]]:
    """The first of them, and the problem that stands for the rest."""
    more = len(missing) - MOST_MISSING
    if more <= 0:
        return tuple(missing), ()
    rest = f"{more:,} more files are missing, the first of them {shown(missing[MOST_MISSING].path)}"
    return tuple(missing[:MOST_MISSING]), (rest,)

"""Counts and names in messages, so that one line stays one readable line."""

from __future__ import annotations

from collections.abc import Sequence

NAMED = 5
"""Keys named in a message."""

LONGEST = 80
"""Characters of a key that are shown."""


def counted(count: int, noun: str) -> str:
    """ "1 key", "2 keys"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def shortened(key: str) -> str:
    """A key as Python writes it, its middle left out where it is long."""
    text = repr(key)
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[: half - 1]}…{text[-half:]}"


def listed(names: Sequence[str], count: int, separator: str = ", ") -> str:
    """The names, and a sign where there are more than those."""
    return separator.join(names) + (f"{separator}…" if count > len(names) else "")

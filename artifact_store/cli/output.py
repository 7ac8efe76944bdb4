"""How things look: sizes, times, keys and JSON lines.

Data goes to stdout, talk to stderr. Keys come from strangers: control characters are escaped, so that no key drives a
terminal. Nothing is cut off, neither on a terminal nor in a pipe.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: int) -> str:
    """Bytes as people read them: at most four digits and a unit."""
    value = float(count)
    for unit in SIZES:
        if value < 1000 or unit == SIZES[-1]:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"
        value /= 1024
    raise AssertionError


def number(count: int, one: str, many: str = "") -> str:
    """ "1 key", "1,200 keys"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Two units at most: "45 s", "3 min", "2 h 10 min", "5 days"."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    if whole < 172_800:
        minutes = whole % 3600 // 60
        return f"{whole // 3600} h" + (f" {minutes} min" if minutes else "")
    return f"{whole // 86_400} days"


def printable(key: str) -> str:
    """A key with what a terminal would act on escaped as in a Python string; all else as it is."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in key)


def console(*, err: bool = False) -> Console:
    """A rich console that neither wraps nor marks up, and colours only a terminal (NO_COLOR is honoured)."""
    from rich.console import Console

    return Console(stderr=err, soft_wrap=True, highlight=False, markup=False, emoji=False)


def say(text: str, style: str = "") -> None:
    """Talk: one line on stderr."""
    console(err=True).print(text, style=style or None)


def emit(record: dict[str, Any]) -> None:
    """One JSON object on a line of stdout."""
    sys.stdout.write(json.dumps(record, ensure_ascii=True) + "\n")

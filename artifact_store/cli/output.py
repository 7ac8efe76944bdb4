"""How things look: sizes, times, keys, colours and JSON lines.

Data goes to stdout, talk to stderr. Keys come from strangers: what a terminal would act on is escaped, so that no key
drives one. Nothing is cut off, neither on a terminal nor in a pipe; colours are for terminals alone.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: int) -> str:
    """Bytes as people read them: at most three digits and a unit."""
    value = float(count)
    for unit in UNITS:
        # What would be rounded to 1000 belongs to the next unit.
        if value < 999.5 or unit == UNITS[-1]:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
        value /= 1024
    raise AssertionError


def number(count: int, one: str, many: str = "") -> str:
    """ "1 key", "1,200 keys"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def its(count: int) -> str:
    """What belongs to so many."""
    return "its" if count == 1 else "their"


def duration(seconds: float) -> str:
    """Two units at most: "0.4 s", "45 s", "3 min", "2 h 10 min", "5 days"."""
    whole = int(seconds)
    if whole < 10 and whole != seconds:
        return f"{max(seconds, 0.1):.1f} s"
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    if whole < 172_800:
        minutes = whole % 3600 // 60
        return f"{whole // 3600} h" + (f" {minutes} min" if minutes else "")
    return f"{whole // 86_400} days"


def printable(text: str) -> str:
    """What a terminal would act on, or not show, escaped as in a Python string; all else as it is."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def paint(text: str, style: str, stream: TextIO) -> str:
    """The text in a style ("red", "yellow", "green", "cyan", "bold", "dim") where the stream shows colours."""
    if not style or not text.strip() or not colours(stream):
        return text
    import typer

    return (
        typer.style(text, bold=True)
        if style == "bold"
        else typer.style(text, dim=True)
        if style == "dim"
        else (typer.style(text, fg=style))
    )


def colours(stream: TextIO) -> bool:
    """A terminal that can, and a user who wants them: no-color.org."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def tell(text: str, style: str = "") -> None:
    """Data: one line on stdout."""
    with OnStdout():
        sys.stdout.write(paint(text, style, sys.stdout) + "\n")


def say(text: str, style: str = "") -> None:
    """Talk: one line on stderr, after all data before it."""
    with OnStdout():
        sys.stdout.flush()
    # A terminal that was closed must not keep the rest from being done: cleaning up, the record, the exit code.
    with suppress(OSError):
        sys.stderr.write(paint(text, style, sys.stderr) + "\n")
        sys.stderr.flush()


def emit(record: Mapping[str, Any]) -> None:
    """One JSON object on a line of stdout."""
    with OnStdout():
        sys.stdout.write(json.dumps(record) + "\n")


class OnStdout:
    """What is written in it goes to stdout: an OSError names that as the place."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            error.filename = error.filename or "standard output"


def in_order(failures: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """By the bytes of the keys, as everything else is listed."""
    return sorted(failures, key=lambda pair: pair[0].encode("utf-8", "surrogatepass"))


def width() -> int:
    """Columns of the terminal; 80 where there is none."""
    from shutil import get_terminal_size

    return get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80

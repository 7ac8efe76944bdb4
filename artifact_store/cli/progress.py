"""What a terminal shows while one waits: a count while listing, a bar with rate and time left while writing.

Silent where stderr is no terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING

from artifact_store.cli.output import duration, number, size

if TYPE_CHECKING:
    from rich.console import Console

    from artifact_store.restore.apply import Progress


@contextmanager
def counting(doing: str) -> Iterator[Callable[[int], None]]:
    """A function to be told how many keys have been looked at. doing: "listing versions"."""
    if not sys.stderr.isatty():
        yield lambda keys: None
        return
    from rich.status import Status

    with Status(doing, console=_console()) as status:
        yield lambda keys: status.update(f"{doing}: {number(keys, 'key')}")


@contextmanager
def bar() -> Iterator[Callable[[Progress], None]]:
    """A function to be told how far a plan is carried out."""
    if not sys.stderr.isatty():
        yield lambda state: None
        return
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    # Bar and words fit 80 columns.
    columns = (BarColumn(bar_width=16), TextColumn("{task.fields[told]}"))
    with Bars(*columns, console=_console(), transient=True) as bars:
        task = bars.add_task("", total=1.0, told="")

        def on_progress(state: Progress) -> None:
            done = share(state)
            bars.update(task, completed=done, told=told(state, bars.tasks[0].elapsed or 0.0))

        yield on_progress


def share(state: Progress) -> float:
    """How far, from 0 to 1, by keys and bytes alike: many small files and one large one both move the bar."""
    keys = state.keys / state.keys_total if state.keys_total else 1.0
    return (keys + state.bytes / state.bytes_total) / 2 if state.bytes_total else keys


def told(state: Progress, seconds: float) -> str:
    """The words beside the bar: "123/2,000 keys  1.2 GiB of 3.4 GiB  210 MiB/s  12 s left"."""
    words = [f"{state.keys:,}/{number(state.keys_total, 'key')}"]
    if state.bytes_total:
        words.append(f"{size(state.bytes)} of {size(state.bytes_total)}")
    if seconds >= 1 and state.keys:
        words.append(rate(state.keys, state.bytes, seconds))
        done = share(state)
        words.append(f"{duration(ceil(seconds / done - seconds))} left")
    return "  ".join(words)


def rate(keys: int, copied: int, seconds: float) -> str:
    """In bytes where there are any, else in keys."""
    per = max(seconds, 0.001)
    if copied:
        return f"{size(int(copied / per))}/s"
    return f"{int(keys / per):,} keys/s" if keys >= per or not keys else f"{keys / per:.1f} keys/s"


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)

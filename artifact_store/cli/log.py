"""`log`: what happened, so that T can be found."""

from __future__ import annotations

import sys
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import duration, emit, paint, printable, say, size, tell, width
from artifact_store.errors import UsageError
from artifact_store.history.changes import HARM, Kind
from artifact_store.history.instant import parse_moment, show
from artifact_store.history.scope import parse_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from artifact_store.history.changes import Change, Tally
    from artifact_store.history.scope import Scope
    from artifact_store.s3.client import S3

BLOCKS = {
    Kind.CREATE: ("█", "green"),
    Kind.UNDELETE: ("▒", "cyan"),
    Kind.OVERWRITE: ("▓", "yellow"),
    Kind.DELETE: ("░", "red"),
}
PAST = {
    Kind.CREATE: "created",
    Kind.UNDELETE: "brought back",
    Kind.OVERWRITE: "overwritten",
    Kind.DELETE: "deleted",
}
BURSTS = 8
"""Bursts that are shown: those with most overwrites and deletes."""
EVENTS = 20
"""Changes up to which each is shown."""


@opt.grouped
def log(
    address: opt.Address,
    since: Annotated[str | None, typer.Option(metavar="T", help="Nothing before.", show_default=False)] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="Nothing after.", show_default=False)] = None,
    by_model: Annotated[bool, typer.Option("--models", help="Show the saves of each model instead.")] = False,
    as_json: opt.Json = False,
    *,
    target: opt.Target,
) -> None:
    """Show what happened, so that T can be found; where nothing ever did, that is said, and is no error.

    A histogram of changes over time, and the bursts of overwrites and deletes, each with the last quiet second before
    it; what a job does at a steady beat is in no burst. With --json: every change, oldest first: time, kind (create,
    overwrite, delete, undelete), key, version_id, size, lost (bytes no longer current), steady (at a steady beat).
    """
    from artifact_store.cli.looking import never
    from artifact_store.cli.models import timeline
    from artifact_store.cli.progress import counting
    from artifact_store.history import changes
    from artifact_store.history.versioned import clock

    scope = parse_scope(address)
    first, last = parse_moment(since) if since else None, parse_moment(until) if until else None
    with target.connect() as s3:
        now = clock(s3, scope.bucket)
        low, high = first.at(now) if first else None, last.at(now) if last else None
        if low is not None and high is not None and low > high:
            raise UsageError(
                f"--since {since} ({show(low)}) lies after --until {until} ({show(high)}); exchange the two"
            )
        if by_model:
            timeline(s3, scope, now, low, high, as_json=as_json)
            return
        with counting("listing versions") as on_progress:
            found = changes.within(_changes(scope, s3, on_progress), low, high)
            few = changes.in_order(found) if as_json else list(islice(found, EVENTS + 1))
            seconds = changes.by_second(chain(few, found))
        nothing = "" if seconds else never(s3, scope)
    if as_json:
        for change in few:
            emit(record(change))
    elif seconds:
        _draw(few, seconds, target, address)
    if not seconds:
        say(nothing or f"nothing happened in {printable(str(scope))} in that time", "yellow")


def _draw(few: Sequence[Change], seconds: Sequence[Tally], target: opt.Target, address: str) -> None:
    """few: all changes where they are no more than EVENTS, else one more than that."""
    from artifact_store.history import changes
    from artifact_store.history.bursts import bursts

    if len(few) <= EVENTS:
        for change in changes.in_order(few):
            tell(line(change))
        tell("")
    for drawn in histogram(*changes.histogram(seconds), columns=width()):
        tell(drawn)
    _steady(seconds)
    shown, hidden = bursts(seconds, BURSTS)
    _bursts(shown, hidden, target, address)


def _changes(scope: Scope, s3: S3, on_progress: Callable[[int], None]) -> Iterator[Change]:
    from artifact_store.history.changes import changes

    for seen, history in enumerate(scope.histories(s3), 1):
        if seen % 1000 == 0:
            on_progress(seen)
        yield from changes(history)


def record(change: Change) -> dict[str, Any]:
    """A change for --json."""
    return {
        "time": show(change.second),
        "kind": change.kind.value,
        "key": change.key,
        "version_id": change.version_id,
        "size": change.size,
        "lost": change.lost,
        "steady": change.steady,
    }


def line(change: Change) -> str:
    """A change on one line."""
    block, style = BLOCKS[change.kind]
    told = size(change.lost if change.kind is Kind.DELETE else change.size)
    return f"{show(change.second)} {told:>9} " + paint(
        f"{block} {PAST[change.kind]:<12} {printable(change.key)}", style, sys.stdout
    )


def histogram(length: int, bins: Sequence[Tally], columns: int) -> list[str]:
    """The histogram, a line a bin; the bars take what room the words leave. length: of a bin, in seconds."""
    out = sys.stdout
    words = [_words(one) for one in bins]
    room = max(10, columns - 24 - max(map(len, words)))
    most = max(one.total for one in bins)
    used = [kind for kind in BLOCKS if any(one.counts[kind] for one in bins)]
    legend = "  ".join(f"{paint(BLOCKS[kind][0], BLOCKS[kind][1], out)} {PAST[kind]}" for kind in used)
    lines = [f"changes per {duration(length)}:  {legend}"]
    end = None
    for one, word in zip(bins, words, strict=True):
        if end is not None and one.first > end:
            lines.append(paint(f"{'':20}  · {duration(one.first - end)} of nothing", "dim", out))
        end = one.first + length
        drawn_bar = "".join(
            paint(BLOCKS[kind][0] * max(1, one.counts[kind] * room // most), BLOCKS[kind][1], out)
            for kind in used
            if one.counts[kind]
        )
        lines.append(f"{show(one.first)}  {drawn_bar}  {word}")
    return lines


def _steady(seconds: Sequence[Tally]) -> None:
    counts = {kind: sum(second.steady[kind] for second in seconds) for kind in PAST if kind in HARM}
    if any(counts.values()):
        what = " and ".join(f"{count:,} {PAST[kind]}" for kind, count in counts.items() if count)
        tell(f"\n{what} at a steady beat, as by a job that saves regularly: drawn above, but part of no burst")


def _bursts(found: Sequence[Tally], hidden: int, target: opt.Target, address: str) -> None:
    if not found:
        tell("\nno burst of overwrites or deletes in that time")
        return
    largest = f"; {hidden:,} smaller ones are left out, --since and --until bring them in" if hidden else ""
    tell(f"\nbursts of overwrites and deletes, each with the command for the last quiet second before it{largest}:")
    for burst in found:
        lasted = duration(burst.last - burst.first + 1)
        what = ", ".join(f"{burst.struck(kind):,} {PAST[kind]}" for kind in PAST if kind in HARM and burst.struck(kind))
        tell(f"\n  {show(burst.first)}, {lasted}: {what}; {size(burst.lost)} no longer current")
        more = ", …" if burst.harm > len(burst.samples) else ""
        tell(f"    {', '.join(printable(key) for key in burst.samples)}{more}")
        tell(f"    {printable(target.command('diff', address, '--at', show(burst.before)))}", "bold")


def _words(one: Tally) -> str:
    return ", ".join(f"{count:,} {PAST[kind]}" for kind, count in one.counts.items() if count)

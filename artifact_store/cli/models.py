"""`models` and `log --models`: the models in a bucket, whether they are whole, and how they were saved."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import duration, emit, number, paint, printable, say, size, tell
from artifact_store.history.instant import parse_moment, show
from artifact_store.history.scope import parse_scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_store.history.models import Finder, Verdict
    from artifact_store.history.saves import Save
    from artifact_store.history.scope import Scope
    from artifact_store.history.sets import ModelSet
    from artifact_store.s3.client import S3

GONE = "gone"
"""What a model is in a timeline after it was deleted."""
STYLES = {
    "whole": "green",
    "mid-save": "yellow",
    "incomplete": "red",
    "ambiguous": "yellow",
    "uncertain": "yellow",
    GONE: "red",
}
BAR = 24
"""Columns of the longest bar of a timeline."""


@opt.grouped
def models(
    address: opt.Address,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="T", help="As they were at this instant; default: now.", show_default=False),
    ] = None,
    as_json: opt.Json = False,
    *,
    target: opt.Target,
) -> None:
    """List the models there, each whole or not; where there is nothing at all, that is said, and is no error.

    One line a model: its condition (whole, mid-save, incomplete, ambiguous, uncertain), when the newest of its files
    was written, size, layout, place; below it what is wrong, and the instants at which it is whole. With --json:
    layout, prefix, name, condition, reasons, warnings, files, size, saved, before, after; the condition of a folder of
    too many files to be judged is unjudged.
    """
    from artifact_store.cli.looking import never
    from artifact_store.cli.progress import counting
    from artifact_store.history.models import Finder, assess, survey
    from artifact_store.history.versioned import clock

    scope, moment = parse_scope(address), parse_moment(at) if at else None
    found: list[Verdict] = []
    finder = Finder(scope)
    with target.connect() as s3:
        now = clock(s3, scope.bucket)
        instant = moment.at(now) if moment else now
        with counting("looking for models"):
            for verdicts in survey(s3, scope, lambda folder: assess(scope.bucket, folder, instant, now=now), finder):
                found += verdicts
        nothing = "" if found or finder.unjudged else never(s3, scope)
    found.sort(key=lambda verdict: (verdict.title, verdict.found.layout))
    for verdict in found:
        if as_json:
            emit(record(verdict))
        else:
            _tell(verdict)
    if as_json:
        for prefix, layouts in sorted(finder.unjudged):
            emit(of_unjudged(prefix, layouts))
    tell_unjudged(finder)
    whole = sum(verdict.whole for verdict in found)
    where = f"{printable(str(scope))} at {show(instant)}"
    if found:
        say(f"{number(len(found), 'model')} in {where}, {whole:,} of them whole")
    else:
        say(nothing or f"no model of a known layout in {where}", "yellow")


def timeline(s3: S3, scope: Scope, now: float, since: float | None, until: float | None, *, as_json: bool) -> None:
    """The saves of each model, oldest first, as `log --models` shows them."""
    from artifact_store.cli.looking import never
    from artifact_store.cli.progress import counting
    from artifact_store.history import models

    rows: list[tuple[ModelSet, list[tuple[Save, Verdict | None]]]] = []
    with counting("looking for models"):
        spans = models.survey(
            s3, scope, lambda folder: models.timeline(scope.bucket, folder, now=now, since=since, until=until)
        )
        for told in spans:
            rows += told
    rows.sort(key=lambda row: (row[0].prefix, row[0].name, row[0].layout))
    for found, saves in rows:
        if as_json:
            for save, verdict in saves:
                emit(of_save(found, save, verdict))
        elif saves:
            _tell_saves(found, saves)
    if not any(saves for _, saves in rows):
        nothing = "" if rows else never(s3, scope)
        say(nothing or f"no save of a model of a known layout in {printable(str(scope))} in that time", "yellow")


def record(verdict: Verdict) -> dict[str, Any]:
    """A model for --json."""
    found = verdict.found
    return {
        "layout": found.layout,
        "prefix": found.prefix,
        "name": found.name,
        "condition": verdict.condition.value,
        "reasons": list(verdict.reasons),
        "warnings": list(verdict.warnings),
        "files": len(set(found.paths)),
        "size": verdict.size,
        "saved": _when(verdict.saved),
        "before": _when(verdict.before),
        "after": _when(verdict.after),
    }


def of_unjudged(prefix: str, layouts: Sequence[str]) -> dict[str, Any]:
    """A folder that may hold a model and was not looked at, for --json: as a model, of which nothing is known."""
    from artifact_store.history.models import FILES_A_FOLDER
    from artifact_store.restore.models import UNJUDGED

    unknown = dict.fromkeys(("files", "size", "saved", "before", "after"))
    reasons = [f"it has more than {FILES_A_FOLDER:,} files"]
    named = {"layout": " or ".join(layouts), "prefix": prefix, "name": "", "condition": UNJUDGED}
    return {**named, "reasons": reasons, "warnings": [], **unknown}


def tell_unjudged(finder: Finder) -> None:
    """The folders that may hold a model and were not looked at."""
    from artifact_store.history.models import FILES_A_FOLDER

    for prefix, layouts in sorted(finder.unjudged):
        what = f"{prefix or 'the root'} (perhaps {' or '.join(layouts)})"
        text = f"warning: {printable(what)} has more than {FILES_A_FOLDER:,} files and was not judged as a model"
        say(text, "yellow")


def of_save(found: ModelSet, save: Save, verdict: Verdict | None) -> dict[str, Any]:
    """A save for --json; what was deleted is gone."""
    return {
        "layout": found.layout,
        "prefix": found.prefix,
        "name": found.name,
        "start": show(save.first),
        "end": show(save.last),
        "files": len(save.written),
        "size": save.size,
        "overwritten": save.overwritten,
        "deleted": len(save.deleted),
        "condition": verdict.condition.value if verdict is not None else GONE,
        "reasons": list(verdict.reasons) if verdict is not None else [],
    }


def _tell(verdict: Verdict) -> None:
    condition = paint(f"{verdict.condition.value:<10}", STYLES[verdict.condition.value], sys.stdout)
    saved = _when(verdict.saved) or " " * 20
    tell(f"{condition} {saved} {size(verdict.size):>9}  {verdict.found.layout:<12} {printable(verdict.title)}")
    for reason in verdict.reasons:
        tell(f"{'':11}{printable(reason)}")
    if not verdict.whole:
        tell(f"{'':11}{verdict.instants}")
    for warning in verdict.warnings:
        tell(paint(f"{'':11}note: {printable(warning)}", "dim", sys.stdout))


def _tell_saves(found: ModelSet, saves: Sequence[tuple[Save, Verdict | None]]) -> None:
    tell(paint(f"{found.prefix}{found.name} ({found.layout})", "bold", sys.stdout))
    largest = max((save.size for save, _ in saves), default=0) or 1
    for save, verdict in saves:
        condition = verdict.condition.value if verdict is not None else GONE
        style = STYLES[condition]
        block = "█" if verdict is not None and verdict.whole else "▒"
        drawn = paint(f"{block * max(1, save.size * BAR // largest):<{BAR}}", style, sys.stdout)
        told = [f"{number(len(save.written), 'file')} written", size(save.size)] if save.written else []
        told += [f"in {duration(save.last - save.first)}"] if save.last > save.first else []
        told += [f"{save.overwritten:,} overwritten"] if save.overwritten else []
        told += [f"{len(save.deleted):,} deleted"] if save.deleted else []
        tell(f"  {show(save.last)}  {drawn}  {paint(condition, style, sys.stdout)}: {', '.join(told)}")
        for reason in verdict.reasons if verdict is not None else ():
            tell(f"    {printable(reason)}")


def _when(second: float | None) -> str | None:
    return None if second is None else show(second)

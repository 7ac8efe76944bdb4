"""`plan`, `apply`, `restore`, `verify`: a plan that can be read, then done, then proved."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import duration, emit, number, printable, say, size
from artifact_store.errors import KeysFailed, Refused
from artifact_store.history.instant import parse_instant, show
from artifact_store.history.scope import Scope, parse_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_store.restore.apply import Progress, Report
    from artifact_store.restore.plan import PlanOptions
    from artifact_store.restore.planfile import Plan
    from artifact_store.restore.verify import Verification
    from artifact_store.s3.client import S3

Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the plan.")]
PlanFile = Annotated[Path, typer.Argument(metavar="FILE", help="A plan, as `plan` or `restore` wrote it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Stop after showing the plan.")]
NoVerify = Annotated[bool, typer.Option("--no-verify", help="Do not look again afterwards.")]


def register(app: typer.Typer) -> None:
    app.command("plan", help="Write the plan of a restore to T into a file.")(plan)
    app.command("apply", help="Do what a plan says; run it again to finish a run that was cut off.")(apply)
    app.command("restore", help="Plan, show, ask, do, prove.")(restore)
    app.command("verify", help="Prove that the bucket is what a plan says.")(verify)


def plan(
    address: opt.Address,
    at: opt.At,
    out: Out,
    keep_new: opt.KeepNew = False,
    undelete: opt.Undelete = False,
    include: opt.Include = None,
    exclude: opt.Exclude = None,
    to: opt.To = "",
    settled: opt.Settled = False,
    overwrite: opt.Overwrite = False,
    allow_empty: opt.AllowEmpty = False,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> None:
    scope, instant = parse_scope(address), parse_instant(at, opt.now())
    choices = _choices(keep_new, undelete, settled, include, exclude, overwrite, allow_empty)
    with opt.Target(profile, region, endpoint_url).connect() as s3:
        made = _make(s3, scope, instant, out, choices, to)
    _show(made)
    if as_json:
        emit(_summary(made))
    say(f"written to {out}; carry it out with: artifact-store apply {out}")


def apply(
    file: PlanFile,
    thaw: opt.Thaw = False,
    rate: opt.Rate = None,
    no_verify: NoVerify = False,
    deep: opt.Deep = False,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> int:
    from artifact_store.restore.planfile import read_plan

    known = read_plan(file)
    with opt.Target(profile, region, endpoint_url, rate).connect() as s3:
        return _carry_out(s3, known, thaw=thaw, prove=not no_verify, deep=deep, as_json=as_json)


def restore(
    address: opt.Address,
    at: opt.At,
    yes: Yes = False,
    dry_run: DryRun = False,
    keep_new: opt.KeepNew = False,
    undelete: opt.Undelete = False,
    include: opt.Include = None,
    exclude: opt.Exclude = None,
    to: opt.To = "",
    overwrite: opt.Overwrite = False,
    settled: opt.Settled = False,
    allow_empty: opt.AllowEmpty = False,
    thaw: opt.Thaw = False,
    no_verify: NoVerify = False,
    deep: opt.Deep = False,
    rate: opt.Rate = None,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> int:
    scope, instant = parse_scope(address), parse_instant(at, opt.now())
    if not (yes or dry_run or sys.stdin.isatty()):
        raise Refused("nobody is there to ask: standard input is no terminal; add --yes to go on, or --dry-run to look")
    choices = _choices(keep_new, undelete, settled, include, exclude, overwrite, allow_empty)
    with opt.Target(profile, region, endpoint_url, rate).connect() as s3:
        made = _make(s3, scope, instant, _plan_path(scope, instant), choices, to)
        _show(made)
        if dry_run:
            if as_json:
                emit(_summary(made))
            say(f"dry run: nothing was written; the plan is {made.path}")
            return 0
        if made.summary.changes == 0 and not _archived(made):
            if as_json:
                emit({**_summary(made), "written": 0})
            say("nothing to do: it is as it was")
            return 0
        if not yes and not typer.confirm("Go on?", err=True):
            raise Refused(f"not done; nothing was written; the plan is {made.path}")
        return _carry_out(s3, made, thaw=thaw, prove=not no_verify, deep=deep, as_json=as_json)


def verify(
    file: PlanFile,
    deep: opt.Deep = False,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> int:
    from artifact_store.restore.planfile import read_plan
    from artifact_store.restore.verify import verify as look

    known = read_plan(file)
    with opt.Target(profile, region, endpoint_url).connect() as s3:
        found = look(s3, known, deep=deep)
    if as_json:
        emit(_proof(found))
    return _told(found, known)


def _choices(
    keep_new: bool,
    undelete: bool,
    settled: bool,
    include: list[str] | None,
    exclude: list[str] | None,
    overwrite: bool,
    allow_empty: bool,
) -> PlanOptions:
    from artifact_store.restore.plan import PlanOptions

    return PlanOptions(
        keep_new=keep_new,
        undelete=undelete,
        settled=settled,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        overwrite=overwrite,
        allow_empty=allow_empty,
    )


def _plan_path(scope: Scope, instant: float) -> Path:
    """Where restores keep plan and journal: the record of what was done, and what a second run goes on from."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "artifact-store"
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"cannot keep the plan in {base}: {error.strerror}; set XDG_STATE_HOME to a folder") from error
    stamp = show(opt.now()).replace(":", "").replace("-", "")
    return base / f"{scope.bucket}-to-{show(instant).replace(':', '').replace('-', '')}-{stamp}-{os.getpid()}.plan"


def _make(s3: S3, scope: Scope, instant: float, path: Path, choices: PlanOptions, to: str) -> Plan:
    from artifact_store.restore.destination import parse_destination
    from artifact_store.restore.planner import make_plan

    with _looking() as on_progress:
        return make_plan(
            s3, scope, instant, path, options=choices, destination=parse_destination(to), on_progress=on_progress
        )


def _show(made: Plan) -> None:
    """The plan in a few lines on stderr: what, how much, what is hidden, what to beware of."""
    from artifact_store.restore.plan import Action

    header, summary = made.header, made.summary
    where = f"into {header.destination}" if str(header.destination) else "in place"
    scope = Scope(header.bucket, header.prefix, header.raw)
    say(f"restore {printable(str(scope))} to {show(header.instant)}, {printable(where)}", "bold")
    counts = summary.counts
    lines = [
        (counts[Action.COPY], "copy back", size(summary.copied_bytes)),
        (counts[Action.UNDELETE], "undelete", "their delete markers are removed for good: this rewrites history"),
        (counts[Action.DELETE], "hide", "by a delete marker; what is there now stays as a version"),
        (
            counts[Action.THAW],
            "archived",
            f"{size(summary.thaw_bytes)}; cannot be copied before --thaw has made them readable",
        ),
        (counts[Action.KEEP], "keep", "they are as they were"),
    ]
    for count, word, note in lines:
        if count:
            say(f"  {word:<10}{number(count, 'key'):>14}   {note}")
    added = f", {size(summary.added_bytes)} of storage added" if summary.added_bytes else ""
    say(f"  {'cost':<10}{number(summary.requests, 'request'):>14}{added}")
    for flag, count in summary.flagged.items():
        samples = ", ".join(printable(key) for key in summary.samples.get(flag, [])[:3])
        say(f"  note: {number(count, 'key')} {_flag_words(flag.value)}: {samples}", "yellow")


def _flag_words(flag: str) -> str:
    return {
        "tie": "changed twice in the second of T and the server does not say in which order",
        "unsettled": "may not have been visible at T, their upload began shortly before (see --settled)",
        "edge": "changed within a second of T",
        "replaced": "written without versioning after T, what was there before may be lost",
    }.get(flag, flag)


def _archived(made: Plan) -> int:
    from artifact_store.restore.plan import Action

    return made.summary.counts[Action.THAW]


def _carry_out(s3: S3, known: Plan, *, thaw: bool, prove: bool, deep: bool, as_json: bool) -> int:
    from artifact_store.restore.apply import ApplyOptions
    from artifact_store.restore.apply import apply as carry_out
    from artifact_store.restore.journal import Journal
    from artifact_store.restore.verify import verify as look

    with _progress() as on_progress:
        report = carry_out(
            s3, known, journal=Journal.beside(known.path), options=ApplyOptions(thaw=thaw), on_progress=on_progress
        )
    again = f"artifact-store apply {known.path}"
    before = f", {report.already:,} were done before" if report.already else ""
    say(f"wrote {number(report.written, 'key')}, {size(report.bytes)}{before}")
    if report.thawing:
        say(f"asked S3 to thaw {number(report.thawing, 'version')}: {report.wait}; then run: {again}", "yellow")
    if report.archived:
        say(f"{number(report.archived, 'archived key')} left as they are; add --thaw to: {again}", "yellow")
    found = None
    if report.complete and prove:
        with _looking() as on_look:
            found = look(s3, known, deep=deep, on_progress=on_look)
    if as_json:
        emit({**_summary(known), **_outcome(report), **({"verification": _proof(found)} if found else {})})
    if report.interrupted:
        say(f"interrupted: {number(report.pending, 'key')} not done; finish with: {again}", "yellow")
        return 130
    if report.failed or report.conflicts:
        conflicts = [(key, f"changed since the plan was made: {reason}") for key, reason in report.conflicts]
        count = number(len(report.failed) + len(report.conflicts), "key")
        raise KeysFailed(f"{count} not restored; the others are; finish with: {again}", [*report.failed, *conflicts])
    if not report.complete:
        return 3
    return _told(found, known) if found else 0


def _told(found: Verification, known: Plan) -> int:
    if found.proved:
        compared = f", {found.compared:,} by content" if found.compared else ""
        say(f"verified: {number(found.checked, 'key')} as they were at {show(known.header.instant)}{compared}", "green")
        return 0
    raise KeysFailed(f"{number(len(found.wrong), 'key')} of {found.checked:,} not as the plan says", found.wrong)


def _summary(made: Plan) -> dict[str, Any]:
    header = made.header
    return {
        "bucket": header.bucket,
        "prefix": header.prefix,
        "at": show(header.instant),
        "to": str(header.destination) or None,
        "plan": str(made.path),
        **{action.value: count for action, count in made.summary.counts.items()},
        "copied_bytes": made.summary.copied_bytes,
        "added_bytes": made.summary.added_bytes,
        "requests": made.summary.requests,
        "flags": {flag.value: count for flag, count in made.summary.flagged.items()},
    }


def _outcome(report: Report) -> dict[str, Any]:
    return {
        "written": report.written,
        "already": report.already,
        "failed": [{"key": k, "reason": r} for k, r in report.failed],
        "conflicts": [{"key": k, "reason": r} for k, r in report.conflicts],
        "pending": report.pending,
        "thawing": report.thawing,
        "archived": report.archived,
    }


def _proof(found: Verification) -> dict[str, Any]:
    wrong = [{"key": k, "reason": r} for k, r in found.wrong]
    return {"checked": found.checked, "compared": found.compared, "wrong": wrong}


@contextmanager
def _looking() -> Iterator[Callable[[int], None] | None]:
    """A counter on a terminal while listing; silence elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.status import Status

    from artifact_store.cli.output import console

    with Status("listing versions", console=console(err=True)) as status:
        yield lambda keys: status.update(f"looked at {number(keys, 'key')}")


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None] | None]:
    """A bar with rate and time left on a terminal; silence elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    from artifact_store.cli.output import console

    with Bars(TextColumn("{task.description}"), BarColumn(), console=console(err=True), transient=True) as bars:
        task = bars.add_task("restoring", total=None)

        def on_progress(state: Progress) -> None:
            began = bars.tasks[0].elapsed or 0.001
            share = _share(state)
            left = f", {duration(began / share - began)} left" if share else ""
            bars.update(
                task,
                total=1.0,
                completed=share,
                description=f"{state.keys:,} of {state.keys_total:,} keys, "
                f"{size(state.bytes)} of {size(state.bytes_total)}, {size(int(state.bytes / began))}/s{left}",
            )

        yield on_progress


def _share(state: Progress) -> float:
    """How far by keys and bytes alike: many small files and one large one both move the bar."""
    keys = state.keys / state.keys_total if state.keys_total else 1.0
    return (keys + state.bytes / state.bytes_total) / 2 if state.bytes_total else keys

"""`plan`, `apply`, `restore`, `verify`: a plan that can be read, then done, then proved."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import duration, emit, number, printable, say, size
from artifact_store.errors import KeysFailed, Refused, UsageError
from artifact_store.history.instant import parse_instant, show
from artifact_store.history.scope import Scope, parse_scope

if TYPE_CHECKING:
    from artifact_store.restore.apply import Report
    from artifact_store.restore.plan import PlanOptions
    from artifact_store.restore.planfile import Plan
    from artifact_store.restore.verify import Verification
    from artifact_store.s3.client import S3

Out = Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write the plan.")]
PlanFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A plan, as plan or restore wrote it.", show_default=False)
]
NoVerify = Annotated[bool, typer.Option("--no-verify", help="Do not look again afterwards.")]


def plan(
    address: opt.Address,
    at: opt.At,
    out: Out,
    keep_new: opt.KeepNew = False,
    undelete: opt.Undelete = False,
    include: opt.Include = None,
    exclude: opt.Exclude = None,
    to: opt.To = "",
    overwrite: opt.Overwrite = False,
    settled: opt.Settled = False,
    allow_empty: opt.AllowEmpty = False,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> None:
    """Write the plan of a restore to T into a file, to be read and applied later."""
    from artifact_store.cli import summary

    scope, instant = parse_scope(address), parse_instant(at, opt.now())
    choices = opt.plan_options(
        keep_new=keep_new,
        undelete=undelete,
        settled=settled,
        include=include,
        exclude=exclude,
        to=to,
        overwrite=overwrite,
        allow_empty=allow_empty,
    )
    target = opt.Target(profile, region, endpoint_url)
    _check_free(out)
    with target.connect() as s3:
        made = _make(s3, scope, instant, out, choices, to)
    summary.explain(made)
    if as_json:
        emit(summary.of_plan(made))
    say(f"written to {out}; carry it out with: {target.command('apply', out)}")


def apply(
    file: PlanFile,
    thaw: opt.Thaw = False,
    no_verify: NoVerify = False,
    deep: opt.Deep = False,
    rate: opt.Rate = None,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> int:
    """Do what a plan says, and prove it. Run it again to finish a run that was cut off."""
    from artifact_store.cli import summary
    from artifact_store.restore.planfile import read_plan

    _check_proof(no_verify=no_verify, deep=deep)
    known, target = read_plan(file), opt.Target(profile, region, endpoint_url)
    summary.explain(known)
    with target.connect(rate) as s3:
        return _Run(s3, known, target, as_json=as_json).go(thaw=thaw, prove=not no_verify, deep=deep)


def restore(
    address: opt.Address,
    at: opt.At,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop after showing the plan.")] = False,
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
    """Put everything back as it was at T: plan, show, ask, do, prove.

    Only adds versions and delete markers, so that nothing is lost and it can be undone by another restore. The plan and
    the journal of what was done are kept in $XDG_STATE_HOME/artifact-store (~/.local/state/artifact-store).
    """
    from artifact_store.cli import summary

    scope, instant = parse_scope(address), parse_instant(at, opt.now())
    _check_proof(no_verify=no_verify, deep=deep)
    choices = opt.plan_options(
        keep_new=keep_new,
        undelete=undelete,
        settled=settled,
        include=include,
        exclude=exclude,
        to=to,
        overwrite=overwrite,
        allow_empty=allow_empty,
    )
    if not (yes or dry_run or sys.stdin.isatty()):
        raise Refused("standard input is no terminal, so nobody can be asked; add --yes to go on, or --dry-run to look")
    target = opt.Target(profile, region, endpoint_url)
    with target.connect(rate) as s3:
        made = _make(s3, scope, instant, _plan_path(scope, instant), choices, to)
        summary.explain(made)
        if not made.summary.changes and not _archived(made):
            made.path.unlink()
            if as_json:
                emit({**summary.of_plan(made), "plan": None})
            say("nothing to do: it is as it was", "green")
            return 0
        if dry_run:
            if as_json:
                emit(summary.of_plan(made))
            say(f"dry run, nothing was written; carry it out with: {target.command('apply', made.path)}")
            return 0
        if not yes and not typer.confirm("Go on?", err=True):
            made.path.unlink()
            raise Refused("not wanted, so nothing was written")
        say(f"plan and journal: {made.path}", "dim")
        return _Run(s3, made, target, as_json=as_json).go(thaw=thaw, prove=not no_verify, deep=deep)


def verify(
    file: PlanFile,
    deep: opt.Deep = False,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> int:
    """Prove that the bucket is what a plan says."""
    from artifact_store.cli import summary
    from artifact_store.restore.planfile import read_plan

    known = read_plan(file)
    with opt.Target(profile, region, endpoint_url).connect() as s3:
        found = _look(s3, known, deep=deep)
    if as_json:
        emit({"plan": str(file), **summary.of_proof(found)})
    _told(found, known)
    return 0


class _Run:
    """One carrying out of one plan, and what is said of it."""

    def __init__(self, s3: S3, plan: Plan, target: opt.Target, *, as_json: bool) -> None:
        self.s3, self.plan, self.target, self.as_json = s3, plan, target, as_json
        self.again = target.command("apply", plan.path)

    def go(self, *, thaw: bool, prove: bool, deep: bool) -> int:
        """Apply, prove, tell; returns the exit code. Raises KeysFailed."""
        from artifact_store.cli import summary

        thaw = thaw and _archived(self.plan) > 0
        report = self._apply(thaw=thaw)
        found = _look(self.s3, self.plan, deep=deep) if prove and report.complete else None
        if self.as_json:
            proof = {"verification": summary.of_proof(found)} if found else {}
            emit({**summary.of_plan(self.plan), **summary.of_report(report), **proof})
        if report.thawing:
            say(
                f"asked S3 to make {number(report.thawing, 'version')} readable, which takes {report.wait}; nothing "
                "else was done: restore again after that",
                "yellow",
            )
        if report.failed or report.conflicts:
            error = KeysFailed(self._unfinished(report, thaw=thaw), (*report.failed, *report.conflicts))
            if not report.interrupted:
                raise error
            for key, reason in error.failures:
                say(f"  {printable(key)}: {printable(reason)}")
        if report.interrupted:
            say(f"interrupted, {number(report.pending, 'key')} not done; finish with: {self.again}", "yellow")
            return 130
        if report.thawing:
            return KeysFailed.exit_code
        if found is not None:
            _told(found, self.plan)
        return 0

    def _unfinished(self, report: Report, *, thaw: bool) -> str:
        count = number(len(report.failed) + len(report.conflicts), "key")
        if thaw:
            return f"{count} cannot be made readable; nothing else was done"
        if report.failed:
            return f"{count} not restored, all others are; try again with: {self.again}"
        return f"{count} changed by someone else meanwhile and left so, all others are restored; plan again to go on"

    def _apply(self, *, thaw: bool) -> Report:
        from artifact_store.cli.progress import bar, rate
        from artifact_store.restore.apply import ApplyOptions
        from artifact_store.restore.apply import apply as carry_out
        from artifact_store.restore.journal import Journal

        began = time.monotonic()
        with bar() as on_progress:
            report = carry_out(
                self.s3,
                self.plan,
                journal=Journal.beside(self.plan.path),
                options=ApplyOptions(thaw=thaw),
                on_progress=on_progress,
            )
        seconds = time.monotonic() - began
        if not thaw:
            before = f"; {report.already:,} were done before" if report.already else ""
            speed = f" ({rate(report.written, report.bytes, seconds)})" if seconds >= 1 else ""
            say(f"wrote {number(report.written, 'key')}, {size(report.bytes)} in {duration(seconds)}{speed}{before}")
        return report


def _make(s3: S3, scope: Scope, instant: float, path: Path, choices: PlanOptions, to: str) -> Plan:
    from artifact_store.cli.progress import counting
    from artifact_store.restore.destination import parse_destination
    from artifact_store.restore.planner import make_plan

    destination = parse_destination(to)
    with counting("comparing") as on_progress:
        return make_plan(s3, scope, instant, path, options=choices, destination=destination, on_progress=on_progress)


def _look(s3: S3, known: Plan, *, deep: bool) -> Verification:
    from artifact_store.cli.progress import counting
    from artifact_store.restore.verify import verify as look

    with counting("verifying") as on_progress:
        return look(s3, known, deep=deep, on_progress=on_progress)


def _told(found: Verification, known: Plan) -> None:
    if not found.proved:
        wrong = sorted(found.wrong, key=lambda pair: pair[0].encode("utf-8", "surrogatepass"))
        raise KeysFailed(f"{number(len(wrong), 'key')} of {found.checked:,} not as the plan says", wrong)
    compared = f", {found.compared:,} of them by content" if found.compared else ""
    say(f"verified: {number(found.checked, 'key')} as the plan says{compared}", "green")


def _archived(made: Plan) -> int:
    from artifact_store.restore.plan import Action

    return made.summary.counts[Action.THAW]


def _check_proof(*, no_verify: bool, deep: bool) -> None:
    if no_verify and deep:
        raise UsageError("--deep says how to verify and --no-verify not to; leave one out")


def _check_free(out: Path) -> None:
    """A plan may be made anew, but nothing else is written over, nor a plan that has been carried out."""
    from artifact_store.restore.journal import Journal
    from artifact_store.restore.planfile import read_plan

    journal = Journal.beside(out)
    if journal.exists():
        raise Refused(f"{out} has been carried out, as {journal} tells; name another file with --out")
    if out.exists():
        try:
            read_plan(out)
        except UsageError as error:
            raise Refused(f"{out} exists and is no plan; name another file with --out") from error


def _plan_path(scope: Scope, instant: float) -> Path:
    """Where restores keep plan and journal: the record of what was done, and what a second run goes on from."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "artifact-store"
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"cannot keep the plan in {base}: {error.strerror}; set XDG_STATE_HOME to a folder") from error
    at, made = (show(t).replace(":", "").replace("-", "") for t in (instant, opt.now()))
    return base / f"{scope.bucket}-to-{at}-{made}-{token_hex(2)}.plan"

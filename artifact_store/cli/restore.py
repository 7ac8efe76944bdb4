"""`plan`, `apply`, `restore`, `verify`: a plan that can be read, then done, then proved."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import duration, emit, in_order, number, printable, say, size
from artifact_store.cli.places import STDOUT, check_folder, check_parent
from artifact_store.errors import ArtifactStoreError, KeysFailed, Refused, UsageError
from artifact_store.history.instant import parse_moment, show
from artifact_store.history.scope import Scope, parse_scope

if TYPE_CHECKING:
    from artifact_store.history.lock import Lock
    from artifact_store.restore.apply import Progress, Report
    from artifact_store.restore.destination import Destination
    from artifact_store.restore.planfile import Plan
    from artifact_store.restore.verify import Verification
    from artifact_store.s3.client import S3

Out = Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write the plan.")]
PlanFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A plan, as plan or restore wrote it.", show_default=False)
]

GONE = re.compile(r": (NoSuchVersion|NoSuchKey|NotFound)\b")
"""In the reason of a key whose version is not there any more, which no second try finds."""


@opt.grouped
def plan(
    address: opt.Address,
    at: opt.At,
    out: Out,
    as_json: opt.Json = False,
    *,
    choices: opt.Choices,
    target: opt.Target,
) -> None:
    """Write the plan of a restore to T into a file, to be read and applied later.

    FILE may be a plan that was never applied, or wholly; then its journal goes too. One that was begun stays.
    """
    from artifact_store.cli import summary
    from artifact_store.history.versioned import clock
    from artifact_store.restore.journal import Journal

    scope, moment, destination = parse_scope(address), parse_moment(at), choices.destination()
    _check_free(out, target)
    check_parent(out, f"plan {out}", "name a file in a folder you can write with --out")
    _check_destination(destination)
    with target.connect() as s3:
        made = _make(s3, scope, moment.at(clock(s3, scope.bucket)), out, choices, destination)
    # After the plan is there: until now it was that of the one before.
    Journal.beside(out).unlink(missing_ok=True)
    summary.explain(made)
    if as_json:
        emit(summary.of_plan(made))
    say(f"written to {out}; carry it out with: {target.command('apply', out)}")


@opt.grouped
def apply(
    file: PlanFile,
    _yes: Annotated[bool, typer.Option("--yes", help="Changes nothing: apply never asks. For scripts.")] = False,
    thaw: opt.Thaw = False,
    rate: opt.Rate = None,
    as_json: opt.Json = False,
    *,
    proof: opt.Proof,
    target: opt.Target,
) -> int:
    """Do what a plan says, and prove it. Run it again to finish a run that was cut off."""
    from artifact_store.cli import summary
    from artifact_store.history.versioned import clock
    from artifact_store.restore.planfile import read_plan

    known = read_plan(file)
    check_parent(file, "the journal beside the plan", "copy the plan to a folder you can write, and apply it there")
    _check_destination(known.header.destination)
    if thaw and not known.archived:
        summary.explain(known)
        _nothing_to_thaw(known, as_json=as_json)
        return 0
    with target.connect(rate) as s3:
        # Asked first, so that an error of the connection is not lost behind the plan.
        clock(s3, known.header.bucket)
        summary.explain(known)
        return _Run(s3, known, target, as_json=as_json).go(thaw=thaw, proof=proof)


@opt.grouped
def restore(
    address: opt.MaybeAddress = None,
    at: opt.MaybeAt = None,
    lock: opt.LockFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop after showing the plan.")] = False,
    thaw: opt.Thaw = False,
    rate: opt.Rate = None,
    as_json: opt.Json = False,
    *,
    choices: opt.Choices,
    proof: opt.Proof,
    target: opt.Target,
) -> int:
    """Put everything back as it was at T: plan, show, ask, do, prove.

    Only adds versions and delete markers, so that nothing is lost and it can be undone by another restore. The plan and
    the journal of what was done are kept in $XDG_STATE_HOME/artifact-store (~/.local/state/artifact-store).
    """
    from artifact_store.cli import summary

    past, destination = opt.Past.of(address, at, lock), choices.destination()
    if not (yes or dry_run or sys.stdin.isatty()):
        raise Refused("standard input is no terminal, so nobody can be asked; add --yes to go on, or --dry-run to look")
    _check_destination(destination)
    folder = _state_folder()
    with target.connect(rate) as s3:
        made = _planned(s3, past, folder, choices, destination, thaw=thaw)
        summary.explain(made)
        if not made.summary.changes and not made.archived:
            if as_json:
                emit({**summary.of_plan(made), "plan": None})
            say("nothing to do: it is as it was", "green")
            summary.standing(made)
            made.path.unlink()
            return 0
        if dry_run:
            if as_json:
                emit(summary.of_plan(made))
            again = target.command("apply", made.path, *(["--thaw"] if made.archived else []))
            say(f"dry run, nothing was written; carry it out with: {again}")
            return 0
        if thaw and not made.archived:
            made.path.unlink()
            _nothing_to_thaw(made, as_json=as_json)
            return 0
        if not yes:
            _ask(made)
        say(f"plan and journal: {made.path}", "dim")
        return _Run(s3, made, target, as_json=as_json).go(thaw=thaw, proof=proof)


def _ask(made: Plan) -> None:
    """Raises Refused where the answer is no, KeyboardInterrupt where there is none; the plan is gone then."""
    try:
        wanted = typer.confirm("Go on?", err=True)
    except (KeyboardInterrupt, typer.Abort):
        made.path.unlink()
        # The terminal's cursor still stands behind the question.
        say("")
        raise KeyboardInterrupt from None
    if not wanted:
        made.path.unlink()
        raise Refused("not wanted, so nothing was written")


def get_locked(past: opt.Past, out: str, target: opt.Target, *, overwrite: bool, as_json: bool) -> int:
    """Write what is wanted into a folder, and prove it."""
    from artifact_store.cli import summary
    from artifact_store.restore.elsewhere import WouldOverwrite

    if not out or out == "-" or out in STDOUT:
        raise UsageError(f"-o {out or repr(out)}: --lock writes many files; name a folder, as in -o DIR")
    # What was locked can be had, also where its maker took what was no whole model.
    choices = opt.Choices(to=out, overwrite=overwrite, as_is=True)
    destination, folder = choices.destination(), _state_folder()
    _check_destination(destination, "-o")
    with target.connect() as s3:
        try:
            made = _planned(s3, past, folder, choices, destination)
        except WouldOverwrite as error:
            raise error.by("--force") from None
        summary.explain(made)
        return _Run(s3, made, target, as_json=as_json).go(thaw=False, proof=opt.Proof())


def _planned(
    s3: S3, past: opt.Past, folder: Path, choices: opt.Choices, destination: Destination, *, thaw: bool = False
) -> Plan:
    from artifact_store.history.versioned import clock

    instant = past.instant(clock(s3, past.scope.bucket))
    path = folder / _plan_name(past.scope, instant)
    return _make(s3, past.scope, instant, path, choices, destination, past.lock, thaw=thaw)


@opt.grouped
def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A plan, as plan or restore wrote it.", show_default=False)
    ] = None,
    lock: Annotated[
        Path | None,
        typer.Option("--lock", metavar="FILE", help="Prove that the versions a lock file names are all still there."),
    ] = None,
    deep: opt.Deep = False,
    as_json: opt.Json = False,
    *,
    target: opt.Target,
) -> int:
    """Prove that the bucket is what a plan says, or that what a lock file names is there."""
    from artifact_store.cli import summary
    from artifact_store.restore.planfile import read_plan

    if lock is not None and file is None:
        return _verify_lock(lock, target, as_json=as_json)
    if file is None or lock is not None:
        raise UsageError("name a plan, or a lock file with --lock")
    known = read_plan(file)
    with target.connect() as s3:
        found = _look(s3, known, deep=deep)
        changed = _changed(s3, known, {key for key, _ in found.wrong}) if found.wrong else None
    if as_json:
        emit({"plan": str(file), **summary.of_proof(found)})
    _told(found, _remedy(known, changed, target) if found.wrong else "")
    return 0


def _changed(s3: S3, known: Plan, wrong: set[str]) -> float | None:
    """When one of the keys that differ was last written or deleted, if that was after the plan was made; None where the
    plan writes elsewhere, since what stands there has no history that is kept."""
    from artifact_store.cli.summary import scope
    from artifact_store.restore.destination import InPlace

    if not isinstance(known.header.destination, InPlace):
        return None
    entries = (entry for history in scope(known).histories(s3) if history.key in wrong for entry in history.entries)
    last = max((entry.last_modified for entry in entries), default=0.0)
    return last if last > known.header.made_at > 0 else None


def _remedy(known: Plan, changed: float | None, target: opt.Target) -> str:
    """What to do where a plan and what is there differ: what was changed after the plan is not for it to mend."""
    from artifact_store.cli.summary import scope
    from artifact_store.restore.journal import Journal, noted

    try:
        found = noted(Journal.beside(known.path), known.header.digest)
    except OSError:
        found = None
    done = found.done if found else 0
    finished = found is not None and done >= known.summary.changes
    if changed is None and not finished:
        return f"{'finish it' if done else 'carry it out'} with: {target.command('apply', known.path)}"
    begun = f"the plan was {'carried out' if finished else 'carried out in part' if done else 'not carried out here'}"
    if changed is None:
        return f"{begun}, and what differs was changed after that; plan again to go back"
    since = target.command("log", str(scope(known)), "--since", show(known.header.made_at))
    return (
        f"{begun}, and what differs was changed after it was made, the last time at {show(changed)}; plan again to go "
        f"back, or see what happened with: {since}"
    )


def _verify_lock(path: Path, target: opt.Target, *, as_json: bool) -> int:
    from artifact_store.history.lock import read_lock, verify_lock

    known = read_lock(path)
    with target.connect() as s3:
        wrong = verify_lock(s3, known)
    if as_json:
        lines = [{"key": key, "reason": reason} for key, reason in wrong]
        emit({"lock": str(path), "checked": len(known.files), "wrong": lines})
    if wrong:
        count = f"{number(len(wrong), 'version')} of {len(known.files):,} locked ones not there as they were"
        raise KeysFailed(f"{count}; restore the bucket from AWS Backup, or lock another instant", wrong)
    say(f"verified: {number(len(known.files), 'locked version')} there, as they were locked", "green")
    return 0


class _Run:
    """One carrying out of one plan, and what is said of it."""

    def __init__(self, s3: S3, plan: Plan, target: opt.Target, *, as_json: bool) -> None:
        self.s3, self.plan, self.target, self.as_json = s3, plan, target, as_json
        self.again = target.command("apply", plan.path)
        self.seen: Progress | None = None

    def go(self, *, thaw: bool, proof: opt.Proof) -> int:
        """Apply, prove, tell; returns the exit code. Raises KeysFailed, and KeyboardInterrupt with what to do next."""
        try:
            return self._go(thaw=thaw, proof=proof)
        except KeyboardInterrupt:
            what = "some versions may have been asked for" if thaw else "what was written stays"
            raise KeyboardInterrupt(f"{what}; finish with: {self.again}{' --thaw' if thaw else ''}") from None

    def _go(self, *, thaw: bool, proof: opt.Proof) -> int:
        from artifact_store.cli import summary

        if thaw:
            return self._thaw()
        report = self._carried_out()
        found, unproved = self._proof(proof) if report.complete and not proof.no_verify else (None, None)
        self._emit(report, found, unproved)
        if report.uploads_left:
            say(
                f"{number(report.uploads_left, 'unfinished upload')} could not be given up in time; the next "
                "apply of this plan does it",
                "yellow",
            )
        if report.interrupted:
            for key, reason in in_order((*report.failed, *report.conflicts)):
                say(f"  {printable(key)}: {printable(reason)}")
            say(f"interrupted, {number(report.pending, 'key')} not done; finish with: {self.again}", "yellow")
            return 130
        if not report.complete:
            raise KeysFailed(self._unfinished(report), in_order((*report.failed, *report.conflicts)))
        if unproved is not None:
            return self._not_proved(unproved)
        if found is not None:
            _told(found, "something was written meanwhile, or a write was lost: restore again to see and mend it")
        summary.holders(self.plan, self.target)
        return 0

    def _proof(self, proof: opt.Proof) -> tuple[Verification | None, BaseException | None]:
        """The proof, or what kept it from being made: what was written before must be told all the same."""
        try:
            return _look(self.s3, self.plan, deep=proof.deep), None
        except (ArtifactStoreError, OSError, KeyboardInterrupt) as error:
            return None, error

    def _not_proved(self, error: BaseException) -> int:
        later = f"prove it with: {self.target.command('verify', self.plan.path)}"
        if isinstance(error, KeyboardInterrupt):
            say(f"interrupted: all is written, but not proved; {later}", "yellow")
            return 130
        raise KeysFailed(f"all is written, but not proved: {_reason(error)}; {later}", ()) from error

    def _carried_out(self) -> Report:
        """Raises KeysFailed where S3 or this machine ended the run when something may have been written."""
        from artifact_store.cli.progress import rate

        began = time.monotonic()
        try:
            report = self._apply(thaw=False)
        except (ArtifactStoreError, OSError) as error:
            done = self._noted()
            # A journal that cannot be written is learnt after a write; all else is a refusal if nothing is done.
            if isinstance(error, ArtifactStoreError) and not (done and self.seen):
                raise
            self._emit_stopped(error, done)
            raise KeysFailed(
                f"{_reason(error)}; {done:,} of {number(self.plan.summary.changes, 'key')} are noted as done, and what "
                f"is written stays; finish with: {self.again}",
                (),
            ) from error
        seconds = time.monotonic() - began
        before = f"; {report.already:,} were done before" if report.already else ""
        speed = f" ({rate(report.written, report.bytes, seconds)})" if seconds >= 1 else ""
        say(f"wrote {number(report.written, 'key')}, {size(report.bytes)} in {duration(seconds)}{speed}{before}")
        return report

    def _noted(self) -> int:
        """Keys that the journal has as done."""
        from artifact_store.restore.journal import Journal, noted

        try:
            found = noted(Journal.beside(self.plan.path), self.plan.header.digest)
        except OSError:
            # It is the error that ended the run, or another of the same disk: told already.
            return 0
        return found.done if found else 0

    def _thaw(self) -> int:
        report = self._apply(thaw=True)
        self._emit(report, None, None)
        asked, failed = report.thawing, len(report.failed)
        if asked:
            say(
                f"asked S3 to make {number(asked, 'version')} readable, which takes {report.wait}; nothing else was "
                "done: restore again after that",
                "yellow",
            )
        if failed:
            of_all = f" of {asked + failed:,}" if asked else ""
            raise KeysFailed(
                f"{number(failed, 'key')}{of_all} cannot be made readable; nothing was restored",
                in_order(report.failed),
            )
        return KeysFailed.exit_code

    def _unfinished(self, report: Report) -> str:
        failed, conflicts = len(report.failed), len(report.conflicts)
        gone = sum(GONE.search(reason) is not None for _, reason in report.failed)
        theirs = f"{number(conflicts, 'key')} changed by someone else meanwhile and left so"
        if not failed and not conflicts:
            return f"{number(report.pending, 'key')} not reached; finish with: {self.again}"
        if not failed:
            return f"{theirs}, all others are restored; plan again to go on"
        told = number(failed, "key") + " not restored"
        if gone:
            told += f", {'its' if failed == 1 else f'{gone:,} because the'} version is gone: get it from AWS Backup"
            told += f"; try the others again with: {self.again}" if gone < failed else ""
        elif conflicts:
            told += f", try again with: {self.again}"
        else:
            told += f", all others are; try again with: {self.again}"
        return f"{told}; and {theirs}, plan again for these" if conflicts else told

    def _apply(self, *, thaw: bool) -> Report:
        from artifact_store.cli.progress import bar
        from artifact_store.restore.apply import ApplyOptions
        from artifact_store.restore.apply import apply as carry_out
        from artifact_store.restore.journal import Journal

        with bar() as show_progress:

            def on_progress(state: Progress) -> None:
                self.seen = state
                show_progress(state)

            return carry_out(
                self.s3,
                self.plan,
                journal=Journal.beside(self.plan.path),
                options=ApplyOptions(thaw=thaw),
                on_progress=on_progress,
            )

    def _emit(self, report: Report, found: Verification | None, unproved: BaseException | None) -> None:
        from artifact_store.cli import summary

        if self.as_json:
            proof = summary.of_proof(found) if found else {"error": _reason(unproved)} if unproved else None
            told = {"verification": proof} if proof else {}
            emit({**summary.of_plan(self.plan), **summary.of_report(report), **told})

    def _emit_stopped(self, error: Exception, done: int) -> None:
        from artifact_store.cli import summary

        if self.as_json:
            emit({**summary.of_plan(self.plan), "done": done, "stopped": _reason(error)})


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'this machine'}: {error.strerror or error}"
    return str(error) or "interrupted"


def _make(
    s3: S3,
    scope: Scope,
    instant: float,
    path: Path,
    choices: opt.Choices,
    destination: Destination,
    lock: Lock | None = None,
    *,
    thaw: bool = False,
) -> Plan:
    from artifact_store.cli.looking import never
    from artifact_store.cli.progress import counting
    from artifact_store.restore.planner import NothingThen, make_plan

    options = replace(choices.plan_options(), thaw=thaw)
    try:
        with counting("comparing") as on_progress:
            return make_plan(
                s3, scope, instant, path, options=options, destination=destination, on_progress=on_progress, lock=lock
            )
    except NothingThen as error:
        raise (Refused(why) if (why := never(s3, scope)) else error) from error


def _look(s3: S3, known: Plan, *, deep: bool) -> Verification:
    from artifact_store.cli.progress import counting
    from artifact_store.restore.verify import verify as look

    with counting("verifying") as on_progress:
        return look(s3, known, deep=deep, on_progress=on_progress)


def _told(found: Verification, remedy: str) -> None:
    """remedy: what to do where something differs. Raises KeysFailed."""
    if not found.proved:
        wrong = f"{number(len(found.wrong), 'key')} of {found.checked:,} not as the plan says"
        raise KeysFailed(f"{wrong}; {remedy}", in_order(found.wrong))
    unproved = len(found.unproved)
    compared = f", {found.compared:,} of them by content" if found.compared else ""
    headers = f", {number(found.headers, 'header')} of models read" if found.headers else ""
    headers += f", {found.unread:,} of models known by listing alone" if found.unread else ""
    say(f"verified: {number(found.checked - unproved, 'key')} as the plan says{compared}{headers}", "green")
    if unproved:
        say(f"{number(unproved, 'key')} of the same size cannot be told without reading; verify --deep reads", "yellow")


def _nothing_to_thaw(made: Plan, *, as_json: bool) -> None:
    from artifact_store.cli import summary

    if as_json:
        emit({**summary.of_plan(made), "thawing": 0})
    say("nothing to thaw: no version that is wanted lies in an archive class; leave --thaw out to restore", "green")


def _check_free(out: Path, target: opt.Target) -> None:
    """A plan may be made anew, but nothing else is written over, nor a plan that was begun and is not finished: its
    journal is what a second run goes on from."""
    from artifact_store.restore.journal import Journal, noted
    from artifact_store.restore.planfile import read_plan

    if out == Path("-"):
        raise UsageError("--out -: apply reads a plan from its file; name one, as in --out x.plan")
    if not out.name or out.is_dir():
        raise UsageError(f"--out {out} is a folder; name a file, as in --out {out / 'x.plan'}")
    journal, known = Journal.beside(out), None
    if os.path.lexists(out):
        if out.is_symlink() or not out.is_file():
            raise Refused(f"{out} is no regular file; name another file with --out")
        try:
            known = read_plan(out)
        except (UsageError, Refused) as error:
            raise Refused(f"{out} exists and is no plan; name another file with --out") from error
    if not os.path.lexists(journal):
        return
    found = noted(journal, known.header.digest) if known else None
    if known is None or found is None:
        raise Refused(f"{journal} is no journal of {out}; move it away, or name another file with --out")
    if found.done < known.summary.changes or found.uploads:
        done = f"{found.done:,} of {number(known.summary.changes, 'key')} done"
        done += f", {number(found.uploads, 'upload')} left open" if found.uploads else ""
        raise Refused(
            f"{out} was begun and is not finished ({done}); name another file with --out, or finish it with: "
            f"{target.command('apply', out)}"
        )


def _check_destination(destination: Destination, option: str = "--to") -> None:
    from artifact_store.restore.destination import ToFolder

    if isinstance(destination, ToFolder):
        check_folder(destination.path, f"into {destination.path}", f"name a folder you can write with {option}")


def _state_folder() -> Path:
    """Where restores keep plan and journal: the record of what was done, and what a second run goes on from."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "artifact-store"
    remedy = "set XDG_STATE_HOME to a folder you can write"
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"cannot keep the plan in {base}: {error.strerror}; {remedy}") from error
    check_folder(base, "the plan", remedy)
    return base


def _plan_name(scope: Scope, instant: float) -> str:
    at, made = (show(t).replace(":", "").replace("-", "") for t in (instant, opt.now()))
    return f"{scope.bucket}-to-{at}-{made}-{token_hex(2)}.plan"

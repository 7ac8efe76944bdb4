"""`diff`: what a restore to T would change."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.looking import spelling
from artifact_store.cli.output import OnStdout, number, paint, printable, say, size
from artifact_store.cli.summary import of_all, unchanged
from artifact_store.errors import Refused, UsageError
from artifact_store.history.instant import parse_moment, show
from artifact_store.history.scope import parse_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_store.history.scope import Scope
    from artifact_store.restore.plan import PlanOptions, Step
    from artifact_store.s3.client import S3

ABSENT = "absent"
STYLES = {"~": "yellow", "+": "green", "-": "red", "=": "dim"}
REASONS = {"changed": "overwritten since", "deleted": "deleted since", "new": "not there at T"}
DOUBTS = frozenset({"tie", "unsettled"})
"""Flags that make it uncertain what was there at T."""
HELD = 16 * 1024**2
"""Bytes of lines kept in memory until all are known, since a terminal shows progress until then; the rest in a file."""


@opt.grouped
def diff(
    address: opt.Address,
    at: opt.At,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if anything would change.")] = False,
    tensors: Annotated[bool, typer.Option("--tensors", help="Show what changed inside the models instead.")] = False,
    other: Annotated[
        str | None,
        typer.Option(
            "--and", metavar="T", help="With --tensors: up to this instant; default: now.", show_default=False
        ),
    ] = None,
    as_json: opt.Json = False,
    *,
    selection: opt.Selection,
    target: opt.Target,
) -> int:
    """Show what a restore to T would change.

    One line a key: ~ is changed back, + comes back, - is hidden, = stays though it may not have been visible at T; size
    now and then. With --json: key, action, reason, then and now (version_id, size, etag; null where absent), flags.
    With --tensors, from headers alone: tensors that came, went or changed shape or type, and files whose bytes changed.
    """
    if tensors:
        return _tensors(address, at, other, target, exit_code=exit_code, as_json=as_json)
    if other is not None:
        raise UsageError("--and belongs to --tensors; diff without it compares T with now")
    from artifact_store.history.versioned import clock

    scope, moment, options = parse_scope(address), parse_moment(at), selection.plan_options()
    with target.connect() as s3, SpooledTemporaryFile(HELD, "w+", encoding="utf-8", errors="backslashreplace") as held:
        instant = moment.at(clock(s3, scope.bucket))
        counts = _compared(s3, scope, instant, options, held, as_json=as_json)
        held.seek(0)
        with OnStdout():
            shutil.copyfileobj(held, sys.stdout)
    different = _told(counts, f"{printable(str(scope))} to {show(instant)}")
    return 1 if different and exit_code else 0


def _compared(
    s3: S3, scope: Scope, instant: float, options: PlanOptions, held: IO[str], *, as_json: bool
) -> Counter[str]:
    """Writes the lines; returns how many keys there are of each sign, and "kept" and "rewritten". Raises Refused where
    nothing is to compare."""
    from artifact_store.cli.progress import counting
    from artifact_store.restore.plan import SAME_CONTENT

    counts: Counter[str] = Counter()
    looked: Counter[str] = Counter()
    with counting("comparing") as on_progress:
        for step in _steps(s3, scope, instant, options, on_progress, looked):
            mark = sign(step)
            counts["kept"] += mark == "="
            counts["rewritten"] += step.reason in SAME_CONTENT
            if mark == "=" and not DOUBTS.intersection(step.flags):
                continue
            counts[mark] += 1
            held.write((json.dumps(record(step)) if as_json else line(step)) + "\n")
    if not looked["there"]:
        raise Refused(f"nothing was ever written in {printable(str(scope))}; {spelling(s3, scope)}")
    if not looked["chosen"]:
        chosen = f"none of {number(looked['there'], 'key')} in {printable(str(scope))}"
        raise Refused(f"{chosen} is chosen; look at --include and --exclude, which are relative to the prefix")
    return counts


def _told(counts: Counter[str], where: str) -> bool:
    """Says what it comes to; returns whether anything would change."""
    same = f"{number(counts['kept'], 'key')} as {'it was' if counts['kept'] == 1 else 'they were'}"
    words = (("~", "to change back"), ("+", "to bring back"), ("-", "to hide"))
    different = any(counts[mark] for mark, _ in words)
    if different:
        say(f"a restore of {where}: {', '.join(f'{counts[mark]:,} {word}' for mark, word in words)}; {same}")
    else:
        say(f"no difference: a restore of {where} would change nothing ({same})")
    if counts["rewritten"]:
        say(f"  {unchanged(counts['rewritten'], counts['kept'])}")
    if counts["="]:
        say(f"  {of_all(counts['='], counts['kept'])} may not have been visible at T (see --settled)", "yellow")
    return different


def _tensors(address: str, at: str, other: str | None, target: opt.Target, *, exit_code: bool, as_json: bool) -> int:
    from artifact_store.cli.tensors import tell_tensors
    from artifact_store.history.headers import compare
    from artifact_store.history.versioned import clock

    scope, first, second = parse_scope(address), parse_moment(at), parse_moment(other) if other else None
    with target.connect() as s3:
        now = clock(s3, scope.bucket)
        before, after = first.at(now), second.at(now) if second else now
        if before > after:
            raise UsageError(f"--at {at} ({show(before)}) lies after --and {other} ({show(after)}); exchange the two")
        found = compare(s3, scope, before, after)
    tell_tensors(found, scope, before, after, as_json=as_json)
    return 1 if found and exit_code else 0


def _steps(
    s3: S3,
    scope: Scope,
    instant: float,
    options: PlanOptions,
    on_progress: Callable[[int], None],
    looked: Counter[str],
) -> Iterator[Step]:
    """What a plan of a restore in place would hold; made without a plan, since nothing is going to be written.

    looked: keys that are there, and those of them that are chosen, are counted in it."""
    from artifact_store.history.state import at
    from artifact_store.restore.destination import IN_PLACE
    from artifact_store.restore.plan import decide, selector
    from artifact_store.restore.settling import settle_versions

    selected = selector(options)

    def decided() -> Iterator[Step]:
        for seen, history in enumerate(scope.histories(s3), 1):
            if seen % 1000 == 0:
                on_progress(seen)
            looked["there"] = seen
            if selected(scope.relative(history.key)):
                looked["chosen"] += 1
                step = decide(at(history, instant, settled=options.settled), options)
                if step is not None:
                    yield step

    return settle_versions(s3, scope.bucket, IN_PLACE, decided())


def sign(step: Step) -> str:
    """~ for a key that would be changed back, + for one that comes back, - for one that would be hidden, = for none."""
    if step.action.value == "keep":
        return "="
    if not step.version_id:
        return "-"
    return "+" if step.current is None or step.current.is_marker else "~"


def line(step: Step) -> str:
    """A step on one line."""
    out = sys.stdout
    mark = sign(step)
    now = size(step.current.size) if mark != "+" and step.current else ABSENT
    then = size(step.size) if step.version_id else ABSENT
    doubts = [flag.value for flag in step.flags if flag.value in DOUBTS]
    why = (
        "as it is" if mark == "=" else REASONS.get(step.reason.value, f"in {step.storage_class}, restore needs --thaw")
    )
    head = paint(f"{mark} {now:>9} → {then:>9}  {printable(step.key)}", STYLES[mark], out)
    return head + paint(f"  ({', '.join([why, *doubts])})", "dim", out)


def record(step: Step) -> dict[str, Any]:
    """A step for --json."""
    then = now = None
    if step.version_id:
        then = {
            "version_id": step.version_id,
            "size": step.size,
            "etag": step.etag,
            "last_modified": show(step.last_modified),
            "storage_class": step.storage_class,
        }
    if step.current is not None and not step.current.is_marker:
        now = {"version_id": step.current.version_id, "size": step.current.size, "etag": step.current.etag}
    return {
        "key": step.key,
        "action": step.action.value,
        "reason": step.reason.value,
        "then": then,
        "now": now,
        "flags": [flag.value for flag in step.flags],
    }

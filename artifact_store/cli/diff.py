"""`diff`: what a restore to T would change."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import emit, number, paint, printable, say, size, tell
from artifact_store.history.instant import parse_instant, show
from artifact_store.history.scope import parse_scope

if TYPE_CHECKING:
    from artifact_store.restore.plan import Step

ABSENT = "absent"
STYLES = {"~": "yellow", "+": "green", "-": "red"}
REASONS = {"changed": "overwritten since", "deleted": "deleted since", "new": "not there at T"}


def diff(
    address: opt.Address,
    at: opt.At,
    keep_new: opt.KeepNew = False,
    include: opt.Include = None,
    exclude: opt.Exclude = None,
    settled: opt.Settled = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if anything would change.")] = False,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> int:
    """Show what a restore to T would change.

    One line a key: ~ is changed back, + comes back, - is hidden; size now and then. With --json: key, action, reason,
    then and now (version_id, size, etag; null where absent), flags.
    """
    from artifact_store.cli.progress import counting
    from artifact_store.restore.plan import Action
    from artifact_store.restore.planner import make_plan

    scope, instant = parse_scope(address), parse_instant(at, opt.now())
    choices = opt.plan_options(keep_new=keep_new, settled=settled, include=include, exclude=exclude, allow_empty=True)
    with tempfile.TemporaryDirectory() as folder, opt.Target(profile, region, endpoint_url).connect() as s3:
        with counting("comparing") as on_progress:
            plan = make_plan(s3, scope, instant, Path(folder) / "plan", options=choices, on_progress=on_progress)
        signs = dict.fromkeys(STYLES, 0)
        for step in plan.steps():
            if step.action is Action.KEEP:
                continue
            signs[sign(step)] += 1
            if as_json:
                emit(record(step))
            else:
                tell(line(step))
    same = number(plan.summary.counts[Action.KEEP], "key")
    where = f"{printable(str(scope))} to {show(instant)}"
    if not any(signs.values()):
        say(f"no difference: a restore of {where} would change nothing ({same} as they were)")
        return 0
    parts = [f"{signs[s]:,} {word}" for s, word in (("~", "to change back"), ("+", "to bring back"), ("-", "to hide"))]
    say(f"a restore of {where}: {', '.join(parts)}; {same} as they were")
    return 1 if exit_code else 0


def sign(step: Step) -> str:
    """~ for a key that would be changed back, + for one that comes back, - for one that would be hidden."""
    if not step.version_id:
        return "-"
    return "+" if step.current is None or step.current.is_marker else "~"


def line(step: Step) -> str:
    """A step on one line."""
    out = sys.stdout
    mark = sign(step)
    now = size(step.current.size) if mark != "+" and step.current else ABSENT
    then = size(step.size) if mark != "-" else ABSENT
    doubts = [flag.value for flag in step.flags if flag.value in ("tie", "unsettled")]
    why = REASONS.get(step.reason.value, f"in {step.storage_class}, restore needs --thaw")
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

"""`ls`, `diff`, `log`, `get`: looking at what was, changing nothing in S3."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import console, duration, emit, number, printable, say, size
from artifact_store.errors import Refused, UsageError
from artifact_store.history.instant import parse_instant, show
from artifact_store.history.scope import parse_scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from artifact_store.history.changes import Bin, Burst
    from artifact_store.history.state import KeyState
    from artifact_store.restore.plan import Step
    from artifact_store.s3.operations import Entry

SIGNS = {"copy": ("~", "yellow"), "undelete": ("+", "green"), "delete": ("-", "red"), "thaw": ("*", "cyan")}
BAR = 40


def register(app: typer.Typer) -> None:
    app.command("ls", help="What was there at T.")(ls)
    app.command("diff", help="What a restore to T would change.")(diff)
    app.command("log", help="What happened, so that T can be found.")(log)
    app.command("get", help="One file as it was at T.")(get)


def ls(
    address: opt.Address,
    at: opt.At,
    settled: opt.Settled = False,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> None:
    from artifact_store.history import state

    scope, instant = parse_scope(address), parse_instant(at, opt.now())
    keys = count = unsettled = 0
    nearest: tuple[float | None, float | None] = (None, None)
    out = console()
    with opt.Target(profile, region, endpoint_url).connect() as s3:
        for history in scope.histories(s3):
            found = state.at(history, instant, settled=settled)
            nearest = _nearest(nearest, history.entries, instant)
            if found.then is None:
                continue
            keys, count = keys + 1, count + found.then.size
            unsettled += state.Flag.UNSETTLED in found.flags
            if as_json:
                emit(_listed(found))
            else:
                out.print(_line(found, found.then), soft_wrap=True)
    say(f"{number(keys, 'key')}, {size(count)} in {printable(str(scope))} at {show(instant)}")
    if unsettled:
        say(
            f"{number(unsettled, 'key')} marked ?: a multipart upload that began shortly before T; see --settled",
            "yellow",
        )
    if not keys:
        say(_hint(nearest))


def diff(
    address: opt.Address,
    at: opt.At,
    keep_new: opt.KeepNew = False,
    include: opt.Include = None,
    exclude: opt.Exclude = None,
    settled: opt.Settled = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if there are differences.")] = False,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> int:
    from artifact_store.restore.plan import Action, PlanOptions
    from artifact_store.restore.planner import make_plan

    scope, instant = parse_scope(address), parse_instant(at, opt.now())
    choices = PlanOptions(
        keep_new=keep_new,
        settled=settled,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        allow_empty=True,
    )
    out = console()
    with tempfile.TemporaryDirectory() as folder, opt.Target(profile, region, endpoint_url).connect() as s3:
        plan = make_plan(s3, scope, instant, Path(folder) / "plan", options=choices)
        for step in plan.steps():
            if step.action is Action.KEEP:
                continue
            if as_json:
                emit(_difference(step))
            else:
                sign, style = _sign(step)
                out.print(f"{sign} {size(_weight(step)):>10}  {printable(step.key)}  ({_why(step)})", style=style)
        summary = plan.summary
    changed = summary.changes + summary.counts[Action.THAW]
    kept = summary.counts[Action.KEEP]
    say(f"{number(changed, 'key')} would change, {kept:,} would stay; ~ changed back, + comes back, - is hidden")
    return 1 if exit_code and changed else 0


def log(
    address: opt.Address,
    since: Annotated[str | None, typer.Option(metavar="T", help="Nothing before.", show_default=False)] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="Nothing after.", show_default=False)] = None,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> None:
    from artifact_store.history import changes

    scope, now = parse_scope(address), opt.now()
    low = parse_instant(since, now) if since else None
    high = parse_instant(until, now) if until else None
    with opt.Target(profile, region, endpoint_url).connect() as s3:
        found = changes.within((c for h in scope.histories(s3) for c in changes.changes(h)), low, high)
    if as_json:
        for change in found:
            emit(
                {
                    "time": show(change.second),
                    "kind": change.kind.value,
                    "key": change.key,
                    "version_id": change.version_id,
                    "size": change.size,
                    "lost": change.lost,
                }
            )
        return
    if not found:
        say(f"nothing happened in {printable(str(scope))} in that time")
        return
    _histogram(*changes.histogram(found))
    _bursts([burst for burst in changes.bursts(found) if burst.destructive], str(scope))


def get(
    address: Annotated[str, typer.Argument(metavar="s3://BUCKET/KEY", help="Which file.")],
    at: opt.At,
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help="Where to write it; - is stdout.")],
    force: Annotated[bool, typer.Option("--force", help="Write over FILE if it exists.")] = False,
    settled: opt.Settled = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> None:
    from artifact_store.history import state
    from artifact_store.history.listing import list_history
    from artifact_store.s3.operations import GetObject

    scope, instant = parse_scope(address), parse_instant(at, opt.now())
    if not scope.prefix or scope.raw or scope.prefix.endswith("/"):
        raise UsageError(
            f"{address!r} names no single file; write s3://{scope.bucket}/KEY (restore --to DIR takes many)"
        )
    if out != "-" and Path(out).exists() and not force:
        raise Refused(f"{out} exists; add --force to write over it")
    with opt.Target(profile, region, endpoint_url).connect() as s3:
        history = list_history(s3, scope.bucket, scope.prefix)
        found = state.at(history, instant, settled=settled) if history else None
        if history is None or found is None or found.then is None:
            near = _hint(_nearest((None, None), history.entries if history else [], instant))
            raise Refused(f"{printable(str(scope))} did not exist at {show(instant)}; {near}")
        if found.archived:
            raise Refused(
                f"{printable(str(scope))} lies in {found.then.storage_class}; restore --thaw makes it readable"
            )
        with _sink(out) as file:
            for chunk in s3.read(GetObject(scope.bucket, scope.prefix, found.then.version_id)):
                file.write(chunk)
    say(f"{size(found.then.size)} from {show(found.then.last_modified)}, version {found.then.version_id}")


@contextmanager
def _sink(out: str) -> Iterator[BinaryIO]:
    """A file that appears whole or not at all, or stdout."""
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(out)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise Refused(f"cannot write {out}: {error.strerror}") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        part.chmod(0o666 & ~_umask())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _listed(found: KeyState) -> dict[str, Any]:
    then = found.then
    assert then is not None  # noqa: S101 - the caller lists only what was there
    return {**_side(then), "key": found.key, "flags": sorted(f.value for f in found.flags)}


def _side(entry: Entry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "version_id": entry.version_id,
        "size": entry.size,
        "etag": entry.etag,
        "last_modified": show(entry.last_modified),
        "storage_class": entry.storage_class,
    }


def _line(found: KeyState, then: Entry) -> str:
    from artifact_store.history.state import Flag

    mark = "?" if Flag.UNSETTLED in found.flags else "=" if Flag.TIE in found.flags else " "
    archived = f"  [{then.storage_class}]" if then.storage_class != "STANDARD" else ""
    return f"{show(then.last_modified)} {size(then.size):>10} {mark} {printable(found.key)}{archived}"


def _difference(step: Step) -> dict[str, Any]:
    then = None
    if step.version_id:
        then = {
            "version_id": step.version_id,
            "size": step.size,
            "etag": step.etag,
            "last_modified": show(step.last_modified),
            "storage_class": step.storage_class,
        }
    now = None
    if step.current is not None and not step.current.is_marker:
        now = {"version_id": step.current.version_id, "size": step.current.size, "etag": step.current.etag}
    return {
        "key": step.key,
        "action": step.action.value,
        "reason": step.reason.value,
        "then": then,
        "now": now,
        "flags": sorted(f.value for f in step.flags),
    }


def _sign(step: Step) -> tuple[str, str]:
    sign, style = SIGNS[step.action.value]
    comes_back = step.current is None or step.current.is_marker
    return ("+", "green") if step.action.value == "copy" and comes_back else (sign, style)


def _weight(step: Step) -> int:
    return step.size if step.version_id or step.current is None else step.current.size


def _why(step: Step) -> str:
    words = {
        "changed": "written over since",
        "deleted": "deleted since",
        "new": "not there at T",
        "missing": "missing there",
        "archived": f"in {step.storage_class}, needs --thaw",
    }
    unsettled = [f"{flag.value}" for flag in step.flags if flag.value in ("tie", "unsettled")]
    return ", ".join([words.get(step.reason.value, step.reason.value), *unsettled])


def _nearest(
    nearest: tuple[float | None, float | None], entries: Sequence[Entry], instant: float
) -> tuple[float | None, float | None]:
    """The last write at or before the instant and the first one after it, among all seen so far."""
    before, after = nearest
    for entry in entries:
        if entry.is_marker:
            continue
        if entry.last_modified <= instant:
            before = max(before or 0.0, entry.last_modified)
        else:
            after = min(after or entry.last_modified, entry.last_modified)
    return before, after


def _hint(nearest: tuple[float | None, float | None]) -> str:
    before, after = nearest
    if before is None and after is None:
        return "nothing was ever written there; look at the spelling of bucket and prefix"
    parts = [f"last write before: {show(before)}"] if before is not None else []
    parts += [f"first write after: {show(after)}"] if after is not None else []
    return ", ".join(parts)


def _histogram(length: int, bins: Sequence[Bin]) -> None:
    from rich.text import Text

    from artifact_store.history.changes import Kind

    out = console()
    most = max(b.total for b in bins)
    styles = {Kind.CREATE: ("█", "green"), Kind.OVERWRITE: ("▓", "yellow"), Kind.DELETE: ("░", "red")}
    out.print(f"changes per {duration(length)}: █ created  ▓ overwritten  ░ deleted")
    last = None
    for one in bins:
        if last is not None and one.start - last > length:
            out.print(f"{'':>20}  · {duration(one.start - last - length)} quiet")
        line = Text(f"{show(one.start)}  ")
        for kind, (block, style) in styles.items():
            if one.counts[kind]:
                line.append(block * max(1, round(one.counts[kind] * BAR / most)), style)
        line.append("  " + ", ".join(f"{one.counts[k]:,} {k.value}" for k in Kind if one.counts[k]))
        out.print(line)
        last = one.start


def _bursts(found: Sequence[Burst], address: str) -> None:
    from artifact_store.history.changes import Kind

    out = console()
    if not found:
        out.print("\nnothing was overwritten or deleted in that time")
        return
    shown = found[-8:]
    earlier = f" (the last {len(shown)} of {len(found)})" if len(found) > len(shown) else ""
    out.print(f"\nbursts that overwrote or deleted{earlier}, each with the last quiet second before it:")
    for burst in shown:
        counts = ", ".join(f"{burst.counts[k]:,} {k.value}" for k in Kind if burst.counts[k])
        length = duration(burst.last - burst.first + 1)
        out.print(f"  {show(burst.first)}  {length:>7}  {counts}; {size(burst.lost)} no longer current")
        out.print(f"      e.g. {', '.join(printable(key) for key in burst.samples)}")
        out.print(
            f"      before it: artifact-store diff '{printable(address)}' --at {show(burst.before)}", style="bold"
        )

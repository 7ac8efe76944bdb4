"""`lock`: a model pinned to versions, in a file to keep beside code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import emit, in_order, number, printable, say, size
from artifact_store.cli.places import check_file, sink
from artifact_store.errors import KeysFailed, Refused, S3Error
from artifact_store.history.instant import parse_moment, show
from artifact_store.history.scope import Scope, parse_scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from artifact_store.history.lock import Lock
    from artifact_store.restore.around import Part
    from artifact_store.s3.client import S3
    from artifact_store.s3.operations import Entry


@opt.grouped
def lock(
    address: opt.Address,
    at: opt.At,
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help="Where to write the lock file; - is stdout.")],
    force: Annotated[bool, typer.Option("--force", help="Write over FILE if it exists.")] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Put a legal hold on each version, so that nobody can remove it.")
    ] = False,
    as_is: Annotated[bool, typer.Option("--as-is", help="Lock exactly T, also what is no whole model.")] = False,
    as_json: opt.Json = False,
    *,
    target: opt.Target,
) -> None:
    """Pin a model as it was at T: every file with its version, size, ETag and checksum.

    restore --lock, get --lock and verify --lock work from the file, later and elsewhere. With --json: bucket, prefix,
    at, files, size, digest, held, file, unjudged (folders that may hold a model and could not be judged), part_of
    (models of which some files only are pinned, each with the fields of models --json and how many are pinned).
    """
    from artifact_store.cli.models import record, tell_unjudged
    from artifact_store.history.lock import Pins, make_lock, write_lock
    from artifact_store.history.models import assess, survey
    from artifact_store.history.versioned import clock
    from artifact_store.restore.around import parts
    from artifact_store.restore.models import LOCK, NotWhole

    scope, moment = parse_scope(address), parse_moment(at)
    check_file(out, force=force, as_json=as_json)
    with target.connect() as s3:
        now = clock(s3, scope.bucket)
        instant = moment.at(now)
        pins = Pins(scope, instant)
        found = survey(s3, scope, lambda folder: assess(scope.bucket, folder, instant, now=now), pins)
        verdicts = [verdict for some in found for verdict in some]
        keys = [entry.key for entry in pins.then]
        cut = not all(map(pins.sees_whole, keys))
        around, unknown = parts(s3, scope, keys, instant, cut=cut, now=now) if keys else ([], [])
        verdicts += [part.model for part in around]
        broken = [verdict for verdict in verdicts if not verdict.whole]
        if broken and not as_is:
            raise NotWhole(broken, scope, instant, LOCK)
        made = make_lock(s3, scope, instant, pins.then)
        if not made.files:
            raise Refused(f"nothing existed at {show(instant)} in {scope}; check the time and the prefix")
        with sink(out, force=force) as file:
            write_lock(made, file)
        try:
            held = _hold(s3, made, pins.then) if hold else 0
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the lock file is written, but not every version may be held") from None
    partly = [part for part in around if not part.complete]
    total = sum(file.size for file in made.files.values())
    if as_json:
        told = {"bucket": scope.bucket, "prefix": scope.prefix, "at": show(instant), "files": len(made.files)}
        unjudged = sorted([*(prefix for prefix, _ in pins.unjudged), *(error.folder for error in unknown)])
        part_of = [{**record(part.model), "pinned": part.files} for part in partly]
        told |= {"size": total, "digest": made.digest, "held": held, "file": out}
        emit({**told, "unjudged": unjudged, "part_of": part_of})
    tell_unjudged(pins)
    for error in unknown:
        say(f"warning: models in {printable(error.folder) or 'the root'} were not judged: {error.why}", "yellow")
    told_of = {id(part.model) for part in partly}
    for model in broken:
        if id(model) not in told_of:
            why = "; ".join(dict.fromkeys(model.reasons))
            text = f"{model.title} ({model.found.layout}) is locked {model.condition.value}, as asked: {why}"
            say(f"warning: {printable(text)}", "yellow")
    for part in partly:
        say(f"warning: {printable(_partly(part, scope.bucket))}", "yellow")
    whole = len(verdicts) - len(partly)
    models = f", {number(whole, 'model')}" if whole else ""
    say(f"{number(len(made.files), 'file')}, {size(total)}{models} of {printable(str(scope))} locked in {out}", "green")
    if hold:
        say(f"{number(held, 'version')} under legal hold until someone takes it off", "green")


def _partly(part: Part, bucket: str) -> str:
    model = part.model
    what = f"{model.title} ({model.found.layout}, {model.condition.value} at T)"
    all_of_it = Scope(bucket, model.found.prefix)
    return f"this pins only {part.files:,} of the {number(part.of, 'file')} of {what}; lock {all_of_it} to pin them all"


def _hold(s3: S3, made: Lock, then: Iterable[Entry]) -> int:
    """Returns how many versions are held now. Raises KeysFailed."""
    from artifact_store.history.hold import hold

    count = len(made.files)
    try:
        failed = hold(s3, made, then)
    except (KeysFailed, S3Error) as error:
        raise KeysFailed(f"the lock file is written, but {error}", ()) from error
    if failed:
        raise KeysFailed(
            f"the lock file is written, but {number(len(failed), 'version')} of {count:,} could not be held",
            in_order(failed),
        )
    return count

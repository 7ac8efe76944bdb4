"""`get`: one file as it was at T, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import emit, printable, say, size
from artifact_store.cli.places import Place, check_file, sink
from artifact_store.errors import Refused, S3Error, UsageError
from artifact_store.history.instant import parse_moment, show
from artifact_store.history.scope import Scope, split_address

if TYPE_CHECKING:
    from artifact_store.s3.client import S3


@opt.grouped
def get(
    address: Annotated[
        str | None, typer.Argument(metavar="[s3://BUCKET/KEY]", help="Which file.", show_default=False)
    ] = None,
    at: opt.MaybeAt = None,
    lock: Annotated[
        Path | None,
        typer.Option("--lock", metavar="FILE", help="Write all that a lock file names into the folder -o instead."),
    ] = None,
    *,
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help="Where to write it; - is stdout.")],
    force: Annotated[bool, typer.Option("--force", help="Write over FILE if it exists.")] = False,
    settled: opt.Settled = False,
    as_json: opt.Json = False,
    target: opt.Target,
) -> int:
    """Write one file as it was at T, or all that a lock file names.

    FILE appears whole or not at all. With --json: the fields of `ls --json`, and file.
    """
    if lock is not None:
        from artifact_store.cli.restore import get_locked

        return get_locked(opt.Past.of(address, at, lock), out, target, overwrite=force, as_json=as_json)
    if address is None or at is None:
        raise UsageError("name s3://BUCKET/KEY and --at T, or a lock file with --lock")
    return _get(address, at, out, target, force=force, settled=settled, as_json=as_json)


def _get(address: str, at: str, out: str, target: opt.Target, *, force: bool, settled: bool, as_json: bool) -> int:
    (bucket, key), moment = split_address(address), parse_moment(at)
    if not key:
        raise UsageError(f"{address!r} names no file; write s3://{bucket}/KEY, or take many with restore --to DIR")
    place = check_file(out, force=force, as_json=as_json)
    from artifact_store.cli.looking import Nearest, record, spelling
    from artifact_store.history import state
    from artifact_store.history.listing import list_history
    from artifact_store.history.versioned import clock
    from artifact_store.s3.operations import GetObject

    with target.connect() as s3:
        instant = moment.at(clock(s3, bucket))
        history = list_history(s3, bucket, key)
        found = state.at(history, instant, settled=settled) if history else None
        if history is None or found is None or found.then is None:
            if history is None and (inside := _folder(s3, bucket, key)):
                command = target.command("restore", inside, "--at", at, "--to", "DIR")
                raise Refused(f"{printable(address)} is no file, but keys lie below it; take them with: {command}")
            nearest = Nearest(instant)
            nearest.see(history.entries if history else ())
            hint = "" if nearest.any else f"; {spelling(s3, Scope(bucket, key))}"
            raise Refused(f"{printable(address)} did not exist at {show(instant)}; {nearest}{hint}")
        then = found.then
        if found.archived:
            raise Refused(
                f"{printable(address)} lies in {then.storage_class} and cannot be read yet; have S3 make it readable "
                "with restore --thaw"
            )
        with _told_if_interrupted(place), sink(out, force=force) as file:
            count = 0
            for chunk in s3.read(GetObject(bucket, key, then.version_id)):
                count += file.write(chunk)
            if count != then.size:
                kept = "nothing was kept" if place is Place.FILE else "what came was written"
                raise S3Error(f"{printable(address)}: {count} bytes came, {then.size} were promised; {kept}, try again")
    if as_json:
        emit({**record(then), "file": out})
    say(f"{size(then.size)} written {show(then.last_modified)}, version {then.version_id}")
    if state.Flag.UNSETTLED in found.flags:
        say(
            "its multipart upload began shortly before T, so it may not have been visible at T; see --settled", "yellow"
        )
    return 0


def _folder(s3: S3, bucket: str, key: str) -> str:
    """The address of the keys below what is no key itself, or that match it with a trailing *; "" for none."""
    from artifact_store.history.listing import list_histories

    prefix = key[:-1] if key.endswith("*") else f"{key.rstrip('/')}/"
    found = next(list_histories(s3, bucket, prefix), None)
    return f"s3://{bucket}/{key}" if found is not None else ""


@contextmanager
def _told_if_interrupted(place: Place) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("nothing was kept" if place is Place.FILE else "what came was written") from None

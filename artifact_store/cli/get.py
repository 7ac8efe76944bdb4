"""`get`: one file as it was at T, whole or not at all."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import emit, printable, say, size
from artifact_store.errors import Refused, S3Error, UsageError
from artifact_store.history.instant import parse_instant, show
from artifact_store.history.scope import split_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


def get(
    address: Annotated[str, typer.Argument(metavar="s3://BUCKET/KEY", help="Which file.", show_default=False)],
    at: opt.At,
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE", help="Where to write it; - is stdout.")],
    force: Annotated[bool, typer.Option("--force", help="Write over FILE if it exists.")] = False,
    settled: opt.Settled = False,
    as_json: opt.Json = False,
    profile: opt.Profile = None,
    region: opt.Region = None,
    endpoint_url: opt.Endpoint = None,
) -> None:
    """Write one file as it was at T.

    FILE appears whole or not at all. With --json: the fields of `ls --json`, and file.
    """
    (bucket, key), instant = split_address(address), parse_instant(at, opt.now())
    if not key:
        raise UsageError(f"{address!r} names no file; write s3://{bucket}/KEY, or take many with restore --to DIR")
    if as_json and out == "-":
        raise UsageError("--json and the file cannot both go to stdout; name a file with -o")
    _check_free(out, force=force)
    from artifact_store.cli.looking import Nearest, check, record
    from artifact_store.history import state
    from artifact_store.history.listing import list_history
    from artifact_store.s3.operations import GetObject

    with opt.Target(profile, region, endpoint_url).connect() as s3:
        check(s3, bucket, instant)
        history = list_history(s3, bucket, key)
        found = state.at(history, instant, settled=settled) if history else None
        if history is None or found is None or found.then is None:
            nearest = Nearest(instant)
            nearest.see(history.entries if history else ())
            many = "; for a folder, use restore --to DIR" if key.endswith(("/", "*")) else ""
            raise Refused(f"{printable(address)} did not exist at {show(instant)}; {nearest}{many}")
        then = found.then
        if found.archived:
            raise Refused(
                f"{printable(address)} lies in {then.storage_class} and cannot be read yet; have S3 make it readable "
                "with restore --thaw"
            )
        with sink(out, force=force) as file:
            count = 0
            for chunk in s3.read(GetObject(bucket, key, then.version_id)):
                count += file.write(chunk)
            if count != then.size:
                raise S3Error(
                    f"{printable(address)}: {count} bytes came, {then.size} were promised; nothing was kept, try again"
                )
    if as_json:
        emit({**record(then), "file": out})
    say(f"{size(then.size)} written {show(then.last_modified)}, version {then.version_id}")
    if state.Flag.UNSETTLED in found.flags:
        say(
            "its multipart upload began shortly before T, so it may not have been visible at T; see --settled", "yellow"
        )


@contextmanager
def sink(out: str, *, force: bool) -> Iterator[BinaryIO]:
    """A file that appears whole or not at all, or stdout. Raises Refused where it cannot be written."""
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(out)
    part = target.parent / f".artifact-store-{token_hex(8)}.part"
    try:
        file = part.open("xb")
    except OSError as error:
        raise Refused(f"cannot write {out}: {error.strerror}") from error
    try:
        with file:
            yield file
        _check_free(out, force=force)
        part.replace(target)
    except OSError as error:
        raise Refused(f"cannot write {out}: {error.strerror}; nothing was kept") from error
    finally:
        part.unlink(missing_ok=True)


def _check_free(out: str, *, force: bool) -> None:
    if out == "-":
        return
    if Path(out).is_dir():
        raise UsageError(f"{out} is a folder; name a file, as in -o {Path(out) / 'FILE'}")
    if Path(out).exists() and not force:
        raise Refused(f"{out} exists; add --force to write over it")

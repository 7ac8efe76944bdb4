"""`get`: one file as it was at T, whole or not at all."""

from __future__ import annotations

import stat
import sys
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import emit, printable, say, size
from artifact_store.cli.places import check_parent
from artifact_store.errors import Refused, S3Error, UsageError
from artifact_store.history.instant import parse_moment, show
from artifact_store.history.scope import split_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

REMEDY = "name a file in a folder you can write, or -"
STDOUT = frozenset({"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
"""Names of stdout beside -. They lead to whatever stdout is, a regular file among others."""


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
    place = _place(out, force=force)
    if as_json and place is Place.STDOUT:
        raise UsageError("--json and the file cannot both go to stdout; name a file with -o")
    if place is Place.FILE:
        check_parent(Path(out), out, REMEDY)
    from artifact_store.cli.looking import Nearest, record
    from artifact_store.history import state
    from artifact_store.history.listing import list_history
    from artifact_store.history.versioned import clock
    from artifact_store.s3.operations import GetObject

    with target.connect() as s3:
        instant = moment.at(clock(s3, bucket))
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


class Place(Enum):
    """What stands where a file is to be written."""

    STDOUT = auto()
    THROUGH = auto()
    """A device or pipe: what is written goes through it, and it stays what it is."""
    FILE = auto()
    """A regular file, or nothing yet."""


@contextmanager
def sink(out: str, *, force: bool) -> Iterator[BinaryIO]:
    """A file that appears whole or not at all; or stdout, or a device or pipe, which are written as it comes. Raises
    Refused where it cannot be written."""
    place = _place(out, force=force)
    if place is Place.STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(out)
    if place is Place.THROUGH:
        try:
            with target.open("wb") as through:
                yield through
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Refused(f"cannot write {out}: {error.strerror}") from error
        return
    part = target.parent / f".artifact-store-{token_hex(8)}.part"
    try:
        file = part.open("xb")
    except OSError as error:
        raise Refused(f"cannot write {out}: {error.strerror}; {REMEDY}") from error
    try:
        with file:
            yield file
        _place(out, force=force)
        part.replace(target)
    except OSError as error:
        raise Refused(f"cannot write {out}: {error.strerror}; nothing was kept") from error
    finally:
        part.unlink(missing_ok=True)


def _place(out: str, *, force: bool) -> Place:
    """Raises UsageError for a folder; Refused for a file that exists, unless `force`, and for what a file must not
    replace."""
    if out == "-" or out in STDOUT:
        return Place.STDOUT
    path = Path(out)
    if not out or path.is_dir():
        raise UsageError(f"{out or repr(out)} is a folder; name a file, as in -o {path / 'FILE'}")
    try:
        mode = _mode(path)
    except OSError as error:
        raise Refused(f"cannot write {out}: {error.strerror}; {REMEDY}") from error
    if mode is None:
        return Place.FILE
    if _goes_through(mode):
        return Place.THROUGH
    if path.is_symlink():
        raise Refused(f"{out} is a link to {path.resolve()}; name that file itself")
    if not stat.S_ISREG(mode):
        raise Refused(f"{out} is neither a file nor a pipe; name a file, or - for stdout")
    if not force:
        raise Refused(f"{out} exists; add --force to write over it")
    return Place.FILE


def _mode(path: Path) -> int | None:
    """Of what the path leads to, or of the link where it leads nowhere; None where there is nothing. Raises OSError."""
    for look in (path.stat, path.lstat):
        with suppress(FileNotFoundError):
            return look().st_mode
    return None


def _goes_through(mode: int) -> bool:
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)

"""Where a command is going to write on this machine, tried before anything is asked of S3.

Refuses what would be learnt after an hour of listing: a folder that is not there, is a file, or cannot be written; and
to write over a file, unless that is asked for.
"""

from __future__ import annotations

import stat
import sys
import tempfile
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from artifact_store.cli.output import OnStdout
from artifact_store.errors import Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

REMEDY = "name a file in a folder you can write, or -"
STDOUT = frozenset({"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
"""Names of stdout beside -. They lead to whatever stdout is, a regular file among others."""


def check_folder(folder: Path, name: str, remedy: str) -> None:
    """Raises Refused where no file can be made in a folder, or in the nearest one there is where it is yet to be made.

    name, remedy: what cannot be written, and what to do, for the message.
    """
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror if folder.is_dir() else "Not a directory"
        raise Refused(f"cannot write {name}: {folder}: {reason}; {remedy}") from error


def check_parent(file: Path, name: str, remedy: str) -> None:
    """The same for a file in a folder that must be there."""
    if not file.parent.exists():
        raise Refused(f"cannot write {name}: {file.parent}: No such file or directory; {remedy}")
    check_folder(file.parent, name, remedy)


class Place(Enum):
    """What stands where a file is to be written."""

    STDOUT = auto()
    THROUGH = auto()
    """A device or pipe: what is written goes through it, and it stays what it is."""
    FILE = auto()
    """A regular file, or nothing yet."""


def check_file(out: str, *, force: bool, as_json: bool) -> Place:
    """What stands where one file is to be written. Raises UsageError or Refused where it cannot be, as `sink` would."""
    place = place_of(out, force=force)
    if as_json and place is Place.STDOUT:
        raise UsageError("--json and the file cannot both go to stdout; name a file with -o")
    if place is Place.FILE:
        check_parent(Path(out), out, REMEDY)
    return place


@contextmanager
def sink(out: str, *, force: bool) -> Iterator[BinaryIO]:
    """A file that appears whole or not at all; or stdout, or a device or pipe, which are written as it comes. Raises
    Refused where it cannot be written."""
    place = place_of(out, force=force)
    if place is Place.STDOUT:
        with OnStdout():
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
        place_of(out, force=force)
        part.replace(target)
    except OSError as error:
        raise Refused(f"cannot write {out}: {error.strerror}; nothing was kept") from error
    finally:
        part.unlink(missing_ok=True)


def place_of(out: str, *, force: bool) -> Place:
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

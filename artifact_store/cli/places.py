"""Where a command is going to write on this machine, tried before anything is asked of S3.

Refuses what would be learnt after an hour of listing: a folder that is not there, is a file, or cannot be written.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from artifact_store.errors import Refused


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

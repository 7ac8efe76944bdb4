"""What the commands that only look have in common: how a version is shown, and what is said where there was none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_store.cli.output import printable
from artifact_store.errors import S3Error
from artifact_store.history.instant import show
from artifact_store.history.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from artifact_store.s3.client import S3
    from artifact_store.s3.operations import Entry, VersionPage

CLOSE = 3
"""Most names that are offered instead of one that is not there."""


def record(entry: Entry) -> dict[str, Any]:
    """A version for --json."""
    return {
        "key": entry.key,
        "version_id": entry.version_id,
        "size": entry.size,
        "etag": entry.etag,
        "last_modified": show(entry.last_modified),
        "storage_class": entry.storage_class,
    }


def never(s3: S3, scope: Scope) -> str:
    """What to say where nothing was ever written in a scope, "" where something was. For whoever found nothing: costs a
    page or two."""
    if next(scope.histories(s3), None) is not None:
        return ""
    return f"nothing was ever written in {printable(str(scope))}; {spelling(s3, scope)}"


def spelling(s3: S3, scope: Scope) -> str:
    """What to do where nothing was ever written: places whose names are close, as far as a page of the folder that is
    there tells."""
    found = [printable(str(Scope(scope.bucket, place))) for place in _close(s3, scope)]
    if not found:
        return "look at the spelling of bucket and prefix"
    return f"look at the spelling: did you mean {' or '.join(found)}?"


def _close(s3: S3, scope: Scope) -> list[str]:
    """Below the innermost folder that is there, names like the one that is not, with what was asked for below them
    where it is there."""
    from difflib import get_close_matches

    folder, below = scope.prefix.rstrip("/"), ""
    try:
        while folder:
            cut = folder.rfind("/") + 1
            folder, wrong = folder[:cut], folder[cut:]
            if names := _names(s3, scope.bucket, folder):
                close = get_close_matches(wrong.casefold(), {name.casefold() for name in names}, CLOSE)
                found = [folder + name for like in close for name in names if name.casefold() == like][:CLOSE]
                whole = (place + below if _there(s3, scope.bucket, place + below) else place for place in found)
                return [place for place in whole if place != scope.prefix]
            folder, below = folder.rstrip("/"), f"/{wrong}{below}"
    except S3Error:
        # Who may list a prefix may not list what lies above it: then there is nothing to offer.
        pass
    return []


def _names(s3: S3, bucket: str, folder: str) -> list[str]:
    """Files and folders in a folder, as a page tells them."""
    from artifact_store.s3.operations import ListVersions

    page: VersionPage = s3.call(ListVersions(bucket, folder, "/"))
    names = (place[len(folder) :].rstrip("/") for place in (*page.common_prefixes, *(e.key for e in page.entries)))
    return list(dict.fromkeys(name for name in names if name))


def _there(s3: S3, bucket: str, place: str) -> bool:
    return next(Scope(bucket, place).histories(s3), None) is not None


class Nearest:
    """The last write up to an instant and the first one after it, for whoever looked where nothing was."""

    def __init__(self, instant: float) -> None:
        self.instant = instant
        self.before: float | None = None
        self.after: float | None = None

    def see(self, entries: Iterable[Entry]) -> None:
        """Take the entries of a key into account."""
        for entry in entries:
            if entry.is_marker:
                continue
            if entry.last_modified <= self.instant:
                self.before = max(self.before or 0.0, entry.last_modified)
            else:
                self.after = min(self.after or entry.last_modified, entry.last_modified)

    @property
    def any(self) -> bool:
        """Something was written at some time."""
        return self.before is not None or self.after is not None

    def __str__(self) -> str:
        if not self.any:
            return "nothing was ever written there"
        parts = [f"the last write before it was at {show(self.before)}"] if self.before is not None else []
        parts += [f"the first write after it was at {show(self.after)}"] if self.after is not None else []
        return ", ".join(parts)

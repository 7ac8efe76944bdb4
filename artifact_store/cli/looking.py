"""What the commands that only look have in common: how a version is shown, and what is said where there was none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_store.history.instant import show

if TYPE_CHECKING:
    from collections.abc import Iterable

    from artifact_store.s3.operations import Entry

SPELLING = "look at the spelling of bucket and prefix"


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

    def __str__(self) -> str:
        if self.before is None and self.after is None:
            return f"nothing was ever written there; {SPELLING}"
        parts = [f"the last write before it was at {show(self.before)}"] if self.before is not None else []
        parts += [f"the first write after it was at {show(self.after)}"] if self.after is not None else []
        return ", ".join(parts)

"""What a key was at an instant, decided from its versions and markers alone.

Owns the order of a key's entries and the choice among them; does no I/O and refuses to guess in silence: whatever the
listing cannot settle is a flag on the result.

S3 gives times in whole seconds (S3 User Guide, "Listing objects in a versioning-enabled bucket": entries come newest
first), so instants are compared as whole seconds, inclusive: what carries the second of T existed at T. Inside one
second the server's own order decides.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_store.history.listing import History
    from artifact_store.s3.operations import Entry

UNSETTLED_WINDOW = 3600
"""Seconds within which an upload goes on, or one that failed is tried again; longer for what is larger (`open_for`)."""

SLOWEST_UPLOAD = 10 * 1024**2
"""Bytes a second of the slowest upload that is waited for."""

ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Classes whose objects must be restored before they can be read (S3 User Guide, "Working with archived objects")."""


def open_for(size: int) -> int:
    """Seconds after its beginning within which an upload of so many bytes may end.

    LastModified of a multipart object is when its upload was begun (S3 User Guide, "Uploading and copying objects using
    multipart upload"), and nothing in a listing tells when it was completed. So for as long the object may not have
    been there, and for as long the next file of the same save may be yet to come.
    """
    return UNSETTLED_WINDOW + size // SLOWEST_UPLOAD


class Flag(StrEnum):
    """What a reader should know about a key before relying on its state."""

    TIE = "tie"
    """A version and a marker share the second that decides, and the server does not say which came last. The version
    is taken: bringing back too much can be seen and undone."""
    UNSETTLED = "unsettled"
    """The version is multipart and was begun so shortly before T that it may not have been visible at T."""
    EDGE = "edge"
    """The key changed within a second of T."""
    REPLACED = "replaced"
    """A version with id "null" was written after T: what it replaced, if anything, left no trace."""


class KeyState(NamedTuple):
    """One key at an instant and now. A tuple, since millions are made.

    then: the version that stood at the instant, None where the key was absent. then_entry: the same, or the marker that
    made it absent. now: the current version, None where there is none. now_entry: the same, or the current marker.
    newer: every entry after then_entry, newest first.
    """

    key: str
    then: Entry | None
    now: Entry | None
    then_entry: Entry | None = None
    now_entry: Entry | None = None
    newer: tuple[Entry, ...] = ()
    flags: frozenset[Flag] = frozenset()

    @property
    def archived(self) -> bool:
        """The version that stood at the instant cannot be read before S3 has restored it from its archive."""
        return self.then is not None and is_archived(self.then)


def at(history: History, instant: float, *, settled: bool = False) -> KeyState:
    """The state of a key at `instant` (seconds since the epoch).

    settled: where the version at the instant is unsettled, take what stood before it.
    """
    entries, index, tie = _found(history, instant, settled)
    flags: set[Flag] = set()
    if tie:
        flags.add(Flag.TIE)
    then_entry = entries[index] if index < len(entries) else None
    if then_entry is not None and is_unsettled(then_entry, instant):
        flags.add(Flag.UNSETTLED)
    second = instant // 1
    if any(second - 1 <= entry.last_modified < second + 2 for entry in entries):
        flags.add(Flag.EDGE)
    newer = tuple(entries[:index])
    if any(entry.version_id == "null" and entry.last_modified >= second + 1 for entry in newer):
        flags.add(Flag.REPLACED)
    now_entry = entries[0] if entries else None
    return KeyState(
        key=history.key,
        then=then_entry if then_entry is not None and not then_entry.is_marker else None,
        now=now_entry if now_entry is not None and not now_entry.is_marker else None,
        then_entry=then_entry,
        now_entry=now_entry,
        newer=newer,
        flags=frozenset(flags),
    )


def standing(history: History, instant: float, *, settled: bool = False) -> Entry | None:
    """The version that stood at `instant`, as `at` tells it; None where the key was absent."""
    entries, index, _ = _found(history, instant, settled)
    return None if index == len(entries) or entries[index].is_marker else entries[index]


def _found(history: History, instant: float, settled: bool) -> tuple[list[Entry], int, bool]:
    """The entries, newest first; which of them stood, their number where none did; whether that is a tie."""
    entries = history.ordered()
    end = instant // 1 + 1
    index, tie = len(entries), False
    for number, entry in enumerate(entries):
        if entry.last_modified < end:
            index = number
            break
    if not history.interleaved:
        index, tie = _prefer_version(entries, index)
    if settled:
        while index < len(entries) and is_unsettled(entries[index], instant):
            index += 1
    return entries, index, tie


def by_time(entries: Sequence[Entry]) -> list[Entry]:
    """Newest first by time, the current entry before all others; within a second the order given is kept."""
    return sorted(entries, key=lambda entry: (not entry.is_latest, -_second(entry)))


def is_multipart(entry: Entry) -> bool:
    """Its ETag ends in the number of parts (S3 API reference, "Object")."""
    return "-" in entry.etag


def is_unsettled(entry: Entry, instant: float) -> bool:
    """Whether a multipart version's upload may have been under way at the instant."""
    return is_multipart(entry) and 0 <= int(instant // 1) - _second(entry) < open_for(entry.size)


def is_archived(entry: Entry) -> bool:
    """Whether reading or copying this version needs a restore from the archive first."""
    return entry.storage_class in ARCHIVE_CLASSES and not entry.restored


def _second(entry: Entry) -> int:
    return int(entry.last_modified // 1)


def _prefer_version(entries: Sequence[Entry], index: int) -> tuple[int, bool]:
    """Among the entries that share the deciding second: the index to take, and whether it had to be guessed."""
    if index == len(entries) or entries[index].is_latest:
        return index, False
    second = _second(entries[index])
    same = [i for i in range(index, len(entries)) if _second(entries[i]) == second]
    versions = [i for i in same if not entries[i].is_marker]
    if not versions or len(versions) == len(same):
        return index, False
    return versions[0], True

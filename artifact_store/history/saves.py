"""The saves of a model, read from its files' versions: bursts of writes that belong together.

Owns where one save ends and the next begins, and which saves a file's content can be of. Pure.

S3 dates an upload in parts by its beginning (S3 User Guide, "Uploading and copying objects using multipart upload"), so
files of one save may lie as far apart as the largest of them takes to upload. A file that is written a second time
belongs to the next save, however soon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from artifact_store.s3.operations import Entry

QUIET_SECONDS = 3600
"""A pause of this length ends a save of small files: a push that was resumed sooner is one push."""

SLOWEST_UPLOAD = 10 * 1024**2
"""Bytes a second: after a large file began, the next may begin this much later and still be of the same save."""


CLOSE_SECONDS = 300
"""A config or tokenizer written so shortly before or after the weights is of the same save."""


@dataclass(slots=True)
class Save:
    """start, end: seconds of its first and last write of what the model cannot do without. first, last: the same, with
    configs and the like. written: path -> its version. deleted: paths it deleted. overwritten: how many of those it
    wrote were there already. size: bytes written."""

    start: int
    end: int
    first: int
    last: int
    written: dict[str, Entry] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    overwritten: int = 0
    size: int = 0
    again: bool = True
    """All that it wrote was there before: it is a restore, and new content does not belong to it."""

    @property
    def patience(self) -> float:
        """Seconds after its last write within which it may go on."""
        largest = max((entry.size for entry in self.written.values()), default=0)
        return QUIET_SECONDS + largest / SLOWEST_UPLOAD

    def straddles(self, instant: float) -> bool:
        """Whether some of its writes lie at or before the instant, and some after."""
        return self.first <= int(instant // 1) < self.last

    def takes(self, second: int, path: str, *, deleted: bool, again: bool) -> bool:
        """Whether a write or delete of this file at this second still belongs to it. A push may delete before it
        writes, and not the other way round."""
        seen = path in self.written or (deleted and path in self.deleted)
        restored = bool(self.written) and self.again and not (deleted or again)
        return second - self.end <= self.patience and not seen and not restored


def saves(files: Mapping[str, Sequence[Entry]], others: Mapping[str, Sequence[Entry]] | None = None) -> list[Save]:
    """The saves of files that belong to one model, oldest first. files: path -> entries, newest first; what the model
    cannot do without. others: the rest of it, which may be written at any time."""
    events = [
        (_second(entry), path, entry, entries[age + 1 :])
        for path, entries in files.items()
        for age, entry in reversed(list(enumerate(entries)))
    ]
    events.sort(key=lambda event: event[0])
    found: list[Save] = []
    for second, path, entry, older in events:
        again = any(content_of(old) == content_of(entry) for old in older if not old.is_marker)
        if not found or not found[-1].takes(second, path, deleted=entry.is_marker, again=again):
            found.append(Save(second, second, second, second))
        save = found[-1]
        save.end = save.last = second
        if entry.is_marker:
            save.deleted.add(path)
        else:
            save.written[path] = entry
            save.deleted.discard(path)
            save.overwritten += bool(older) and not older[0].is_marker
            save.size += entry.size
            save.again = save.again and again
    _stretch(found, sorted(_second(entry) for entries in (others or {}).values() for entry in entries))
    return found


def _stretch(found: Sequence[Save], seconds: Sequence[int]) -> None:
    """Take what was written close to a save into it, and between two into the closer one."""
    for number, save in enumerate(found):
        following = found[number + 1].start if number + 1 < len(found) else None
        for second in seconds:
            near = following is None or (second < following and second - save.last <= following - second)
            if save.last < second <= save.end + CLOSE_SECONDS and near:
                save.last = second
        before = found[number - 1].last if number else None
        for second in reversed(seconds):
            if save.start - CLOSE_SECONDS <= second < save.first and (before is None or second > before):
                save.first = second


def _second(entry: Entry) -> int:
    return int(entry.last_modified // 1)


Origins = dict[str, frozenset[int]]
"""Path -> numbers of the saves whose content stands there; empty where none is known."""


def origins(found: Sequence[Save], now: Mapping[str, Entry]) -> Origins:
    """Which saves wrote what stands. now: path -> version. More than one where a file was written again unchanged."""
    return {
        path: frozenset(
            number
            for number, save in enumerate(found)
            if path in save.written and content_of(save.written[path]) == content_of(entry)
        )
        for path, entry in now.items()
    }


def content_of(entry: Entry) -> tuple[str, int]:
    """ETag and size, which are equal where the content is (S3 API reference, "Object")."""
    return entry.etag, entry.size


def of_one_save(of: Origins, found: Sequence[Save]) -> bool:
    """Whether one save could have written all that stands; pushes that were resumed later, as long as none of their
    files is written twice, count as one."""
    pushes: list[int] = []
    seen: set[str] = set()
    for save in found:
        if not pushes or seen & save.written.keys():
            pushes.append(pushes[-1] + 1 if pushes else 0)
            seen = set()
        else:
            pushes.append(pushes[-1])
        seen |= save.written.keys()
    known = [frozenset(pushes[number] for number in numbers) for numbers in of.values() if numbers]
    return not known or bool(frozenset.intersection(*known))


def doubts(found: Sequence[Save], now: Mapping[str, Entry], of: Origins) -> list[tuple[str, int]]:
    """(path, save) where a copy with another ETag may stand: that save wrote as many bytes. Only checksums can tell.

    Empty where the files are of one save anyway.
    """
    if of_one_save(of, found):
        return []
    return [
        (path, number)
        for path, entry in now.items()
        for number, save in enumerate(found)
        if number not in of[path] and path in save.written and save.written[path].size == entry.size
    ]


def parts(of: Origins, found: Sequence[Save], instant: float) -> tuple[int, list[str], list[str]]:
    """Of files of several saves: (the newest save up to the instant, the paths it wrote, the paths it did not)."""
    begun = [number for numbers in of.values() for number in numbers if found[number].start <= instant]
    newest = max(begun)
    return newest, [p for p in of if newest in of[p]], [p for p in of if of[p] and newest not in of[p]]

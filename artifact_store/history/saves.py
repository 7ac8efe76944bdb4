"""The saves of a model, read from its files' versions: bursts of writes that belong together.

Owns where one save ends and the next begins, and which saves a file's content can be of. Pure.

S3 dates an upload in parts by its beginning, so files of one save may lie as far apart as the largest of them takes to
upload (`state.open_for`); a pause of that length ends the save. A file that is written a second time belongs to the
next save, however soon.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from artifact_store.history.state import open_for
from artifact_store.s3.operations import Entry

CLOSE_SECONDS = 300
"""A config or tokenizer written so shortly before or after the weights is of the same save."""


@dataclass(slots=True)
class Save:
    """start, end: seconds of its first and last write of what the model cannot do without. first, last: the same, with
    configs and the like. written: path -> its version. deleted: paths it deleted. overwritten: how many of those it
    wrote were there already. size: bytes written. largest: of its files. push: the number of the push that it is of.
    changes: the seconds at which it changed what a reader gets."""

    start: int
    end: int
    first: int
    last: int
    written: dict[str, Entry] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    overwritten: int = 0
    size: int = 0
    largest: int = 0
    push: int = 0
    changes: list[int] = field(default_factory=list)
    again: bool = True
    """All that it wrote was there before: it is a restore, and new content does not belong to it."""
    tried: dict[str, Entry] = field(default_factory=dict)
    """Path -> the version before the last, of what it wrote twice without a change."""

    @property
    def patience(self) -> int:
        """Seconds after its last write within which it may go on."""
        return open_for(self.largest)

    def straddles(self, instant: float) -> bool:
        """Whether some of what it changed lies at or before the instant, and some after. To write again what is there
        changes nothing."""
        return bool(self.changes) and min(self.changes) <= int(instant // 1) < max(self.changes)

    def takes(self, second: int, path: str, *, deleted: bool, again: bool) -> bool:
        """Whether a write or delete of this file at this second still belongs to it. A push may delete before it
        writes, and not the other way round."""
        seen = path in self.written or (deleted and path in self.deleted)
        restored = bool(self.written) and self.again and not (deleted or again)
        return second - self.end <= self.patience and not seen and not restored

    def tries_again(self, second: int, path: str, *, change: bool) -> bool:
        """Whether a write of this file at this second is an upload of this save that was tried again."""
        return not change and path in self.written and second - self.end <= self.patience

    def hand_over(self, following: Save) -> None:
        """Give to the save that begins what it had begun with: what was written again unchanged after all else of this
        one, and closer to that."""
        done = max(self.changes, default=self.start)
        for path, earlier in self.tried.items():
            entry = self.written[path]
            second = _second(entry)
            if second > done and following.start - second < second - done:
                self.written[path], following.written[path] = earlier, entry
                self.size, following.size = self.size - entry.size, following.size + entry.size
                following.overwritten += 1


Files = Mapping[str, Sequence[Entry]]
"""Path -> entries, newest first."""


class _Event(NamedTuple):
    """A write or delete. again: of content that stood there before. change: of what a reader gets."""

    second: int
    path: str
    entry: Entry
    overwrites: bool
    again: bool
    change: bool


def saves(files: Files, others: Files | None = None) -> list[Save]:
    """The saves of files that belong to one model, oldest first. files: what the model cannot do without. others: the
    rest of it, which may be written at any time."""
    by_second: dict[int, list[_Event]] = {}
    for event in _events(files):
        by_second.setdefault(event.second, []).append(event)
    found: list[Save] = []
    push = _Push()
    for second in sorted(by_second):
        for event in _ordered(by_second[second], found[-1] if found else None, files):
            entry = event.entry
            if found and found[-1].tries_again(second, event.path, change=event.change):
                found[-1].tried[event.path] = found[-1].written[event.path]
            elif (
                not found
                or not found[-1].takes(second, event.path, deleted=entry.is_marker, again=event.again)
                or push.is_over(event.path)
            ):
                found.append(Save(second, second, second, second))
                push.begins()
                if len(found) > 1:
                    found[-2].hand_over(found[-1])
            push.writes(event.path)
            save = found[-1]
            save.end = save.last = second
            if event.change:
                save.changes.append(second)
            if entry.is_marker:
                save.deleted.add(event.path)
            else:
                save.written[event.path] = entry
                save.deleted.discard(event.path)
                save.overwritten += event.overwrites and event.path not in save.tried
                save.size += entry.size
                save.largest = max(save.largest, entry.size)
                save.again = save.again and event.again
    beside = sorted(
        (event.second, event.entry.is_marker, event.path) for event in _events(others or {}) if event.change
    )
    _stretch(found, beside)
    _number(found)
    return found


def _number(found: Sequence[Save]) -> None:
    """Pushes that were resumed later, as long as none of their files is written twice, count as one."""
    push, seen = 0, set[str]()
    for save in found:
        if seen & save.written.keys():
            push, seen = push + 1, set()
        save.push = push
        seen |= save.written.keys()


class _Push:
    """The saves under way that have no file in common: a push that was resumed after a pause. Knows which file was
    written last by which of them."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._held: list[int] = []
        self._first = 0

    def is_over(self, path: str) -> bool:
        """Whether all files that are known were written by the push, and this one before the save under way."""
        at = self._at.get(path, -1)
        return self._first <= at < len(self._held) - 1 and sum(self._held[self._first :]) == len(self._at)

    def begins(self) -> None:
        """The next save."""
        self._held.append(0)

    def writes(self, path: str) -> None:
        now, at = len(self._held) - 1, self._at.get(path)
        if at is not None:
            self._held[at] -= 1
            if self._first <= at < now:
                self._first = at + 1
        self._at[path] = now
        self._held[now] += 1


def _events(files: Files) -> Iterator[_Event]:
    """Each file's, oldest first."""
    for path, entries in files.items():
        before: tuple[str, int] | None = None
        stood: set[tuple[str, int]] = set()
        for entry in reversed(entries):
            content = None if entry.is_marker else content_of(entry)
            yield _Event(_second(entry), path, entry, before is not None, content in stood, content != before)
            before = content
            if content is not None:
                stood.add(content)


def _ordered(events: list[_Event], under_way: Save | None, every: Collection[str]) -> list[_Event]:
    """The events of one second, for which S3 tells no order among keys: what completes the save that is under way comes
    before what begins the next."""
    if len(events) == 1 or under_way is None:
        return events
    done = under_way.written
    paths = {event.path for event in events}
    again = sum(path in done for path in paths)
    missing = len(paths) - again
    if not missing or again in (0, len(done)) or len(done) + missing < len(every):
        return events
    return sorted(events, key=lambda event: event.path in done)


def _stretch(found: Sequence[Save], beside: Sequence[tuple[int, bool, str]]) -> None:
    """Take what was written close to a save into it, and between two into the closer one: of each file the first write
    alone, as of all files. beside: (second, whether it is a delete, path) in order; a push may delete before it writes,
    and not the other way round."""
    for number, save in enumerate(found):
        following = found[number + 1].start if number + 1 < len(found) else None
        before = found[number - 1].last if number else None
        since = save.start - CLOSE_SECONDS if before is None else max(save.start - CLOSE_SECONDS, before + 1)
        close = beside[bisect_left(beside, (since,)) : bisect_left(beside, (save.end + CLOSE_SECONDS + 1,))]
        its_own = {path for second, is_marker, path in close if second <= save.last and not is_marker}
        for second, is_marker, path in close:
            near = following is None or (second < following and second - save.last <= following - second)
            if second > save.last and not is_marker and path not in its_own and near:
                its_own.add(path)
                save.last = second
                save.changes.append(second)
        for second, _, _ in reversed(close):
            if second < save.first:
                save.first = second
                save.changes.append(second)


def _second(entry: Entry) -> int:
    return int(entry.last_modified // 1)


Origins = dict[str, frozenset[int]]
"""Path -> numbers of the saves whose content stands there; empty where none is known."""


def origins(found: Sequence[Save], now: Mapping[str, Entry]) -> Origins:
    """Which saves wrote what stands. now: path -> version. More than one where a file was written again unchanged."""
    of: dict[str, list[int]] = {path: [] for path in now}
    for number, save in enumerate(found):
        for path, entry in save.written.items():
            if path in of and content_of(entry) == content_of(now[path]):
                of[path].append(number)
    return {path: frozenset(numbers) for path, numbers in of.items()}


def content_of(entry: Entry) -> tuple[str, int]:
    """ETag and size, which are equal where the content is (S3 API reference, "Object")."""
    return entry.etag, entry.size


def of_one_save(of: Origins, found: Sequence[Save]) -> bool:
    """Whether one save could have written all that stands.

    Resumed pushes count as one save. And a file of which nothing older is known may be the copy of what has expired.
    """
    first = {path: _first_known(path, found) for path, numbers in of.items() if numbers}
    pushes = {path: {found[number].push for number in of[path]} for path in first}
    since_the_first = [pushes[path] for path, number in first.items() if not number]
    if not since_the_first:
        return True
    return any(
        all(push in pushes[path] or (number and push <= found[number - 1].push) for path, number in first.items())
        for push in set.intersection(*since_the_first)
    )


def surely_of_one_save(of: Origins) -> bool:
    """Whether one save is known to have written all that stands."""
    known = [numbers for numbers in of.values() if numbers]
    return not known or bool(frozenset.intersection(*known))


def _first_known(path: str, found: Sequence[Save]) -> int:
    """The number of the first save that wrote or deleted it."""
    return next((number for number, save in enumerate(found) if path in save.written or path in save.deleted), 0)


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

"""Every key of a prefix with its versions and markers, read in parallel, in key order, in flat memory.

Owns the split of the key space and the paging. A range of keys is listed by Prefix, never from a bare key marker: some
servers lose or repeat keys there, while a prefix and both markers of a page are right on all that were tried.

A listing starts as one range. Whenever pages are waited for and a range turns out to hold more than it has shown, the
rest of it is cut into smaller ones: by the common prefixes of the next "/", or, where keys do not tell folders, by the
next character. Keys come out in UTF-8 byte order, each once; what is read ahead is bounded.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from artifact_store.history.state import by_time
from artifact_store.s3.operations import Entry, Job, ListVersions, Operation, VersionPage

if TYPE_CHECKING:
    from artifact_store.s3.server import Server


@dataclass(frozen=True, slots=True)
class History:
    """One key's entries, newest first in the server's order.

    interleaved: False where the server does not tell the order between versions and markers.
    """

    key: str
    entries: list[Entry]
    interleaved: bool = True

    def ordered(self) -> list[Entry]:
        """Newest first: as listed, or, where the listing does not tell, the current one first and then by time."""
        return self.entries if self.interleaved else by_time(self.entries)


SPLIT_AFTER_PAGES = 3
"""A range is cut only when it has proved long: short listings cost no request more than one after the other."""
SPLIT_POINTS = 32
"""Most pieces a range is cut into at once."""
PAGES_A_PIECE = 3
"""What a piece should hold at least: it costs a request of its own, and one more for what lies behind it."""
PAGES_AHEAD = 128
"""Pages held before they are asked for, about 60 MB."""
HINT_LEVELS = 6
"""Folders, counted from the deepest, that are asked for their siblings when a range is cut."""
GUESS_DEPTH = 24
CLASSES = ("0123456789", "0123456789abcdef", "0123456789ABCDEF", "abcdefghijklmnopqrstuvwxyz")


def list_histories(s3: Server, bucket: str, prefix: str = "") -> Iterator[History]:
    """Every key that starts with `prefix` (a raw prefix), in UTF-8 byte order where the server lists in it."""
    return _Listing(s3, bucket, prefix).histories()


def list_history(s3: Server, bucket: str, key: str) -> History | None:
    """Exactly this key; None where it has neither version nor marker. Keys are in order, so it comes first."""
    entries: list[Entry] = []
    interleaved = True
    ask = ListVersions(bucket, key)
    while True:
        page: VersionPage = s3.call(ask)
        mine = [entry for entry in page.entries if entry.key == key]
        entries += mine
        interleaved = interleaved and (page.interleaved or not mine)
        if not page.is_truncated or len(mine) < len(page.entries):
            return History(key, entries, interleaved) if entries else None
        ask = ListVersions(bucket, key, "", page.next_key_marker, page.next_version_id_marker)


@dataclass(slots=True, eq=False)
class _Range:
    """A stretch of the key space: keys below `prefix`, after the markers, up to `until` (None: to the prefix's end).

    before: the range to the left, from whose end this one starts where it has no markers of its own (`after_before`).
    skip: the key of those markers, listed to its end before. pages: read and not yet given out. last: key and version
    id of the last entry read. beyond: the first key seen at or after `until`, once done.
    """

    prefix: str
    until: str | None = None
    before: _Range | None = None
    after_before: bool = False
    key_marker: str = ""
    version_id_marker: str = ""
    skip: str | None = None
    size: int = 1000
    pages: deque[VersionPage] = field(default_factory=deque)
    read: int = 0
    next_split: int = SPLIT_AFTER_PAGES
    busy: bool = False
    done: bool = False
    last: tuple[str, str] | None = None
    beyond: str | None = None


class _Listing:
    """One call of `list_histories`: the ranges in key order, and what is to be asked next."""

    def __init__(self, s3: Server, bucket: str, prefix: str) -> None:
        self._s3, self._bucket = s3, bucket
        self._ranges: list[_Range] = [_Range(prefix)]
        self._held = 0
        self._to_split: deque[tuple[_Range, VersionPage]] = deque()
        self._finished = False

    def histories(self) -> Iterator[History]:
        results = self._s3.run(self._jobs())
        try:
            while self._ranges:
                front = self._ranges[0]
                yield from self._drain(front, results)
                if front.last is not None:
                    front.before = None
                del self._ranges[0]
        finally:
            self._finished = True
            if isinstance(results, Generator):
                results.close()

    def _drain(self, front: _Range, results: Iterator[None]) -> Iterator[History]:
        """Everything of the first range, waiting for its pages as needed. A key may go on on the next page."""
        unfinished: History | None = None
        while True:
            while front.pages:
                self._held -= 1
                for history in _grouped(front.pages.popleft()):
                    if unfinished is not None and unfinished.key == history.key:
                        whole = unfinished.interleaved and history.interleaved
                        unfinished = History(history.key, unfinished.entries + history.entries, whole)
                        continue
                    if unfinished is not None:
                        yield unfinished
                    unfinished = history
            if not (front.busy or front.done):
                self._may_start(front)
            if front.done:
                break
            next(results)
        if unfinished is not None:
            yield unfinished

    def _jobs(self) -> Iterator[Job[None] | None]:
        """What to ask next; None while every range is busy or enough is held."""
        while not self._finished:
            yield self._next_job()

    def _next_job(self) -> Job[None] | None:
        if self._to_split:
            return self._split_job(*self._to_split.popleft())
        for index, one in enumerate(self._ranges):
            if index and self._held >= PAGES_AHEAD:
                return None
            if not (one.busy or one.done) and self._may_start(one):
                one.busy = True
                return self._page_job(one)
        return None

    def _may_start(self, one: _Range) -> bool:
        """Whether it is known where the range starts; it may turn out to be empty without being asked for."""
        if not one.after_before:
            return True
        left, looked = one.before, False
        while left is not None:
            if not left.done:
                return False
            if left.until is not None and left.prefix == one.prefix and not looked:
                looked = True
                if left.beyond is None or not _less(left.beyond, one.until):
                    one.done, one.beyond = True, left.beyond
                    return False
            if left.last is not None:
                one.key_marker, one.version_id_marker = left.last
                one.skip = left.last[0]
                break
            left = left.before
        one.after_before = False
        return True

    def _page_job(self, one: _Range) -> Job[None]:
        ask = ListVersions(self._bucket, one.prefix, "", one.key_marker, one.version_id_marker, one.size)
        page: VersionPage = yield ask
        one.busy, one.size = False, 1000
        one.read += 1
        entries = [entry for entry in page.entries if entry.key != one.skip] if one.skip is not None else page.entries
        if one.until is not None:
            entries = [entry for entry in entries if _less(entry.key, one.until)]
            past = [entry.key for entry in page.entries if not _less(entry.key, one.until)]
            if past:
                one.done, one.beyond = True, min(past)
        if not page.is_truncated:
            one.done = True
        one.key_marker, one.version_id_marker = page.next_key_marker, page.next_version_id_marker
        if entries:
            last = entries[-1] if page.interleaved else max(entries, key=lambda e: (e.key, -e.last_modified))
            one.last = last.key, last.version_id
            kept = replace(page, entries=entries)
            one.pages.append(kept)
            self._held += 1
            if not one.done and one.read >= one.next_split:
                one.next_split = one.read * 2
                self._to_split.append((one, kept))

    def _split_job(self, one: _Range, page: VersionPage) -> Job[None]:
        """Ask the folders on the way to where the range has come for their later siblings, and cut the range there."""
        if one.done or one.last is None:
            return
        key, version_id = one.last
        levels = [one.prefix] + [key[: i + 1] for i, c in enumerate(key) if c == "/" and i >= len(one.prefix)]
        asks: list[Operation] = [
            ListVersions(self._bucket, level, "/", key, version_id) for level in levels[-HINT_LEVELS:]
        ]
        found: list[VersionPage] = yield asks
        hints = {prefix for answer in found for prefix in answer.common_prefixes}
        points = self._usable(one, hints)
        pieces = int(pages_left(page, points) / PAGES_A_PIECE)
        if not points:
            points = self._usable(one, guesses(page, levels[-1]))
            pieces = 2 * one.read
        step = -(-len(points) // max(1, min(pieces, SPLIT_POINTS)))
        if points and pieces:
            self._cut(one, points[::step], probe=step == 1)

    def _usable(self, one: _Range, hints: Iterable[str]) -> list[str]:
        """The prefixes that lie wholly in what the range has still to list, in order."""
        if one.done or one.last is None:
            return []
        here = one.last[0]
        return sorted(
            hint
            for hint in hints
            if hint.startswith(one.prefix)
            and hint != one.prefix
            and _less(here, hint)
            and (one.until is None or (_less(hint, one.until) and not one.until.startswith(hint)))
        )

    def _cut(self, one: _Range, points: list[str], *, probe: bool) -> None:
        """`one` goes on to the first point; each point is listed by its prefix, and so is what lies between two.

        probe: there is likely nothing between two points, so no more than one entry is asked for at first.
        """
        at = self._ranges.index(one)
        pieces: list[_Range] = []
        left, old_until = one, one.until
        one.until = points[0]
        for index, point in enumerate(points):
            until = points[index + 1] if index + 1 < len(points) else old_until
            inside = _Range(point, before=left)
            between = _Range(one.prefix, until=until, before=inside, after_before=True, size=1 if probe else 1000)
            pieces += [inside, between]
            left = between
        if at + 1 < len(self._ranges) and self._ranges[at + 1].before is one:
            self._ranges[at + 1].before = left
        self._ranges[at + 1 : at + 1] = pieces


def pages_left(page: VersionPage, folders: Iterable[str]) -> float:
    """How many pages `folders` fill, if each holds as much as its siblings that the page shows."""
    coming = Counter(folder[: folder.rfind("/", 0, -1) + 1] for folder in folders)
    pages = 0.0
    for parent, count in coming.items():
        under = (entry.key for entry in page.entries if entry.key.startswith(parent))
        siblings = {key[: key.find("/", len(parent))] for key in under if "/" in key[len(parent) :]}
        pages += count / max(1, len(siblings))
    return pages


def guesses(page: VersionPage, folder: str) -> list[str]:
    """Prefixes that later keys of a folder without sub-folders may have: the last key with one of its characters
    replaced by a later one of the same kind. A wrong guess costs a request and nothing else."""
    names = [entry.key[len(folder) :] for entry in page.entries if entry.key.startswith(folder)]
    if not names:
        return []
    first, last = names[0], names[-1]
    common = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    seen = set("".join(names))
    letters = {c for c in seen if c.isalpha()}
    found = []
    for depth, char in enumerate(last[:GUESS_DEPTH]):
        kind = next((k for k in CLASSES if char in k and (len(k) == 10 or letters <= set(k))), "")
        if len(kind) == 10 and letters and letters <= set("abcdef"):
            kind = CLASSES[1]
        if not kind and char.isalpha() and depth >= common:
            kind = CLASSES[3] if char.islower() else CLASSES[3].upper()
        found += [folder + last[:depth] + c for c in kind if c > char]
    return found[: 2 * SPLIT_POINTS]


def _grouped(page: VersionPage) -> Iterator[History]:
    """The page's keys in byte order, each with its entries in the order they came."""
    if page.interleaved:
        entries: list[Entry] = []
        for entry in page.entries:
            if entries and entry.key != entries[0].key:
                yield History(entries[0].key, entries)
                entries = []
            entries.append(entry)
        if entries:
            yield History(entries[0].key, entries)
        return
    by_key: dict[str, list[Entry]] = {}
    for entry in page.entries:
        by_key.setdefault(entry.key, []).append(entry)
    for key in sorted(by_key):
        yield History(key, by_key[key], interleaved=False)


def _less(key: str, other: str | None) -> bool:
    """By code points, which is the order of UTF-8 bytes; None is after everything."""
    return other is None or key < other

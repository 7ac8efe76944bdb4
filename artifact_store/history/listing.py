"""Every key of a prefix with its versions and markers, read in parallel, in key order, in flat memory.

Owns the split of the key space and the paging. A range of keys is listed by Prefix, never from a bare key marker: some
servers lose or repeat keys there, while a prefix and both markers of a page are right on all that were tried.

A listing starts as one range. Whenever a request could be sent and there is no range left to ask for, the rest of one
that is being read is cut into smaller ones: by the common prefixes of the next "/", or, where keys do not tell folders,
by the next character. Keys come out in UTF-8 byte order, each once; what is read ahead is bounded.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING

from artifact_store.errors import S3Error
from artifact_store.history.state import by_time
from artifact_store.s3.operations import Entry, Job, ListObjects, ListVersions, Operation, VersionPage

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


SPLIT_POINTS = 64
"""Most pieces a range is cut into at once."""
NAMES_AT_ONCE = 10_000
"""Folders known with which a range is cut, however little they hold."""
PAGES_A_PIECE = 3
"""What a piece should hold at least: it costs a request of its own, and one more for what lies behind it."""
BLIND_AFTER_PAGES = 4
"""Without folders a range is cut by guessing, which costs requests for nothing: only when it has proved long."""
BLINDLY = 2
"""And only when so many times fewer ranges are being read than are enough."""
ENTRIES_AHEAD = 32_000
"""Entries held or asked for before they are wanted, about 11 MB: reading the XML of so many takes longer than waiting
for the answers. Counted from the nearest on: what was read further ahead, before a near range was cut, is held beside
it, so that it can be some times as much."""
ENOUGH = 64
"""Ranges being read at once, with which nothing is cut, where waiting is long and pages are small: as many as requests
may be in flight."""
READ_TWICE = 2
"""What is done with an entry takes at least as long as reading its XML did: a server that answers as fast as that is
not asked for more at once."""
CLASSES = ("0123456789", "0123456789abcdef", "0123456789ABCDEF", "abcdefghijklmnopqrstuvwxyz")


def list_histories(s3: Server, bucket: str, prefix: str = "") -> Iterator[History]:
    """Every key that starts with `prefix` (a raw prefix), in UTF-8 byte order where the server lists in it."""
    return _Listing(s3, bucket, prefix).histories()


class NotInOrder(Exception):
    """The server lists current objects in an order of its own; list their versions instead."""


def list_current(s3: Server, bucket: str, prefix: str = "") -> Iterator[Entry]:
    """Every current object whose key starts with `prefix` (a raw prefix), in the same order, without version ids. Costs
    a page for 1,000 keys, however many versions they have. Raises NotInOrder, also after some were given."""
    return (history.entries[0] for history in _Listing(s3, bucket, prefix, current=True).histories())


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
    skip: the key of those markers, listed to its end before. hints: prefixes known to hold keys. told: the folder whose
    folders in this range are all among the hints, as are those of the folders around it. vain: one that was asked for
    more of them and had files. pages: read and not yet given out, with `held` entries. first: the first key read. last,
    last_page: key and version id of the last entry read, and its page. blind: no folders divide what is left, as far as
    is known. guessing: pages asked for where it may be cut. beyond: the first key seen at or after `until`, once done.
    """

    prefix: str
    until: str | None = None
    before: _Range | None = None
    after_before: bool = False
    key_marker: str = ""
    version_id_marker: str = ""
    skip: str | None = None
    size: int = 1000
    hints: list[str] = field(default_factory=list)
    told: str | None = None
    vain: str | None = None
    pages: deque[VersionPage] = field(default_factory=deque)
    read: int = 0
    next_split: int = 1
    held: int = 0
    busy: bool = False
    cutting: bool = False
    guessing: int = 0
    blind: bool = False
    first: str = ""
    done: bool = False
    last: tuple[str, str] | None = None
    last_page: VersionPage | None = None
    beyond: str | None = None


class _Listing:
    """One listing, of versions or of current objects: the ranges in key order, and what is to be asked next."""

    def __init__(self, s3: Server, bucket: str, prefix: str, *, current: bool = False) -> None:
        self._s3, self._bucket, self._current = s3, bucket, current
        self._ranges: list[_Range] = [_Range(prefix)]
        self._page, self._seen = 1000, False
        self._wait = float("inf")
        self._read_in, self._entries = 0.0, 0
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
                page = front.pages.popleft()
                front.held -= len(page.entries)
                for history in _grouped(page):
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
        """What can be read, the nearest of it; only where there is nothing, a cut of what is being read."""
        ahead = under_way = 0
        cut: _Range | None = None
        for one in self._ranges:
            if not one.done:
                if not one.busy and self._may_start(one):
                    one.busy = True
                    return self._page_job(one)
                under_way += one.busy
                ready = one.read >= one.next_split and one.last and not one.cutting
                if ready and (cut is None or cut.blind > one.blind):
                    cut = one
            # What is held behind a range must not keep it from being read: it is needed first.
            ahead += one.held + self._page * (one.busy + one.guessing)
            if ahead >= ENTRIES_AHEAD:
                break
        if cut is None or under_way * (BLINDLY if cut.blind else 1) >= self._enough():
            return None
        cut.cutting, cut.next_split = True, cut.read * 2
        # Where files came first, folders may have come since.
        if cut.blind and cut.last and not self._levels(cut, cut.last[0]):
            return self._cut_at_guesses(cut, (ENTRIES_AHEAD - ahead) // self._page)
        return self._cut_at_folders(cut)

    def _enough(self) -> float:
        """Ranges to be read at once: so many that there is always something to do, and not more."""
        reading = READ_TWICE * self._read_in * self._page / max(1, self._entries)
        return min(ENOUGH, 2 * self._wait / reading) if reading else ENOUGH

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
        ask = self._ask(one.prefix, "", one.key_marker, one.version_id_marker, one.size)
        asked = monotonic()
        page: VersionPage = yield ask
        self._wait = min(self._wait, max(0.0, monotonic() - asked - page.read_in))
        self._take(one, page)

    def _take(self, one: _Range, page: VersionPage) -> None:
        """Keep what a page holds of a range, whose next it is; a right guess brings the first one of a new range."""
        self._read_in += page.read_in
        self._entries += len(page.entries)
        if self._current and not _ascending(one.key_marker, page.entries):
            raise NotInOrder
        stays = (page.next_key_marker, page.next_version_id_marker) == (one.key_marker, one.version_id_marker)
        if page.is_truncated and (stays or not page.next_key_marker):
            if self._current:
                raise NotInOrder
            raise S3Error(
                f"ListObjectVersions s3://{self._bucket}/{one.prefix}: there is more, and the server does not say from "
                "where to go on",
                code="Truncated",
                operation="ListObjectVersions",
            )
        one.busy, one.size = False, 1000
        one.read += 1
        entries = [entry for entry in page.entries if entry.key != one.skip] if one.skip is not None else page.entries
        # A page whose keys ascend lies before what its last key lies before.
        if one.until is not None and not (entries and page.interleaved and entries[-1].key < one.until):
            entries = [entry for entry in entries if _less(entry.key, one.until)]
            past = [entry.key for entry in page.entries if not _less(entry.key, one.until)]
            if past:
                one.done, one.beyond = True, min(past)
        if not page.is_truncated:
            one.done = True
        one.key_marker, one.version_id_marker = page.next_key_marker, page.next_version_id_marker
        if page.entries:
            self._page = max(len(page.entries), self._page if self._seen else 0)
            self._seen = True
        if entries:
            last = entries[-1] if page.interleaved else max(entries, key=lambda e: (e.key, -e.last_modified))
            one.last = last.key, last.version_id
            one.first = one.first or entries[0].key
            one.last_page = page if entries is page.entries else replace(page, entries=entries)
            one.pages.append(one.last_page)
            one.held += len(entries)

    def _ask(
        self, prefix: str, delimiter: str = "", key: str = "", version_id: str = "", size: int = 1000
    ) -> Operation:
        if self._current:
            return ListObjects(self._bucket, prefix, delimiter, key, size)
        return ListVersions(self._bucket, prefix, delimiter, key, version_id, size)

    def _cut_at_folders(self, one: _Range) -> Job[None]:
        """Cut the rest of a range at folders known to lie in it, or at later siblings of the folders on the way to
        where it has come: of the highest ones first, since they hold most."""
        levels = [] if one.last is None else self._levels(one, one.last[0])
        after, more = one.last or ("", ""), False
        points, pieces, each = self._pieces(one)
        while levels and (pieces < 2 or (more and pieces < SPLIT_POINTS and len(points) < NAMES_AT_ONCE)):
            asked = levels[:2]
            answers: list[VersionPage] = yield [self._ask(level, "/", *after) for level in asked]
            hints = {*one.hints, *(prefix for answer in answers for prefix in answer.common_prefixes)}
            grown, one.hints = len(hints) > len(one.hints), sorted(hints)
            for level, answer in zip(asked, answers, strict=True):
                if more := answer.is_truncated and _less(answer.next_key_marker, one.until):
                    # Where files lie too, all of them would be listed on the way.
                    levels = [level] if grown and not answer.entries else []
                    one.vain = None if levels else level
                    after = answer.next_key_marker, answer.next_version_id_marker
                    break
                one.told = levels.pop(0)
            points, pieces, each = self._pieces(one)
        one.cutting = False
        if points and pieces:
            chosen = [points[number * len(points) // pieces] for number in range(pieces)]
            self._cut(one, chosen, cut_after=each, more=more)
            if pieces > 1:
                one.next_split = one.read + each
        elif points and not levels and not more:
            # Nothing need be asked to try it again when less is under way.
            one.next_split = one.read + 1
        elif not points:
            one.blind, one.next_split = True, max(one.next_split, BLIND_AFTER_PAGES)

    @staticmethod
    def _levels(one: _Range, key: str) -> list[str]:
        """The folders on the way to a key that may hold others which are not known, the highest first."""
        levels = [one.prefix] + [key[: i + 1] for i, c in enumerate(key) if c == "/" and i >= len(one.prefix)]
        if one.last_page is not None and is_flat(levels[-1], one.last_page):
            del levels[-1]
        levels = [level for level in levels if one.told is None or not one.told.startswith(level)]
        return [level for level in levels if level != one.vain]

    def _pieces(self, one: _Range) -> tuple[list[str], int, int]:
        """(the hints that can be used, how many pieces what they hold is worth, after how many pages a piece that is
        still not read to its end is longer than was thought)."""
        points = self._usable(one, one.hints)
        if not points or one.last_page is None:
            return [], 0, 1
        left, at_least = pages_left(one.last_page, points, one.first, one.read)
        # Where most would wait idly the pieces may be smaller: one page after another takes longer.
        idle = self._enough() - 2 * sum(other.busy for other in self._ranges)
        pieces = min(SPLIT_POINTS, len(points), int(max(left / PAGES_A_PIECE, min(left, idle))))
        return points, pieces, 1 if at_least or not pieces else 2 * -(-int(left) // pieces)

    def _cut_at_guesses(self, one: _Range, room: int) -> Job[None]:
        """Cut the rest of a range that no folders divide at beginnings that some of its keys have. room: pages that may
        still be held; where the guesses have not enough of it, it is only asked whether they are right."""
        page = one.last_page
        likely = [] if page is None else self._usable(one, guesses(one.first, page, one.prefix))
        found: list[VersionPage] = []
        whole = len(likely) <= room
        if likely:
            one.guessing = len(likely) * whole
            found = yield [self._ask(guess, size=1000 if whole else 1) for guess in likely]
            one.guessing = 0
        there = {guess: answer for guess, answer in zip(likely, found, strict=True) if answer.entries}
        points = self._usable(one, there)
        one.cutting = False
        if points:
            one.hints = sorted(there)
            for point, piece in zip(points, self._cut(one, points), strict=True):
                if whole:
                    self._take(piece, there[point])
            one.next_split = one.read + 1

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

    def _cut(self, one: _Range, points: list[str], *, cut_after: int = 1, more: bool = False) -> list[_Range]:
        """`one` goes on to the first point; each point is listed by its prefix, and so is what lies between two.
        Returns the ranges of the points.

        points: of the range's hints. cut_after: pages of a piece, after which it may be cut itself. more: whether the
        rest holds folders that are no hints.
        """
        at = self._ranges.index(one)
        pieces: list[_Range] = []
        left, old_until, hints = one, one.until, one.hints
        one.until = points[0]
        for index, point in enumerate(points):
            last = index + 1 == len(points)
            until = old_until if last else points[index + 1]
            inside = _Range(point, before=left, next_split=cut_after)
            between = _Range(one.prefix, until=until, before=inside, after_before=True, told=one.told)
            unknown = last and more
            between.next_split = 1 if unknown else cut_after
            # Those below the point lie in `inside`, and are left out where `between` is cut.
            between.hints = hints[bisect_right(hints, point) : bisect_left(hints, until) if until else None]
            between.size = 1000 if between.hints or unknown else 1
            pieces += [inside, between]
            left = between
        if at + 1 < len(self._ranges) and self._ranges[at + 1].before is one:
            self._ranges[at + 1].before = left
        self._ranges[at + 1 : at + 1] = pieces
        return pieces[::2]


def is_flat(folder: str, page: VersionPage) -> bool:
    """Whether a page shows nothing in a folder but what lies in it directly."""
    return not any(entry.key.startswith(folder) and "/" in entry.key[len(folder) :] for entry in page.entries)


def pages_left(page: VersionPage, folders: Iterable[str], first: str, read: int) -> tuple[float, bool]:
    """(how many pages `folders` fill, if each holds as much as its siblings that the page shows; whether that is only
    the least). first, read: where the range began and how many pages ago: a folder that has not ended since then holds
    at least as many."""
    coming = Counter(folder[: folder.rfind("/", 0, -1) + 1] for folder in folders)
    pages, at_least = 0.0, False
    for parent, count in coming.items():
        under = (entry.key for entry in page.entries if entry.key.startswith(parent))
        siblings = {key[: key.find("/", len(parent)) + 1] for key in under if "/" in key[len(parent) :]}
        if len(siblings) == 1 and first.startswith(min(siblings)):
            pages, at_least = pages + count * read, True
        else:
            # The first of them began before the page, or may have.
            began = len(siblings) - (page.entries[0].key != first)
            pages += count / max(1, began)
    return pages, at_least


def guesses(first: str, page: VersionPage, prefix: str) -> list[str]:
    """Prefixes that later keys may have, after those from `first` to the page's last were read: the last one with a
    later character of the same kind where the two begin to differ, or just before. A wrong guess costs a request.
    """
    last = max(entry.key for entry in page.entries)
    differ = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    seen = {c for entry in page.entries for c in entry.key[max(len(prefix), differ - 2) :]}
    letters = {c for c in seen if c.isalpha()}
    found = []
    for depth in (differ - 2, differ - 1, differ):
        if not len(prefix) <= depth < len(last):
            continue
        char = last[depth]
        kind = next((k for k in CLASSES if char in k and (len(k) == 10 or letters <= set(k))), "")
        if len(kind) == 10 and letters and letters <= set("abcdef"):
            kind = CLASSES[1]
        if not kind and char.isalpha():
            kind = CLASSES[3] if char.islower() else CLASSES[3].upper()
        found += [last[:depth] + c for c in kind if c > char]
    return found


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


def _ascending(after: str, entries: Iterable[Entry]) -> bool:
    """Whether each key comes after the one before."""
    for entry in entries:
        if entry.key <= after:
            return False
        after = entry.key
    return True


def _less(key: str, other: str | None) -> bool:
    """By code points, which is the order of UTF-8 bytes; None is after everything."""
    return other is None or key < other

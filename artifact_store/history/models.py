"""The models of a bucket: found while it is listed, judged by a few small reads.

Owns which folders may hold a model, what is read of them, and the two instants to use where a model is not whole. The
edge around `sets`, `saves` and `verdict`: its jobs ask S3, and nobody else's do for them. Refuses to hold a folder of
more than FILES_A_FOLDER files: it is restored key by key, unjudged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from artifact_store.formats.finding import Check, Finding
from artifact_store.history.instant import show
from artifact_store.history.layouts import LAYOUTS
from artifact_store.history.saves import Save, doubts, origins, saves
from artifact_store.history.sets import SMALL, File, Folder, Layout, ModelSet
from artifact_store.history.state import UNSETTLED_WINDOW, at, is_archived
from artifact_store.history.verdict import Condition, Evidence, judge
from artifact_store.s3.operations import Entry, GetObject, HeadObject, Job, ObjectHead, Operation

if TYPE_CHECKING:
    from artifact_store.history.listing import History
    from artifact_store.history.scope import Scope
    from artifact_store.s3.server import Server

R = TypeVar("R")

FILES_A_FOLDER = 20_000
"""Most files below a folder that is looked at as one model: memory stays flat, and no layout known has more."""

SAVES_TRIED = 10
"""How many saves before and after an instant are looked at for one that is whole."""

CHECKS_AT_ONCE = 64
"""Headers of one model read together."""

FOLDERS_AT_ONCE = 64
"""Folders judged together, so that their reads overlap and memory stays flat."""

NOTHING = File(0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One model at one instant.

    found: its files. condition, reasons: what it is worth. size: bytes of its files. saved: when the newest of them was
    written, None where none is there. before, after: instants at which it is whole, the newest at or before and the
    first after; only looked for where it is not whole, None where there is none. findings: what its headers say.
    """

    found: ModelSet
    condition: Condition
    reasons: tuple[str, ...]
    size: int
    saved: float | None
    before: int | None = None
    after: int | None = None
    findings: Mapping[str, Finding] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return self.condition is Condition.WHOLE

    @property
    def title(self) -> str:
        """Where it is, with its name where a prefix holds several."""
        return f"{self.found.prefix}{self.found.name}" or "(the bucket's root)"

    @property
    def instants(self) -> str:
        """The instants to use instead, in words."""
        if self.before is None and self.after is None:
            return "it is whole at no other instant that S3 still knows"
        after = f"first whole after: {show(self.after)}" if self.after is not None else "never whole after"
        if self.before is None:
            return f"never whole before; {after}"
        return f"newest whole at or before: {show(self.before)}; {after}"


@dataclass(slots=True)
class Candidate:
    """A folder that may hold a model. histories: path relative to the prefix -> everything that happened to it."""

    prefix: str
    layouts: tuple[Layout, ...]
    histories: dict[str, History]
    changed: bool


@dataclass(slots=True)
class _Open:
    """A folder whose keys are still coming."""

    prefix: str
    histories: dict[str, History] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    changed: bool = False
    too_large: bool = False


class Finder:
    """Takes the keys of a scope in their order; gives each folder that may hold a model once all of it was seen.

    Folders that the scope cuts through, above it or beside a raw prefix, are left out: they are seen in part only.
    """

    def __init__(self, scope: Scope, layouts: Sequence[Layout] | None = None) -> None:
        self._root, self._layouts = scope.root, LAYOUTS if layouts is None else layouts
        self._within = scope.prefix if scope.raw else scope.root
        self._open: list[_Open] = []

    def see(self, history: History, *, changed: bool) -> Iterator[Candidate]:
        """The next key. changed: whether the restore would write it."""
        key = history.key
        if not key.startswith(self._root) or key.endswith("/"):
            return
        while self._open and not key.startswith(self._open[-1].prefix):
            yield from self._close()
        if not self._open:
            self._open.append(_Open(self._root))
        while (slash := key.find("/", len(self._open[-1].prefix))) >= 0:
            parent = self._open[-1]
            parent.folders.add(key[len(parent.prefix) : slash])
            self._open.append(_Open(key[: slash + 1]))
        self._open[-1].names.add(key[len(self._open[-1].prefix) :])
        for folder in self._open:
            folder.changed = folder.changed or changed
            if len(folder.histories) == FILES_A_FOLDER:
                folder.too_large = True
                folder.histories.clear()
                folder.names.clear()
                folder.folders.clear()
            if not folder.too_large:
                folder.histories[key[len(folder.prefix) :]] = history

    def end(self) -> Iterator[Candidate]:
        """After the last key."""
        while self._open:
            yield from self._close()

    def _close(self) -> Iterator[Candidate]:
        folder = self._open.pop()
        if folder.too_large or not folder.prefix.startswith(self._within):
            return
        shallow = Folder(folder.prefix, dict.fromkeys([*folder.names, *(f"{f}/" for f in folder.folders)], NOTHING))
        layouts = tuple(layout for layout in self._layouts if layout.marks(shallow))
        if layouts:
            yield Candidate(folder.prefix, layouts, folder.histories, folder.changed)


def assess(bucket: str, candidate: Candidate, instant: float, *, settled: bool = False) -> Job[list[Verdict]]:
    """The models in a folder at an instant. settled: as in `state.at`. Raises S3Error."""
    look = _Look(bucket, candidate, settled)
    verdicts = []
    for found in (yield from look.sets(instant)):
        verdict = yield from look.judged(found, instant)
        if not verdict.whole:
            verdict = yield from look.with_instants(verdict, instant)
        verdicts.append(verdict)
    return verdicts


def timeline(
    bucket: str, candidate: Candidate, *, now: float
) -> Job[list[tuple[ModelSet, list[tuple[Save, Verdict]]]]]:
    """Each model of a folder as it is now, or was when it was last there, with its saves, oldest first, and what it was
    worth at the end of each. Raises S3Error."""
    look = _Look(bucket, candidate, settled=False)
    latest: dict[tuple[str, str], ModelSet] = {}
    ends = sorted({int(e.last_modified) for h in candidate.histories.values() for e in h.entries if not e.is_marker})
    for instant in (now, *reversed(ends[-SAVES_TRIED:])):
        for found in (yield from look.sets(instant)):
            latest.setdefault((found.layout, found.name), found)
        if latest:
            break
    told = []
    for found in latest.values():
        rows = []
        for save in look.saves(found):
            at_end = yield from look.set_at(found, save.last)
            if at_end is not None:
                rows.append((save, (yield from look.judged(at_end, save.last))))
        told.append((found, rows))
    return told


def survey(s3: Server, scope: Scope, work: Callable[[Candidate], Job[R]]) -> Iterator[R]:
    """Do something to every folder of the scope that may hold a model, while the scope is listed; in no order.

    Raises S3Error.
    """
    finder = Finder(scope)

    def candidates() -> Iterator[Candidate]:
        for history in scope.histories(s3):
            yield from finder.see(history, changed=False)
        yield from finder.end()

    waiting: list[Candidate] = []
    for candidate in candidates():
        waiting.append(candidate)
        if len(waiting) == FOLDERS_AT_ONCE:
            yield from s3.run(work(one) for one in waiting)
            waiting.clear()
    yield from s3.run(work(one) for one in waiting)


class _Look:
    """One folder, looked at as often as needed; small files are read once a version."""

    def __init__(self, bucket: str, candidate: Candidate, settled: bool) -> None:
        self.bucket, self.candidate, self.settled = bucket, candidate, settled
        self._contents: dict[tuple[str, str], bytes | None] = {}
        self._then: dict[float, dict[str, Entry]] = {}

    def then(self, instant: float) -> dict[str, Entry]:
        """Path -> the version that stood."""
        if instant in self._then:
            return self._then[instant]
        states = ((path, at(h, instant, settled=self.settled).then) for path, h in self.candidate.histories.items())
        self._then[instant] = {path: then for path, then in states if then is not None}
        return self._then[instant]

    def sets(self, instant: float) -> Job[list[ModelSet]]:
        then = self.then(instant)
        folder = Folder(self.candidate.prefix, {path: File(entry.size, entry.etag) for path, entry in then.items()})
        found: list[ModelSet] = []
        for layout in self.candidate.layouts:
            reading = layout.recognise(folder)
            content: bytes | None = None
            try:
                wanted = next(reading)
                while True:
                    content = yield from self._small(then.get(wanted))
                    wanted = reading.send(content)
            except StopIteration as end:
                found += end.value
        return found

    def set_at(self, like: ModelSet, instant: float) -> Job[ModelSet | None]:
        """The same model at another instant, None where it was not there."""
        for found in (yield from self.sets(instant)):
            if (found.layout, found.name) == (like.layout, like.name):
                return found
        return None

    def saves(self, found: ModelSet) -> list[Save]:
        """Of its files, with those that are named and missing."""
        histories = self.candidate.histories
        core = (*found.members, *found.indexes, *(missing.path for missing in found.missing))
        files = {path: histories[path].ordered() for path in dict.fromkeys(core) if path in histories}
        others = {path: histories[path].ordered() for path in found.others if path in histories and path not in files}
        return saves(files, others)

    def judged(self, found: ModelSet, instant: float) -> Job[Verdict]:
        then = self.then(instant)
        mine = {path: then[path] for path in dict.fromkeys(found.paths) if path in then}
        members = {path: mine[path] for path in found.members if path in mine}
        its_saves = self.saves(found)
        of = origins(its_saves, members)
        if found.sharded:
            for path, number in doubts(its_saves, members, of):
                if (yield from self._same(members[path], its_saves[number].written[path])):
                    of[path] |= {number}
        findings = yield from self._checked(members)
        condition, reasons = judge(Evidence(found, instant, mine, its_saves, of, findings))
        return Verdict(
            found,
            condition,
            reasons,
            size=sum(entry.size for entry in mine.values()),
            saved=max((entry.last_modified for entry in mine.values()), default=None),
            findings=findings,
        )

    def with_instants(self, verdict: Verdict, instant: float) -> Job[Verdict]:
        """The same with the two instants to use instead."""
        second = int(instant // 1)
        its_saves = self.saves(verdict.found)
        earlier = self._up_to(its_saves, second)
        later = [save.last for save in its_saves if save.last > second]
        if verdict.condition is Condition.UNCERTAIN:
            # What is uncertain now is settled an hour after the last upload began, if nothing else came.
            settled_at = int(verdict.saved or 0) + UNSETTLED_WINDOW
            later = sorted({*later, settled_at} if not later or settled_at < its_saves[-len(later)].first else {*later})
            earlier = [end for end in earlier if end < int(verdict.saved or 0)]
        before = yield from self._first_whole(verdict.found, earlier)
        after = yield from self._first_whole(verdict.found, later)
        return Verdict(
            verdict.found,
            verdict.condition,
            verdict.reasons,
            verdict.size,
            verdict.saved,
            before,
            after,
            verdict.findings,
        )

    @staticmethod
    def _up_to(its_saves: Sequence[Save], second: int) -> list[int]:
        """Instants worth a look, newest first: just before the next save began, so that what was mended in between is
        kept, and where each save ended."""
        found: list[int] = []
        until = second
        for save in reversed(its_saves):
            if save.last <= second:
                found += [min(until, second), save.last]
            until = save.first - 1
        return list(dict.fromkeys(found))

    def _first_whole(self, like: ModelSet, instants: Sequence[int]) -> Job[int | None]:
        for instant in instants[:SAVES_TRIED]:
            found = yield from self.set_at(like, instant)
            if found is not None and (yield from self.judged(found, instant)).whole:
                return instant
        return None

    def _small(self, entry: Entry | None) -> Job[bytes | None]:
        if entry is None or entry.size > SMALL or is_archived(entry):
            return None
        if not entry.size:
            return b""
        known = entry.key, entry.version_id
        if known not in self._contents:
            self._contents[known] = (yield GetObject(self.bucket, entry.key, entry.version_id)).data
        return self._contents[known]

    def _checked(self, members: Mapping[str, Entry]) -> Job[dict[str, Finding]]:
        """What the headers say. Archived files are left out: they cannot be read."""
        from artifact_store.formats import check

        todo = [(path, entry) for path, entry in members.items() if entry.size and not is_archived(entry)]
        findings: dict[str, Finding] = {}
        for start in range(0, len(todo), CHECKS_AT_ONCE):
            batch = todo[start : start + CHECKS_AT_ONCE]
            checks = [check(path, entry.size) for path, entry in batch]
            found = yield from together(self.bucket, [entry for _, entry in batch], checks)
            findings |= dict(zip((path for path, _ in batch), found, strict=True))
        return findings

    def _same(self, one: Entry, other: Entry) -> Job[bool]:
        """Whether stored checksums prove that two versions have the same content; ETags differ where KMS encrypts."""
        heads: list[ObjectHead] = yield [
            HeadObject(self.bucket, entry.key, entry.version_id, checksum=True) for entry in (one, other)
        ]
        first, second = (head.checksums for head in heads)
        return any(second.get(algorithm) == value for algorithm, value in first.items())


def together(bucket: str, entries: Sequence[Entry], checks: Sequence[Check]) -> Job[list[Finding]]:
    """Run checks side by side: the ranges that all of them want next are asked for at once."""
    found: dict[int, Finding] = {}
    sent: dict[int, Any] = dict.fromkeys(range(len(checks)))
    while sent:
        wanted: dict[int, Operation] = {}
        for number, data in sent.items():
            try:
                part = next(checks[number]) if data is None else checks[number].send(data)
            except StopIteration as end:
                found[number] = end.value
            else:
                entry = entries[number]
                wanted[number] = GetObject(bucket, entry.key, entry.version_id, part.first, part.last)
        if not wanted:
            break
        bodies: list[Any] = yield list(wanted.values())
        sent = {number: body.data for number, body in zip(wanted, bodies, strict=True)}
    return [found[number] for number in range(len(checks))]

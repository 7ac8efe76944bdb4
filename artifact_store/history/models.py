"""The models of a bucket: found while it is listed, judged by a few small reads.

Owns which folders may hold a model, what is read of them, and the two instants to use where a model is not whole. The
edge around `sets`, `saves` and `verdict`: its jobs ask S3, and nobody else's do for them. Refuses to hold a folder of
more than FILES_A_FOLDER files: it is told of as unjudged, and restored key by key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress, pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from artifact_store.errors import S3Error
from artifact_store.formats.finding import Check, Finding
from artifact_store.history.contents import Contents
from artifact_store.history.instant import show
from artifact_store.history.layouts import LAYOUTS
from artifact_store.history.layouts.configs import is_config
from artifact_store.history.layouts.marks import may_tell
from artifact_store.history.sameness import same_by_heads
from artifact_store.history.saves import Origins, Save, doubts, origins, saves
from artifact_store.history.sets import SMALL, THAW, Folder, Layout, ModelSet, shallow
from artifact_store.history.state import is_archived, is_multipart, open_for, standing
from artifact_store.history.verdict import Condition, Evidence, judge, some, warn
from artifact_store.s3.operations import Entry, GetObject, HeadObject, Job, ObjectBody, ObjectHead, Operation

if TYPE_CHECKING:
    from artifact_store.history.listing import History
    from artifact_store.history.scope import Scope
    from artifact_store.s3.server import Server

Q = TypeVar("Q")
R = TypeVar("R")

FILES_A_FOLDER = 20_000
"""Most files below a folder that is looked at as one model: memory stays flat, and no layout known has more."""

KEYS_A_DROP = 1000
"""Keys seen before those are let go of that are only of folders with more files than that."""

SAVES_TRIED = 40
"""How many instants before and after another are looked at for one at which a model is whole."""

PAUSES_TRIED = 3
"""How many pauses of a save are among them."""

CHECKS_AT_ONCE = 64
"""Headers of one model read together."""

BESIDE_READ = 32
"""Most configs, tokenizers and unread indexes of one model that are looked into."""

FOLDERS_AT_ONCE = 64
"""Folders judged together, so that their reads overlap and memory stays flat."""

FILES_KEPT = 100_000
"""Most files of a folder that are remembered, those of all instants together."""

AFTER_ALL = 1e11
"""An instant after all that is listed: what stands at it stands now."""

UNREADABLE = (403, 404)
"""Statuses of a version that may not be read, or is gone: it must not keep the other models from being looked at."""

DIGITS = re.compile(r"\d+")
"""What tells pieces of one kind apart."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One model at one instant.

    found: its files. condition, reasons: what it is worth. size: bytes of its files. saved: when the newest of them was
    written, None where none is there. before, after: instants at which it is whole, the newest at or before and the
    first after; only looked for where it is not whole, None where none was found. absent_before: before its first save,
    which is under way, there was nothing, and `before` says when. paths_before: the model's files at `before`.
    warnings: what its user should know, whatever the condition. archived: files that must be thawed before it can be
    judged at all; `thaw_first` where that is all that speaks against it. changed: it is not now as it was; told only of
    one that is not whole.
    """

    found: ModelSet
    condition: Condition
    reasons: tuple[str, ...]
    size: int
    saved: float | None
    before: int | None = None
    after: int | None = None
    absent_before: bool = False
    paths_before: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    archived: tuple[str, ...] = ()
    changed: bool = True

    @property
    def thaw_first(self) -> bool:
        return bool(self.archived) and all(reason.endswith(THAW) for reason in self.reasons)

    @property
    def whole(self) -> bool:
        return self.condition is Condition.WHOLE

    @property
    def found_whole(self) -> bool:
        """Whether there is an instant at which it is whole."""
        return self.before is not None or self.after is not None

    @property
    def title(self) -> str:
        """Where it is, with its name where a prefix holds several."""
        return f"{self.found.prefix}{self.found.name}" or "(the bucket's root)"

    @property
    def instants(self) -> str:
        """The instants to use instead, in words."""
        if self.before is None and self.after is None:
            return f"no instant at which it is whole was found (at most {SAVES_TRIED} are tried)"
        after = f"first whole after: {show(self.after)}" if self.after is not None else "never whole after"
        if self.absent_before and self.before is not None:
            return f"not there yet at {show(self.before)}; {after}"
        if self.before is None:
            return f"never whole before; {after}"
        return f"newest whole at or before: {show(self.before)}; {after}"


@dataclass(slots=True)
class Candidate:
    """A folder that may hold a model. histories: path relative to the prefix -> everything that happened to it.
    written: paths that a restore would write. left_out: paths it would write, were they not left out. known: an instant
    at which it is known already what stood, and `then` what did, path -> version. contents: shared with others."""

    prefix: str
    layouts: tuple[Layout, ...]
    histories: dict[str, History]
    written: set[str] = field(default_factory=set)
    left_out: set[str] = field(default_factory=set)
    known: float | None = None
    then: dict[str, Entry] = field(default_factory=dict)
    contents: Contents = field(default_factory=Contents)


@dataclass(slots=True)
class _Open:
    """A folder whose keys are still coming. start: how many keys had come before its first. names, folders: directly in
    it, the first FILES_A_FOLDER of each, and of names those alone that may tell of a layout."""

    prefix: str
    start: int
    names: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)


class Finder:
    """Takes the keys of a scope in their order; gives each folder that may hold a model once all of it was seen.

    Folders that the scope cuts through, above it or beside a raw prefix, are left out: they are seen in part only.
    known: the instant at which each key's `then` stood, for whoever tells that. contents: what is known already.
    unjudged: (prefix, names of layouts) of the folders that look like a model and hold more than FILES_A_FOLDER files.
    """

    def __init__(
        self,
        scope: Scope,
        layouts: Sequence[Layout] | None = None,
        *,
        known: float | None = None,
        contents: Contents | None = None,
    ) -> None:
        self._root, self._layouts, self._known = scope.root, LAYOUTS if layouts is None else layouts, known
        self._within = scope.prefix if scope.raw else scope.root
        self._open = [_Open(self._root, 0)]
        self._histories: list[History] = []
        """The last keys: all of each open folder that is not too large. Of each what stood, and what a restore does."""
        self._then: list[Entry | None] = []
        self._written: list[bool] = []
        self._left_out: list[bool] = []
        self._contents = contents or Contents()
        self._seen = self._dropped = 0
        """How many keys came, and how many of them before those."""
        self.unjudged: list[tuple[str, tuple[str, ...]]] = []

    def see(
        self, history: History, *, then: Entry | None = None, written: bool = False, left_out: bool = False
    ) -> Sequence[Candidate]:
        """The next key; gives the folders that ended before it. then: what stood at the instant. written, left_out:
        what a restore does to it."""
        key, folder = history.key, self._open[-1]
        ended: list[Candidate] = []
        if key.endswith("/") or not key.startswith(self._root):
            return ended
        while not key.startswith(folder.prefix):
            ended += self._close()
            folder = self._open[-1]
        while (slash := key.find("/", len(folder.prefix))) >= 0:
            _keep(folder.folders, key[len(folder.prefix) : slash])
            folder = _Open(key[: slash + 1], self._seen)
            self._open.append(folder)
        if may_tell(name := key[len(folder.prefix) :]):
            _keep(folder.names, name)
        if self._seen % KEYS_A_DROP == 0:
            self._drop(self._seen)
        self._seen += 1
        self._histories.append(history)
        self._then.append(then)
        self._written.append(written)
        self._left_out.append(left_out)
        return ended

    def _drop(self, seen: int) -> None:
        """What is only of folders that are too large."""
        start = min((folder.start for folder in self._open if seen - folder.start <= FILES_A_FOLDER), default=seen)
        for kept in (self._histories, self._then, self._written, self._left_out):
            del kept[: start - self._dropped]
        self._dropped = start

    def sees_whole(self, key: str) -> bool:
        """Whether all of the key's folder is in the scope."""
        return key[: key.rfind("/") + 1].startswith(self._within)

    def end(self) -> Sequence[Candidate]:
        """After the last key."""
        return [candidate for _ in range(len(self._open)) for candidate in self._close()]

    def _close(self) -> Sequence[Candidate]:
        """The innermost folder; nothing where it holds no model, or too many files."""
        folder = self._open.pop()
        if not folder.prefix.startswith(self._within):
            return ()
        seen = shallow(folder.prefix, (*folder.names, *(f"{name}/" for name in folder.folders)))
        layouts = tuple(layout for layout in self._layouts if layout.marks(seen))
        if not layouts:
            return ()
        if self._seen - folder.start > FILES_A_FOLDER:
            self.unjudged.append((folder.prefix, tuple(layout.name for layout in layouts)))
            return ()
        first, start = folder.start - self._dropped, len(folder.prefix)
        histories = self._histories[first:]
        paths = [history.key[start:] for history in histories]
        found = Candidate(
            folder.prefix,
            layouts,
            histories=dict(zip(paths, histories, strict=True)),
            written=set(compress(paths, self._written[first:])),
            left_out=set(compress(paths, self._left_out[first:])),
            contents=self._contents,
        )
        if self._known is not None:
            found.known = self._known
            stood = zip(paths, self._then[first:], strict=True)
            found.then = {path: then for path, then in stood if then is not None}
        return (found,)


def _keep(names: set[str], name: str) -> None:
    if len(names) < FILES_A_FOLDER:
        names.add(name)


def assess(
    bucket: str,
    candidate: Candidate,
    instant: float,
    *,
    settled: bool = False,
    chosen: Mapping[Identity, float] | None = None,
    now: float = float("inf"),
    only: Callable[[ModelSet], bool] | None = None,
) -> Job[list[Verdict]]:
    """The models in a folder at an instant. settled: as in `state.at`. chosen: models that are taken from another
    instant. now: when the listing began, where that is known: uploads that it shows had ended by then. only: which of
    them to judge. Raises S3Error."""
    look = _Look(bucket, candidate, settled, now)
    verdicts = []
    known = yield from look.sets(instant)
    for found in (*known, *(yield from look.coming(instant, known))):
        when = (chosen or {}).get(identity(found), instant)
        there = found if when == instant else (yield from look.set_at(found, when))
        if there is None or (only is not None and not only(there)):
            continue
        verdict = yield from look.judged(there, when)
        if not verdict.whole:
            verdict = yield from look.with_instants(verdict, when)
            verdict = replace(verdict, changed=(yield from look.has_changed(there, when)))
        verdicts.append(verdict)
    return verdicts


Identity = tuple[str, str, str]
"""Layout, prefix and name: what makes a set the same at another instant."""


def identity(found: ModelSet) -> Identity:
    return found.layout, found.prefix, found.name


def timeline(
    bucket: str, candidate: Candidate, *, now: float, since: float | None = None, until: float | None = None
) -> Job[list[tuple[ModelSet, list[tuple[Save, Verdict | None]]]]]:
    """Each model of a folder as it is now, or was when it was last there, with its saves, oldest first, and what it was
    worth at the end of each: None where it was deleted. since, until: leave out saves that ended before or began after.
    Raises S3Error."""
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
        rows: list[tuple[Save, Verdict | None]] = []
        for save in (yield from (look.own_saves(found) if found.lists_all else look.saves(found))):
            if (since is not None and save.last < since) or (until is not None and save.first > until):
                continue
            at_end = yield from look.set_at(found, save.last)
            if at_end is not None:
                rows.append((save, (yield from look.judged(at_end, save.last))))
            elif save.deleted:
                rows.append((save, None))
        told.append((found, rows))
    return told


def survey(s3: Server, scope: Scope, work: Callable[[Candidate], Job[R]], finder: Finder | None = None) -> Iterator[R]:
    """Do something to every folder of the scope that may hold a model, while the scope is listed; in no order. finder:
    that finds them, for whoever wants to know what is unjudged.

    Raises S3Error.
    """
    finder = finder or Finder(scope)

    def candidates() -> Iterator[Candidate]:
        for history in scope.histories(s3):
            yield from finder.see(history)
        yield from finder.end()

    waiting: list[Candidate] = []
    for candidate in candidates():
        waiting.append(candidate)
        if len(waiting) == FOLDERS_AT_ONCE:
            yield from s3.run(work(one) for one in waiting)
            waiting.clear()
    yield from s3.run(work(one) for one in waiting)


_Version = tuple[str, str]
"""Key and version id."""


def _version(entry: Entry) -> _Version:
    return entry.key, entry.version_id


class _Look:
    """One folder, looked at as often as needed; what was asked of a version once is kept."""

    def __init__(self, bucket: str, candidate: Candidate, settled: bool, now: float = float("inf")) -> None:
        self.bucket, self.candidate, self.settled, self.now = bucket, candidate, settled, now
        self._then: dict[float, dict[str, Entry]] = {}
        if candidate.known is not None:
            self._then[candidate.known] = candidate.then
        self._sets: dict[float, list[ModelSet]] = {}
        self._newest: dict[Identity, ModelSet] | None = None
        self._saves: dict[tuple[frozenset[str], frozenset[str]], list[Save]] = {}
        self._own: dict[tuple[frozenset[str], frozenset[str]], list[Save]] = {}
        self._asked: set[_Version] = set()
        """Small files that a layout wanted to read."""
        self._files: dict[_Version, bytes | None] = {}
        self._findings: dict[_Version, Finding] = {}
        self._denied: set[_Version] = set()
        """Whose header may not be read, or which were gone."""
        self._same: dict[tuple[_Version, _Version], bool] = {}
        """Of two versions, whether HEADs prove that they hold the same bytes."""

    def then(self, instant: float) -> dict[str, Entry]:
        """Path -> the version that stood."""
        if instant in self._then:
            return self._then[instant]
        while len(self._then) > FILES_KEPT // (1 + len(self.candidate.histories)):
            oldest = next(iter(self._then))
            del self._then[oldest]
            self._sets.pop(oldest, None)
        found = ((path, standing(h, instant, settled=self.settled)) for path, h in self.candidate.histories.items())
        self._then[instant] = {path: then for path, then in found if then is not None}
        return self._then[instant]

    def sets(self, instant: float) -> Job[list[ModelSet]]:
        """The models that were there."""
        if instant not in self._sets:
            self._sets[instant] = yield from self._recognised(self.then(instant))
        return self._sets[instant]

    def _recognised(self, then: Mapping[str, Entry]) -> Job[list[ModelSet]]:
        """The sets of which anything is there: which layouts are tried is told by what was there at any time."""
        folder = Folder(self.candidate.prefix, then)
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
        return [one for one in found if any(path in then for path in one.paths) or (one.warnings and not one.paths)]

    def set_at(self, like: ModelSet, instant: float) -> Job[ModelSet | None]:
        """The same model at another instant, None where it was not there."""
        for found in (yield from self.sets(instant)):
            if identity(found) == identity(like):
                return found
        return None

    def has_changed(self, found: ModelSet, instant: float) -> Job[bool]:
        """Whether anything that made this model what it was is different now: its files, or what else is of it."""
        then, now = self.then(instant), self.then(AFTER_ALL)
        if any(then.get(path) != now.get(path) for path in found.paths):
            return True
        return found not in (yield from self.sets(AFTER_ALL))

    def _with_all_members(self, found: ModelSet) -> Job[ModelSet]:
        """The set with all the members that it had at any time, where only their names tell which these are: of a first
        save that is under way those to come are known from what came. Else the set itself."""
        if found.indexes or not found.parts:
            return found
        newest = (yield from self._newest_sets()).get(identity(found), found)
        # Where readers differ, its members are of more than one save.
        return found if newest.readers else newest

    def coming(self, instant: float, known: Sequence[ModelSet]) -> Job[list[ModelSet]]:
        """The models whose first save is under way at the instant, and of which nothing that is there yet tells that
        they will be: their index, or whatever shows them, is written last."""
        if not self._is_busy(instant):
            return []
        then, names = self.then(instant), {identity(found) for found in known}
        found = []
        for one in (yield from self._newest_sets()).values():
            # A config beside it may be another model's.
            if identity(one) not in names and any(path in then for path in (*one.members, *one.indexes)):
                its_saves = yield from self.saves(one)
                if any(save.start <= instant // 1 < save.end for save in its_saves):
                    found.append(one)
        return found

    def _is_busy(self, instant: float) -> bool:
        """Whether files that were not there yet were written so soon after others that they may be of one save."""
        then, second = self.then(instant), int(instant // 1)
        if not then or len(then) == len(self.candidate.histories):
            return False
        absent = [h for path, h in self.candidate.histories.items() if path not in then and h.entries]
        first = (int(min(entry.last_modified for entry in history.entries)) for history in absent)
        came = min((time for time in first if time > second), default=None)
        if came is None:
            return False
        began = max(int(entry.last_modified) for entry in then.values())
        return came - began <= open_for(max(entry.size for entry in then.values()))

    def _newest_sets(self) -> Job[dict[Identity, ModelSet]]:
        """The sets in the newest of all that was ever written, also of what was deleted."""
        if self._newest is None:
            every = ((path, history.ordered()) for path, history in self.candidate.histories.items())
            newest = {path: next((e for e in entries if not e.is_marker), None) for path, entries in every}
            sets = yield from self._recognised({path: entry for path, entry in newest.items() if entry is not None})
            self._newest = {identity(one): one for one in sets}
        return self._newest

    def saves(self, found: ModelSet) -> Job[list[Save]]:
        """Of its files, with those that are named and missing. A pointer that stands alone changes what is loaded; of
        one beside members it is as of a config."""
        needed, beside = yield from self._files_of(found)
        files = self._histories(needed)
        others = self._histories(path for path in beside if path not in files)
        known = frozenset(files), frozenset(others)
        if known not in self._saves:
            self._saves[known] = saves(files, others)
        return self._saves[known]

    def own_saves(self, found: ModelSet) -> Job[list[Save]]:
        """The same without the versions of an index that list none of its files: those of another sharding."""
        needed, beside = yield from self._files_of(found)
        known = frozenset(needed), frozenset(beside)
        if known not in self._own:
            foreign = yield from self._foreign(found)
            files = {
                path: [entry for entry in entries if _version(entry) not in foreign]
                for path, entries in self._histories(needed).items()
            }
            self._own[known] = saves(files, self._histories(path for path in beside if path not in files))
        return self._own[known]

    def _foreign(self, found: ModelSet) -> Job[set[_Version]]:
        named = {*found.members, *(missing.path for missing in found.missing)}
        foreign: set[_Version] = set()
        for path, entries in self._histories(found.indexes).items():
            for entry in [entry for entry in entries if not entry.is_marker][:SAVES_TRIED]:
                instant = float(int(entry.last_modified))
                if self.then(instant).get(path) is not entry:
                    continue
                was = yield from self.set_at(found, instant)
                if was is None or path not in was.indexes:
                    continue
                if named.isdisjoint((*was.members, *(missing.path for missing in was.missing))):
                    foreign.add(_version(entry))
        return foreign

    def _files_of(self, found: ModelSet) -> Job[tuple[list[str], list[str]]]:
        """(what it cannot do without, the rest of it)."""
        ever, histories = (yield from self._with_all_members(found)), self.candidate.histories
        missing = [missing.path for missing in found.missing]
        needed = [*found.members, *found.indexes, *missing, *ever.members]
        beside = list(found.others)
        (beside if found.members else needed).extend(found.pointers)
        if folders := tuple(f"{path}/" for path in missing if path not in histories):
            needed += (path for path in histories if path.startswith(folders))
        return needed, beside

    def _with_lost(self, found: ModelSet, its_saves: Sequence[Save], instant: float) -> Job[ModelSet]:
        """The same with a problem for pieces that were written with those that stand and were deleted since. A kind of
        piece of which nothing is left was not wanted any more."""
        ever, then, second = (yield from self._with_all_members(found)), self.then(instant), int(instant // 1)
        pieces = {path for files in ever.parts.values() for path in files}
        stand = {then[path].version_id for path in found.members if path in then}
        kinds = {DIGITS.sub("#", path) for path in found.members}
        lost = []
        for path in sorted(pieces - then.keys()):
            was = next(
                (e for e in self._histories([path])[path] if not e.is_marker and e.last_modified < second + 1), None
            )
            saved = (save for save in its_saves if was is not None and save.written.get(path) is was)
            together = any(stand & {entry.version_id for entry in save.written.values()} for save in saved)
            if together and DIGITS.sub("#", path) in kinds:
                lost.append(path)
        if not lost:
            return found
        return replace(found, problems=(*found.problems, f"written with the rest and deleted since: {some(lost)}"))

    def _histories(self, paths: Iterable[str]) -> dict[str, Sequence[Entry]]:
        histories = self.candidate.histories
        return {path: histories[path].ordered() for path in dict.fromkeys(paths) if path in histories}

    def judged(self, found: ModelSet, instant: float) -> Job[Verdict]:
        verdict = yield from self._judged(found, instant, (yield from self.saves(found)))
        # Only an index that lists all files tells that it is of others: Orbax names its files anew in each save.
        if verdict.condition is Condition.MID_SAVE and found.lists_all:
            again = yield from self._judged(found, instant, (yield from self.own_saves(found)))
            return again if again.whole else verdict
        return verdict

    def _judged(self, found: ModelSet, instant: float, its_saves: Sequence[Save]) -> Job[Verdict]:
        then = self.then(instant)
        mine = {path: then[path] for path in dict.fromkeys(found.paths) if path in then}
        found = yield from self._with_lost(found, its_saves, instant)
        of = yield from self._origins(found, its_saves, mine)
        findings = yield from self._checked(found, mine)
        evidence = Evidence(
            found,
            instant,
            mine,
            self._histories(mine),
            its_saves,
            of,
            findings,
            read={path for path, entry in mine.items() if _version(entry) in self._asked},
            denied={path for path, entry in mine.items() if _version(entry) in self._denied},
            ended=instant >= self.now,
        )
        condition, reasons = judge(evidence)
        frozen = any(reason.endswith(THAW) for reason in reasons)
        return Verdict(
            found,
            condition,
            reasons,
            size=sum(entry.size for entry in mine.values()),
            saved=max((entry.last_modified for entry in mine.values()), default=None),
            warnings=(*found.warnings, *warn(evidence, condition)),
            archived=tuple(path for path in mine if frozen and path in evidence.read and is_archived(mine[path])),
        )

    def _origins(self, found: ModelSet, its_saves: Sequence[Save], mine: Mapping[str, Entry]) -> Job[Origins]:
        """Which saves the files of its parts are of; checksums are asked for where ETags leave that open."""
        bound = {path: mine[path] for files in found.parts.values() for path in files if path in mine}
        of = origins(its_saves, bound)
        for files in found.parts.values():
            part = {path: bound[path] for path in files if path in bound}
            pairs = [
                (path, number, (part[path], its_saves[number].written[path]))
                for path, number in doubts(its_saves, part, {path: of[path] for path in part})
            ]
            yield from self._compare([pair for _, _, pair in pairs])
            for path, number, (one, other) in pairs:
                if self._same[_version(one), _version(other)]:
                    of[path] |= {number}
        return of

    def _compare(self, pairs: Iterable[tuple[Entry, Entry]]) -> Job[None]:
        """Ask for the HEADs of both, of each pair once."""
        todo = {(_version(one), _version(other)): (one, other) for one, other in pairs}
        new = [(known, pair) for known, pair in todo.items() if known not in self._same]
        for start in range(0, len(new), CHECKS_AT_ONCE):
            some_pairs = new[start : start + CHECKS_AT_ONCE]
            heads = yield from _each(self._heads, [entry for _, pair in some_pairs for entry in pair], lambda _: None)
            for (known, (one, _)), first, second in zip(some_pairs, heads[::2], heads[1::2], strict=True):
                same = first is not None and second is not None and same_by_heads(first, second, one.key)
                self._same[known] = same is True

    def _heads(self, entries: Sequence[Entry]) -> Job[list[ObjectHead | None]]:
        asks: list[Operation] = [HeadObject(self.bucket, *_version(entry), checksum=True) for entry in entries]
        heads: list[ObjectHead | None] = yield asks
        return heads

    def with_instants(self, verdict: Verdict, instant: float) -> Job[Verdict]:
        """The same with the two instants to use instead."""
        second = int(instant // 1)
        its_saves = yield from self.saves(verdict.found)
        earlier = self._instants_up_to(its_saves, second)
        later = self._instants_from(its_saves, second)
        if verdict.condition is Condition.UNCERTAIN:
            earlier = [end for end in earlier if end < int(verdict.saved or 0)]
        before, paths = yield from self._first_whole(verdict.found, earlier)
        after, _ = yield from self._first_whole(verdict.found, later)
        absent = False
        under_way = next((save for save in its_saves if save.straddles(second)), None)
        if before is None and under_way is not None:
            # A file that it shares with another model may have been there long before.
            first = under_way is its_saves[0]
            absent = first or (yield from self.set_at(verdict.found, under_way.first - 1)) is None
            before = under_way.first - 1 if absent else None
        return replace(verdict, before=before, after=after, absent_before=absent, paths_before=paths)

    @staticmethod
    def _instants_up_to(its_saves: Sequence[Save], second: int) -> list[int]:
        """Instants worth a look, newest first: just before the next save began, so that what was mended in between is
        kept, where each save ended, and where it paused: what came after may have been of none."""
        found: list[int] = []
        until = second
        for save in reversed(its_saves):
            if save.last <= second:
                found += [min(until, second), save.last, *_pauses(save)]
            until = save.first - 1
        return list(dict.fromkeys(found))

    @staticmethod
    def _instants_from(its_saves: Sequence[Save], second: int) -> list[int]:
        """Instants after it that are worth a look, the first one first: where each save ended, and where its uploads
        must have ended or the next save is about to begin."""
        found: list[int] = []
        for number, save in enumerate(its_saves):
            uploads = [entry for entry in save.written.values() if is_multipart(entry)]
            settled = max((int(entry.last_modified) + open_for(entry.size) for entry in uploads), default=save.last)
            until = its_saves[number + 1].first - 1 if number + 1 < len(its_saves) else settled
            found += [instant for instant in (save.last, min(settled, until)) if instant > second]
        return list(dict.fromkeys(found))

    def _first_whole(self, like: ModelSet, instants: Sequence[int]) -> Job[tuple[int | None, tuple[str, ...]]]:
        for instant in instants[:SAVES_TRIED]:
            found = yield from self.set_at(like, instant)
            if found is not None and (yield from self.judged(found, instant)).whole:
                return instant, found.paths
        return None, ()

    def _small(self, entry: Entry | None) -> Job[bytes | None]:
        if entry is None:
            return None
        known = _version(entry)
        self._asked.add(known)
        if entry.size > SMALL or is_archived(entry):
            return None
        if not entry.size:
            return b""
        if known not in self._files:
            self._files[known] = self.candidate.contents.of(entry)
            if self._files[known] is None:
                self._files[known] = yield from self._read(entry)
        return self._files[known]

    def _read(self, entry: Entry) -> Job[bytes | None]:
        try:
            body: ObjectBody = yield GetObject(self.bucket, *_version(entry))
        except S3Error as error:
            if error.status not in UNREADABLE:
                raise
            return None
        self.candidate.contents.keep(entry, body)
        return body.data

    def _checked(self, found: ModelSet, mine: Mapping[str, Entry]) -> Job[dict[str, Finding]]:
        """What the headers of members say, and whether the small files beside them are what their names say. Archived
        files are left out: they cannot be read."""
        from artifact_store.formats.checks import check
        from artifact_store.formats.glance import glance

        beside = [
            path
            for path in (*found.configs, *found.indexes)
            if path in mine and _version(mine[path]) not in self._asked
        ]
        beside += [path for path in found.others if is_config(path) and path not in beside]
        wanted = [path for path in found.members if path not in found.hashed] + beside[:BESIDE_READ]
        there = {path: mine[path] for path in dict.fromkeys(wanted) if path in mine}
        todo = {
            _version(entry): (entry, check if path in found.members else glance)
            for path, entry in there.items()
            if entry.size and not is_archived(entry) and _version(entry) not in self._findings
        }
        for start in range(0, len(todo), CHECKS_AT_ONCE):
            batch = list(todo.values())[start : start + CHECKS_AT_ONCE]
            findings = yield from _each(self._headers, batch, self._unread)
            self._findings.update(zip((_version(entry) for entry, _ in batch), findings, strict=True))
        known = {path: self._findings.get(_version(entry)) for path, entry in there.items()}
        return {path: finding for path, finding in known.items() if finding is not None}

    def _headers(self, wanted: Sequence[_Wanted]) -> Job[list[Finding]]:
        checks = [look(entry.key, entry.size) for entry, look in wanted]
        return (yield from together(self.bucket, [entry for entry, _ in wanted], checks, self.candidate.contents))

    def _unread(self, wanted: _Wanted) -> Finding:
        self._denied.add(_version(wanted[0]))
        return Finding(proved=False)


def _pauses(save: Save) -> list[int]:
    """The last second of each of its longest pauses, newest first."""
    seconds = sorted(set(save.changes))
    longest = sorted(pairwise(seconds), key=lambda pair: pair[0] - pair[1])[:PAUSES_TRIED]
    return sorted((later - 1 for earlier, later in longest if later - earlier > 1), reverse=True)


_Wanted = tuple["Entry", Callable[[str, int], Check]]
"""A file, and how to look at it."""


def _each(ask: Callable[[Sequence[Q]], Job[list[R]]], of: Sequence[Q], instead: Callable[[Q], R]) -> Job[list[R]]:
    """What is answered when all are asked about together, or one by one where some may not be read or are gone."""
    try:
        return (yield from ask(of))
    except S3Error as error:
        if error.status not in UNREADABLE:
            raise
        if len(of) == 1:
            return [instead(of[0])]
    found: list[R] = []
    for one in of:
        found += yield from _each(ask, [one], instead)
    return found


def together(
    bucket: str, entries: Sequence[Entry], checks: Sequence[Check], contents: Contents | None = None
) -> Job[list[Finding]]:
    """Run checks side by side: the ranges that all of them want next are asked for at once. contents: where files that
    it knows are read instead, and those that are read whole are kept."""
    contents = contents or Contents()
    found: dict[int, Finding] = {}
    sent: dict[int, Any] = dict.fromkeys(range(len(checks)))
    while sent:
        wanted: dict[int, Operation] = {}
        for number, data in sent.items():
            entry, known = entries[number], contents.of(entries[number])
            try:
                part = next(checks[number]) if data is None else checks[number].send(data)
                while known is not None:
                    part = checks[number].send(known[part.first : part.last + 1])
            except StopIteration as end:
                found[number] = end.value
            else:
                wanted[number] = GetObject(bucket, entry.key, entry.version_id, part.first, part.last)
        if not wanted:
            break
        bodies: list[ObjectBody] = yield list(wanted.values())
        for number, body in zip(wanted, bodies, strict=True):
            contents.keep(entries[number], body)
        sent = {number: body.data for number, body in zip(wanted, bodies, strict=True)}
    return [found[number] for number in range(len(checks))]

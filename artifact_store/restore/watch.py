"""What a plan learns of models while it sees each key once: which there are, and what they are worth.

Owns who is judged and when, what is kept of a listing so that nobody has to list again, and the choice of another
instant for models that are not whole. What a verdict means for the plan is for `models` and `planner`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from artifact_store.history.listing import History
from artifact_store.history.models import (
    FILES_A_FOLDER,
    FOLDERS_AT_ONCE,
    Candidate,
    Finder,
    Identity,
    Verdict,
    assess,
    identity,
)
from artifact_store.history.scope import Scope
from artifact_store.history.state import KeyState, at
from artifact_store.history.verdict import Condition
from artifact_store.restore.around import Unknown, above, folder_scope
from artifact_store.restore.around import around as around_of
from artifact_store.restore.models import UNJUDGED, PlannedModel, enclosing, folder_of, own_keys
from artifact_store.restore.standing import After, concerns
from artifact_store.s3.operations import Entry, Job
from artifact_store.s3.server import Server

if TYPE_CHECKING:
    from artifact_store.history.lock import Lock

K = TypeVar("K")

FILES_KEPT = FILES_A_FOLDER
"""Most files whose histories are kept, so that their models can be judged again without listing: about 20 MB."""

LARGE = f"it has more than {FILES_A_FOLDER:,} files, so they come back key by key"
MANY = "too many files to look at all models where there is nothing to do; artifact-store models judges each"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Instants other than T. models: at which to judge them. keys: to be taken from there."""

    models: Mapping[Identity, float] = field(default_factory=dict)
    keys: Mapping[str, float] = field(default_factory=dict)

    def with_earlier(self, other: Chosen) -> Chosen:
        """Both; the earlier instant where they differ."""

        def merged(one: Mapping[K, float], two: Mapping[K, float]) -> dict[K, float]:
            both = one.keys() | two.keys()
            return {name: min(one.get(name, float("inf")), two.get(name, float("inf"))) for name in both}

        return Chosen(merged(self.models, other.models), merged(self.keys, other.keys))


@dataclass
class Kept:
    """Folders, each after all that lie in it, unless they are too many: then full, and none is kept."""

    folders: list[Candidate] = field(default_factory=list)
    full: bool = False
    _files: int = 0

    def take(self, folder: Candidate) -> None:
        """The next one. It stands for those that lie in it, which came just before."""
        if self.full:
            return
        while self.folders and self.folders[-1].prefix.startswith(folder.prefix):
            self._files -= len(self.folders.pop().histories)
        self.folders.append(folder)
        self._files += len(folder.histories)
        if self._files > FILES_KEPT:
            self.full = True
            self.folders.clear()


@dataclass(frozen=True, slots=True)
class Judged:
    """A folder's models: as they were, those that the restore breaks, and where it leaves files all that will stand."""

    folder: Candidate
    verdicts: Sequence[Verdict]
    broken: Sequence[Verdict] = ()
    will_be: Sequence[Verdict] = ()


@dataclass
class Watch:
    """Sees every key of a scope while it is planned, and judges the models whose files the restore would write.

    chosen: models and keys that are taken from elsewhere. everything: each key is written, as when restoring elsewhere.
    all_of: models of which nothing would be written are judged too. lock: whose versions are taken, and judged as they
    are: what came later says nothing about them. keep_new: what was not there at the instant is left alone. broken:
    models that the restore would leave in a state in which they are none, since it leaves some of their files.
    selected: whether a key of the scope is to be restored at all.
    """

    s3: Server
    scope: Scope
    instant: float
    chosen: Chosen = field(default_factory=Chosen)
    settled: bool = False
    everything: bool = False
    all_of: bool = False
    lock: Lock | None = None
    keep_new: bool = False
    verdicts: list[Verdict] = field(default_factory=list)
    broken: list[Verdict] = field(default_factory=list)
    selected: Callable[[str], bool] = lambda _: True
    _idle: Kept = field(default_factory=Kept)
    """Folders of which nothing would be written."""
    _again: Kept = field(default_factory=Kept)
    """Folders of models that are not whole, and those around them."""
    _around_broken: set[str] = field(default_factory=set)
    """Prefixes of both."""
    _unjudged: list[PlannedModel] = field(default_factory=list)
    _left_broken: list[Verdict] = field(default_factory=list)
    """Models that are not whole and stay so, though the restore would write beside them."""
    _beside: dict[Identity, tuple[str, ...]] = field(default_factory=dict)
    """What the user should know of models as they will stand, where that is not as they were."""
    _to_thaw: dict[Identity, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def passed(self, keys: Iterable[tuple[History, KeyState, bool]]) -> Iterator[KeyState]:
        """The states of the keys that are selected, in their order."""
        # Keys that are taken from another instant are not what stood at this one.
        finder = Finder(self.scope, known=None if self.chosen.keys else self.instant)
        waiting: list[Candidate] = []
        touched = cut = False
        for history, state, selected in keys:
            writes = self._writes(state)
            past = self.lock.past(history) if self.lock is not None else history
            kept = not selected or (self.keep_new and state.then is None)
            waiting += finder.see(past, then=state.then, written=writes and not kept, left_out=writes and kept)
            if writes and selected:
                touched, cut = True, cut or not finder.sees_whole(history.key)
            if len(waiting) >= FOLDERS_AT_ONCE:
                self._judge(waiting)
                waiting = []
            if selected:
                yield state
        waiting += finder.end()
        self._judge(waiting)
        self._leave(finder.unjudged)
        if cut:
            self._judge_cut(folder_of(self.scope.prefix))
        # In another place there is nothing around it.
        if (touched or self.all_of) and not self.everything:
            for folder in above(self.scope, cut=cut):
                self._judge_cut(folder, around=True)

    def judge_rest(self) -> None:
        """Judge the models of which nothing would be written, for whoever is told that there is nothing to do."""
        self.verdicts += self._left_broken
        for verdicts in self.s3.run(self._standing(folder) for folder in self._idle.folders):
            self.verdicts += [verdict for verdict in verdicts if not verdict.whole]
        if self._idle.full:
            self._leave_one(self.scope.root, (), MANY)

    def nearer(self) -> Chosen:
        """The instants that make all models whole, as far as can be told without listing; those of now where there are
        none. Raises S3Error."""
        chosen, verdicts = self.chosen, {identity(verdict.found): verdict for verdict in self.verdicts}
        while broken := [verdict for verdict in verdicts.values() if not verdict.whole]:
            better = chosen.with_earlier(nearest(broken, list(verdicts.values())))
            if better == chosen or any(verdict.before is None for verdict in broken):
                return self.chosen
            chosen = better
            if self._again.full:
                break
            prefixes = {prefix for _, prefix, _ in chosen.models}
            jobs = (
                assess(self.scope.bucket, folder, self.instant, settled=self.settled, chosen=chosen.models)
                for folder in self._kept(prefixes)
            )
            # A model that was not there at its instant has no verdict any more.
            verdicts = {name: verdict for name, verdict in verdicts.items() if verdict.found.prefix not in prefixes}
            verdicts |= {identity(verdict.found): verdict for some in self.s3.run(jobs) for verdict in some}
        return chosen

    def _kept(self, prefixes: Collection[str]) -> Iterator[Candidate]:
        """The folders with these prefixes, from what is kept."""
        for kept in self._again.folders:
            finder = Finder(folder_scope(self.scope.bucket, kept.prefix), contents=kept.contents)
            for history in kept.histories.values():
                yield from (folder for folder in finder.see(history) if folder.prefix in prefixes)
            yield from (folder for folder in finder.end() if folder.prefix in prefixes)

    def planned(self) -> tuple[PlannedModel, ...]:
        """What the plan remembers, in key order."""
        last = {identity(verdict.found): verdict for verdict in (*self.verdicts, *self.broken)}
        # A restore of a config alone leaves the weights what they are.
        for left in self._left_broken:
            name = identity(left.found)
            if name in last and last[name].whole:
                last[name] = replace(last[name], condition=left.condition, reasons=left.reasons)
        models = [
            PlannedModel.of(
                verdict, self.chosen.models.get(name, self.instant), self._beside.get(name), self._to_thaw.get(name, ())
            )
            for name, verdict in last.items()
        ]
        return tuple(sorted((*models, *self._unjudged), key=lambda model: (model.prefix, model.name, model.layout)))

    def _leave(self, folders: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        for prefix, layouts in folders:
            self._leave_one(prefix, layouts, LARGE)

    def _leave_one(self, prefix: str, layouts: Sequence[str], why: str) -> None:
        self._unjudged.append(PlannedModel(prefix, "", " or ".join(layouts), UNJUDGED, self.instant, reasons=(why,)))

    def _writes(self, state: KeyState) -> bool:
        if self.everything:
            return state.then is not None
        then, now = state.then, state.now
        return (then and then.version_id) != (now and now.version_id)

    def _judge(self, folders: Sequence[Candidate], *, around: bool = False) -> None:
        for folder in folders:
            if not (folder.written or self.all_of):
                self._idle.take(folder)
        jobs = (self._judged(folder, around=around) for folder in folders if folder.written or self.all_of)
        found = {judged.folder.prefix: judged for judged in self.s3.run(jobs)}
        for judged in (found[folder.prefix] for folder in folders if folder.prefix in found):
            self.verdicts += judged.verdicts
            self.broken += judged.broken
            self._left_broken += [verdict for verdict in judged.will_be if not verdict.whole]
            self._beside |= {identity(verdict.found): verdict.found.warnings for verdict in judged.will_be}
            prefix = judged.folder.prefix
            if not all(verdict.whole for verdict in judged.verdicts):
                self._around_broken |= {prefix, *enclosing(prefix)}
            if prefix in self._around_broken:
                self._again.take(judged.folder)
            for verdict in judged.verdicts:
                wanted = (self._wanted(judged.folder.histories[path]) for path in verdict.archived)
                self._to_thaw[identity(verdict.found)] = tuple((e.key, e.version_id) for e in wanted if e is not None)

    def _judged(self, folder: Candidate, *, around: bool) -> Job[Judged]:
        """around: of the models those alone of which the restore writes something, or might."""
        inside = folder.written
        if around and self.all_of:
            inside = {path for path in folder.histories if self._takes(folder.prefix + path)}
        bucket, chosen = self.scope.bucket, self.chosen.models
        only = (lambda found: concerns(found, inside)) if around else None
        verdicts = yield from assess(bucket, folder, self.instant, settled=self.settled, chosen=chosen, only=only)
        verdicts = [_as_locked(verdict) for verdict in verdicts] if self.lock is not None else verdicts
        # A broken model that stays as it is must not keep the files beside it from coming back.
        if not (self.everything or self.all_of or self.lock is not None):
            verdicts = [verdict for verdict in verdicts if verdict.whole or verdict.changed]
        if not (folder.written and folder.left_out):
            return Judged(folder, verdicts)
        after = After.of(folder, self._wanted, elsewhere=self.everything)
        verdicts = [verdict for verdict in verdicts if verdict.whole or not after.leaves(verdict.found)]
        will_be = yield from after.judged(bucket, folder, only)
        return Judged(folder, verdicts, list(after.broken(verdicts, will_be)), will_be)

    def _standing(self, folder: Candidate) -> Job[list[Verdict]]:
        if folder.left_out:
            after = After.of(folder, self._wanted, elsewhere=self.everything)
            return (yield from after.judged(self.scope.bucket, folder))
        return (yield from assess(self.scope.bucket, folder, self.instant, settled=self.settled))

    def _wanted(self, history: History) -> Entry | None:
        if self.lock is not None and history.key in self.lock.files:
            return self.lock.state(history).then
        return at(history, self.chosen.keys.get(history.key, self.instant), settled=self.settled).then

    def _judge_cut(self, folder: str, *, around: bool = False) -> None:
        """A folder of which the scope has only a part: what lies beside it is left out."""
        try:
            part = around_of(self.s3, self.scope.bucket, folder)
        except Unknown as error:
            self._leave_one(folder, error.layouts, error.why)
            return
        if part is None:
            return
        for path, history in part.histories.items():
            if self.lock is not None and self.scope.contains(history.key):
                part.histories[path], state = self.lock.past(history), self.lock.state(history)
            else:
                state = at(history, self.chosen.keys.get(history.key, self.instant), settled=self.settled)
            if self._writes(state):
                kept = self.keep_new and state.then is None
                (part.written if self._takes(history.key) and not kept else part.left_out).add(path)
        self._judge([part], around=around)

    def _takes(self, key: str) -> bool:
        return self.scope.contains(key) and self.selected(key)


def _as_locked(verdict: Verdict) -> Verdict:
    """Versions that a lock names could be seen when it was made, however long their upload took."""
    if verdict.condition is Condition.UNCERTAIN:
        return replace(verdict, condition=Condition.WHOLE, reasons=())
    return verdict


def nearest(broken: Iterable[Verdict], judged: Sequence[Verdict]) -> Chosen:
    """The instants that make these models whole, for their own files and nothing beside them. Models around one go with
    it, and those that have files of it, and so on: no file is taken from two instants. One that was not there yet goes
    alone, and leaves what others have of it. Models that cannot be had whole are left out. judged: all that were."""
    own = {identity(verdict.found): own_keys(verdict) for verdict in judged}
    sharing: dict[str, list[Verdict]] = {}
    by_prefix: dict[str, list[Verdict]] = {}
    for verdict in judged:
        by_prefix.setdefault(verdict.found.prefix, []).append(verdict)
        for key in own[identity(verdict.found)]:
            sharing.setdefault(key, []).append(verdict)
    instants: dict[Identity, float] = {}
    alone = {identity(verdict.found) for verdict in broken if verdict.absent_before}
    waiting = [(verdict, float(verdict.before)) for verdict in broken if verdict.before is not None]
    while waiting:
        verdict, instant = waiting.pop()
        name = identity(verdict.found)
        if instants.get(name, float("inf")) <= instant:
            continue
        instants[name] = instant
        around = [one for prefix in enclosing(verdict.found.prefix) for one in by_prefix.get(prefix, ())]
        sharers = [] if name in alone else [one for key in own[name] for one in sharing[key]]
        waiting += [(one, instant) for one in (*around, *sharers) if identity(one.found) not in alone]
    keys: dict[str, float] = {}
    for name, instant in instants.items():
        for key in own[name]:
            users = {identity(one.found) for one in sharing[key]} - alone
            if name not in alone or not users:
                keys[key] = min(instant, keys.get(key, instant))
    return Chosen(instants, keys)

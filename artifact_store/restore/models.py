"""Models in a plan: judged before anything is written, and restored so that no reader finds an index over old members.

Owns what a plan remembers of models, the refusal of those that are not whole, and the order of writes. Keys that belong
to no model are nobody's business here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from artifact_store.errors import Refused
from artifact_store.history.instant import show
from artifact_store.history.models import FOLDERS_AT_ONCE, Candidate, Finder, Verdict, assess
from artifact_store.history.state import KeyState
from artifact_store.s3.server import Server

if TYPE_CHECKING:
    from artifact_store.history.listing import History
    from artifact_store.history.scope import Scope

TOLD = 10
"""Most models that a refusal names."""

RESTORE = (
    "restore to one of these instants, or add --nearest-complete to take each model's newest whole save at or before "
    "T, or --as-is to restore exactly T"
)


class Wanted(StrEnum):
    """What to do where a model is not whole at the instant."""

    WHOLE = "whole"
    """Refuse."""
    NEAREST = "nearest"
    """Take its newest whole save at or before the instant."""
    AS_IS = "as-is"
    """Restore exactly the instant, and say so."""


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """A model that a plan touches. prefix, name, layout, condition: as judged. instant: the one its files are
    taken from. members, indexes, pointers: whole keys; what must be there before what."""

    prefix: str
    name: str
    layout: str
    condition: str
    instant: float
    members: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.prefix}{self.name}" or "(the bucket's root)"

    @classmethod
    def of(cls, verdict: Verdict, instant: float) -> PlannedModel:
        found = verdict.found

        def keys(paths: Iterable[str]) -> tuple[str, ...]:
            return tuple(found.prefix + path for path in dict.fromkeys(paths))

        return cls(
            found.prefix,
            found.name,
            found.layout,
            verdict.condition.value,
            float(instant),
            keys((*found.members, *found.others)),
            keys(found.indexes),
            keys(found.pointers),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlannedModel:
        """The inverse of dataclasses.asdict. Raises KeyError, TypeError on anything else."""
        keys = [tuple(str(key) for key in data[name]) for name in ("members", "indexes", "pointers")]
        prefix, name, layout, condition = (str(data[field]) for field in ("prefix", "name", "layout", "condition"))
        return cls(prefix, name, layout, condition, float(data["instant"]), *keys)


class NotWhole(Refused):
    """A restore would bring back something that is no model. verdicts: of the models that are not whole."""

    def __init__(self, verdicts: Sequence[Verdict], where: str, instant: float, remedy: str = RESTORE) -> None:
        self.verdicts = tuple(verdicts)
        lines = []
        for verdict in self.verdicts[:TOLD]:
            lines.append(
                f"{verdict.title} ({verdict.found.layout}) is {verdict.condition.value} at {show(instant)}: "
                f"{'; '.join(verdict.reasons)}"
            )
            lines.append(f"  {verdict.instants}")
        if len(self.verdicts) > TOLD:
            lines.append(f"and {len(self.verdicts) - TOLD:,} more models of {where} are not whole")
        lines.append(f"nothing was written; {remedy}")
        super().__init__("\n".join(lines))


@dataclass
class Watch:
    """Sees every key of a scope while it is planned, and judges the models whose files the restore would write.

    instant_of: of a folder, "" or ending in "/". everything: each key is written, as when restoring elsewhere.
    """

    s3: Server
    scope: Scope
    instant_of: Callable[[str], float]
    settled: bool = False
    everything: bool = False
    verdicts: list[Verdict] = field(default_factory=list)

    def passed(self, keys: Iterable[tuple[History, KeyState | None]]) -> Iterator[KeyState]:
        """The states that are not None, in their order; None is a key that the options leave out."""
        finder = Finder(self.scope)
        waiting: list[Candidate] = []
        for history, state in keys:
            waiting += finder.see(history, changed=state is not None and self._writes(state))
            if len(waiting) >= FOLDERS_AT_ONCE:
                self._judge(waiting)
                waiting = []
            if state is not None:
                yield state
        waiting += finder.end()
        self._judge(waiting)

    def _writes(self, state: KeyState) -> bool:
        if self.everything:
            return state.then is not None
        then, now = state.then, state.now
        return (then and then.version_id) != (now and now.version_id)

    def _judge(self, folders: Sequence[Candidate]) -> None:
        jobs = (
            assess(self.scope.bucket, folder, self.instant_of(folder.prefix), settled=self.settled)
            for folder in folders
            if folder.changed
        )
        for verdicts in self.s3.run(jobs):
            self.verdicts += verdicts

    def planned(self) -> tuple[PlannedModel, ...]:
        """What the plan remembers, in key order."""
        models = [PlannedModel.of(verdict, self.instant_of(verdict.found.prefix)) for verdict in self.verdicts]
        return tuple(sorted(models, key=lambda model: (model.prefix, model.name, model.layout)))


def nearest(verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Folder -> the instant its files are taken from, so that each of these models is whole. A folder's own files move
    together, its subfolders only where the model has files there. Models that were never whole are left out."""
    found: dict[str, float] = {}
    for verdict in verdicts:
        if verdict.before is None:
            continue
        prefix = verdict.found.prefix
        paths = (*verdict.found.paths, *(missing.path for missing in verdict.found.missing))
        folders = {prefix, *(prefix + path[: path.rfind("/") + 1] for path in paths)}
        for folder in folders:
            found[folder] = min(found.get(folder, float("inf")), float(verdict.before))
    return found


def folder_of(key: str) -> str:
    """The folder a key lies in, "" or ending in "/"."""
    return key[: key.rfind("/") + 1]


INDEX_NAMES = re.compile(
    r".*\.index\.json|model_index\.json|MLmodel|\.metadata|saved_model\.pb|adapter_config\.json|manifest\.ocdbt"
    r"|_CHECKPOINT_METADATA|metadata\.json"
)
POINTER_NAMES = re.compile(r"latest|latest_universal|latest_checkpointed_iteration\.txt|checkpoint|config\.pbtxt")

REMOVAL_RANKS = 3


def removal_rank(key: str) -> int:
    """0 for what points at others, 1 for what lists others, 2 for the rest: the order in which keys are hidden. By
    name, since what is hidden belongs to no model of the instant."""
    name = key[key.rfind("/") + 1 :]
    return 0 if POINTER_NAMES.fullmatch(name) else 1 if INDEX_NAMES.fullmatch(name) else 2


class Order:
    """The order of a plan's writes: members, then indexes, then pointers; and which of them a failure holds back."""

    def __init__(self, models: Sequence[PlannedModel]) -> None:
        self._models = models
        self._rank: dict[str, int] = {}
        self._of: dict[str, set[int]] = {}
        for number, model in enumerate(models):
            for rank, keys in ((1, model.indexes), (2, model.pointers)):
                for key in keys:
                    # A file may be the index of one model and a member of the one around it.
                    self._rank[key] = max(rank, self._rank.get(key, 0))
            for key in (*model.members, *model.indexes, *model.pointers):
                self._of.setdefault(key, set()).add(number)
        self._broken: dict[int, str] = {}

    def rank(self, key: str) -> int:
        """0, 1 or 2: the stage in which a key is brought back."""
        return self._rank.get(key, 0)

    def failed(self, key: str) -> None:
        """A key could not be brought back: its models are not completed."""
        for number in self._of.get(key, ()):
            self._broken.setdefault(number, key)

    def held_back(self, key: str) -> str:
        """Why a key of a later stage is left alone, "" where it is not."""
        for number in self._of.get(key, ()):
            if number in self._broken:
                return self._reason(number)
        return ""

    def removal_held_back(self, key: str) -> str:
        """Why what was not there is not hidden: in a model's folder that could not be completed, it may be in use."""
        folder = folder_of(key)
        for number in self._broken:
            model = self._models[number]
            if folder == model.prefix or any(folder == folder_of(own) for own in model.members):
                return self._reason(number)
        return ""

    def _reason(self, number: int) -> str:
        return f"left as it is, since {self._broken[number]} of the same model could not be restored"

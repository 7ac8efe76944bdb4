"""Models in a plan: judged before anything is written, and restored so that no reader finds an index over old members.

Owns what a plan remembers of models, the refusal of those that are not whole, and the order of writes. Who judges them
is `watch`; keys that belong to no model are nobody's business here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from glob import escape
from typing import Any

from artifact_store.errors import Refused
from artifact_store.history.instant import show
from artifact_store.history.models import Verdict, identity
from artifact_store.history.scope import Scope
from artifact_store.history.verdict import Condition, some

TOLD = 10
"""Most models that a refusal names."""

RESTORE = (
    "restore to one of these instants, or add --nearest-complete to take each model's newest whole save at or before "
    "T, or --as-is to restore exactly T"
)

FROZEN = "add --thaw to have S3 make these files readable, which writes nothing, and restore again after that"
LOCKED = "add --as-is to restore what the lock file names all the same, or lock an instant at which it is whole"

LOCK = "lock one of these instants, or add --as-is to lock exactly T"

UNJUDGED = "unjudged"
"""In the place of a condition, where a model was not looked at."""


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
    """A model that a plan touches. prefix, name, layout, condition: as judged. instant: the one its files are taken
    from. members (weights, and all else that nothing waits for), indexes, pointers: whole keys; what must be there
    before what. reasons: why it is not whole. warnings: what its user should know, files of other saves that stay
    beside it among it. instants: at which it is whole, in words. to_thaw: (key, version) of what must be thawed before
    it can be judged."""

    prefix: str
    name: str
    layout: str
    condition: str
    instant: float
    members: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    instants: str = ""
    to_thaw: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        return f"{self.prefix}{self.name}" or "(the bucket's root)"

    @property
    def unjudged(self) -> bool:
        return self.condition == UNJUDGED

    @property
    def whole(self) -> bool:
        return self.condition == Condition.WHOLE

    @classmethod
    def of(
        cls,
        verdict: Verdict,
        instant: float,
        warnings: tuple[str, ...] | None = None,
        to_thaw: tuple[tuple[str, str], ...] = (),
    ) -> PlannedModel:
        """warnings: instead of the verdict's."""
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
            verdict.reasons,
            verdict.warnings if warnings is None else warnings,
            verdict.instants if verdict.found_whole else "",
            to_thaw,
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlannedModel:
        """The inverse of dataclasses.asdict. Raises KeyError, TypeError on anything else."""

        def texts(name: str) -> tuple[str, ...]:
            return tuple(str(text) for text in data[name])

        return cls(
            prefix=str(data["prefix"]),
            name=str(data["name"]),
            layout=str(data["layout"]),
            condition=str(data["condition"]),
            instant=float(data["instant"]),
            members=texts("members"),
            indexes=texts("indexes"),
            pointers=texts("pointers"),
            reasons=texts("reasons"),
            warnings=texts("warnings"),
            instants=str(data["instants"]),
            to_thaw=tuple((str(key), str(version)) for key, version in data["to_thaw"]),
        )


class NotWhole(Refused):
    """A restore would bring back something that is no model. verdicts: of the models that are not whole."""

    def __init__(
        self,
        verdicts: Sequence[Verdict],
        scope: Scope,
        instant: float,
        remedy: str = RESTORE,
        judged: Sequence[Verdict] = (),
    ) -> None:
        """judged: all models that were looked at, so that what is named to be left out is none of theirs."""
        self.verdicts = tuple(verdicts)
        lines = []
        for verdict in self.verdicts[:TOLD]:
            lines.append(
                f"{verdict.title} ({verdict.found.layout}) is {verdict.condition.value} at {show(instant)}: "
                f"{'; '.join(dict.fromkeys(verdict.reasons))}"
            )
            if verdict.found_whole:
                lines.append(f"  {verdict.instants}")
        if len(self.verdicts) > TOLD:
            lines.append(f"and {len(self.verdicts) - TOLD:,} more models of {scope} are not whole")
        lost = [verdict for verdict in self.verdicts if not verdict.found_whole]
        if any(verdict.thaw_first for verdict in self.verdicts) and remedy != LOCK:
            remedy = FROZEN
        elif lost and remedy == RESTORE:
            remedy = f"{some([verdict.title for verdict in lost])} cannot be had whole: {_without(lost, judged, scope)}"
        elif len(lost) == len(self.verdicts) and remedy == LOCK:
            remedy = "no instant is known at which it is whole: lock another prefix, or add --as-is to lock exactly T"
        lines.append(f"nothing was written; {remedy}")
        super().__init__("\n".join(lines))


FEW = 3
"""Files of a model that are named one by one: what else lies in their folder may be wanted."""


def _without(lost: Iterable[Verdict], judged: Iterable[Verdict], scope: Scope) -> str:
    """How to restore all but these models, and how to restore them all the same. Few files are left out by their names,
    as is what is theirs alone where other models are beside them; else their folder is. judged: all that were."""
    as_is = "add --as-is to restore it as it was"
    own: dict[str, set[str]] = {}
    for verdict in lost:
        own.setdefault(verdict.found.prefix, set()).update(own_keys(verdict))
    names = {identity(verdict.found) for verdict in lost}
    others = [verdict for verdict in judged if identity(verdict.found) not in names]
    kept = {key for verdict in others for key in own_keys(verdict)}
    globs: list[str] = []
    for prefix, keys in own.items():
        if len(keys) <= FEW or any(verdict.found.prefix.startswith(prefix) for verdict in others):
            globs += [escape(scope.relative(key)) for key in sorted(keys - kept) if scope.contains(key)]
        elif prefix.startswith(scope.root) and prefix != scope.root:
            globs.append(f"{escape(scope.relative(prefix))}*")
        else:
            return as_is
    if not globs or len(globs) > TOLD:
        return as_is
    return f"leave it out ({' '.join(shlex.join(['--exclude', glob]) for glob in globs)}), or add --as-is"


def own_keys(verdict: Verdict) -> frozenset[str]:
    """What is a model's own: its files, those it lacks, those it had when it was whole, and what looks like them."""
    found = verdict.found
    missing = (missing.path for missing in found.missing)
    return frozenset(found.prefix + path for path in (*found.paths, *found.leftovers, *missing, *verdict.paths_before))


def folder_of(key: str) -> str:
    """The folder a key lies in, "" or ending in "/"."""
    return key[: key.rfind("/") + 1]


def enclosing(key: str) -> Iterator[str]:
    """The folders around a key or a folder, the innermost first, the root "" last."""
    while key:
        key = folder_of(key[:-1])
        yield key


INDEX_NAMES = re.compile(
    r".*\.index(?:\.\w+)?\.json|.*\.weights\.json|model_index\.json|adapter_config\.json|MLmodel|saved_model\.pb(?:txt)?"
    r"|(?:__\d+)?\.metadata|meta\.pt|metadata\.json|manifest\.ocdbt|_CHECKPOINT_METADATA|_METADATA|.*\.(?:index|dir|onnx)"
)
POINTER_NAMES = re.compile(r"latest|latest_universal|latest_checkpointed_iteration\.txt|checkpoint|config\.pbtxt")

REMOVAL_RANKS = 3


def removal_rank(key: str) -> int:
    """0 for what points at others, 1 for what lists others, 2 for the rest: the order in which keys are hidden. By
    name, since what is hidden belongs to no model of the instant."""
    name = key[key.rfind("/") + 1 :]
    return 0 if POINTER_NAMES.fullmatch(name) else 1 if INDEX_NAMES.fullmatch(name) else 2


class Order:
    """The order of a plan's writes: members, then indexes, each after those in the folders below it, then pointers; and
    which of them a failure holds back."""

    def __init__(self, models: Sequence[PlannedModel]) -> None:
        self._models = models
        self._rank: dict[str, int] = {}
        self._of: dict[str, set[int]] = {}
        for number, model in enumerate(models):
            for key in (*model.members, *model.indexes, *model.pointers):
                self._of.setdefault(key, set()).add(number)
        # A file may be the index of one model and a member of the one around it.
        for model in sorted(models, key=lambda model: -model.prefix.count("/")):
            self._place(model)
        last = 1 + max(self._rank.values(), default=0)
        self._rank |= {key: last for model in models for key in model.pointers}
        self._alone = [number for number, model in enumerate(models) if model.pointers and not model.members]
        """Pointers, whose targets are other models below."""
        self._broken: dict[int, str] = {}

    def _place(self, model: PlannedModel) -> None:
        """Its indexes: the last of them, which closes the save, after those beside it."""
        indexes = {*model.indexes}
        below: dict[str, int] = {}
        keys = (key for key in {*model.members, *indexes} if key in indexes or self.rank(key))
        for key in sorted(keys, key=lambda key: -key.count("/")):
            if key in indexes:
                self._rank[key] = max(self.rank(key), 1 + below.get(folder_of(key), 0))
            for folder in enclosing(folder_of(key)):
                below[folder] = max(below.get(folder, 0), self.rank(key))
        for closing in model.indexes[-1:]:
            beside = [self.rank(key) for key in model.indexes[:-1] if folder_of(key) == folder_of(closing)]
            self._rank[closing] = max(self.rank(closing), 1 + max(beside, default=0))

    def rank(self, key: str) -> int:
        """The stage in which a key is brought back, 0 for the first."""
        return self._rank.get(key, 0)

    def failed(self, key: str) -> None:
        """A key could not be brought back: its models are not completed."""
        targets = {number for number in self._alone if key.startswith(self._models[number].prefix)}
        for number in self._of.get(key, set()) | targets:
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

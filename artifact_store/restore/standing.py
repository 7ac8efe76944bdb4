"""What will stand after a restore that leaves files as they are: judged before anything is written.

A restore leaves files where it brings back some keys only (--include, --exclude, a part of a folder) or keeps what is
new (--keep-new). Owns which models that breaks, and what to do instead. Models of which nothing is left are judged as
they were, and are nobody's business here.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from artifact_store.errors import Refused
from artifact_store.history.instant import show
from artifact_store.history.listing import History
from artifact_store.history.models import Candidate, Verdict, assess, identity
from artifact_store.history.scope import Scope
from artifact_store.history.sets import ModelSet
from artifact_store.history.state import open_for
from artifact_store.history.verdict import Condition, some
from artifact_store.s3.operations import Entry, Job

TOLD = 10
"""Most models that a refusal names."""


class LeavesBroken(Refused):
    """A restore would leave what is no model, since it leaves some of its files as they are now."""

    def __init__(
        self,
        broken: Sequence[Verdict],
        scope: Scope,
        instant: float,
        *,
        keep_new: bool = False,
        globs: bool = False,
        to: str = "",
    ) -> None:
        """keep_new, globs: what of --keep-new and of --include, --exclude was given. to: another place, as given."""
        lines = [
            f"{verdict.title} ({verdict.found.layout}) would be no whole model after this restore: "
            f"{'; '.join(verdict.reasons)}"
            for verdict in broken[:TOLD]
        ]
        if len(broken) > TOLD:
            lines.append(f"and {len(broken) - TOLD:,} more models of {scope}")
        address = str(Scope(scope.bucket, broken[0].found.prefix))
        whole = shlex.join(["artifact-store", "restore", address, "--at", show(instant), *(["--to", to] if to else [])])
        if keep_new and broken[0].found.prefix.startswith(scope.root):
            instead = "leave --keep-new out"
        elif globs and to:
            # Below another place, a key is named relative to the prefix: another one would bring it elsewhere.
            instead = "leave --include and --exclude out"
        else:
            instead = f"restore all of it ({whole})"
        lines.append(f"nothing was written; {instead}, or add --as-is to do it all the same")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class After:
    """A folder after a restore. was: what stood at the instant, stands: what will, each path -> version. written,
    left: paths that the restore writes, and that it leaves though they were other then."""

    was: Mapping[str, Entry]
    stands: Mapping[str, Entry]
    written: frozenset[str]
    left: frozenset[str]

    @classmethod
    def of(cls, candidate: Candidate, then: Callable[[History], Entry | None], *, elsewhere: bool) -> After:
        """then: the version that is wanted of a key. elsewhere: what is left is not there."""
        was, stands = dict[str, Entry](), dict[str, Entry]()
        for path, history in candidate.histories.items():
            wanted = then(history)
            if wanted is not None:
                was[path] = wanted
            left = path in candidate.left_out
            entry = wanted if not left else None if elsewhere else _current(history)
            if entry is not None:
                stands[path] = entry
        return cls(was, stands, frozenset(candidate.written), frozenset(candidate.left_out))

    def judged(
        self, bucket: str, candidate: Candidate, only: Callable[[ModelSet], bool] | None = None
    ) -> Job[list[Verdict]]:
        """The models that will stand, by their files alone: which save wrote which is not asked. only: which of them to
        judge. Raises S3Error."""
        histories = {path: History(entry.key, [entry]) for path, entry in self.stands.items()}
        ends = (entry.last_modified + open_for(entry.size) for entry in self.stands.values())
        settled = max(ends, default=0.0)
        left = Candidate(candidate.prefix, candidate.layouts, histories, contents=candidate.contents)
        return (yield from assess(bucket, left, settled, only=only))

    def broken(self, were: Sequence[Verdict], will_be: Sequence[Verdict]) -> Iterator[Verdict]:
        """Of the models that were and that will be, those that this restore breaks, each with the reasons."""
        seen = set()
        for verdict in were:
            if reasons := tuple(self._parted(verdict.found)):
                seen.add(identity(verdict.found))
                yield replace(verdict, condition=Condition.INCOMPLETE, reasons=reasons)
        for verdict in will_be:
            found = verdict.found
            wrong = not verdict.whole or self.mixes(found)
            if wrong and self._touches(found) and identity(found) not in seen:
                condition = Condition.INCOMPLETE if verdict.whole else verdict.condition
                reasons = (*verdict.reasons, *self._beside(found))
                yield replace(verdict, condition=condition, reasons=reasons, before=None, after=None)

    def leaves(self, found: ModelSet) -> bool:
        """Whether a model's weights stay as they are: what they were worth is then nobody's business."""
        weights = {*found.members, *found.indexes}
        return bool(weights & self.left) and not weights & self.written

    def mixes(self, found: ModelSet) -> bool:
        """Whether what makes a model comes from the restore in part, and in part stands as it is."""
        weights = {*found.members, *found.indexes}
        new = {path for path in found.pointers if path not in self.was}
        return bool(weights & self.written and (weights | new) & self.left)

    def _parted(self, found: ModelSet) -> Iterator[str]:
        """Of a model as it was. What a pointer names and that is gone altogether shows in the model as it will be."""
        weights, targets = {*found.members, *found.indexes}, {*found.targets}
        if weights & self.written and (left := sorted(weights & self.left)):
            yield f"{some(left)} would be left out, and the model would be of two saves"
        gone = sorted(targets - self.stands.keys())
        if gone and len(gone) < len(targets) and not self.written.isdisjoint(found.pointers):
            told = "is not there" if len(gone) == 1 else "are not there"
            yield f"{some(gone)} {told}, of what {some(found.pointers)} would name"

    def _beside(self, found: ModelSet) -> Iterator[str]:
        new = sorted({*found.members, *found.indexes, *found.pointers} & self.left - self.was.keys())
        if new:
            yield f"{some(new)} {'was' if len(new) == 1 else 'were'} not there at T, and would stay"

    def _touches(self, found: ModelSet) -> bool:
        """Whether the restore writes a file of it, leaves one that was not there beside others, hides one that it
        needs, or hides others and leaves out one that it needs."""
        own = {*found.members, *found.indexes, *found.pointers}
        if own & self.written or (own & (self.left - self.was.keys()) and own - self.left):
            return True
        needed = tuple(f"{missing.path}/" for missing in found.missing)
        gone = {missing.path for missing in found.missing}
        if gone & self.left and self.written - self.stands.keys():
            # What is hidden may be all that readers have now.
            return True
        return any(path in gone or path.startswith(needed) for path in self.written)


def concerns(found: ModelSet, written: Collection[str]) -> bool:
    """Whether one of these paths is of a model, or would be."""
    own = {*found.paths, *found.leftovers, *(missing.path for missing in found.missing)}
    below = tuple(f"{missing.path}/" for missing in found.missing)
    return any(path in own or path.startswith(below) for path in written)


def _current(history: History) -> Entry | None:
    entries = history.ordered()
    return entries[0] if entries and not entries[0].is_marker else None

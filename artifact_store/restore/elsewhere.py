"""Planning a restore to another place: a bucket, or a folder of this machine.

Owns the pairing of what is to be written with what stands there, and refuses to write over what differs unless told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from artifact_store.errors import Refused
from artifact_store.history.state import KeyState
from artifact_store.restore.destination import ToBucket, ToFolder
from artifact_store.restore.folder import Names, folds_case, standing
from artifact_store.restore.plan import Action, PlanOptions, Reason, Step, decide_elsewhere, decide_file
from artifact_store.restore.settling import settle_files, settle_versions
from artifact_store.restore.wording import NAMED, counted, listed, shortened
from artifact_store.s3.operations import BucketVersioning, Entry, GetBucketVersioning
from artifact_store.s3.server import Server

if TYPE_CHECKING:
    from artifact_store.history.listing import History
    from artifact_store.history.scope import Scope

T = TypeVar("T")


class WouldOverwrite(Refused):
    """What differs stands where it would be written. option: that allows it, of the command that was run."""

    def __init__(self, what: str, named: str, option: str = "--overwrite") -> None:
        self.what, self.named = what, named
        super().__init__(f"{what}; allow it with {option}, or name another place: {named}")

    def by(self, option: str) -> WouldOverwrite:
        """The same where another option allows it."""
        return WouldOverwrite(self.what, self.named, option)


def to_bucket(
    s3: Server, scope: Scope, destination: ToBucket, options: PlanOptions, states: Iterator[KeyState]
) -> Iterator[Step]:
    """The steps that write another bucket. Raises Refused where they would write over what differs, or over each
    other."""
    if (destination.bucket, destination.prefix) == (scope.bucket, scope.root):
        raise Refused(f"{destination} is where the keys came from; restore in place, or name another place")
    differing = _Differing(options, f"at {destination}")
    yield from differing.watch(
        settle_versions(s3, scope.bucket, destination, _bucket_steps(s3, scope, destination, states))
    )
    if differing.count:
        there: BucketVersioning = s3.call(GetBucketVersioning(destination.bucket))
        if there.status != "Enabled":
            keys = counted(differing.count, "key")
            raise Refused(
                f"bucket {destination.bucket} keeps no former versions, so writing over {keys} would destroy what is "
                "there; enable its versioning, or name an empty prefix"
            )


def _bucket_steps(s3: Server, scope: Scope, destination: ToBucket, states: Iterator[KeyState]) -> Iterator[Step]:
    def target(state: KeyState) -> str:
        return scope.relative(state.key)

    def in_order(state: KeyState) -> bool:
        return state.key.startswith(scope.root)

    alone: set[str] = set()
    for state, there in paired(s3, destination, states, target, in_order):
        step = decide_elsewhere(state, target(state), there)
        if step is None:
            continue
        if step.target in alone:
            raise Refused(f"{state.key} and {scope.prefix} would both be written to {destination}{step.target}")
        if not in_order(state):
            alone.add(step.target)
        yield step


def to_folder(
    s3: Server, scope: Scope, destination: ToFolder, options: PlanOptions, states: Iterator[KeyState]
) -> Iterator[Step]:
    """The steps that write files. Raises Refused where names cannot be files, or files that differ exist."""
    root = destination.path
    if root.exists() and not root.is_dir():
        raise Refused(f"{root} is a file, and no folder to restore into; name a folder")
    files = _Files(scope, root)
    differing = _Differing(options, f"in {root}")
    yield from differing.watch(settle_files(s3, scope.bucket, root, files.steps(states)))
    files.refuse_faults()


class _Files:
    """The steps that write files, and the keys that cannot be files."""

    def __init__(self, scope: Scope, root: Path) -> None:
        self.scope, self.root, self.names = scope, root, Names(root, folds_case(root))
        self.faults: list[str] = []
        self.count = 0

    def steps(self, states: Iterator[KeyState]) -> Iterator[Step]:
        """None after the first key that cannot be a file, since then nothing will be written."""
        for state in states:
            if state.then is None:
                continue
            target = self.scope.relative(state.key)
            fault = self.names.add(target, in_order=state.key.startswith(self.scope.root))
            if not fault and target.endswith("/") and state.then.size:
                fault = "is a folder's name but has content"
            if fault:
                self.count += 1
                if len(self.faults) < NAMED:
                    self.faults.append(f"{shortened(state.key)} {fault}")
            elif not self.count:
                step = decide_file(state, target, standing(self.root / target))
                if step is not None:
                    yield step

    def refuse_faults(self) -> None:
        """Raises Refused where there are any."""
        if self.count:
            raise Refused(
                f"{counted(self.count, 'key')} cannot be files in {self.root}, so nothing was planned; leave them out "
                f"(--exclude) or restore to a bucket: {listed(self.faults, self.count, '; ')}"
            )


def paired(
    s3: Server, place: ToBucket, items: Iterable[T], target: Callable[[T], str], in_order: Callable[[T], bool]
) -> Iterator[tuple[T, Entry | None]]:
    """Each item with the current entry at its target, None where there is none.

    target: the key relative to the place. in_order: whether the targets of such items come in byte order; the others
    (at most a few) are asked for alone. Raises S3Error.
    """
    from artifact_store.history.listing import list_histories, list_history

    standing = list_histories(s3, place.bucket, place.prefix)
    history = next(standing, None)
    for item in items:
        key = place.prefix + target(item)
        if not in_order(item):
            alone = list_history(s3, place.bucket, key)
            yield item, current_entry(alone) if alone is not None else None
            continue
        while history is not None and history.key < key:
            history = next(standing, None)
        yield item, current_entry(history) if history is not None and history.key == key else None


def current_entry(history: History) -> Entry | None:
    """The version or marker that is current."""
    entries = history.ordered()
    return entries[0] if entries else None


class _Differing:
    """Counts what would be written over, and refuses it unless the options allow it."""

    def __init__(self, options: PlanOptions, where: str) -> None:
        self.options, self.where, self.count = options, where, 0

    def watch(self, steps: Iterable[Step]) -> Iterator[Step]:
        named: list[str] = []
        for step in steps:
            if step.action is not Action.KEEP and step.reason is Reason.CHANGED:
                self.count += 1
                if len(named) < NAMED:
                    named.append(shortened(step.target))
            yield step
        if self.count and not self.options.overwrite:
            exist = "exists" if self.count == 1 else "exist"
            what = f"{counted(self.count, 'key')} {exist} {self.where} with other content and would be written over"
            raise WouldOverwrite(what, listed(named, self.count))

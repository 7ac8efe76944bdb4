"""Proof that a bucket or folder is what a plan says: a fresh look, key by key.

Owns the comparison; changes nothing. What cannot be proved counts as wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from artifact_store.errors import KeysFailed, S3Error
from artifact_store.history.scope import Scope
from artifact_store.restore.compare import READ_AT_MOST, Sameness, Version, same_content
from artifact_store.restore.destination import InPlace, ToBucket
from artifact_store.restore.elsewhere import current_entry, paired
from artifact_store.restore.folder import same_file
from artifact_store.restore.plan import Action, Current, Reason, Step, same_by_listing, selector
from artifact_store.restore.planfile import Plan
from artifact_store.s3.operations import Entry, Job
from artifact_store.s3.server import Server

BATCH = 5000
"""Keys compared together, so that memory stays flat."""

NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True)
class Verification:
    """checked: keys looked at. compared: keys proved by checksum or bytes. wrong: (key, what differs)."""

    checked: int
    compared: int
    wrong: tuple[tuple[str, str], ...]

    @property
    def proved(self) -> bool:
        """Nothing differs."""
        return not self.wrong

    def raise_for_differences(self) -> None:
        """Raise KeysFailed with every key that is not what the plan says, if any."""
        if self.wrong:
            raise KeysFailed(f"{len(self.wrong)} of {self.checked} keys are not what the plan says", self.wrong)


@dataclass(frozen=True, slots=True)
class _Check:
    """A verdict on a key, or what has to be compared for one. wrong "" and nothing to compare: fine."""

    key: str
    wrong: str = ""
    step: Step | None = None
    there: Version | None = None
    path: Path | None = None


def verify(
    s3: Server, plan: Plan, *, deep: bool = False, on_progress: Callable[[int], None] | None = None
) -> Verification:
    """Compare the place a plan wrote to with the plan. deep: compare checksums, by reading where a server has none.

    Raises S3Error where the place cannot be listed, Refused where the plan file was changed.
    """
    destination = plan.header.destination
    if isinstance(destination, InPlace):
        checks = _in_place(s3, plan, deep=deep)
    elif isinstance(destination, ToBucket):
        checks = _to_bucket(s3, plan, destination, deep=deep)
    else:
        checks = _to_folder(plan, destination.path)
    checked = compared = 0
    wrong: list[tuple[str, str]] = []
    while batch := list(islice(checks, BATCH)):
        checked += len(batch)
        wrong.extend((check.key, check.wrong) for check in batch if check.wrong)
        for key, fault in s3.run(_compare(plan, check, deep=deep) for check in batch if check.step is not None):
            compared += 1
            if fault:
                wrong.append((key, fault))
        if on_progress is not None:
            on_progress(checked)
    return Verification(checked, compared, tuple(wrong))


def _in_place(s3: Server, plan: Plan, *, deep: bool) -> Iterator[_Check]:
    header = plan.header
    scope = Scope(header.bucket, header.prefix, header.raw)
    selected = selector(header.options)
    steps = plan.steps()
    step = next(steps, None)
    for history in scope.histories(s3):
        if not selected(scope.relative(history.key)):
            continue
        while step is not None and step.key < history.key:
            yield _missing(step)
            step = next(steps, None)
        entry = _alive(current_entry(history))
        if step is not None and step.key == history.key:
            yield _check(header.bucket, step, entry, deep=deep)
            step = next(steps, None)
        elif entry is not None and not header.options.keep_new:
            yield _Check(history.key, "exists, but not in the plan: it came after the plan was made")
    while step is not None:
        yield _missing(step)
        step = next(steps, None)


def _to_bucket(s3: Server, plan: Plan, place: ToBucket, *, deep: bool) -> Iterator[_Check]:
    root = Scope(plan.header.bucket, plan.header.prefix, plan.header.raw).root

    def in_order(step: Step) -> bool:
        return step.key.startswith(root)

    for step, entry in paired(s3, place, plan.steps(), lambda step: step.target, in_order):
        yield _check(place.bucket, step, _alive(entry), deep=deep)


def _to_folder(plan: Plan, root: Path) -> Iterator[_Check]:
    for step in plan.steps():
        path = root / step.target
        if not path.exists():
            yield _Check(step.key, f"{path} is missing")
        elif step.target.endswith("/"):
            yield _Check(step.key, "" if path.is_dir() else f"{path} is no folder")
        elif not path.is_file():
            yield _Check(step.key, f"{path} is no file")
        else:
            yield _Check(step.key, step=step, path=path)


def _alive(entry: Entry | None) -> Entry | None:
    return None if entry is None or entry.is_marker else entry


def _missing(step: Step) -> _Check:
    if step.action is Action.DELETE or step.reason is Reason.KEPT_NEW:
        return _Check(step.key)
    return _Check(step.key, "missing")


def _check(bucket: str, step: Step, entry: Entry | None, *, deep: bool) -> _Check:
    """What the listing says of one key. Pure."""
    if step.reason is Reason.KEPT_NEW:
        return _Check(step.key)
    if step.action is Action.DELETE:
        return _Check(step.key, "" if entry is None else "still there, but did not exist at the time")
    if entry is None:
        return _missing(step)
    if entry.version_id == step.version_id and entry.etag == step.etag:
        return _Check(step.key)
    if entry.size != step.size:
        return _Check(step.key, f"is {entry.size} bytes, should be {step.size}")
    stands = Current(entry.version_id, entry.etag, entry.size)
    if same_by_listing(replace(step, current=stands)) is not None and not deep:
        return _Check(step.key)
    return _Check(step.key, "", step, Version(bucket, entry.key, entry.version_id))


def _compare(plan: Plan, check: _Check, *, deep: bool) -> Job[tuple[str, str]]:
    step, there = check.step, check.there
    assert step is not None  # noqa: S101 - only such checks come here
    if check.path is not None:
        return (yield from _compare_file(plan, step, check.path, deep=deep))
    assert there is not None  # noqa: S101 - what is compared is a file or a version
    wanted = Version(plan.header.bucket, step.key, step.version_id)
    try:
        sameness: Sameness = yield from same_content(
            wanted, there, step.size, read_at_most=NO_LIMIT if deep else READ_AT_MOST, trust_etags=not deep
        )
    except S3Error as error:
        return check.key, f"cannot be compared: {error}"
    if sameness.same is not None:
        return check.key, ""
    if sameness.known:
        return check.key, "has other content of the same size"
    return check.key, "cannot be proved without reading it whole; verify --deep does"


def _compare_file(plan: Plan, step: Step, path: Path, *, deep: bool) -> Job[tuple[str, str]]:
    try:
        same = yield from same_file(plan.header.bucket, step, path, deep=deep)
    except (S3Error, OSError) as error:
        return step.key, f"cannot be compared: {error}"
    return step.key, "" if same is not None else f"{path} has other content"

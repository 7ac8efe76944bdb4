"""Proof that a bucket or folder is what a plan says: a fresh look, key by key.

Owns the comparison; changes nothing. What cannot be proved counts as wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from artifact_store.errors import KeysFailed, S3Error
from artifact_store.history.scope import Scope
from artifact_store.history.state import by_time
from artifact_store.restore.compare import READ_AT_MOST, Sameness, Version, same_content
from artifact_store.restore.destination import InPlace
from artifact_store.restore.plan import Action, Current, Reason, Step, same_by_listing, selector
from artifact_store.restore.planfile import Plan
from artifact_store.restore.server import Server
from artifact_store.s3.operations import Entry, Job

if TYPE_CHECKING:
    from artifact_store.history.listing import History

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
    """A verdict on a key, or what has to be compared for one. wrong "" and no version: fine."""

    key: str
    wrong: str = ""
    step: Step | None = None
    there: Version | None = None


def verify(
    s3: Server, plan: Plan, *, deep: bool = False, on_progress: Callable[[int], None] | None = None
) -> Verification:
    """Compare the place a plan wrote to with the plan. deep: compare checksums, by reading where a server has none.

    Raises S3Error where the place cannot be listed, Refused where the plan file was changed.
    """
    checks = _in_place(s3, plan, deep=deep)
    if not isinstance(plan.header.destination, InPlace):
        raise NotImplementedError
    checked = compared = 0
    wrong: list[tuple[str, str]] = []
    while batch := list(islice(checks, BATCH)):
        checked += len(batch)
        wrong.extend((check.key, check.wrong) for check in batch if check.wrong)
        for key, fault in s3.run(_compare(plan, check, deep=deep) for check in batch if check.there is not None):
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
        entry = current(history)
        if step is not None and step.key == history.key:
            yield _check(header.bucket, step, entry, deep=deep)
            step = next(steps, None)
        elif entry is not None and not header.options.keep_new:
            yield _Check(history.key, "exists, but not in the plan: it came after the plan was made")
    while step is not None:
        yield _missing(step)
        step = next(steps, None)


def current(history: History) -> Entry | None:
    """The current version of a key, None where there is none. Pure."""
    entries = history.entries if history.interleaved else by_time(history.entries)
    return entries[0] if entries and not entries[0].is_marker else None


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
    assert step is not None  # noqa: S101 - a check with a version has its step
    assert there is not None  # noqa: S101 - only such checks come here
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

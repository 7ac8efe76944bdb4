"""Proof that a bucket or folder is what a plan says: a fresh look, key by key.

Owns the comparison; changes nothing. What cannot be proved is told apart from what is wrong: it counts as neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from artifact_store.errors import KeysFailed, S3Error
from artifact_store.history.listing import History, NotInOrder
from artifact_store.history.scope import Scope
from artifact_store.restore.compare import CHUNK, Sameness, Version, same_content
from artifact_store.restore.destination import InPlace, ToBucket
from artifact_store.restore.elsewhere import current_entry, paired
from artifact_store.restore.folder import same_bytes, same_file, standing
from artifact_store.restore.headers import read_back
from artifact_store.restore.holding import holding
from artifact_store.restore.journal import Journal, written_ids
from artifact_store.restore.plan import Action, Current, Reason, Step, same_by_listing, selector
from artifact_store.restore.planfile import Plan
from artifact_store.restore.wording import counted
from artifact_store.s3.operations import Entry, Job
from artifact_store.s3.server import Server

BATCH = 5000
"""Keys compared together, so that memory stays flat."""

NO_LIMIT = 1 << 62

END: tuple[int, Step | None] = (0, None)


@dataclass(frozen=True, slots=True)
class Verification:
    """checked: keys looked at. compared: keys of which checksums, bytes or the journal were asked. wrong: (key, what
    differs). unproved: (key, why), which may be right but can only be told from what is wrong by reading (deep).
    headers: files of models that came back whose header or tail was read and is right. unread: others of them, of no
    format that is known, or checked in part only."""

    checked: int
    compared: int
    wrong: tuple[tuple[str, str], ...]
    unproved: tuple[tuple[str, str], ...] = ()
    headers: int = 0
    unread: int = 0

    @property
    def proved(self) -> bool:
        """Nothing is known to differ."""
        return not self.wrong

    def raise_for_differences(self) -> None:
        """Raise KeysFailed with every key that is not what the plan says, if any."""
        if self.wrong:
            raise KeysFailed(
                f"{len(self.wrong):,} of {counted(self.checked, 'key')} not what the plan says; make a new plan to see "
                "what differs now",
                self.wrong,
            )


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A step, with its number, of which only comparing tells whether a version or file is what it should be."""

    number: int
    step: Step
    there: Version | Path


@dataclass(frozen=True, slots=True)
class _Check:
    """A verdict on a key, or what has to be compared for one. wrong "" and no doubt: fine."""

    key: str
    wrong: str = ""
    doubt: _Doubt | None = None


@dataclass(frozen=True, slots=True)
class _Compared:
    """wrong: what differs. unproved: nobody can tell; then `stands` is the id of what is there."""

    doubt: _Doubt
    wrong: str = ""
    unproved: bool = False
    stands: str = ""


def verify(
    s3: Server,
    plan: Plan,
    *,
    deep: bool = False,
    journal: Path | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Verification:
    """Compare the place a plan wrote to with the plan.

    deep: trust no ETag; compare checksums, and read where a server has none. journal: what the run noted, by default
    the one beside the plan; a version it says was written by the run was copied from the very version wanted, which is
    proof where ETags and checksums are none. Raises S3Error where the place cannot be listed, Refused where the plan
    file was changed.
    """
    noted = journal or Journal.beside(plan.path)
    try:
        found = _verified(s3, plan, deep, noted, on_progress, versions=False)
        if found.proved or deep or not isinstance(plan.header.destination, InPlace):
            return found
    except NotInOrder:
        pass
    # Current objects are fewer than versions, but some servers have them in an order of their own, or lose some: nobody
    # is alarmed by that.
    return _verified(s3, plan, deep, noted, on_progress, versions=True)


def _verified(
    s3: Server, plan: Plan, deep: bool, journal: Path, on_progress: Callable[[int], None] | None, *, versions: bool
) -> Verification:
    """versions: find what is current by listing versions."""
    destination = plan.header.destination
    if isinstance(destination, InPlace):
        checks = _in_place(s3, plan, deep=deep, versions=versions)
    elif isinstance(destination, ToBucket):
        checks = _to_bucket(s3, plan, destination, deep=deep)
    else:
        checks = _to_folder(plan, destination.path)
    checked = compared = 0
    wrong: list[tuple[str, str]] = []
    unproved: list[_Compared] = []
    while batch := list(islice(checks, BATCH)):
        checked += len(batch)
        wrong.extend((check.key, check.wrong) for check in batch if check.wrong)
        doubts = (check.doubt for check in batch if check.doubt is not None)
        jobs = ((_held(doubt, deep=deep), _compare(plan, doubt, deep=deep)) for doubt in doubts)
        for found in s3.run(holding(jobs)):
            compared += 1
            if found.wrong:
                wrong.append((found.doubt.step.key, found.wrong))
            elif found.unproved:
                unproved.append(found)
        if on_progress is not None:
            on_progress(checked)
    written = written_ids(journal, plan.header.digest, {found.doubt.number for found in unproved})
    left = [found for found in unproved if not found.stands or written.get(found.doubt.number) != found.stands]
    headers = unread = 0
    told = {key for key, _ in wrong}
    for key, finding in read_back(s3, plan):
        if finding.problem and key not in told:
            wrong.append((key, finding.problem))
        headers, unread = headers + finding.proved, unread + (not finding.proved)
    return Verification(
        checked, compared, tuple(wrong), tuple((found.doubt.step.key, UNPROVED) for found in left), headers, unread
    )


UNPROVED = "has the right size, but no ETag or checksum to prove its content; verify --deep reads it"


def _in_place(s3: Server, plan: Plan, *, deep: bool, versions: bool) -> Iterator[_Check]:
    scope = Scope(plan.header.bucket, plan.header.prefix, plan.header.raw)
    # Where ETags are not to be trusted, only its version shows that a key is untouched.
    current = _current(scope.histories(s3)) if deep or versions else scope.current(s3)
    return _compared(plan, scope, current, deep=deep)


def _compared(plan: Plan, scope: Scope, current: Iterator[Entry], *, deep: bool) -> Iterator[_Check]:
    header = plan.header
    selected = selector(header.options)
    steps = plan.numbered()
    number, step = next(steps, END)
    for entry in current:
        if not selected(scope.relative(entry.key)):
            continue
        while step is not None and step.key < entry.key:
            yield _missing(step)
            number, step = next(steps, END)
        if step is not None and step.key == entry.key:
            yield _check(header.bucket, number, step, entry, deep=deep)
            number, step = next(steps, END)
        elif not header.options.keep_new:
            yield _Check(entry.key, "exists, but not in the plan: it came after the plan was made")
    while step is not None:
        yield _missing(step)
        number, step = next(steps, END)


def _to_bucket(s3: Server, plan: Plan, place: ToBucket, *, deep: bool) -> Iterator[_Check]:
    root = Scope(plan.header.bucket, plan.header.prefix, plan.header.raw).root

    def target(item: tuple[int, Step]) -> str:
        return item[1].target

    def in_order(item: tuple[int, Step]) -> bool:
        return item[1].key.startswith(root)

    for (number, step), entry in paired(s3, place, plan.numbered(), target, in_order):
        yield _check(place.bucket, number, step, _alive(entry), deep=deep)


def _to_folder(plan: Plan, root: Path) -> Iterator[_Check]:
    for number, step in plan.numbered():
        path = root / step.target
        if not path.exists():
            yield _Check(step.key, f"{path} is missing")
        elif step.target.endswith("/"):
            yield _Check(step.key, "" if path.is_dir() else f"{path} is no folder")
        elif not path.is_file():
            yield _Check(step.key, f"{path} is no file")
        else:
            yield _Check(step.key, doubt=_Doubt(number, step, path))


def _current(histories: Iterable[History]) -> Iterator[Entry]:
    entries = (_alive(current_entry(history)) for history in histories)
    return (entry for entry in entries if entry is not None)


def _alive(entry: Entry | None) -> Entry | None:
    return None if entry is None or entry.is_marker else entry


def _missing(step: Step) -> _Check:
    if step.action is Action.DELETE or step.reason is Reason.KEPT_NEW:
        return _Check(step.key)
    return _Check(step.key, "missing")


def _check(bucket: str, number: int, step: Step, entry: Entry | None, *, deep: bool) -> _Check:
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
    if same_by_listing(step._replace(current=stands)) is not None and not deep:
        return _Check(step.key)
    return _Check(step.key, doubt=_Doubt(number, step, Version(bucket, entry.key, entry.version_id)))


def _held(doubt: _Doubt, *, deep: bool) -> int:
    """Bytes that comparing may hold in memory."""
    return min(2 * doubt.step.size, 2 * CHUNK) if deep else 0


def _compare(plan: Plan, doubt: _Doubt, *, deep: bool) -> Job[_Compared]:
    try:
        if isinstance(doubt.there, Path):
            return (yield from _compare_file(plan, doubt, doubt.there, deep=deep))
        return (yield from _compare_version(plan, doubt, doubt.there, deep=deep))
    except (S3Error, OSError) as error:
        return _Compared(doubt, f"cannot be compared: {error}")


def _compare_version(plan: Plan, doubt: _Doubt, there: Version, *, deep: bool) -> Job[_Compared]:
    step = doubt.step
    wanted = Version(plan.header.bucket, step.key, step.version_id)
    sameness: Sameness = yield from same_content(
        wanted, there, step.size, read_at_most=NO_LIMIT if deep else 0, chunk=CHUNK, trust_etags=not deep
    )
    if sameness.same is not None:
        return _Compared(doubt)
    if sameness.known:
        return _Compared(doubt, "has other content of the same size")
    return _Compared(doubt, unproved=True, stands=sameness.other)


def _compare_file(plan: Plan, doubt: _Doubt, path: Path, *, deep: bool) -> Job[_Compared]:
    step, wrong = doubt.step, f"{path} has other content"
    if deep:
        return _Compared(doubt, "" if (yield from same_bytes(plan.header.bucket, step, path)) else wrong)
    sameness = yield from same_file(plan.header.bucket, step, path)
    if sameness.known:
        return _Compared(doubt, "" if sameness.same is not None else wrong)
    stands = standing(path)
    return _Compared(doubt, unproved=True, stands=stands.version_id if stands is not None else "")

"""Carrying a plan out: members, indexes, pointers; then what was not there is hidden, the other way round.

Owns the order of writes, the journal, stopping, and the report; the writes themselves are in `writes`. A key that fails
does not keep the others from being done. Refuses to write where a write would destroy (versioning off), and to begin
what cannot end (versions in an archive class).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from threading import Event, Thread
from typing import Any

from artifact_store.errors import KeysFailed, Refused, S3Error
from artifact_store.restore.copying import CopyLimits, Uploads, abort_upload
from artifact_store.restore.destination import InPlace, ToBucket, ToFolder
from artifact_store.restore.folder import fetch, held_by
from artifact_store.restore.holding import holding
from artifact_store.restore.journal import Journal
from artifact_store.restore.models import REMOVAL_RANKS, Order, removal_rank
from artifact_store.restore.plan import KEYS_A_DELETE, Action, Step
from artifact_store.restore.planfile import Plan
from artifact_store.restore.wording import counted
from artifact_store.restore.writes import Kind, Numbered, Outcome, Writes
from artifact_store.s3.operations import BucketVersioning, GetBucketVersioning, Job, RestoreObject
from artifact_store.s3.server import Server

LOOKED_AT_TOGETHER = 20
"""Keys of one delete request when each is looked at first, one after the other: few, so that requests overlap."""

ABORT_SECONDS = 0.8
"""An interrupted run ends within a second."""

PROBES = 3
"""Keys tried to learn whether a server knows conditions; when all fail, every key is looked at first."""

SEARCHED = 1000
"""Steps looked through for keys to try that with; large objects copied in parts cannot be."""


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """limits: how objects are copied. thaw: ask S3 to restore archived versions, and do nothing else. thaw_days: how
    long they stay readable. thaw_tier: "Standard", "Bulk" or "Expedited"."""

    limits: CopyLimits = field(default_factory=CopyLimits)
    thaw: bool = False
    thaw_days: int = 7
    thaw_tier: str = "Standard"


DEFAULTS = ApplyOptions()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far: keys and bytes finished of those to be written."""

    keys: int
    keys_total: int
    bytes: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a plan.

    written: keys written in this run. already: keys found finished. failed, conflicts: (key, reason). pending: keys not
    reached because the run was stopped. thawing: versions that S3 is restoring from an archive; wait: how long that
    takes, in words. uploads_left: unfinished multipart uploads that could not be aborted in time; the lifecycle rule of
    the bucket takes them.
    """

    written: int = 0
    already: int = 0
    bytes: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    conflicts: tuple[tuple[str, str], ...] = ()
    pending: int = 0
    thawing: int = 0
    wait: str = ""
    uploads_left: int = 0
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Every step of the plan is done."""
        return not (self.failed or self.conflicts or self.pending or self.thawing)

    def raise_for_failures(self) -> None:
        """Raise KeysFailed with every key that failed or was in conflict, if any."""
        bad = self.failed + self.conflicts
        if bad:
            raise KeysFailed(
                f"{counted(len(self.failed), 'key')} failed (apply again to finish) and {len(self.conflicts):,} were "
                f"changed by someone else meanwhile (plan again for these); {self.written + self.already:,} are done",
                bad,
            )


def apply(
    s3: Server,
    plan: Plan,
    *,
    journal: Path | None = None,
    options: ApplyOptions = DEFAULTS,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Event | None = None,
) -> Report:
    """Do what the plan says. Keys fail one by one, the rest goes on. Uploads that a killed run left are given up first.

    journal: where to note finished keys (Journal.beside(plan.path) is the usual place). stop: set it to end soon; a
    KeyboardInterrupt does the same. Raises Refused where the bucket is no longer versioned or versions must be thawed
    first, S3Error where S3 as a whole cannot be reached, or refuses the credentials or every copy, OSError where the
    disk is full or read-only; what was done until then is in the journal.
    """
    if options.thaw:
        return _thaw(s3, plan, options)
    if plan.archived:
        count = sum(1 for _ in plan.to_thaw())
        raise Refused(
            f"{counted(count, 'version')} in an archive class cannot be copied yet; have S3 restore them (--thaw, "
            f"{wait_for(options.thaw_tier)}) and plan again after that, or leave them out (--exclude)"
        )
    if isinstance(plan.header.destination, InPlace):
        versioning: BucketVersioning = s3.call(GetBucketVersioning(plan.header.bucket))
        if versioning.status != "Enabled":
            raise Refused(
                f"versioning of bucket {plan.header.bucket} is {versioning.status or 'off'} now, so writes would "
                "destroy what is there; enable it and apply again"
            )
    with Journal(journal, plan.header.digest) as book:
        return _Run(s3, plan, book, options, on_progress, stop or Event()).run()


def wait_for(tier: str) -> str:
    """How long a restore from the archive takes (S3 User Guide, "Understanding archive retrieval options")."""
    if tier == "Bulk":
        return "5 to 12 hours from GLACIER, up to 48 hours from DEEP_ARCHIVE"
    if tier == "Expedited":
        return "1 to 5 minutes from GLACIER, not offered for DEEP_ARCHIVE"
    return "3 to 5 hours from GLACIER, up to 12 hours from DEEP_ARCHIVE"


class _Run:
    """One application of one plan to a bucket. The only state: what is done, what is not, what must be cleaned up."""

    def __init__(
        self,
        s3: Server,
        plan: Plan,
        journal: Journal,
        options: ApplyOptions,
        on_progress: Callable[[Progress], None] | None,
        stop: Event,
    ) -> None:
        self.s3, self.plan, self.journal, self.options = s3, plan, journal, options
        self.on_progress, self.stop = on_progress, stop
        destination = plan.header.destination
        source = plan.header.bucket
        uploads = Uploads(journal.upload_began, journal.upload_ended, dict(journal.uploads))
        if isinstance(destination, ToBucket):
            self.writes = Writes(source, destination.bucket, destination.prefix, options.limits, uploads)
        else:
            self.writes = Writes(source, source, limits=options.limits, uploads=uploads)
        self.written = self.already = self.bytes = self.seen_bytes = self.copied = 0
        self.denied: S3Error | None = None
        self.failed: list[tuple[str, str]] = []
        self.conflicts: list[tuple[str, str]] = []
        self.order = Order(plan.header.models)
        self.later: defaultdict[int, list[Numbered]] = defaultdict(list)
        self.copies_known = self.deletes_known = False

    def run(self) -> Report:
        interrupted = True
        try:
            destination = self.plan.header.destination
            # What a run that was killed has left.
            self._drain([] for _ in self.s3.run(self._aborts()))
            if isinstance(destination, ToFolder):
                self._downloads(destination.path)
            else:
                self._in_stages()
            interrupted = self.stop.is_set()
        except KeyboardInterrupt:
            # Told in the report, since what was done until now is what the user needs to know.
            pass
        finally:
            self._abort_uploads()
        finished = self.written + self.already + len(self.failed) + len(self.conflicts)
        return Report(
            written=self.written,
            already=self.already,
            bytes=self.bytes,
            failed=tuple(self.failed),
            conflicts=tuple(self.conflicts),
            pending=self.plan.summary.changes - finished,
            uploads_left=len(self.writes.uploads.open),
            interrupted=interrupted,
        )

    def _todo(self, action: Action) -> Iterator[Numbered]:
        """The steps with this action that no run has finished."""
        if not self.plan.summary.counts[action]:
            return
        for number, step in self.plan.numbered(action):
            if self.stop.is_set():
                return
            if self.journal.done(number):
                self._count(Outcome(Kind.ALREADY, number, step))
            else:
                yield number, step

    def _staged(self, action: Action) -> Iterator[Numbered]:
        """Those of the first stage; what belongs to a later one is kept for it."""
        for number, step in self._todo(action):
            rank = self.order.rank(step.key)
            if rank:
                self.later[rank].append((number, step))
            else:
                yield number, step

    def _not_held_back(self, steps: Iterable[Numbered]) -> Iterator[Numbered]:
        """Those whose model's earlier stages are done; the others fail."""
        for number, step in steps:
            reason = self.order.held_back(step.key)
            if reason:
                self._count(Outcome(Kind.FAILED, number, step, reason))
            else:
                yield number, step

    def _in_stages(self) -> None:
        """Members, then what lists them, then what points at them; a stage begins when S3 has confirmed the one before.
        What is hidden goes the other way round."""
        self._copies(self._staged(Action.COPY))
        self._undeletes(self._staged(Action.UNDELETE))
        for rank in sorted(self.later):
            steps = [numbered for numbered in self.later[rank] if not self.stop.is_set()]
            self._copies(self._not_held_back(n for n in steps if n[1].action is Action.COPY))
            self._undeletes(self._not_held_back(n for n in steps if n[1].action is Action.UNDELETE))
        for rank in range(REMOVAL_RANKS):
            self._deletes(self._removals(rank))

    def _removals(self, rank: int) -> Iterator[Numbered]:
        if not self.plan.summary.counts[Action.DELETE]:
            return
        for number, step in self.plan.numbered(Action.DELETE):
            if self.stop.is_set():
                return
            if removal_rank(step.key) != rank:
                continue
            reason = self.order.removal_held_back(step.key)
            if self.journal.done(number):
                self._count(Outcome(Kind.ALREADY, number, step))
            elif reason:
                self._count(Outcome(Kind.FAILED, number, step, reason))
            else:
                yield number, step

    def _downloads(self, root: Path) -> None:
        source = self.plan.header.bucket
        jobs = ((held_by(step), fetch(source, number, step, root)) for number, step in self._todo(Action.COPY))
        self._drain([outcome] for outcome in self.s3.run(holding(jobs)))

    def _copies(self, todo: Iterator[Numbered]) -> None:
        """Raises S3Error where every copy was denied: to go on with the deletes would leave the worst of both."""
        left = todo
        if not self.copies_known:
            self.copies_known, left = self._probe(todo, self.writes.probe_copy)
            first = next(left, None)
            if first is not None:
                # Alone, since it shows whether copies in parts have the ETags that they are made for.
                self._count(self._one(self.writes.copy(*first, look=not self.copies_known)))
        look = not self.copies_known
        jobs = (self.writes.copy(number, step, look=look) for number, step in left)
        self._drain([outcome] for outcome in self.s3.run(jobs))
        if self.denied is not None and not self.copied and not self.stop.is_set():
            raise self.denied

    def _probe(
        self, todo: Iterator[Numbered], probe: Callable[[int, Step], Job[Outcome]]
    ) -> tuple[bool, Iterator[Numbered]]:
        """Whether the server is known to obey conditions, and the steps still to be done.

        Raises S3Error where all that was tried was denied.
        """
        aside: list[Numbered] = []
        tried: list[Outcome] = []
        known = False
        for number, step in islice(todo, SEARCHED):
            if not self.writes.can_probe(step):
                aside.append((number, step))
                continue
            outcome = self._one(probe(number, step))
            known = outcome.kind is Kind.UNPROVED
            if known:
                aside.append((number, step))
            else:
                tried.append(outcome)
            if known or outcome.kind is Kind.WRITTEN or len(tried) == PROBES:
                break
        denied = [outcome.denied for outcome in tried if outcome.denied is not None]
        if len(denied) == PROBES:
            raise denied[-1]
        for outcome in tried:
            self._count(outcome)
        return known, chain(aside, todo)

    def _undeletes(self, todo: Iterator[Numbered]) -> None:
        for outcomes in self.s3.run(self.writes.remove_markers(batch) for batch in _by_lines(todo)):
            removed = [outcome for outcome in outcomes if outcome.kind is Kind.UNPROVED]
            self._drain([[outcome for outcome in outcomes if outcome.kind is not Kind.UNPROVED]])
            looks = (self.writes.look_revealed(outcome.number, outcome.step) for outcome in removed)
            self._drain([outcome] for outcome in self.s3.run(looks))
            if self.stop.is_set():
                break

    def _deletes(self, todo: Iterator[Numbered]) -> None:
        known, left = self.deletes_known, todo
        if not known:
            known, left = self._probe(todo, self.writes.probe_delete)
        self.deletes_known = known
        batches = _batches(left, KEYS_A_DELETE if known else LOOKED_AT_TOGETHER)
        self._drain(self.s3.run(self.writes.delete(batch, look=not known) for batch in batches))

    def _drain(self, results: Iterable[list[Outcome]]) -> None:
        for outcomes in results:
            for outcome in outcomes:
                self._count(outcome)
            if self.stop.is_set():
                break

    def _one(self, job: Job[Any]) -> Any:
        (result,) = self.s3.run([job])
        return result

    def _count(self, outcome: Outcome) -> None:
        step = outcome.step
        self.denied = outcome.denied or self.denied
        if outcome.kind is Kind.FAILED:
            self.failed.append((step.key, outcome.reason))
            self.order.failed(step.key)
        elif outcome.kind is Kind.CONFLICT:
            self.conflicts.append((step.key, outcome.reason))
            self.order.failed(step.key)
        else:
            if not self.journal.done(outcome.number):
                self.journal.record(outcome.number, step.key, outcome.version_id)
            self.copied += step.action is Action.COPY
            if outcome.kind is Kind.WRITTEN:
                self.written += 1
                self.bytes += step.size if step.action is Action.COPY else 0
            else:
                self.already += 1
        self.seen_bytes += step.size if step.action is Action.COPY else 0
        if self.on_progress is not None:
            summary = self.plan.summary
            keys = self.written + self.already + len(self.failed) + len(self.conflicts)
            self.on_progress(Progress(keys, summary.changes, self.seen_bytes, summary.copied_bytes))

    def _aborts(self) -> list[Job[None]]:
        uploads = self.writes.uploads
        return [abort_upload(abort, uploads) for abort in uploads.open.values()]

    def _abort_uploads(self) -> None:
        """Give up what is unfinished. Does not wait for a server that does not answer: the user wants to go."""
        if not self.writes.uploads.open:
            return

        def abort() -> None:
            # The journal's disk may be what ended the run; then the ids stay noted as they are.
            with suppress(OSError):
                for _ in self.s3.run(self._aborts()):
                    pass

        thread = Thread(target=abort, name="abort-uploads", daemon=True)
        thread.start()
        thread.join(ABORT_SECONDS)


def _thaw(s3: Server, plan: Plan, options: ApplyOptions) -> Report:
    def job(key: str, version: str) -> Job[tuple[str, str] | None]:
        try:
            yield RestoreObject(plan.header.bucket, key, version, options.thaw_days, options.thaw_tier)
        except S3Error as error:
            # Asked for before, by us or by someone else (S3 API reference, "RestoreObject").
            return None if error.code == "RestoreAlreadyInProgress" else (key, str(error))
        return None

    thawing, failed = 0, []
    for failure in s3.run(job(key, version) for key, version in plan.to_thaw()):
        if failure is None:
            thawing += 1
        else:
            failed.append(failure)
    return Report(
        failed=tuple(failed),
        pending=plan.summary.changes,
        thawing=thawing,
        wait=wait_for(options.thaw_tier) if thawing else "",
    )


def _by_lines(steps: Iterator[Numbered]) -> Iterator[list[Numbered]]:
    """Batches whose markers go into one request; a step with more of them than that is a batch alone."""
    batch: list[Numbered] = []
    lines = 0
    for number, step in steps:
        if batch and lines + len(step.markers) > KEYS_A_DELETE:
            yield batch
            batch, lines = [], 0
        batch.append((number, step))
        lines += len(step.markers)
    if batch:
        yield batch


def _batches(steps: Iterator[Numbered], size: int) -> Iterator[list[Numbered]]:
    while batch := list(islice(steps, size)):
        yield batch

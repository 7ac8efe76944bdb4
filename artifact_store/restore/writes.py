"""The writes of a restore, one key or one batch of deletes each, every one conditional on what the plan saw.

Owns the conditions and the reading of their failures: our own write whose answer was lost is told from someone else's.
Refuses to bury a write by someone else: such a key is a conflict and stays as it is. Does no I/O: jobs ask for it.

Some servers ignore conditions and do not say so. So the first write of each kind is a probe: sent with a condition
that cannot hold, right after a look at the key. A server that knows conditions refuses it and writes nothing; one that
does not has written what was to be written anyway, and from then on each key is looked at right before its write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from artifact_store.errors import S3Error
from artifact_store.restore.compare import Version, same_content
from artifact_store.restore.copying import CopyLimits, Place, Uploads, copy_version, may_need_parts, single_copy
from artifact_store.restore.deleting import delete_lines, goes_alone
from artifact_store.restore.plan import KEYS_A_DELETE, Action, Step
from artifact_store.s3.operations import (
    DeletedKey,
    DeleteKey,
    HeadObject,
    Job,
    ObjectHead,
    Written,
)

NO_ETAG = "0" * 32
"""The ETag of nothing: a condition that cannot hold."""

TRIES = 3
"""How often a write is sent when S3 says that another one was under way, or that the line of a delete failed inside."""

PASSING_CODES = frozenset({"InternalError", "ServiceUnavailable", "SlowDown"})

READ_AT_MOST = 64 * 1024**2
"""Bytes up to which two versions are read to see whether what came to stand there is this restore's own write. Only
after a run that was cut off without a journal, and where neither ETags nor checksums tell."""

HOPELESS = frozenset(
    {"Unreachable", "Untrusted", "NoCredentials", "ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
)
"""Errors that the next key would meet as well: they end the run, and a second run goes on from there."""


class Kind(Enum):
    """What became of a step."""

    WRITTEN = auto()
    ALREADY = auto()
    FAILED = auto()
    CONFLICT = auto()
    UNPROVED = auto()
    """A probe was refused: the server knows conditions, and the step is still to be done. Or markers were removed, and
    what that revealed is still to be looked at."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """number: of the step in its plan. reason: of a failure or conflict. version_id: what stands now, if told. denied:
    the error, where these credentials may not do it."""

    kind: Kind
    number: int
    step: Step
    reason: str = ""
    version_id: str = ""
    denied: S3Error | None = None


Numbered = tuple[int, Step]


@dataclass(frozen=True, slots=True)
class Writes:
    """Writes to one bucket. source: the bucket to copy from. prefix: goes before the targets of steps."""

    source: str
    bucket: str
    prefix: str = ""
    limits: CopyLimits = field(default_factory=CopyLimits)
    uploads: Uploads = field(default_factory=Uploads)

    def probe_copy(self, number: int, step: Step) -> Job[Outcome]:
        """The first copy of a run: done, or UNPROVED, which says that the server knows conditions.

        Only for steps that `can_probe`.
        """
        try:
            outcome = yield from self._look(number, step)
            if outcome is not None:
                return outcome
            written: Written = yield single_copy(self.source, step, Place(self.bucket, self._key(step), NO_ETAG))
        except S3Error as error:
            if error.status == 412 or (error.status == 404 and (yield from self._source_exists(step))):
                return Outcome(Kind.UNPROVED, number, step)
            return _failed(number, step, error)
        return Outcome(Kind.WRITTEN, number, step, version_id=written.version_id)

    def can_probe(self, step: Step) -> bool:
        """Whether the request of a probe does the step as it shall be done, since a probe may do it."""
        if step.action is Action.DELETE:
            return not goes_alone(step.key)
        return not may_need_parts(step, self.limits)

    def copy(self, number: int, step: Step, *, look: bool) -> Job[Outcome]:
        """Bring one version back. look: see first whether the place is still what the plan saw."""
        current = step.current
        there = current is not None and not current.is_marker
        place = Place(
            self.bucket, self._key(step), if_match=current.etag if there and current else "", if_none_match=not there
        )
        tries = 0
        while True:
            tries += 1
            try:
                if look:
                    outcome = yield from self._look(number, step)
                    if outcome is not None:
                        return outcome
                written: Written = yield from copy_version(self.source, step, place, self.limits, self.uploads)
            except S3Error as error:
                # Besides a condition that failed, these are what a retry gets after the answer to a write was lost.
                if error.status not in (404, 409, 412):
                    return _failed(number, step, error)
                failure = yield from self._explain(number, step, error)
                # 409: another write was under way (S3 API reference, "CopyObject"); it may have come to nothing.
                if error.status != 409 or failure.kind is not Kind.FAILED or tries == TRIES:
                    return failure
            else:
                return Outcome(Kind.WRITTEN, number, step, version_id=written.version_id)

    def _source_exists(self, step: Step) -> Job[bool]:
        """S3 answers 404 to If-Match where no object is (S3 API reference, "CopyObject"), but also when the source is
        gone, which says nothing about conditions."""
        try:
            yield HeadObject(self.source, step.key, step.version_id)
        except S3Error:
            return False
        return True

    def _look(self, number: int, step: Step) -> Job[Outcome | None]:
        """None where the place is what the plan saw; else what that means. Raises S3Error."""
        head = yield from _head(self.bucket, self._key(step))
        current = step.current
        if head is None:
            if current is None or current.is_marker:
                return None
            return self._conflict(number, step, head)
        if current is not None and not current.is_marker:
            same_version = not head.version_id or head.version_id == current.version_id
            if head.etag == current.etag and same_version:
                return None
        return (yield from self._ours_or_conflict(number, step, head))

    def _explain(self, number: int, step: Step, error: S3Error) -> Job[Outcome]:
        try:
            outcome = yield from self._look(number, step)
        except S3Error as second:
            return _failed(number, step, second)
        return outcome or _failed(number, step, error)

    def _ours_or_conflict(self, number: int, step: Step, head: ObjectHead) -> Job[Outcome]:
        """Something else than the plan saw stands there: what we were to write (so we, or nobody, wrote it), or not."""
        if head.size == step.size:
            if head.etag == step.etag:
                return Outcome(Kind.ALREADY, number, step, version_id=head.version_id)
            wanted = Version(self.source, step.key, step.version_id)
            stands = Version(self.bucket, self._key(step), head.version_id)
            sameness = yield from same_content(wanted, stands, step.size, read_at_most=READ_AT_MOST)
            if sameness.same is not None:
                return Outcome(Kind.ALREADY, number, step, version_id=head.version_id)
            if not sameness.known:
                reason = f"changed since the plan was made, perhaps by this restore: version {head.version_id} has the "
                reason += f"size wanted ({step.size} bytes) and no checksum to tell; see with: verify --deep"
                return Outcome(Kind.CONFLICT, number, step, reason)
        return self._conflict(number, step, head)

    def _conflict(self, number: int, step: Step, head: ObjectHead | None) -> Outcome:
        now = "it is deleted now" if head is None else f"now {head.size} bytes, version {head.version_id or 'unknown'}"
        return Outcome(Kind.CONFLICT, number, step, f"changed since the plan was made ({now}); left as it is")

    def remove_markers(self, batch: list[Numbered]) -> Job[list[Outcome]]:
        """Remove the markers the plan saw, and those only, of steps that together fit a request (or of one step).

        Of steps that did not fail the outcome is UNPROVED: `look_revealed` tells what came of it.
        """
        lines = [DeleteKey(step.key, marker) for _, step in batch for marker in step.markers]
        try:
            told: list[DeletedKey] = []
            for start in range(0, len(lines), KEYS_A_DELETE):
                told += yield from delete_lines(self.bucket, lines[start : start + KEYS_A_DELETE])
        except S3Error as error:
            return [_failed(number, step, error) for number, step in batch]
        faults: dict[str, DeletedKey] = {}
        for line in told:
            if line.error_code not in ("", "NoSuchVersion"):
                faults.setdefault(line.key, line)
        return [
            Outcome(Kind.FAILED, number, step, _line_reason(faults[step.key]))
            if step.key in faults
            else Outcome(Kind.UNPROVED, number, step)
            for number, step in batch
        ]

    def look_revealed(self, number: int, step: Step) -> Job[Outcome]:
        """What stands after its markers were removed: the version wanted, or what someone wrote or deleted since."""
        try:
            head = yield from _head(self.bucket, step.key)
        except S3Error as error:
            return _failed(number, step, error)
        if head is None or not (head.version_id == step.version_id or (head.etag, head.size) == (step.etag, step.size)):
            return self._conflict(number, step, head)
        return Outcome(Kind.WRITTEN, number, step, version_id=head.version_id)

    def probe_delete(self, number: int, step: Step) -> Job[Outcome]:
        """The first delete of a run, as `probe_copy`; only for steps that `can_probe`."""
        try:
            outcome = yield from self._look_hidden(number, step)
            if outcome is not None:
                return outcome
            (line,) = yield from delete_lines(self.bucket, [DeleteKey(step.key, etag=NO_ETAG)])
        except S3Error as error:
            return _failed(number, step, error)
        if not line.error_code:
            return Outcome(Kind.WRITTEN, number, step, version_id=line.marker_version_id)
        if line.error_code == "PreconditionFailed":
            return Outcome(Kind.UNPROVED, number, step)
        return Outcome(Kind.FAILED, number, step, _line_reason(line))

    def delete(self, batch: list[Numbered], *, look: bool) -> Job[list[Outcome]]:
        """Hide at most 1,000 keys. look: see first whether each is still what the plan saw."""
        outcomes: list[Outcome] = []
        try:
            if look:
                for number, step in batch:
                    outcome = yield from self._look_hidden(number, step)
                    if outcome is not None:
                        outcomes.append(outcome)
            for attempt in range(1, TRIES + 1):
                told = {outcome.number for outcome in outcomes}
                left = [(number, step) for number, step in batch if number not in told]
                if not left:
                    break
                lines = [DeleteKey(step.key, etag=step.current.etag if step.current else "") for _, step in left]
                result = yield from delete_lines(self.bucket, lines)
                for (number, step), line in zip(left, result, strict=True):
                    if attempt == TRIES or line.error_code not in PASSING_CODES:
                        outcomes.append((yield from self._deleted(number, step, line)))
        except S3Error as error:
            told = {outcome.number for outcome in outcomes}
            outcomes.extend(_failed(number, step, error) for number, step in batch if number not in told)
        return outcomes

    def _deleted(self, number: int, step: Step, line: DeletedKey) -> Job[Outcome]:
        if not line.error_code:
            return Outcome(Kind.WRITTEN, number, step, version_id=line.marker_version_id)
        outcome = yield from self._look_hidden(number, step)
        return outcome or Outcome(Kind.FAILED, number, step, _line_reason(line))

    def _look_hidden(self, number: int, step: Step) -> Job[Outcome | None]:
        """None where what the plan wants hidden still stands. Raises S3Error."""
        head = yield from _head(self.bucket, step.key)
        if head is None:
            return Outcome(Kind.ALREADY, number, step)
        current = step.current
        same_version = not head.version_id or (current is not None and head.version_id == current.version_id)
        if current is not None and head.etag == current.etag and same_version:
            return None
        return self._conflict(number, step, head)

    def _key(self, step: Step) -> str:
        return self.prefix + step.target if step.target else step.key


def _head(bucket: str, key: str) -> Job[ObjectHead | None]:
    """The current version, None where there is none. Raises S3Error."""
    try:
        head: ObjectHead = yield HeadObject(bucket, key)
    except S3Error as error:
        if error.status == 404:
            return None
        raise
    return head


def _failed(number: int, step: Step, error: S3Error) -> Outcome:
    if error.code in HOPELESS:
        raise error
    # 403 InvalidObjectState is about one object: it lies in an archive.
    denied = error if error.status == 403 and error.code != "InvalidObjectState" else None
    return Outcome(Kind.FAILED, number, step, str(error), denied=denied)


def _line_reason(line: DeletedKey) -> str:
    return f"{line.error_code}: {line.error_message}" if line.error_message else line.error_code

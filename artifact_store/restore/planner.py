"""Making a plan: list, decide, ask for checksums where only they can tell, write the plan file.

The thin edge around `plan.decide`. Refuses what could do harm: a bucket without versioning, an instant in the future,
an in-place restore to an instant at which nothing existed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_store.errors import Refused, S3Error
from artifact_store.history.state import at
from artifact_store.restore.compare import READ_AT_MOST, Sameness, Version, same_content
from artifact_store.restore.destination import IN_PLACE, Destination, InPlace, ToBucket
from artifact_store.restore.plan import (
    DEFAULTS,
    Action,
    PlanOptions,
    Step,
    decide,
    etags_decide,
    may_be_same,
    selector,
)
from artifact_store.restore.planfile import Header, Plan, write_plan
from artifact_store.restore.server import Server
from artifact_store.s3.operations import BucketVersioning, GetBucketVersioning, Job

if TYPE_CHECKING:
    from artifact_store.history.scope import Scope

BATCH = 5000
"""Steps decided together, so that their checksums are asked for at once and memory stays flat."""

SAMPLE = 4
"""Pairs of objects looked at to see whether a bucket's ETags are MD5s; if KMS encrypts one of them, all are asked."""


def make_plan(
    s3: Server,
    scope: Scope,
    instant: float,
    path: Path,
    *,
    options: PlanOptions = DEFAULTS,
    destination: Destination = IN_PLACE,
    on_progress: Callable[[int], None] | None = None,
) -> Plan:
    """Plan the restore of `scope` to `instant` and write it to `path`. on_progress is told the keys looked at so far.

    Raises Refused (never versioned, suspended and in place, T in the future, nothing at T, names a folder cannot hold,
    something that differs at the destination without `overwrite`) and S3Error. Then no file is left.
    """
    versioning: BucketVersioning = s3.call(GetBucketVersioning(scope.bucket))
    check_bucket(scope.bucket, versioning, instant, destination)
    header = Header(
        bucket=scope.bucket,
        prefix=scope.prefix,
        raw=scope.raw,
        instant=instant,
        made_at=versioning.server_time,
        made_by=version("artifact-store"),
        options=options,
        destination=destination,
    )
    if not isinstance(destination, InPlace):
        raise NotImplementedError
    return write_plan(path, header, _in_place(s3, scope, instant, options, on_progress))


def check_bucket(bucket: str, versioning: BucketVersioning, instant: float, destination: Destination) -> None:
    """Refuse what a bucket's versioning or the server's clock rule out. Pure; raises Refused."""
    if versioning.status not in ("Enabled", "Suspended"):
        raise Refused(
            f"bucket {bucket} never had versioning enabled, so it keeps no former versions to restore; "
            "enable versioning now so that the next accident can be undone"
        )
    if isinstance(destination, InPlace) and versioning.status == "Suspended":
        raise Refused(
            f"versioning of bucket {bucket} is suspended, so a write would destroy the version with id null; "
            f"enable it first (aws s3api put-bucket-versioning --bucket {bucket} "
            "--versioning-configuration Status=Enabled), or restore to another place"
        )
    if versioning.server_time and int(instant) > int(versioning.server_time):
        raise Refused(f"{_utc(instant)} is in the future: the server's clock says {_utc(versioning.server_time)}")


def _in_place(
    s3: Server, scope: Scope, instant: float, options: PlanOptions, on_progress: Callable[[int], None] | None
) -> Iterator[Step]:
    selected = selector(options)
    existed = 0

    def steps() -> Iterator[Step]:
        nonlocal existed
        for seen, history in enumerate(scope.histories(s3), 1):
            if on_progress is not None and seen % 1000 == 0:
                on_progress(seen)
            if not selected(scope.relative(history.key)):
                continue
            state = at(history, instant, settled=options.settled)
            existed += state.then is not None
            step = decide(state, options)
            if step is not None:
                yield step

    changes = 0
    for step in settle_sameness(s3, scope.bucket, IN_PLACE, steps()):
        changes += step.action is not Action.KEEP
        yield step
    if not existed and not options.allow_empty:
        hidden = f", and this restore would hide all that is there now ({changes} keys)" if changes else ""
        raise Refused(f"nothing existed at {_utc(instant)} in {scope}{hidden}; check the time and the prefix")


def settle_sameness(s3: Server, bucket: str, destination: Destination, steps: Iterable[Step]) -> Iterator[Step]:
    """The steps in their order, those to write kept instead where checksums or bytes show that nothing differs."""
    there = destination.bucket if isinstance(destination, ToBucket) else bucket
    prefix = destination.prefix if isinstance(destination, ToBucket) else ""
    opaque_etags, sampled = False, 0
    steps = iter(steps)
    while batch := list(islice(steps, BATCH)):
        unsure = [i for i, step in enumerate(batch) if may_be_same(step)]
        sure = [i for i in unsure if etags_decide(batch[i])]
        if not opaque_etags and sampled < SAMPLE:
            sample = sure[: SAMPLE - sampled]
            sampled += len(sample)
            found = _ask(s3, bucket, there, prefix, batch, sample)
            opaque_etags = any(sameness.encrypted for sameness in found.values())
        asked = unsure if opaque_etags else [i for i in unsure if not etags_decide(batch[i])]
        for i, sameness in _ask(s3, bucket, there, prefix, batch, asked).items():
            if sameness.same is not None:
                batch[i] = replace(batch[i], action=Action.KEEP, reason=sameness.same)
        yield from batch


@dataclass(frozen=True, slots=True)
class _Found:
    index: int
    sameness: Sameness


def _ask(
    s3: Server, bucket: str, there: str, prefix: str, batch: list[Step], indexes: list[int]
) -> dict[int, Sameness]:
    def job(index: int) -> Job[_Found]:
        step = batch[index]
        assert step.current is not None  # noqa: S101 - may_be_same has seen one
        wanted = Version(bucket, step.key, step.version_id)
        stands = Version(there, prefix + step.target if step.target else step.key, step.current.version_id)
        # An archived version can be asked for its checksum, but not read.
        readable = 0 if step.action is Action.THAW else READ_AT_MOST
        try:
            sameness = yield from same_content(wanted, stands, step.size, read_at_most=readable)
        except S3Error:
            # What cannot be compared is copied; if it cannot be copied either, apply reports the key.
            sameness = Sameness(None, known=False)
        return _Found(index, sameness)

    if not indexes:
        return {}
    return {found.index: found.sameness for found in s3.run(job(index) for index in indexes)}


def _utc(instant: float) -> str:
    return datetime.fromtimestamp(int(instant), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

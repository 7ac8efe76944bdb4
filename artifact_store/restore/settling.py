"""Keeping what a plan would write though nothing differs: the questions a listing leaves open, asked in batches.

Owns which steps are worth a question; `compare` and `folder` own how it is answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from artifact_store.errors import S3Error
from artifact_store.restore.compare import READ_AT_MOST, Sameness, Version, same_content
from artifact_store.restore.destination import Destination, ToBucket
from artifact_store.restore.folder import same_file
from artifact_store.restore.plan import Action, Reason, Step, etags_decide, may_be_same
from artifact_store.s3.operations import Job
from artifact_store.s3.server import Server

BATCH = 5000
"""Steps decided together, so that their checksums are asked for at once and memory stays flat."""

SAMPLE = 4
"""Pairs of objects looked at to see whether a bucket's ETags are MD5s; if KMS encrypts one of them, all are asked."""


def settle_versions(s3: Server, bucket: str, destination: Destination, steps: Iterable[Step]) -> Iterator[Step]:
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
            found = _compared(s3, bucket, there, prefix, batch, sample)
            opaque_etags = any(sameness.encrypted for sameness in found.values())
        asked = unsure if opaque_etags else [i for i in unsure if not etags_decide(batch[i])]
        for i, sameness in _compared(s3, bucket, there, prefix, batch, asked).items():
            if sameness.same is not None:
                batch[i] = replace(batch[i], action=Action.KEEP, reason=sameness.same)
        yield from batch


@dataclass(frozen=True, slots=True)
class _Found:
    index: int
    sameness: Sameness


def _compared(
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


def settle_files(s3: Server, bucket: str, root: Path, steps: Iterable[Step]) -> Iterator[Step]:
    """The steps in their order, files that hold what is wanted already kept."""

    def job(index: int, step: Step) -> Job[tuple[int, Reason | None]]:
        try:
            return index, (yield from same_file(bucket, step, root / step.target))
        except (S3Error, OSError):
            # What cannot be compared differs, for all we know.
            return index, None

    steps = iter(steps)
    while batch := list(islice(steps, BATCH)):
        unsure = [i for i, step in enumerate(batch) if may_be_same(step) and step.action is not Action.THAW]
        for i, same in s3.run(job(i, batch[i]) for i in unsure):
            if same is not None:
                batch[i] = replace(batch[i], action=Action.KEEP, reason=same)
        yield from batch

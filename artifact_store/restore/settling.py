"""Keeping what a plan would write though nothing differs: the questions a listing leaves open, asked in batches.

Owns which steps are worth a question; `compare` and `folder` own how it is answered. Refuses to read objects: what two
HEADs do not settle is copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from artifact_store.errors import S3Error
from artifact_store.restore.compare import Sameness, Version, same_content
from artifact_store.restore.destination import Destination, ToBucket
from artifact_store.restore.folder import same_file
from artifact_store.restore.plan import Action, Reason, Step, etags_decide, may_be_same
from artifact_store.s3.operations import Job
from artifact_store.s3.server import Server

BATCH = 10_000
"""Steps decided together, so that their checksums are asked for at once and memory stays flat."""

SAMPLE = 3
"""Pairs of a batch whose ETags look like MD5s that are asked all the same, spread over it: where KMS encrypts one of
them, ETags say nothing and all are asked. A batch with a KMS object that no sample met costs a copy too many."""


def settle_versions(s3: Server, bucket: str, destination: Destination, steps: Iterable[Step]) -> Iterator[Step]:
    """The steps in their order, those to write kept instead where checksums or bytes show that nothing differs."""
    there = destination.bucket if isinstance(destination, ToBucket) else bucket
    prefix = destination.prefix if isinstance(destination, ToBucket) else ""
    steps = iter(steps)
    while batch := list(islice(steps, BATCH)):
        unsure = [i for i, step in enumerate(batch) if may_be_same(step)]
        by_etag = [i for i in unsure if etags_decide(batch[i])]
        sample = spread(by_etag, SAMPLE)
        asked = sorted({*unsure} - {*by_etag} | {*sample})
        found = _compared(s3, bucket, there, prefix, batch, asked)
        if any(sameness.encrypted for sameness in found.values()):
            found |= _compared(s3, bucket, there, prefix, batch, [i for i in unsure if i not in found])
        for i, sameness in found.items():
            if sameness.same is not None:
                batch[i] = batch[i]._replace(action=Action.KEEP, reason=sameness.same)
        yield from batch


def spread(items: Sequence[int], most: int) -> list[int]:
    """At most so many of the items, the first and the last among them and the others evenly between. Pure."""
    if len(items) <= most:
        return list(items)
    return [items[index * (len(items) - 1) // (most - 1)] for index in range(most)]


@dataclass(frozen=True, slots=True)
class _Found:
    index: int
    sameness: Sameness


def _compared(
    s3: Server, bucket: str, there: str, prefix: str, batch: list[Step], indexes: list[int]
) -> dict[int, Sameness]:
    def job(index: int) -> Job[_Found]:
        step = batch[index]
        wanted = Version(bucket, step.key, step.version_id)
        current = step.current.version_id if step.current is not None else ""
        stands = Version(there, prefix + step.target if step.target else step.key, current)
        try:
            sameness = yield from same_content(wanted, stands, step.size)
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
            sameness = yield from same_file(bucket, step, root / step.target)
            return index, sameness.same
        except (S3Error, OSError):
            # What cannot be compared differs, for all we know.
            return index, None

    steps = iter(steps)
    while batch := list(islice(steps, BATCH)):
        unsure = [i for i, step in enumerate(batch) if may_be_same(step)]
        for i, same in s3.run(job(i, batch[i]) for i in unsure):
            if same is not None:
                batch[i] = batch[i]._replace(action=Action.KEEP, reason=same)
        yield from batch

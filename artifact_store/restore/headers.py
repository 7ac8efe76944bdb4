"""The files of models that came back, read where they were written: the copy of a whole file must be one.

Owns which files are looked at: all of whole models that a plan brought back within S3. Not those that were there
already, nor what was downloaded, nor more than the header or tail of each; an unknown format tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from artifact_store.errors import S3Error
from artifact_store.formats.finding import Finding
from artifact_store.history.models import together
from artifact_store.restore.destination import ToBucket, ToFolder
from artifact_store.restore.plan import Action, Step
from artifact_store.restore.planfile import Plan
from artifact_store.s3.operations import Entry, Job
from artifact_store.s3.server import Server


def read_back(s3: Server, plan: Plan) -> Iterator[tuple[str, Finding]]:
    """(key, what its header says now) of each such file, in no order. What was wrong with the version that came back
    is no problem of its copy. Raises S3Error."""
    header = plan.header
    destination = header.destination
    files = {key for model in header.models if model.whole for key in (*model.members, *model.indexes, *model.pointers)}
    if isinstance(destination, ToFolder) or not files:
        return
    bucket, prefix = header.bucket, ""
    if isinstance(destination, ToBucket):
        bucket, prefix = destination.bucket, destination.prefix

    def job(step: Step) -> Job[tuple[str, Finding]]:
        written = prefix + step.target if step.target else step.key
        finding = yield from _header(bucket, written, "", step.size)
        if finding.problem:
            was = yield from _header(header.bucket, step.key, step.version_id, step.size)
            if was.problem == finding.problem:
                finding = Finding(proved=False)
        return step.key, finding

    actions = [action for action in (Action.COPY, Action.UNDELETE) if plan.summary.counts[action]]
    brought_back = chain.from_iterable(plan.numbered(action) for action in actions)
    yield from s3.run(job(step) for _, step in brought_back if step.key in files and step.size)


def _header(bucket: str, key: str, version: str, size: int) -> Job[Finding]:
    try:
        from artifact_store.formats.checks import check

        (finding,) = yield from together(bucket, [Entry(key, version, 0.0, True, size=size)], [check(key, size)])
    except S3Error as error:
        # The listing tells what is missing, and who may write a file may be kept from reading it.
        if error.status not in (403, 404):
            raise
        return Finding(proved=False)
    return finding

"""The headers of models that came back, read where they were written: the copy of a whole file must be one.

Owns which files are looked at: members of whole models that a plan copied within S3.
"""

from __future__ import annotations

from collections.abc import Iterator

from artifact_store.errors import S3Error
from artifact_store.formats import check
from artifact_store.formats.finding import Finding
from artifact_store.history.models import together
from artifact_store.restore.destination import ToBucket, ToFolder
from artifact_store.restore.plan import Action
from artifact_store.restore.planfile import Plan
from artifact_store.s3.operations import Entry, Job
from artifact_store.s3.server import Server

WHOLE = "whole"


def read_back(s3: Server, plan: Plan) -> Iterator[tuple[str, Finding]]:
    """(key, what its header says now) of each such file, in no order. Raises S3Error."""
    header = plan.header
    destination = header.destination
    members = {key for model in header.models if model.condition == WHOLE for key in model.members}
    if isinstance(destination, ToFolder) or not members:
        return
    bucket, prefix = (
        (destination.bucket, destination.prefix) if isinstance(destination, ToBucket) else (header.bucket, "")
    )

    def job(key: str, written: str, size: int) -> Job[tuple[str, Finding]]:
        there = Entry(written, "", 0.0, True, size=size)
        try:
            (finding,) = yield from together(bucket, [there], [check(written, size)])
        except S3Error as error:
            # The listing tells what is missing.
            if error.status != 404:
                raise
            finding = Finding(proved=False)
        return key, finding

    yield from s3.run(
        job(step.key, prefix + step.target if step.target else step.key, step.size)
        for _, step in plan.numbered(Action.COPY)
        if step.key in members and step.size
    )

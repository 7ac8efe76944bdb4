"""What reading a bucket and restoring it need of an S3 client: so little that a model in memory can stand in for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from artifact_store.s3.operations import Answer, GetObject, Job, Operation

R = TypeVar("R")


class Server(Protocol):
    """See artifact_store.s3.client.S3, which is one."""

    def call(self, operation: Operation) -> Answer:
        """Send one operation and wait. Raises S3Error."""
        ...

    def run(self, jobs: Iterable[Job[R] | None]) -> Iterator[R]:
        """Run many jobs at once, drawn as there is room; results in order of completion."""
        ...

    def read(self, get: GetObject) -> Iterator[bytes]:
        """The body of an object in chunks."""
        ...

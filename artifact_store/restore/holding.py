"""How much of what is read may be in memory at once.

Owns the waiting of jobs for room; knows nothing of what they read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from artifact_store.s3.operations import Job

R = TypeVar("R")

HOLD = 64 * 1024**2
"""Bytes of bodies in memory at once. The transport holds each of them twice for a moment."""


def holding(jobs: Iterable[tuple[int, Job[R]]], most: int = HOLD) -> Iterator[Job[R] | None]:
    """The jobs, each given with the bytes it holds at most, drawn only while together they hold `most` bytes.

    Yields None where there is no room until another one has ended, as `Server.run` understands it. A job that holds
    more than `most` runs alone.
    """
    held = 0

    def released(job: Job[R], size: int) -> Job[R]:
        nonlocal held
        try:
            return (yield from job)
        finally:
            held -= size

    for size, job in jobs:
        while held and held + size > most:
            yield None
        held += size
        yield released(job, size)

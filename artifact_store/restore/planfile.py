"""A plan as a file: a header line, then one JSON line a key, in key byte order.

Owns the format and its integrity: the header holds a SHA-256 over the step lines, and a file whose digest differs is
refused. Reading and writing stream, so memory does not grow with the number of keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from artifact_store.restore.destination import IN_PLACE, Destination
from artifact_store.restore.plan import PlanOptions, Step, Summary


@dataclass(frozen=True, slots=True)
class Header:
    """What a plan is about. raw: the prefix is a raw one, not a path. instant, made_at: seconds since the epoch, by the
    server's clock where it tells one. made_by: version of this program. digest: hex SHA-256 of the step lines."""

    bucket: str
    prefix: str
    raw: bool
    instant: float
    made_at: float
    made_by: str
    options: PlanOptions
    destination: Destination = IN_PLACE
    summary: Summary | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan on disk."""

    path: Path
    header: Header

    @property
    def summary(self) -> Summary:
        """Counts, bytes, requests, warnings."""
        raise NotImplementedError

    def steps(self) -> Iterator[Step]:
        """Every step in key byte order, streamed from the file."""
        raise NotImplementedError


def write_plan(path: Path, header: Header, steps: Iterable[Step]) -> Plan:
    """Write the steps, then the header with their summary and digest; the file appears whole or not at all."""
    raise NotImplementedError


def read_plan(path: Path) -> Plan:
    """Open a plan and check it. Raises UsageError where it cannot be read, Refused where the digest does not fit."""
    raise NotImplementedError

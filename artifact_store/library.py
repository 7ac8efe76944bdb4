"""The public library: a bucket, the bucket as it was, and a restore.

Owns the names users program against; every decision is made elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from artifact_store.history.scope import Scope
from artifact_store.restore.apply import ApplyOptions, Report
from artifact_store.restore.plan import DEFAULTS, PlanOptions, Step, Summary
from artifact_store.restore.planfile import Plan
from artifact_store.restore.server import Server
from artifact_store.restore.verify import Verification
from artifact_store.s3.operations import Entry


def open_bucket(
    address: str,
    *,
    profile: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
) -> Bucket:
    """Open "s3://BUCKET[/PREFIX]" with the credentials the aws command line would use."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or the part of it below a prefix."""

    s3: Server
    scope: Scope

    def at(self, instant: str | float, *, settled: bool = False) -> View:
        """What was there at an instant: ISO 8601 with a zone, "@EPOCH", an age such as "2h", or epoch seconds."""
        raise NotImplementedError

    def plan(
        self, instant: str | float, *, to: str | Path = "", options: PlanOptions = DEFAULTS, path: Path | None = None
    ) -> RestorePlan:
        """Plan a restore. to: "" in place, "s3://OTHER[/PREFIX]", or a folder. path: where to keep the plan file."""
        raise NotImplementedError


class View(Mapping[str, Entry]):
    """The keys that existed at an instant, each with the version that stood there. Read-only; listed when first used.

    Keys are whole keys, not relative to the prefix.
    """

    def __getitem__(self, key: str) -> Entry:
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def open(self, key: str) -> BinaryIO:
        """The file as it was, read from S3 as needed; seekable. KeyError where it did not exist."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """A plan, ready to be read and applied."""

    s3: Server
    plan: Plan

    @property
    def summary(self) -> Summary:
        """Counts, bytes, warnings."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Step]:
        raise NotImplementedError

    def apply(self, options: ApplyOptions | None = None) -> Report:
        """Do it; what was finished is kept in a journal beside the plan file, so calling again goes on."""
        raise NotImplementedError

    def verify(self, *, deep: bool = False) -> Verification:
        """Look again and prove that the bucket is what the plan says."""
        raise NotImplementedError

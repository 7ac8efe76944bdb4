"""Carrying a plan out: copies first, then deletes, each only if the place is still what the plan saw.

Owns the order of writes, their conditions, and what is said of each key that could not be written. Refuses to bury a
write by someone else: such a key is a conflict and stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from artifact_store.restore.planfile import Plan
from artifact_store.restore.server import Server

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """single_copy: largest object copied in one request, in bytes. part_size: size of parts above that, in bytes.
    thaw: ask S3 to restore archived versions. thaw_days: how long they stay readable."""

    single_copy: int = 5 * GIB
    part_size: int = 256 * 1024**2
    thaw: bool = False
    thaw_days: int = 7
    thaw_tier: str = "Standard"


DEFAULTS = ApplyOptions()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far: keys and bytes finished of those to be written."""

    keys: int
    keys_total: int
    bytes: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a plan.

    written: keys written in this run. already: keys a run before had finished. failed, conflicts: (key, reason).
    pending: keys not reached because the run was stopped. thawing: versions S3 was asked to restore; archived: versions
    left alone because they lie in an archive class. wait: how long a thaw takes, in words, "" where there is none.
    """

    written: int = 0
    already: int = 0
    bytes: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    conflicts: tuple[tuple[str, str], ...] = ()
    pending: int = 0
    thawing: int = 0
    archived: int = 0
    wait: str = ""
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Every step of the plan is done."""
        return not (self.failed or self.conflicts or self.pending or self.archived or self.thawing)

    def raise_for_failures(self) -> None:
        """Raise KeysFailed with every key that failed or was in conflict, if any."""
        raise NotImplementedError


def apply(
    s3: Server,
    plan: Plan,
    *,
    journal: Path | None = None,
    options: ApplyOptions = DEFAULTS,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Event | None = None,
) -> Report:
    """Do what the plan says. Keys fail one by one, the rest goes on.

    journal: where to note finished keys (Journal.beside(plan.path) is the usual place). stop: set it to end soon; a
    KeyboardInterrupt does the same. Raises Refused where the bucket is no longer versioned, S3Error where S3 as a whole
    cannot be reached.
    """
    raise NotImplementedError

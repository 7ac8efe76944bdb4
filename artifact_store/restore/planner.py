"""Making a plan: list, decide, ask for checksums where only they can tell, write the plan file.

The thin edge around `plan.decide`. Refuses what could do harm: a bucket without versioning, an instant in the future,
an in-place restore to an instant at which nothing existed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_store.restore.destination import IN_PLACE, Destination
from artifact_store.restore.plan import DEFAULTS, PlanOptions
from artifact_store.restore.planfile import Plan
from artifact_store.restore.server import Server

if TYPE_CHECKING:
    from artifact_store.history.scope import Scope


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
    raise NotImplementedError

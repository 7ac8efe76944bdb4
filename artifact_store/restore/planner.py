"""Making a plan: list, decide, ask for checksums where only they can tell, write the plan file.

The thin edge around `plan.decide`. Refuses what could do harm: a bucket without versioning, an instant in the future,
an in-place restore to an instant at which nothing existed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_store.errors import Refused
from artifact_store.history.instant import show
from artifact_store.history.state import KeyState, at
from artifact_store.history.versioned import check_versioned
from artifact_store.restore.destination import IN_PLACE, Destination, InPlace, ToBucket
from artifact_store.restore.elsewhere import to_bucket, to_folder
from artifact_store.restore.plan import DEFAULTS, Action, PlanOptions, Step, decide, selector
from artifact_store.restore.planfile import Header, Plan, write_plan
from artifact_store.restore.settling import settle_versions
from artifact_store.restore.wording import counted
from artifact_store.s3.operations import BucketVersioning, GetBucketVersioning
from artifact_store.s3.server import Server

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
    versioning: BucketVersioning = s3.call(GetBucketVersioning(scope.bucket))
    check_versioned(scope.bucket, versioning)
    check_instant(versioning, instant)
    if isinstance(destination, InPlace):
        check_enabled(scope.bucket, versioning)
    header = Header(
        bucket=scope.bucket,
        prefix=scope.prefix,
        raw=scope.raw,
        instant=instant,
        made_at=versioning.server_time,
        made_by=version("artifact-store"),
        options=options,
        destination=destination,
    )
    states = _States(s3, scope, instant, options, on_progress)
    if isinstance(destination, InPlace):
        steps = _in_place(s3, scope.bucket, options, iter(states))
    elif isinstance(destination, ToBucket):
        steps = to_bucket(s3, scope, destination, options, iter(states))
    else:
        steps = to_folder(s3, scope, destination, options, iter(states))
    return write_plan(path, header, _not_empty(steps, states, scope, instant, options))


def check_enabled(bucket: str, versioning: BucketVersioning) -> None:
    """Refuse to write over a bucket whose versioning is suspended. Pure; raises Refused."""
    if versioning.status == "Suspended":
        raise Refused(
            f"versioning of bucket {bucket} is suspended, so a write would destroy the version with id null; "
            f"enable it first (aws s3api put-bucket-versioning --bucket {bucket} "
            "--versioning-configuration Status=Enabled), or restore to another place"
        )


def check_instant(versioning: BucketVersioning, instant: float) -> None:
    """Refuse what is yet to come by the server's clock. Pure; raises Refused."""
    if versioning.server_time and int(instant) > int(versioning.server_time):
        raise Refused(
            f"{show(instant)} is in the future: the server's clock says {show(versioning.server_time)}; name a time "
            "that has passed"
        )


class _States:
    """The selected keys' states at the instant, streamed once. existed: how many of them there were then, so far."""

    def __init__(
        self,
        s3: Server,
        scope: Scope,
        instant: float,
        options: PlanOptions,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self.existed = 0
        self._arguments = s3, scope, instant, options, on_progress

    def __iter__(self) -> Iterator[KeyState]:
        s3, scope, instant, options, on_progress = self._arguments
        selected = selector(options)
        for seen, history in enumerate(scope.histories(s3), 1):
            if on_progress is not None and seen % 1000 == 0:
                on_progress(seen)
            if selected(scope.relative(history.key)):
                state = at(history, instant, settled=options.settled)
                self.existed += state.then is not None
                yield state


def _in_place(s3: Server, bucket: str, options: PlanOptions, states: Iterator[KeyState]) -> Iterator[Step]:
    steps = (step for state in states if (step := decide(state, options)) is not None)
    return settle_versions(s3, bucket, IN_PLACE, steps)


def _not_empty(
    steps: Iterable[Step], states: _States, scope: Scope, instant: float, options: PlanOptions
) -> Iterator[Step]:
    changes = 0
    for step in steps:
        changes += step.action is not Action.KEEP
        yield step
    if not states.existed and not options.allow_empty:
        hidden = f", and this restore would hide all that is there now ({counted(changes, 'key')})" if changes else ""
        globs = [f"--include {glob!r}" for glob in options.include] + [
            f"--exclude {glob!r}" for glob in options.exclude
        ]
        chosen = f" that {' '.join(globs)} lets through" if globs else ""
        look = "the time, the prefix and the globs" if globs else "the time and the prefix"
        raise Refused(f"nothing existed at {show(instant)} in {scope}{chosen}{hidden}; check {look}")

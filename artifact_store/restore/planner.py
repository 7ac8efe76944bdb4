"""Making a plan: list, decide, ask for checksums where only they can tell, write the plan file.

The thin edge around `plan.decide`. Refuses what could do harm: a bucket without versioning, an instant in the future,
an in-place restore to an instant at which nothing existed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_store.errors import Refused, UsageError
from artifact_store.history.instant import show
from artifact_store.history.state import Flag, KeyState, at
from artifact_store.history.versioned import check_versioned
from artifact_store.restore.destination import IN_PLACE, Destination, InPlace, ToBucket
from artifact_store.restore.elsewhere import to_bucket, to_folder
from artifact_store.restore.models import LOCKED, RESTORE, NotWhole, Wanted
from artifact_store.restore.plan import DEFAULTS, Action, PlanOptions, Step, decide, selector
from artifact_store.restore.planfile import Header, Plan, write_plan
from artifact_store.restore.settling import settle_versions
from artifact_store.restore.standing import LeavesBroken
from artifact_store.restore.watch import Chosen, Watch
from artifact_store.restore.wording import counted
from artifact_store.s3.operations import BucketVersioning, GetBucketVersioning
from artifact_store.s3.server import Server

if TYPE_CHECKING:
    from artifact_store.history.listing import History
    from artifact_store.history.lock import Lock
    from artifact_store.history.scope import Scope


class NothingThen(Refused):
    """Nothing existed at the instant."""


def make_plan(
    s3: Server,
    scope: Scope,
    instant: float,
    path: Path,
    *,
    options: PlanOptions = DEFAULTS,
    destination: Destination = IN_PLACE,
    on_progress: Callable[[int], None] | None = None,
    lock: Lock | None = None,
) -> Plan:
    """Plan the restore of `scope` to `instant` and write it to `path`. on_progress is told the keys looked at so far.
    lock: take the versions it names, all of them, instead of those that stood at the instant.

    Raises UsageError (only some keys of a lock, or another instant for its models), Refused (never versioned, suspended
    and in place, T in the future, nothing at T, no whole model, names a folder cannot hold, something that differs at
    the destination without `overwrite`) and S3Error. Then no file is left.
    """
    if lock is not None:
        check_locked(options)
    versioning: BucketVersioning = s3.call(GetBucketVersioning(scope.bucket))
    check_versioned(scope.bucket, versioning)
    check_instant(versioning, instant)
    if isinstance(destination, InPlace):
        check_enabled(scope.bucket, versioning)
    header = Header(
        bucket=scope.bucket,
        prefix=scope.prefix,
        raw=scope.raw,
        instant=float(instant),
        made_at=versioning.server_time,
        made_by=version("artifact-store"),
        options=options,
        destination=destination,
    )
    chosen = Chosen()
    while True:
        watch: list[Watch] = []
        try:
            return _plan(s3, scope, header, path, chosen, lock, on_progress, watch)
        except NotWhole as error:
            if options.models != Wanted.NEAREST or any(verdict.thaw_first for verdict in error.verdicts):
                raise
            better = watch[0].nearer()
            if better == chosen:
                raise
            chosen = better


def _plan(
    s3: Server,
    scope: Scope,
    header: Header,
    path: Path,
    chosen: Chosen,
    lock: Lock | None,
    on_progress: Callable[[int], None] | None,
    watch: list[Watch],
) -> Plan:
    """watch: takes the one that sees it, for whoever asks after a refusal."""
    options, destination = header.options, header.destination
    states = _States(s3, scope, header, chosen, lock, on_progress)
    watch.append(states.watch)
    if isinstance(destination, InPlace):
        steps = _in_place(s3, scope.bucket, options, iter(states))
    elif isinstance(destination, ToBucket):
        steps = to_bucket(s3, scope, destination, options, iter(states))
    else:
        steps = to_folder(s3, scope, destination, options, iter(states))
    return write_plan(path, header, _allowed(steps, states, scope, header), states.watch.planned)


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


def check_locked(options: PlanOptions) -> None:
    """Refuse what would make less of a lock than it is. Pure; raises UsageError."""
    if options.include or options.exclude:
        raise UsageError("a lock file is restored as a whole; leave --include and --exclude out, or lock less")
    if options.settled or options.models == Wanted.NEAREST:
        name = "--settled" if options.settled else "--nearest-complete"
        raise UsageError(f"a lock file names each version itself, so {name} says nothing; leave it out")


class _States:
    """The selected keys' states at the instant, streamed once. existed: how many of them there were then, so far.
    watch: what it saw of models."""

    def __init__(
        self,
        s3: Server,
        scope: Scope,
        header: Header,
        chosen: Chosen,
        lock: Lock | None,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self.existed = 0
        self.locked = lock is not None
        self._lock = lock
        self._s3, self._scope, self._header, self._chosen = s3, scope, header, chosen
        self._on_progress = on_progress
        glob = selector(header.options)
        self._selected: Callable[[str], bool] = lambda key: glob(scope.relative(key))
        everything = not isinstance(header.destination, InPlace)
        self.watch = Watch(
            s3,
            scope,
            header.instant,
            chosen,
            settled=header.options.settled,
            everything=everything,
            all_of=header.options.models == Wanted.NEAREST,
            lock=lock,
            keep_new=header.options.keep_new,
            selected=self._selected,
        )

    def __iter__(self) -> Iterator[KeyState]:
        return self.watch.passed(self._keys())

    def _keys(self) -> Iterator[tuple[History, KeyState, bool]]:
        options = self._header.options
        locked: set[str] = set()
        for seen, history in enumerate(self._scope.histories(self._s3), 1):
            if self._on_progress is not None and seen % 1000 == 0:
                self._on_progress(seen)
            if self._lock is not None and history.key in self._lock.files:
                locked.add(history.key)
            chosen = self._selected(history.key)
            if self._lock is not None:
                state = self._lock.state(history)
            else:
                instant = self._chosen.keys.get(history.key, self._header.instant)
                state = at(history, instant, settled=options.settled)
                if history.key in self._chosen.keys:
                    # Where a save ended something was written just then; the time that was asked for is another.
                    state = state._replace(flags=state.flags - {Flag.EDGE})
            self.existed += chosen and state.then is not None
            yield history, state, chosen
        if self._lock is not None and (error := self._lock.missing(locked)) is not None:
            raise error


def _in_place(s3: Server, bucket: str, options: PlanOptions, states: Iterator[KeyState]) -> Iterator[Step]:
    steps = (step for state in states if (step := decide(state, options)) is not None)
    return settle_versions(s3, bucket, IN_PLACE, steps)


def _allowed(steps: Iterable[Step], states: _States, scope: Scope, header: Header) -> Iterator[Step]:
    """The steps; after the last one what they come to is refused where it could do harm."""
    changes = 0
    for step in steps:
        changes += step.action is not Action.KEEP
        yield step
    options = header.options
    if not states.existed and not options.allow_empty:
        hidden = f", and this restore would hide all that is there now ({counted(changes, 'key')})" if changes else ""
        globs = [f"--include {glob!r}" for glob in options.include] + [
            f"--exclude {glob!r}" for glob in options.exclude
        ]
        chosen = f" that {' '.join(globs)} lets through" if globs else ""
        look = "the time, the prefix and the globs" if globs else "the time and the prefix"
        raise NothingThen(f"nothing existed at {show(header.instant)} in {scope}{chosen}{hidden}; check {look}")
    broken = [v for v in states.watch.verdicts if not v.whole and not (options.thaw and v.thaw_first)]
    left = [v for v in states.watch.broken if not (options.thaw and v.thaw_first)]
    if broken and options.models != Wanted.AS_IS:
        remedy = LOCKED if states.locked else RESTORE
        raise NotWhole(broken, scope, header.instant, remedy, states.watch.verdicts)
    if left and options.models != Wanted.AS_IS:
        raise LeavesBroken(
            left,
            scope,
            header.instant,
            keep_new=options.keep_new,
            globs=bool(options.include or options.exclude),
            to=str(header.destination),
        )
    if not changes:
        states.watch.judge_rest()

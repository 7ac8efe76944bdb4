"""The public library: a bucket, the bucket as it was, and a restore.

Owns the names users program against; every decision is made elsewhere.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, cast

from artifact_store.errors import Refused
from artifact_store.history.instant import known, parse_instant
from artifact_store.history.scope import Scope, check_destination, parse_scope
from artifact_store.history.state import KeyState, at, is_archived
from artifact_store.history.versioned import clock
from artifact_store.restore.apply import DEFAULTS as APPLY_DEFAULTS
from artifact_store.restore.apply import ApplyOptions, Report, apply
from artifact_store.restore.destination import parse_destination
from artifact_store.restore.journal import Journal
from artifact_store.restore.plan import DEFAULTS, PlanOptions, Step, Summary
from artifact_store.restore.planfile import Plan, read_plan
from artifact_store.restore.planner import make_plan
from artifact_store.restore.verify import Verification, verify
from artifact_store.s3.operations import Entry, GetObject, HeadObject, ObjectHead
from artifact_store.s3.server import Server

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER = 1024 * 1024
"""Bytes asked for at a time when a file is read in small pieces."""

READ_AT_ONCE = 16 * 1024**2
"""Bytes asked for at a time when a file is read to its end."""


def open_bucket(
    address: str,
    *,
    profile: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
) -> Bucket:
    """Open "s3://BUCKET[/PREFIX]" with the credentials the aws command line would use.

    PREFIX is a path: "models/m-1" is that key and all below "models/m-1/". Raises UsageError for a wrong address and
    S3Error where there are no credentials. Sends nothing yet. Use it as a context manager, or close it.
    """
    from artifact_store.s3.client import connect

    scope = parse_scope(address)
    s3 = connect(profile=profile, region=region, endpoint_url=endpoint_url)
    return Bucket(s3, scope, s3.close)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or the part of it below a prefix. Views and plans of it can be used until it is closed."""

    s3: Server
    scope: Scope
    on_close: Callable[[], None] | None = None

    def __enter__(self) -> Bucket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self.on_close is not None:
            self.on_close()

    def at(self, instant: str | float, *, settled: bool = False) -> View:
        """What was there at an instant: ISO 8601 with a zone, "@EPOCH", an age such as "2h", or epoch seconds.

        Inclusive: what was written in that second is there. settled: take the version before, where the one at the
        instant may have been still uploading. Raises UsageError (also for the future, by the server's clock), Refused
        where the bucket never kept versions, S3Error.
        """
        return View(self.s3, self.scope, self._seconds(instant), settled=settled)

    def plan(
        self,
        instant: str | float,
        *,
        to: str | Path = "",
        options: PlanOptions = DEFAULTS,
        path: Path | None = None,
    ) -> RestorePlan:
        """Plan a restore. to: "" in place, "s3://OTHER[/PREFIX]", or a folder. path: where to keep the plan file, None
        for a temporary one.

        Changes nothing. Raises UsageError, Refused (with the reason), S3Error.
        """
        check_destination(str(to))
        seconds = self._seconds(instant)
        if path is None:
            path = Path(tempfile.mkdtemp(prefix="artifact-store-")) / "plan"
        return RestorePlan(
            self.s3,
            make_plan(self.s3, self.scope, seconds, path, options=options, destination=parse_destination(str(to))),
        )

    def open_plan(self, path: Path) -> RestorePlan:
        """A plan made before. Raises UsageError, Refused where the file is damaged or about another bucket."""
        plan = read_plan(path)
        if plan.header.bucket != self.scope.bucket:
            raise Refused(f"plan {path} is about bucket {plan.header.bucket}, not {self.scope.bucket}")
        return RestorePlan(self.s3, plan)

    def _seconds(self, instant: str | float) -> float:
        # An age is counted from the server's clock, since its times are what the instant is compared with.
        now = clock(self.s3, self.scope.bucket)
        if isinstance(instant, str):
            return parse_instant(instant, now)
        return known(instant, now, f"time {instant!r}")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a version carries beside its bytes. headers: of the content (content-type, cache-control, …), lower-case.
    user: user metadata, without the x-amz-meta- prefix. checksums: algorithm to base64 value, where stored."""

    content_type: str
    headers: Mapping[str, str]
    user: Mapping[str, str]
    checksums: Mapping[str, str]


class View(Mapping[str, Entry]):
    """The keys that existed at an instant, each with the version that stood there. Read-only.

    Keys are whole keys, not relative to the prefix. Iterating lists the bucket, each time anew and without keeping it;
    asking for one key lists that key alone.
    """

    def __init__(self, s3: Server, scope: Scope, instant: float, *, settled: bool = False) -> None:
        self._s3, self._scope, self._settled = s3, scope, settled
        self.instant = instant
        """Seconds since the epoch."""

    def entries(self) -> Iterator[Entry]:
        """The versions that stood at the instant, in key byte order, streamed. Raises S3Error."""
        return (state.then for state in self.states() if state.then is not None)

    def states(self) -> Iterator[KeyState]:
        """Every key's state, those that were absent at the instant among them, in key byte order, streamed. A state has
        flags (Flag.UNSETTLED: may not have been visible; TIE, EDGE, REPLACED) and what is current now. Raises S3Error.
        """
        return (at(history, self.instant, settled=self._settled) for history in self._scope.histories(self._s3))

    def state(self, key: str) -> KeyState:
        """One key's state, as `states` tells it. KeyError where the key has no version at all. Raises S3Error."""
        from artifact_store.history.listing import list_history

        history = list_history(self._s3, self._scope.bucket, key) if self._scope.contains(key) else None
        if history is None:
            raise KeyError(key)
        return at(history, self.instant, settled=self._settled)

    def metadata(self, key: str) -> Metadata:
        """Content type, headers and user metadata as they were. KeyError where it did not exist. Raises S3Error."""
        entry = self[key]
        head: ObjectHead = self._s3.call(HeadObject(self._scope.bucket, key, entry.version_id, checksum=True))
        return Metadata(head.headers.get("content-type", ""), head.headers, head.metadata, head.checksums)

    def __getitem__(self, key: str) -> Entry:
        then = self.state(key).then
        if then is None:
            raise KeyError(key)
        return then

    def __iter__(self) -> Iterator[str]:
        return (entry.key for entry in self.entries())

    def __len__(self) -> int:
        return sum(1 for _ in self.entries())

    def items(self) -> ItemsView[str, Entry]:
        """Keys and versions from one listing."""
        return _Items(self)

    def values(self) -> ValuesView[Entry]:
        """Versions from one listing."""
        return _Values(self)

    def open(self, key: str) -> BinaryIO:
        """The file as it was, read from S3 as needed; seekable. KeyError where it did not exist.

        Raises Refused where it lies in an archive class. Reading raises S3Error.
        """
        entry = self[key]
        if is_archived(entry):
            raise Refused(f"{key} lies in {entry.storage_class} and cannot be read before S3 has restored it")
        raw = _VersionFile(self._s3, self._scope.bucket, entry)
        return cast("BinaryIO", io.BufferedReader(raw, BUFFER))


class _Items(ItemsView[str, Entry]):
    _mapping: View

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        return ((entry.key, entry) for entry in self._mapping.entries())


class _Values(ValuesView[Entry]):
    _mapping: View

    def __iter__(self) -> Iterator[Entry]:
        return self._mapping.entries()


class _VersionFile(io.RawIOBase):
    """One version as a read-only file; each read is a ranged GET."""

    def __init__(self, s3: Server, bucket: str, entry: Entry) -> None:
        self._s3, self._bucket, self._entry, self._position = s3, bucket, entry, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._entry.size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._get(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        chunks = []
        while data := self._get(READ_AT_ONCE):
            chunks.append(data)
        return b"".join(chunks)

    def _get(self, length: int) -> bytes:
        last = min(self._position + length, self._entry.size) - 1
        if last < self._position:
            return b""
        entry = self._entry
        get = GetObject(self._bucket, entry.key, entry.version_id, self._position, last, entry.etag)
        data: bytes = self._s3.call(get).data
        self._position += len(data)
        return data


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """A plan, ready to be read and applied."""

    s3: Server
    plan: Plan

    @property
    def summary(self) -> Summary:
        """Counts, bytes, warnings."""
        return self.plan.summary

    def __iter__(self) -> Iterator[Step]:
        """Every step, in key byte order."""
        return self.plan.steps()

    def apply(self, options: ApplyOptions = APPLY_DEFAULTS) -> Report:
        """Do it; what was finished is kept in a journal beside the plan file, so calling again goes on.

        Keys that fail are in the report. Raises Refused, S3Error.
        """
        return apply(self.s3, self.plan, journal=Journal.beside(self.plan.path), options=options)

    def verify(self, *, deep: bool = False) -> Verification:
        """Look again and prove that the place is what the plan says. Raises S3Error."""
        return verify(self.s3, self.plan, deep=deep)

"""A model pinned to versions: a small file to keep beside code, from which it can be had again, whole, elsewhere.

Owns the lock file: what it holds, how it is written and read, and which version of a key it names. Refuses a file whose
digest does not fit, and to stand in for a version that is gone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifact_store.errors import Refused, UsageError
from artifact_store.history.instant import show
from artifact_store.history.listing import History
from artifact_store.history.models import Candidate, Finder, together
from artifact_store.history.scope import Scope
from artifact_store.history.state import KeyState, standing
from artifact_store.s3.operations import Entry, HeadObject, Job, ObjectHead
from artifact_store.s3.server import Server

if TYPE_CHECKING:
    from typing import BinaryIO

FORMAT = "artifact-store lock 1"
LARGEST = 64 * 1024**2
"""Bytes of a lock file that is read: 300,000 files' worth."""


@dataclass(frozen=True, slots=True)
class LockedFile:
    """One version. key: whole key. size: bytes. checksum: "CRC64NVME:…" as S3 stores it, "" where it stores none.
    header: SHA-256 of the tensors' names, types and shapes, "" where the format has none."""

    key: str
    version_id: str
    size: int
    etag: str
    checksum: str = ""
    header: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """scope: what was locked. instant: seconds since the epoch. files: by key, in key order."""

    scope: Scope
    instant: float
    files: Mapping[str, LockedFile]

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of place, instant and every file."""
        lines = [self.scope.bucket, self.scope.prefix, str(self.scope.raw), show(self.instant)]
        lines += [json.dumps(asdict(file), sort_keys=True) for file in self.files.values()]
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()

    def state(self, history: History) -> KeyState:
        """A key as the lock says against what it is now. Raises Refused where the locked version is gone."""
        locked, entries = self.files.get(history.key), history.ordered()
        current = entries[0] if entries else None
        now = current if current is not None and not current.is_marker else None
        if locked is None:
            return KeyState(history.key, None, now, None, current, tuple(entries))
        index = next((i for i, entry in enumerate(entries) if entry.version_id == locked.version_id), None)
        if index is None or (entries[index].etag, entries[index].size) != (locked.etag, locked.size):
            raise _gone([locked])
        then = entries[index]
        return KeyState(history.key, then, now, then, current, tuple(entries[:index]))

    def past(self, history: History) -> History:
        """What the lock knows of a key: the locked version and what was before it. Of a key that is not locked, what
        came after the instant: an upload that the lock did not see may bear an earlier time."""
        locked, entries = self.files.get(history.key), history.ordered()
        if locked is None:
            return History(history.key, [entry for entry in entries if int(entry.last_modified) > self.instant])
        return History(history.key, list(dropwhile(lambda entry: entry.version_id != locked.version_id, entries)))

    def missing(self, seen: Iterable[str]) -> Refused | None:
        """The error to raise where locked keys were not among those seen."""
        lost = self.files.keys() - set(seen)
        return _gone([self.files[key] for key in sorted(lost)]) if lost else None


class Pins(Finder):
    """A finder that notes of each key what stood at an instant, so that what is pinned is the very listing that was
    judged. then: those versions, in key order."""

    def __init__(self, scope: Scope, instant: float) -> None:
        super().__init__(scope, known=instant)
        self._instant = instant
        self.then: list[Entry] = []

    def see(
        self, history: History, *, then: Entry | None = None, written: bool = False, left_out: bool = False
    ) -> Sequence[Candidate]:
        then = standing(history, self._instant)
        if then is not None:
            self.then.append(then)
        return super().see(history, then=then, written=written, left_out=left_out)


def make_lock(s3: Server, scope: Scope, instant: float, then: Iterable[Entry] | None = None) -> Lock:
    """Pin what stood at an instant: one HEAD a file, and the header of those that have one. then: what stood, where it
    was listed already. Raises S3Error."""
    if then is None:
        stood = (standing(history, instant) for history in scope.histories(s3))
        then = [entry for entry in stood if entry is not None]
    files = s3.run(_locked(scope.bucket, entry) for entry in then)
    return Lock(scope, instant, {file.key: file for file in sorted(files, key=lambda file: file.key)})


def _locked(bucket: str, entry: Entry) -> Job[LockedFile]:
    head: ObjectHead = yield HeadObject(bucket, entry.key, entry.version_id, checksum=True)
    checksum = next((f"{name}:{value}" for name, value in sorted(head.checksums.items())), "")
    header = ""
    if entry.size:
        from artifact_store.formats.checks import check

        (finding,) = yield from together(bucket, [entry], [check(entry.key, entry.size)])
        header = finding.digest
    return LockedFile(entry.key, entry.version_id, entry.size, entry.etag, checksum, header)


def verify_lock(s3: Server, lock: Lock) -> list[tuple[str, str]]:
    """(key, reason) of every version that is gone or not what was locked, in key order. Raises S3Error for the rest."""

    def job(file: LockedFile) -> Job[tuple[str, str] | None]:
        from artifact_store.errors import S3Error

        try:
            head: ObjectHead = yield HeadObject(lock.scope.bucket, file.key, file.version_id, checksum=True)
        except S3Error as error:
            if error.status == 404:
                return file.key, f"version {file.version_id} is gone"
            raise
        if (head.size, head.etag) != (file.size, file.etag):
            return file.key, f"has {head.size} bytes and ETag {head.etag}; {file.size} and {file.etag} were locked"
        algorithm, _, value = file.checksum.partition(":")
        if value and head.checksums.get(algorithm, value) != value:
            return file.key, f"its {algorithm} is {head.checksums[algorithm]}; {value} was locked"
        return None

    return sorted(wrong for wrong in s3.run(job(file) for file in lock.files.values()) if wrong is not None)


def write_lock(lock: Lock, file: BinaryIO) -> None:
    """One line a file, so that a change reads well in a diff. Raises OSError."""
    lines = ",\n".join(f"    {json.dumps(asdict(one))}" for one in lock.files.values())
    text = json.dumps(_head(lock), indent=2)[:-2] + f',\n  "files": [\n{lines}\n  ]\n}}\n'
    file.write(text.encode())


def read_lock(path: Path) -> Lock:
    """Raises UsageError where it cannot be read or is no lock file, Refused where it was changed by hand."""
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} has {path.stat().st_size:,} bytes, and a lock file has {LARGEST:,} at most")
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read lock file {path}: {error.strerror}") from error
    if raw.startswith(b'{"format":"artifact-store plan '):
        raise UsageError(f"{path} is a plan, not a lock file; apply and verify take it without --lock")
    data = _parsed(raw, path)
    try:
        files = {file.key: file for file in _files(data["files"])}
        lock = Lock(Scope(str(data["bucket"]), str(data["prefix"]), bool(data["raw"])), float(data["instant"]), files)
        known = {**_head(lock), "files": [asdict(file) for file in files.values()]}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError) as error:
        # Beyond the years that a date has, the C library's clock raises the last two.
        raise Refused(
            f"lock file {path} is damaged or was edited: a field is missing or wrong; make it again"
        ) from error
    # As text, since Python takes 0 for false; whole seconds, since the digest knows no others.
    if json.dumps(known, sort_keys=True) != json.dumps(data, sort_keys=True) or lock.instant % 1:
        raise Refused(f"lock file {path} was changed after it was made: it does not fit its digest; make it again")
    return lock


def _head(lock: Lock) -> dict[str, object]:
    return {
        "format": FORMAT,
        "bucket": lock.scope.bucket,
        "prefix": lock.scope.prefix,
        "raw": lock.scope.raw,
        "at": show(lock.instant),
        "instant": float(lock.instant),
        "digest": lock.digest,
    }


def _parsed(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        data: Any = json.loads(raw)
    except (ValueError, RecursionError):
        data = None
    named = data.get("format") if isinstance(data, dict) else None
    if named == FORMAT:
        return dict(data)
    if isinstance(named, str) and named.startswith("artifact-store lock "):
        raise UsageError(f"{path} is of the format {named!r}, and this program reads {FORMAT!r}; make it again")
    raise UsageError(f"{path} is no lock file; make one with: artifact-store lock s3://BUCKET/MODEL --at T -o FILE")


def _files(lines: Any) -> Iterator[LockedFile]:
    for line in lines:
        file = LockedFile(**line)
        texts = (file.key, file.version_id, file.etag, file.checksum, file.header)
        if not all(isinstance(text, str) for text in texts) or not isinstance(file.size, int):
            raise TypeError(f"a file is not as it should be: {line}")
        yield file


def _gone(files: list[LockedFile]) -> Refused:
    first = files[0]
    more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
    return Refused(
        f"the locked version {first.version_id} of {first.key}{more} is gone; restore the bucket from AWS Backup, or "
        "lock another instant"
    )

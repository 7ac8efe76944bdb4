"""A legal hold on each version that a lock names, so that nobody can remove them.

Owns the order in which they are held. Refuses a bucket without object lock, also where its server would take a hold and
keep nothing, and stops at a server that changes a version by holding it.
"""

from __future__ import annotations

from collections.abc import Iterable

from artifact_store.errors import KeysFailed, S3Error
from artifact_store.history.expiry import when_removed
from artifact_store.history.instant import show
from artifact_store.history.lock import Lock, LockedFile
from artifact_store.s3.operations import (
    Entry,
    GetObjectLockConfiguration,
    HeadObject,
    Job,
    ObjectHead,
    ObjectLockConfiguration,
    PutLegalHold,
)
from artifact_store.s3.server import Server


def hold(s3: Server, lock: Lock, then: Iterable[Entry]) -> list[tuple[str, str]]:
    """(key, reason) of every version that could not be held. then: what is locked, as it was listed.

    Raises KeysFailed where nothing can be held, or where the first hold changed its version; S3Error where S3 cannot be
    asked.
    """
    if not _has_object_lock(s3, lock.scope.bucket):
        raise _no_object_lock(s3, lock)
    failed: list[tuple[str, str]] = []
    # Times count whole seconds: of the oldest it shows best that its time was changed to now.
    oldest_first = sorted(then, key=lambda entry: entry.last_modified)
    waiting = iter([lock.files[entry.key] for entry in oldest_first])
    for file in waiting:
        (error,) = s3.run([_hold_alone(lock.scope.bucket, file)])
        if error is None:
            break
        if error.code == "InvalidRequest":
            raise _no_object_lock(s3, lock)
        failed.append((file.key, str(error)))
    found = s3.run(_hold(lock.scope.bucket, file) for file in waiting)
    return failed + [failure for failure in found if failure is not None]


def _has_object_lock(s3: Server, bucket: str) -> bool:
    """True also where the server does not say: then the first hold tells."""
    try:
        found: ObjectLockConfiguration = s3.call(GetObjectLockConfiguration(bucket))
    except S3Error as error:
        if error.code == "ObjectLockConfigurationNotFoundError":
            return False
        if error.status in (403, 405, 501):
            return True
        raise
    return found.enabled


def _no_object_lock(s3: Server, lock: Lock) -> KeysFailed:
    bucket = lock.scope.bucket
    return KeysFailed(f"nothing could be held: {bucket} has no object lock; {when_removed(s3, bucket, lock.files)}", ())


def _hold_alone(bucket: str, file: LockedFile) -> Job[S3Error | None]:
    """Raises KeysFailed where the version is another one after it."""
    look = HeadObject(bucket, file.key, file.version_id)
    try:
        before: ObjectHead = yield look
        yield PutLegalHold(bucket, file.key, file.version_id)
        after: ObjectHead = yield look
    except S3Error as error:
        return error
    which = f"version {file.version_id} of {file.key}"
    if int(after.last_modified) != int(before.last_modified):
        raise KeysFailed(
            f"the hold on {which} changed its time from {show(before.last_modified)} to {show(after.last_modified)}: "
            "this server cannot hold versions without losing their times, so no other one is held",
            (),
        )
    if after.etag != before.etag:
        raise KeysFailed(
            f"the hold on {which} changed its ETag from {before.etag} to {after.etag}: this server cannot hold "
            "versions without changing them, so no other one is held",
            (),
        )
    return None


def _hold(bucket: str, file: LockedFile) -> Job[tuple[str, str] | None]:
    try:
        yield PutLegalHold(bucket, file.key, file.version_id)
    except S3Error as error:
        return file.key, str(error)
    return None

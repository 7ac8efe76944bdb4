"""S3 in memory, answering the same operations as a real client, written from the S3 User Guide.

It can be made to behave like servers that differ (conditions ignored, versions and markers not interleaved, ETags that
are no MD5s), and to go wrong at any request. Time stands still until a test moves it.
"""

import base64
import hashlib
import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from artifact_store.errors import S3Error
from artifact_store.s3 import operations as op

NOW = 1_700_000_000
ENDED: Any = object()


@dataclass
class Stored:
    """A version with what a listing does not tell, or a marker."""

    entry: op.Entry
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    part_sizes: list[int] = field(default_factory=list)
    encryption: str = ""
    thawing: bool = False
    held: bool = False

    @property
    def checksum_type(self) -> str:
        return "COMPOSITE" if any("-" in value for value in self.checksums.values()) else "FULL_OBJECT"


@dataclass
class BucketModel:
    status: str = "Enabled"
    keys: dict[str, list[Stored]] = field(default_factory=dict)
    """Newest first."""
    kms: bool = False
    object_lock: bool = False


@dataclass
class Upload:
    bucket: str
    key: str
    began: int
    create: op.CreateMultipartUpload | None
    parts: dict[int, bytes] = field(default_factory=dict)


def s3_error(status: int, code: str, message: str = "") -> S3Error:
    return S3Error(message or code, status=status, code=code)


def cannot_be_xml(key: str) -> bool:
    """Control characters but tab, LF and CR cannot be written in XML 1.0."""
    return any(ord(char) < 32 and char not in "\t\n\r" for char in key)


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def crc(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


class MemoryS3:
    """honours: conditions on copies and bulk deletes are obeyed. interleaved: listings keep the true order. part_etags:
    the ETag of a copied part is the MD5 of its bytes. holds_rewrite: a legal hold is taken in any bucket, and gives its
    version the time of the hold, as SeaweedFS does."""

    def __init__(
        self,
        *,
        honours: bool = True,
        interleaved: bool = True,
        checksums: bool = True,
        part_etags: bool = True,
        holds_rewrite: bool = False,
        seed: int = 0,
    ) -> None:
        self.honours, self.interleaved, self.checksums, self.part_etags = honours, interleaved, checksums, part_etags
        self.holds_rewrite = holds_rewrite
        self.buckets: dict[str, BucketModel] = {"bkt": BucketModel()}
        self.uploads: dict[str, Upload] = {}
        self.clock = NOW
        self.serial = 0
        self.sent: list[op.Operation] = []
        self.before: Callable[[op.Operation], None] = lambda operation: None
        self.after: Callable[[op.Operation], None] = lambda operation: None
        self.repeat: Callable[[op.Operation], bool] = lambda operation: False
        self.refused = cannot_be_xml
        """Keys for which S3 refuses a bulk delete whole."""
        self.order = random.Random(seed)

    def call(self, operation: op.Operation) -> Any:
        self.sent.append(operation)
        self.before(operation)
        answer = self._answer(operation)
        if self.repeat(operation):
            answer = self._answer(operation)
        self.after(operation)
        return answer

    def read(self, get: op.GetObject) -> Iterator[bytes]:
        data = self.call(get).data
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]

    def run(self, jobs: Iterable[op.Job[Any] | None]) -> Iterator[Any]:
        """A few at a time; whose turn it is, is drawn by lot. None: no job for now."""
        waiting, more = iter(jobs), True
        running: list[tuple[op.Job[Any], Any]] = []
        try:
            while True:
                while more and len(running) < 4:
                    job = next(waiting, ENDED)
                    more = job is not ENDED
                    if job is None or job is ENDED:
                        break
                    running.append((job, None))
                if not running:
                    assert not more, "a job waits for others to end, and there are none"
                    return
                job, answer = running.pop(self.order.randrange(len(running)))
                try:
                    ask = job.throw(answer) if isinstance(answer, S3Error) else job.send(answer)
                except StopIteration as stop:
                    yield stop.value
                    continue
                running.append((job, self._ask(ask)))
        finally:
            for job, _ in running:
                job.close()

    def _ask(self, ask: op.Ask) -> Any:
        if not isinstance(ask, list):
            try:
                return self.call(ask)
            except S3Error as error:
                return error
        answers = [self._ask(operation) for operation in ask]
        return next((answer for answer in answers if isinstance(answer, S3Error)), answers)

    def _answer(self, operation: op.Operation) -> Any:
        bucket = self.buckets.get(operation.bucket)
        if bucket is None:
            raise s3_error(404, "NoSuchBucket")
        return getattr(self, f"_{type(operation).__name__}")(bucket, operation)

    def put(self, key: str, data: bytes, *, bucket: str = "bkt", **more: Any) -> str:
        """Write as another user would. Returns the version id."""
        return self._write(bucket, key, data, **more).version_id

    def put_parts(
        self, key: str, parts: list[bytes], *, bucket: str = "bkt", began: int | None = None, **more: Any
    ) -> str:
        """A multipart upload; on S3 its time and place in the order are those of its beginning."""
        return self._write(bucket, key, b"".join(parts), parts=parts, time=began, **more).version_id

    def delete(self, key: str, *, bucket: str = "bkt") -> str:
        return self._marker(self.buckets[bucket], key).version_id

    def thaw(self) -> None:
        """Let hours pass: what was asked for is readable."""
        for bucket in self.buckets.values():
            for entries in bucket.keys.values():
                entries[:] = [
                    replace(one, thawing=False, entry=one.entry._replace(restored=True)) if one.thawing else one
                    for one in entries
                ]

    def contents(self, bucket: str = "bkt") -> dict[str, bytes]:
        """What a plain GET of each key would give now."""
        return {
            key: stored[0].data
            for key, stored in self.buckets[bucket].keys.items()
            if stored and not stored[0].entry.is_marker
        }

    def entries(self, bucket: str = "bkt") -> list[op.Entry]:
        return [stored.entry for key in sorted(self.buckets[bucket].keys) for stored in self._listed(bucket, key)]

    def _listed(self, bucket: str, key: str) -> list[Stored]:
        stored = self.buckets[bucket].keys[key]
        return [replace(one, entry=one.entry._replace(is_latest=i == 0)) for i, one in enumerate(stored)]

    def _id(self, bucket: BucketModel) -> str:
        self.serial += 1
        return f"v{self.serial}" if bucket.status == "Enabled" else "null"

    def _insert(self, bucket: BucketModel, stored: Stored) -> None:
        entries = bucket.keys.setdefault(stored.entry.key, [])
        if stored.entry.version_id == "null":
            entries[:] = [other for other in entries if other.entry.version_id != "null"]
        index = next(
            (i for i, e in enumerate(entries) if e.entry.last_modified <= stored.entry.last_modified), len(entries)
        )
        entries.insert(index, stored)

    def _write(self, name: str, key: str, data: bytes, **more: Any) -> op.Written:
        bucket = self.buckets[name]
        parts: list[bytes] = more.get("parts") or []
        etag = f"{md5(b''.join(hashlib.md5(part).digest() for part in parts))}-{len(parts)}" if parts else md5(data)
        if bucket.kms:
            etag = md5(f"{self.serial}{etag}".encode()) + (f"-{len(parts)}" if parts else "")
        time = more.get("time")
        entry = op.Entry(
            key=key,
            version_id=self._id(bucket),
            last_modified=float(self.clock if time is None else time),
            is_latest=True,
            etag=etag,
            size=len(data),
            storage_class=more.get("storage_class") or "STANDARD",
        )
        stored = Stored(
            entry,
            data,
            dict(more.get("headers", {})),
            dict(more.get("metadata", {})),
            dict(more.get("tags", {})),
            self._checksums(data, [] if more.get("checksum_type") == "FULL_OBJECT" else parts),
            [len(part) for part in parts],
            "aws:kms" if bucket.kms else "AES256",
        )
        self._insert(bucket, stored)
        return op.Written(etag, entry.version_id)

    def _checksums(self, data: bytes, parts: list[bytes]) -> dict[str, str]:
        """Of the whole, or, for an upload in parts, of the parts' checksums (type COMPOSITE, as the SDKs ask for)."""
        if not self.checksums:
            return {}
        if not parts:
            return {"CRC32": crc(data)}
        return {"CRC32": f"{crc(b''.join(base64.b64decode(crc(part)) for part in parts))}-{len(parts)}"}

    def _marker(self, bucket: BucketModel, key: str) -> op.Entry:
        entry = op.Entry(key, self._id(bucket), float(self.clock), is_latest=True, is_marker=True)
        self._insert(bucket, Stored(entry))
        return entry

    def _current(self, bucket: BucketModel, key: str) -> Stored | None:
        entries = bucket.keys.get(key)
        return entries[0] if entries and not entries[0].entry.is_marker else None

    def _version(self, bucket: BucketModel, key: str, version_id: str) -> Stored:
        if not version_id:
            current = self._current(bucket, key)
            if current is None:
                raise s3_error(404, "NoSuchKey")
            return current
        for stored in bucket.keys.get(key, []):
            if stored.entry.version_id == version_id:
                if stored.entry.is_marker:
                    raise s3_error(405, "MethodNotAllowed")
                return stored
        raise s3_error(404, "NoSuchVersion")

    def _check(self, bucket: BucketModel, operation: Any) -> None:
        if not self.honours:
            return
        current = self._current(bucket, operation.key)
        if operation.if_match and current is None:
            raise s3_error(404, "NoSuchKey")
        if (operation.if_match and current and current.entry.etag != operation.if_match) or (
            getattr(operation, "if_none_match", False) and current
        ):
            raise s3_error(412, "PreconditionFailed")

    def _readable(self, stored: Stored) -> Stored:
        if stored.entry.storage_class in ("GLACIER", "DEEP_ARCHIVE") and not stored.entry.restored:
            raise s3_error(403, "InvalidObjectState")
        return stored

    def _source(self, operation: Any) -> Stored:
        bucket = self.buckets[operation.source_bucket]
        stored = self._readable(self._version(bucket, operation.source_key, operation.source_version_id))
        if self.honours and operation.source_etag not in ("", stored.entry.etag):
            raise s3_error(412, "PreconditionFailed")
        return stored

    def _GetBucketVersioning(self, bucket: BucketModel, _: op.GetBucketVersioning) -> op.BucketVersioning:
        return op.BucketVersioning(bucket.status, float(self.clock))

    def _GetBucketLifecycle(self, _: BucketModel, __: op.GetBucketLifecycle) -> op.BucketLifecycle:
        raise s3_error(404, "NoSuchLifecycleConfiguration")

    def _GetObjectLockConfiguration(
        self, bucket: BucketModel, _: op.GetObjectLockConfiguration
    ) -> op.ObjectLockConfiguration:
        if not bucket.object_lock:
            raise s3_error(404, "ObjectLockConfigurationNotFoundError")
        return op.ObjectLockConfiguration(enabled=True)

    def _PutLegalHold(self, bucket: BucketModel, ask: op.PutLegalHold) -> op.Held:
        if not bucket.object_lock and not self.holds_rewrite:
            raise s3_error(400, "InvalidRequest", "Bucket is missing Object Lock Configuration")
        stored = self._version(bucket, ask.key, ask.version_id)
        entry = stored.entry._replace(last_modified=float(self.clock)) if self.holds_rewrite else stored.entry
        entries = bucket.keys[ask.key]
        entries[entries.index(stored)] = replace(stored, entry=entry, held=bucket.object_lock)
        return op.Held()

    def _ListVersions(self, bucket: BucketModel, ask: op.ListVersions) -> op.VersionPage:
        found: list[op.Entry] = []
        prefixes: list[str] = []
        next_key = next_version = ""
        truncated = False
        keys = sorted(key for key in bucket.keys if key >= ask.key_marker and key.startswith(ask.prefix))
        for entry in (stored.entry for key in keys for stored in self._listed(ask.bucket, key)):
            if not self._after(bucket, entry, ask):
                continue
            if len(found) + len(prefixes) == ask.max_keys:
                truncated = True
                break
            cut = entry.key.find(ask.delimiter, len(ask.prefix)) if ask.delimiter else -1
            if cut >= 0:
                folder = entry.key[: cut + len(ask.delimiter)]
                if folder not in prefixes and not (ask.key_marker and ask.key_marker >= folder):
                    prefixes.append(folder)
                    next_key, next_version = folder, ""
                continue
            found.append(entry)
            next_key, next_version = entry.key, entry.version_id
        if not self.interleaved:
            found.sort(key=lambda entry: entry.is_marker)
        return op.VersionPage(
            found,
            prefixes,
            truncated,
            next_key if truncated else "",
            next_version if truncated else "",
            float(self.clock),
            self.interleaved,
        )

    def _ListObjects(self, bucket: BucketModel, ask: op.ListObjects) -> op.VersionPage:
        """Keys in order, one entry each; pages go on after a key."""
        versions = self._ListVersions(
            bucket, op.ListVersions(ask.bucket, ask.prefix, ask.delimiter, ask.key_marker, "", 1 << 30)
        )
        alive = [e._replace(version_id="") for e in versions.entries if e.is_latest and not e.is_marker]
        prefixes = [
            prefix
            for prefix in versions.common_prefixes
            if any(key.startswith(prefix) and self._current(bucket, key) for key in bucket.keys)
        ]
        shown = sorted([entry.key for entry in alive] + prefixes)[: ask.max_keys]
        truncated = len(shown) < len(alive) + len(prefixes)
        return op.VersionPage(
            [entry for entry in alive if entry.key in shown],
            [prefix for prefix in prefixes if prefix in shown],
            truncated,
            shown[-1] if truncated else "",
            "",
            float(self.clock),
        )

    def _after(self, bucket: BucketModel, entry: op.Entry, ask: op.ListVersions) -> bool:
        if entry.key != ask.key_marker or not ask.version_id_marker:
            return entry.key > ask.key_marker
        ids = [stored.entry.version_id for stored in bucket.keys[entry.key]]
        return ids.index(entry.version_id) > ids.index(ask.version_id_marker)

    def _HeadObject(self, bucket: BucketModel, ask: op.HeadObject) -> op.ObjectHead:
        stored = self._version(bucket, ask.key, ask.version_id)
        sizes = stored.part_sizes or [stored.entry.size]
        if ask.part_number > len(sizes):
            raise s3_error(416, "InvalidPartNumber")
        size = sizes[ask.part_number - 1] if ask.part_number else stored.entry.size
        return op.ObjectHead(
            etag=stored.entry.etag,
            size=size,
            last_modified=stored.entry.last_modified,
            version_id=stored.entry.version_id,
            storage_class=stored.entry.storage_class,
            headers=stored.headers,
            metadata=stored.metadata,
            checksums=stored.checksums if ask.checksum else {},
            checksum_type="" if not ask.checksum or not stored.checksums else stored.checksum_type,
            tag_count=len(stored.tags),
            encryption=stored.encryption,
        )

    def _GetObject(self, bucket: BucketModel, ask: op.GetObject) -> op.ObjectBody:
        stored = self._readable(self._version(bucket, ask.key, ask.version_id))
        if ask.if_match not in ("", stored.entry.etag):
            raise s3_error(412, "PreconditionFailed")
        if ask.first is not None and ask.first >= len(stored.data):
            raise s3_error(416, "InvalidRange")
        last = len(stored.data) - 1 if ask.last is None else ask.last
        return op.ObjectBody(stored.data[ask.first or 0 : last + 1], len(stored.data), stored.entry.etag)

    def _GetObjectTagging(self, bucket: BucketModel, ask: op.GetObjectTagging) -> op.Tags:
        return op.Tags(self._version(bucket, ask.key, ask.version_id).tags)

    def _CopyObject(self, bucket: BucketModel, ask: op.CopyObject) -> op.Written:
        source = self._source(ask)
        self._check(bucket, ask)
        return self._write(
            ask.bucket,
            ask.key,
            source.data,
            headers=source.headers,
            metadata=source.metadata,
            tags=source.tags,
            storage_class=ask.storage_class,
        )

    def _DeleteObjects(self, bucket: BucketModel, ask: op.DeleteObjects) -> op.DeleteResult:
        assert len(ask.keys) <= 1000
        if any(self.refused(line.key) for line in ask.keys):
            raise s3_error(400, "MalformedXML")
        return op.DeleteResult(tuple(self._delete_line(bucket, line) for line in ask.keys))

    def _DeleteObject(self, bucket: BucketModel, ask: op.DeleteObject) -> op.Deleted:
        if ask.version_id:
            self._delete_line(bucket, op.DeleteKey(ask.key, ask.version_id))
            return op.Deleted(ask.version_id)
        self._check(bucket, ask)
        return op.Deleted(self._marker(bucket, ask.key).version_id, is_marker=True)

    def _delete_line(self, bucket: BucketModel, line: op.DeleteKey) -> op.DeletedKey:
        if line.version_id:
            entries = bucket.keys.get(line.key, [])
            if any(stored.held and stored.entry.version_id == line.version_id for stored in entries):
                return op.DeletedKey(line.key, line.version_id, error_code="AccessDenied")
            entries[:] = [stored for stored in entries if stored.entry.version_id != line.version_id]
            return op.DeletedKey(line.key, line.version_id)
        current = self._current(bucket, line.key)
        if self.honours and line.etag and current is None:
            return op.DeletedKey(line.key, error_code="NoSuchKey")
        if self.honours and line.etag and current and current.entry.etag != line.etag:
            return op.DeletedKey(line.key, error_code="PreconditionFailed")
        return op.DeletedKey(line.key, marker_version_id=self._marker(bucket, line.key).version_id)

    def _CreateMultipartUpload(self, _: BucketModel, ask: op.CreateMultipartUpload) -> op.MultipartUpload:
        self.serial += 1
        upload_id = f"u{self.serial}"
        self.uploads[upload_id] = Upload(ask.bucket, ask.key, self.clock, ask)
        return op.MultipartUpload(upload_id)

    def _upload(self, upload_id: str) -> Upload:
        if upload_id not in self.uploads:
            raise s3_error(404, "NoSuchUpload")
        return self.uploads[upload_id]

    def _UploadPartCopy(self, _: BucketModel, ask: op.UploadPartCopy) -> op.Written:
        upload = self._upload(ask.upload_id)
        part = self._source(ask).data[ask.first : ask.last + 1]
        upload.parts[ask.part_number] = part
        return op.Written(md5(part) + ("" if self.part_etags and not self.buckets[upload.bucket].kms else "-2"))

    def _CompleteMultipartUpload(self, bucket: BucketModel, ask: op.CompleteMultipartUpload) -> op.Written:
        upload = self._upload(ask.upload_id)
        self._check(bucket, ask)
        assert upload.create is not None
        parts = [upload.parts[number] for number, _ in ask.parts]
        del self.uploads[ask.upload_id]
        return self._write(
            ask.bucket,
            ask.key,
            b"".join(parts),
            parts=parts,
            checksum_type=upload.create.checksum_type,
            time=upload.began,
            headers=upload.create.headers,
            metadata=upload.create.metadata,
            tags=upload.create.tags,
            storage_class=upload.create.storage_class,
        )

    def _AbortMultipartUpload(self, _: BucketModel, ask: op.AbortMultipartUpload) -> op.Aborted:
        self._upload(ask.upload_id)
        del self.uploads[ask.upload_id]
        return op.Aborted()

    def _RestoreObject(self, bucket: BucketModel, ask: op.RestoreObject) -> op.RestoreStarted:
        entries = bucket.keys[ask.key]
        for i, stored in enumerate(entries):
            if stored.entry.version_id == ask.version_id:
                if stored.thawing:
                    raise s3_error(409, "RestoreAlreadyInProgress")
                entries[i] = replace(stored, thawing=not stored.entry.restored)
                return op.RestoreStarted()
        raise s3_error(404, "NoSuchVersion")

"""What can be asked of S3 and what comes back, as plain values.

Owns no I/O and no wire format: the client encodes an operation, sends it and decodes the answer; an in-memory server in
the tests answers the same values. A job is a generator that yields operations and is sent their results, so that what
to do is decided without knowing how it is sent:

    def job() -> Generator[Ask, Answer, R]:
        head = yield HeadObject(bucket, key)          # one operation: its result is sent back, or an S3Error is raised
        parts = yield [UploadPartCopy(...), ...]      # several at once: a list of results; the first S3Error is raised
                                                      # after all of them have ended

Times are seconds since the epoch as float; sizes are bytes; ETags carry no quotes.
Names and meanings follow the S3 API reference, docs.aws.amazon.com/AmazonS3/latest/API/.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

R = TypeVar("R")


class Entry(NamedTuple):
    """One version or delete marker, as a listing of versions gives it. A tuple, since millions are made."""

    key: str
    version_id: str
    """The server's id; "null" for what was written without versioning, "" in a list of current objects."""
    last_modified: float
    is_latest: bool
    is_marker: bool = False
    etag: str = ""
    size: int = 0
    storage_class: str = "STANDARD"
    restored: bool = False
    """An archived version that is readable for the moment (RestoreStatus)."""


@dataclass(frozen=True, slots=True)
class ListVersions:
    """One page of versions and markers."""

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    key_marker: str = ""
    version_id_marker: str = ""
    max_keys: int = 1000


@dataclass(frozen=True, slots=True)
class ListObjects:
    """One page of current objects, after the key `key_marker`. The answer is a VersionPage without version ids."""

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    key_marker: str = ""
    max_keys: int = 1000


@dataclass(frozen=True, slots=True)
class VersionPage:
    """entries: in the order the server sent them. interleaved: False where the order within a key says nothing between
    a version and a marker, because the server sent all versions of the page and then all markers."""

    entries: list[Entry]
    common_prefixes: list[str]
    is_truncated: bool
    next_key_marker: str
    next_version_id_marker: str
    server_time: float
    """The server's Date header; 0.0 if it sent none."""
    interleaved: bool = True
    read_in: float = field(default=0.0, compare=False)
    """Seconds that the reading of its XML took."""


@dataclass(frozen=True, slots=True)
class GetBucketVersioning:
    bucket: str


@dataclass(frozen=True, slots=True)
class BucketVersioning:
    """status: "Enabled", "Suspended" or "" for never enabled."""

    status: str
    server_time: float


@dataclass(frozen=True, slots=True)
class GetBucketLifecycle:
    """What removes versions (GetBucketLifecycleConfiguration); S3 answers 404 where nothing does."""

    bucket: str


@dataclass(frozen=True, slots=True)
class Expiry:
    """A rule in force that removes versions. days: since they stopped being current. keeps: how many of the newest of a
    key it leaves. narrowed: it looks at tags or sizes too."""

    rule: str
    prefix: str
    days: int
    keeps: int = 0
    narrowed: bool = False


@dataclass(frozen=True, slots=True)
class BucketLifecycle:
    expiries: tuple[Expiry, ...]


@dataclass(frozen=True, slots=True)
class GetObjectLockConfiguration:
    """Whether versions can be held; S3 answers 404 where they cannot."""

    bucket: str


@dataclass(frozen=True, slots=True)
class ObjectLockConfiguration:
    enabled: bool


@dataclass(frozen=True, slots=True)
class HeadObject:
    bucket: str
    key: str
    version_id: str = ""
    checksum: bool = False
    """Ask for stored checksums (x-amz-checksum-mode)."""
    part_number: int = 0


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """What HEAD tells of a version. size: of the part where a part was asked for, and of the whole object after a GET,
    also of a range. headers: the system headers a copy must carry (content-type, content-encoding,
    content-language, content-disposition, cache-control, expires, website redirect), lower-case; metadata: user
    metadata without the x-amz-meta- prefix; checksums: algorithm name in capitals to base64 value."""

    etag: str
    size: int
    last_modified: float
    version_id: str
    storage_class: str
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    checksums: Mapping[str, str] = field(default_factory=dict)
    checksum_type: str = ""
    tag_count: int = 0
    encryption: str = ""


@dataclass(frozen=True, slots=True)
class GetObject:
    """Whole object, or bytes first..last inclusive. Use the client's `read` for bodies that do not fit in memory."""

    bucket: str
    key: str
    version_id: str = ""
    first: int | None = None
    last: int | None = None
    if_match: str = ""


@dataclass(frozen=True, slots=True)
class ObjectBody:
    """data: the range that was asked for. size: bytes of the whole version. etag: its."""

    data: bytes
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class CopyObject:
    """Server-side copy of one version (at most 5 GiB) to a key. Metadata and tags come along (COPY directives).

    if_match: ETag the destination must have now; if_none_match: destination must not exist now. At most one of the two.
    """

    source_bucket: str
    source_key: str
    source_version_id: str
    bucket: str
    key: str
    source_etag: str = ""
    """Sent as x-amz-copy-source-if-match."""
    if_match: str = ""
    if_none_match: bool = False
    storage_class: str = ""
    checksum_algorithm: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write: what now stands at the key. version_id "" where the server did not say."""

    etag: str
    version_id: str = ""
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PutObject:
    bucket: str
    key: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    if_match: str = ""
    if_none_match: bool = False
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """Without version_id: adds a delete marker. With it: removes that version or marker for ever."""

    bucket: str
    key: str
    version_id: str = ""
    if_match: str = ""


@dataclass(frozen=True, slots=True)
class Deleted:
    marker_version_id: str = ""
    is_marker: bool = False


@dataclass(frozen=True, slots=True)
class DeleteKey:
    """One line of a DeleteObjects request."""

    key: str
    version_id: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class DeleteObjects:
    """At most 1,000 keys (API_DeleteObjects)."""

    bucket: str
    keys: tuple[DeleteKey, ...]


@dataclass(frozen=True, slots=True)
class DeletedKey:
    """What became of one line: error_code "" means done."""

    key: str
    version_id: str = ""
    marker_version_id: str = ""
    error_code: str = ""
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """One DeletedKey for each line of the request, in its order."""

    keys: tuple[DeletedKey, ...]


@dataclass(frozen=True, slots=True)
class GetObjectTagging:
    bucket: str
    key: str
    version_id: str = ""


@dataclass(frozen=True, slots=True)
class Tags:
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CreateMultipartUpload:
    bucket: str
    key: str
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = ""
    checksum_algorithm: str = ""
    checksum_type: str = ""


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    upload_id: str


@dataclass(frozen=True, slots=True)
class UploadPartCopy:
    """Bytes first..last inclusive of a version become one part: 5 MiB to 5 GiB, the last one less, at most 10,000 (S3
    User Guide, "Amazon S3 multipart upload limits")."""

    source_bucket: str
    source_key: str
    source_version_id: str
    bucket: str
    key: str
    upload_id: str
    part_number: int
    first: int
    last: int
    source_etag: str = ""


@dataclass(frozen=True, slots=True)
class UploadPart:
    bucket: str
    key: str
    upload_id: str
    part_number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CompleteMultipartUpload:
    """parts: (part number, its Written), in order."""

    bucket: str
    key: str
    upload_id: str
    parts: tuple[tuple[int, Written], ...]
    if_match: str = ""
    if_none_match: bool = False


@dataclass(frozen=True, slots=True)
class AbortMultipartUpload:
    bucket: str
    key: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class Aborted:
    pass


@dataclass(frozen=True, slots=True)
class RestoreObject:
    """Ask S3 to make an archived version readable for `days`. tier: "Standard", "Bulk" or "Expedited"."""

    bucket: str
    key: str
    version_id: str
    days: int
    tier: str = "Standard"


@dataclass(frozen=True, slots=True)
class RestoreStarted:
    """S3 has taken the request, or the version is readable already and stays so for the days asked for."""


@dataclass(frozen=True, slots=True)
class PutLegalHold:
    """Nobody can remove this version until the hold is taken off; only in buckets with object lock
    (PutObjectLegalHold)."""

    bucket: str
    key: str
    version_id: str


@dataclass(frozen=True, slots=True)
class Held:
    pass


Operation: TypeAlias = (
    ListVersions
    | ListObjects
    | GetBucketVersioning
    | GetBucketLifecycle
    | GetObjectLockConfiguration
    | HeadObject
    | GetObject
    | CopyObject
    | PutObject
    | DeleteObject
    | DeleteObjects
    | GetObjectTagging
    | CreateMultipartUpload
    | UploadPart
    | UploadPartCopy
    | CompleteMultipartUpload
    | AbortMultipartUpload
    | RestoreObject
    | PutLegalHold
)
Ask: TypeAlias = Operation | list[Operation]
Answer: TypeAlias = Any
"""The result type that belongs to the operation (VersionPage for ListVersions, Written for CopyObject, …)."""
Job: TypeAlias = Generator[Ask, Answer, R]

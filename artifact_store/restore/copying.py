"""Bringing one version back by server-side copies: in one request, or in parts.

Owns how a version is copied whole: content, headers, user metadata, tags, storage class, checksums, and the conditions
under which the copy may become current. Refuses to leave an unfinished upload behind: `Uploads` knows each one whose id
arrived. Encryption is the destination bucket's default. ACLs are not carried, nor is the website redirect of a single
copy (S3 API reference, "CopyObject").
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from artifact_store.errors import S3Error
from artifact_store.history.sameness import is_whole
from artifact_store.restore.plan import Step
from artifact_store.s3.operations import (
    AbortMultipartUpload,
    CompleteMultipartUpload,
    CopyObject,
    CreateMultipartUpload,
    GetObjectTagging,
    HeadObject,
    Job,
    MultipartUpload,
    ObjectHead,
    Tags,
    UploadPartCopy,
    Written,
)

MIB = 1024**2
GIB = 1024**3

MOST_PARTS = 10_000
LARGEST_PART = 5 * GIB
"""S3 User Guide, "Amazon S3 multipart upload limits"."""

PARTS_AT_ONCE = 256
"""Parts of one object asked for together, so that the requests of a large object do not fill the memory."""

MD5 = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class CopyLimits:
    """How objects are copied; all in bytes.

    single_copy: largest object copied in one request (CopyObject takes 5 GiB). part_size: size of parts above that,
    when the source's own cannot be had.
    """

    single_copy: int = 5 * GIB
    part_size: int = 256 * MIB


def _nothing(*_: object) -> None: ...


@dataclass(slots=True)
class Uploads:
    """Multipart uploads begun and neither completed nor aborted.

    on_begin, on_end: told of each, so that it can be written down. One whose id never arrived is known to nobody; the
    bucket's lifecycle rule takes it. keep_etags: whether copies in the source's own parts have its ETag here, None as
    long as none was made.
    """

    on_begin: Callable[[AbortMultipartUpload], None] = _nothing
    on_end: Callable[[str], None] = _nothing
    open: dict[str, AbortMultipartUpload] = field(default_factory=dict)
    keep_etags: bool | None = None

    def begin(self, abort: AbortMultipartUpload) -> None:
        """An upload was begun; `abort` gives it up."""
        self.open[abort.upload_id] = abort
        self.on_begin(abort)

    def end(self, upload_id: str) -> None:
        """It is completed, or gone."""
        self.open.pop(upload_id, None)
        self.on_end(upload_id)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy goes and what must stand there: if_match an ETag, or if_none_match nothing, or neither."""

    bucket: str
    key: str
    if_match: str = ""
    if_none_match: bool = False


Ranges = list[tuple[int, int]]
"""First and last byte of each part, last inclusive."""


def copy_version(source_bucket: str, step: Step, place: Place, limits: CopyLimits, uploads: Uploads) -> Job[Written]:
    """Copy the step's version to the place. Raises S3Error; 412 where the condition did not hold.

    A multipart object is copied in the very parts it was uploaded in: then ETag and checksums of the copy are those of
    the source. They prove, now and to every later plan, that the content is the same, and whoever noted the ETag (DVC,
    W&B, SageMaker's registry) finds it again.
    """
    if may_need_parts(step, limits):
        head: ObjectHead = yield HeadObject(source_bucket, step.key, step.version_id, checksum=True)
        ranges = yield from _ranges(source_bucket, step, head, limits, uploads)
        if ranges:
            written = yield from _copy_by_parts(source_bucket, step, place, head, ranges, limits, uploads)
            if written is not None:
                return written
    copied: Written = yield single_copy(source_bucket, step, place)
    return copied


def may_need_parts(step: Step, limits: CopyLimits) -> bool:
    """Whether a copy may take more than one request."""
    return step.size > limits.single_copy or part_count(step.etag) > 0


def part_count(etag: str) -> int:
    """The number of parts an object was uploaded in, 0 where it was not (S3 API reference, "Object")."""
    _, _, count = etag.partition("-")
    return int(count) if count.isdecimal() and int(count) <= MOST_PARTS else 0


def single_copy(source_bucket: str, step: Step, place: Place) -> CopyObject:
    """The one request that copies an object of at most 5 GiB."""
    return CopyObject(
        source_bucket=source_bucket,
        source_key=step.key,
        source_version_id=step.version_id,
        bucket=place.bucket,
        key=place.key,
        source_etag=step.etag,
        if_match=place.if_match,
        if_none_match=place.if_none_match,
        # CopyObject falls back to STANDARD unless told.
        storage_class=writable_class(step.storage_class),
    )


def writable_class(storage_class: str) -> str:
    """The class to ask for. A restored copy of an archived version goes to STANDARD, since it is wanted now."""
    return "STANDARD" if storage_class in ("", "GLACIER", "DEEP_ARCHIVE") else storage_class


def part_ranges(size: int, part_size: int) -> Ranges:
    """Parts grow where there would be more than 10,000."""
    length = max(part_size, -(-size // MOST_PARTS))
    return [(first, min(first + length, size) - 1) for first in range(0, size, length)]


def are_even(size: int, count: int, first: int, last: int) -> bool:
    """Whether all parts but the last have one size, told from the sizes of the first and the last of `count` parts.

    Parts in between that differ and make up for each other go unseen; then the copy's ETag shows it.
    """
    return 0 < last <= first <= LARGEST_PART and first * (count - 1) + last == size


def etag_of_parts(etags: Sequence[str]) -> str:
    """The ETag that S3 gives an object of such parts, "" where theirs are no MD5s."""
    if not all(MD5.fullmatch(etag) for etag in etags):
        return ""
    whole = hashlib.md5(b"".join(bytes.fromhex(etag) for etag in etags), usedforsecurity=False).hexdigest()
    return f"{whole}-{len(etags)}"


def upload_checksum(head: ObjectHead) -> str:
    """The checksum algorithm for an upload that shall have the source's, "" where an upload in parts cannot have it.

    A checksum of the whole can be put together from those of parts only where it is a CRC (S3 User Guide, "Checking
    object integrity").
    """
    algorithm = min(head.checksums, default="")
    if head.checksum_type == "FULL_OBJECT" and not algorithm.startswith("CRC"):
        return ""
    return algorithm


def abort_upload(abort: AbortMultipartUpload, uploads: Uploads) -> Job[None]:
    """Give an upload up. Where S3 cannot be reached it stays noted; in the end the bucket's lifecycle rule takes it."""
    try:
        yield abort
    except S3Error as error:
        if error.status != 404:
            return
    uploads.end(abort.upload_id)


def _ranges(source_bucket: str, step: Step, head: ObjectHead, limits: CopyLimits, uploads: Uploads) -> Job[Ranges]:
    """The parts to copy in, none where one request does."""
    too_large = step.size > limits.single_copy
    # KMS makes ETags of its own, and then only checksums of the parts could be alike.
    etag = uploads.keep_etags is not False and not head.encryption.startswith("aws:kms")
    if not (too_large or etag or _of_parts(head)):
        return []
    own = yield from own_ranges(source_bucket, step)
    return own or (part_ranges(step.size, limits.part_size) if too_large else [])


def _of_parts(head: ObjectHead) -> bool:
    """Whether its checksums are of its parts, so that only a copy in these has them."""
    return bool(head.checksums) and not any(
        is_whole(head.checksums, name, head.checksum_type) for name in head.checksums
    )


def own_ranges(source_bucket: str, step: Step) -> Job[Ranges]:
    """The parts a version was uploaded in, none where it was not or the server does not tell them. Raises S3Error."""
    count = part_count(step.etag)
    if not count:
        return []
    first, last = yield from _part_sizes(source_bucket, step, (1, count))
    if are_even(step.size, count, first, last):
        return part_ranges(step.size, first)
    if first + last > step.size:
        return []
    sizes: list[int] = []
    while len(sizes) < count:
        numbers = range(len(sizes) + 1, min(len(sizes) + PARTS_AT_ONCE, count) + 1)
        sizes += yield from _part_sizes(source_bucket, step, numbers)
    ends = list(accumulate(sizes))
    return [(end - size, end - 1) for end, size in zip(ends, sizes, strict=True)] if ends[-1] == step.size else []


def _part_sizes(source_bucket: str, step: Step, numbers: Iterable[int]) -> Job[list[int]]:
    heads: list[ObjectHead] = yield [
        HeadObject(source_bucket, step.key, step.version_id, part_number=number) for number in numbers
    ]
    return [head.size for head in heads]


def _copy_by_parts(
    source_bucket: str,
    step: Step,
    place: Place,
    head: ObjectHead,
    ranges: Ranges,
    limits: CopyLimits,
    uploads: Uploads,
) -> Job[Written | None]:
    """None, and nothing written, where the copy would not have the source's ETag, which alone spoke for parts."""
    abort = yield from _begin(source_bucket, step, place, head, uploads)
    try:
        parts = yield from _copy_parts(source_bucket, step, abort, ranges)
        for_etag = not _of_parts(head) and step.size <= limits.single_copy
        if for_etag:
            kept = etag_of_parts([part.etag for _, part in parts]) == step.etag
            # One success says more than a failure, which may lie in the parts of that one object.
            uploads.keep_etags = uploads.keep_etags or kept
            if not kept:
                yield from abort_upload(abort, uploads)
                return None
        done: Written = yield CompleteMultipartUpload(
            bucket=place.bucket,
            key=place.key,
            upload_id=abort.upload_id,
            parts=tuple(parts),
            if_match=place.if_match,
            if_none_match=place.if_none_match,
        )
    except S3Error:
        yield from abort_upload(abort, uploads)
        raise
    uploads.end(abort.upload_id)
    return done


def _begin(
    source_bucket: str, step: Step, place: Place, head: ObjectHead, uploads: Uploads
) -> Job[AbortMultipartUpload]:
    """Begin an upload that gets all the source has; what gives it up."""
    tags: Mapping[str, str] = {}
    if head.tag_count:
        found: Tags = yield GetObjectTagging(source_bucket, step.key, step.version_id)
        tags = found.tags
    algorithm = upload_checksum(head)
    upload: MultipartUpload = yield CreateMultipartUpload(
        bucket=place.bucket,
        key=place.key,
        headers=head.headers,
        metadata=head.metadata,
        tags=tags,
        storage_class=writable_class(step.storage_class),
        checksum_algorithm=algorithm,
        checksum_type=head.checksum_type if algorithm else "",
    )
    abort = AbortMultipartUpload(place.bucket, place.key, upload.upload_id)
    uploads.begin(abort)
    return abort


def _copy_parts(
    source_bucket: str, step: Step, upload: AbortMultipartUpload, ranges: Ranges
) -> Job[list[tuple[int, Written]]]:
    parts: list[tuple[int, Written]] = []
    for start in range(0, len(ranges), PARTS_AT_ONCE):
        numbered = list(enumerate(ranges[start : start + PARTS_AT_ONCE], start + 1))
        written: list[Written] = yield [
            UploadPartCopy(
                source_bucket=source_bucket,
                source_key=step.key,
                source_version_id=step.version_id,
                bucket=upload.bucket,
                key=upload.key,
                upload_id=upload.upload_id,
                part_number=number,
                first=begin,
                last=end,
                source_etag=step.etag,
            )
            for number, (begin, end) in numbered
        ]
        parts.extend((number, part) for (number, _), part in zip(numbered, written, strict=True))
    return parts

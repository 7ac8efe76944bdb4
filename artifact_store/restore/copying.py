"""Bringing one version back by server-side copies: in one request, or in parts.

Owns how a version is copied whole: content, headers, user metadata, tags, storage class, checksums, and the conditions
under which the copy may become current. Refuses to leave an unfinished upload behind: `Uploads` knows each one.
Encryption is the destination bucket's default. ACLs are not carried, nor is the website redirect of a single copy
(S3 API reference, "CopyObject").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from artifact_store.errors import S3Error
from artifact_store.restore.compare import READ_AT_MOST, is_whole
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
SMALLEST_PART = 5 * MIB
LARGEST_PART = 5 * GIB
"""S3 User Guide, "Amazon S3 multipart upload limits"."""

PARTS_AT_ONCE = 256
"""Parts of one object asked for together, so that the requests of a large object do not fill the memory."""


@dataclass(frozen=True, slots=True)
class CopyLimits:
    """How objects are copied; all in bytes.

    single_copy: largest object copied in one request (CopyObject takes 5 GiB). part_size: size of parts above that,
    when the source's own cannot be had. same_parts_above: a multipart object larger than this and without a checksum of
    the whole is copied in its own parts, so that its ETag stays the proof of its content.
    """

    single_copy: int = 5 * GIB
    part_size: int = 256 * MIB
    same_parts_above: int = READ_AT_MOST


@dataclass(slots=True)
class Uploads:
    """Multipart uploads begun and neither completed nor aborted."""

    open: dict[str, AbortMultipartUpload] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy goes and what must stand there: if_match an ETag, or if_none_match nothing, or neither."""

    bucket: str
    key: str
    if_match: str = ""
    if_none_match: bool = False


def copy_version(source_bucket: str, step: Step, place: Place, limits: CopyLimits, uploads: Uploads) -> Job[Written]:
    """Copy the step's version to the place. Raises S3Error; 412 where the condition did not hold."""
    by_parts = step.size > limits.single_copy
    head: ObjectHead | None = None
    if not by_parts and "-" in step.etag and step.size > limits.same_parts_above:
        head = yield HeadObject(source_bucket, step.key, step.version_id, checksum=True)
        by_parts = not any(is_whole(head.checksums, name, head.checksum_type) for name in head.checksums)
    if by_parts:
        return (yield from _copy_by_parts(source_bucket, step, place, limits, uploads, head))
    written: Written = yield single_copy(source_bucket, step, place)
    return written


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


def part_ranges(size: int, part_size: int) -> list[tuple[int, int]]:
    """(first, last) bytes of each part, last inclusive. Parts grow where there would be more than 10,000."""
    length = max(part_size, -(-size // MOST_PARTS))
    return [(first, min(first + length, size) - 1) for first in range(0, size, length)]


def own_part_size(etag: str, size: int, first_part: int, smallest: int = SMALLEST_PART) -> int | None:
    """The size of all parts but the last, if the source's parts are even and none but the last is below `smallest`."""
    _, _, count = etag.partition("-")
    if not count.isdecimal() or not 0 < first_part <= LARGEST_PART:
        return None
    even = -(-size // first_part) == int(count) <= MOST_PARTS
    return first_part if even and (first_part >= smallest or int(count) == 1) else None


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
    uploads.open.pop(abort.upload_id, None)


def _copy_by_parts(
    source_bucket: str, step: Step, place: Place, limits: CopyLimits, uploads: Uploads, head: ObjectHead | None
) -> Job[Written]:
    if head is None:
        head = yield HeadObject(source_bucket, step.key, step.version_id, checksum=True)
    part_size: int | None = None
    if "-" in step.etag:
        first: ObjectHead = yield HeadObject(source_bucket, step.key, step.version_id, part_number=1)
        part_size = own_part_size(step.etag, step.size, first.size)
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
    uploads.open[upload.upload_id] = abort
    try:
        ranges = part_ranges(step.size, part_size or limits.part_size)
        parts: list[tuple[int, Written]] = []
        for start in range(0, len(ranges), PARTS_AT_ONCE):
            numbered = list(enumerate(ranges[start : start + PARTS_AT_ONCE], start + 1))
            written: list[Written] = yield [
                UploadPartCopy(
                    source_bucket=source_bucket,
                    source_key=step.key,
                    source_version_id=step.version_id,
                    bucket=place.bucket,
                    key=place.key,
                    upload_id=upload.upload_id,
                    part_number=number,
                    first=begin,
                    last=end,
                    source_etag=step.etag,
                )
                for number, (begin, end) in numbered
            ]
            parts.extend((number, part) for (number, _), part in zip(numbered, written, strict=True))
        done: Written = yield CompleteMultipartUpload(
            bucket=place.bucket,
            key=place.key,
            upload_id=upload.upload_id,
            parts=tuple(parts),
            if_match=place.if_match,
            if_none_match=place.if_none_match,
        )
    except S3Error:
        yield from abort_upload(abort, uploads)
        raise
    del uploads.open[upload.upload_id]
    return done

"""Whether two versions hold the same bytes, where the listing cannot tell.

Owns the asking: for two HEADs and, only where told to, for the bytes themselves. What HEADs prove is for
`history.sameness`. Asked only about versions of equal size and different ETags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from artifact_store.history.sameness import encrypted, same_by_heads
from artifact_store.restore.plan import Reason
from artifact_store.s3.operations import GetObject, HeadObject, Job, ObjectHead

FIRST_LOOK = 256 * 1024
"""Bytes read first: versions that differ mostly differ here."""

CHUNK = 8 * 1024**2
"""Bytes of one ranged GET where few are under way at a time."""

SMALL_CHUNK = 1024**2
"""The same where as many may be under way as there are requests in flight, so that they stay within 64 MiB."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version to compare. version_id "" is the current one."""

    bucket: str
    key: str
    version_id: str


@dataclass(frozen=True, slots=True)
class Sameness:
    """same: why the contents are known to be equal, None where they differ or nobody can tell. known: whether it is
    certain. encrypted: some ETag is no MD5 because KMS encrypted the object. other: the id of the version that was
    compared with, where nobody can tell."""

    same: Reason | None
    known: bool
    encrypted: bool = False
    other: str = ""


def same_content(
    one: Version,
    other: Version,
    size: int,
    *,
    read_at_most: int = 0,
    chunk: int = SMALL_CHUNK,
    trust_etags: bool = True,
) -> Job[Sameness]:
    """Compare two versions of `size` bytes by two HEADs, and by reading where those do not decide. Raises S3Error.

    read_at_most: bytes; versions larger than this are not read. chunk: bytes of each read. trust_etags: take ETags for
    proof; without, only checksums and bytes count.
    """
    heads: list[ObjectHead] = yield [
        HeadObject(version.bucket, version.key, version.version_id, checksum=True) for version in (one, other)
    ]
    first_head, second_head = heads
    kms = encrypted(first_head) or encrypted(second_head)
    equal = same_by_heads(first_head, second_head, one.key, trust_etags=trust_etags)
    if equal is not None:
        by_etag = trust_etags and first_head.etag == second_head.etag
        why = Reason.SAME_ETAG if by_etag else Reason.SAME_CHECKSUM
        return Sameness(why if equal else None, known=True, encrypted=kms)
    if size > read_at_most:
        return Sameness(None, known=False, encrypted=kms, other=second_head.version_id)
    first, length = 0, FIRST_LOOK
    while first < size:
        last = min(first + length, size) - 1
        bodies: list[Any] = yield [
            GetObject(version.bucket, version.key, version.version_id, first=first, last=last)
            for version in (one, other)
        ]
        if bodies[0].data != bodies[1].data:
            return Sameness(None, known=True, encrypted=kms)
        first, length = last + 1, chunk
    return Sameness(Reason.SAME_BYTES, known=True, encrypted=kms)

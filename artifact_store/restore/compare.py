"""Whether two versions hold the same bytes, where the listing cannot tell.

Owns the comparison of stored checksums and, only where asked, of the bytes themselves. Refuses to infer anything from
sizes or times. Asked only about versions of equal size and different ETags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    encrypted = any(head.encryption.startswith("aws:kms") for head in heads)
    if heads[0].size != heads[1].size:
        return Sameness(None, known=True, encrypted=encrypted)
    if trust_etags and heads[0].etag == heads[1].etag:
        return Sameness(Reason.SAME_ETAG, known=True, encrypted=encrypted)
    if trust_etags and not encrypted and "-" not in heads[0].etag + heads[1].etag:
        return Sameness(None, known=True)
    equal = checksums_equal(heads[0], heads[1], one.key)
    if equal is not None:
        return Sameness(Reason.SAME_CHECKSUM if equal else None, known=True, encrypted=encrypted)
    if size > read_at_most:
        return Sameness(None, known=False, encrypted=encrypted, other=heads[1].version_id)
    first, length = 0, FIRST_LOOK
    while first < size:
        last = min(first + length, size) - 1
        bodies: list[Any] = yield [
            GetObject(version.bucket, version.key, version.version_id, first=first, last=last)
            for version in (one, other)
        ]
        if bodies[0].data != bodies[1].data:
            return Sameness(None, known=True, encrypted=encrypted)
        first, length = last + 1, chunk
    return Sameness(Reason.SAME_BYTES, known=True, encrypted=encrypted)


def checksums_equal(one: ObjectHead, other: ObjectHead, key: str) -> bool | None:
    """Whether the stored checksums are equal; None where there is no pair that can be compared, or only one that proves
    nothing.

    A checksum of checksums (COMPOSITE, written VALUE-PARTS) proves equality when equal, but nothing when different,
    since the same bytes cut otherwise give another one (S3 User Guide, "Checking object integrity").
    """
    verdict: bool | None = None
    for algorithm in sorted(one.checksums.keys() & other.checksums.keys()):
        if one.checksums[algorithm] == other.checksums[algorithm]:
            if proves(algorithm, key):
                return True
            continue
        if is_whole(one.checksums, algorithm, one.checksum_type) and is_whole(
            other.checksums, algorithm, other.checksum_type
        ):
            verdict = False
    return verdict


def proves(algorithm: str, key: str) -> bool:
    """Whether equal checksums mean equal content. A gzip file ends with the CRC-32 of what it holds, which takes
    that out of the CRC-32 of the whole file where it is stored uncompressed."""
    return algorithm != "CRC32" or not key.lower().endswith((".gz", ".tgz"))


def is_whole(checksums: Mapping[str, str], algorithm: str, checksum_type: str) -> bool:
    """Whether a checksum covers the whole object rather than its parts' checksums."""
    return checksum_type != "COMPOSITE" and "-" not in checksums[algorithm]

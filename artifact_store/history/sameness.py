"""Whether two stored versions hold the same bytes, as far as two HEADs tell.

Owns which ETags and checksums prove what; nobody else decides that. Pure. Refuses to infer anything from times, and of
sizes only that what differs in size differs.
"""

from __future__ import annotations

from collections.abc import Mapping

from artifact_store.s3.operations import ObjectHead


def same_by_heads(one: ObjectHead, other: ObjectHead, key: str, *, trust_etags: bool = True) -> bool | None:
    """Whether two versions hold the same bytes, None where that cannot be told. trust_etags: take ETags for proof;
    without, only checksums count."""
    if one.size != other.size:
        return False
    if trust_etags and one.etag == other.etag:
        return True
    if trust_etags and not (encrypted(one) or encrypted(other)) and "-" not in one.etag + other.etag:
        return False
    return _checksums_equal(one, other, key)


def encrypted(head: ObjectHead) -> bool:
    """Whether the ETag is no MD5 because KMS encrypted the object."""
    return head.encryption.startswith("aws:kms")


def _checksums_equal(one: ObjectHead, other: ObjectHead, key: str) -> bool | None:
    """None where there is no pair that can be compared, or only one that proves nothing.

    A checksum of checksums (COMPOSITE, written VALUE-PARTS) proves equality when equal, but nothing when different,
    since the same bytes cut otherwise give another one (S3 User Guide, "Checking object integrity").
    """
    verdict: bool | None = None
    for algorithm in one.checksums.keys() & other.checksums.keys():
        whole = [is_whole(head.checksums, algorithm, head.checksum_type) for head in (one, other)]
        if one.checksums[algorithm] != other.checksums[algorithm]:
            if all(whole):
                return False
        elif whole[0] == whole[1] and proves(algorithm, key):
            verdict = True
    return verdict


def proves(algorithm: str, key: str) -> bool:
    """Whether equal checksums mean equal content. A gzip file ends with the CRC-32 of what it holds, which takes
    that out of the CRC-32 of the whole file where it is stored uncompressed."""
    return algorithm != "CRC32" or not key.lower().endswith((".gz", ".tgz"))


def is_whole(checksums: Mapping[str, str], algorithm: str, checksum_type: str) -> bool:
    """Whether a checksum covers the whole object rather than its parts' checksums."""
    return checksum_type != "COMPOSITE" and "-" not in checksums[algorithm]

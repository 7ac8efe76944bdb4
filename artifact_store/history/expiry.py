"""When S3 removes versions by itself: what the bucket's lifecycle rules mean for keys, in words. Owns the words."""

from __future__ import annotations

from collections.abc import Collection

from artifact_store.errors import S3Error
from artifact_store.s3.operations import BucketLifecycle, Expiry, GetBucketLifecycle
from artifact_store.s3.server import Server


def when_removed(s3: Server, bucket: str, keys: Collection[str]) -> str:
    """What becomes of versions of these keys that are not current any more, as far as the bucket lets one know.

    Raises S3Error where S3 cannot be reached.
    """
    try:
        lifecycle: BucketLifecycle = s3.call(GetBucketLifecycle(bucket))
    except S3Error as error:
        if error.code == "NoSuchLifecycleConfiguration":
            return told((), keys)
        if error.status in (403, 405, 501):
            return f"what its lifecycle rules remove is unknown ({error.code}; s3:GetLifecycleConfiguration tells)"
        raise
    return told(lifecycle.expiries, keys)


def told(expiries: Collection[Expiry], keys: Collection[str]) -> str:
    """The rules that apply to some of the keys, the soonest first. Pure."""
    mine = [one for one in expiries if any(key.startswith(one.prefix) for key in keys)]
    if not mine:
        return "no lifecycle rule of it removes versions"
    rules = ", and ".join(_rule(one) for one in sorted(mine, key=lambda one: (one.days, one.rule)))
    return f"versions that are not current go {rules}"


def _rule(one: Expiry) -> str:
    days = f"after {one.days:,} {'day' if one.days == 1 else 'days'}"
    keeps = f" but the newest {one.keeps:,}" if one.keeps else ""
    narrowed = " where its tags and sizes match" if one.narrowed else ""
    return f"{days} by rule {one.rule}{keeps}{narrowed}" if one.rule else f"{days} by a rule{keeps}{narrowed}"

"""Where a restore writes: over the bucket itself, into another bucket, or into a folder.

Owns the mapping from a source key to where it goes; refuses nothing and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from artifact_store.errors import UsageError


@dataclass(frozen=True, slots=True)
class InPlace:
    """Over the bucket itself: keys that were absent at T are hidden by delete markers."""

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class ToBucket:
    """Into a bucket, below a prefix ("" or ending in "/"). Only writes, deletes nothing."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class ToFolder:
    """Into a folder of this machine. Only writes, deletes nothing."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


IN_PLACE = InPlace()
Destination = InPlace | ToBucket | ToFolder


def parse_destination(text: str) -> Destination:
    """ "" is in place, "s3://BUCKET[/PREFIX]" a bucket, anything else a folder. Raises UsageError."""
    if not text:
        return InPlace()
    if not text.startswith("s3://"):
        return ToFolder(Path(text).absolute())
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    if not bucket:
        raise UsageError(f"destination {text!r} names no bucket; write s3://BUCKET or s3://BUCKET/PREFIX")
    return ToBucket(bucket, prefix if not prefix or prefix.endswith("/") else f"{prefix}/")

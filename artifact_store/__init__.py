"""Point-in-time restore for AI model artifacts in S3.

    import artifact_store

    bucket = artifact_store.open_bucket("s3://models/llama")
    then = bucket.at("2026-11-25T14:00:00Z")       # a read-only view
    sorted(then)                                     # the keys there were
    with then.open("llama/config.json") as file:     # a binary file, read as needed
        file.read()
    plan = bucket.plan("2026-11-25T14:00:00Z")      # what a restore would do
    plan.apply().raise_for_failures()
    plan.verify().raise_for_differences()

Importing this package is cheap: what talks to S3 is imported when a bucket is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from artifact_store.library import Bucket, RestorePlan, View, open_bucket

__all__ = ["Bucket", "RestorePlan", "View", "open_bucket"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from artifact_store import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

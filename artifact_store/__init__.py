"""Point-in-time restore for AI model artifacts in S3.

    import artifact_store

    with artifact_store.open_bucket("s3://models/llama") as bucket:
        then = bucket.at("2026-11-25T14:00:00Z")         # a read-only view
        sorted(then)                                       # the keys there were
        then.metadata("llama/config.json").content_type    # and what they carried
        with then.open("llama/config.json") as file:       # a binary file, read as needed
            file.read()
        plan = bucket.plan("2026-11-25T14:00:00Z")        # what a restore would do
        plan.apply().raise_for_failures()
        plan.verify().raise_for_differences()

Every error is an ArtifactStoreError: UsageError (what was asked cannot be understood), Refused (it could do harm),
KeysFailed (some keys were not written; `failures` names them), S3Error (S3 answered with an error, or not at all).

Importing this package is cheap: what talks to S3 is imported when a bucket is opened.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from artifact_store.errors import ArtifactStoreError, KeysFailed, Refused, S3Error, UsageError

if TYPE_CHECKING:
    from artifact_store.history.state import Flag, KeyState
    from artifact_store.library import Bucket, Metadata, RestorePlan, View, open_bucket
    from artifact_store.restore.apply import ApplyOptions, Report
    from artifact_store.restore.plan import Action, PlanOptions, Reason, Step
    from artifact_store.restore.verify import Verification
    from artifact_store.s3.operations import Entry

__all__ = [
    "Action",
    "ApplyOptions",
    "ArtifactStoreError",
    "Bucket",
    "Entry",
    "Flag",
    "KeyState",
    "KeysFailed",
    "Metadata",
    "PlanOptions",
    "Reason",
    "Refused",
    "Report",
    "RestorePlan",
    "S3Error",
    "Step",
    "UsageError",
    "Verification",
    "View",
    "open_bucket",
]

_MODULES = {
    "history.state": ("Flag", "KeyState"),
    "library": ("Bucket", "Metadata", "RestorePlan", "View", "open_bucket"),
    "restore.apply": ("ApplyOptions", "Report"),
    "restore.plan": ("Action", "PlanOptions", "Reason", "Step"),
    "restore.verify": ("Verification",),
    "s3.operations": ("Entry",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

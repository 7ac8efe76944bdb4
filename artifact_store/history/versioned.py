"""Whether a bucket can be looked at in the past at all, and what time it is there.

Refuses a bucket that never kept versions: every view of its past would be wrong, and none would look so.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from artifact_store.errors import Refused
from artifact_store.s3.operations import BucketVersioning, GetBucketVersioning

if TYPE_CHECKING:
    from artifact_store.s3.server import Server


def clock(s3: Server, bucket: str) -> float:
    """The server's clock, seconds since the epoch; this machine's where the server tells none.

    Instants are compared with the times of versions, which are the server's too. Raises Refused where the bucket never
    had versioning, and S3Error.
    """
    versioning: BucketVersioning = s3.call(GetBucketVersioning(bucket))
    check_versioned(bucket, versioning)
    return versioning.server_time or time.time()


def check_versioned(bucket: str, versioning: BucketVersioning) -> None:
    """Refuse a bucket that never kept versions. Pure; raises Refused."""
    if versioning.status not in ("Enabled", "Suspended"):
        raise Refused(
            f"bucket {bucket} never had versioning enabled, so it keeps no former versions to restore; "
            "enable versioning now so that the next accident can be undone"
        )

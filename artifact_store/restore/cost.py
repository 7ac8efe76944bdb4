"""How many requests the steps of a plan take to carry out when nothing goes wrong.

Owns the count, which follows what `copying`, `writes` and `folder` send. Counts no retries, no parts of uneven sizes
(one more for each), and none of the looks at each key before its write that are made where nothing has shown that the
server obeys conditions: it does not, or all that is copied are multipart objects.
"""

from __future__ import annotations

from artifact_store.restore.compare import CHUNK
from artifact_store.restore.copying import CopyLimits, part_count, part_ranges
from artifact_store.restore.plan import Action, Step

LIMITS = CopyLimits()


def requests_for(step: Step, *, to_folder: bool) -> int:
    """Requests of this step alone; what is deleted in bulk counts with the others, in `Summary.requests`. Pure."""
    if step.action in (Action.UNDELETE, Action.THAW):
        return 1
    if step.action is not Action.COPY:
        return 0
    if to_folder:
        return 0 if step.target.endswith("/") else -(-step.size // CHUNK)
    return _copies(step)


def _copies(step: Step) -> int:
    """A HEAD, two for the sizes of parts, and the upload: begun, copied part by part, completed."""
    count = part_count(step.etag)
    if count:
        return 3 + 2 + count
    if step.size > LIMITS.single_copy:
        return 1 + 2 + len(part_ranges(step.size, LIMITS.part_size))
    return 1

"""What small files hold, remembered from folder to folder.

The checkpoints of a run have the same config, tokenizer and index, and so have the fine-tunes of a model: what was read
in one folder is not read again in the next. Two files hold the same where ETag and size are equal (S3 API reference,
"Object"), whatever may be done with either: a version that may not be read, or is gone, is known by another that was
read. Refuses an answer that is not what was listed (another ETag or length), and what is larger than its bounds.
"""

from __future__ import annotations

from artifact_store.history.saves import content_of
from artifact_store.s3.operations import Entry, ObjectBody

LARGEST = 1024**2
"""Bytes of the largest file that is remembered."""

KEPT = 16 * 1024**2
"""Most bytes that are remembered in all."""


class Contents:
    """Bytes by ETag and size."""

    def __init__(self) -> None:
        self._data: dict[tuple[str, int], bytes] = {}
        self._held = 0

    def of(self, entry: Entry) -> bytes | None:
        """What this version holds; None where it is not known."""
        return self._data.get(content_of(entry))

    def keep(self, entry: Entry, body: ObjectBody) -> None:
        """An answer to a request for this version: nothing is kept unless it is all of it."""
        as_listed = body.etag == entry.etag and len(body.data) == entry.size
        if not (entry.etag and as_listed) or content_of(entry) in self._data:
            return
        if entry.size <= LARGEST and self._held + entry.size <= KEPT:
            self._data[content_of(entry)] = body.data
            self._held += entry.size

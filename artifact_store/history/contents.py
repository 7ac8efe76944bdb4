"""What small files hold, remembered from folder to folder.

The checkpoints of a run have the same config, tokenizer and index, and so have the fine-tunes of a model: each content
is read once. Owns when two files hold the same: where ETag and size are equal (S3 API reference, "Object"). Remembers
nothing of a file without an ETag, and no more than its bounds.
"""

from __future__ import annotations

from artifact_store.formats.finding import Finding
from artifact_store.history.saves import content_of
from artifact_store.s3.operations import Entry

BYTES_KEPT = 16 * 1024**2
"""Most bytes that are remembered."""

FINDINGS_KEPT = 20_000
"""Most files of which it is remembered what they are; each takes half a kilobyte."""


class Contents:
    """Bytes, and what they are under a name."""

    def __init__(self) -> None:
        self._data: dict[tuple[str, int], bytes] = {}
        self._findings: dict[tuple[str, str, int], Finding] = {}
        self._held = 0

    def data(self, entry: Entry) -> bytes | None:
        """None where they are not known."""
        return self._data.get(content_of(entry))

    def keep(self, entry: Entry, data: bytes) -> None:
        if entry.etag and content_of(entry) not in self._data and self._held + len(data) <= BYTES_KEPT:
            self._data[content_of(entry)] = data
            self._held += len(data)

    def finding(self, entry: Entry) -> Finding | None:
        """What a file of this name is that holds this; None where it is not known."""
        return self._findings.get((_name(entry), *content_of(entry)))

    def keep_finding(self, entry: Entry, finding: Finding) -> None:
        if entry.etag and len(self._findings) < FINDINGS_KEPT:
            self._findings[(_name(entry), *content_of(entry))] = finding


def _name(entry: Entry) -> str:
    return entry.key.rpartition("/")[2]

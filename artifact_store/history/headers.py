"""The tensors of a model at two instants, from the headers of its files alone.

Owns which files are read and how tensors that moved between files are told from those that changed. Refuses a
scope that was empty at both instants. Files without tensors are compared by what the listing says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from artifact_store.errors import Refused
from artifact_store.formats.checks import check
from artifact_store.formats.finding import Finding, Tensor
from artifact_store.formats.tensors import TensorDiff, tensor_diff
from artifact_store.history.instant import show
from artifact_store.history.models import together
from artifact_store.history.scope import Scope
from artifact_store.history.state import at, is_archived
from artifact_store.s3.operations import Entry, Job
from artifact_store.s3.server import Server

WITH_TENSORS = (".safetensors", ".gguf")
"""Files whose headers name their tensors."""

FILES_AT_ONCE = 32


@dataclass(slots=True)
class ModelDiff:
    """tensors: over all files together, so that one that moved to another file is the same. files: those whose bytes
    changed, came or went, as path -> "changed", "added" or "gone". unread: path -> why its tensors are not known."""

    tensors: TensorDiff
    files: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.tensors or self.files)


def compare(s3: Server, scope: Scope, before: float, after: float) -> ModelDiff:
    """What lies between two instants. Raises Refused where nothing was there at either, and S3Error."""
    old: dict[str, Entry] = {}
    new: dict[str, Entry] = {}
    for history in scope.histories(s3):
        for side, instant in ((old, before), (new, after)):
            then = at(history, instant).then
            if then is not None:
                side[scope.relative(history.key)] = then
    if not old and not new:
        raise Refused(
            f"nothing was in {scope} at {show(before)}, nor at {show(after)}; look at the times and at the spelling of "
            "bucket and prefix"
        )
    versions = {(entry.key, entry.version_id): entry for side in (old, new) for entry in side.values()}
    wanted = [e for e in versions.values() if e.key.endswith(WITH_TENSORS) and e.size and not is_archived(e)]
    found = _headers(s3, scope.bucket, wanted)
    unread: dict[str, str] = {}
    tensors = [_tensors(side, found, unread) for side in (old, new)]
    files = {
        path: "gone" if path not in new else "added" if path not in old else "changed"
        for path in sorted(old.keys() | new.keys())
        if path not in old or path not in new or _content(old[path]) != _content(new[path])
    }
    return ModelDiff(tensor_diff(*tensors), files, unread)


def _headers(s3: Server, bucket: str, entries: Sequence[Entry]) -> dict[tuple[str, str], Finding]:
    def job(some: list[Entry]) -> Job[list[tuple[Entry, Finding]]]:
        found = yield from together(bucket, some, [check(entry.key, entry.size) for entry in some])
        return list(zip(some, found, strict=True))

    return {
        (entry.key, entry.version_id): finding
        for pairs in s3.run(job(some) for some in _batches(entries))
        for entry, finding in pairs
    }


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    rest = iter(entries)
    while some := list(islice(rest, FILES_AT_ONCE)):
        yield some


def _tensors(
    side: Mapping[str, Entry], found: Mapping[tuple[str, str], Finding], unread: dict[str, str]
) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path, entry in side.items():
        finding = found.get((entry.key, entry.version_id))
        if finding is None:
            if path.endswith(WITH_TENSORS):
                unread[path] = "is empty" if not entry.size else f"lies in {entry.storage_class}"
        elif finding.problem:
            unread[path] = finding.problem
        elif not finding.proved:
            unread[path] = "its header is larger than what is read"
        else:
            tensors |= finding.tensors
    return tensors


def _content(entry: Entry) -> tuple[str, int]:
    return entry.etag, entry.size

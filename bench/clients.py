"""What is timed against the stub: our client and boto3's on the same work, each for a fresh process.

Each returns what it found or did, to be compared with what the stub's bucket is known to hold.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.bucket import INSTANT, KINDS, deep_key, etag_of, id_of
from bench.process import Work
from bench.stub import BUCKET

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Listed:
    """keys, entries: how many. requests: sent."""

    keys: int
    entries: int
    requests: int


@dataclass(frozen=True)
class Planned:
    """actions: keys by action. requests: sent."""

    actions: dict[str, int]
    requests: int


def list_ours(endpoint: str) -> Work[Listed]:
    """Every key with its versions, in order."""
    from artifact_store.__main__ import tune
    from artifact_store.history.listing import list_histories
    from artifact_store.s3.client import connect

    tune()
    keys, entries, last = 0, 0, ""
    with connect(endpoint_url=endpoint) as s3:
        yield
        for history in list_histories(s3, BUCKET):
            if history.key <= last:
                raise AssertionError(f"{history.key} came after {last}")
            keys, entries, last = keys + 1, entries + len(history.entries), history.key
        return Listed(keys, entries, s3.stats.requests)


def list_serially(endpoint: str) -> Work[Listed]:
    """The same client, page after page."""
    from artifact_store.s3.client import connect
    from artifact_store.s3.operations import ListVersions, VersionPage

    keys: set[str] = set()
    entries = 0
    ask = ListVersions(BUCKET)
    with connect(endpoint_url=endpoint) as s3:
        yield
        while True:
            page: VersionPage = s3.call(ask)
            keys.update(entry.key for entry in page.entries)
            entries += len(page.entries)
            if not page.is_truncated:
                return Listed(len(keys), entries, s3.stats.requests)
            ask = ListVersions(BUCKET, "", "", page.next_key_marker, page.next_version_id_marker)


def list_boto3(endpoint: str) -> Work[Listed]:
    """With list_object_versions' paginator."""
    client = boto3_client(endpoint)
    keys: set[str] = set()
    entries = pages = 0
    yield
    for page in client.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        pages += 1
        for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            keys.add(entry["Key"])
            entries += 1
    return Listed(len(keys), entries, pages)


def copy_ours(endpoint: str, count: int, in_flight: int) -> Work[int]:
    """Bring back `count` keys as a restore does it; returns how many were copied."""
    from artifact_store.__main__ import tune
    from artifact_store.restore.plan import Action, Current, Reason, Step
    from artifact_store.restore.writes import Kind, Writes
    from artifact_store.s3.client import connect

    tune()
    writes = Writes(BUCKET, BUCKET)
    steps = (
        Step(Action.COPY, key, Reason.CHANGED, version_id, etag, current=Current("", current_etag))
        for key, version_id, etag, current_etag in _to_copy(count)
    )
    with connect(endpoint_url=endpoint, in_flight=in_flight) as s3:
        yield
        outcomes = s3.run(writes.copy(number, step, look=False) for number, step in enumerate(steps))
        return sum(outcome.kind is Kind.WRITTEN for outcome in outcomes)


def copy_boto3(endpoint: str, count: int) -> Work[int]:
    """The same copies under the same conditions, one after the other: threads only add to their cost."""
    client = boto3_client(endpoint)
    copied = 0
    yield
    for key, version_id, etag, current_etag in _to_copy(count):
        answer = client.copy_object(
            Bucket=BUCKET,
            Key=key,
            CopySource={"Bucket": BUCKET, "Key": key, "VersionId": version_id},
            CopySourceIfMatch=etag,
            IfMatch=current_etag,
        )
        copied += answer["CopyObjectResult"]["ETag"].strip('"') == etag
    return copied


def plan_ours(endpoint: str) -> Work[Planned]:
    """Plan the restore of the whole bucket to INSTANT into a file, tuned as the command line is."""
    from artifact_store.__main__ import tune
    from artifact_store.history.scope import parse_scope
    from artifact_store.restore.plan import Action
    from artifact_store.restore.planner import make_plan
    from artifact_store.s3.client import connect

    tune()
    with tempfile.TemporaryDirectory() as folder, connect(endpoint_url=endpoint) as s3:
        yield
        counts = make_plan(s3, parse_scope(f"s3://{BUCKET}"), INSTANT, Path(folder) / "plan").summary.counts
        actions = {action.value: counts[action] for action in (Action.COPY, Action.DELETE, Action.KEEP)}
        return Planned(actions, s3.stats.requests)


def plan_without_models(endpoint: str) -> Work[Planned]:
    """The same without a look at what is a model."""
    from artifact_store.history.models import Candidate, Finder
    from artifact_store.restore import watch

    class Blind(Finder):
        def see(self, *_: object, **__: object) -> Sequence[Candidate]:
            return ()

    vars(watch)["Finder"] = Blind
    return (yield from plan_ours(endpoint))


def boto3_client(endpoint: str) -> S3Client:
    """As it comes, but for paths instead of host names."""
    import boto3
    from botocore.config import Config

    return boto3.client("s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path"}))


def _to_copy(count: int) -> Iterator[tuple[str, str, str, str]]:
    """Key, id and ETag of the version to copy, and the current ETag, of keys that were changed."""
    index = 0
    while count:
        kind = KINDS[index % len(KINDS)]
        if kind.action == "copy" and not kind.entries[0].marker:
            current, then = kind.entries[:2]
            yield deep_key(index), id_of(index, then), etag_of(index, then), etag_of(index, current)
            count -= 1
        index += 1

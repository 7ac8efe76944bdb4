"""Restores of one bucket on SeaweedFS: ours, rclone's and s3-pit-restore's, each on a bucket of its own, all alike.

Owns the buckets' history and the command lines. What a bucket must hold afterwards is known from what was written to
it, not from any tool; it is compared by key and ETag, which is the MD5 of the content here.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_store.history.listing import list_histories
from artifact_store.history.state import at
from artifact_store.restore.plan import Action, PlanOptions, Step, decide
from artifact_store.restore.writes import Writes
from artifact_store.s3.client import S3, connect
from artifact_store.s3.operations import DeleteObject, Job, PutObject
from bench import peers
from bench.clients import boto3_client
from bench.table import Row
from tests.servers.seaweed import ACCESS_KEY, SECRET_KEY, seaweed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OURS = Path(sys.executable).parent / "artifact-store"
BYTES = 1024
"""Of every version: what is measured is the tools, not the server's disk."""
DELETED_BEFORE, DELETED_AFTER, NEW = 7, 4, 10
"""One key in so many. Each delete before the instant comes a second after what it deletes, and of 2,000 keys none has a
page end between the two: s3-pit-restore brings such keys back, and a wrong result is no measure."""
COPIES_ALONE = "of that the copies alone"
TRANSFERS = (10, 64)
"""rclone's copies and checks at a time: what its users choose, and as many as ours."""


@dataclass
class Times:
    """Seconds of each run of a tool. wrong: what was not as it must be, the first of it."""

    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)
    wrong: str = ""


@dataclass(frozen=True)
class Tool:
    """command: the arguments that restore a bucket to an instant. most: of its time that ours may take, the target.
    twice: whether a second run is measured too."""

    name: str
    command: Callable[[str, int], list[str | Path]]
    most: float = 0.0
    twice: bool = False


def measure(*, keys: int, rounds: int, install: bool) -> Iterator[Row]:
    """Rows for the first run against each peer, and for a second run that finds nothing to do against rclone."""
    rclone, pit = peers.rclone(install=install), peers.s3_pit_restore(install=install)
    with tempfile.TemporaryDirectory(prefix="bench-weed-") as folder, seaweed(Path(folder)) as endpoint:
        # s3-pit-restore has no option for the endpoint.
        os.environ.update(AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_ENDPOINT_URL=endpoint)
        ours = Tool("artifact-store", lambda b, t: _ours(endpoint, b, t), twice=True)
        theirs = [_rclone(rclone, endpoint, transfers) for transfers in TRANSFERS] if rclone is not None else []
        slow = [Tool(pit.name, lambda b, t: _pit(pit.program, b, t), most=0.4)] if pit is not None else []
        times, alone = _run([ours, *theirs, *slow], endpoint, keys, rounds)
        del os.environ["AWS_ENDPOINT_URL"]
    mine = times[ours.name]
    what = f"restore {keys:,} keys x 3 versions on SeaweedFS"
    for tool in theirs + slow:
        wrong = mine.wrong or times[tool.name].wrong
        yield _row(what, mine.first, tool.name, times[tool.name].first, tool.most, wrong)
        if tool in theirs:
            yield _row(COPIES_ALONE, alone, tool.name, times[tool.name].first, None, wrong)
    for tool in theirs:
        wrong = mine.wrong or times[tool.name].wrong
        yield _row("the same again: nothing to do", mine.second, tool.name, times[tool.name].second, 1.0, wrong)
    if not theirs + slow:
        yield Row(what, f"{min(mine.first):.2f} s", "", min(mine.first), "s", wrong=mine.wrong)


def _row(what: str, ours: list[float], name: str, theirs: list[float], most: float | None, wrong: str) -> Row:
    return Row(
        what, f"{min(ours):.2f} s", f"{min(theirs):.2f} s {name}", min(ours) / min(theirs), most=most, wrong=wrong
    )


def _run(tools: list[Tool], endpoint: str, keys: int, rounds: int) -> tuple[dict[str, Times], list[float]]:
    """Every tool in turn, on a fresh bucket each time; and the seconds that the copies of a restore take alone, which
    no tool can be faster than."""
    boto3 = boto3_client(endpoint)
    times = {tool.name: Times() for tool in tools}
    plan = [(tool, f"bench-{number}-{round_}") for round_ in range(rounds) for number, tool in enumerate(tools)]
    spare = [f"bench-copies-{round_}" for round_ in range(rounds)]
    expected = {_key(i): _md5(_body(_key(i), 2)) for i in range(keys) if i % DELETED_BEFORE}
    with connect(endpoint_url=endpoint) as s3:
        buckets = [bucket for _, bucket in plan] + spare
        for bucket in buckets:
            boto3.create_bucket(Bucket=bucket)
            boto3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            _write(s3, (_two_versions(bucket, i) for i in range(keys)))
        _next_second()
        for bucket in buckets:
            _write(s3, (_delete(bucket, i) for i in range(0, keys, DELETED_BEFORE)))
        instant = int(time.time())
        _next_second()
        for bucket in buckets:
            _write(s3, (_after(bucket, i, keys) for i in range(keys + keys // NEW)))
        alone = [_copied(s3, bucket, instant) for bucket in spare]
    for tool, bucket in plan:
        result = times[tool.name]
        seconds, failure = _timed(tool.command(bucket, instant))
        result.first.append(seconds)
        result.wrong = result.wrong or failure or _difference(boto3, tool.name, bucket, expected)
        if tool.twice:
            entries = _entries(boto3, bucket)
            seconds, failure = _timed(tool.command(bucket, instant))
            result.second.append(seconds)
            added = _entries(boto3, bucket) - entries
            twice = f"{tool.name} wrote {added} entries in a run that had nothing to do" if added else ""
            result.wrong = result.wrong or failure or _difference(boto3, tool.name, bucket, expected) or twice
    return times, alone


def _copied(s3: S3, bucket: str, instant: int) -> float:
    """Seconds of nothing but the copies that a restore makes, each as careful as there."""
    states = (at(history, instant) for history in list_histories(s3, bucket))
    steps = [step for state in states if (step := decide(state, PlanOptions())) and step.action is Action.COPY]
    writes = Writes(bucket, bucket)
    began = time.perf_counter()
    _write(s3, (_one(writes, number, step) for number, step in enumerate(steps)))
    return time.perf_counter() - began


def _one(writes: Writes, number: int, step: Step) -> Job[None]:
    yield from writes.copy(number, step, look=False)


def _key(index: int) -> str:
    return f"models/m-{index // 100:02}/run-{index // 10 % 10}/shard-{index % 10:05}.safetensors"


def _body(key: str, version: int) -> bytes:
    """All of one size, as checkpoints of one model are."""
    return f"{key} {version} ".encode().ljust(BYTES, b".")


def _next_second() -> None:
    """The server's clock is real, and its times are whole seconds."""
    time.sleep(1.1 - time.time() % 1)


def _two_versions(bucket: str, index: int) -> Job[None]:
    key = _key(index)
    for version in (1, 2):
        yield PutObject(bucket, key, _body(key, version))


def _delete(bucket: str, index: int) -> Job[None]:
    yield DeleteObject(bucket, _key(index))


def _after(bucket: str, index: int, keys: int) -> Job[None]:
    """A third version, and for some a marker on it. Keys from `keys` on are new."""
    key = _key(index)
    if index >= keys or index % DELETED_BEFORE:
        yield PutObject(bucket, key, _body(key, 3))
        if index < keys and index % DELETED_AFTER == 0:
            yield DeleteObject(bucket, key)


def _write(s3: S3, jobs: Iterator[Job[None]]) -> None:
    for _ in s3.run(jobs):
        pass


def _ours(endpoint: str, bucket: str, instant: int) -> list[str | Path]:
    return [OURS, "restore", f"s3://{bucket}", "--at", f"@{instant}", "--yes", "--endpoint-url", endpoint]


def _rclone(rclone: peers.Peer, endpoint: str, transfers: int) -> Tool:
    """Server-side copies from the bucket as it was; by checksum, which spares it a HEAD for each key, and without which
    it copies all of them again in every run."""
    remote = f":s3,provider=SeaweedFS,env_auth,region=us-east-1,endpoint='{endpoint}'"

    def command(bucket: str, instant: int) -> list[str | Path]:
        then = datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d %H:%M:%S")
        at_once = ["--transfers", str(transfers), "--checkers", str(transfers)]
        options = ["--checksum", "--server-side-across-configs", *at_once, "--config", ""]
        return [rclone.program, "sync", *options, f"{remote},version_at='{then}':{bucket}", f"{remote}:{bucket}"]

    return Tool(f"{rclone.name}, {transfers} transfers", command, most=0.6, twice=True)


def _pit(program: Path, bucket: str, instant: int) -> list[str | Path]:
    then = datetime.fromtimestamp(instant, UTC).strftime("%m-%d-%Y %H:%M:%S +0")
    return [program, "-b", bucket, "-B", bucket, "-t", then]


def _timed(command: list[str | Path]) -> tuple[float, str]:
    """Seconds, and what went wrong, "" if nothing did."""
    began = time.perf_counter()
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if run.returncode == 0:
        return seconds, ""
    last = (run.stderr or run.stdout).strip().splitlines()[-1:]
    return seconds, f"{Path(command[0]).name} ended with {run.returncode}: {''.join(last)}"


def _difference(boto3: S3Client, name: str, bucket: str, expected: dict[str, str]) -> str:
    """How the bucket differs from what it was at the instant, in words; "" if it does not."""
    found: dict[str, str] = {}
    for page in boto3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        found |= {entry["Key"]: entry["ETag"].strip('"') for entry in page.get("Contents", ())}
    missing, extra = expected.keys() - found.keys(), found.keys() - expected.keys()
    other = [key for key in expected.keys() & found.keys() if expected[key] != found[key]]
    if not (missing or extra or other):
        return ""
    return f"{name} left {len(missing)} keys missing, {len(extra)} too many, {len(other)} with other content"


def _entries(boto3: S3Client, bucket: str) -> int:
    pages = boto3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    return sum(len(page.get("Versions", ())) + len(page.get("DeleteMarkers", ())) for page in pages)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()

"""Random pasts on real servers, judged by a log of what was done rather than by what a server lists."""

import random
from contextlib import nullcontext
from pathlib import Path

import pytest
import time_machine

from artifact_store.history.scope import Scope
from artifact_store.library import open_bucket
from artifact_store.restore.apply import apply
from artifact_store.restore.planner import make_plan
from artifact_store.restore.verify import verify
from artifact_store.s3.client import S3
from tests.restore.oracle import Event, replay
from tests.servers.conftest import Server
from tests.servers.worlds import MOTO_T, World, next_second, world_on

KEYS = ["a", "a/b", "a/c d", "b%20", "b+", "b/ü", "c", "c/日本", "d?x=1", "e&f"]
EVENTS = 400


def random_past(server: Server, bucket: str, seed: int) -> list[Event]:
    """Make things happen one after the other, and tell them with the second the server gave each."""
    chance, boto = random.Random(seed), server.boto()
    told: list[tuple[str, str, bytes | None]] = []
    for number in range(EVENTS if server.interleaves else EVENTS // 4):
        key = chance.choice(KEYS)
        data = None if chance.random() < 0.3 and number >= len(KEYS) else chance.choice([b"", b"x", b"y" * 9, b"z" * 9])
        # moto does not tell the order within a second, so there each event gets its own.
        with time_machine.travel(MOTO_T + number, tick=False) if server.name == "moto" else nullcontext():
            if data is None:
                answer = boto.delete_object(Bucket=bucket, Key=key)
            else:
                answer = boto.put_object(Bucket=bucket, Key=key, Body=data)
        if "VersionId" in answer:
            told.append((answer["VersionId"], key, data))
    seconds = {}
    for page in boto.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for found in page.get("Versions", []) + page.get("DeleteMarkers", []):
            seconds[found["VersionId"]] = int(found["LastModified"].timestamp())
    return [Event(seconds[version], key, data) for version, key, data in told]


def contents(server: Server, bucket: str) -> dict[str, bytes]:
    boto = server.boto()
    listed = boto.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {found["Key"]: boto.get_object(Bucket=bucket, Key=found["Key"])["Body"].read() for found in listed}


@pytest.mark.parametrize("seed", [1, 2])
def test_restores_to_several_seconds_of_a_random_past_give_what_the_log_says(
    server: Server, s3: S3, bucket: str, tmp_path: Path, seed: int
) -> None:
    """Hundreds of writes in a row come first, hence slow."""
    past = random_past(server, bucket, seed)
    if server.name != "moto":
        # What a restore writes must not fall into a second of the past.
        next_second()
    seconds = sorted({event.second for event in past})
    for number, second in enumerate(random.Random(seed).sample(seconds, min(3, len(seconds)))):
        plan = make_plan(s3, Scope(bucket), float(second), tmp_path / str(number))
        assert apply(s3, plan).complete
        assert contents(server, bucket) == replay(past, second)
        assert verify(s3, plan, deep=True).wrong == ()


def test_the_library_reads_plans_applies_and_verifies_on_a_server(server: Server, tmp_path: Path) -> None:
    world: World = world_on(server)
    bucket = open_bucket(f"s3://{world.bucket}/library", endpoint_url=server.endpoint)
    then = bucket.at(world.instant)
    assert list(then) == sorted(world.at("library"))
    some = ["library/back", "library/k00", "library/k24"]
    assert {key: then.open(key).read() for key in some} == {key: world.at("library")[key] for key in some}
    assert "library/n0" not in then
    plan = bucket.plan(world.instant, path=tmp_path / "plan")
    plan.apply().raise_for_failures()
    plan.verify(deep=True).raise_for_differences()
    assert world.now("library") == world.at("library")
    with (
        open_bucket(f"s3://{world.bucket}/multi", endpoint_url=server.endpoint)
        .at(world.instant)
        .open("multi/model") as f
    ):
        f.seek(5 * 1024**2 - 3)
        assert f.read(6) == world.expected["multi/model"][5 * 1024**2 - 3 : 5 * 1024**2 + 3]

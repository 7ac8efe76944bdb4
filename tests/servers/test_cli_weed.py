"""The whole way on a server that keeps S3's order and conditions: find the accident, look, restore, prove; also with
odd keys, and after a run that was killed."""

import json
import os
import shlex
import subprocess
import time

import pytest

from tests.cli.terminal import COMMAND, piped
from tests.servers.conftest import new_bucket
from tests.servers.fault_proxy import Delay, FaultProxy
from tests.servers.story import Story

ODD = [
    "m/a b",
    "m/a%20b",
    "m/a+b",
    "m/ü/日本",
    "m/~'\"<&>",
    "m/" + "x" * 200,
]
FILES = {key: f"first {key}".encode() for key in [*ODD, *(f"m/shard-{i:02}" for i in range(30))]}


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "artifact-store"


@pytest.fixture
def story(weed):
    """A model, then a bad push at least two seconds later: this server's clock is the machine's and cannot be moved."""
    story = Story(weed, new_bucket(weed))
    boto, bucket = weed.boto(), story.bucket
    for key, body in FILES.items():
        boto.put_object(Bucket=bucket, Key=key, Body=body)
    time.sleep(2.1 - time.time() % 1)
    for number, key in enumerate(FILES):
        if number % 3 == 0:
            boto.put_object(Bucket=bucket, Key=key, Body=b"x" * len(FILES[key]))
        elif number % 3 == 1:
            boto.delete_object(Bucket=bucket, Key=key)
    boto.put_object(Bucket=bucket, Key="m/stray", Body=b"?")
    return story


def test_the_accident_is_found_looked_at_undone_and_proved(story):
    """Seven commands, each a process of its own: more than 2 s on a busy machine."""
    endpoint = ("--endpoint-url", story.server.endpoint)
    address = f"s3://{story.bucket}/m"
    before = {(key, version) for key, version, _ in story.everything()}

    command = shlex.split(piped("log", address, *endpoint).out.splitlines()[-1])
    assert command[:3] == ["artifact-store", "diff", address]
    at = command[command.index("--at") + 1]
    shown = piped(*command[1:], "--json")
    reasons = {line["key"]: line["reason"] for line in map(json.loads, shown.out.splitlines())}
    expected = {key: ("changed", "deleted")[n % 3] for n, key in enumerate(FILES) if n % 3 < 2}
    assert reasons == {**expected, "m/stray": "new"}

    done = piped("restore", address, "--at", at, "--yes", "--deep", *endpoint)
    assert (done.code, done.out) == (0, "")
    assert "verified: " in done.err
    assert story.contents() == FILES
    assert before < {(key, version) for key, version, _ in story.everything()}
    listed = piped("ls", address, "--at", "0s", "--json", *endpoint)
    keys = [json.loads(line)["key"] for line in listed.out.splitlines()]
    assert keys == sorted(FILES, key=str.encode)
    assert piped("diff", address, "--at", at, "--exit-code", *endpoint).code == 0


def held_back(seen):
    """A copy or a download of some shards."""
    return seen.method in ("PUT", "GET") and "shard-1" in seen.target


@pytest.mark.parametrize("place", ["in place", "prefix", "bucket", "folder"])
def test_a_run_that_was_killed_is_finished_by_the_same_command(story, tmp_path, place):
    """A second must pass before the accident, and there are four processes: more than 2 s."""
    log = piped("log", f"s3://{story.bucket}", "--endpoint-url", story.server.endpoint)
    at = shlex.split(log.out.splitlines()[-1])[4]
    other = new_bucket(story.server) if place == "bucket" else story.bucket
    to = {"in place": "", "prefix": f"s3://{other}/rescued", "bucket": f"s3://{other}", "folder": str(tmp_path / "out")}

    def restored():
        if place == "folder":
            root = tmp_path / "out"
            # A killed download leaves the hidden file it was writing.
            found = [f for f in root.rglob("*") if f.is_file() and not f.name.startswith(".artifact-store-")]
            return {str(f.relative_to(root)): f.read_bytes() for f in found}
        start = "rescued/" if place == "prefix" else ""
        stands = Story(story.server, other).contents(start)
        return {key.removeprefix(start): body for key, body in stands.items()}

    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: Delay(30) if held_back(seen) else None
        command = ["restore", f"s3://{story.bucket}", "--at", at, "--yes", "--endpoint-url", proxy.endpoint]
        command += ["--to", to[place]] if to[place] else []
        child = subprocess.Popen([*COMMAND, *command], stderr=subprocess.DEVNULL, env=dict(os.environ))
        deadline = time.monotonic() + 30
        while not proxy.faults and time.monotonic() < deadline:
            time.sleep(0.01)
        child.kill()
        child.wait(20)
        assert restored() != FILES
        proxy.choose = lambda seen: None
        done = piped(*command)
    assert (done.code, done.err.splitlines()[-1].split(":")[0]) == (0, "verified")
    assert restored() == FILES


def test_a_hold_that_would_cost_versions_their_times_stops_at_the_first(run, weed, story, tmp_path):
    """This server takes a hold in any bucket, and gives the version the time of the hold."""
    words = ("lock", "--at", f"@{int(time.time())}", "--hold", "-o")
    plain = run(words[0], f"s3://{story.bucket}/m/shard-02", *words[1:], tmp_path / "plain")
    failed = "error: the lock file is written, but"
    assert plain == (
        3,
        "",
        f"{failed} nothing could be held: {story.bucket} has no object lock; no lifecycle rule of it removes versions\n",
    )
    boto, bucket = weed.boto(), f"{story.bucket}-held"
    boto.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    for key in ("m/a", "m/b"):
        boto.put_object(Bucket=bucket, Key=key, Body=b"1")
    before = {one["Key"]: one for one in boto.list_object_versions(Bucket=bucket)["Versions"]}
    time.sleep(2.1 - time.time() % 1)
    code, _, err = run(words[0], f"s3://{bucket}/m", "--at", f"@{int(time.time())}", *words[3:], tmp_path / "held")
    after = {one["Key"]: one for one in boto.list_object_versions(Bucket=bucket)["Versions"]}
    changed = [key for key in before if before[key] != after[key]]
    assert (code, changed) == (3, ["m/a"])
    assert err.startswith(f"{failed} the hold on version {before['m/a']['VersionId']} of m/a changed its time from ")
    assert err.endswith(": this server cannot hold versions without losing their times, so no other one is held\n")

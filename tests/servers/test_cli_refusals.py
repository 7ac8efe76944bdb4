"""Whatever stands in the way of a restore is told in one line, with the right exit code, and nothing is half-made."""

import socket
from types import SimpleNamespace

import pytest
import time_machine

from artifact_store.cli import main, options
from tests.servers.conftest import new_bucket
from tests.servers.fault_proxy import FaultProxy, Status
from tests.servers.story import BEFORE, spoiled_model

COMMANDS = {
    "ls": [],
    "diff": [],
    "restore": ["--yes"],
    "plan": ["--out", "p.plan"],
}


@pytest.fixture(scope="module")
def story(moto):
    return spoiled_model(moto)


@pytest.fixture(autouse=True)
def nothing_written(story, monkeypatch, tmp_path):
    """Neither in the bucket, nor in the folder where plans are kept, nor in the current folder."""
    state, here = tmp_path / "state", tmp_path / "here"
    here.mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    monkeypatch.chdir(here)
    before = story.everything()
    yield
    assert story.everything() == before
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = main.run(list(arguments))
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("error: ")
        assert told.err.count("\n") == 1
        return code, told.err.removeprefix("error: ").removesuffix("\n")

    return run


@pytest.fixture(params=list(COMMANDS))
def command(request):
    """A command about an address and an instant, with what else it needs."""
    return lambda address, at, endpoint: [
        request.param,
        address,
        "--at",
        at,
        *COMMANDS[request.param],
        "--endpoint-url",
        endpoint,
    ]


def test_a_bucket_that_is_not_there(run, story, command):
    code, error = run(*command("s3://no-such-bucket-here", BEFORE, story.server.endpoint))
    assert code == 4
    assert error.startswith("GetBucketVersioning s3://no-such-bucket-here/: NoSuchBucket")
    assert "look at the spelling, the account (--profile) and the endpoint (--endpoint-url)" in error


def test_a_bucket_that_keeps_no_versions(run, story, command):
    bucket = "never-versioned"
    boto = story.server.boto()
    boto.create_bucket(Bucket=bucket)
    boto.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert run(*command(f"s3://{bucket}", BEFORE, story.server.endpoint)) == (
        4,
        "bucket never-versioned never had versioning enabled, so it keeps no former versions to restore; "
        "enable versioning now so that the next accident can be undone",
    )


def test_a_bucket_whose_versioning_is_suspended_is_not_written_to(run, story):
    bucket = new_bucket(story.server)
    boto = story.server.boto()
    boto.put_object(Bucket=bucket, Key="k", Body=b"x")
    boto.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    code, error = run("restore", f"s3://{bucket}", "--at", "0s", "--yes", "--endpoint-url", story.server.endpoint)
    assert code == 4
    assert error.startswith(f"versioning of bucket {bucket} is suspended, so a write would destroy the version with id")


def test_a_bucket_that_may_not_be_read(run, story, command):
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: Status(403, "AccessDenied")
        code, error = run(*command(story.address, BEFORE, proxy.endpoint))
    assert code == 4
    assert error == (
        f"GetBucketVersioning s3://{story.bucket}/: AccessDenied: made by the fault proxy; "
        "these credentials may not do this (--profile chooses others)"
    )


def test_versions_that_may_not_be_listed(run, story, command):
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: Status(403, "AccessDenied") if "versions=" in seen.target else None
        code, error = run(*command(story.address, BEFORE, proxy.endpoint))
    assert code == 4
    assert error.startswith(f"ListObjectVersions s3://{story.bucket}/models/m-1")
    assert error.endswith("; these credentials may not do this (--profile chooses others)")


def test_a_server_that_is_not_there(run, story, command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        code, error = run(*command(story.address, BEFORE, endpoint))
    assert code == 4
    assert endpoint.removeprefix("http://") in error
    assert "; look at --endpoint-url, AWS_ENDPOINT_URL and the network" in error


def test_an_endpoint_that_is_no_url(run, story, command):
    assert run(*command(story.address, BEFORE, "minio:9000")) == (
        2,
        "endpoint 'minio:9000' is no URL; write for example http://127.0.0.1:9000",
    )


def test_no_credentials(run, story, command, monkeypatch):
    with monkeypatch.context() as environment:
        environment.delenv("AWS_ACCESS_KEY_ID")
        environment.delenv("AWS_SECRET_ACCESS_KEY")
        code, error = run(*command(story.address, BEFORE, story.server.endpoint))
    assert code == 4
    assert error == (
        "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a --profile, or sign in with "
        "`aws sso login`"
    )


def test_a_profile_that_is_not_there(run, story, command):
    code, error = run(*command(story.address, BEFORE, story.server.endpoint), "--profile", "nobody")
    assert code == 2
    assert "nobody" in error


@pytest.mark.parametrize("off", [-3600, 600, 3600])
def test_an_instant_in_the_future_of_the_servers_clock(run, story, command, monkeypatch, off):
    """However wrong this machine's clock is."""
    monkeypatch.setattr("artifact_store.cli.options.now", lambda: 1_795_618_800.0 + off)
    monkeypatch.setattr("artifact_store.history.versioned.time", SimpleNamespace(time=options.now))
    at = "2026-11-25T13:00:01Z"
    with time_machine.travel("2026-11-25T13:00:00Z", tick=False):
        code, error = run(*command(story.address, at, story.server.endpoint))
    assert code == 2
    assert error == (
        f"time '{at}' is {at}, in the future: the server's clock says 2026-11-25T13:00:00Z; name a time that has been"
    )


@pytest.mark.parametrize("off", [-600, 600])
def test_an_age_is_counted_from_the_servers_clock(capsys, story, monkeypatch, off):
    monkeypatch.setattr("artifact_store.cli.options.now", lambda: 1_795_618_800.0 + off)
    for age, shown in (("0s", "13:00:00"), ("30s", "12:59:30"), ("8m", "12:52:00")):
        with time_machine.travel("2026-11-25T13:00:00Z", tick=False):
            assert main.run(["ls", story.address, "--at", age, "--endpoint-url", story.server.endpoint]) == 0
        assert capsys.readouterr().err.endswith(f" at 2026-11-25T{shown}Z\n")


def test_nothing_to_restore_at_that_time(run, story):
    at = "2026-05-04T13:00:00Z"
    for command in (["restore", "--yes"], ["plan", "--out", "p.plan"]):
        code, error = run(*command, story.address, "--at", at, "--endpoint-url", story.server.endpoint)
        assert code == 4
        assert error == (
            f"nothing existed at {at} in {story.address}, and this restore would hide all that is there now (3 keys); "
            "check the time and the prefix"
        )


def test_nothing_was_ever_there(run, story):
    address = f"s3://{story.bucket}/models/m-3"
    code, error = run("restore", address, "--at", BEFORE, "--yes", "--endpoint-url", story.server.endpoint)
    assert code == 4
    assert error.startswith(f"nothing was ever written in {address}; look at the spelling")


def test_a_state_folder_that_cannot_be_made(run, story, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    code, error = run("restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", story.server.endpoint)
    assert code == 4
    assert error.startswith("cannot keep the plan in /proc/nowhere/artifact-store: ")
    assert error.endswith("; set XDG_STATE_HOME to a folder you can write")


@pytest.fixture
def unlisted(story):
    """An endpoint that may be asked for nothing."""
    with FaultProxy(story.server.endpoint) as proxy:
        yield proxy.endpoint
        assert proxy.seen == []


@pytest.mark.parametrize(
    ("out", "folder", "reason"),
    [
        ("nowhere/p.plan", "nowhere", "No such file or directory"),
        ("/proc/p.plan", "/proc", "No such file or directory"),
    ],
)
def test_a_plan_file_that_cannot_be_written_is_told_before_anything_is_asked(run, story, unlisted, out, folder, reason):
    code, error = run("plan", story.address, "--at", BEFORE, "--out", out, "--endpoint-url", unlisted)
    remedy = "name a file in a folder you can write with --out"
    assert (code, error) == (4, f"cannot write plan {out}: {folder}: {reason}; {remedy}")


@pytest.mark.parametrize(
    ("folder", "there", "reason"),
    [
        ("/proc/nowhere/x", "/proc", "No such file or directory"),
        ("/etc/passwd", "/etc/passwd", "Not a directory"),
        ("/etc/passwd/x", "/etc/passwd", "Not a directory"),
    ],
)
def test_a_folder_that_cannot_be_written_is_told_before_anything_is_asked(run, story, unlisted, folder, there, reason):
    arguments = ("restore", story.address, "--at", BEFORE, "--yes", "--to", folder, "--endpoint-url", unlisted)
    remedy = "name a folder you can write with --to"
    assert run(*arguments) == (4, f"cannot write into {folder}: {there}: {reason}; {remedy}")

"""What a listing cannot settle, and what cannot be read yet, is marked wherever a key is shown, and never restored in
silence."""

import json

import pytest
import time_machine

from tests.servers.conftest import new_bucket
from tests.servers.story import STORED, Story

T = "2026-05-04T13:40:00Z"
"""Ten minutes after STORED."""


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def story(moto):
    return Story(moto, new_bucket(moto))


@pytest.fixture
def uploaded(story):
    """A checkpoint that is there, written over by a multipart upload ten minutes before T, and lost after T."""
    story.put(STORED - 7200, "m/w.bin", b"before")
    with time_machine.travel(STORED, tick=False):
        boto, place = story.server.boto(), {"Bucket": story.bucket, "Key": "m/w.bin"}
        upload = boto.create_multipart_upload(**place)["UploadId"]
        part = boto.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"large")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        boto.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)
    story.delete(STORED + 3600, "m/w.bin")
    return f"s3://{story.bucket}/m"


def test_an_upload_that_may_not_have_been_over_is_marked_by_ls(run, uploaded):
    code, out, err = run("ls", uploaded, "--at", T)
    assert code == 0
    assert out.endswith(" ? m/w.bin\n")
    assert err.splitlines()[1] == (
        "? 1 key may not have been visible at T: its multipart upload began shortly before "
        "(--settled takes the version before)"
    )
    (record,) = map(json.loads, run("ls", uploaded, "--at", T, "--json")[1].splitlines())
    assert (record["size"], record["flags"]) == (5, ["unsettled"])


def test_settled_takes_the_version_before_and_marks_nothing(run, uploaded):
    _, out, err = run("ls", uploaded, "--at", T, "--settled", "--json")
    (record,) = map(json.loads, out.splitlines())
    assert (record["size"], record["last_modified"]) == (6, "2026-05-04T11:30:00Z")
    assert len(err.splitlines()) == 1


def test_it_is_named_by_diff_get_and_the_summary_of_a_restore(run, uploaded, tmp_path):
    _, out, _ = run("diff", uploaded, "--at", T)
    assert out == "+    absent →       5 B  m/w.bin  (deleted since, unsettled)\n"
    _, _, err = run("get", f"{uploaded}/w.bin", "--at", T, "-o", tmp_path / "w")
    assert err.splitlines()[1] == (
        "its multipart upload began shortly before T, so it may not have been visible at T; see --settled"
    )
    _, _, err = run("restore", uploaded, "--at", T, "--dry-run")
    assert (
        "  warning: 1 key may not have been visible at T: its multipart upload began shortly before "
        "(see --settled): m/w.bin\n"
    ) in err


def test_a_restore_to_what_was_settled_brings_the_version_before(run, story, uploaded):
    assert run("restore", uploaded, "--at", T, "--yes", "--settled")[0] == 0
    assert story.contents() == {"m/w.bin": b"before"}


def test_a_tie_that_the_server_does_not_decide_is_marked(run, story):
    story.put(STORED, "m/k", b"x")
    story.delete(STORED, "m/k")
    story.put(STORED + 3600, "m/k", b"later")
    _, out, err = run("ls", f"s3://{story.bucket}", "--at", T)
    assert out.endswith(" = m/k\n")
    assert err.splitlines()[1] == (
        "= 1 key changed twice in the second of T, and the server does not say in which order"
    )


@pytest.fixture
def archived(story):
    """A model whose weights went into the archive, both files written over since."""
    with time_machine.travel(STORED, tick=False):
        story.server.boto().put_object(Bucket=story.bucket, Key="m/w.bin", Body=b"weights", StorageClass="GLACIER")
    story.put(STORED, "m/config.json", b"{}")
    for key in ("m/config.json", "m/w.bin"):
        story.put(STORED + 3600, key, b"bad")
    return f"s3://{story.bucket}/m"


def test_an_archived_version_is_shown_as_such_and_cannot_be_got(run, archived, tmp_path):
    _, out, _ = run("ls", archived, "--at", T)
    assert out.splitlines()[1].endswith("m/w.bin  [GLACIER]")
    _, out, _ = run("diff", archived, "--at", T)
    assert out.splitlines()[1].endswith("m/w.bin  (in GLACIER, restore needs --thaw)")
    code, _, err = run("get", f"{archived}/w.bin", "--at", T, "-o", tmp_path / "w")
    assert (code, err) == (
        4,
        f"error: {archived}/w.bin lies in GLACIER and cannot be read yet; "
        "have S3 make it readable with restore --thaw\n",
    )
    assert list(tmp_path.glob("w*")) == []


def test_a_restore_never_starts_what_cannot_be_whole(run, story, archived):
    before = story.everything()
    code, _, err = run("restore", archived, "--at", T, "--yes")
    assert code == 4
    assert "  thaw              1 key  7 B in an archive class, to be made readable first\n" in err
    assert err.splitlines()[-1].startswith(
        "error: 1 version in an archive class cannot be copied yet; have S3 restore "
    )
    assert story.everything() == before


def test_thaw_asks_for_the_archived_versions_alone_and_says_how_long_it_takes(run, story):
    """Into another bucket, since moto thaws only what is current."""
    with time_machine.travel(STORED, tick=False):
        story.server.boto().put_object(Bucket=story.bucket, Key="m/w.bin", Body=b"weights", StorageClass="GLACIER")
    story.put(STORED, "m/config.json", b"{}")
    other = new_bucket(story.server)
    arguments = ("restore", f"s3://{story.bucket}/m", "--at", T, "--yes", "--to", f"s3://{other}")
    code, out, err = run(*arguments, "--thaw", "--json")
    assert code == 3
    assert err.splitlines()[-1] == (
        "asked S3 to make 1 version readable, which takes 3 to 5 hours from GLACIER, up to 12 hours from "
        "DEEP_ARCHIVE; nothing else was done: restore again after that"
    )
    record = json.loads(out)
    assert (record["thawing"], record["written"], record["pending"]) == (1, 0, 1)
    assert "Contents" not in story.server.boto().list_objects_v2(Bucket=other)


def test_what_cannot_be_thawed_is_listed(run, story, archived):
    """As moto refuses what is not current."""
    before = story.everything()
    code, _, err = run("restore", archived, "--at", T, "--yes", "--thaw")
    assert code == 3
    error, failed = err.splitlines()[-2:]
    assert error == "error: 1 key cannot be made readable; nothing was restored"
    assert failed.startswith("  m/w.bin: RestoreObject ")
    assert story.everything() == before


def test_thaw_where_nothing_is_archived_stops_there(run, story, tmp_path):
    story.put(STORED, "m/config.json", b"{}")
    story.put(STORED + 3600, "m/config.json", b"bad")
    before = story.everything()
    nothing = "nothing to thaw: no version that is wanted lies in an archive class; leave --thaw out to restore"
    code, out, err = run("restore", f"s3://{story.bucket}/m", "--at", T, "--yes", "--thaw", "--json")
    assert (code, err.splitlines()[-1], json.loads(out)["thawing"]) == (0, nothing, 0)
    plan = tmp_path / "x.plan"
    assert run("plan", f"s3://{story.bucket}/m", "--at", T, "--out", plan)[0] == 0
    code, _, err = run("apply", plan, "--thaw")
    assert (code, err.splitlines()[-1]) == (0, nothing)
    assert story.everything() == before


def test_diff_marks_a_key_that_stays_though_it_may_not_have_been_there(run, story):
    with time_machine.travel(STORED, tick=False):
        boto, place = story.server.boto(), {"Bucket": story.bucket, "Key": "m/w.bin"}
        upload = boto.create_multipart_upload(**place)["UploadId"]
        part = boto.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"large")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        boto.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)
    address = f"s3://{story.bucket}/m"
    code, out, err = run("diff", address, "--at", T, "--exit-code")
    assert (code, out) == (0, "=       5 B →       5 B  m/w.bin  (as it is, unsettled)\n")
    assert err.splitlines() == [
        f"no difference: a restore of {address} to {T} would change nothing (1 key as it was)",
        "  it may not have been visible at T (see --settled)",
    ]
    (record,) = map(json.loads, run("diff", address, "--at", T, "--json")[1].splitlines())
    assert (record["action"], record["flags"]) == ("keep", ["unsettled"])

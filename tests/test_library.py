"""The public library: what users write against it."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

import artifact_store
from artifact_store.errors import Refused, UsageError
from artifact_store.history.scope import parse_scope
from artifact_store.library import Bucket
from artifact_store.restore.plan import Action, PlanOptions
from artifact_store.s3 import operations as op
from tests.restore.memory import NOW, BucketModel, MemoryS3

T = "2023-11-14T22:13:20Z"


@pytest.fixture
def s3() -> MemoryS3:
    """A model as it was at T, damaged ten seconds later."""
    s3 = MemoryS3()
    assert NOW == 1_700_000_000
    s3.put("m/config.json", b"{}")
    s3.put("m/weights", bytes(range(256)) * 10)
    s3.put("other", b"other")
    s3.clock += 10
    s3.put("m/weights", b"evil")
    s3.put("m/stray", b"stray")
    s3.delete("m/config.json")
    return s3


@pytest.fixture
def bucket(s3: MemoryS3) -> Bucket:
    return Bucket(s3, parse_scope("s3://bkt/m"))


def test_every_public_name_is_shown_by_dir_and_can_be_had() -> None:
    assert set(artifact_store.__all__) <= set(dir(artifact_store))
    assert all(getattr(artifact_store, name) for name in artifact_store.__all__)


def test_a_view_holds_the_keys_of_its_instant_and_prefix_alone(bucket: Bucket) -> None:
    then = bucket.at(T)
    assert list(then) == ["m/config.json", "m/weights"]
    assert len(then) == 2
    assert "m/weights" in then
    assert "m/stray" not in then
    assert "other" not in then
    assert {key: entry.size for key, entry in then.items()} == {"m/config.json": 2, "m/weights": 2560}
    assert [entry.key for entry in then.values()] == list(then)
    with pytest.raises(KeyError):
        then["m/stray"]


@pytest.mark.parametrize("instant", [T, "2023-11-14T23:13:20+01:00", "@1700000000", "10s", NOW, float(NOW)])
def test_an_instant_is_given_in_any_form_and_an_age_by_the_servers_clock(bucket: Bucket, instant: str | float) -> None:
    assert bucket.at(instant).instant == NOW


@pytest.mark.parametrize(
    ("instant", "message"),
    [
        (
            NOW + 11,
            "time 1700000011 is 2023-11-14T22:13:31Z, in the future: the server's clock says 2023-11-14T22:13:30Z",
        ),
        ("@1700000011", "in the future: the server's clock says 2023-11-14T22:13:30Z"),
        (float("nan"), "time nan is no number of seconds since the epoch"),
        (float("inf"), "time inf is no number of seconds since the epoch"),
        (1e300, "time 1e\\+300 is in the future: the server's clock says"),
        (-1.0, "time -1.0 lies before 1970"),
    ],
)
def test_an_instant_that_has_not_been_is_refused(bucket: Bucket, instant: str | float, message: str) -> None:
    for use in (bucket.at, bucket.plan):
        with pytest.raises(UsageError, match=message):
            use(instant)


def test_a_bucket_that_never_kept_versions_is_refused(bucket: Bucket, s3: MemoryS3) -> None:
    """Every view of its past would be wrong, and none would look so."""
    s3.buckets["bkt"].status = ""
    for use in (bucket.at, bucket.plan):
        with pytest.raises(Refused, match="bucket bkt never had versioning enabled"):
            use(T)
    s3.buckets["bkt"].status = "Suspended"
    assert len(bucket.at(T)) == 2


def test_a_bucket_closes_what_it_opened_once_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    with Bucket(MemoryS3(), parse_scope("s3://bkt/m"), lambda: closed.append(True)) as opened:
        assert (opened.scope.bucket, closed) == ("bkt", [])
    assert closed == [True]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    client = artifact_store.open_bucket("s3://bkt", region="eu-west-1", endpoint_url="http://127.0.0.1:1")
    assert client.on_close == client.s3.close
    client.close()


def test_a_view_tells_each_keys_flags_and_what_is_there_now(bucket: Bucket, s3: MemoryS3) -> None:
    s3.clock = NOW + 20
    s3.put_parts("m/big", [b"x" * 5, b"y"])
    then = bucket.at("@1700000020")
    assert then.state("m/big").flags == {artifact_store.Flag.UNSETTLED, artifact_store.Flag.EDGE}
    gone = then.state("m/config.json")
    assert (gone.then, gone.now) == (None, None)
    assert [state.key for state in then.states()] == ["m/big", "m/config.json", "m/stray", "m/weights"]
    with pytest.raises(KeyError):
        then.state("m/never")
    with pytest.raises(KeyError):
        then.state("other")


def test_a_view_tells_what_a_version_carried(bucket: Bucket, s3: MemoryS3) -> None:
    s3.put("m/card", b"#", headers={"content-type": "text/markdown"}, metadata={"run": "17"})
    s3.clock += 5
    s3.put("m/card", b"!", headers={"content-type": "text/plain"}, metadata={"run": "18"})
    carried = bucket.at("@1700000010").metadata("m/card")
    assert (carried.content_type, carried.user) == ("text/markdown", {"run": "17"})
    assert carried.headers == {"content-type": "text/markdown"}
    with pytest.raises(KeyError):
        bucket.at(T).metadata("m/stray")


def test_an_address_mistyped_is_no_folder(bucket: Bucket) -> None:
    for wrong in ("S3://other/x", "s3:/other", "gs://other"):
        with pytest.raises(UsageError, match="s3://"):
            bucket.plan(T, to=wrong)


def test_a_time_without_a_zone_is_refused(bucket: Bucket) -> None:
    with pytest.raises(UsageError, match="has no zone"):
        bucket.at("2023-11-14T22:13:20")


def test_items_of_a_view_come_from_one_listing(bucket: Bucket, s3: MemoryS3) -> None:
    then = bucket.at(NOW)
    s3.sent.clear()
    assert len(list(then.items())) == 2
    listed = len(s3.sent)
    s3.sent.clear()
    list(then)
    assert listed == len(s3.sent)


def test_a_file_is_read_as_it_was_in_pieces_or_whole(bucket: Bucket) -> None:
    data = bytes(range(256)) * 10
    with bucket.at(T).open("m/weights") as file:
        assert file.read(8) == data[:8]
        assert file.seek(-5, io.SEEK_END) == 2555
        assert file.read() == data[-5:]
        assert file.read() == b""
        assert file.seek(256) == 256
        assert file.tell() == 256
        assert file.read(3) == data[256:259]
        file.seek(0)
        assert file.read() == data
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
        with pytest.raises(ValueError, match="negative position -1"):
            file.raw.seek(-1)


def test_reading_a_header_asks_for_one_range_and_not_the_whole(
    bucket: Bucket, s3: MemoryS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artifact_store.library.BUFFER", 100)
    with bucket.at(T).open("m/weights") as file:
        s3.sent.clear()
        file.read(8)
    weights = bucket.at(T)["m/weights"]
    assert s3.sent[0] == op.GetObject("bkt", "m/weights", weights.version_id, 0, 99, weights.etag)
    assert sum(isinstance(operation, op.GetObject) for operation in s3.sent) == 1


def test_an_empty_file_is_read_without_a_request(bucket: Bucket, s3: MemoryS3) -> None:
    s3.put("m/empty", b"")
    with bucket.at("@1700000010").open("m/empty") as file:
        s3.sent.clear()
        assert file.read() == b""
    assert s3.sent == []


def test_a_file_that_did_not_exist_or_is_archived_cannot_be_opened(bucket: Bucket, s3: MemoryS3) -> None:
    with pytest.raises(KeyError):
        bucket.at(T).open("m/stray")
    s3.put("m/cold", b"x", storage_class="GLACIER")
    with pytest.raises(Refused, match="m/cold lies in GLACIER"):
        bucket.at("@1700000010").open("m/cold")


def test_a_plan_is_read_applied_and_verified(bucket: Bucket, s3: MemoryS3) -> None:
    plan = bucket.plan(T)
    assert [(step.action, step.key) for step in plan] == [
        (Action.COPY, "m/config.json"),
        (Action.DELETE, "m/stray"),
        (Action.COPY, "m/weights"),
    ]
    assert plan.summary.changes == 3
    report = plan.apply()
    report.raise_for_failures()
    assert report.written == 3
    assert plan.apply().already == 3
    plan.verify(deep=True).raise_for_differences()
    assert set(s3.contents()) == {"m/config.json", "m/weights", "other"}


def test_a_plan_is_kept_in_a_file_and_opened_again(bucket: Bucket, tmp_path: Path) -> None:
    made = bucket.plan(T, path=tmp_path / "plan", options=PlanOptions(keep_new=True))
    assert bucket.open_plan(tmp_path / "plan").plan == made.plan
    other = Bucket(bucket.s3, parse_scope("s3://elsewhere"))
    with pytest.raises(Refused, match="is about bucket bkt, not elsewhere"):
        other.open_plan(tmp_path / "plan")


def test_a_restore_goes_to_a_folder_or_another_bucket(bucket: Bucket, s3: MemoryS3, tmp_path: Path) -> None:
    assert bucket.plan(T, to=tmp_path / "out").apply().complete
    assert (tmp_path / "out" / "config.json").read_bytes() == b"{}"
    s3.buckets["other"] = BucketModel()
    assert bucket.plan(T, to="s3://other/back").apply().complete
    assert set(s3.contents("other")) == {"back/config.json", "back/weights"}


def test_importing_the_package_imports_nothing_that_is_slow() -> None:
    script = (
        "import sys, artifact_store; "
        "print(*[m for m in ('boto3', 'botocore', 'awscrt', 'pulumi', 'artifact_store.library') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_public_names_are_there_and_others_are_not() -> None:
    assert artifact_store.Bucket is Bucket
    assert {name for name in artifact_store.__all__ if getattr(artifact_store, name)} == set(artifact_store.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        assert artifact_store.nothing

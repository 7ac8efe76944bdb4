"""Plans are refused where they could do harm, and ask only what the listing leaves open."""

from pathlib import Path

import pytest

from artifact_store.errors import Refused, S3Error
from artifact_store.history.state import Flag
from artifact_store.restore.apply import apply
from artifact_store.restore.destination import ToFolder
from artifact_store.restore.plan import Action, Reason
from artifact_store.restore.settling import spread
from artifact_store.s3 import operations as op
from tests.restore.memory import NOW, MemoryS3, s3_error
from tests.restore.support import later, plan, restore


def reasons(s3: MemoryS3, folder: Path, **options: object) -> dict[str, tuple[Action, Reason]]:
    return {step.key: (step.action, step.reason) for step in plan(s3, folder, **options).steps()}


def changed(one: bytes = b"old", two: bytes = b"new") -> MemoryS3:
    s3 = MemoryS3()
    s3.put("k", one)
    later(s3)
    s3.put("k", two)
    return s3


def test_a_bucket_that_never_had_versions_has_nothing_to_restore(tmp_path: Path) -> None:
    s3 = changed()
    s3.buckets["bkt"].status = ""
    with pytest.raises(Refused, match="bucket bkt never had versioning enabled"):
        plan(s3, tmp_path)


def test_a_suspended_bucket_is_read_but_not_written(tmp_path: Path) -> None:
    s3 = changed()
    s3.buckets["bkt"].status = "Suspended"
    with pytest.raises(Refused, match="versioning of bucket bkt is suspended, so a write would destroy"):
        plan(s3, tmp_path)
    restore(s3, tmp_path, to=ToFolder(tmp_path / "out"))
    assert (tmp_path / "out" / "k").read_bytes() == b"old"


def test_the_servers_clock_says_what_is_in_the_future(tmp_path: Path) -> None:
    s3 = changed()
    assert plan(s3, tmp_path, second=10).summary.changes == 0
    with pytest.raises(
        Refused, match=r"2023-11-14T22:13:31Z is in the future: the server's clock says 2023-11-14T22:13:30Z"
    ):
        plan(s3, tmp_path, second=11)


def test_where_nothing_existed_the_refusal_says_what_would_be_hidden(tmp_path: Path) -> None:
    s3 = changed()
    with pytest.raises(Refused, match=r"nothing existed at 2023-11-14T22:13:19Z in s3://bkt/k, and .* \(1 key\)"):
        plan(s3, tmp_path, address="s3://bkt/k", second=-1)
    with pytest.raises(Refused, match=r"nothing existed at .* in s3://bkt/typo; check the time and the prefix"):
        plan(s3, tmp_path, address="s3://bkt/typo")
    with pytest.raises(
        Refused, match=r"in s3://bkt/ that --include 'zzz\*' --exclude 'k' lets through; check the time, "
    ):
        plan(s3, tmp_path, include=("zzz*",), exclude=("k",))
    assert list(tmp_path.iterdir()) == []
    assert plan(s3, tmp_path, second=-1, allow_empty=True).summary.counts[Action.DELETE] == 1


def test_a_prefix_is_a_path_and_not_the_beginning_of_a_name(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for key in ("m-1", "m-1/a", "m-10/a", "m-1x"):
        s3.put(key, b"x")
    assert sorted(reasons(s3, tmp_path, address="s3://bkt/m-1")) == ["m-1", "m-1/a"]
    assert sorted(reasons(s3, tmp_path, address="s3://bkt/m-1*")) == ["m-1", "m-1/a", "m-10/a", "m-1x"]


def test_globs_are_relative_to_the_prefix_and_what_they_leave_out_is_not_touched(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for key in ("m/a.bin", "m/b.txt"):
        s3.put(key, b"old")
    later(s3)
    for key in ("m/a.bin", "m/b.txt", "m/new.txt"):
        s3.put(key, b"new")
    restore(s3, tmp_path, address="s3://bkt/m", include=("*.bin",))
    assert s3.contents() == {"m/a.bin": b"old", "m/b.txt": b"new", "m/new.txt": b"new"}


def heads(s3: MemoryS3) -> int:
    return sum(isinstance(operation, op.HeadObject) for operation in s3.sent)


def test_equal_sizes_with_md5_etags_need_no_request_beyond_a_sample(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for number in range(50):
        s3.put(f"k{number}", b"old")
    later(s3)
    for number in range(50):
        s3.put(f"k{number}", b"new")
    assert plan(s3, tmp_path).summary.counts[Action.COPY] == 50
    assert heads(s3) == 2 * 3


def test_the_same_bytes_uploaded_in_other_parts_are_recognised_by_their_checksum(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("k", b"weights")
    later(s3)
    s3.put_parts("k", [b"wei", b"ghts"])
    s3.buckets["bkt"].keys["k"][0].checksums = dict(s3.buckets["bkt"].keys["k"][1].checksums)
    assert reasons(s3, tmp_path) == {"k": (Action.KEEP, Reason.SAME_CHECKSUM)}
    assert heads(s3) == 2


def test_without_checksums_what_other_etags_may_hide_is_copied_and_never_read(tmp_path: Path) -> None:
    s3 = MemoryS3(checksums=False)
    s3.put("k", b"weights")
    later(s3)
    s3.put_parts("k", [b"wei", b"ghts"])
    assert reasons(s3, tmp_path) == {"k": (Action.COPY, Reason.CHANGED)}
    assert {type(operation) for operation in s3.sent} == {op.GetBucketVersioning, op.ListVersions, op.HeadObject}


def test_objects_that_kms_encrypts_are_found_among_others_and_compared_by_checksum(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for number in range(40):
        s3.put(f"a{number:02}", b"old")
    s3.put("z", b"same")
    later(s3)
    for number in range(40):
        s3.put(f"a{number:02}", b"new")
    s3.buckets["bkt"].kms = True
    s3.put("z", b"same")
    assert reasons(s3, tmp_path)["z"] == (Action.KEEP, Reason.SAME_CHECKSUM)


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(0, 4, []), (3, 4, [0, 1, 2]), (4, 4, [0, 1, 2, 3]), (10, 4, [0, 3, 6, 9])]
)
def test_a_sample_reaches_from_the_first_to_the_last(count: int, most: int, expected: list[int]) -> None:
    assert spread(range(count), most) == expected


def test_a_multipart_object_overwritten_by_other_bytes_of_the_same_size_is_restored(tmp_path: Path) -> None:
    s3 = MemoryS3(checksums=False)
    s3.put_parts("k", [b"good", b"model"])
    later(s3)
    s3.put_parts("k", [b"evil", b"model"])
    assert reasons(s3, tmp_path) == {"k": (Action.COPY, Reason.CHANGED)}
    restore(s3, tmp_path)
    assert s3.contents() == {"k": b"goodmodel"}


def test_what_cannot_be_compared_is_copied(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put_parts("k", [b"a", b"b"])
    later(s3)
    s3.put_parts("k", [b"c", b"d"])

    def deny(operation: op.Operation) -> None:
        if isinstance(operation, op.HeadObject):
            raise s3_error(403, "AccessDenied")

    s3.before = deny
    assert reasons(s3, tmp_path) == {"k": (Action.COPY, Reason.CHANGED)}


def test_an_archived_version_is_compared_by_checksum_but_never_read(tmp_path: Path) -> None:
    s3 = MemoryS3(checksums=False)
    s3.put_parts("k", [b"a", b"b"], storage_class="GLACIER")
    later(s3)
    s3.put("k", b"ab")
    assert reasons(s3, tmp_path) == {"k": (Action.THAW, Reason.ARCHIVED)}
    assert not any(isinstance(operation, op.GetObject) for operation in s3.sent)


def test_an_upload_that_began_before_t_and_may_have_ended_after_it_is_flagged_and_can_be_left_out(
    tmp_path: Path,
) -> None:
    s3 = MemoryS3()
    s3.put("k", b"former")
    later(s3, 100)
    s3.put_parts("k", [b"up", b"load"], began=NOW + 50)
    flagged = plan(s3, tmp_path, second=60).summary
    assert (flagged.flagged, flagged.samples) == ({Flag.UNSETTLED: 1}, {Flag.UNSETTLED: ["k"]})
    assert flagged.changes == 0
    restore(s3, tmp_path, second=60, settled=True)
    assert s3.contents() == {"k": b"former"}


def test_a_server_that_does_not_interleave_gives_ties_that_the_summary_names(tmp_path: Path) -> None:
    s3 = MemoryS3(interleaved=False)
    for key in ("k", "z"):
        s3.put(key, b"old")
        s3.delete(key)
    later(s3)
    for key in ("k", "z"):
        s3.put(key, b"new")
    assert plan(s3, tmp_path).summary.samples[Flag.TIE] == ["k", "z"]


def test_an_error_while_listing_leaves_no_plan(tmp_path: Path) -> None:
    s3 = changed()

    def deny(operation: op.Operation) -> None:
        if isinstance(operation, op.ListVersions):
            raise s3_error(403, "AccessDenied", "no right to list")

    s3.before = deny
    with pytest.raises(S3Error, match="no right to list"):
        plan(s3, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_planning_changes_nothing(tmp_path: Path) -> None:
    s3 = changed()
    before = s3.entries()
    plan(s3, tmp_path)
    assert s3.entries() == before
    assert {type(operation) for operation in s3.sent} == {op.GetBucketVersioning, op.ListVersions, op.HeadObject}


def test_a_plan_applied_to_an_odd_null_version_brings_it_back(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.buckets["bkt"].status = ""
    s3.put("k", b"before versioning")
    s3.buckets["bkt"].status = "Enabled"
    later(s3)
    s3.put("k", b"after")
    made = plan(s3, tmp_path)
    assert [step.version_id for step in made.steps()] == ["null"]
    assert apply(s3, made).written == 1
    assert s3.contents() == {"k": b"before versioning"}
    assert len(s3.entries()) == 3

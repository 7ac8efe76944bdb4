"""What a restore writes, and what it says when it cannot."""

from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest

from artifact_store.errors import KeysFailed, Refused, S3Error
from artifact_store.restore.apply import ApplyOptions, Progress, apply
from artifact_store.restore.copying import MOST_PARTS, are_even, part_ranges, upload_checksum, writable_class
from artifact_store.restore.journal import Journal
from artifact_store.restore.plan import Action
from artifact_store.restore.verify import verify
from artifact_store.s3 import operations as op
from tests.restore.memory import MemoryS3, crc, s3_error
from tests.restore.oracle import LostConnection
from tests.restore.support import SMALL, later, plan, restore

PROPERTIES = {
    "headers": {"content-type": "application/x-model", "cache-control": "no-store"},
    "metadata": {"step": "1000"},
    "tags": {"team": "vision"},
    "storage_class": "STANDARD_IA",
}


def sent(s3: MemoryS3, kind: type[op.Operation]) -> int:
    return sum(isinstance(operation, kind) for operation in s3.sent)


@pytest.mark.parametrize("size", [10, 70])
def test_a_copy_keeps_headers_metadata_tags_and_class_in_one_request_and_in_parts(tmp_path: Path, size: int) -> None:
    s3 = MemoryS3()
    s3.put("k", b"a" * size, **PROPERTIES)
    later(s3)
    s3.put("k", b"b" * size)
    restore(s3, tmp_path)
    now = s3.buckets["bkt"].keys["k"][0]
    assert now.data == b"a" * size
    assert {name: getattr(now, name) for name in ("headers", "metadata", "tags")} == {
        name: PROPERTIES[name] for name in ("headers", "metadata", "tags")
    }
    assert now.entry.storage_class == "STANDARD_IA"
    assert sent(s3, op.CompleteMultipartUpload) == (size > SMALL.limits.single_copy)
    assert s3.uploads == {}


@pytest.mark.parametrize("sizes", [[7, 7, 2], [7, 7, 7], [7], [9, 3, 9], [5, 8, 6, 1], [30, 30, 30]])
@pytest.mark.parametrize("checksums", [True, False])
def test_a_multipart_object_without_a_whole_checksum_is_copied_in_its_own_parts_so_that_its_etag_stays(
    tmp_path: Path, sizes: list[int], checksums: bool
) -> None:
    s3 = MemoryS3(checksums=checksums)
    s3.put_parts("k", [bytes([65 + i]) * size for i, size in enumerate(sizes)])
    source = s3.buckets["bkt"].keys["k"][0]
    later(s3)
    s3.put("k", b"other")
    apply(s3, plan(s3, tmp_path), options=SMALL)
    now = s3.buckets["bkt"].keys["k"][0]
    assert (now.entry.etag, now.part_sizes, now.checksums) == (source.entry.etag, sizes, source.checksums)
    assert plan(s3, tmp_path, second=0).summary.counts[Action.KEEP] == 1


def test_a_multipart_object_with_a_whole_checksum_keeps_its_etag_too(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put_parts("k", [b"aaa", b"bbb"])
    stored = s3.buckets["bkt"].keys["k"][0]
    stored.checksums = {"CRC32": crc(b"aaabbb")}
    later(s3)
    s3.put("k", b"other")
    apply(s3, plan(s3, tmp_path))
    assert sent(s3, op.UploadPartCopy) == 2
    copy = s3.buckets["bkt"].keys["k"][0]
    assert (copy.entry.etag, copy.checksums) == (stored.entry.etag, stored.checksums)
    assert plan(s3, tmp_path).summary.changes == 0


def test_where_copied_parts_have_other_etags_one_request_copies_and_only_the_first_object_tries(
    tmp_path: Path,
) -> None:
    s3 = MemoryS3(checksums=False, part_etags=False)
    for number in range(20):
        s3.put_parts(f"k{number:02}", [b"a" * 7, b"b"])
    later(s3)
    for number in range(20):
        s3.put(f"k{number:02}", b"other")
    report = apply(s3, plan(s3, tmp_path))
    assert (report.written, report.uploads_left, s3.uploads) == (20, 0, {})
    assert sent(s3, op.CreateMultipartUpload) == 1
    assert sent(s3, op.CompleteMultipartUpload) == 0
    assert set(s3.contents().values()) == {b"aaaaaaab"}


def test_an_object_in_parts_is_no_probe_since_a_probe_may_write_it(tmp_path: Path) -> None:
    s3 = MemoryS3(honours=False, checksums=False)
    s3.put_parts("a", [b"a" * 7, b"b"])
    s3.put("b", b"single")
    later(s3)
    for key in "ab":
        s3.put(key, b"other")
    assert apply(s3, plan(s3, tmp_path)).written == 2
    assert [ask.key for ask in s3.sent if isinstance(ask, op.CopyObject)] == ["b"]
    assert s3.buckets["bkt"].keys["a"][0].part_sizes == [7, 1]


@pytest.mark.parametrize("with_journal", [True, False])
def test_what_neither_etag_nor_checksum_proves_the_journal_proves_and_else_it_is_unproved_and_not_wrong(
    tmp_path: Path, with_journal: bool
) -> None:
    s3 = MemoryS3(checksums=False)
    s3.buckets["bkt"].kms = True
    s3.put_parts("k", [b"a" * 7, b"b"])
    later(s3)
    s3.put("k", b"other")
    made = plan(s3, tmp_path)
    journal = Journal.beside(made.path) if with_journal else None
    assert apply(s3, made, journal=journal).complete
    found = verify(s3, made)
    assert (found.wrong, [key for key, _ in found.unproved]) == ((), [] if with_journal else ["k"])
    assert not any(isinstance(operation, op.GetObject) for operation in s3.sent)
    deep = verify(s3, made, deep=True)
    assert (deep.wrong, deep.unproved) == ((), ())
    assert apply(s3, made).already == 1, "its own write, though it can only be told by reading"
    s3.put_parts("k", [b"a" * 7, b"c"])
    found = verify(s3, made)
    assert (found.wrong, [key for key, _ in found.unproved]) == ((), ["k"])
    assert verify(s3, made, deep=True).wrong == (("k", "has other content of the same size"),)


def test_the_journal_of_another_plan_proves_nothing(tmp_path: Path) -> None:
    s3 = MemoryS3(checksums=False)
    s3.buckets["bkt"].kms = True
    s3.put_parts("k", [b"a" * 7, b"b"])
    later(s3)
    s3.put("k", b"other")
    made = plan(s3, tmp_path)
    journal = Journal.beside(made.path)
    apply(s3, made, journal=journal)
    journal.write_bytes(journal.read_bytes().replace(made.header.digest.encode(), b"0" * 64))
    assert [key for key, _ in verify(s3, made).unproved] == ["k"]


def test_no_request_asks_what_the_listing_has_answered(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for number in range(40):
        s3.put(f"k{number}", b"old")
    later(s3)
    for number in range(40):
        s3.put(f"k{number}", b"newer")
        s3.put(f"n{number}", b"new")
    made = plan(s3, tmp_path)
    s3.sent.clear()
    assert apply(s3, made).written == 80
    kinds = [type(operation).__name__ for operation in s3.sent]
    # One look and one refused probe for copies, and the same for deletes.
    assert (kinds.count("CopyObject"), kinds.count("DeleteObjects"), kinds.count("HeadObject")) == (41, 2, 2)


def test_a_plan_tells_how_many_requests_it_takes(tmp_path: Path) -> None:
    s3 = MemoryS3(checksums=False)
    keys = [f"k{number:03}" for number in range(30)]
    for key in keys[:20]:
        s3.put(key, b"old")
    for key in keys[20:]:
        s3.put_parts(key, [b"a" * 7, b"a" * 7, b"b"])
    for number in range(1500):
        s3.put(f"u{number:04}", b"old")
    later(s3)
    for key in keys:
        s3.put(key, b"newer")
    for number in range(1500):
        s3.delete(f"u{number:04}")
        s3.put(f"n{number:04}", b"new")
    made = plan(s3, tmp_path, undelete=True)
    s3.sent.clear()
    assert apply(s3, made).complete
    sent_for_keys = [ask for ask in s3.sent if not isinstance(ask, op.GetBucketVersioning)]
    assert len(sent_for_keys) == made.summary.requests


def test_deletes_go_a_thousand_to_a_request(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("old", b"x")
    later(s3)
    for number in range(2002):
        s3.put(f"n{number:04}", b"new")
    made = plan(s3, tmp_path)
    s3.sent.clear()
    assert apply(s3, made).complete
    # The refused probe, then all.
    assert sorted(len(ask.keys) for ask in s3.sent if isinstance(ask, op.DeleteObjects)) == [1, 2, 1000, 1000]


def test_a_key_that_xml_cannot_hold_is_deleted_alone_and_the_others_together(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("old", b"x")
    later(s3)
    keys = ["a\x1b", "b\x00", "c", "d", "e\uffff"]
    for key in keys:
        s3.put(key, b"new")
    made = plan(s3, tmp_path)
    s3.sent.clear()
    assert apply(s3, made).written == 5
    assert s3.contents() == {"old": b"x"}
    bulk = [[line.key for line in ask.keys] for ask in s3.sent if isinstance(ask, op.DeleteObjects)]
    assert bulk == [["c"], ["c", "d"]]
    alone = [(ask.key, ask.if_match) for ask in s3.sent if isinstance(ask, op.DeleteObject)]
    etag = s3.buckets["bkt"].keys["c"][1].entry.etag
    assert alone == [("a\x1b", etag), ("b\x00", etag), ("e\uffff", etag)]


def test_a_key_that_xml_cannot_hold_and_someone_changed_is_a_conflict(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("old", b"x")
    later(s3)
    s3.put("a\x1b", b"new")
    s3.put("b", b"new")
    made = plan(s3, tmp_path)
    s3.put("a\x1b", b"by someone")
    report = apply(s3, made)
    assert ([key for key, _ in report.conflicts], report.failed, report.written) == (["a\x1b"], (), 1)
    assert s3.contents() == {"old": b"x", "a\x1b": b"by someone"}


def test_a_bulk_delete_refused_whole_is_cut_until_only_the_key_that_is_refused_fails(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("old", b"x")
    later(s3)
    for number in range(100):
        s3.put(f"n{number:02}", b"new")
    s3.refused = lambda key: key == "n42"
    made = plan(s3, tmp_path)
    report = apply(s3, made)
    assert (report.written, report.failed) == (100, ())
    assert s3.contents() == {"old": b"x"}
    assert [ask.key for ask in s3.sent if isinstance(ask, op.DeleteObject)] == ["n42"]


@pytest.mark.parametrize("copies", [1, 2, 9])
@pytest.mark.parametrize("parts", [False, True])
def test_where_every_copy_is_denied_nothing_is_deleted(tmp_path: Path, copies: int, parts: bool) -> None:
    s3 = MemoryS3(checksums=False)
    for number in range(copies):
        s3.put_parts(f"k{number}", [b"o", b"ld"]) if parts else s3.put(f"k{number}", b"old")
    later(s3)
    for number in range(copies):
        s3.put(f"k{number}", b"newer")
    s3.put("n", b"new")
    made = plan(s3, tmp_path)

    def deny(operation: op.Operation) -> None:
        if isinstance(operation, op.CopyObject | op.CreateMultipartUpload):
            raise s3_error(403, "AccessDenied", "no right to write")

    s3.before = deny
    entries = s3.entries()
    s3.sent.clear()
    with pytest.raises(S3Error, match="no right to write"):
        apply(s3, made)
    assert s3.entries() == entries
    assert parts or sent(s3, op.CopyObject) == min(copies, 3)
    assert sent(s3, op.DeleteObjects) == 0


def test_copies_come_before_deletes(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("z", b"old")
    later(s3)
    s3.put("z", b"new")
    s3.put("a", b"stray")
    made = plan(s3, tmp_path)
    s3.sent.clear()
    apply(s3, made)
    kinds = [type(operation).__name__ for operation in s3.sent]
    last_copy = max(i for i, kind in enumerate(kinds) if kind == "CopyObject")
    assert last_copy < kinds.index("DeleteObjects")


def test_a_key_that_fails_is_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for key in "abc":
        s3.put(key, b"old")
    later(s3)
    for key in "abcn":
        s3.put(key, b"new")
    made = plan(s3, tmp_path)

    def deny(operation: op.Operation) -> None:
        if isinstance(operation, op.CopyObject) and operation.key == "b":
            raise s3_error(403, "AccessDenied", "Access Denied")

    s3.before = deny
    report = apply(s3, made)
    assert report.failed == (("b", "Access Denied"),)
    assert (report.written, report.conflicts, report.pending) == (3, (), 0)
    assert s3.contents() == {"a": b"old", "b": b"new", "c": b"old"}
    with pytest.raises(
        KeysFailed, match=r"1 key failed \(apply again to finish\) and 0 were changed .* \(plan again .*; 3 are done"
    ) as told:
        report.raise_for_failures()
    assert told.value.failures == (("b", "Access Denied"),)
    assert told.value.exit_code == 3


def test_a_line_of_a_bulk_delete_that_fails_is_tried_again_and_then_listed(tmp_path: Path) -> None:
    class Flaky(MemoryS3):
        def _delete_line(self, bucket, line):
            if line.key == "n1" and line.etag != "0" * 32:
                return op.DeletedKey(line.key, error_code="InternalError", error_message="try later")
            return super()._delete_line(bucket, line)

    s3 = Flaky()
    s3.put("old", b"x")
    later(s3)
    for key in ("n0", "n1", "n2"):
        s3.put(key, b"new")
    made = plan(s3, tmp_path)
    report = apply(s3, made)
    assert report.failed == (("n1", "InternalError: try later"),)
    assert s3.contents() == {"old": b"x", "n1": b"new"}
    assert [[line.key for line in ask.keys] for ask in s3.sent if isinstance(ask, op.DeleteObjects)][-3:] == [
        ["n0", "n1", "n2"],
        ["n1"],
        ["n1"],
    ]


@pytest.mark.parametrize("honours", [True, False])
def test_conflicts_name_the_version_that_was_found(tmp_path: Path, honours: bool) -> None:
    s3 = MemoryS3(honours=honours)
    s3.put("k", b"old")
    later(s3)
    s3.put("k", b"new")
    s3.put("n", b"new")
    made = plan(s3, tmp_path)
    theirs = s3.put("k", b"by someone")
    s3.put("n", b"by someone")
    report = apply(s3, made)
    assert [key for key, _ in report.conflicts] == ["k", "n"]
    assert f"(now 10 bytes, version {theirs}); left as it is" in report.conflicts[0][1]
    assert s3.contents() == {"k": b"by someone", "n": b"by someone"}
    with pytest.raises(KeysFailed):
        report.raise_for_failures()


def test_a_failed_upload_is_aborted_and_the_object_left_as_it_was(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("k", b"a" * 70)
    later(s3)
    s3.put("k", b"b")
    made = plan(s3, tmp_path)

    def fail(operation: op.Operation) -> None:
        if isinstance(operation, op.UploadPartCopy) and operation.part_number == 3:
            raise s3_error(500, "InternalError")

    s3.before = fail
    report = apply(s3, made, options=SMALL)
    assert [key for key, _ in report.failed] == ["k"]
    assert s3.uploads == {}
    assert s3.contents() == {"k": b"b"}


def test_an_interrupted_upload_is_aborted(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("k", b"a" * 70)
    later(s3)
    s3.put("k", b"b")
    made = plan(s3, tmp_path)

    def interrupt(operation: op.Operation) -> None:
        if isinstance(operation, op.UploadPartCopy) and operation.part_number == 3:
            raise KeyboardInterrupt

    s3.before = interrupt
    report = apply(s3, made, options=SMALL)
    assert (report.interrupted, report.pending, report.written) == (True, 1, 0)
    assert s3.uploads == {}


def test_what_a_killed_run_left_of_an_upload_is_given_up_by_the_next(tmp_path: Path) -> None:
    class Killed(BaseException):
        """As SIGKILL: nothing is cleaned up."""

    s3 = MemoryS3()
    s3.put_parts("k", [b"a" * 30, b"a" * 30, b"a" * 10])
    later(s3)
    s3.put("k", b"b")
    made = plan(s3, tmp_path)
    journal = Journal.beside(made.path)

    def kill(operation: op.Operation) -> None:
        if isinstance(operation, op.AbortMultipartUpload):
            raise s3_error(0, "Unreachable")
        if isinstance(operation, op.UploadPartCopy):
            raise Killed

    s3.before = kill
    with pytest.raises(Killed):
        apply(s3, made, journal=journal, options=SMALL)
    (left,) = s3.uploads
    s3.before = lambda _: None
    s3.sent.clear()
    report = apply(s3, made, journal=journal, options=SMALL)
    assert (report.written, report.uploads_left, s3.uploads) == (1, 0, {})
    assert [ask.upload_id for ask in s3.sent if isinstance(ask, op.AbortMultipartUpload)] == [left]
    s3.sent.clear()
    apply(s3, made, journal=journal, options=SMALL)
    assert sent(s3, op.AbortMultipartUpload) == 0


def test_stop_ends_the_run_with_what_is_left_counted(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for number in range(30):
        s3.put(f"k{number}", b"old")
    later(s3)
    for number in range(30):
        s3.put(f"k{number}", b"new")
    made = plan(s3, tmp_path)
    stop = Event()

    def watch(progress: Progress) -> None:
        if progress.keys == 10:
            stop.set()

    report = apply(s3, made, journal=Journal.beside(made.path), on_progress=watch, stop=stop)
    assert report.interrupted
    assert (report.written, report.pending) == (10, 20)
    again = apply(s3, made, journal=Journal.beside(made.path))
    assert again.complete
    assert again.written + again.already == 30
    assert set(s3.contents().values()) == {b"old"}


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("a", b"old")
    later(s3)
    s3.put("a", b"newer")
    s3.put("n", b"new")
    told: list[Progress] = []
    apply(s3, plan(s3, tmp_path), on_progress=told.append)
    assert told[-1] == Progress(2, 2, 3, 3)
    assert [progress.keys for progress in told] == [1, 2]


def test_with_the_journal_a_second_run_sends_nothing_for_what_is_done(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("a", b"old")
    later(s3)
    s3.put("a", b"newer")
    made = plan(s3, tmp_path)
    journal = Journal.beside(made.path)
    apply(s3, made, journal=journal)
    s3.sent.clear()
    report = apply(s3, made, journal=journal)
    assert (report.written, report.already) == (0, 1)
    assert s3.sent == [op.GetBucketVersioning("bkt")]


def archived() -> MemoryS3:
    s3 = MemoryS3()
    s3.put("cold", b"weights", storage_class="DEEP_ARCHIVE")
    s3.put("warm", b"old")
    later(s3)
    s3.put("cold", b"other")
    s3.put("warm", b"new")
    return s3


def test_a_plan_with_archived_versions_writes_nothing_before_they_are_thawed(tmp_path: Path) -> None:
    s3 = archived()
    made = plan(s3, tmp_path)
    assert made.summary.counts[Action.THAW] == 1
    before = s3.entries()
    with pytest.raises(
        Refused, match=r"1 version in an archive class cannot be copied yet; .* up to 12 hours from DEEP_ARCHIVE"
    ):
        apply(s3, made)
    assert s3.entries() == before


def test_thaw_asks_for_the_versions_that_stood_at_t_and_then_the_restore_succeeds(tmp_path: Path) -> None:
    s3 = archived()
    report = apply(s3, plan(s3, tmp_path), options=ApplyOptions(thaw=True, thaw_tier="Bulk"))
    assert (report.thawing, report.written, report.pending) == (1, 0, 1)
    assert report.wait == "5 to 12 hours from GLACIER, up to 48 hours from DEEP_ARCHIVE"
    asked = [ask for ask in s3.sent if isinstance(ask, op.RestoreObject)]
    assert asked == [op.RestoreObject("bkt", "cold", "v1", 7, "Bulk")]
    with pytest.raises(Refused, match="1 version in an archive class"):
        apply(s3, plan(s3, tmp_path))
    s3.thaw()
    restore(s3, tmp_path)
    assert s3.contents() == {"cold": b"weights", "warm": b"old"}
    assert s3.buckets["bkt"].keys["cold"][0].entry.storage_class == "STANDARD"


def test_thawing_what_is_being_thawed_already_is_no_failure(tmp_path: Path) -> None:
    s3 = archived()
    made = plan(s3, tmp_path)
    for _ in range(2):
        report = apply(s3, made, options=ApplyOptions(thaw=True))
        assert (report.thawing, report.failed, report.written) == (1, (), 0)


def test_a_version_that_cannot_be_thawed_is_listed(tmp_path: Path) -> None:
    s3 = archived()
    made = plan(s3, tmp_path)

    def deny(operation: op.Operation) -> None:
        if isinstance(operation, op.RestoreObject):
            raise s3_error(409, "OperationAborted", "another one is under way")

    s3.before = deny
    report = apply(s3, made, options=ApplyOptions(thaw=True))
    assert (report.thawing, report.failed) == (0, (("cold", "another one is under way"),))


def test_a_bucket_whose_versioning_was_suspended_after_the_plan_is_not_written(tmp_path: Path) -> None:
    s3 = archived()
    made = plan(s3, tmp_path, exclude=("cold",))
    s3.buckets["bkt"].status = "Suspended"
    with pytest.raises(Refused, match="versioning of bucket bkt is Suspended now"):
        apply(s3, made)


def test_undelete_leaves_a_key_that_someone_deleted_again(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("k", b"old")
    later(s3)
    s3.delete("k")
    made = plan(s3, tmp_path, undelete=True)
    s3.delete("k")
    report = apply(s3, made)
    assert [key for key, _ in report.conflicts] == ["k"]
    assert s3.contents() == {}


def test_undelete_puts_the_markers_of_many_keys_into_one_request(tmp_path: Path) -> None:
    s3 = MemoryS3()
    keys = [f"k{number:03}" for number in range(600)] + ["k\x1b"]
    for key in keys:
        s3.put(key, b"old")
    later(s3)
    for key in keys:
        s3.delete(key)
        s3.delete(key)
    made = plan(s3, tmp_path, undelete=True)
    s3.sent.clear()
    assert apply(s3, made).written == 601
    assert s3.contents() == dict.fromkeys(keys, b"old")
    bulk = [ask.keys for ask in s3.sent if isinstance(ask, op.DeleteObjects)]
    assert sorted(len(lines) for lines in bulk) == [202, 998]
    assert (sent(s3, op.DeleteObject), sent(s3, op.HeadObject)) == (2, 601)


def test_undelete_of_many_markers_removes_exactly_them(tmp_path: Path) -> None:
    s3 = MemoryS3()
    kept = s3.put("k", b"old")
    later(s3)
    for _ in range(1001):
        s3.delete("k")
    assert restore(s3, tmp_path, undelete=True).written == 1
    assert [entry.version_id for entry in s3.entries()] == [kept]


def test_verify_finds_everything_that_is_not_as_planned(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for key in ("changed", "deleted", "kept", "longer", "same"):
        s3.put(key, b"old")
    later(s3)
    s3.put("changed", b"new")
    s3.put("hidden", b"x")
    made = plan(s3, tmp_path)
    apply(s3, made)
    assert verify(s3, made).wrong == ()
    s3.put("changed", b"wen")
    s3.delete("deleted")
    s3.put("hidden", b"x")
    s3.put("longer", b"longer")
    s3.put("same", b"old")
    s3.put("stray", b"x")
    result = verify(s3, made)
    assert dict(result.wrong) == {
        "changed": "has other content of the same size",
        "deleted": "missing",
        "hidden": "still there, but did not exist at the time",
        "longer": "is 6 bytes, should be 3",
        "stray": "exists, but not in the plan: it came after the plan was made",
    }
    assert result.checked == 7
    with pytest.raises(KeysFailed, match="5 of 7 keys not what the plan says"):
        result.raise_for_differences()


def test_deep_verify_reads_where_there_are_no_checksums_and_sees_what_an_etag_hides(tmp_path: Path) -> None:
    s3 = MemoryS3(checksums=False)
    s3.put("k", b"good")
    later(s3)
    s3.put("k", b"new")
    made = plan(s3, tmp_path)
    apply(s3, made)
    s3.buckets["bkt"].keys["k"][0].data = b"evil"
    assert verify(s3, made).proved
    deep = verify(s3, made, deep=True)
    assert deep.wrong == (("k", "has other content of the same size"),)
    assert deep.compared == 1


@pytest.mark.parametrize(
    ("size", "part_size", "count", "first", "last"),
    [
        (100, 30, 4, (0, 29), (90, 99)),
        (90, 30, 3, (0, 29), (60, 89)),
        (5 * 1024**4, 64 * 1024**2, MOST_PARTS, (0, 549_755_813), (5_497_008_384_186, 5_497_558_138_879)),
    ],
)
def test_parts_cover_an_object_without_gap_and_never_exceed_ten_thousand(
    size: int, part_size: int, count: int, first: tuple[int, int], last: tuple[int, int]
) -> None:
    ranges = part_ranges(size, part_size)
    assert (len(ranges), ranges[0], ranges[-1]) == (count, first, last)
    assert all(one[1] + 1 == two[0] for one, two in pairwise(ranges))


@pytest.mark.parametrize(
    ("size", "count", "first", "last", "expected"),
    [
        (25, 3, 10, 5, True),
        (30, 3, 10, 10, True),
        (1000, 1, 1000, 1000, True),
        (25, 2, 10, 5, False),
        (25, 3, 5, 10, False),
        (25, 3, 10, 7, False),
        (25, 3, 25, 25, False),
        (0, 1, 0, 0, False),
    ],
)
def test_parts_are_even_only_where_first_and_last_account_for_every_byte(
    size: int, count: int, first: int, last: int, expected: bool
) -> None:
    assert are_even(size, count, first, last) == expected


@pytest.mark.parametrize(("old", "new"), [("GLACIER", "STANDARD"), ("", "STANDARD"), ("GLACIER_IR", "GLACIER_IR")])
def test_what_comes_out_of_the_archive_is_not_put_back_into_it(old: str, new: str) -> None:
    assert writable_class(old) == new


def test_a_server_that_cannot_be_reached_ends_the_run_and_the_journal_knows_what_is_done(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for number in range(20):
        s3.put(f"k{number}", b"old")
    later(s3)
    for number in range(20):
        s3.put(f"k{number}", b"new")
    made = plan(s3, tmp_path)
    journal = Journal.beside(made.path)
    s3.before = LostConnection(9)
    with pytest.raises(S3Error, match="no answer"):
        apply(s3, made, journal=journal)
    s3.before = lambda _: None
    done = sum(data == b"old" for data in s3.contents().values())
    assert 0 < done < 20
    report = apply(s3, made, journal=journal)
    assert report.complete
    assert report.written == 20 - done


@pytest.mark.parametrize(
    ("checksums", "kind", "expected"),
    [
        ({}, "", ""),
        ({"CRC64NVME": "x"}, "FULL_OBJECT", "CRC64NVME"),
        ({"SHA256": "x"}, "FULL_OBJECT", ""),
        ({"SHA256": "x-3"}, "COMPOSITE", "SHA256"),
    ],
)
def test_an_upload_in_parts_gets_the_checksum_of_its_source_where_that_is_possible(
    checksums: dict[str, str], kind: str, expected: str
) -> None:
    head = op.ObjectHead("e", 1, 0.0, "v", "STANDARD", {}, {}, checksums, kind)
    assert upload_checksum(head) == expected


def test_a_copy_that_met_another_write_under_way_is_sent_again_while_nothing_has_changed(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("k", b"old")
    later(s3)
    s3.put("k", b"new")
    made = plan(s3, tmp_path)
    refused = 2

    def clash(operation: op.Operation) -> None:
        nonlocal refused
        if isinstance(operation, op.CopyObject) and operation.if_match != "0" * 32 and refused:
            refused -= 1
            raise s3_error(409, "ConditionalRequestConflict")

    s3.before = clash
    assert apply(s3, made).written == 1
    assert s3.contents() == {"k": b"old"}
    assert len(s3.entries()) == 3

"""A journal remembers finished steps through crashes, and only for its own plan."""

import resource
from pathlib import Path

import pytest

from artifact_store.errors import Refused, UsageError
from artifact_store.restore.journal import Journal, Noted, noted, written_ids
from artifact_store.s3.operations import AbortMultipartUpload


def test_what_was_recorded_is_done_in_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, "d") as journal:
        journal.record(2, "k", "v")
        journal.record(70_000, "ü\n", "")
    with Journal(path, "d") as journal:
        assert [n for n in (0, 1, 2, 3, 70_000, 70_001) if journal.done(n)] == [2, 70_000]


def test_a_line_cut_off_by_a_crash_is_forgotten_and_the_file_goes_on_whole(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, "d") as journal:
        journal.record(1, "a")
        journal.record(2, "b")
    for cut in range(1, 40):
        whole = path.read_bytes()
        path.write_bytes(whole[:-cut])
        with Journal(path, "d") as journal:
            assert (journal.done(1), journal.done(2)) == (True, False)
            journal.record(2, "b")
        with Journal(path, "d") as journal:
            assert journal.done(2)


def test_each_record_is_on_disk_before_the_next_begins(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, "d") as journal:
        journal.record(5, "k")
        assert path.read_bytes().endswith(b'{"step": 5, "key": "k", "version_id": ""}\n')


def test_the_journal_of_another_plan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, "one"):
        pass
    with pytest.raises(Refused, match="belongs to another plan"), Journal(path, "two"):
        pass


def test_a_file_that_is_no_journal_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"my notes\n")
    with pytest.raises(Refused, match="line 1 is no journal's line"), Journal(path, "d"):
        pass
    assert path.read_bytes() == b"my notes\n"


def test_a_journal_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write journal"), Journal(tmp_path / "missing" / "j", "d"):
        pass


def test_a_plan_without_a_name_has_no_journal() -> None:
    with pytest.raises(UsageError, match=r"'\.' names no file; write the name of a plan file"):
        Journal.beside(Path())


def test_uploads_that_were_begun_and_not_ended_are_known_to_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "j"
    uploads = [AbortMultipartUpload("b", f"k{number}", f"u{number}") for number in range(3)]
    with Journal(path, "d") as journal:
        for upload in uploads:
            journal.upload_began(upload)
        journal.upload_ended("u1")
        journal.record(4, "k")
    with Journal(path, "d") as journal:
        assert journal.uploads == {"u0": uploads[0], "u2": uploads[2]}
        assert journal.done(4)
        journal.upload_ended("u0")
        journal.upload_ended("u2")
    with Journal(path, "d") as journal:
        assert journal.uploads == {}


def test_the_ids_of_what_was_written_are_read_for_the_steps_asked_about_and_this_plan_only(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, "d") as journal:
        journal.upload_began(AbortMultipartUpload("b", "k", "u"))
        for number in range(5):
            journal.record(number, "k", f"v{number}")
        journal.record(3, "k", "later")
    with path.open("ab") as file:
        file.write(b'{"step": 1, "version_')
    assert written_ids(path, "d", {1, 3, 9}) == {1: "v1", 3: "later"}
    assert written_ids(path, "other", {1, 3, 9}) == {}
    assert written_ids(tmp_path / "none", "d", {1}) == {}


def test_what_is_noted_is_counted_without_touching_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.journal"
    assert noted(path, "digest") is None
    with Journal(path, "digest") as journal:
        assert noted(path, "digest") == Noted(0, 0)
        journal.record(3, "a", "1")
        for upload in ("u", "v"):
            journal.upload_began(AbortMultipartUpload("b", "k", upload))
        journal.upload_ended("u")
        journal.record(1, "b", "2")
    with path.open("ab") as file:
        file.write(b'{"step": 7, "ke')
    before = path.read_bytes()
    assert noted(path, "digest") == Noted(2, 1)
    assert noted(path, "other") is None
    assert path.read_bytes() == before


def test_a_write_that_fails_names_the_journal(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk."""
    path = tmp_path / "j"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path, "d") as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
        try:
            with pytest.raises(OSError, match="File too large") as told:
                journal.record(1, "k")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told.value.filename == str(path)


def test_without_a_file_it_remembers_for_the_run(tmp_path: Path) -> None:
    with Journal(None, "d") as journal:
        journal.record(3, "k")
        assert journal.done(3)
    assert list(tmp_path.iterdir()) == []

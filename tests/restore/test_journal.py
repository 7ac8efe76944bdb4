"""A journal remembers finished steps through crashes, and only for its own plan."""

from pathlib import Path

import pytest

from artifact_store.errors import Refused, UsageError
from artifact_store.restore.journal import Journal


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


def test_without_a_file_it_remembers_for_the_run(tmp_path: Path) -> None:
    with Journal(None, "d") as journal:
        journal.record(3, "k")
        assert journal.done(3)
    assert list(tmp_path.iterdir()) == []

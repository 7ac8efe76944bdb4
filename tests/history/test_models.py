"""A model's condition at an instant agrees with a simulator that knows when each upload began and ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.history import models
from artifact_store.history.listing import History, list_histories
from artifact_store.history.models import Finder
from artifact_store.history.scope import parse_scope
from artifact_store.history.sets import Layout
from artifact_store.history.state import UNSETTLED_WINDOW
from artifact_store.history.verdict import Condition
from artifact_store.s3 import operations as op
from tests.history.saver import INDEX, LAYOUTS, PREFIX, T0, Model, index, name, shard
from tests.restore.memory import MemoryS3


def test_a_model_is_whole_after_its_save_and_the_reads_are_few() -> None:
    model = Model(3)
    end = model.save(1, T0)
    model.s3.sent.clear()
    verdict = model.verdict(end + UNSETTLED_WINDOW)
    assert (verdict.condition, verdict.reasons) == (Condition.WHOLE, ())
    assert (verdict.found.layout, verdict.found.prefix, verdict.title) == ("transformers", PREFIX, PREFIX)
    assert verdict.size == sum(len(shard(n, 1)) for n in range(3)) + len(index(3, 1))
    reads = [sent for sent in model.s3.sent if isinstance(sent, op.GetObject)]
    assert len(reads) == 3 + 1


def test_inside_a_save_both_good_instants_are_named() -> None:
    model = Model(3)
    model.save(1, T0)
    second = model.save(2, T0 + 5000)
    verdict = model.verdict(T0 + 5003)
    assert verdict.condition is Condition.MID_SAVE
    assert verdict.reasons[0] == ("a save that began at 1970-01-12T15:10:00Z went on until 1970-01-12T15:10:07Z")
    assert (verdict.before, verdict.after) == (T0 + 4999, int(second))


def test_a_push_that_was_cut_off_leaves_files_of_two_saves_and_only_the_one_before_is_good() -> None:
    model = Model(4)
    model.save(1, T0)
    model.save(2, T0 + 5000, only=2)
    verdict = model.verdict(T0 + 90_000)
    assert verdict.condition is Condition.INCOMPLETE
    assert verdict.reasons == (
        "files of two saves: the one that began at 1970-01-12T15:10:00Z wrote model-00001-of-00004.safetensors and "
        "model-00002-of-00004.safetensors, but not model-00003-of-00004.safetensors and "
        "model-00004-of-00004.safetensors; a push that was cut off, or an uploader that skips unchanged files, looks "
        "like this",
    )
    assert (verdict.before, verdict.after) == (T0 + 4999, None)


def test_a_push_that_was_finished_later_is_good_after_that() -> None:
    model = Model(4)
    model.save(1, T0)
    model.save(2, T0 + 5000, only=2)
    third = model.save(3, T0 + 9000)
    verdict = model.verdict(T0 + 7000)
    assert (verdict.condition, verdict.before, verdict.after) == (Condition.INCOMPLETE, T0 + 4999, int(third))


def test_a_deleted_shard_is_missing_by_its_index() -> None:
    model = Model(2)
    model.save(1, T0)
    model.s3.clock = T0 + 5000
    model.s3.delete(PREFIX + name(1, 2))
    verdict = model.verdict(T0 + 90_000)
    assert verdict.condition is Condition.INCOMPLETE
    assert verdict.reasons == (f"model-00002-of-00002.safetensors is not there, named by {INDEX}",)
    assert (verdict.before, verdict.after) == (T0 + 4999, None)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "is empty"), (shard(1, 2)[:-1], "cut"), (b"version https://git-lfs.github.com/spec/v1\noid x\n", "git-lfs")],
)
def test_a_shard_that_is_no_shard_is_named_for_what_it_is(data: bytes, reason: str) -> None:
    model = Model(2)
    model.save(1, T0)
    model.s3.clock = T0 + 10
    model.write(name(0, 2), shard(0, 2), T0 + 50, T0 + 52)
    model.s3.clock = T0 + 60
    model.s3.put(PREFIX + name(1, 2), data, time=T0 + 60)
    model.s3.put(PREFIX + INDEX, index(2), time=T0 + 61)
    verdict = model.verdict(T0 + 90_000)
    assert verdict.condition is Condition.INCOMPLETE
    assert any(name(1, 2) in line and reason in line for line in verdict.reasons), verdict.reasons


def test_a_restore_of_single_files_keeps_a_model_whole_even_where_kms_changes_etags() -> None:
    model = Model(3, MemoryS3())
    model.s3.buckets["bkt"].kms = True
    model.save(1, T0)
    model.s3.clock = T0 + 5000
    model.s3.put(PREFIX + name(1, 3), shard(1, 2), time=T0 + 5000)
    assert model.verdict(T0 + 9000).condition is Condition.INCOMPLETE
    whole = Model(3, MemoryS3())
    whole.s3.buckets["bkt"].kms = True
    for number in range(3):
        whole.s3.put(PREFIX + name(number, 3), shard(number, 1), time=T0)
    whole.s3.put(PREFIX + INDEX, index(3), time=T0)
    whole.s3.put(PREFIX + name(1, 3), shard(1, 2), time=T0 + 5000)
    whole.s3.put(PREFIX + name(1, 3), shard(1, 1), time=T0 + 6000)
    assert whole.verdict(T0 + 9000).condition is Condition.WHOLE


def test_an_upload_in_parts_that_began_shortly_before_is_uncertain_until_something_closes_it() -> None:
    model = Model(1)
    model.s3.put_parts(PREFIX + "model.safetensors", [shard(0, 1)[:100], shard(0, 1)[100:]], began=T0)
    verdict = model.verdict(T0 + 60)
    assert verdict.condition is Condition.UNCERTAIN
    assert verdict.reasons == (
        "model.safetensors is uploaded in parts, begun at 1970-01-12T13:46:40Z, and S3 does not tell when that ended",
    )
    assert (verdict.before, verdict.after) == (None, T0 + UNSETTLED_WINDOW)
    assert model.verdict(T0 + UNSETTLED_WINDOW).condition is Condition.WHOLE


def test_a_config_written_after_the_index_is_of_the_save_and_one_mended_later_stays_mended() -> None:
    model = Model(2)
    model.s3.put(PREFIX + "config.json", b"", time=T0 - 3000)
    end = model.save(1, T0)
    model.s3.put(PREFIX + "config.json", b"{}", time=end + 3)
    assert model.verdict(end + 1).condition is Condition.MID_SAVE
    model.s3.put(PREFIX + "config.json", b'{"mended": 1}', time=T0 + 2000)
    model.s3.put(PREFIX + "config.json", b"[]", time=T0 + 4990)
    model.save(2, T0 + 5000, only=1)
    assert model.verdict(T0 + 90_000).before == T0 + 4989
    assert model.verdict(T0 + 1990).condition is Condition.WHOLE


def test_what_is_written_right_after_a_restore_is_no_part_of_it() -> None:
    model = Model(3)
    model.save(1, T0)
    model.s3.clock = T0 + 9000
    model.s3.delete(PREFIX + name(1, 3))
    model.write(name(1, 3), shard(1, 1), T0 + 9060, T0 + 9061)
    model.write(name(0, 3), shard(0, 2), T0 + 9120, T0 + 9121)
    # An upload in parts, which S3 dates by its beginning: that much stays open for an hour.
    assert model.verdict(T0 + 9119).condition is Condition.UNCERTAIN
    verdict = model.verdict(T0 + 20_000)
    assert (verdict.condition, verdict.before) == (Condition.INCOMPLETE, T0 + 8999)


def test_a_first_push_that_was_resumed_much_later_is_whole() -> None:
    model = Model(3)
    model.save(1, T0, only=1)
    for number in (1, 2):
        model.write(name(number, 3), shard(number, 1), T0 + 15_000, T0 + 15_002)
    model.write(INDEX, index(3, 1), T0 + 15_010, T0 + 15_011, whole=True)
    assert model.verdict(T0 + 30_000).condition is Condition.WHOLE


def test_a_file_written_again_and_again_in_parts_is_whole_just_before_each_write() -> None:
    model = Model(1)
    for step in range(8):
        model.s3.put_parts(
            PREFIX + "model.safetensors", [shard(0, step)[:99], shard(0, step)[99:]], began=T0 + 1800 * step
        )
    verdict = model.verdict(T0 + 1800 * 7 + 60)
    assert (verdict.condition, verdict.before) == (Condition.UNCERTAIN, T0 + 1800 * 7 - 1)


def test_folders_come_out_once_with_all_their_files_whatever_lies_between() -> None:
    s3 = MemoryS3()
    for key in (
        "m/config.json",
        "m/model.safetensors",
        "m-1/model.safetensors",
        "m/sub/x.txt",
        "m/sub/model.safetensors",
    ):
        s3.put(key, b"x")
    finder, found = Finder(parse_scope("s3://bkt"), LAYOUTS), []
    for history in list_histories(s3, "bkt"):
        found += finder.see(history, written=history.key == "m/sub/x.txt")
    found += finder.end()
    assert [(one.prefix, sorted(one.histories), sorted(one.written)) for one in found] == [
        ("m-1/", ["model.safetensors"], []),
        ("m/sub/", ["model.safetensors", "x.txt"], ["x.txt"]),
        ("m/", ["config.json", "model.safetensors", "sub/model.safetensors", "sub/x.txt"], ["sub/x.txt"]),
    ]


def test_a_folder_of_too_many_files_is_let_go_and_its_subfolders_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "FILES_A_FOLDER", 3)
    s3 = MemoryS3()
    for key in ("a/1", "a/2", "a/m/model.safetensors", "a/z", "model.safetensors"):
        s3.put(key, b"x")
    finder, found = Finder(parse_scope("s3://bkt"), LAYOUTS), []
    for history in list_histories(s3, "bkt"):
        found += finder.see(history)
    found += finder.end()
    assert [one.prefix for one in found] == ["a/m/"]


@pytest.mark.parametrize(
    ("address", "prefixes"),
    [
        ("s3://bkt", ["m-1/", "m-10/x/", "m-10/"]),
        ("s3://bkt/m-1", ["m-1/"]),
        ("s3://bkt/m-1*", ["m-1/", "m-10/x/", "m-10/"]),
        ("s3://bkt/m-10/x*", ["m-10/x/"]),
        ("s3://bkt/m-1/mod*", []),
        ("s3://bkt/m-1/model.safetensors", []),
    ],
)
def test_only_folders_that_lie_wholly_in_the_scope_are_looked_at(address: str, prefixes: list[str]) -> None:
    s3, scope = MemoryS3(), parse_scope(address)
    for key in ("m-1/model.safetensors", "m-10/model.safetensors", "m-10/x/model.safetensors"):
        s3.put(key, b"x")
    finder, found = Finder(scope, LAYOUTS), []
    for history in scope.histories(s3):
        found += finder.see(history)
    found += finder.end()
    assert [one.prefix for one in found] == prefixes


@given(st.lists(st.text("ab/", min_size=1, max_size=8), min_size=1, max_size=60, unique=True), st.integers(1, 8))
def test_each_folder_is_given_with_all_its_files_or_named_as_too_large(keys: list[str], most: int) -> None:
    """Folder markers are no files."""
    histories = [History(key, [op.Entry(key, "v", float(len(key)), True)]) for key in sorted(keys)]
    stood = {history.key: history.entries[0] if "/" in history.key else None for history in histories}
    keys = [history.key for history in histories if not history.key.endswith("/")]
    every = Layout("every", lambda folder: True, lambda folder: iter(()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "FILES_A_FOLDER", most)
        patch.setattr(models, "KEYS_A_DROP", 1 + most // 2)
        finder, found = Finder(parse_scope("s3://bkt"), [every], known=7.0), []
        for one in histories:
            found += finder.see(one, then=stood[one.key], written="a" in one.key, left_out="b" in one.key)
        found += finder.end()
    folders = {"", *(key[: at + 1] for key in keys for at, c in enumerate(key) if c == "/")}
    below = {folder: [key for key in keys if key.startswith(folder)] for folder in folders}
    assert {one.prefix: list(one.histories) for one in found} == {
        folder: [key[len(folder) :] for key in its] for folder, its in below.items() if len(its) <= most
    }
    assert sorted(prefix for prefix, _ in finder.unjudged) == sorted(f for f, its in below.items() if len(its) > most)
    for one in found:
        assert one.written == {path for path in one.histories if "a" in one.prefix + path}
        assert one.left_out == {path for path in one.histories if "b" in one.prefix + path}
        assert one.known == 7.0
        assert one.then == {path: was for path in one.histories if (was := stood[one.prefix + path]) is not None}

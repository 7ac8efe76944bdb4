"""Saves are read from versions: what belongs together, and which save a file's content is of."""

from __future__ import annotations

import pytest

from artifact_store.history.saves import doubts, of_one_save, origins, parts, saves, surely_of_one_save
from artifact_store.history.state import UNSETTLED_WINDOW, open_for
from artifact_store.s3.operations import Entry

MIB = 1024**2


def entry(key: str, second: int, etag: str = "", size: int = 10, *, marker: bool = False) -> Entry:
    return Entry(key, f"v{second}", float(second), False, marker, etag or f"{key}{second}", size)


def newest_first(*entries: Entry) -> list[Entry]:
    return list(reversed(entries))


def told(files: dict[str, list[Entry]]) -> list[tuple[int, int, list[str], list[str], int, int]]:
    return [
        (save.start, save.end, sorted(save.written), sorted(save.deleted), save.overwritten, save.size)
        for save in saves(files)
    ]


def test_writes_close_together_are_one_save_and_a_pause_ends_it() -> None:
    files = {
        "a": newest_first(entry("a", 100), entry("a", 100 + 3 + UNSETTLED_WINDOW * 2)),
        "b": newest_first(entry("b", 103)),
    }
    assert told(files) == [
        (100, 103, ["a", "b"], [], 0, 20),
        (7303, 7303, ["a"], [], 1, 10),
    ]


def test_a_file_written_a_second_time_begins_the_next_save_however_soon() -> None:
    files = {"a": newest_first(entry("a", 100), entry("a", 101)), "b": newest_first(entry("b", 100), entry("b", 101))}
    assert [(start, end) for start, end, *_ in told(files)] == [(100, 100), (101, 101)]


def test_the_next_file_may_begin_as_late_as_the_largest_takes_to_upload() -> None:
    late = 100 + UNSETTLED_WINDOW + 500
    assert late == 100 + open_for(10 * MIB * 500)
    files = {"a": [entry("a", 100, size=10 * MIB * 500)], "b": [entry("b", late)]}
    assert [(start, end) for start, end, *_ in told(files)] == [(100, late)]
    files["b"] = [entry("b", late + 1)]
    assert [(start, end) for start, end, *_ in told(files)] == [(100, 100), (late + 1, late + 1)]


def test_deletes_belong_to_the_save_and_what_comes_after_one_overwrites_nothing() -> None:
    files = {
        "a": newest_first(entry("a", 100), entry("a", 200, marker=True), entry("a", 9000)),
        "b": newest_first(entry("b", 100), entry("b", 201)),
    }
    assert told(files) == [
        (100, 100, ["a", "b"], [], 0, 20),
        (200, 201, ["b"], ["a"], 1, 10),
        (9000, 9000, ["a"], [], 0, 10),
    ]


def test_a_push_may_delete_a_file_before_it_writes_it_anew() -> None:
    files = {
        "a": newest_first(entry("a", 100), entry("a", 9000, marker=True), entry("a", 9002)),
        "b": newest_first(entry("b", 100), entry("b", 9001)),
    }
    assert told(files) == [(100, 100, ["a", "b"], [], 0, 20), (9000, 9002, ["a", "b"], [], 1, 20)]
    files["b"] = newest_first(entry("b", 100), entry("b", 9001), entry("b", 9003, marker=True))
    assert [(start, end) for start, end, *_ in told(files)] == [(100, 100), (9000, 9002), (9003, 9003)]


@pytest.mark.parametrize("instant", [99.9, 100, 100.5, 102.9, 103, 104])
def test_a_save_is_under_way_from_its_first_write_until_just_before_its_last(instant: float) -> None:
    (save,) = saves({"a": [entry("a", 100)], "b": [entry("b", 103)]})
    assert save.straddles(instant) == (100 <= instant < 103)


def test_content_that_was_written_again_unchanged_is_of_both_saves() -> None:
    a1, b1, a2, b2 = entry("a", 100, "A"), entry("b", 100, "B"), entry("a", 500, "A2"), entry("b", 500, "B")
    found = saves({"a": [a2, a1], "b": [b2, b1]})
    of = origins(found, {"a": a2, "b": b2})
    assert of == {"a": frozenset({1}), "b": frozenset({0, 1})}
    assert of_one_save(of, found)
    assert of_one_save(origins(found, {"a": a1, "b": b1}), found)


def test_files_of_a_push_that_was_cut_off_are_of_two_saves() -> None:
    a1, b1, a2 = entry("a", 100), entry("b", 100), entry("a", 500)
    found = saves({"a": [a2, a1], "b": [b1]})
    now = {"a": a2, "b": b1}
    of = origins(found, now)
    assert not of_one_save(of, found)
    assert parts(of, found, 600) == (1, ["a"], ["b"])
    assert doubts(found, now, of) == [("a", 0)]


def test_a_copy_that_brought_one_file_back_is_of_the_save_it_came_from() -> None:
    a1, b1, a2, a3 = entry("a", 100, "A"), entry("b", 100), entry("a", 500), entry("a", 900, "A")
    found = saves({"a": [a3, a2, a1], "b": [b1]})
    assert of_one_save(origins(found, {"a": a3, "b": b1}), found)


def test_only_versions_of_the_same_size_are_worth_a_question() -> None:
    a1, b1, a2 = entry("a", 100, size=9), entry("b", 100), entry("a", 500, size=10)
    found = saves({"a": [a2, a1], "b": [b1]})
    now = {"a": a2, "b": b1}
    assert doubts(found, now, origins(found, now)) == []
    assert doubts(found, {"a": a1, "b": b1}, origins(found, {"a": a1, "b": b1})) == []


def test_an_upload_that_was_tried_again_is_of_its_save_and_what_follows_too() -> None:
    files = {
        "a": newest_first(entry("a", 100, "A"), entry("a", 5_000, "A2"), entry("a", 5_002, "A2")),
        "b": newest_first(entry("b", 100, "B"), entry("b", 5_003, "B2")),
    }
    assert told(files) == [(100, 100, ["a", "b"], [], 0, 20), (5_000, 5_003, ["a", "b"], [], 2, 30)]
    found = saves(files)
    assert of_one_save(origins(found, {"a": files["a"][0], "b": files["b"][0]}), found)
    assert [found[1].straddles(second) for second in (4_999, 5_000, 5_002, 5_003)] == [False, True, True, False]


def test_a_save_that_begins_with_an_unchanged_file_has_it_and_one_that_ends_with_it_too() -> None:
    for second, holder in ((1_990, 1), (110, 0)):
        files = {
            "a": newest_first(entry("a", 100, "A"), entry("a", second, "A")),
            "b": newest_first(entry("b", 100, "B"), entry("b", 2_000, "B2")),
        }
        found = saves(files)
        assert origins(found, {"a": files["a"][0]})["a"] == frozenset({0, holder})
        assert of_one_save(origins(found, {"a": files["a"][0], "b": files["b"][0]}), found) == (holder == 1)


def test_what_is_written_after_a_resumed_push_is_complete_begins_the_next_save() -> None:
    files = {
        "a": newest_first(entry("a", 100), entry("a", 9_000), entry("a", 20_010)),
        "b": newest_first(entry("b", 101), entry("b", 20_000)),
        "c": newest_first(entry("c", 102), entry("c", 20_001)),
    }
    found = saves(files)
    assert [(save.start, sorted(save.written)) for save in found] == [
        (100, ["a", "b", "c"]),
        (9_000, ["a"]),
        (20_000, ["b", "c"]),
        (20_010, ["a"]),
    ]
    assert not of_one_save(origins(found, {path: entries[0] for path, entries in files.items()}), found)


@pytest.mark.parametrize("order", [["i", "a", "b"], ["a", "b", "i"]])
def test_what_completes_a_save_in_the_second_in_which_the_next_begins_is_of_the_first(order: list[str]) -> None:
    versions = {
        "a": newest_first(entry("a", 100), entry("a", 110)),
        "b": newest_first(entry("b", 105), entry("b", 115)),
        "i": newest_first(entry("i", 110), entry("i", 120)),
    }
    assert told({path: versions[path] for path in order}) == [
        (100, 110, ["a", "b", "i"], [], 0, 30),
        (110, 120, ["a", "b", "i"], [], 3, 30),
    ]


def test_a_copy_of_what_has_expired_may_be_of_any_save_before_it() -> None:
    a, b = [entry("a", 9_000), entry("a", 5_000)], [entry("b", 100)]
    found = saves({"a": a, "b": b})
    of = origins(found, {"a": a[0], "b": b[0]})
    assert (of_one_save(of, found), surely_of_one_save(of)) == (True, False)
    older = [*a, entry("a", 100)]
    found = saves({"a": older, "b": b})
    assert not of_one_save(origins(found, {"a": a[0], "b": b[0]}), found), "it is known what stood there"

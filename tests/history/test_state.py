"""The state of a key at an instant: order decides, times are whole seconds, T is inclusive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.history.listing import History
from artifact_store.history.state import UNSETTLED_WINDOW, Flag, at, by_time, is_archived
from artifact_store.s3.operations import Entry


def version(name: str, second: float, *, latest: bool = False, etag: str = "e", **more: object) -> Entry:
    return Entry("k", name, second, latest, etag=etag, size=1, **more)


def marker(name: str, second: float, *, latest: bool = False) -> Entry:
    return Entry("k", name, second, latest, is_marker=True)


def history(*entries: Entry, interleaved: bool = True) -> History:
    return History("k", list(entries), interleaved)


def then(*entries: Entry, instant: float, interleaved: bool = True) -> str | None:
    entry = at(history(*entries, interleaved=interleaved), instant).then
    return entry.version_id if entry else None


def test_what_was_written_in_the_second_of_t_existed_at_t() -> None:
    entries = version("new", 11, latest=True), version("old", 10)
    assert then(*entries, instant=9) is None
    assert then(*entries, instant=10) == "old"
    assert then(*entries, instant=11) == "new"


def test_fractions_of_a_second_do_not_count_on_either_side() -> None:
    assert then(version("v", 10.9, latest=True), instant=10.0) == "v"
    assert then(version("v", 10.0, latest=True), instant=9.999) is None


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((marker("m", 10, latest=True), version("v", 10)), None),
        ((version("w", 10, latest=True), marker("m", 10), version("v", 10)), "w"),
    ],
)
def test_within_a_second_the_order_of_the_server_decides(entries: tuple[Entry, ...], expected: str | None) -> None:
    assert then(*entries, instant=10) == expected


def test_newer_holds_all_that_came_after_and_now_the_current_version() -> None:
    entries = marker("m2", 13, latest=True), marker("m1", 12), version("w", 11), version("v", 10)
    state = at(history(*entries), 11)
    assert [entry.version_id for entry in state.newer] == ["m2", "m1"]
    assert state.now is None
    assert state.now_entry == entries[0]
    assert state.then == entries[2]


def test_a_server_that_does_not_interleave_is_ordered_by_time_with_the_current_entry_first() -> None:
    entries = version("w", 12), version("v", 10), marker("m2", 12, latest=True), marker("m1", 11)
    assert [entry.version_id for entry in by_time(entries)] == ["m2", "w", "m1", "v"]
    assert then(*entries, instant=12, interleaved=False) is None
    assert then(*entries, instant=11, interleaved=False) is None
    assert then(*entries, instant=10, interleaved=False) == "v"


def test_a_tie_that_cannot_be_decided_brings_the_version_back_and_says_so() -> None:
    entries = version("w", 12, latest=True), version("v", 10), marker("m", 10)
    state = at(history(*entries, interleaved=False), 10)
    assert state.then is not None
    assert state.then.version_id == "v"
    assert Flag.TIE in state.flags


def test_a_tie_is_decided_where_the_current_entry_is_in_it_or_the_order_is_known() -> None:
    current = at(history(version("v", 10), marker("m", 10, latest=True), interleaved=False), 10)
    assert (current.then, Flag.TIE in current.flags) == (None, False)
    known = at(history(version("w", 12, latest=True), version("v", 10), marker("m", 10)), 10)
    assert Flag.TIE not in known.flags


@pytest.mark.parametrize(("age", "unsettled"), [(0, True), (UNSETTLED_WINDOW - 1, True), (UNSETTLED_WINDOW, False)])
def test_a_multipart_version_begun_shortly_before_t_is_unsettled(age: int, unsettled: bool) -> None:
    entries = version("big", 100_000, etag="e-7", latest=True), version("old", 10)
    state = at(history(*entries), 100_000 + age)
    assert (Flag.UNSETTLED in state.flags) is unsettled
    assert at(history(*entries), 100_000 + age, settled=True).then == entries[1 if unsettled else 0]


def test_settled_goes_back_to_absence_where_only_uploads_under_way_existed() -> None:
    entries = version("b", 20, etag="e-2", latest=True), version("a", 19, etag="e-3")
    state = at(history(*entries), 20, settled=True)
    assert state.then is None
    assert state.newer == entries


@pytest.mark.parametrize(("instant", "edge"), [(8, False), (9, True), (10, True), (11, True), (12, False)])
def test_a_change_within_a_second_of_t_is_flagged(instant: int, edge: bool) -> None:
    assert (Flag.EDGE in at(history(version("v", 10, latest=True)), instant).flags) is edge


def test_a_null_version_written_after_t_may_have_replaced_what_stood_at_t() -> None:
    after = at(history(version("null", 20, latest=True), version("v", 10)), 10)
    before = at(history(version("w", 20, latest=True), version("null", 10)), 10)
    assert Flag.REPLACED in after.flags
    assert Flag.REPLACED not in before.flags


def test_an_archived_version_is_archived_unless_restored_for_the_moment() -> None:
    assert is_archived(version("v", 1, storage_class="DEEP_ARCHIVE"))
    assert not is_archived(version("v", 1, storage_class="GLACIER", restored=True))
    assert not is_archived(version("v", 1, storage_class="GLACIER_IR"))


entry_rows = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=8)


@given(entry_rows, st.integers(0, 12))
def test_the_state_is_the_last_thing_that_happened_up_to_t(rows: list[tuple[int, bool]], instant: int) -> None:
    second, happened = 0, []
    for number, (gap, is_marker) in enumerate(rows):
        second += gap
        happened.append(marker(str(number), second) if is_marker else version(str(number), second))
    last = None
    for entry in happened:
        if entry.last_modified <= instant:
            last = None if entry.is_marker else entry
    state = at(history(*reversed(happened)), instant)
    assert state.then == last
    assert len(state.newer) == sum(entry.last_modified > instant for entry in happened)


@given(entry_rows, st.integers(0, 12))
def test_without_the_servers_order_the_state_is_the_same_or_called_a_tie(
    rows: list[tuple[int, bool]], instant: int
) -> None:
    second, happened = 0, []
    for number, (gap, is_marker) in enumerate(rows):
        second += gap
        latest = number == len(rows) - 1
        name = str(number)
        happened.append(marker(name, second, latest=latest) if is_marker else version(name, second, latest=latest))
    newest_first = happened[::-1]
    split = sorted(newest_first, key=lambda entry: entry.is_marker)
    state = at(history(*split, interleaved=False), instant)
    if Flag.TIE not in state.flags:
        assert state.then == at(history(*newest_first), instant).then
    else:
        tied = {entry.is_marker for entry in happened if state.then and entry.last_modified == state.then.last_modified}
        assert tied == {True, False}

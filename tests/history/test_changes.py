"""What happened is told from versions and markers alone; the last quiet second before an accident is named."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.history.changes import (
    BIN_SECONDS,
    QUIET_SECONDS,
    SAMPLES,
    Change,
    Kind,
    bursts,
    by_second,
    changes,
    histogram,
    in_order,
    within,
)
from artifact_store.s3.operations import Entry

T = 1_790_000_000


@dataclass
class History:
    key: str
    entries: list[Entry]
    interleaved: bool = True


def history(*entries, key="k", interleaved=True):
    """entries: oldest first, (second, size) or (second, None) for a marker."""
    made = [
        Entry(key, f"v{i}", T + second, i == len(entries) - 1, is_marker=size is None, size=size or 0)
        for i, (second, size) in enumerate(entries)
    ]
    return History(key, made[::-1], interleaved)


def happened(*entries, **more):
    return [(c.second - T, c.kind.value, c.size, c.lost) for c in changes(history(*entries, **more))]


def test_a_key_is_created_overwritten_deleted_and_brought_back():
    assert happened((1, 10), (2, 20), (2, None), (5, 30), (9, None)) == [
        (1, "create", 10, 0),
        (2, "overwrite", 20, 10),
        (2, "delete", 0, 20),
        (5, "undelete", 30, 0),
        (9, "delete", 0, 30),
    ]


def test_a_marker_on_what_is_deleted_already_is_no_event():
    assert happened((1, None), (2, 10), (3, None), (4, None)) == [(2, "create", 10, 0), (3, "delete", 0, 10)]


def test_an_empty_object_is_there_all_the_same():
    assert happened((1, 0), (2, 0), (3, None)) == [(1, "create", 0, 0), (2, "overwrite", 0, 0), (3, "delete", 0, 0)]


def test_the_order_inside_a_second_is_the_servers():
    assert [kind for _, kind, _, _ in happened((1, 10), (1, None), (1, 11))] == ["create", "delete", "undelete"]


def test_where_versions_and_markers_come_apart_time_orders_them():
    found = history((1, 10), (2, None), (3, 20), interleaved=False)
    found.entries.sort(key=lambda entry: entry.is_marker)
    assert [(c.second - T, c.kind.value) for c in changes(found)] == [(1, "create"), (2, "delete"), (3, "undelete")]


def test_a_time_without_whole_seconds_counts_as_the_second_it_lies_in():
    (change,) = changes(History("k", [Entry("k", "v", T + 0.999, is_latest=True, size=1)]))
    assert change.second == T


def event(second, kind="overwrite", key="k", lost=1):
    return Change(T + second, Kind(kind), key, "v", 0, lost)


def test_both_ends_of_a_time_are_in_it():
    found = [event(second) for second in range(5)]
    assert [c.second - T for c in within(found, T + 1, T + 3)] == [1, 2, 3]
    assert len(list(within(found, None, None))) == 5


def test_events_are_ordered_by_time_then_by_the_bytes_of_the_key():
    found = [event(2, key="a"), event(1, key="\U00010000"), event(1, key="\uffff")]
    assert [(c.second - T, c.key) for c in in_order(found)] == [(1, "\uffff"), (1, "\U00010000"), (2, "a")]


def found_bursts(*found, most=10):
    return [(b.first - T, b.last - T, b.harm) for b in bursts(by_second(found), most)]


def test_a_pause_of_a_minute_ends_a_burst():
    assert found_bursts(event(0), event(QUIET_SECONDS - 1)) == [(0, 59, 2)]
    assert found_bursts(event(0), event(QUIET_SECONDS)) == [(0, 0, 1), (60, 60, 1)]


def test_creating_keys_neither_begins_nor_prolongs_a_burst():
    assert found_bursts(event(0, "create"), event(30, "delete"), event(80, "create"), event(130, "undelete")) == [
        (30, 30, 1)
    ]


def test_the_instant_to_go_back_to_is_the_second_before_the_first_overwrite():
    (burst,) = bursts(by_second([event(-5, "create"), event(7), event(8, "delete")]), 10)
    assert burst.before == T + 6


def test_of_many_bursts_those_that_hit_most_keys_are_kept_in_order_of_time():
    sizes = [3, 1, 5, 2, 4]
    found = [event(i * 1000, key=f"k{n}") for i, size in enumerate(sizes) for n in range(size)]
    assert found_bursts(*found, most=3) == [(0, 0, 3), (2000, 2000, 5), (4000, 4000, 4)]


def test_a_burst_names_the_keys_that_were_hit_and_no_other():
    seconds = by_second([event(1, "create", "new"), event(1, key="a"), event(2, key="a"), event(3, "delete", "b")])
    (burst,) = bursts(seconds, 10)
    assert burst.samples == ["a", "b"]


events = st.lists(
    st.builds(
        event, st.integers(0, 400_000), st.sampled_from([kind.value for kind in Kind]), st.sampled_from("abcdef")
    ),
    max_size=60,
)


@given(events)
def test_each_overwrite_and_delete_is_in_exactly_one_burst(found):
    groups = bursts(by_second(found), len(found))
    harmful = [c for c in found if c.kind in (Kind.OVERWRITE, Kind.DELETE)]
    assert sum(b.harm for b in groups) == len(harmful)
    for change in harmful:
        assert sum(b.first <= change.second <= b.last for b in groups) == 1
    for earlier, later in pairwise(groups):
        assert later.first - earlier.last >= QUIET_SECONDS


@given(events)
def test_no_overwrite_or_delete_happened_in_the_minute_up_to_the_second_before_a_burst(found):
    harmful = {c.second for c in found if c.kind in (Kind.OVERWRITE, Kind.DELETE)}
    for burst in bursts(by_second(found), len(found)):
        assert not harmful & set(range(burst.before - QUIET_SECONDS + 2, burst.before + 1))


@given(events, st.integers(1, 40))
def test_the_histogram_holds_every_change_in_few_bins_of_round_length(found, rows):
    length, bins = histogram(by_second(found), rows)
    assert sum(one.total for one in bins) == len(found)
    assert sum(one.lost for one in bins) == sum(c.lost for c in found)
    assert length in BIN_SECONDS
    assert len(bins) <= rows
    assert all(one.first % length == 0 for one in bins)
    starts = [one.first for one in bins]
    assert starts == sorted(set(starts))
    for change in found:
        assert change.second // length * length in starts


@given(events)
def test_a_sum_names_the_first_few_keys_that_were_hit_each_once(found):
    length, bins = histogram(by_second(found))
    for one in bins:
        hit = {
            c.key for c in found if c.kind in (Kind.OVERWRITE, Kind.DELETE) and c.second // length * length == one.first
        }
        assert set(one.samples) <= hit
        assert len(one.samples) == min(SAMPLES, len(hit))


@pytest.mark.parametrize(("span", "length"), [(0, 1), (23, 1), (24, 5), (3600, 300), (86_400, 21_600)])
def test_the_length_of_a_bin_is_the_shortest_that_fits(span, length):
    start = -(T % 86_400)
    assert histogram(by_second([event(start), event(start + span)]))[0] == length

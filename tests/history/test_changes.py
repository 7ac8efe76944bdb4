"""What happened is told from versions and markers alone, and summed up without losing any of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.history.changes import (
    BEATS,
    BIN_SECONDS,
    LONGEST_BEAT,
    SAMPLES,
    Change,
    Kind,
    by_second,
    changes,
    histogram,
    in_order,
    steady,
    within,
)
from artifact_store.history.listing import History
from artifact_store.s3.operations import Entry

T = 1_790_000_000


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


events = st.lists(
    st.builds(
        event, st.integers(0, 400_000), st.sampled_from([kind.value for kind in Kind]), st.sampled_from("abcdef")
    ),
    max_size=60,
)


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


def at_beat(*seconds, kind="overwrite"):
    """The seconds, of a key's events at these, that are at a steady beat."""
    found = [event(second, kind) for second in seconds]
    return [seconds[place] for place in sorted(steady(found))]


def test_a_key_written_over_every_minute_is_at_a_steady_beat_after_a_few_times():
    assert at_beat(*range(0, 600, 60)) == [360, 420, 480, 540]
    assert len(at_beat(*range(0, 60 * (BEATS + 1), 60))) == 0


def test_a_delete_is_not_at_the_beat_of_overwrites():
    found = [event(60 * n) for n in range(10)] + [event(600, "delete")]
    assert max(found[place].second - T for place in steady(found)) == 540


def test_what_breaks_in_between_two_beats_is_at_no_beat():
    beat = [*range(0, 1200, 60)]
    for late in range(1, 60):
        assert 720 + late not in at_beat(*sorted([*beat, 720 + late]))


def test_the_beat_is_found_again_after_one_interruption():
    assert at_beat(*sorted([*range(0, 1200, 60), 750]))[-6:] == [840, 900, 960, 1020, 1080, 1140]


def test_a_beat_may_be_early_or_late_by_a_quarter_and_not_by_more():
    beat = [*range(0, 600, 60)]
    assert at_beat(*beat, 540 + 45)[-1] == 585
    assert at_beat(*beat, 540 + 75)[-1] == 615
    assert at_beat(*beat, 540 + 44)[-1] < 540
    assert at_beat(*beat, 540 + 76)[-1] == 540


@pytest.mark.parametrize(("length", "times"), [(LONGEST_BEAT, 4), (LONGEST_BEAT + 1, 0)])
def test_what_is_rare_is_at_no_beat(length, times):
    assert len(at_beat(*range(0, 10 * length, length))) == times


def test_edits_now_and_then_are_at_no_beat():
    assert at_beat(0, 40, 2000, 2300, 9000, 9030, 9060, 20_000, 20_040) == []


def naive_steady(seconds):
    """From the rule's words, one event at a time."""
    found = []
    for place in range(6, len(seconds)):
        before = [seconds[n] - seconds[n - 1] for n in range(place - 5, place)]
        usual = sorted(before)[2]
        slack = usual // 4 or 1
        like = [pause for pause in before if usual - slack <= pause <= usual + slack]
        pause = seconds[place] - seconds[place - 1]
        soon = seconds[place + 1 :] and seconds[place + 1] - seconds[place] < usual - slack
        if len(like) >= 3 and usual <= 900 and usual - slack <= pause <= usual + slack and not soon:
            found.append(seconds[place])
    return found


@given(st.lists(st.sampled_from([1, 7, 14, 29, 30, 31, 38, 60, 900, 1000]), max_size=40))
def test_the_beat_is_that_of_a_naive_model(pauses):
    seconds = [0]
    for pause in pauses:
        seconds.append(seconds[-1] + pause)
    assert at_beat(*seconds) == naive_steady(seconds)


def test_a_keys_changes_carry_the_beat_and_a_sum_keeps_it_apart():
    found = list(changes(history(*((60 * n, 5) for n in range(11)))))
    assert [c.steady for c in found] == [False] * 7 + [True] * 4
    _, (one,) = histogram(by_second(found), 1)
    assert (one.total, one.counts[Kind.OVERWRITE], one.struck(Kind.OVERWRITE), one.harm) == (11, 10, 6, 6)
    assert (one.lost, one.size) == (30, 55)


def test_a_change_is_half_the_news_that_the_one_of_its_kind_before_was():
    found = list(changes(history((1, 5), (100, 5), (300, 5), (301, None), (900, 5), (1500, 5))))
    assert [(c.kind.value, c.news) for c in found] == [
        ("create", 1),
        ("overwrite", 1),
        ("overwrite", 0.5),
        ("delete", 1),
        ("undelete", 1),
        ("overwrite", 0.25),
    ]
    _, (one,) = histogram(by_second(found), 1)
    assert one.news == 2.75

"""The last quiet second before an accident is named, also while something else is writing all the time."""

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store.history import bursts as module
from artifact_store.history.bursts import QUIET_SECONDS
from artifact_store.history.changes import Change, Kind, by_second, steady

T = 1_790_000_000
DAY = 86_400


def event(second, kind="overwrite", key="k", lost=1):
    return Change(T + second, Kind(kind), key, "v", 0, lost)


def bursts(found, most=1000):
    return module.bursts(by_second(found), most)[0]


def found_bursts(*found, most=10):
    return [(b.first - T, b.last - T, b.harm) for b in bursts(found, most)]


def test_a_pause_of_a_minute_ends_a_burst():
    assert found_bursts(event(0), event(QUIET_SECONDS - 1)) == [(0, 59, 2)]
    assert found_bursts(event(0), event(QUIET_SECONDS)) == [(0, 0, 1), (60, 60, 1)]


def test_creating_keys_neither_begins_nor_prolongs_a_burst():
    assert found_bursts(event(0, "create"), event(30, "delete"), event(80, "create"), event(130, "undelete")) == [
        (30, 30, 1)
    ]


def test_the_instant_to_go_back_to_is_the_second_before_the_first_overwrite():
    (burst,) = bursts([event(-5, "create"), event(7), event(8, "delete")])
    assert burst.before == T + 6


def test_of_many_bursts_those_that_hit_most_keys_are_kept_in_order_of_time():
    sizes = [3, 1, 5, 2, 4]
    found = [event(i * 1000, key=f"k{n}") for i, size in enumerate(sizes) for n in range(size)]
    assert found_bursts(*found, most=3) == [(0, 0, 3), (2000, 2000, 5), (4000, 4000, 4)]
    assert module.bursts(by_second(found), 3)[1] == 2


def test_a_burst_names_the_keys_that_were_hit_and_no_other():
    (burst,) = bursts([event(1, "create", "new"), event(1, key="a"), event(2, key="a"), event(3, "delete", "b")])
    assert burst.samples == ["a", "b"]


events = st.lists(
    st.builds(
        event, st.integers(0, 400_000), st.sampled_from([kind.value for kind in Kind]), st.sampled_from("abcdef")
    ),
    max_size=60,
)


@given(events)
def test_no_overwrite_or_delete_happened_in_the_minute_up_to_the_second_before_a_burst(found):
    harmful = {c.second for c in found if c.kind in (Kind.OVERWRITE, Kind.DELETE)}
    for burst in bursts(found):
        assert not harmful & set(range(burst.before - QUIET_SECONDS + 2, burst.before + 1))


dense = st.lists(
    st.builds(event, st.integers(0, 3000), st.sampled_from(["overwrite", "delete", "create"])), max_size=900
)


@given(st.one_of(events, dense))
def test_each_overwrite_and_delete_is_in_exactly_one_burst(found):
    groups = bursts(found)
    harmful = [c for c in found if c.kind in (Kind.OVERWRITE, Kind.DELETE)]
    assert sum(b.harm for b in groups) == len(harmful)
    for change in harmful:
        assert sum(b.first <= change.second <= b.last for b in groups) == 1
    for earlier, later in pairwise(groups):
        assert earlier.last < later.first


def marked(found):
    """The changes of many keys, each with its beat and news, as a listing of the bucket gives them."""
    by_key = {}
    for change in sorted(found, key=lambda change: change.second):
        by_key.setdefault(change.key, []).append(change)
    told = []
    for own in by_key.values():
        beat, former = steady(own), Counter()
        for place, change in enumerate(own):
            told.append(replace(change, steady=place in beat, news=0.5 ** former[change.kind]))
            former[change.kind] += 1
    return told


def regular(key, period, start=0, end=DAY):
    return [event(second, key=key) for second in range(start, end, period)]


def accident(second, count, a_second=50, name="m"):
    return [event(second + n // a_second, "delete", f"{name}/{second}-{n}") for n in range(count)]


def test_a_job_that_saves_every_half_minute_all_day_hides_no_accident():
    told = bursts(marked(regular("run/latest.pt", 30) + accident(64_800, 500)))
    assert [(b.before - T, b.last - T, b.struck(Kind.DELETE)) for b in told] == [
        (-1, 150, 0),
        (64_799, 64_809, 500),
    ]


def starts(seconds):
    """The naive model of bursts where nothing else writes: what has no other in the minute before it."""
    return [s for s in sorted(set(seconds)) if not any(s - QUIET_SECONDS < other < s for other in seconds)]


# No deadline: a job that writes every two seconds for hours makes thousands of events.
@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(2, 900), st.integers(0, 900)), max_size=5),
    st.lists(st.tuples(st.integers(6500, 14_000), st.integers(1, 60), st.integers(1, 30)), min_size=1, max_size=4),
)
def test_beside_any_number_of_regular_writers_the_second_before_each_accident_is_exact(jobs, accidents):
    noise = [event for n, (period, start) in enumerate(jobs) for event in regular(f"job-{n}", period, start, 15_000)]
    harm = [event for second, count, pace in accidents for event in accident(second, count, pace)]
    told = {burst.before + 1 - T for burst in bursts(marked(noise + harm))}
    assert {second for second in told if second >= 6500} == set(starts([c.second - T for c in harm]))


def test_a_regular_file_that_is_hit_itself_gives_an_instant_before_the_hit_and_at_most_a_beat_before():
    for late in range(1, 30):
        _, told = bursts(marked([*regular("latest.pt", 30, end=20_000), event(12_000 + late, key="latest.pt")]))
        assert 12_000 - 31 <= told.before - T < 12_000 + late


def test_amid_writers_without_a_beat_an_accident_is_told_from_at_most_two_minutes_before_it():
    for seed in range(5):
        dice = random.Random(seed)
        noise = []
        for key in range(20):
            second = 60 * dice.random()
            while second < 30_000:
                noise.append(event(int(second), key=f"job-{key}"))
                second += dice.expovariate(1 / 60)
        when = [dice.randrange(5000, 29_000) for _ in range(3)]
        told = bursts(marked(noise + [event for second in when for event in accident(second, 500)]), most=8)
        for second in when:
            assert any(second - 121 <= b.before - T < second and b.last - T >= second for b in told), (seed, second)


def test_files_deleted_in_rotation_hide_no_accident():
    """Ten files of the oldest checkpoint every 50 seconds, each deleted once, so that no key has a beat."""
    rotation = [event(50 * n, "delete", f"ckpt-{n}/{i}") for n in range(600) for i in range(10)]
    told = bursts(marked(rotation + accident(20_020, 500)))
    assert [b.before - T for b in told] == [-1, 20_019, 20_049]


def test_an_accident_that_begins_slowly_is_told_from_its_first_second():
    """A key every two seconds for five minutes, then fifty a second: nothing was going on before."""
    slow = [event(2 * n, "delete", f"slow-{n}") for n in range(150)]
    told = bursts(marked(slow + accident(300, 5000)))
    assert [(b.before - T, b.harm) for b in told] == [(-1, 5150)]


def test_an_accident_that_begins_slowly_amid_other_writes_is_told_from_before_it():
    noise = [event(second, key=f"other-{second}") for second in range(0, 20_000, 30)]
    slow = [event(10_000 + 3 * n, "delete", f"slow-{n}") for n in range(100)]
    told = bursts(marked(noise + slow + accident(10_300, 5000)))
    assert [b.before - T for b in told if b.last - T >= 10_000 and b.first - T < 10_400] == [9999]


def test_what_goes_on_at_one_level_is_left_out_before_any_accident_is():
    noise = [event(second, key=f"other-{second}") for second in range(0, 50_000, 30)]
    when = [5000, 15_000, 25_000, 35_000, 45_000]
    told = bursts(marked(noise + [event for second in when for event in accident(second, 60)]), most=5)
    assert [second - b.before + T for second, b in zip(when, told, strict=True)] == [1, 1, 1, 1, 1]


def test_a_small_accident_is_shown_before_the_saves_of_a_large_model_that_keep_no_beat():
    """Three keys of another model deleted, among a hundred saves of 64 shards each."""
    dice = random.Random(7)
    second, saves = 0, []
    for _ in range(100):
        second += dice.randrange(200, 1500)
        saves += [event(second, key=f"big/{n}") for n in range(64)]
    told = bursts(marked(saves + accident(30_007, 3, name="other")), most=8)
    assert 30_006 in [b.before - T for b in told]

"""A model that is whole, and of which nothing is under way, is not refused, whatever was done to it before and after."""

from __future__ import annotations

import pytest

from artifact_store.cli.models import _tell_saves, of_save
from artifact_store.history.listing import list_histories
from artifact_store.history.models import Candidate, Finder, Verdict, assess, survey, timeline
from artifact_store.history.scope import parse_scope
from artifact_store.history.verdict import Condition
from tests.history.saver import INDEX, PREFIX, T0, index, name, shard
from tests.restore.memory import MemoryS3

WHOLE = [(Condition.WHOLE, ())]


def put(s3: MemoryS3, path: str, data: bytes, second: int) -> None:
    s3.clock = second
    s3.put(PREFIX + path, data, time=second)


def push(s3: MemoryS3, count: int, step: int, second: int) -> int:
    """A sharded model, one file a second, the index last. Returns the last second."""
    for number in range(count):
        put(s3, name(number, count), shard(number, step), second + number)
    put(s3, INDEX, index(count, step), second + count)
    return second + count


def delete(s3: MemoryS3, paths: list[str], second: int) -> None:
    for number, path in enumerate(paths):
        s3.clock = second + number
        s3.delete(PREFIX + path)


def verdicts(s3: MemoryS3, instant: float) -> list[Verdict]:
    finder, found = Finder(parse_scope("s3://bkt")), list[Candidate]()
    for history in list_histories(s3, "bkt"):
        found += finder.see(history, written=True)
    found += finder.end()
    return [verdict for some in s3.run(assess("bkt", one, instant) for one in found) for verdict in some]


def told(s3: MemoryS3, instant: float) -> list[tuple[Condition, tuple[str, ...]]]:
    return [(verdict.condition, verdict.reasons) for verdict in verdicts(s3, instant)]


@pytest.mark.parametrize("gap", [60, 1800, 3500, 8000])
def test_a_sharding_that_replaced_another_is_whole_until_it_is_deleted(gap: int) -> None:
    s3 = MemoryS3()
    push(s3, 3, 1, T0)
    end = push(s3, 2, 2, T0 + gap)
    delete(s3, [*(name(number, 3) for number in range(3)), *(name(number, 2) for number in range(2)), INDEX], end + 600)
    assert told(s3, end + 599) == WHOLE


@pytest.mark.parametrize("gap", [60, 1800, 3500])
def test_a_sharding_is_whole_until_another_is_brought_back_over_it(gap: int) -> None:
    """As a restore does: members, then the index, then what was not there is hidden."""
    s3 = MemoryS3()
    push(s3, 3, 1, T0)
    end = push(s3, 2, 2, T0 + gap)
    put(s3, INDEX, index(3, 1), end + 100)
    delete(s3, [name(number, 2) for number in range(2)], end + 101)
    assert told(s3, end) == told(s3, end + 99) == WHOLE


def test_a_timeline_shows_each_save_of_a_sharding_and_that_it_was_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    s3 = MemoryS3()
    push(s3, 3, 1, T0)
    end = push(s3, 2, 2, T0 + 1800)
    delete(s3, [*(name(number, 3) for number in range(3)), *(name(number, 2) for number in range(2)), INDEX], end + 597)
    (models,) = survey(s3, parse_scope("s3://bkt"), lambda folder: timeline("bkt", folder, now=end + 9_999))
    ((found, rows),) = models
    assert [
        (save.first, save.last, len(save.written), len(save.deleted), verdict and verdict.condition)
        for save, verdict in rows
    ] == [(T0 + 1800, end, 3, 0, Condition.WHOLE), (end + 600, end + 602, 0, 3, None)]
    records = [of_save(found, save, verdict) for save, verdict in rows]
    assert [record["condition"] for record in records] == ["whole", "gone"]
    _tell_saves(found, rows)
    assert capsys.readouterr().out.splitlines()[2].split("  ")[-1].strip() == "gone: in 2 s, 3 deleted"


def test_a_sharding_that_is_being_pushed_over_another_is_under_way() -> None:
    """Its index came first."""
    s3 = MemoryS3()
    push(s3, 3, 1, T0)
    put(s3, INDEX, index(2, 2), T0 + 600)
    put(s3, name(0, 2), shard(0, 2), T0 + 601)
    put(s3, name(1, 2), shard(1, 2), T0 + 610)
    (verdict,) = verdicts(s3, T0 + 605)
    assert verdict.condition is Condition.MID_SAVE
    assert (verdict.before, verdict.after) == (T0 + 599, T0 + 610)


@pytest.mark.parametrize("later", [1, 30, 290, 310])
def test_a_config_that_is_edited_after_the_push_leaves_what_was_before_whole(later: int) -> None:
    s3 = MemoryS3()
    end = push(s3, 3, 1, T0)
    put(s3, "config.json", b'{"model_type": "llama"}', end + 1)
    put(s3, "config.json", b'{"model_type": ', end + 1 + later)
    assert told(s3, end + later) == WHOLE
    (after,) = verdicts(s3, end + 1 + later)
    assert (after.condition, after.before) == (Condition.INCOMPLETE, end + 1)


def test_a_config_that_comes_just_after_the_weights_is_of_their_save() -> None:
    s3 = MemoryS3()
    put(s3, "config.json", b'{"a": 1}', T0 - 5000)
    end = push(s3, 3, 1, T0)
    put(s3, "config.json", b'{"a": 2}', end + 100)
    (verdict,) = verdicts(s3, end + 50)
    assert (verdict.condition, verdict.after) == (Condition.MID_SAVE, end + 100)


def test_a_config_of_the_save_just_before_does_not_stand_for_that_of_this_one() -> None:
    s3 = MemoryS3()
    put(s3, "config.json", b'{"a": 1}', push(s3, 3, 1, T0) + 1)
    end = push(s3, 3, 2, T0 + 100)
    put(s3, "config.json", b'{"a": 2}', end + 10)
    (verdict,) = verdicts(s3, end + 5)
    assert (verdict.condition, verdict.before, verdict.after) == (Condition.MID_SAVE, T0 + 99, end + 10)


@pytest.mark.parametrize("gap", [60, 600, 3500])
def test_a_single_file_is_whole_until_shards_come_beside_it(gap: int) -> None:
    s3 = MemoryS3()
    put(s3, "config.json", b"{}", T0)
    put(s3, "model.safetensors", shard(0, 1), T0 + 1)
    end = push(s3, 3, 2, T0 + gap)
    assert told(s3, T0 + gap - 1) == WHOLE
    (now,) = verdicts(s3, end)
    assert (now.condition, now.before) == (Condition.AMBIGUOUS, T0 + gap - 1)


@pytest.mark.parametrize("gap", [60, 1800, 3500, 8000])
def test_a_single_file_beside_shards_is_told_with_the_last_second_before_it(gap: int) -> None:
    s3 = MemoryS3()
    push(s3, 3, 1, T0)
    put(s3, "model.safetensors", shard(0, 2), T0 + gap)
    assert told(s3, T0 + gap - 1) == WHOLE
    (now,) = verdicts(s3, T0 + gap)
    assert (now.condition, now.before) == (Condition.AMBIGUOUS, T0 + gap - 1)

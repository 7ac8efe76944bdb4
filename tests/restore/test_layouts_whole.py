"""Of every layout: a restore that succeeds leaves models that are whole, each of one save and to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from artifact_store.history.scope import parse_scope
from artifact_store.history.state import UNSETTLED_WINDOW
from artifact_store.restore.apply import apply
from artifact_store.restore.models import NotWhole, enclosing
from artifact_store.restore.plan import PlanOptions
from artifact_store.restore.planner import make_plan
from artifact_store.restore.standing import LeavesBroken
from artifact_store.restore.verify import verify
from tests.history.test_layout_cases import NOW, PREFIX, T0, broken, bucket, verdicts
from tests.model_files import KINDS, SHAPES, Files, Kind
from tests.restore.memory import MemoryS3

every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
sharded = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.shards], ids=str)
LATER = NOW + UNSETTLED_WINDOW + 100


def restore(s3: MemoryS3, folder: Path, instant: float, models: str = "whole", address: str = "s3://bkt") -> bool:
    """False where it was refused, and then nothing was written."""
    before = s3.entries()
    path = folder / f"plan-{len(list(folder.iterdir()))}"
    try:
        made = make_plan(s3, parse_scope(address), instant, path, options=PlanOptions(models=models, allow_empty=True))
    except NotWhole:
        assert s3.entries() == before
        return False
    assert apply(s3, made).complete
    assert verify(s3, made, deep=True).wrong == ()
    return True


def there(s3: MemoryS3, prefix: str = PREFIX) -> Files:
    return {key[len(prefix) :]: data for key, data in s3.contents().items() if key.startswith(prefix)}


def faults(kind: Kind, now: Files, saves: list[Files]) -> Iterator[str]:
    """What a loader would stumble over: a list or pointer whose members are not all of one save, and of the very save
    where it speaks of bytes; and a model without a list of which only a part is there, or parts of two saves."""
    for save in saves:
        core, lists = kind.core(save), kind.lists(save)
        for head, members in lists.items():
            if now.get(head) != save[head]:
                continue
            same = [
                kind.lists(one).get(head) == members if SHAPES.fullmatch(head) else one.get(head) == save[head]
                for one in saves
            ]
            alike = [one for one, is_same in zip(saves, same, strict=True) if is_same]
            if not any(is_of(now, one, bound(kind.lists(one)[head])) for one in alike):
                yield f"{head} stands over members of no single save: {sorted(members)}"
        if lists.keys() <= kind.pointers:
            mine = {path for path in core if path not in kind.pointers}
            own = mine - {path for other in saves if other is not save for path in other}
            if own & now.keys() and not is_of(now, save, mine):
                yield f"a part of {sorted(own)}"
            standing = mine & now.keys()
            if not own and standing and not any(is_of(now, one, standing) for one in saves):
                yield f"a mix of saves: {sorted(standing)}"


def bound(paths: set[str]) -> set[str]:
    """Without those that do for every save of one shape."""
    return {path for path in paths if not SHAPES.fullmatch(path)}


def is_of(now: Files, save: Files, paths: set[str]) -> bool:
    return all(path in now and now[path] == save.get(path) for path in paths)


def instants(*saves: Files) -> list[int]:
    """Before the first write, between any two, and long after each save."""
    return [T0 - 1] + [T0 + 10_000 * n + s for n, files in enumerate(saves) for s in (*range(len(files)), 9_999)]


@every_kind
def test_a_restore_to_any_second_of_three_saves_leaves_whole_models_of_one_save(kind: Kind, tmp_path: Path) -> None:
    saves = [kind.save(step) for step in (1, 2, 3)]
    whole = nearest = 0
    for instant in instants(*saves[:2]):
        s3 = bucket(*(save.items() for save in saves))
        if restore(s3, tmp_path, instant):
            whole += 1
        elif restore(s3, tmp_path, instant, "nearest"):
            nearest += 1
        else:
            # Before the first save ended there is nothing whole to take.
            assert instant < T0 + len(saves[0])
            continue
        assert broken(verdicts(s3, LATER)) == {}
        assert list(faults(kind, there(s3), saves)) == []
    assert whole >= 3
    assert whole + nearest >= 3 + len(saves[1])


@every_kind
def test_between_saves_the_bytes_of_that_second_come_back_and_a_second_restore_does_nothing(
    kind: Kind, tmp_path: Path
) -> None:
    saves = [kind.save(step) for step in (1, 2, 3)]
    stood: Files = {}
    for number, save in enumerate(saves):
        stood |= save
        s3 = bucket(*(one.items() for one in saves), [("notes.txt", b"later")])
        assert restore(s3, tmp_path, T0 + 10_000 * number + 9_999)
        assert there(s3) == stood
        s3.clock += 5
        entries = s3.entries()
        assert restore(s3, tmp_path, T0 + 10_000 * number + 9_999)
        assert s3.entries() == entries


@every_kind
def test_a_model_that_was_cut_off_or_lost_a_file_comes_back_from_before(kind: Kind, tmp_path: Path) -> None:
    """The second save ends half-way; then each file in turn is deleted."""
    first, second = kind.save(1), kind.save(2)
    half = dict(list(second.items())[: (len(second) + 1) // 2])
    for lost in kind.core(first):
        s3 = bucket(first.items(), half.items(), [(lost, None)])
        assert restore(s3, tmp_path, T0 + 9_999)
        assert there(s3) == first
        s3 = bucket(first.items(), half.items(), [(lost, None)])
        if restore(s3, tmp_path, NOW - 1, "nearest"):
            # Of a folder of its own whose save was never finished nothing tells how many pieces it should have.
            saves = [first] if kind.name in ("deepspeed_steps", "megatron_steps") else [first, second]
            assert list(faults(kind, there(s3), saves)) == [], lost


@pytest.mark.parametrize(("before", "after"), [(5, 3), (2, 5)])
@pytest.mark.parametrize("cleaned", [False, True])
@sharded
def test_saves_of_other_counts_come_back_each_without_the_pieces_of_the_other(
    kind: Kind, before: int, after: int, cleaned: bool, tmp_path: Path
) -> None:
    first, second = kind.save(1, before), kind.save(2, after)
    gone = [(path, None) for path in first if path not in second] if cleaned else []
    s3 = bucket(first.items(), [*second.items(), *gone], [("notes.txt", b"later")])
    assert restore(s3, tmp_path, T0 + 9_999)
    assert there(s3) == first
    assert broken(verdicts(s3, LATER)) == {}
    s3.clock += 100
    if restore(s3, tmp_path, T0 + 19_999):
        assert there(s3) == (second if cleaned else first | second)
        assert list(faults(kind, there(s3), [first, second])) == []


@every_kind
def test_neighbours_whose_names_begin_the_same_are_neither_judged_nor_touched(kind: Kind, tmp_path: Path) -> None:
    """models/m is whole; models/m-1, models/m-10 and models/mm are cut off at T and are whole now."""
    saves = [kind.save(step) for step in (1, 2)]
    s3 = bucket(*(save.items() for save in saves))
    core = kind.core(saves[1])
    others = {}
    for neighbour in ("models/m-1/", "models/m-10/", "models/mm/"):
        for second, (path, data) in enumerate(core.items()):
            s3.put(neighbour + path, data, time=T0 + 9_999 + second)
            others[neighbour + path] = data
    assert restore(s3, tmp_path, T0 + 9_999, address="s3://bkt/models/m")
    assert there(s3) == saves[0]
    assert {key: data for key, data in s3.contents().items() if not key.startswith(PREFIX)} == others


@every_kind
def test_folder_markers_change_neither_the_verdict_nor_what_comes_back(kind: Kind, tmp_path: Path) -> None:
    saves = [kind.save(step) for step in (1, 2)]
    folders = {path[: path.rfind("/") + 1] for path in saves[0]} | {"", "empty/"}
    plain = bucket(*(save.items() for save in saves))
    marked = bucket([*((path, b"") for path in sorted(folders)), *saves[0].items()], saves[1].items())
    instant = T0 + 9_999
    judged = {name: (verdict.condition, verdict.reasons) for name, verdict in verdicts(plain, instant).items()}
    assert {n: (v.condition, v.reasons) for n, v in verdicts(marked, instant).items()} == judged
    assert restore(marked, tmp_path, instant)
    assert there(marked) == saves[0] | dict.fromkeys(folders, b"")


@every_kind
def test_a_folder_or_file_of_a_model_comes_back_alone_only_where_the_model_is_of_one_save_then(
    kind: Kind, tmp_path: Path
) -> None:
    """Whatever part of it the address names; T in the second save, and after the first."""
    saves = [kind.save(step) for step in (1, 2, 3)]
    parts = {folder for path in saves[0] for folder in enclosing(path) if folder} | kind.core(saves[0]).keys()
    for part in sorted(parts):
        for instant in (T0 + 9_999, T0 + 10_000 + len(saves[1]) // 2):
            s3 = bucket(*(save.items() for save in saves))
            with suppress(LeavesBroken):
                if restore(s3, tmp_path, instant, address=f"s3://bkt/{PREFIX}{part}"):
                    assert broken(verdicts(s3, LATER)) == {}, part
                    assert list(faults(kind, there(s3), saves)) == [], part

"""What is kept of a listing is little and cheap, and no model is taken from two instants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.history.listing import History
from artifact_store.history.models import Candidate, Verdict, identity
from artifact_store.history.scope import parse_scope
from artifact_store.history.sets import ModelSet
from artifact_store.history.state import at, standing
from artifact_store.history.verdict import Condition
from artifact_store.restore.models import enclosing
from artifact_store.restore.watch import Chosen, Kept, Watch, nearest
from artifact_store.s3.operations import Entry
from tests.restore.memory import MemoryS3

FOLDERS = st.lists(st.sampled_from(["a/", "b/", "/", "ab/"]), max_size=4).map("".join)


def folder(prefix: str, files: int = 1) -> Candidate:
    return Candidate(prefix, (), {f"{n}": History(f"{prefix}{n}", []) for n in range(files)})


@pytest.mark.parametrize("chosen", [{}, {"m/model.safetensors": 1.0}])
def test_what_a_folder_is_said_to_have_held_stood_in_it_then(
    chosen: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where keys are taken from another instant: the model is asked what it was at both."""
    judged: list[Candidate] = []
    monkeypatch.setattr(Watch, "_judge", lambda _, folders: judged.extend(folders))
    history = History("m/model.safetensors", [Entry("m/model.safetensors", f"v{t}", t, t == 3) for t in (3, 2, 1)])
    watch = Watch(MemoryS3(), parse_scope("s3://bkt"), 2.0, Chosen(keys=chosen))
    list(watch.passed([(history, at(history, chosen.get(history.key, 2.0)), True)]))
    assert [(one.prefix, one.written) for one in judged] == [("m/", {"model.safetensors"})]
    told = {} if judged[0].known is None else judged[0].then
    assert (judged[0].known, told) == ((None, {}) if chosen else (2.0, {"model.safetensors": standing(history, 2.0)}))


@given(st.sets(FOLDERS))
def test_of_folders_that_lie_in_each_other_the_outermost_is_kept(prefixes: set[str]) -> None:
    kept = Kept()
    # As a finder closes them: in key order, each after those that lie in it.
    for prefix in sorted(prefixes, key=lambda prefix: prefix + "\uffff"):
        kept.take(folder(prefix))
    outermost = {one for one in prefixes if not any(other in prefixes for other in enclosing(one))}
    assert {one.prefix for one in kept.folders} == outermost
    assert len(kept.folders) == len(outermost)


def test_no_more_files_are_kept_than_the_most_and_those_of_a_folder_within_count_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("artifact_store.restore.watch.FILES_KEPT", 4)
    kept = Kept()
    for prefix, files in (("a/b/", 2), ("a/c/", 2), ("a/", 4)):
        kept.take(folder(prefix, files))
    assert ([one.prefix for one in kept.folders], kept.full) == (["a/"], False)
    kept.take(folder("b/"))
    kept.take(folder("c/"))
    assert (kept.folders, kept.full) == ([], True)


def test_keeping_a_folder_costs_the_same_however_many_are_kept() -> None:
    asked = 0

    class Prefix(str):
        def startswith(self, *arguments: object) -> bool:
            nonlocal asked
            asked += 1
            return super().startswith(*arguments)

    kept = Kept()
    for number in range(1000):
        kept.take(folder(Prefix(f"runs/run-{number:06}/")))
    assert asked <= 1000


@pytest.mark.parametrize(
    ("key", "around"),
    [
        ("", []),
        ("a", [""]),
        ("a/", [""]),
        ("a/b/c", ["a/b/", "a/", ""]),
        ("a//b/", ["a//", "a/", ""]),
        ("/m/", ["/", ""]),
    ],
)
def test_the_folders_around_a_key_are_all_that_its_slashes_tell(key: str, around: list[str]) -> None:
    assert list(enclosing(key)) == around


@st.composite
def verdicts(draw: st.DrawFn) -> list[Verdict]:
    """Models of one folder and of one in it, that share files as they may."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        prefix = draw(st.sampled_from(["m/", "m/in/"]))
        names = draw(st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3))
        paths = tuple(sorted(f"in/{name}" if prefix == "m/" else name for name in names))
        before = draw(st.none() | st.integers(1, 5))
        absent = before is not None and draw(st.booleans())
        condition = Condition.WHOLE if before is None else Condition.MID_SAVE
        one = ModelSet(layout="l", prefix=prefix, name=str(number), members=paths)
        found.append(Verdict(one, condition, (), 1, 1.0, before, absent_before=absent))
    return found


@given(verdicts())
def test_no_model_is_taken_from_two_instants(judged: list[Verdict]) -> None:
    """Whatever files models share: what goes back takes all of them along, and what was not there yet leaves them."""
    broken = [verdict for verdict in judged if not verdict.whole]
    chosen = nearest(broken, judged)
    assert {identity(verdict.found) for verdict in broken} <= chosen.models.keys()
    for verdict in judged:
        found = verdict.found
        if not verdict.absent_before:
            instants = {chosen.keys.get(found.prefix + path, 9) for path in found.paths}
            assert instants == {chosen.models.get(identity(found), 9)}

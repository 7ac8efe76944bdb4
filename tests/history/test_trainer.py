"""What is said of a model agrees with what a reader of the bucket saw, whatever the trainer did and whenever one looks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from artifact_store.history.state import UNSETTLED_WINDOW
from artifact_store.history.verdict import Condition
from tests.history.trainer import T0, How, Trainer
from tests.model_files import KINDS

BY_NAME = {kind.name: kind for kind in KINDS}
TOGETHER = {
    "transformers": r"model-.*\.safetensors",
    "dcp": r".*",
    "lightning_sharded": r".*",
    "deepspeed": r"global_step1/.*",
    "megatron": r"iter_0000100/.*",
    "triton": r"1/.*",
    "mlflow_transformers": r"model/model-.*\.safetensors",
    "diffusers": r"unet/.*\.safetensors",
    "saved_model": r"variables/.*",
    "orbax": r"state/.*(?:d/.*|manifest.ocdbt)",
    "keras_sharded": r".*\.h5",
    "gguf_split": r".*",
}
"""Kind of model -> the files of which a reader needs those of one save."""

CLOSED = (
    "transformers",
    "dcp",
    "lightning_sharded",
    "mlflow_transformers",
    "diffusers",
    "saved_model",
    "keras_sharded",
)
"""Kinds that write something small last."""

names = st.sampled_from(sorted(TOGETHER))
hows: st.SearchStrategy[How] = st.sampled_from(["one by one", "side by side"])
LONG = 4 * UNSETTLED_WINDOW


@dataclass(frozen=True)
class Push:
    """pause: seconds before it. cut: files after which it was cut off, None where it was not. resumed: seconds after
    which it went on, None where it never did. again: the file that was uploaded twice."""

    pause: int
    seconds: int = 2
    how: How = "one by one"
    cut: int | None = None
    resumed: int | None = None
    again: int | None = None

    def done(self, trainer: Trainer, step: int, now: int) -> int:
        now += self.pause
        shape: dict[str, object] = {"seconds": self.seconds, "how": self.how, "again": self.again}
        now = trainer.save(step, now, until=self.cut, **shape)
        if self.cut is not None and self.resumed is not None:
            now = trainer.save(step, now + self.resumed, first=self.cut, **shape)
        return now


pauses = st.sampled_from([1, 40, 700, 5_000, 30_000])
pushes = st.builds(
    Push,
    pauses,
    st.sampled_from([1, 7, 300, 1_500]),
    hows,
    st.none() | st.integers(1, 4),
    st.none() | pauses,
    st.none() | st.integers(0, 4),
)
finished = st.builds(Push, pauses, st.sampled_from([1, 7, 300, 1_500]), hows, again=st.none() | st.integers(0, 4))


def run(name: str, history: list[Push]) -> tuple[Trainer, int]:
    trainer, now = Trainer(BY_NAME[name], TOGETHER[name]), T0
    for step, push in enumerate(history, 1):
        now = push.done(trainer, step, now)
    return trainer, now


def seconds_worth_a_look(trainer: Trainer, since: int, now: int) -> list[int]:
    marks = {second for upload in trainer.uploads for second in (upload.began, upload.ended)}
    near = {mark + off for mark in marks for off in (-1, 0, 1, 60)}
    return sorted(second for second in near | {now + UNSETTLED_WINDOW, now + LONG} if second >= since)


@settings(deadline=None, max_examples=120)
@given(names, st.lists(pushes, min_size=1, max_size=3), st.integers(0, 10_000))
def test_what_is_called_whole_was_whole(name: str, history: list[Push], which: int) -> None:
    trainer, now = run(name, [Push(0, history[0].seconds), *history])
    since = max(upload.ended for upload in trainer.uploads if upload.step == 1)
    instants = seconds_worth_a_look(trainer, since, now)
    instant = instants[which % len(instants)]
    verdicts = trainer.verdicts(instant)
    assert verdicts, "the first save is there, so there is a model to judge"
    for verdict in verdicts:
        event(verdict.condition.value)
        if verdict.whole:
            assert trainer.whole(instant, verdict.found.prefix), verdict
        for other in (None if verdict.absent_before else verdict.before, verdict.after):
            assert other is None or trainer.whole(other, verdict.found.prefix), (verdict, other)


@settings(deadline=None, max_examples=60)
@given(names, st.lists(finished, min_size=1, max_size=3))
def test_saves_that_were_finished_are_whole_once_their_uploads_must_have_ended(name: str, history: list[Push]) -> None:
    trainer, now = run(name, history)
    assert trainer.whole(now)
    assert {(verdict.condition, verdict.reasons) for verdict in trainer.verdicts(now + LONG)} == {(Condition.WHOLE, ())}


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(CLOSED), st.lists(finished, min_size=1, max_size=3))
def test_a_save_that_something_small_closed_is_whole_at_once(name: str, history: list[Push]) -> None:
    trainer, now = run(name, history)
    assert {(verdict.condition, verdict.reasons) for verdict in trainer.verdicts(now)} == {(Condition.WHOLE, ())}


@settings(deadline=None, max_examples=40)
@given(
    names,
    st.lists(st.builds(Push, st.sampled_from([0, 1]), st.sampled_from([1, 7]), hows), min_size=1, max_size=3),
    st.none() | st.integers(1, 4),
    st.integers(0, 10_000),
)
def test_saves_that_share_a_second_are_told_from_each_other(
    name: str, history: list[Push], cut: int | None, which: int
) -> None:
    """The next begins in the very second in which the last file of the one before was written."""
    trainer, now = run(name, [Push(0), *history, Push(0, cut=cut)])
    instants = seconds_worth_a_look(trainer, max(u.ended for u in trainer.uploads if u.step == 1), now)
    instant = instants[which % len(instants)]
    for verdict in trainer.verdicts(instant):
        assert trainer.whole(instant, verdict.found.prefix) or not verdict.whole, verdict
    for verdict in trainer.verdicts(now + LONG):
        assert verdict.whole == trainer.whole(now, verdict.found.prefix), verdict


@settings(deadline=None, max_examples=60)
@given(names, st.lists(finished, max_size=2), st.integers(1, 4), pauses, st.data())
def test_a_restored_model_stays_whole_while_older_versions_expire(
    name: str, history: list[Push], cut: int, pause: int, data: st.DataObject
) -> None:
    """A rule acts once a day, so it takes what one push replaced together."""
    trainer, now = run(name, [Push(0), *history, Push(5_000, cut=cut)])
    pushes = sorted({min(u.began for u in trainer.uploads if u.step == step) for step in range(1, len(history) + 3)})
    restored = trainer.bring_back(1 + len(history), now + pause)
    trainer.expire(data.draw(st.sampled_from([*pushes, now + pause, restored + 1]), "what was replaced before is gone"))
    assert trainer.whole(restored)
    for verdict in trainer.verdicts(restored + LONG):
        assert (verdict.condition, verdict.reasons) == (Condition.WHOLE, ()), verdict


@settings(deadline=None, max_examples=60)
@given(names, st.integers(1, 4), st.booleans())
def test_what_may_be_of_two_saves_after_versions_have_expired_is_said(name: str, cut: int, expires: bool) -> None:
    trainer, now = run(name, [Push(0), Push(30_000, cut=cut)])
    if expires:
        trainer.expire(now + 1)
    for verdict in trainer.verdicts(now + LONG):
        mixed = not trainer.whole(now, verdict.found.prefix)
        said = "a push that was cut off long ago" in "".join(verdict.warnings)
        assert (verdict.whole, said) == (expires or not mixed, expires and mixed), verdict


@pytest.mark.parametrize("name", sorted(TOGETHER))
def test_inside_every_save_both_good_instants_are_named(name: str) -> None:
    trainer, first = run(name, [Push(0)])
    last = trainer.save(2, T0 + 50_000)
    middle = max(u.began for u in trainer.uploads if u.step == 2 and u.path in trainer.bound(2)) - 1
    for verdict in trainer.verdicts(middle):
        assert verdict.condition in (Condition.MID_SAVE, Condition.INCOMPLETE), verdict
        assert first <= (verdict.before or 0) < middle < (verdict.after or 0) <= last + UNSETTLED_WINDOW
        for instant in (verdict.before, verdict.after):
            assert trainer.whole(instant or 0, verdict.found.prefix), (verdict, instant)

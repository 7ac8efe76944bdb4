"""Whatever happened to a bucket, a restore gives the state at T, removes nothing, and doing it again does nothing."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artifact_store.errors import Refused
from artifact_store.history.scope import Scope
from artifact_store.history.state import Flag
from artifact_store.restore.apply import ApplyOptions, Report, apply
from artifact_store.restore.copying import CopyLimits
from artifact_store.restore.journal import Journal
from artifact_store.restore.plan import PlanOptions
from artifact_store.restore.planfile import Plan
from artifact_store.restore.planner import make_plan
from artifact_store.restore.verify import verify
from artifact_store.s3 import operations as op
from tests.restore.memory import NOW, MemoryS3, s3_error
from tests.restore.oracle import Event, as_stamped, perform, replay

KEYS = ["a", "a/b", "a b", "a//b", "/lead", "..", "%41", "ü", "z+\u0001"]
CONTENTS = [b"", b"x", b"y", b"xx", b"yy", b"weights" * 9, b"WEIGHTS" * 9]
SMALL = ApplyOptions(limits=CopyLimits(single_copy=50, part_size=20))
ANY_EMPTY = PlanOptions(allow_empty=True)


def _timed(rows: list[tuple[int, str, bytes | None, int]]) -> list[Event]:
    second, result = 0, []
    for gap, key, data, parts in rows:
        second += gap
        # What one request cannot copy, one request could not have written (S3 User Guide, "Uploading objects").
        large = data is not None and len(data) > SMALL.limits.single_copy
        result.append(Event(second, key, data, 0 if data is None else parts or 3 * large))
    return result


events = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(KEYS), st.sampled_from([None, *CONTENTS]), st.sampled_from([0, 0, 1, 3])
    ),
    max_size=25,
).map(_timed)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plan_to(s3: MemoryS3, second: int, folder: str, options: PlanOptions = ANY_EMPTY) -> Plan:
    return make_plan(s3, Scope("bkt"), float(NOW + second), Path(folder) / f"plan{s3.serial}", options=options)


def restore_to(s3: MemoryS3, second: int, folder: str, options: PlanOptions = ANY_EMPTY) -> Report:
    plan = plan_to(s3, second, folder, options)
    report = apply(s3, plan, options=SMALL)
    assert report.complete, report
    assert verify(s3, plan, deep=True).wrong == ()
    return report


def ids(s3: MemoryS3) -> set[tuple[str, str]]:
    return {(entry.key, entry.version_id) for entry in s3.entries()}


@quick
@given(events, st.integers(0, 30), st.booleans(), st.booleans(), st.integers(0, 9))
def test_a_restore_gives_the_state_at_t_and_removes_no_version(
    happened: list[Event], second: int, honours: bool, checksums: bool, seed: int
) -> None:
    s3 = MemoryS3(honours=honours, checksums=checksums, seed=seed)
    perform(s3, happened)
    before = ids(s3)
    with tempfile.TemporaryDirectory() as folder:
        restore_to(s3, second, folder)
    assert s3.contents() == replay(happened, second)
    assert before <= ids(s3)


@quick
@given(events, st.integers(0, 30), st.booleans(), st.sampled_from([(True, False), (True, True), (False, False)]))
def test_a_second_restore_to_the_same_second_changes_nothing(
    happened: list[Event], second: int, honours: bool, kind: tuple[bool, bool]
) -> None:
    """Not where KMS encrypts objects without checksums: there nothing but reading would tell."""
    s3 = MemoryS3(honours=honours, checksums=kind[0])
    s3.buckets["bkt"].kms = kind[1]
    perform(s3, happened)
    with tempfile.TemporaryDirectory() as folder:
        restore_to(s3, second, folder)
        after = s3.entries()
        s3.clock += 5
        plan = plan_to(s3, second, folder)
        assert plan.summary.changes == 0
        assert apply(s3, plan).written == 0
    assert s3.entries() == after


@quick
@given(events, st.integers(0, 30), st.integers(0, 30))
def test_after_a_restore_every_other_second_can_still_be_restored(happened: list[Event], first: int, then: int) -> None:
    s3 = MemoryS3()
    perform(s3, happened)
    with tempfile.TemporaryDirectory() as folder:
        restore_to(s3, first, folder)
        s3.clock += 5
        restore_to(s3, then, folder)
    assert s3.contents() == replay(happened, then)


@quick
@given(events, st.integers(0, 30))
def test_undelete_gives_the_same_state_without_a_copy_of_deleted_keys(happened: list[Event], second: int) -> None:
    s3 = MemoryS3()
    perform(s3, happened)
    versions = {(e.key, e.version_id) for e in s3.entries() if not e.is_marker}
    with tempfile.TemporaryDirectory() as folder:
        restore_to(s3, second, folder, PlanOptions(allow_empty=True, undelete=True))
    assert s3.contents() == replay(happened, second)
    assert versions <= ids(s3)


@quick
@given(events, st.integers(0, 30))
def test_keep_new_restores_the_rest_and_leaves_what_did_not_exist(happened: list[Event], second: int) -> None:
    s3 = MemoryS3()
    perform(s3, happened)
    with tempfile.TemporaryDirectory() as folder:
        restore_to(s3, second, folder, PlanOptions(allow_empty=True, keep_new=True))
    assert s3.contents() == replay(happened) | replay(happened, second)


class Killed:
    """Ends the run at the nth request, before it is sent or after it was carried out; then S3 is out of reach."""

    def __init__(self, s3: MemoryS3, at: int, *, sent: bool) -> None:
        self.left = at
        if sent:
            s3.after = self
        else:
            s3.before = self

    def __call__(self, _: op.Operation) -> None:
        self.left -= 1
        if self.left == -1:
            raise KeyboardInterrupt
        if self.left < -1:
            raise s3_error(0, "Unreachable")


@quick
@given(
    events,
    st.integers(0, 30),
    st.integers(0, 25),
    st.booleans(),
    st.sampled_from(["journal", "same plan", "new plan"]),
    st.booleans(),
    st.integers(0, 9),
)
def test_a_run_cut_off_anywhere_is_finished_by_a_second_run_that_adds_nothing_twice(
    happened: list[Event], second: int, at: int, sent: bool, how: str, honours: bool, seed: int
) -> None:
    s3 = MemoryS3(honours=honours, seed=seed)
    perform(s3, happened)
    before = len(s3.entries())
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_to(s3, second, folder)
        changes = plan.summary.changes
        journal = Journal.beside(plan.path) if how == "journal" else None
        Killed(s3, at, sent=sent)
        try:
            first = apply(s3, plan, journal=journal, options=SMALL)
            assert first.complete or first.interrupted
        except KeyboardInterrupt:
            pass
        s3.before = s3.after = lambda _: None
        s3.clock += 5
        if how == "new plan":
            plan = plan_to(s3, second, folder)
        report = apply(s3, plan, journal=journal, options=SMALL)
        assert report.complete, report
        assert verify(s3, plan).proved
    assert s3.contents() == replay(happened, second)
    assert len(s3.entries()) == before + changes


@quick
@given(events, st.integers(0, 30), st.booleans(), st.integers(0, 9))
def test_a_write_carried_out_twice_by_a_retry_is_no_conflict(
    happened: list[Event], second: int, checksums: bool, seed: int
) -> None:
    s3 = MemoryS3(seed=seed, checksums=checksums)
    perform(s3, happened)
    before = len(s3.entries())
    s3.repeat = lambda operation: isinstance(operation, op.CopyObject | op.DeleteObjects | op.CompleteMultipartUpload)
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_to(s3, second, folder)
        report = apply(s3, plan, options=SMALL)
    assert report.complete, report
    assert s3.contents() == replay(happened, second)
    assert len(s3.entries()) == before + plan.summary.changes


@quick
@given(events, st.integers(0, 30), st.sampled_from(KEYS), st.booleans(), st.booleans())
def test_what_someone_writes_after_the_plan_is_left_alone_and_reported(
    happened: list[Event], second: int, key: str, honours: bool, deletes: bool
) -> None:
    s3 = MemoryS3(honours=honours)
    perform(s3, happened)
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_to(s3, second, folder)
        s3.clock += 1
        if deletes:
            s3.delete(key)
        else:
            s3.put(key, b"by someone else")
        newest = s3.buckets["bkt"].keys[key][0].entry
        report = apply(s3, plan, options=SMALL)
        touched = {step.key: step for step in plan.steps() if step.action != "keep"}
    expected = replay(happened, second)
    if key in touched and not (deletes and key not in expected) and not (deletes and key not in replay(happened)):
        assert [failed for failed, _ in report.conflicts] == [key]
    else:
        assert report.conflicts == ()
        if key not in touched or not deletes:
            assert s3.buckets["bkt"].keys[key][0].entry.version_id == newest.version_id
    assert report.failed == ()
    assert {k: v for k, v in s3.contents().items() if k != key} == {k: v for k, v in expected.items() if k != key}


@quick
@given(events)
def test_where_nothing_existed_the_restore_is_refused(happened: list[Event]) -> None:
    s3 = MemoryS3()
    perform(s3, happened)
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(Refused, match=r"nothing existed at 2023-11-14T22:13:19Z in s3://bkt/"):
            plan_to(s3, -1, folder, PlanOptions())
        assert list(Path(folder).iterdir()) == []


@quick
@given(events, st.integers(0, 30), st.booleans())
def test_without_the_servers_order_the_state_at_t_is_right_wherever_no_tie_is_named(
    happened: list[Event], second: int, honours: bool
) -> None:
    s3 = MemoryS3(honours=honours, interleaved=False)
    perform(s3, happened)
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_to(s3, second, folder)
        tied = {step.key for step in plan.steps() if Flag.TIE in step.flags}
        assert apply(s3, plan, options=SMALL).complete
    expected = replay(happened, second)
    assert {k: v for k, v in s3.contents().items() if k not in tied} == {
        k: v for k, v in expected.items() if k not in tied
    }
    for key in tied:
        assert key in s3.contents()
    assert tied <= {key for key in KEYS if could_tie(happened, key, second)}


def could_tie(happened: list[Event], key: str, second: int) -> bool:
    """Whether a write and a delete share the last second up to then in which anything befell the key."""
    mine = [event for event in happened if event.key == key and event.second <= second]
    last = {event.data is None for event in mine if event.second == mine[-1].second}
    return last == {True, False}


late = st.tuples(events, st.lists(st.integers(0, 5), min_size=25, max_size=25)).map(
    lambda drawn: [replace(event, lag=lag) for event, lag in zip(*drawn, strict=False)]
)


@quick
@given(late, st.integers(0, 30))
def test_uploads_count_from_when_they_began_and_are_named_as_unsettled(happened: list[Event], second: int) -> None:
    s3 = MemoryS3()
    perform(s3, happened)
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_to(s3, second, folder)
        unsettled = {step.key for step in plan.steps() if Flag.UNSETTLED in step.flags}
        assert apply(s3, plan, options=SMALL).complete
    listed = as_stamped(happened)
    assert s3.contents() == replay(listed, second)
    last = {event.key: event for event in listed if event.second <= second}
    assert unsettled == {key for key, event in last.items() if event.parts}


@quick
@given(late, st.integers(0, 30))
def test_settled_takes_what_stood_before_uploads_that_may_not_have_ended(happened: list[Event], second: int) -> None:
    s3 = MemoryS3()
    perform(s3, happened)
    with tempfile.TemporaryDirectory() as folder:
        restore_to(s3, second, folder, PlanOptions(allow_empty=True, settled=True))
    assert s3.contents() == replay([event for event in as_stamped(happened) if not event.parts], second)

"""The step for one key: the fewest writes that give the state at T, judged by identity, ETag or checksum only."""

import pytest

from artifact_store.history.state import Flag, KeyState
from artifact_store.restore.cost import requests_for
from artifact_store.restore.plan import (
    Action,
    Current,
    PlanOptions,
    Reason,
    Step,
    Summary,
    decide,
    decide_elsewhere,
    decide_file,
    etags_decide,
    may_be_same,
    selector,
)
from artifact_store.s3.operations import Entry

OLD = Entry("k", "v1", 10.0, is_latest=False, etag="aaa", size=5, storage_class="STANDARD_IA")
NEW = Entry("k", "v2", 20.0, is_latest=True, etag="bbb", size=5)
MARKER = Entry("k", "m1", 30.0, is_latest=True, is_marker=True)
DEFAULT = PlanOptions()


def state(then: Entry | None, now: Entry | None, *newer: Entry) -> KeyState:
    current = None if now is None or now.is_marker else now
    return KeyState("k", then, current, then, now, newer or ((now,) if now else ()))


def told(step: Step | None) -> tuple[Action, Reason] | None:
    return (step.action, step.reason) if step else None


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        (None, None, None),
        (None, MARKER, None),
        (None, NEW, (Action.DELETE, Reason.NEW)),
        (OLD, OLD, (Action.KEEP, Reason.SAME_VERSION)),
        (OLD, NEW._replace(etag="aaa"), (Action.KEEP, Reason.SAME_ETAG)),
        (OLD, NEW._replace(etag="aaa", size=6), (Action.COPY, Reason.CHANGED)),
        (OLD, NEW, (Action.COPY, Reason.CHANGED)),
        (OLD, MARKER, (Action.COPY, Reason.DELETED)),
        (OLD._replace(size=0), NEW._replace(size=0), (Action.KEEP, Reason.SAME_BYTES)),
        (OLD._replace(storage_class="GLACIER"), NEW, (Action.THAW, Reason.ARCHIVED)),
        (OLD._replace(storage_class="GLACIER", restored=True), NEW, (Action.COPY, Reason.CHANGED)),
        (
            OLD._replace(storage_class="GLACIER"),
            OLD._replace(storage_class="GLACIER"),
            (Action.KEEP, Reason.SAME_VERSION),
        ),
    ],
)
def test_the_action_follows_from_the_state_then_and_now(
    then: Entry | None, now: Entry | None, expected: tuple[Action, Reason] | None
) -> None:
    assert told(decide(state(then, now), DEFAULT)) == expected


def test_a_step_carries_what_apply_needs_to_write_safely() -> None:
    step = decide(state(OLD, NEW)._replace(flags=frozenset({Flag.UNSETTLED, Flag.EDGE})), DEFAULT)
    assert step == Step(
        Action.COPY,
        "k",
        Reason.CHANGED,
        version_id="v1",
        etag="aaa",
        size=5,
        last_modified=10.0,
        storage_class="STANDARD_IA",
        current=Current("v2", "bbb", 5),
        flags=(Flag.EDGE, Flag.UNSETTLED),
    )


def test_markers_are_removed_only_where_asked_and_only_where_nothing_else_came_after() -> None:
    undelete = PlanOptions(undelete=True)
    older = MARKER._replace(version_id="m0", is_latest=False)
    step = decide(state(OLD, MARKER, MARKER, older), undelete)
    assert step is not None
    assert (step.action, step.markers) == (Action.UNDELETE, ("m1", "m0"))
    assert told(decide(state(OLD, MARKER, MARKER, NEW), undelete)) == (Action.COPY, Reason.DELETED)
    assert told(decide(state(OLD, MARKER, MARKER), DEFAULT)) == (Action.COPY, Reason.DELETED)


def test_an_archived_version_under_markers_needs_no_thaw_to_be_undeleted() -> None:
    archived = OLD._replace(storage_class="DEEP_ARCHIVE")
    assert told(decide(state(archived, MARKER), PlanOptions(undelete=True))) == (Action.UNDELETE, Reason.DELETED)


def test_keep_new_keeps_what_did_not_exist_and_still_restores_what_did() -> None:
    keep = PlanOptions(keep_new=True)
    assert told(decide(state(None, NEW), keep)) == (Action.KEEP, Reason.KEPT_NEW)
    assert told(decide(state(OLD, NEW), keep)) == (Action.COPY, Reason.CHANGED)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (None, (Action.COPY, Reason.MISSING)),
        (MARKER, (Action.COPY, Reason.MISSING)),
        (NEW._replace(etag="aaa"), (Action.KEEP, Reason.SAME_ETAG)),
        (NEW._replace(version_id="v1"), (Action.COPY, Reason.CHANGED)),
    ],
)
def test_elsewhere_only_content_counts_since_version_ids_are_another_buckets(
    there: Entry | None, expected: tuple[Action, Reason]
) -> None:
    assert told(decide_elsewhere(state(OLD, NEW), "t", there)) == expected


def test_elsewhere_what_was_absent_is_no_step() -> None:
    assert decide_elsewhere(state(None, NEW), "t", None) is None
    assert decide_file(state(None, NEW), "t", None) is None


def test_a_folder_that_is_there_is_kept() -> None:
    folder = OLD._replace(key="d/", size=0)
    assert told(decide_file(state(folder, folder), "d/", Current(size=4096))) == (Action.KEEP, Reason.SAME_BYTES)
    assert told(decide_file(state(folder, folder), "d/", None)) == (Action.COPY, Reason.MISSING)


@pytest.mark.parametrize(
    ("then", "now", "unsure", "by_etag"),
    [
        ("aaa", "bbb", True, True),
        ("aaa-2", "bbb", True, False),
        ("aaa", "bbb-2", True, False),
        ("aaa-2", "bbb-2", True, False),
    ],
)
def test_different_etags_of_one_size_are_asked_about_unless_both_are_md5s(
    then: str, now: str, unsure: bool, by_etag: bool
) -> None:
    step = decide(state(OLD._replace(etag=then), NEW._replace(etag=now)), DEFAULT)
    assert step is not None
    assert (may_be_same(step), etags_decide(step)) == (unsure, by_etag)


def test_different_sizes_are_never_asked_about() -> None:
    step = decide(state(OLD, NEW._replace(size=6)), DEFAULT)
    assert step is not None
    assert not may_be_same(step)


@pytest.mark.parametrize(
    ("include", "exclude", "chosen"),
    [
        ((), (), ["a.bin", "d/a.bin", "d/b.json"]),
        (("*.bin",), (), ["a.bin", "d/a.bin"]),
        (("d/*",), ("*.json",), ["d/a.bin"]),
        ((), ("*",), []),
    ],
)
def test_globs_choose_keys_and_a_star_crosses_folders(
    include: tuple[str, ...], exclude: tuple[str, ...], chosen: list[str]
) -> None:
    selected = selector(PlanOptions(include=include, exclude=exclude))
    assert [key for key in ("a.bin", "d/a.bin", "d/b.json") if selected(key)] == chosen


def test_a_summary_adds_up_what_a_plan_does() -> None:
    summary = Summary()
    copied = Step(Action.COPY, "a", Reason.CHANGED, "v", "e", 10, current=Current("w", "f", 7), flags=(Flag.EDGE,))
    for step in (
        copied,
        Step(Action.COPY, "b", Reason.DELETED, "v", "e", 20, current=Current("m", is_marker=True)),
        *[Step(Action.DELETE, f"n{i}", Reason.NEW, current=Current("w", "f", 1)) for i in range(1001)],
        Step(Action.UNDELETE, "u", Reason.DELETED, "v", "e", 5, markers=("m1", "m2")),
        Step(Action.THAW, "t", Reason.ARCHIVED, "v", "e", 40, current=Current("w", "f", 7)),
        Step(Action.KEEP, "k", Reason.SAME_ETAG, "v", "e", 80),
    ):
        summary.add(step, requests_for(step, to_folder=False))
    assert summary.counts == {
        Action.KEEP: 1,
        Action.COPY: 2,
        Action.DELETE: 1001,
        Action.UNDELETE: 1,
        Action.THAW: 1,
    }
    assert (summary.changes, summary.copied_bytes, summary.added_bytes) == (1004, 30, 30)
    assert (summary.hidden, summary.hidden_bytes, summary.thaw_bytes) == (1002, 1008, 40)
    assert summary.same_content == 1
    # Two copies, a thaw, a look after the undelete; two bulk deletes and one of markers; two times two for conditions.
    assert summary.requests == 4 + 3 + 4
    assert (summary.flagged, summary.samples) == ({Flag.EDGE: 1}, {Flag.EDGE: ["a"]})
    assert Summary.from_json(summary.as_json()) == summary


def test_a_file_that_is_written_over_is_lost_and_not_hidden() -> None:
    summary = Summary(to_folder=True)
    for current in (Current("i-1", size=7), None):
        summary.add(Step(Action.COPY, "a", Reason.CHANGED, "v", "e", 10, current=current, target="a"))
    assert (summary.hidden, summary.overwritten, summary.overwritten_bytes) == (0, 1, 7)


MIB = 1024**2


@pytest.mark.parametrize(
    ("etag", "size", "to_folder", "expected"),
    [
        ("e", 10, False, 1),
        ("e-9", 72 * MIB, False, 3 + 2 + 9),
        ("e", 6 * 1024 * MIB, False, 1 + 2 + 24),
        ("e", 0, True, 0),
        ("e", 1, True, 1),
        ("e-9", 72 * MIB, True, 9),
        ("e", 72 * MIB + 1, True, 10),
    ],
)
def test_a_copy_costs_its_parts_and_a_download_its_ranges(etag: str, size: int, to_folder: bool, expected: int) -> None:
    step = Step(Action.COPY, "k", Reason.CHANGED, "v", etag, size, target="k")
    assert requests_for(step, to_folder=to_folder) == expected

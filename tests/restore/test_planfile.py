"""A plan file is read back as it was written, appears whole, and is refused once it was touched."""

from dataclasses import replace
from pathlib import Path

import pytest

from artifact_store.errors import Refused, UsageError
from artifact_store.history.state import Flag
from artifact_store.restore.destination import ToBucket, ToFolder
from artifact_store.restore.plan import Action, Current, PlanOptions, Reason, Step
from artifact_store.restore.planfile import Header, read_plan, write_plan

HEADER = Header("b", "models/m-1", False, 1000.0, 2000.0, "0.1.0", PlanOptions(include=("*.bin",), keep_new=True))
STEPS = [
    Step(Action.KEEP, "a\n\u2028", Reason.SAME_VERSION, "v", "e", 3, 5.0, "GLACIER"),
    Step(Action.COPY, "ü/%41", Reason.CHANGED, "v", "e-2", 3, 5.0, current=Current("w", "f", 3), flags=(Flag.TIE,)),
    Step(Action.DELETE, "n", Reason.NEW, current=Current("w", "f", 3)),
    Step(
        Action.UNDELETE, "u", Reason.DELETED, "v", "e", 0, 5.0, current=Current("m", is_marker=True), markers=("m", "l")
    ),
    Step(Action.COPY, "z", Reason.MISSING, "v", "e", 1, 5.0, target="t/z"),
]


def test_steps_and_header_come_back_as_they_were(tmp_path: Path) -> None:
    written = write_plan(tmp_path / "plan", HEADER, STEPS)
    plan = read_plan(tmp_path / "plan")
    assert plan == written
    assert list(plan.steps()) == STEPS
    assert list(plan.numbered(Action.COPY)) == [(1, STEPS[1]), (4, STEPS[4])]
    assert plan.summary.changes == 4
    assert (plan.header.bucket, plan.header.instant, plan.header.options) == ("b", 1000.0, HEADER.options)


@pytest.mark.parametrize("place", [ToBucket("other", "p/"), ToBucket("other"), ToFolder(Path("/data/x"))])
def test_the_destination_comes_back(tmp_path: Path, place: ToBucket | ToFolder) -> None:
    write_plan(tmp_path / "plan", replace(HEADER, destination=place), [])
    assert read_plan(tmp_path / "plan").header.destination == place


@pytest.mark.parametrize(
    ("old", "new"), [(b'"key":"n"', b'"key":"m"'), (b'{"action":"delete"', b'{"action":"keep"'), (b'"e-2"', b'"e-3"')]
)
def test_an_edited_plan_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "plan"
    write_plan(path, HEADER, STEPS)
    text = path.read_bytes()
    assert old in text
    path.write_bytes(text.replace(old, new))
    with pytest.raises(Refused, match="damaged or was edited"):
        read_plan(path)


def test_a_cut_off_plan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    write_plan(path, HEADER, STEPS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Refused, match="damaged or was edited"):
        read_plan(path)


def test_a_plan_changed_after_it_was_opened_is_refused_while_read(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    plan = write_plan(path, HEADER, STEPS)
    path.write_bytes(path.read_bytes().replace(b'"key":"n"', b'"key":"m"'))
    with pytest.raises(Refused, match="was changed while it was read"):
        list(plan.steps())


@pytest.mark.parametrize("text", [b"", b"{}\n", b"[]\n", b'{"format":"other 9"}\n', b"\xff\n"])
def test_what_is_no_plan_is_a_usage_error(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "plan"
    path.write_bytes(text)
    with pytest.raises(UsageError, match="is not a plan of this program"):
        read_plan(path)


def test_a_missing_plan_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read plan .*: No such file"):
        read_plan(tmp_path / "plan")


def test_a_plan_that_fails_half_way_leaves_no_file_and_keeps_the_former_one(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    write_plan(path, HEADER, STEPS[:1])
    before = path.read_bytes()

    def steps():
        yield STEPS[0]
        raise Refused("no")

    with pytest.raises(Refused):
        write_plan(path, HEADER, steps())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]

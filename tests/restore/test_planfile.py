"""A plan file is read back as it was written, appears whole, and is refused once it was touched."""

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
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
    ("old", "new"),
    [
        (b'"key":"n"', b'"key":"m"'),
        (b'{"action":"delete"', b'{"action":"keep"'),
        (b'"e-2"', b'"e-3"'),
        (b'"bucket":"b"', b'"bucket":"c"'),
        (b'"prefix":"models/m-1"', b'"prefix":"models"'),
        (b'"raw":false', b'"raw":true'),
        (b'"instant":1000.0', b'"instant":1001.0'),
        (b'"made_at":2000.0', b'"made_at":2001.0'),
        (b'"made_by":"0.1.0"', b'"made_by":"0.1.1"'),
        (b'"keep_new":true', b'"keep_new":false'),
        (b'"include":["*.bin"]', b'"include":[]'),
        (b'"destination":""', b'"destination":"/tmp"'),
        (b'"delete":1', b'"delete":2'),
        (b'"hidden":2', b'"hidden":0'),
        (b'"digest":"', b'"digest":"0'),
    ],
)
def test_an_edited_plan_is_refused_wherever_it_was_edited(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "plan"
    write_plan(path, HEADER, STEPS)
    text = path.read_bytes()
    assert text.count(old) == 1
    path.write_bytes(text.replace(old, new))
    with pytest.raises(Refused, match="damaged or was edited"):
        read_plan(path)


def forged(path: Path, header: dict[str, object], lines: list[bytes]) -> None:
    """A plan with a digest that fits."""
    header = {name: value for name, value in header.items() if name != "digest"}
    plain = json.dumps(header, separators=(",", ":")).encode() + b"\n"
    digest = sha256(plain + sha256(b"".join(lines)).digest()).hexdigest()
    first = json.dumps({**header, "digest": digest}, separators=(",", ":")).encode() + b"\n"
    path.write_bytes(first + b"".join(lines))


def parts_of(path: Path) -> tuple[dict[str, object], list[bytes]]:
    first, *lines = path.read_bytes().splitlines(keepends=True)
    return json.loads(first), lines


def test_a_plan_put_together_by_the_same_rules_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    write_plan(path, HEADER, STEPS)
    whole = path.read_bytes()
    forged(path, *parts_of(path))
    assert path.read_bytes() == whole
    assert list(read_plan(path).steps()) == STEPS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'{"action":"copy"', b'{ "action":"copy"'),
        (b'{"action":"copy"', b'{"action":"paint"'),
        (b'"key":"z"', b'"key":7'),
        (b'"key":"z"', b'"kee":"z"'),
        (b'"reason":"new"', b'"reason":"old"'),
        (b'"size":1', b'"size":-1'),
        (b'"size":1', b'"size":"1"'),
        (b'"last_modified":5.0,', b'"last_modified":NaN,'),
        (b'"target":"t/z"', b'"target":["t/z"]'),
        (b'"target":"t/z"', b'"target":"t/z","more":1'),
        (b'"markers":["m","l"]', b'"markers":[1]'),
        (b'"flags":["tie"]', b'"flags":["knot"]'),
        (b"}\n", b"}\n\n"),
        (b"}\n", b"} \n"),
        (b'{"action":"delete"', b'delete {"action":"delete"'),
    ],
)
def test_a_line_that_this_program_would_not_have_written_is_refused_though_the_digest_fits(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    path = tmp_path / "plan"
    write_plan(path, HEADER, STEPS)
    header, lines = parts_of(path)
    changed = b"".join(lines).replace(old, new)
    assert changed != b"".join(lines)
    forged(path, header, changed.splitlines(keepends=True))
    with pytest.raises(Refused, match=r"plan .* is damaged or was edited: line \d+ is no"):
        list(read_plan(path).steps())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bucket", 7),
        ("prefix", None),
        ("raw", "x"),
        ("instant", "x"),
        ("instant", 1e300),
        ("instant", float("nan")),
        ("made_at", []),
        ("options", {}),
        ("options", {"keep_new": True, "speed": 9}),
        ("destination", "s3://"),
        ("summary", {"counts": {}}),
        ("more", 1),
    ],
)
def test_a_header_that_this_program_would_not_have_written_is_refused_though_the_digest_fits(
    tmp_path: Path, name: str, value: object
) -> None:
    path = tmp_path / "plan"
    write_plan(path, HEADER, STEPS)
    header, lines = parts_of(path)
    forged(path, {**header, name: value}, lines)
    with pytest.raises((Refused, UsageError), match=r"is not a plan of this program|damaged or was edited"):
        read_plan(path)


def test_steps_that_do_not_add_up_to_the_summary_are_refused_though_the_digest_fits(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    write_plan(path, HEADER, STEPS)
    header, lines = parts_of(path)
    forged(path, header, lines[:-1])
    with pytest.raises(Refused, match="damaged or was edited"):
        read_plan(path)


@pytest.mark.parametrize("name", ["missing/plan", "file/plan", "", "folder"])
def test_a_plan_that_cannot_be_written_is_named_before_the_first_step_is_asked_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    def steps() -> Iterator[Step]:
        raise AssertionError("asked for")
        yield

    path = tmp_path / name if name else Path()
    with pytest.raises(UsageError, match=r"^cannot write plan ") as told:
        write_plan(path, HEADER, steps())
    assert str(path) in str(told.value)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "folder"]


def test_a_plan_is_written_beside_itself_and_not_where_temporary_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no such folder"))
    assert write_plan(tmp_path / "plan", HEADER, STEPS).summary.changes == 4
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]


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


@pytest.mark.parametrize("text", [b"", b"{}\n", b"[]\n", b'{"format":"other 9"}\n', b"\xff\n", b"[" * 200_000])
def test_what_is_no_plan_is_a_usage_error(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "plan"
    path.write_bytes(text)
    with pytest.raises(UsageError, match="is not a plan of this program"):
        read_plan(path)


def test_a_lock_file_and_a_plan_of_another_version_are_told_apart_from_what_is_no_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    path.write_text('{\n  "format": "artifact-store lock 1",\n  "files": []\n}\n')
    with pytest.raises(UsageError, match=r"is a lock file, not a plan; restore, get and verify take it with --lock$"):
        read_plan(path)
    for other in ("artifact-store plan 1", "artifact-store plan 3"):
        path.write_text(f'{{"format":"{other}"}}\n')
        told = f"is of the format '{other}', and this program reads 'artifact-store plan 2'; make the plan again"
        with pytest.raises(UsageError, match=told):
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

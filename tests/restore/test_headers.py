"""What came back of a whole model is read where it was written: weights, what lists them, and what was undeleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifact_store.errors import S3Error
from artifact_store.history.scope import parse_scope
from artifact_store.restore.apply import apply
from artifact_store.restore.headers import read_back
from artifact_store.restore.plan import PlanOptions
from artifact_store.restore.planfile import Plan
from artifact_store.restore.planner import make_plan
from artifact_store.restore.verify import verify
from artifact_store.s3 import operations as op
from tests.history.saver import INDEX, PREFIX, T0, Model, name
from tests.restore.memory import MemoryS3
from tests.restore.support import SMALL


def plan(s3: MemoryS3, folder: Path, **options: object) -> Plan:
    return make_plan(s3, parse_scope("s3://bkt"), T0 + 5000, folder / "plan", options=PlanOptions(**options))


@pytest.fixture
def model() -> Model:
    made = Model(2)
    made.s3.put(PREFIX + "notes.xyz", b"\x00\x01", time=T0)
    made.s3.put(PREFIX + "config.json", b"{}", time=T0)
    made.save(1, T0)
    made.s3.clock = T0 + 90_000
    return made


def files(model: Model) -> list[str]:
    return [PREFIX + path for path in ("config.json", name(0, 2), name(1, 2), INDEX)]


@pytest.mark.parametrize("undelete", [False, True])
def test_all_that_came_back_of_a_whole_model_is_read(model: Model, undelete: bool, tmp_path: Path) -> None:
    for key in (*files(model), PREFIX + "notes.xyz"):
        model.s3.delete(key)
    made = plan(model.s3, tmp_path, undelete=undelete)
    assert apply(model.s3, made, options=SMALL).complete
    assert sorted(key for key, _ in read_back(model.s3, made)) == sorted(files(model))
    found = verify(model.s3, made)
    assert (found.proved, found.headers, found.unread) == (True, 4, 0)


@pytest.mark.parametrize("broken", [name(1, 2), INDEX])
def test_a_copy_that_is_no_whole_file_is_wrong(model: Model, broken: str, tmp_path: Path) -> None:
    model.save(2, T0 + 10_000)
    model.s3.clock = T0 + 90_000
    made = plan(model.s3, tmp_path)
    assert apply(model.s3, made, options=SMALL).complete
    stored = model.s3.buckets["bkt"].keys[PREFIX + broken][0]
    stored.data = bytes(len(stored.data))
    assert [key for key, finding in read_back(model.s3, made) if finding.problem] == [PREFIX + broken]
    assert [key for key, _ in verify(model.s3, made).wrong] == [PREFIX + broken]


def test_what_was_wrong_with_a_config_at_t_is_no_fault_of_its_copy(model: Model, tmp_path: Path) -> None:
    extra = PREFIX + "preprocessor_config.json"
    model.s3.put(extra, b"{", time=T0 + 1)
    model.s3.put(extra, b"{}", time=T0 + 50_000)
    model.s3.put(PREFIX + name(0, 2), b"other", time=T0 + 50_000)
    made = plan(model.s3, tmp_path, models="as-is")
    assert apply(model.s3, made, options=SMALL).complete
    assert verify(model.s3, made).proved


def test_what_may_not_be_read_is_not_wrong_and_is_counted(model: Model, tmp_path: Path) -> None:
    model.save(2, T0 + 10_000)
    model.s3.clock = T0 + 90_000
    made = plan(model.s3, tmp_path)
    assert apply(model.s3, made, options=SMALL).complete

    def deny(sent: op.Operation) -> None:
        if isinstance(sent, op.GetObject) and sent.key == PREFIX + INDEX:
            raise S3Error("no", status=403, code="AccessDenied")

    model.s3.before = deny
    found = verify(model.s3, made)
    assert (found.proved, found.headers, found.unread) == (True, 2, 1)

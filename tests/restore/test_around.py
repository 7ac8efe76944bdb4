"""What lies around a scope is known, or said to be unknown."""

from __future__ import annotations

import pytest

from artifact_store.history.scope import parse_scope
from artifact_store.restore.around import DENIED, LARGE, Part, Unknown, above, parts
from artifact_store.s3 import operations as op
from tests.model_files import hf_sharded
from tests.restore.memory import MemoryS3, s3_error

T = 1_000_000


def found(s3: MemoryS3, address: str, keys: list[str], *, cut: bool) -> tuple[list[Part], list[Unknown]]:
    return parts(s3, parse_scope(address), keys, T, cut=cut, now=T)


@pytest.fixture
def s3() -> MemoryS3:
    made = MemoryS3()
    for path, data in {**hf_sharded(1, 2), "config.json": b"{}"}.items():
        made.put(f"a/b/c/m/{path}", data, time=T)
    return made


SHARD = "a/b/c/m/model-00001-of-00002.safetensors"


@pytest.mark.parametrize(
    ("address", "cut", "folders"),
    [
        ("s3://bkt", False, []),
        ("s3://bkt/m", False, [""]),
        ("s3://bkt/a/b/c/m/x", False, ["a/b/c/m/", "a/b/c/", "a/b/"]),
        ("s3://bkt/a/b/c/m/x", True, ["a/b/c/", "a/b/", "a/"]),
        ("s3://bkt/a/b/c/m/x*", True, ["a/b/c/", "a/b/", "a/"]),
        ("s3://bkt/a/b/c/m/x*", False, ["a/b/c/m/", "a/b/c/", "a/b/"]),
        ("s3://bkt/a/b/c/m/*", False, ["a/b/c/", "a/b/", "a/"]),
        ("s3://bkt/x*", False, [""]),
    ],
)
def test_the_folders_above_a_scope_are_few_and_the_innermost_first(address: str, cut: bool, folders: list[str]) -> None:
    assert list(above(parse_scope(address), cut=cut)) == folders


def test_a_model_that_a_key_is_of_is_found_and_one_beside_is_not(s3: MemoryS3) -> None:
    s3.put("a/b/c/m/other.keras", b"?", time=T)
    (part,), unknown = found(s3, f"s3://bkt/{SHARD}", [SHARD], cut=True)
    assert (part.model.title, part.model.found.layout, part.files, part.of) == ("a/b/c/m/", "transformers", 1, 4)
    assert (part.complete, unknown) == (False, [])
    assert found(s3, "s3://bkt/a/b/c/m", [SHARD], cut=False) == ([], [])


def test_what_only_lies_beside_is_not_read(s3: MemoryS3) -> None:
    for number in range(3):
        s3.put(f"a/b/c/m/other{number}.keras", b"?", time=T)
    s3.sent.clear()
    found(s3, f"s3://bkt/{SHARD}", [SHARD], cut=True)
    assert {one.key for one in s3.sent if isinstance(one, op.GetObject)} == {
        f"a/b/c/m/{path}" for path in (*hf_sharded(1, 2), "config.json")
    }


def test_a_folder_that_cannot_be_judged_is_named_with_the_reason(s3: MemoryS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artifact_store.restore.around.FILES_A_FOLDER", 3)
    _, (unknown,) = found(s3, f"s3://bkt/{SHARD}", [SHARD], cut=True)
    assert (unknown.folder, unknown.layouts, unknown.why) == ("a/b/c/m/", ("transformers",), LARGE)

    def denied(operation: op.Operation) -> None:
        if isinstance(operation, op.ListVersions) and operation.prefix == "a/b/c/":
            raise s3_error(403, "AccessDenied")

    monkeypatch.undo()
    s3.before = denied
    (part,), (unknown,) = found(s3, f"s3://bkt/{SHARD}", [SHARD], cut=True)
    assert part.model.whole
    assert (unknown.folder, unknown.layouts, unknown.why) == ("a/b/c/", (), DENIED)

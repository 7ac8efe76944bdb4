"""Proof: what a listing of current objects shows is what counts, on servers of every order."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from artifact_store.formats.finding import Finding
from artifact_store.history.scope import Scope
from artifact_store.restore.apply import apply
from artifact_store.restore.planner import make_plan
from artifact_store.restore.verify import verify
from artifact_store.s3 import operations as op
from tests.restore.memory import MemoryS3

BUCKET = "bkt"


class TreeOrder(MemoryS3):
    """Lists current objects folder by folder, so that `m/` comes before `m-0/`, as some servers do."""

    def _answer(self, operation: op.Operation) -> Any:
        if not isinstance(operation, op.ListObjects):
            return super()._answer(operation)
        page: op.VersionPage = super()._answer(op.ListObjects(operation.bucket, operation.prefix))
        entries = sorted(page.entries, key=lambda entry: entry.key.split("/"))
        at = next((i + 1 for i, entry in enumerate(entries) if entry.key == operation.key_marker), 0)
        return op.VersionPage(entries[at:], [], False, "", "", page.server_time)


class Forgetful(MemoryS3):
    """Loses a key of every list of current objects."""

    def _answer(self, operation: op.Operation) -> Any:
        answer = super()._answer(operation)
        return replace(answer, entries=answer.entries[1:]) if isinstance(operation, op.ListObjects) else answer


@pytest.mark.parametrize("kind", [MemoryS3, TreeOrder, Forgetful])
def test_a_proof_finds_every_key_that_is_wrong_whatever_the_servers_order(kind: type[MemoryS3], tmp_path: Path) -> None:
    s3 = kind()
    for key in ("m/a", "m/b", "m-0/a", "z"):
        s3.put(key, b"old " + key.encode())
    then = s3.clock
    s3.clock += 10
    for key in ("m/a", "m-0/a"):
        s3.put(key, b"new")
    s3.clock += 10
    plan = make_plan(s3, Scope(BUCKET), then, tmp_path / "plan")
    assert apply(s3, plan).complete
    proof = verify(s3, plan)
    assert (proof.checked, proof.wrong) == (4, ())

    s3.clock += 10
    s3.put("m-0/a", b"changed again")
    s3.delete("m/b")
    s3.put("m-0/new", b"x")
    assert dict(verify(s3, plan).wrong) == {
        "m-0/a": "is 13 bytes, should be 9",
        "m-0/new": "exists, but not in the plan: it came after the plan was made",
        "m/b": "missing",
    }


def test_a_proof_costs_a_page_for_a_thousand_keys_however_many_versions_they_have(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for number in range(900):
        for version in range(3):
            s3.put(f"k{number:04}", b"%d" % version)
    then = s3.clock
    s3.clock += 10
    s3.put("k0000", b"new")
    plan = make_plan(s3, Scope(BUCKET), then, tmp_path / "plan")
    apply(s3, plan)
    s3.sent.clear()
    assert verify(s3, plan).checked == 900
    assert [type(operation) for operation in s3.sent] == [op.ListObjects]


def test_of_a_file_that_was_read_no_more_is_kept_than_whether_it_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header may name thousands of tensors, and a bucket may hold thousands of files."""
    s3 = MemoryS3()
    s3.put("m/a", b"1")
    plan = make_plan(s3, Scope(BUCKET), s3.clock, tmp_path / "plan")
    alive = 0

    def read_back(*_: object) -> Iterator[tuple[str, Finding]]:
        nonlocal alive
        for number in range(20):
            yield f"m/{number}", Finding(format="marked", problem="broken" if number == 3 else "", proved=number > 4)
            alive = max(alive, sum(type(one) is Finding and one.format == "marked" for one in gc.get_objects()))

    monkeypatch.setattr("artifact_store.restore.verify.read_back", read_back)
    proof = verify(s3, plan)
    assert (proof.wrong, proof.headers, proof.unread) == ((("m/3", "broken"),), 15, 5)
    assert alive == 1

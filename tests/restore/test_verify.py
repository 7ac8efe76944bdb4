"""Proof: what a listing of current objects shows is what counts, on servers of every order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize("kind", [MemoryS3, TreeOrder])
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

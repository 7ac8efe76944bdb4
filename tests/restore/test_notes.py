"""After a restore the ones who may hold old bytes are named, each with a command, and nobody to whom it does not apply."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from artifact_store.restore.destination import IN_PLACE, Destination, ToBucket, ToFolder
from artifact_store.restore.models import PlannedModel
from artifact_store.restore.notes import holders
from artifact_store.restore.plan import Action, PlanOptions, Summary
from artifact_store.restore.planfile import Header


def header(*layouts: str, destination: Destination = IN_PLACE, copies: int = 1) -> Header:
    summary = Summary()
    summary.counts[Action.COPY] = copies
    models = tuple(PlannedModel(f"repo/{layout}/", "", layout, "whole", 0.0) for layout in layouts)
    made = Header("bkt", "a b/m", False, 0.0, 0.0, "1", PlanOptions(), destination)
    return replace(made, summary=summary, models=models)


def commands(one: Header) -> list[str]:
    return [command for _, command in holders(one)]


SYNC = "aws s3 sync 's3://bkt/a b/m' DIR --exact-timestamps"
CACHE = 'python: fsspec.filesystem("s3").invalidate_cache()'
RESTART = "kubectl rollout restart deployment/NAME"


@pytest.mark.parametrize(
    ("layouts", "expected"),
    [
        ((), []),
        (("transformers",), [SYNC, CACHE, RESTART]),
        (("dcp",), [SYNC, CACHE]),
        (("triton",), [SYNC, CACHE, RESTART, "curl -X POST TRITON:8000/v2/repository/models/triton/load"]),
    ],
)
def test_each_reader_gets_its_command_where_it_applies(layouts: tuple[str, ...], expected: list[str]) -> None:
    assert commands(header(*layouts)) == expected


@pytest.mark.parametrize("elsewhere", [ToBucket("other", "x/"), ToFolder(Path("out"))])
def test_another_place_needs_no_advice(elsewhere: Destination) -> None:
    assert commands(header("transformers", destination=elsewhere)) == []


def test_where_nothing_came_back_nobody_holds_anything_old() -> None:
    assert commands(header("transformers", copies=0)) == []

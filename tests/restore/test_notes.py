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
    models = tuple(PlannedModel(f"re po/{layout}/", "", layout, "whole", 0.0) for layout in layouts)
    made = Header("bkt", "a b/m", False, 0.0, 0.0, "1", PlanOptions(), destination)
    return replace(made, summary=summary, models=models)


def commands(one: Header, account: tuple[str, ...] = (), endpoint: tuple[str, ...] = ()) -> list[str]:
    return [command for _, command in holders(one, account, endpoint)]


CACHE = 'python: fsspec.filesystem("s3").invalidate_cache()'
RESTART = "kubectl rollout restart deployment/DEPLOYMENT"
UPDATE = "aws sagemaker update-endpoint --endpoint-name ENDPOINT --endpoint-config-name NEW_CONFIG"


def sync(place: str) -> str:
    return f"aws s3 sync {place} DIR --exact-timestamps"


@pytest.mark.parametrize(
    ("layouts", "expected"),
    [
        ((), []),
        (("dvc",), []),
        (("transformers",), [sync("'s3://bkt/re po/transformers/'"), CACHE, RESTART]),
        (("lightning", "mlflow"), [sync("'s3://bkt/re po/'"), CACHE, RESTART]),
        (("dcp",), [sync("'s3://bkt/re po/dcp/'"), CACHE]),
        (("deepspeed", "dcp", "orbax", "megatron"), [sync("'s3://bkt/re po/'"), CACHE]),
        (("sagemaker",), [sync("'s3://bkt/re po/sagemaker/'"), CACHE, UPDATE]),
        (
            ("triton",),
            [
                sync("'s3://bkt/re po/triton/'"),
                CACHE,
                RESTART,
                "curl -X POST TRITON:8000/v2/repository/models/triton/load",
            ],
        ),
    ],
)
def test_each_reader_gets_its_command_where_it_applies(layouts: tuple[str, ...], expected: list[str]) -> None:
    assert commands(header(*layouts)) == expected


def test_what_was_said_of_the_account_and_the_server_is_in_the_commands_it_is_for() -> None:
    account, endpoint = ("--profile", "p", "--region", "r"), ("--endpoint-url", "http://x")
    found = commands(header("sagemaker"), account, endpoint)
    assert found[0].endswith(" --profile p --region r --endpoint-url http://x")
    assert found[-1] == f"{UPDATE} --profile p --region r"


@pytest.mark.parametrize("elsewhere", [ToBucket("other", "x/"), ToFolder(Path("out"))])
def test_another_place_needs_no_advice(elsewhere: Destination) -> None:
    assert commands(header("transformers", destination=elsewhere)) == []


def test_where_nothing_came_back_nobody_holds_anything_old() -> None:
    assert commands(header("transformers", copies=0)) == []


def test_folders_around_that_were_not_judged_make_no_advice_wider() -> None:
    around = (PlannedModel("", "", "", "unjudged", 0.0), PlannedModel("re po/", "", "dcp", "unjudged", 0.0))
    one = header("dcp")
    assert commands(replace(one, models=(*around, *one.models))) == commands(one)
    assert commands(replace(one, models=around[:1])) == []
    assert commands(replace(one, models=around)) == [sync("'s3://bkt/re po/'"), CACHE]

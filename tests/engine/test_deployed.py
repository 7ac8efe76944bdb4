"""`deployed`: the whole way from a project's folder to a store in use, and away again."""

from __future__ import annotations

import re

import pytest

from artifact_store.embedded import deploy
from artifact_store.embedded.cloud import EmbeddedAws
from tests.engine.conftest import PROJECT
from tests.engine.looking import client, everything


def test_a_throw_away_stack_says_what_deployed_it_and_is_destroyed_even_when_its_use_fails(aws: EmbeddedAws) -> None:
    """Takes 6 s: one up and one destroy of the engine."""

    def use() -> None:
        with deploy.deployed(PROJECT, "dev", aws) as result:
            assert re.fullmatch(r"pulumi v?3\.\d+\.\d+.*", result.by)
            client(aws, "s3").put_object(Bucket=result.outputs["bucket"], Key="k", Body=b"1")
            assert everything(aws)["vaults in us-east-1"] == [result.outputs["vault"]]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert everything(aws) == {}


def test_a_protected_stack_is_left_for_the_embedded_aws_to_forget(aws: EmbeddedAws) -> None:
    """Takes 4 s: one up of the engine."""
    with deploy.deployed(PROJECT, "prod", aws) as result:
        pass
    assert everything(aws)["vaults in us-west-2"] == [result.outputs["secondVault"]]
    aws.reset()
    assert everything(aws) == {}

"""The life of an embedded AWS."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from artifact_store.embedded.cloud import EmbeddedAws
from artifact_store.embedded.table import Aws


@pytest.mark.servers
def test_nothing_of_a_closed_one_is_left_for_the_next() -> None:
    """Takes 2 s: moto reads AWS's managed policies twice."""
    with EmbeddedAws("eu-central-1") as first:
        assert first.endpoint.startswith("http://127.0.0.1:")
        Aws(first.endpoint, first.region)("backup").create_backup_vault(BackupVaultName="vault")
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(first.endpoint, timeout=2)
    with EmbeddedAws("eu-central-1") as second:
        assert Aws(second.endpoint, second.region)("backup").list_backup_vaults()["BackupVaultList"] == []


def test_resetting_forgets_everything(cloud: EmbeddedAws, aws: Aws) -> None:
    aws("s3").create_bucket(Bucket="models")
    aws("backup").create_backup_vault(BackupVaultName="vault")
    cloud.reset()
    assert aws("s3").list_buckets()["Buckets"] == []
    assert aws("backup").list_backup_vaults()["BackupVaultList"] == []


def test_the_managed_policies_that_the_roles_need_are_there(
    started: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    from artifact_store.components.role import MANAGED_POLICIES

    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    started.reset()
    iam = Aws(started.endpoint, started.region)("iam")
    for path in (path for paths in MANAGED_POLICIES.values() for path in paths):
        assert iam.get_policy(PolicyArn=f"arn:aws:iam::aws:policy/{path}")["Policy"]["Arn"]

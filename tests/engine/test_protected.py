"""The stack `prod`: what the engine refuses, and what never shows in the state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import CommandError, ConfigValue, Stack

from artifact_store.embedded import deploy
from artifact_store.embedded.cloud import EmbeddedAws
from tests.engine.conftest import PROJECT
from tests.engine.looking import SECOND, Steps, client, everything, unprotect

SECRET = "on-call-nobody-may-read@example.com"


@pytest.fixture(scope="module")
def prod(aws: EmbeddedAws) -> Iterator[Stack]:
    with deploy.engine(PROJECT, "prod", aws) as stack:
        stack.set_config("artifact-store:alertEmails[0]", ConfigValue(SECRET, secret=True), path=True)
        planned = stack.preview()
        assert everything(aws) == {}
        made = stack.up()
        assert planned.change_summary == made.summary.resource_changes
        yield stack


def locks(aws: EmbeddedAws) -> dict[str, tuple[Any, ...]]:
    found = {
        region: client(aws, "backup", region).describe_backup_vault(BackupVaultName="artifact-store-prod")
        for region in (aws.region, SECOND)
    }
    return {r: (v.get("Locked"), v.get("MinRetentionDays"), v.get("MaxRetentionDays")) for r, v in found.items()}


def test_a_second_up_and_a_refresh_change_nothing(prod: Stack) -> None:
    assert set(prod.up().summary.resource_changes or {}) == {"same"}
    assert set(prod.refresh().summary.resource_changes or {}) == {"same"}


def test_both_vaults_are_locked_and_the_plan_copies_every_snapshot_to_the_second_region(
    prod: Stack, aws: EmbeddedAws
) -> None:
    outputs = prod.outputs()
    assert locks(aws) == {"us-east-1": (True, 7, 2555), "us-west-2": (True, 7, 2555)}
    rules = client(aws, "backup").get_backup_plan(BackupPlanId=outputs["planId"].value)["BackupPlan"]["Rules"]
    copies = {r["RuleName"]: [c["DestinationBackupVaultArn"] for c in r.get("CopyActions", [])] for r in rules}
    second = [outputs["secondVaultArn"].value]
    assert copies == {"continuous": [], "daily": second, "weekly": second, "monthly": second}


def test_a_secret_address_is_subscribed_and_never_in_plain_in_the_state(prod: Stack, aws: EmbeddedAws) -> None:
    subscribed = client(aws, "sns").list_subscriptions()["Subscriptions"]
    assert [s["Endpoint"] for s in subscribed] == [SECRET]
    folder = Path(prod.workspace.work_dir).parent
    files = [p for place in ("project", "state") for p in (folder / place).rglob("*") if p.is_file()]
    assert [p.name for p in files if SECRET.encode() in p.read_bytes()] == []
    (state,) = (json.loads(p.read_bytes()) for p in files if p.name == "prod.json" and p.parent.parent.name == "stacks")
    resources = state["checkpoint"]["latest"]["resources"]
    (subscription,) = (r for r in resources if r["type"].endswith(":TopicSubscription"))
    assert "ciphertext" in subscription["inputs"]["endpoint"]
    assert "ciphertext" in subscription["outputs"]["endpoint"]


def test_a_refused_destroy_deletes_nothing_that_keeps_the_promise(prod: Stack, aws: EmbeddedAws) -> None:
    outputs = prod.outputs()
    before = everything(aws)
    with pytest.raises(CommandError, match=r"(?s)cannot be deleted.*because it is protected"):
        prod.destroy()
    assert everything(aws) == before
    assert locks(aws) == {"us-east-1": (True, 7, 2555), "us-west-2": (True, 7, 2555)}
    backup, s3 = client(aws, "backup"), client(aws, "s3")
    assert len(backup.list_backup_selections(BackupPlanId=outputs["planId"].value)["BackupSelectionsList"]) == 1
    bucket = outputs["bucket"].value
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=bucket)
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    prod.up()


def test_a_lock_that_would_be_replaced_is_refused_and_stays(prod: Stack, aws: EmbeddedAws) -> None:
    wanted = {"lock": {"mode": "governance", "minDays": 14, "maxDays": 2555}}
    kept = {"lock": {"mode": "governance", "minDays": 7, "maxDays": 2555}}
    deploy.configure(prod, {"artifact-store:vault": wanted})
    try:
        with pytest.raises(CommandError, match="vault-lock"):
            prod.up()
        assert locks(aws) == {"us-east-1": (True, 7, 2555), "us-west-2": (True, 7, 2555)}
    finally:
        deploy.configure(prod, {"artifact-store:vault": kept})


def test_another_retention_of_snapshots_updates_the_plan_and_touches_no_lock(prod: Stack, aws: EmbeddedAws) -> None:
    steps = Steps()
    retention = {"pointInTimeDays": 35, "dailyDays": 120, "weeklyDays": 365, "monthlyDays": 2555}
    deploy.configure(prod, {"artifact-store:retention": retention})
    prod.up(on_event=steps)
    assert steps.of("plan") == ["update"]
    assert steps.of("vault-lock") == []
    rules = client(aws, "backup").get_backup_plan(BackupPlanId=prod.outputs()["planId"].value)["BackupPlan"]["Rules"]
    assert {r["RuleName"]: r["Lifecycle"]["DeleteAfterDays"] for r in rules} == {
        "continuous": 35,
        "daily": 120,
        "weekly": 365,
        "monthly": 2555,
    }


def test_a_customer_key_that_leaves_the_config_stays_in_aws_since_models_need_it(prod: Stack, aws: EmbeddedAws) -> None:
    kms = client(aws, "kms")
    [alias] = [name for name in everything(aws)["aliases in us-east-1"] if "models" in name]
    key = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    deploy.configure(prod, {"artifact-store:bucket": {"encryption": "SSE-S3", "denyVersionDeletion": True}})
    with pytest.raises(CommandError, match=r"(?s)models-key.*cannot be deleted.*because it is protected"):
        prod.up()
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"] == key
    for kind in ("Key", "Alias", "EncryptionKey"):
        unprotect(prod, kind)
    prod.up()
    assert [name for name in everything(aws)["aliases in us-east-1"] if "models" in name] == []
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    assert set(prod.up().summary.resource_changes or {}) == {"same"}
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def test_a_lock_is_changed_on_purpose_after_its_protection_is_taken_off(prod: Stack, aws: EmbeddedAws) -> None:
    deploy.configure(prod, {"artifact-store:vault": {"lock": {"mode": "governance", "minDays": 14, "maxDays": 2555}}})
    unprotect(prod, "VaultLockConfiguration")
    prod.up()
    assert locks(aws) == {"us-east-1": (True, 14, 2555), "us-west-2": (True, 14, 2555)}
    again = [one for one in prod.export_stack().deployment["resources"] if one["type"].endswith("LockConfiguration")]
    assert [one["protect"] for one in again] == [True, True]


def test_a_protected_stack_is_taken_down_on_purpose_by_making_it_throw_away(prod: Stack, aws: EmbeddedAws) -> None:
    deploy.configure(prod, {"artifact-store:throwAway": True, "artifact-store:bucket": {"encryption": "SSE-KMS"}})
    prod.up()
    prod.destroy()
    assert everything(aws) == {}

"""The stack `dev` from its first preview to its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pulumi.automation import PreviewResult, Stack, UpResult

from artifact_store import open_bucket
from artifact_store.embedded import deploy
from artifact_store.embedded.cloud import EmbeddedAws
from tests.engine.conftest import PROJECT
from tests.engine.looking import Steps, client, everything


@dataclass(frozen=True)
class Deployed:
    """stack: as it stands. planned, there_after_preview and made: of the very first preview and up."""

    stack: Stack
    planned: PreviewResult
    there_after_preview: dict[str, list[str]]
    made: UpResult

    @property
    def bucket(self) -> str:
        return str(self.made.outputs["bucket"].value)


@pytest.fixture(scope="module")
def dev(aws: EmbeddedAws) -> Iterator[Deployed]:
    with deploy.engine(PROJECT, "dev", aws) as stack:
        planned = stack.preview()
        there = everything(aws)
        yield Deployed(stack, planned, there, stack.up())


@pytest.fixture
def settled(dev: Deployed) -> Iterator[Deployed]:
    """What a test changes in the config or behind the engine's back is as the stack file says afterwards."""
    yield dev
    deploy.configure(dev.stack, {"artifact-store:retention": {"pointInTimeDays": 7}})
    deploy.configure(dev.stack, {"artifact-store:vault": {}, "artifact-store:alertEmails": []})
    dev.stack.up(refresh=True)


def test_a_preview_makes_nothing_and_tells_exactly_what_up_makes(dev: Deployed) -> None:
    assert dev.there_after_preview == {}
    assert set(dev.planned.change_summary) == {"create"}
    assert dev.planned.change_summary == dev.made.summary.resource_changes


def test_a_second_up_and_a_refresh_change_nothing(dev: Deployed) -> None:
    count = dev.made.summary.resource_changes
    assert count is not None
    assert dev.stack.up().summary.resource_changes == {"same": count["create"]}
    assert dev.stack.refresh().summary.resource_changes == {"same": count["create"]}


def test_the_outputs_name_what_there_is(dev: Deployed, aws: EmbeddedAws) -> None:
    outputs = {name: output.value for name, output in dev.made.outputs.items()}
    assert everything(aws)["buckets"] == [outputs["bucket"]]
    assert everything(aws)["vaults in us-east-1"] == [outputs["vault"]] == ["artifact-store-dev"]
    plan = client(aws, "backup").get_backup_plan(BackupPlanId=outputs["planId"])["BackupPlan"]
    assert [(r["RuleName"], r["EnableContinuousBackup"], r["Lifecycle"]) for r in plan["Rules"]] == [
        ("continuous", True, {"DeleteAfterDays": 7})
    ]
    (selected,) = client(aws, "backup").list_backup_selections(BackupPlanId=outputs["planId"])["BackupSelectionsList"]
    selection = client(aws, "backup").get_backup_selection(
        BackupPlanId=outputs["planId"], SelectionId=selected["SelectionId"]
    )["BackupSelection"]
    assert (selection["IamRoleArn"], selection["Resources"]) == (outputs["backupRoleArn"], [outputs["bucketArn"]])


def test_a_longer_retention_updates_plan_and_lifecycle_in_place_and_warns_of_the_history(
    settled: Deployed, aws: EmbeddedAws
) -> None:
    steps = Steps()
    deploy.configure(settled.stack, {"artifact-store:retention": {"pointInTimeDays": 14}})
    warned = "retention.pointInTimeDays: changing it from 7 to 14 stops the present continuous backup"
    assert warned in settled.stack.preview().stdout
    made = settled.stack.up(on_event=steps)
    assert warned in made.stdout
    assert steps.of("plan") == ["update"]
    assert steps.of("models-lifecycle") == ["update"]
    assert {operation for operation, _ in steps.all} == {"update"}
    plan_id = settled.made.outputs["planId"].value
    assert made.outputs["planId"].value == plan_id
    (rule,) = client(aws, "backup").get_backup_plan(BackupPlanId=plan_id)["BackupPlan"]["Rules"]
    assert rule["Lifecycle"] == {"DeleteAfterDays": 14}
    rules = client(aws, "s3").get_bucket_lifecycle_configuration(Bucket=settled.bucket)["Rules"]
    assert [r["NoncurrentVersionExpiration"] for r in rules if "NoncurrentVersionExpiration" in r] == [
        {"NoncurrentDays": 14}
    ]


def test_another_lock_is_deleted_before_it_is_made_so_that_the_vault_ends_locked(
    settled: Deployed, aws: EmbeddedAws
) -> None:
    vault = settled.made.outputs["vault"].value
    deploy.configure(
        settled.stack, {"artifact-store:vault": {"lock": {"mode": "governance", "minDays": 7, "maxDays": 30}}}
    )
    settled.stack.up()
    steps = Steps()
    deploy.configure(
        settled.stack, {"artifact-store:vault": {"lock": {"mode": "governance", "minDays": 7, "maxDays": 60}}}
    )
    settled.stack.up(on_event=steps)
    assert steps.of("vault-lock") == ["delete-replaced", "replace", "create-replacement"]
    found = client(aws, "backup").describe_backup_vault(BackupVaultName=vault)
    assert (found["Locked"], found["MinRetentionDays"], found["MaxRetentionDays"]) == (True, 7, 60)


def test_an_address_that_leaves_unsubscribes_nobody_else(settled: Deployed, aws: EmbeddedAws) -> None:
    deploy.configure(settled.stack, {"artifact-store:alertEmails": ["a@example.com", "b@example.com", "c@example.com"]})
    settled.stack.up()
    before = {s["Endpoint"]: s["SubscriptionArn"] for s in client(aws, "sns").list_subscriptions()["Subscriptions"]}
    deploy.configure(settled.stack, {"artifact-store:alertEmails": ["c@example.com", "b@example.com"]})
    settled.stack.up()
    after = {s["Endpoint"]: s["SubscriptionArn"] for s in client(aws, "sns").list_subscriptions()["Subscriptions"]}
    assert after == {address: before[address] for address in ("b@example.com", "c@example.com")}


def test_another_key_of_the_vault_is_warned_of_at_preview_since_it_deletes_the_recovery_points(
    settled: Deployed, aws: EmbeddedAws
) -> None:
    steps = Steps()
    deploy.configure(settled.stack, {"artifact-store:vault": {"encryption": "customer"}})
    warned = (
        "vault.encryption: changing it from aws to customer replaces the vault and deletes every recovery point in it"
    )
    assert warned in settled.stack.preview(on_event=steps).stdout
    assert "delete-replaced" in steps.of("vault")


def test_eventbridge_turned_off_by_hand_is_seen_and_put_back(settled: Deployed, aws: EmbeddedAws) -> None:
    s3 = client(aws, "s3")
    s3.put_bucket_notification_configuration(Bucket=settled.bucket, NotificationConfiguration={})
    seen = Steps()
    settled.stack.preview(refresh=True, on_event=seen)
    assert "update" in seen.of("models-notification")
    settled.stack.up(refresh=True)
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=settled.bucket)


def test_versioning_suspended_by_hand_is_seen_and_put_back(settled: Deployed, aws: EmbeddedAws) -> None:
    s3 = client(aws, "s3")
    s3.put_bucket_versioning(Bucket=settled.bucket, VersioningConfiguration={"Status": "Suspended"})
    assert (settled.stack.refresh().summary.resource_changes or {})["update"] == 1
    settled.stack.up()
    assert s3.get_bucket_versioning(Bucket=settled.bucket)["Status"] == "Enabled"


def test_a_vault_policy_deleted_by_hand_is_made_again(settled: Deployed, aws: EmbeddedAws) -> None:
    backup, vault = client(aws, "backup"), settled.made.outputs["vault"].value
    before = backup.get_backup_vault_access_policy(BackupVaultName=vault)["Policy"]
    backup.delete_backup_vault_access_policy(BackupVaultName=vault)
    steps = Steps()
    settled.stack.up(refresh=True, on_event=steps)
    assert "create" in steps.of("vault-policy")
    assert backup.get_backup_vault_access_policy(BackupVaultName=vault)["Policy"] == before


def test_a_restore_brings_back_a_model_in_the_bucket_the_engine_made(
    dev: Deployed, aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = client(aws, "s3")
    shards = {f"m/model-{n}-of-3.safetensors": bytes([n]) * 4096 for n in (1, 2, 3)}
    for key, body in shards.items():
        s3.put_object(Bucket=dev.bucket, Key=key, Body=body)
    made_earlier(dev.bucket, seconds=60)
    s3.put_object(Bucket=dev.bucket, Key="m/model-1-of-3.safetensors", Body=b"x" * 4096)
    s3.delete_object(Bucket=dev.bucket, Key="m/model-2-of-3.safetensors")
    s3.put_object(Bucket=dev.bucket, Key="m/stray", Body=b"stray")
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)

    bucket = open_bucket(f"s3://{dev.bucket}/m", endpoint_url=aws.endpoint)
    plan = bucket.plan("30s")
    report = plan.apply()

    assert report.complete
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=dev.bucket)["Contents"]]
    assert {key: s3.get_object(Bucket=dev.bucket, Key=key)["Body"].read() for key in keys} == shards


def made_earlier(bucket: str, *, seconds: int) -> None:
    """Age every version in a bucket of this process's moto: its clock cannot be turned back, and no test should wait."""
    from datetime import timedelta

    from moto.s3.models import s3_backends

    from artifact_store.embedded.cloud import ACCOUNT

    for key in s3_backends[ACCOUNT]["aws"].buckets[bucket].keys.values():
        key.last_modified -= timedelta(seconds=seconds)


def test_destroy_takes_everything_models_included(dev: Deployed, aws: EmbeddedAws) -> None:
    """Last in this file: nothing of the stack is left after it."""
    s3 = client(aws, "s3")
    s3.put_object(Bucket=dev.bucket, Key="k", Body=b"1")
    s3.put_object(Bucket=dev.bucket, Key="k", Body=b"2")
    s3.delete_object(Bucket=dev.bucket, Key="k")
    dev.stack.destroy()
    assert everything(aws) == {}
    assert dev.stack.export_stack().deployment.get("resources", []) == []

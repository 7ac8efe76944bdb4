"""What the embedded AWS Backup refuses, as AWS does: by its own API model, and by what its guide adds."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from artifact_store.embedded.table import Aws

DAILY = "cron(0 5 ? * * *)"


def rule(**changed: Any) -> dict[str, Any]:
    return {
        "RuleName": "r",
        "TargetBackupVaultName": "vault",
        "ScheduleExpression": DAILY,
        "Lifecycle": {"DeleteAfterDays": 35},
        **changed,
    }


def plan(aws: Aws, name: str = "plan", **changed: Any) -> str:
    made = aws("backup").create_backup_plan(BackupPlan={"BackupPlanName": name, "Rules": [rule(**changed)]})
    return str(made["BackupPlanId"])


def refused(text: str, code: str = "InvalidParameterValueException") -> Any:
    return pytest.raises(ClientError, match=f"{code}.*{text}")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"RuleName": "a b"}, "RuleName 'a b' does not match"),
        ({"RuleName": "r" * 51}, "does not match"),
        ({"StartWindowMinutes": 59}, "StartWindowMinutes must be at least 60"),
        ({"ScheduleExpression": "rate(1 day)"}, "Invalid schedule expression"),
        ({"ScheduleExpression": "cron(0 5 * * *)"}, "Invalid schedule expression"),
        ({"EnableContinuousBackup": True, "Lifecycle": {"DeleteAfterDays": 36}}, "1 to 35 days"),
        ({"EnableContinuousBackup": True, "Lifecycle": {}}, "1 to 35 days"),
        (
            {"EnableContinuousBackup": True, "Lifecycle": {"DeleteAfterDays": 35, "MoveToColdStorageAfterDays": 1}},
            "MoveToColdStorageAfterDays is unavailable",
        ),
        (
            {"Lifecycle": {"DeleteAfterDays": 119, "MoveToColdStorageAfterDays": 30}},
            "DeleteAfterDays cannot be less than 90 days apart",
        ),
    ],
)
def test_a_rule_that_aws_refuses_is_refused(aws: Aws, changed: dict[str, Any], said: str) -> None:
    with refused(said):
        plan(aws, **changed)
    assert aws("backup").list_backup_plans()["BackupPlansList"] == []


@pytest.mark.parametrize(
    "changed",
    [
        {"StartWindowMinutes": 60},
        {"EnableContinuousBackup": True, "Lifecycle": {"DeleteAfterDays": 35}},
        {"EnableContinuousBackup": True, "Lifecycle": {"DeleteAfterDays": 1}},
        {"Lifecycle": {"DeleteAfterDays": 120, "MoveToColdStorageAfterDays": 30}},
        {"RuleName": "r" * 50},
    ],
)
def test_a_rule_at_the_bound_is_taken(aws: Aws, changed: dict[str, Any]) -> None:
    assert plan(aws, **changed)


def test_an_update_is_checked_like_a_creation_and_keeps_the_plan_as_it_was(aws: Aws) -> None:
    plan_id = plan(aws)
    with refused("1 to 35 days"):
        aws("backup").update_backup_plan(
            BackupPlanId=plan_id,
            BackupPlan={
                "BackupPlanName": "plan",
                "Rules": [rule(EnableContinuousBackup=True, Lifecycle={"DeleteAfterDays": 36})],
            },
        )
    (kept,) = aws("backup").get_backup_plan(BackupPlanId=plan_id)["BackupPlan"]["Rules"]
    assert kept["Lifecycle"] == {"DeleteAfterDays": 35}


def test_the_name_of_a_deleted_plan_is_free_and_the_plan_is_gone(aws: Aws) -> None:
    first = plan(aws)
    with pytest.raises(ClientError, match="AlreadyExists"):
        plan(aws)
    aws("backup").delete_backup_plan(BackupPlanId=first)
    with refused("not found", "ResourceNotFoundException"):
        aws("backup").get_backup_plan(BackupPlanId=first)
    assert plan(aws) != first


@pytest.mark.parametrize("name", ["v", "a vault", "v" * 51])
def test_a_vault_name_outside_the_model_is_refused(aws: Aws, name: str) -> None:
    with refused("does not match"):
        aws("backup").create_backup_vault(BackupVaultName=name)


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ({"MinRetentionDays": 8, "MaxRetentionDays": 7}, "MinRetentionDays 8 is greater than MaxRetentionDays 7"),
        ({"ChangeableForDays": 2}, "ChangeableForDays must be at least 3"),
    ],
)
def test_a_lock_outside_its_bounds_is_refused_and_leaves_the_vault_open(
    aws: Aws, lock: dict[str, int], said: str
) -> None:
    aws("backup").create_backup_vault(BackupVaultName="vault")
    with refused(said):
        aws("backup").put_backup_vault_lock_configuration(BackupVaultName="vault", **lock)
    assert not aws("backup").describe_backup_vault(BackupVaultName="vault")["Locked"]


def test_a_compliance_lock_can_be_taken_back_within_its_days_and_never_after(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = aws("backup")
    lock = {"BackupVaultName": "vault", "MinRetentionDays": 7, "MaxRetentionDays": 30, "ChangeableForDays": 3}
    backup.create_backup_vault(BackupVaultName="vault")
    backup.put_backup_vault_lock_configuration(**lock)
    backup.delete_backup_vault_lock_configuration(BackupVaultName="vault")
    backup.put_backup_vault_lock_configuration(**lock)
    later = time.time() + 3 * 86_400 + 1
    monkeypatch.setattr("moto.backup.models.unix_time", lambda: later)
    with refused("immutable", "InvalidRequestException"):
        backup.delete_backup_vault_lock_configuration(BackupVaultName="vault")
    with refused("immutable", "InvalidRequestException"):
        backup.put_backup_vault_lock_configuration(**{**lock, "MaxRetentionDays": 31})
    found = backup.describe_backup_vault(BackupVaultName="vault")
    assert (found["Locked"], found["MaxRetentionDays"]) == (True, 30)


def test_a_vault_with_recovery_points_is_not_deleted(aws: Aws) -> None:
    from moto.backup.models import backup_backends

    from artifact_store.embedded.cloud import ACCOUNT

    aws("backup").create_backup_vault(BackupVaultName="vault")
    vault = backup_backends[ACCOUNT][aws.region].vaults["vault"]
    vault.num_of_recovery_points = 1
    with refused("contains recovery points", "InvalidRequestException"):
        aws("backup").delete_backup_vault(BackupVaultName="vault")
    vault.num_of_recovery_points = 0
    aws("backup").delete_backup_vault(BackupVaultName="vault")


def test_settings_go_with_their_vault(aws: Aws) -> None:
    backup = aws("backup")
    backup.create_backup_vault(BackupVaultName="vault")
    backup.put_backup_vault_access_policy(BackupVaultName="vault", Policy="{}")
    backup.delete_backup_vault(BackupVaultName="vault")
    backup.create_backup_vault(BackupVaultName="vault")
    with refused("not found", "ResourceNotFoundException"):
        backup.get_backup_vault_access_policy(BackupVaultName="vault")


@pytest.mark.parametrize("service", [None, "events.amazonaws.com"])
def test_a_selection_needs_a_role_that_aws_backup_may_assume(aws: Aws, service: str | None) -> None:
    if service:
        trust = f'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"Service": "{service}"}}, "Action": "sts:AssumeRole"}}]}}'
        aws("iam").create_role(RoleName="role", AssumeRolePolicyDocument=trust)
    wanted = {"SelectionName": "s", "IamRoleArn": "arn:aws:iam::123456789012:role/role", "Resources": ["*"]}
    with refused("cannot be assumed by AWS Backup"):
        aws("backup").create_backup_selection(BackupPlanId=plan(aws), BackupSelection=wanted)


def test_notifications_of_an_event_that_aws_does_not_know_are_refused(aws: Aws) -> None:
    aws("backup").create_backup_vault(BackupVaultName="vault")
    with refused("'NO_SUCH_EVENT' is not one of"):
        aws("backup").put_backup_vault_notifications(
            BackupVaultName="vault",
            SNSTopicArn="arn:aws:sns:us-east-1:1:topic",
            BackupVaultEvents=["NO_SUCH_EVENT"],
        )


def test_a_vault_policy_that_is_not_json_is_refused(aws: Aws) -> None:
    aws("backup").create_backup_vault(BackupVaultName="vault")
    with refused("not JSON"):
        aws("backup").put_backup_vault_access_policy(BackupVaultName="vault", Policy="{")


def test_a_restore_testing_plan_with_selections_is_not_deleted(aws: Aws) -> None:
    backup = aws("backup")
    points = {"Algorithm": "RANDOM_WITHIN_WINDOW", "IncludeVaults": ["*"], "RecoveryPointTypes": ["SNAPSHOT"]}
    test = {"RestoreTestingPlanName": "t", "ScheduleExpression": DAILY, "RecoveryPointSelection": points}
    backup.create_restore_testing_plan(RestoreTestingPlan=test)
    chosen = {"RestoreTestingSelectionName": "s", "IamRoleArn": "arn:aws:iam::1:role/r", "ProtectedResourceType": "S3"}
    backup.create_restore_testing_selection(RestoreTestingPlanName="t", RestoreTestingSelection=chosen)
    with refused("must be deleted first", "InvalidRequestException"):
        backup.delete_restore_testing_plan(RestoreTestingPlanName="t")
    backup.delete_restore_testing_selection(RestoreTestingPlanName="t", RestoreTestingSelectionName="s")
    backup.delete_restore_testing_plan(RestoreTestingPlanName="t")
    with refused("not found", "ResourceNotFoundException"):
        backup.get_restore_testing_plan(RestoreTestingPlanName="t")


def test_a_restore_testing_plan_name_outside_the_model_is_refused(aws: Aws) -> None:
    points = {"Algorithm": "RANDOM_WITHIN_WINDOW", "IncludeVaults": ["*"], "RecoveryPointTypes": ["SNAPSHOT"]}
    test = {"RestoreTestingPlanName": "a-b", "ScheduleExpression": DAILY, "RecoveryPointSelection": points}
    with refused("'a-b' is not 1 to 50 letters, digits and underscores"):
        aws("backup").create_restore_testing_plan(RestoreTestingPlan=test)


def test_tags_of_a_vault_are_listed_by_its_arn(aws: Aws) -> None:
    arn = aws("backup").create_backup_vault(BackupVaultName="vault", BackupVaultTags={"team": "ml"})["BackupVaultArn"]
    assert aws("backup").list_tags(ResourceArn=arn)["Tags"] == {"team": "ml"}

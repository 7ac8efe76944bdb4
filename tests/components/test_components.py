"""What each component registers: exact types, names, inputs, parents, options, dependencies."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from artifact_store import design
from artifact_store.components import (
    Alerts,
    BackupPlan,
    BackupRole,
    BackupVault,
    RestoreTest,
    SecondRegion,
    VersionedBucket,
)
from artifact_store.components.key import EncryptionKey
from tests.recorder import ACCOUNT, Recorder, record

BUCKET = design.Bucket(
    adopt=None,
    customer_key=False,
    deny_version_deletion=False,
    noncurrent_days=35,
    abort_uploads_days=7,
    force_destroy=False,
)
GOVERNANCE = design.Lock(mode="governance", min_days=7, max_days=365, cooling_off_days=None, confirm=None)
COMPLIANCE = design.Lock(mode="compliance", min_days=7, max_days=365, cooling_off_days=14, confirm="v")
VAULT = design.Vault(name="store-test", customer_key=False, lock=None, force_destroy=False)
RULE = design.Rule(
    name="daily",
    field="retention.dailyDays",
    schedule="cron(0 1 ? * * *)",
    timezone="Etc/UTC",
    start_window_minutes=120,
    completion_window_minutes=10_080,
    delete_after_days=90,
)
CONTINUOUS = replace(RULE, name="continuous", continuous=True, delete_after_days=35)


def component(make: Any) -> Recorder:
    return record(make)


class TestVersionedBucket:
    def test_makes_the_bucket_and_its_side_resources_as_its_own_children(self) -> None:
        found = component(lambda: VersionedBucket("models", BUCKET, protected=True))
        assert found.components["models"].type == "artifact-store:index:VersionedBucket"
        assert found.children("models") == {
            ("aws:s3/bucket:Bucket", "models"),
            ("aws:s3/bucketVersioning:BucketVersioning", "models-versioning"),
            ("aws:s3/bucketOwnershipControls:BucketOwnershipControls", "models-ownership"),
            ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "models-public-access"),
            (
                "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
                "models-encryption",
            ),
            ("aws:s3/bucketPolicy:BucketPolicy", "models-policy"),
            ("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "models-lifecycle"),
            ("aws:s3/bucketNotification:BucketNotification", "models-notification"),
        }
        assert "models" in found.completed

    def test_versioning_and_eventbridge_are_on_and_owner_is_enforced(self) -> None:
        found = component(lambda: VersionedBucket("models", BUCKET, protected=True))
        assert found["models-versioning"].inputs == {
            "bucket": "models-id",
            "versioningConfiguration": {"status": "Enabled"},
        }
        assert found["models-notification"].inputs == {"bucket": "models-id", "eventbridge": True}
        assert found["models-ownership"].inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
        assert found["models-public-access"].inputs == {
            "bucket": "models-id",
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        }

    def test_sse_s3_needs_no_key(self) -> None:
        found = component(lambda: VersionedBucket("models", BUCKET, protected=True))
        rule = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
        assert found["models-encryption"].inputs["rules"] == [rule]
        assert found.of_type("aws:kms/key:Key") == []

    def test_a_customer_key_comes_with_the_bucket_key(self) -> None:
        found = component(lambda: VersionedBucket("models", replace(BUCKET, customer_key=True), protected=True))
        assert found["models-encryption"].inputs["rules"] == [
            {
                "applyServerSideEncryptionByDefault": {
                    "sseAlgorithm": "aws:kms",
                    "kmsMasterKeyId": f"arn:aws:kms:us-east-1:{ACCOUNT}:models-key",
                },
                "bucketKeyEnabled": True,
            }
        ]
        assert found.components["models-key"].type == "artifact-store:index:EncryptionKey"

    def test_lifecycle_keeps_noncurrent_versions_as_long_as_promised_and_archives_nothing(self) -> None:
        found = component(lambda: VersionedBucket("models", BUCKET, protected=True))
        assert found["models-lifecycle"].inputs["rules"] == [
            {
                "id": "abort-unfinished-uploads",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            },
            {
                "id": "remove-what-is-not-promised",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "noncurrentVersionExpiration": {"noncurrentDays": 35},
                "expiration": {"expiredObjectDeleteMarker": True},
            },
        ]
        assert found["models-lifecycle"].dependencies == {"models", "models-versioning"}

    def test_versions_kept_for_ever_do_not_expire_and_markers_over_nothing_still_do(self) -> None:
        found = component(lambda: VersionedBucket("models", replace(BUCKET, noncurrent_days=None), protected=True))
        assert found["models-lifecycle"].inputs["rules"][1] == {
            "id": "remove-what-is-not-promised",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "expiration": {"expiredObjectDeleteMarker": True},
        }

    def test_policy_denies_plain_http_and_on_request_removal_of_versions(self) -> None:
        plain = component(lambda: VersionedBucket("models", BUCKET, protected=True))
        strict = component(
            lambda: VersionedBucket("models", replace(BUCKET, deny_version_deletion=True), protected=True)
        )
        statements = json.loads(plain["models-policy"].inputs["policy"])["Statement"]
        assert [s["Sid"] for s in statements] == ["DenyPlainHttp"]
        assert statements[0]["Resource"] == ["arn:aws:s3:::models", "arn:aws:s3:::models/*"]
        statements = json.loads(strict["models-policy"].inputs["policy"])["Statement"]
        assert statements[1] == {
            "Sid": "DenyVersionDeletion",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:DeleteObjectVersion",
            "Resource": "arn:aws:s3:::models/*",
        }
        assert plain["models-policy"].dependencies == {"models", "models-public-access"}

    def test_everything_a_backup_needs_is_as_protected_as_the_bucket(self) -> None:
        found = component(lambda: VersionedBucket("models", BUCKET, protected=True))
        assert all(r.protect for r in found.found.values())
        assert {r.name for r in found.found.values() if r.retained} == {"models"}
        assert "forceDestroy" not in found["models"].inputs

    def test_a_throw_away_bucket_is_unprotected_and_emptied_on_destroy(self) -> None:
        found = component(lambda: VersionedBucket("models", replace(BUCKET, force_destroy=True), protected=False))
        assert not any(r.protect or r.retained for r in found.found.values())
        assert found["models"].inputs["forceDestroy"] is True

    def test_an_adopted_bucket_is_imported_and_all_that_is_set_on_it_outlives_even_a_throw_away_stack(self) -> None:
        args = replace(BUCKET, adopt="old-models", customer_key=True)
        found = component(lambda: VersionedBucket("models", args, protected=False))
        assert found["models"].request.importId == "old-models"
        assert found["models"].inputs["bucket"] == "old-models"
        assert list(found["models"].request.ignoreChanges) == ["tags", "tagsAll"]
        assert (found.components["models"].retained, found.components["models-key"].retained) == (True, True)
        assert (found["models"].retained, found["models-key"].retained) == (True, True)
        assert [r.request.importId for r in found.found.values() if r.name != "models"] == [""] * 9
        key = json.loads(found["models-key"].inputs["policy"])["Statement"][0]
        assert "kms:ScheduleKeyDeletion" not in key["Action"]


class TestBackupVault:
    def make(self, args: design.Vault, **options: Any) -> Recorder:
        return component(lambda: BackupVault("vault", args, protected=options.pop("protected", True), **options))

    def test_vault_has_a_fixed_name_and_a_policy_against_loss(self) -> None:
        found = self.make(VAULT)
        assert found.children("vault") == {
            ("aws:backup/vault:Vault", "vault"),
            ("aws:backup/vaultPolicy:VaultPolicy", "vault-policy"),
        }
        assert found["vault"].inputs == {"name": "store-test"}
        assert found["vault-policy"].inputs["backupVaultName"] == "store-test"
        assert json.loads(found["vault-policy"].inputs["policy"])["Statement"] == [
            {
                "Sid": "DenyLossOfRecoveryPoints",
                "Effect": "Deny",
                "Principal": "*",
                "Action": [
                    "backup:DeleteRecoveryPoint",
                    "backup:DisassociateRecoveryPoint",
                    "backup:UpdateRecoveryPointLifecycle",
                ],
                "Resource": "*",
            }
        ]

    def test_vault_is_protected_and_retained_unless_throw_away(self) -> None:
        assert (self.make(VAULT)["vault"].protect, self.make(VAULT)["vault"].retained) == (True, True)
        gone = self.make(replace(VAULT, force_destroy=True), protected=False)
        assert (gone["vault"].protect, gone["vault"].retained) == (False, False)
        assert gone["vault"].inputs["forceDestroy"] is True

    def test_governance_lock_sets_no_cooling_off_time_since_that_would_make_it_compliance(self) -> None:
        found = self.make(replace(VAULT, lock=GOVERNANCE))
        assert found["vault-lock"].inputs == {
            "backupVaultName": "store-test",
            "minRetentionDays": 7,
            "maxRetentionDays": 365,
        }
        assert found["vault-lock"].protect is True
        assert self.make(replace(VAULT, lock=GOVERNANCE), protected=False)["vault-lock"].protect is False

    def test_compliance_lock_is_protected_anywhere_and_what_aws_reads_back_of_it_is_ignored(self) -> None:
        found = self.make(replace(VAULT, lock=COMPLIANCE), protected=False)
        assert found["vault-lock"].inputs["changeableForDays"] == 14
        assert found["vault-lock"].protect is True
        assert list(found["vault-lock"].request.ignoreChanges) == ["changeableForDays"]

    def test_another_mode_or_cooling_off_time_in_the_config_replaces_the_lock(self) -> None:
        def trigger(lock: design.Lock) -> Any:
            return self.make(replace(VAULT, lock=lock))["vault-lock"].request.replacement_trigger

        assert trigger(GOVERNANCE) == trigger(replace(GOVERNANCE, min_days=8))
        assert trigger(GOVERNANCE) != trigger(COMPLIANCE)
        assert trigger(COMPLIANCE) != trigger(replace(COMPLIANCE, cooling_off_days=30))

    def test_side_resources_named_by_the_vault_are_deleted_before_they_are_replaced(self) -> None:
        """Created first, the new lock would be removed with the old one: both are the same thing to AWS."""
        found = self.make(replace(VAULT, lock=GOVERNANCE), topic_arn="arn:aws:sns:us-east-1:1:t")
        keyed = {"vault", "vault-policy", "vault-lock", "vault-notifications"}
        assert {r.name for r in found.found.values() if r.replaced_after_delete} == keyed

    def test_notifications_name_single_objects_that_failed_and_no_event_that_aws_no_longer_sends(self) -> None:
        found = self.make(VAULT, topic_arn="arn:aws:sns:us-east-1:1:t")
        assert found["vault-notifications"].inputs == {
            "backupVaultName": "store-test",
            "snsTopicArn": "arn:aws:sns:us-east-1:1:t",
            "backupVaultEvents": ["S3_BACKUP_OBJECT_FAILED", "S3_RESTORE_OBJECT_FAILED"],
        }

    def test_customer_key_encrypts_the_vault(self) -> None:
        found = self.make(replace(VAULT, customer_key=True))
        assert found["vault"].inputs["kmsKeyArn"] == f"arn:aws:kms:us-east-1:{ACCOUNT}:vault-key"


class TestEncryptionKey:
    def statements(self, **options: Any) -> list[dict[str, Any]]:
        found = component(lambda: EncryptionKey("key", description="d", **options))
        assert found["key"].inputs["enableKeyRotation"] is True
        assert found["key"].inputs["deletionWindowInDays"] == 30
        assert found["key-alias"].inputs == {"name": "alias/artifact-store-test-key", "targetKeyId": "key-id"}
        return list(json.loads(found["key"].inputs["policy"])["Statement"])

    def test_nobody_can_delete_or_disable_the_key_of_a_protected_stack(self) -> None:
        for statement in self.statements(protected=True, services=("events.amazonaws.com",)):
            assert not {"kms:ScheduleKeyDeletion", "kms:DisableKey"} & set(statement["Action"])

    def test_the_account_can_delete_the_key_of_a_throw_away_stack(self) -> None:
        assert "kms:ScheduleKeyDeletion" in self.statements(protected=False)[0]["Action"]

    def test_services_may_only_publish_to_topics_of_this_account_and_no_source_condition_stops_eventbridge(
        self,
    ) -> None:
        statement = self.statements(protected=True, services=("events.amazonaws.com", "backup.amazonaws.com"))[1]
        assert statement == {
            "Sid": "ServicesPublishEncrypted",
            "Effect": "Allow",
            "Principal": {"Service": ["backup.amazonaws.com", "events.amazonaws.com"]},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": f"arn:aws:sns:*:{ACCOUNT}:*"}},
        }

    def test_the_account_uses_and_administers_the_key_action_by_action(self) -> None:
        administers = self.statements(protected=True)[0]
        assert administers["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        assert administers["Action"] == [
            "kms:CancelKeyDeletion",
            "kms:CreateAlias",
            "kms:CreateGrant",
            "kms:Decrypt",
            "kms:DeleteAlias",
            "kms:DescribeKey",
            "kms:DisableKeyRotation",
            "kms:EnableKey",
            "kms:EnableKeyRotation",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:ListGrants",
            "kms:ListKeyPolicies",
            "kms:ListResourceTags",
            "kms:PutKeyPolicy",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
            "kms:RetireGrant",
            "kms:RevokeGrant",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateAlias",
            "kms:UpdateKeyDescription",
        ]

    def test_a_protected_key_survives_its_removal_from_the_program(self) -> None:
        found = component(lambda: EncryptionKey("key", description="d", protected=True))
        assert (found["key"].protect, found["key"].retained) == (True, True)


class TestBackupRole:
    @pytest.mark.parametrize(
        ("purpose", "policies"),
        [
            (
                "backup",
                {
                    "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup",
                    "arn:aws:iam::aws:policy/AWSBackupServiceRolePolicyForS3Backup",
                },
            ),
            (
                "restore",
                {
                    "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForRestores",
                    "arn:aws:iam::aws:policy/AWSBackupServiceRolePolicyForS3Restore",
                },
            ),
        ],
    )
    def test_each_role_has_just_its_own_managed_policies(self, purpose: Any, policies: set[str]) -> None:
        found = component(lambda: BackupRole("role", purpose, protected=True))
        attached = found.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        assert {a.inputs["policyArn"] for a in attached} == policies
        assert json.loads(found["role"].inputs["assumeRolePolicy"])["Statement"] == [
            {"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ]

    def test_policies_are_those_of_the_partition(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Recorder, "call", lambda self, args: {"partition": "aws-cn"})
        found = component(lambda: BackupRole("role", "backup", protected=True))
        arn = found["role-s3"].inputs["policyArn"]
        assert arn == "arn:aws-cn:iam::aws:policy/AWSBackupServiceRolePolicyForS3Backup"


class TestBackupPlan:
    def make(self, **changes: Any) -> Recorder:
        def program() -> None:
            role = BackupRole("role", "backup", protected=True)
            BackupPlan(
                "plan",
                **{
                    "plan_name": "store-test",
                    "plan_rules": (CONTINUOUS, RULE),
                    "vault": "store-test",
                    "copy_vault_arn": None,
                    "bucket_arn": "arn:aws:s3:::models",
                    "role_arn": role.arn,
                    "depends_on": role.ready,
                    "protected": True,
                    **changes,
                },
            )

        return component(program)

    def test_every_rule_has_schedule_windows_lifecycle_and_the_one_vault(self) -> None:
        assert self.make()["plan"].inputs == {
            "name": "store-test",
            "rules": [
                {
                    "ruleName": "continuous",
                    "targetVaultName": "store-test",
                    "schedule": "cron(0 1 ? * * *)",
                    "scheduleExpressionTimezone": "Etc/UTC",
                    "startWindow": 120,
                    "completionWindow": 10_080,
                    "enableContinuousBackup": True,
                    "lifecycle": {"deleteAfter": 35},
                },
                {
                    "ruleName": "daily",
                    "targetVaultName": "store-test",
                    "schedule": "cron(0 1 ? * * *)",
                    "scheduleExpressionTimezone": "Etc/UTC",
                    "startWindow": 120,
                    "completionWindow": 10_080,
                    "lifecycle": {"deleteAfter": 90},
                },
            ],
        }

    def test_a_copy_has_its_own_lifecycle(self) -> None:
        found = self.make(plan_rules=(CONTINUOUS, replace(RULE, copy_days=30)), copy_vault_arn="arn:second")
        copies = [rule.get("copyActions") for rule in found["plan"].inputs["rules"]]
        assert copies == [None, [{"destinationVaultArn": "arn:second", "lifecycle": {"deleteAfter": 30}}]]

    def test_the_selection_is_the_bucket_alone_and_waits_for_the_roles_policies(self) -> None:
        selection = self.make()["plan-selection"]
        assert selection.inputs == {
            "name": "bucket",
            "planId": "plan-id",
            "iamRoleArn": f"arn:aws:iam:us-east-1:{ACCOUNT}:role",
            "resources": ["arn:aws:s3:::models"],
        }
        assert {"role-general", "role-s3"} <= selection.dependencies
        assert selection.replaced_after_delete is True

    def test_the_plan_is_protected_since_another_plan_stops_the_continuous_backup(self) -> None:
        assert self.make()["plan"].protect is True
        assert self.make(protected=False)["plan"].protect is False


class TestAlerts:
    def test_topic_is_encrypted_and_only_backup_and_eventbridge_publish(self) -> None:
        found = component(lambda: Alerts("alerts", emails=["a@example.com"], protected=True))
        assert found["alerts"].inputs == {"kmsMasterKeyId": f"arn:aws:kms:us-east-1:{ACCOUNT}:alerts-key"}
        assert json.loads(found["alerts-policy"].inputs["policy"])["Statement"] == [
            {
                "Sid": "ServicesPublish",
                "Effect": "Allow",
                "Principal": {"Service": ["backup.amazonaws.com", "events.amazonaws.com"]},
                "Action": "sns:Publish",
                "Resource": f"arn:aws:sns:us-east-1:{ACCOUNT}:alerts",
            },
            {
                "Sid": "DenyPlainHttp",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": f"arn:aws:sns:us-east-1:{ACCOUNT}:alerts",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ]

    def subscriptions(self, *emails: str, secret: bool = False) -> dict[str, tuple[str, set[str]]]:
        found = component(lambda: Alerts("alerts", emails=emails, protected=True, secret=secret))
        made = found.of_type("aws:sns/topicSubscription:TopicSubscription")
        assert all(one.protect is False for one in made)
        return {one.name: (one.inputs["endpoint"], one.secrets) for one in made}

    def test_each_address_has_a_subscription_of_its_own_that_no_other_address_renames(self) -> None:
        both = self.subscriptions("a@example.com", "b@example.com")
        assert sorted(both.values()) == [("a@example.com", set()), ("b@example.com", set())]
        assert self.subscriptions("b@example.com").items() < both.items()

    def test_a_secret_address_stays_one(self) -> None:
        assert list(self.subscriptions("a@example.com", secret=True).values()) == [("a@example.com", {"endpoint"})]

    def test_failed_expired_aborted_jobs_and_stopped_continuous_backups_are_told(self) -> None:
        found = component(lambda: Alerts("alerts", emails=[], protected=True))
        rules = found.of_type("aws:cloudwatch/eventRule:EventRule")
        patterns = {r.name: json.loads(r.inputs["eventPattern"]) for r in rules}
        assert {p["source"][0] for p in patterns.values()} == {"aws.backup"}
        assert all(set(p) == {"source", "detail-type", "detail"} and len(p["source"]) == 1 for p in patterns.values())
        assert {name: (p["detail-type"], p["detail"]) for name, p in patterns.items()} == {
            "alerts-backup-job": (
                ["Backup Job State Change"],
                {"state": ["ABORTED", "EXPIRED", "FAILED", "PARTIAL"]},
            ),
            "alerts-backup-job-issues": (
                ["Backup Job State Change"],
                {"state": ["COMPLETED"], "statusMessage": [{"exists": True}]},
            ),
            "alerts-copy-job": (["Copy Job State Change"], {"state": ["FAILED", "PARTIAL"]}),
            "alerts-restore-job": (["Restore Job State Change"], {"status": ["ABORTED", "FAILED"]}),
            "alerts-continuous-backup": (
                ["Recovery Point State Change"],
                {"status": ["EXPIRED", "PARTIAL", "STOPPED"]},
            ),
        }
        targets = found.of_type("aws:cloudwatch/eventTarget:EventTarget")
        assert {t.inputs["arn"] for t in targets} == {f"arn:aws:sns:us-east-1:{ACCOUNT}:alerts"}
        assert all("alerts-policy" in t.dependencies for t in targets)


class TestRestoreTest:
    def test_restores_the_bucket_without_acls(self) -> None:
        args = design.RestoreTest(
            name="store_test",
            schedule="cron(0 9 ? * TUE *)",
            timezone="Europe/Berlin",
            start_window_hours=8,
            selection_window_days=15,
            validation_window_hours=12,
        )

        def program() -> None:
            role = BackupRole("role", "restore", protected=True)
            RestoreTest(
                "check",
                args,
                vault_arn="arn:vault",
                bucket_arn="arn:bucket",
                role_arn="arn:role",
                depends_on=role.ready,
            )

        found = component(program)
        assert found["check"].inputs == {
            "name": "store_test",
            "scheduleExpression": "cron(0 9 ? * TUE *)",
            "scheduleExpressionTimezone": "Europe/Berlin",
            "startWindowHours": 8,
            "recoveryPointSelection": {
                "algorithm": "LATEST_WITHIN_WINDOW",
                "includeVaults": ["arn:vault"],
                "recoveryPointTypes": ["CONTINUOUS", "SNAPSHOT"],
                "selectionWindowDays": 15,
            },
        }
        assert found["check-selection"].dependencies >= {"role-general", "role-s3"}
        assert found["check-selection"].inputs == {
            "name": "bucket",
            "restoreTestingPlanName": "store_test",
            "iamRoleArn": "arn:role",
            "protectedResourceType": "S3",
            "protectedResourceArns": ["arn:bucket"],
            "restoreMetadataOverrides": {"restoreACLs": "false"},
            "validationWindowHours": 12,
        }


class TestSecondRegion:
    def test_vault_key_policy_and_lock_stand_in_the_other_region(self) -> None:
        args = replace(VAULT, customer_key=True, lock=GOVERNANCE)
        found = component(lambda: SecondRegion("second", args, region="us-west-2", protected=True))
        assert found.children("second") == {("artifact-store:index:BackupVault", "second-vault")}
        assert {r.name: r.inputs.get("region") for r in found.found.values()} == dict.fromkeys(
            (
                "second-vault",
                "second-vault-policy",
                "second-vault-lock",
                "second-vault-key",
                "second-vault-key-alias",
            ),
            "us-west-2",
        )

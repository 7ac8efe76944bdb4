"""Each resource type's life on the embedded AWS, straight through the table: made, read, changed, imported, deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from artifact_store.embedded import table
from artifact_store.embedded.table import Aws, Props
from artifact_store.errors import Refused

KINDS = table.kinds()
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
DENY = json.dumps({"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "backup:DeleteRecoveryPoint"}]})
ALLOW = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}],
    }
)
DAILY, WEEKLY = "cron(0 5 ? * * *)", "cron(0 5 ? * SUN *)"
Case = tuple[Props, Props | None]
"""(inputs, the same with what can be changed in place changed; None where nothing can)."""


def make(aws: Aws, token: str, **props: Any) -> str:
    return KINDS[token].create(aws, {"region": aws.region, **props})


def bucket(aws: Aws) -> str:
    return make(aws, "aws:s3/bucket:Bucket", bucket="models")


def vault(aws: Aws) -> str:
    return make(aws, "aws:backup/vault:Vault", name="vault")


def role(aws: Aws) -> str:
    return f"arn:aws:iam::123456789012:role/{make(aws, 'aws:iam/role:Role', name='role', assumeRolePolicy=TRUST)}"


def topic(aws: Aws) -> str:
    return make(aws, "aws:sns/topic:Topic", name="topic")


def rule(days: int, **more: Any) -> Props:
    return {"ruleName": "r", "targetVaultName": "vault", "schedule": DAILY, "lifecycle": {"deleteAfter": days}, **more}


def beside_bucket(first: Props, other: Props) -> Callable[[Aws], Case]:
    def case(aws: Aws) -> Case:
        name = bucket(aws)
        return {"bucket": name, **first}, {"bucket": name, **other}

    return case


def encryption(aws: Aws) -> Case:
    name, key = bucket(aws), make(aws, "aws:kms/key:Key", policy=ALLOW)
    plain = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
    kms = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key}}
    return {"bucket": name, "rules": [plain]}, {"bucket": name, "rules": [{**kms, "bucketKeyEnabled": True}]}


def lifecycle(days: int) -> Props:
    return {
        "rules": [
            {
                "id": "abort",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": days},
            },
            {
                "id": "expire",
                "status": "Enabled",
                "filter": {"prefix": "m/"},
                "noncurrentVersionExpiration": {"noncurrentDays": days},
                "expiration": {"expiredObjectDeleteMarker": True},
            },
        ]
    }


def vault_policy(aws: Aws) -> Case:
    name = vault(aws)
    return {"backupVaultName": name, "policy": DENY}, {"backupVaultName": name, "policy": ALLOW}


def vault_lock(aws: Aws) -> Case:
    return {"backupVaultName": vault(aws), "minRetentionDays": 7, "maxRetentionDays": 90}, None


def vault_notifications(aws: Aws) -> Case:
    events = ["BACKUP_JOB_FAILED", "S3_RESTORE_OBJECT_FAILED"]
    return {"backupVaultName": vault(aws), "snsTopicArn": topic(aws), "backupVaultEvents": events}, None


def plan(aws: Aws) -> Case:
    copy = {
        "destinationVaultArn": f"arn:aws:backup:us-west-2:1:backup-vault:{vault(aws)}",
        "lifecycle": {"deleteAfter": 9},
    }
    windows = {"startWindow": 60, "completionWindow": 480, "scheduleExpressionTimezone": "Europe/Berlin"}
    continuous = rule(35, enableContinuousBackup=True, **windows)
    return {"name": "plan", "rules": [continuous]}, {"name": "plan", "rules": [rule(90, copyActions=[copy])]}


def selection(aws: Aws) -> Case:
    plan_id = make(aws, "aws:backup/plan:Plan", name="plan", rules=[rule(7)])
    return {"name": "s", "planId": plan_id, "iamRoleArn": role(aws), "resources": ["arn:aws:s3:::models"]}, None


def restore_plan(aws: Aws) -> Case:
    points = {
        "algorithm": "LATEST_WITHIN_WINDOW",
        "includeVaults": ["*"],
        "recoveryPointTypes": ["CONTINUOUS", "SNAPSHOT"],
    }
    first = {"name": "t", "scheduleExpression": WEEKLY, "startWindowHours": 8, "recoveryPointSelection": points}
    return first, {**first, "scheduleExpression": DAILY, "recoveryPointSelection": {**points, "selectionWindowDays": 3}}


def restored(aws: Aws) -> Case:
    first, _ = restore_plan(aws)
    made = {
        "name": "s",
        "restoreTestingPlanName": make(aws, "aws:backup/restoreTestingPlan:RestoreTestingPlan", **first),
        "iamRoleArn": role(aws),
        "protectedResourceType": "S3",
        "protectedResourceArns": ["arn:aws:s3:::models"],
        "restoreMetadataOverrides": {"restoreACLs": "false"},
        "validationWindowHours": 4,
    }
    return made, {**made, "validationWindowHours": 8}


def alias(aws: Aws) -> Case:
    first, other = (make(aws, "aws:kms/key:Key", policy=ALLOW) for _ in range(2))
    return {"name": "alias/models", "targetKeyId": first}, {"name": "alias/models", "targetKeyId": other}


def attachment(aws: Aws) -> Case:
    policy = aws("iam").create_policy(PolicyName="policy", PolicyDocument=ALLOW)["Policy"]
    return {"role": role(aws).rsplit("/", 1)[1], "policyArn": policy["Arn"]}, None


def topic_policy(aws: Aws) -> Case:
    arn = topic(aws)
    return {"arn": arn, "policy": DENY}, {"arn": arn, "policy": ALLOW}


def subscription(aws: Aws) -> Case:
    return {"topic": topic(aws), "protocol": "email", "endpoint": "a@example.com"}, None


def target(aws: Aws) -> Case:
    name = make(aws, "aws:cloudwatch/eventRule:EventRule", name="rule", eventPattern='{"source": ["aws.backup"]}')
    first = {"rule": name, "arn": topic(aws)}
    return first, {**first, "arn": make(aws, "aws:sns/topic:Topic", name="other")}


ACCESS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
CASES: dict[str, Callable[[Aws], Case]] = {
    "aws:s3/bucket:Bucket": lambda aws: (
        {"bucket": "models", "tags": {"team": "vision", "cost": "7"}},
        {"bucket": "models", "tags": {"team": "speech"}},
    ),
    "aws:s3/bucketVersioning:BucketVersioning": beside_bucket(
        {"versioningConfiguration": {"status": "Enabled"}}, {"versioningConfiguration": {"status": "Suspended"}}
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": beside_bucket(
        {"rule": {"objectOwnership": "BucketOwnerEnforced"}}, {"rule": {"objectOwnership": "ObjectWriter"}}
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": beside_bucket(
        dict.fromkeys(ACCESS, True), {**dict.fromkeys(ACCESS, True), "blockPublicAcls": False}
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": encryption,
    "aws:s3/bucketPolicy:BucketPolicy": beside_bucket({"policy": DENY}, {"policy": ALLOW}),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": beside_bucket(lifecycle(7), lifecycle(8)),
    "aws:s3/bucketNotification:BucketNotification": beside_bucket({"eventbridge": True}, {"eventbridge": False}),
    "aws:backup/vault:Vault": lambda aws: ({"name": "vault", "kmsKeyArn": "arn:aws:kms:us-east-1:1:key/k"}, None),
    "aws:backup/vaultPolicy:VaultPolicy": vault_policy,
    "aws:backup/vaultLockConfiguration:VaultLockConfiguration": vault_lock,
    "aws:backup/vaultNotifications:VaultNotifications": vault_notifications,
    "aws:backup/plan:Plan": plan,
    "aws:backup/selection:Selection": selection,
    "aws:backup/restoreTestingPlan:RestoreTestingPlan": restore_plan,
    "aws:backup/restoreTestingSelection:RestoreTestingSelection": restored,
    "aws:kms/key:Key": lambda _: (
        {"description": "d", "enableKeyRotation": True, "policy": ALLOW},
        {"description": "e", "enableKeyRotation": False, "policy": ALLOW},
    ),
    "aws:kms/alias:Alias": alias,
    "aws:iam/role:Role": lambda _: (
        {"name": "role", "assumeRolePolicy": TRUST},
        {"name": "role", "assumeRolePolicy": TRUST.replace("backup.", "events.")},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": attachment,
    "aws:sns/topic:Topic": lambda _: (
        {"name": "topic", "kmsMasterKeyId": "alias/one"},
        {"name": "topic", "kmsMasterKeyId": "alias/two"},
    ),
    "aws:sns/topicPolicy:TopicPolicy": topic_policy,
    "aws:sns/topicSubscription:TopicSubscription": subscription,
    "aws:cloudwatch/eventRule:EventRule": lambda _: (
        {"name": "rule", "eventPattern": '{"source": ["aws.backup"]}', "description": "d"},
        {"name": "rule", "eventPattern": '{"source": ["aws.s3"]}', "description": "e"},
    ),
    "aws:cloudwatch/eventTarget:EventTarget": target,
}
STAYS = {"aws:s3/bucketVersioning:BucketVersioning", "aws:sns/topicPolicy:TopicPolicy"}
"""AWS has no way back to none: versioning can only be suspended, and a topic always has a policy."""
ALWAYS = {"aws:s3/bucketNotification:BucketNotification"}
"""Every bucket has it, on or off."""


def import_id(token: str, resource_id: str, props: Props) -> str:
    return f"{props['planId']}|{resource_id}" if token.endswith(":Selection") else resource_id


def test_every_type_of_the_table_is_tested_here() -> None:
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("token", sorted(KINDS))
def test_what_is_made_reads_back_as_asked_for_changes_in_place_is_imported_and_goes(aws: Aws, token: str) -> None:
    kind = KINDS[token]
    first, other = CASES[token](aws)
    assert kind.problems(first) == []
    resource_id = kind.create(aws, {**first, "region": aws.region})

    assert inputs(kind, kind.read(aws, resource_id, first)) == first
    asked = import_id(token, resource_id, first)
    own, known = kind.imports(asked)
    assert own == resource_id
    assert kind.changed(first, inputs(kind, kind.read(aws, own, known))) == []

    if other is None:
        assert set(kind.replacing(first)) == set(first)
    else:
        changed = kind.changed(first, other)
        assert changed
        assert kind.replacing(changed) == []
        assert kind.update is not None
        assert kind.changed(first, inputs(kind, kind.read(aws, resource_id, first))) == []
        kind.update(aws, resource_id, {**other, "region": aws.region})
        assert kind.changed(first, inputs(kind, kind.read(aws, resource_id, first))) == changed
        assert kind.changed(other, inputs(kind, kind.read(aws, resource_id, other))) == []

    last = {**(other or first), "region": aws.region}
    kind.remove(aws, resource_id, last)
    left = kind.read(aws, resource_id, last)
    assert (left is not None) == (token in STAYS | ALWAYS)
    kind.remove(aws, resource_id, last)


def inputs(kind: table.Kind, found: Props | None) -> Props:
    assert found is not None
    return {k: v for k, v in found.items() if k in kind.inputs}


def test_a_deleted_notification_leaves_eventbridge_off(aws: Aws) -> None:
    kind, name = KINDS["aws:s3/bucketNotification:BucketNotification"], bucket(aws)
    kind.create(aws, {"bucket": name, "eventbridge": True, "region": aws.region})
    kind.remove(aws, name, {"bucket": name, "region": aws.region})
    assert "EventBridgeConfiguration" not in aws("s3").get_bucket_notification_configuration(Bucket=name)


def test_deleted_versioning_is_suspended(aws: Aws) -> None:
    kind, name = KINDS["aws:s3/bucketVersioning:BucketVersioning"], bucket(aws)
    props = {"bucket": name, "versioningConfiguration": {"status": "Enabled"}, "region": aws.region}
    kind.remove(aws, kind.create(aws, props), props)
    assert aws("s3").get_bucket_versioning(Bucket=name)["Status"] == "Suspended"


def filled(aws: Aws) -> str:
    """A bucket with two versions, a delete marker over them, and a marker over nothing."""
    name, s3 = bucket(aws), aws("s3")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="k", Body=b"1")
    s3.put_object(Bucket=name, Key="k", Body=b"2")
    s3.delete_object(Bucket=name, Key="k")
    s3.delete_object(Bucket=name, Key="never")
    return name


def test_a_bucket_with_versions_is_deleted_only_by_force(aws: Aws) -> None:
    kind, name = KINDS["aws:s3/bucket:Bucket"], filled(aws)
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        kind.remove(aws, name, {"region": aws.region})
    assert len(aws("s3").list_object_versions(Bucket=name)["Versions"]) == 2
    kind.remove(aws, name, {"region": aws.region, "forceDestroy": True})
    assert aws("s3").list_buckets()["Buckets"] == []


def test_a_bucket_is_not_made_over_one_that_exists(aws: Aws) -> None:
    with pytest.raises(Refused, match="bucket models exists already"):
        bucket(aws), bucket(aws)


def test_a_resource_is_made_where_its_region_says(aws: Aws) -> None:
    make(aws, "aws:backup/vault:Vault", name="away", region="eu-central-1")
    kind = KINDS["aws:backup/vault:Vault"]
    assert kind.read(aws, "away", {"name": "away"}) is None
    found = kind.read(aws, "away", {"name": "away", "region": "eu-central-1"})
    assert found is not None
    assert found["arn"] == "arn:aws:backup:eu-central-1:123456789012:backup-vault:away"


def test_a_policy_against_plain_http_lets_the_loopback_in_and_another_deny_does_not(aws: Aws) -> None:
    name, s3 = bucket(aws), aws("s3")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{name}/*"}
    plain = {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Statement": [plain]}))
    s3.put_object(Bucket=name, Key="k", Body=b"1")
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Statement": [plain, deny]}))
    with pytest.raises(ClientError, match="403"):
        s3.put_object(Bucket=name, Key="k", Body=b"2")

"""Policy documents as plain data: pure functions, used by the components that own the resource.

Every Allow names its principal and its actions one by one; a wildcard principal stands only in a Deny.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Statement = dict[str, Any]

KEY_USE = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ListGrants",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RetireGrant",
    "kms:RevokeGrant",
)
KEY_ADMINISTRATION = (
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
    "kms:CancelKeyDeletion",
)
KEY_DELETION = ("kms:DisableKey", "kms:ScheduleKeyDeletion")


def document(statements: Iterable[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def assume_role(service: str) -> dict[str, Any]:
    return document([{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}])


def bucket(arn: str, *, deny_version_deletion: bool) -> dict[str, Any]:
    """No plain HTTP; on request nobody removes a version. The lifecycle rule is S3's own and not held by it."""
    statements: list[Statement] = [
        {
            "Sid": "DenyPlainHttp",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
    if deny_version_deletion:
        statements.append(
            {
                "Sid": "DenyVersionDeletion",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:DeleteObjectVersion",
                "Resource": f"{arn}/*",
            }
        )
    return document(statements)


def vault() -> dict[str, Any]:
    """Nobody deletes a recovery point or shortens its life. Source: AWS Backup guide, create-a-vault-access-policy."""
    return document(
        [
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
    )


def key(partition: str, account: str, *, deletable: bool, services: Sequence[str]) -> dict[str, Any]:
    """The account's IAM policies decide who uses the key. A key that is not `deletable` cannot be deleted or disabled
    by anyone before this policy is changed: without its key a backup is unreadable, locked or not.

    services: those that publish to an encrypted topic of the account, and use the key for nothing else. A source
    condition (aws:SourceAccount and its like) would stop EventBridge's messages (SNS guide, sns-key-management), so
    the topic is named instead."""
    administration = KEY_ADMINISTRATION + (KEY_DELETION if deletable else ())
    statements: list[Statement] = [
        {
            "Sid": "AccountAdministersAndUses",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
            "Action": sorted((*KEY_USE, *administration)),
            "Resource": "*",
        }
    ]
    if services:
        statements.append(
            {
                "Sid": "ServicesPublishEncrypted",
                "Effect": "Allow",
                "Principal": {"Service": sorted(services)},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": {
                    "ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": f"arn:{partition}:sns:*:{account}:*"}
                },
            }
        )
    return document(statements)


def topic(arn: str, services: Sequence[str]) -> dict[str, Any]:
    """Only the named services publish, and nobody over plain HTTP. Their statement has no condition, as in AWS's own
    examples (AWS Backup guide, backup-notifications; re:Post, sns-not-getting-eventbridge-notification)."""
    return document(
        [
            {
                "Sid": "ServicesPublish",
                "Effect": "Allow",
                "Principal": {"Service": sorted(services)},
                "Action": "sns:Publish",
                "Resource": arn,
            },
            {
                "Sid": "DenyPlainHttp",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ]
    )


def event_pattern(detail_type: str, detail: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {"source": ["aws.backup"], "detail-type": [detail_type], "detail": dict(detail)}

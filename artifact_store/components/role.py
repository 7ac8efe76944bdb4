"""A role that AWS Backup assumes: one to back up, one to restore.

Owns the trust and the attachments of AWS's managed policies. Two roles, because the restore policies may write to every
bucket of the account and a backup needs no such thing.
"""

from __future__ import annotations

from typing import Literal

import pulumi
import pulumi_aws as aws

from artifact_store.components import policy
from artifact_store.components.options import guarded

SERVICE = "backup.amazonaws.com"
MANAGED_POLICIES = {
    "backup": ("service-role/AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForS3Backup"),
    "restore": ("service-role/AWSBackupServiceRolePolicyForRestores", "AWSBackupServiceRolePolicyForS3Restore"),
}
"""Paths below `policy/` (AWS managed policy reference)."""


class BackupRole(pulumi.ComponentResource):
    """`ready`: the attachments that must exist before AWS Backup uses the role."""

    arn: pulumi.Output[str]
    ready: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        purpose: Literal["backup", "restore"],
        *,
        protected: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("artifact-store:index:BackupRole", name, None, guarded(opts, protected))
        child = pulumi.ResourceOptions(parent=self)
        partition = aws.get_partition_output(opts=pulumi.InvokeOutputOptions(parent=self)).partition
        role = aws.iam.Role(name, assume_role_policy=pulumi.Output.json_dumps(policy.assume_role(SERVICE)), opts=child)
        self.ready = [
            aws.iam.RolePolicyAttachment(
                f"{name}-{'s3' if 'S3' in path else 'general'}",
                role=role.name,
                policy_arn=pulumi.Output.concat("arn:", partition, ":iam::aws:policy/", path),
                opts=child,
            )
            for path in MANAGED_POLICIES[purpose]
        ]
        self.arn = role.arn
        self.register_outputs({"arn": self.arn})

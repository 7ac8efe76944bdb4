"""A customer-managed KMS key with its alias.

Owns rotation (yearly, KMS's default), the deletion window and the policy that keeps the key from being deleted while
the stack is protected.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from artifact_store.components import policy
from artifact_store.components.options import guarded

DELETION_WINDOW_DAYS = 30
"""The longest KMS allows (KMS API reference, ScheduleKeyDeletion)."""


class EncryptionKey(pulumi.ComponentResource):
    """Key and alias. services: service principals that may use it to publish to an encrypted topic. retained: whether
    it outlives the stack."""

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        description: str,
        protected: bool,
        retained: bool = False,
        region: str | None = None,
        services: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("artifact-store:index:EncryptionKey", name, None, guarded(opts, protected, retained=retained))
        caller = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self))
        partition = aws.get_partition_output(opts=pulumi.InvokeOutputOptions(parent=self))
        document = pulumi.Output.all(partition.partition, caller.account_id).apply(
            lambda known: policy.key(known[0], known[1], deletable=not (protected or retained), services=services)
        )
        key = aws.kms.Key(
            name,
            description=description,
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            policy=pulumi.Output.json_dumps(document),
            region=region,
            opts=pulumi.ResourceOptions(parent=self, protect=protected, retain_on_delete=protected or retained),
        )
        aws.kms.Alias(
            f"{name}-alias",
            name=f"alias/{pulumi.get_project()}-{pulumi.get_stack()}-{name}",
            target_key_id=key.id,
            region=region,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})

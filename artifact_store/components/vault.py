"""The vault that holds the recovery points, in one Region.

Owns its key, the policy that lets nobody delete or shorten recovery points, the lock and the notifications.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from artifact_store import design, rules
from artifact_store.components import policy
from artifact_store.components.key import EncryptionKey
from artifact_store.components.options import guarded

NOTIFIED = ("S3_BACKUP_OBJECT_FAILED", "S3_RESTORE_OBJECT_FAILED")
"""Single objects that failed are named nowhere else (AWS Backup guide, restoring-s3). Failed jobs and interrupted
continuous backups come by EventBridge: the events of failed jobs are deprecated here and send nothing (AWS Backup API
reference, PutBackupVaultNotifications), and providers refuse CONTINUOUS_BACKUP_INTERRUPTED
(hashicorp/terraform-provider-aws#43157)."""


def _points_kept(name: str, args: design.Vault) -> pulumi.ResourceHookBinding | None:
    """Warns, at preview already, of a change that deletes the recovery points of a throw-away vault; in a protected
    stack the engine refuses it. Bound to the component: a replaced vault has no hook that knows both sides."""
    if not args.force_destroy:
        return None

    def warn(change: pulumi.ResourceHookArgs) -> None:
        before, after = ((inputs or {}).get("encryption") for inputs in (change.old_inputs, change.new_inputs))
        for problem in rules.points_kept(before, after, "vault.encryption"):
            pulumi.log.warn(problem.line)

    hook = pulumi.ResourceHook(f"{name}-points-kept", warn, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceHookBinding(before_update=[hook])


class BackupVault(pulumi.ComponentResource):
    """topic_arn: where notifications go; a topic must be in the vault's own Region."""

    vault: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: design.Vault,
        *,
        protected: bool,
        region: str | None = None,
        topic_arn: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        encryption = {"encryption": "customer" if args.customer_key else "aws"}
        own = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hooks=_points_kept(name, args)))
        super().__init__("artifact-store:index:BackupVault", name, encryption, guarded(own, protected))
        # A side resource is keyed by the vault's name: created before the old one is deleted, it would be deleted with
        # it. For the lock that means an unlocked vault.
        keyed = pulumi.ResourceOptions(parent=self, delete_before_replace=True)
        key_arn = None
        if args.customer_key:
            key_arn = EncryptionKey(
                f"{name}-key",
                description="Encrypts the recovery points of an artifact store",
                protected=protected,
                region=region,
                opts=pulumi.ResourceOptions(parent=self),
            ).arn
        vault = aws.backup.Vault(
            name,
            name=args.name,
            kms_key_arn=key_arn,
            force_destroy=args.force_destroy or None,
            region=region,
            opts=pulumi.ResourceOptions(
                parent=self, protect=protected, retain_on_delete=protected, delete_before_replace=True
            ),
        )
        aws.backup.VaultPolicy(
            f"{name}-policy",
            backup_vault_name=vault.name,
            policy=pulumi.Output.json_dumps(policy.vault()),
            region=region,
            opts=keyed,
        )
        if args.lock:
            compliance = args.lock.mode == "compliance"
            aws.backup.VaultLockConfiguration(
                f"{name}-lock",
                backup_vault_name=vault.name,
                min_retention_days=args.lock.min_days,
                max_retention_days=args.lock.max_days,
                changeable_for_days=args.lock.cooling_off_days if compliance else None,
                region=region,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    delete_before_replace=True,
                    protect=True if compliance else None,
                    # A locked vault reads the cooling-off time back empty, which would plan a replacement that AWS
                    # refuses (hashicorp/terraform-provider-aws#46876). What the config says of it still counts.
                    ignore_changes=["changeableForDays"] if compliance else None,
                    replacement_trigger=[args.lock.mode, args.lock.cooling_off_days or 0],
                ),
            )
        if topic_arn is not None:
            aws.backup.VaultNotifications(
                f"{name}-notifications",
                backup_vault_name=vault.name,
                sns_topic_arn=topic_arn,
                backup_vault_events=list(NOTIFIED),
                region=region,
                # Any change of the events replaces it, and nothing is lost with it.
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True, protect=False),
            )
        self.vault, self.arn = vault.name, vault.arn
        self.register_outputs({"vault": self.vault, "arn": self.arn})

"""The store: config in, components, outputs. What is decided is decided in `artifact_store.design`."""

import pulumi

from artifact_store.components import (
    Alerts,
    BackupPlan,
    BackupRole,
    BackupVault,
    RestoreTest,
    SecondRegion,
    VersionedBucket,
)
from artifact_store.components.engine import decided

store, promise = decided(pulumi.get_stack())
kept = store.protected

bucket = VersionedBucket("models", store.bucket, protected=kept)
alerts = Alerts("alerts", emails=store.alert_emails, secret=store.secret_emails, protected=kept)
vault = BackupVault("vault", store.vault, topic_arn=alerts.topic_arn, protected=kept)
second = SecondRegion.by_config("second", store.vault, region=store.second_region, protected=kept)
backup_role = BackupRole("backup-role", "backup", protected=kept)
restore_role = BackupRole("restore-role", "restore", protected=kept)
plan = BackupPlan(
    "plan",
    plan_name=store.plan_name,
    plan_rules=store.rules,
    vault=vault.vault,
    copy_vault_arn=second.arn,
    bucket_arn=bucket.arn,
    role_arn=backup_role.arn,
    depends_on=[*backup_role.ready, *bucket.ready],
    protected=kept,
)
RestoreTest.by_config(
    "restore-test",
    store.restore_test,
    vault_arn=vault.arn,
    bucket_arn=bucket.arn,
    role_arn=restore_role.arn,
    depends_on=restore_role.ready,
)

pulumi.export("bucket", bucket.bucket)
pulumi.export("bucketArn", bucket.arn)
pulumi.export("region", store.region)
pulumi.export("vault", vault.vault)
pulumi.export("vaultArn", vault.arn)
pulumi.export("secondVault", second.vault)
pulumi.export("secondVaultArn", second.arn)
pulumi.export("planId", plan.plan_id)
pulumi.export("backupRoleArn", backup_role.arn)
pulumi.export("restoreRoleArn", restore_role.arn)
pulumi.export("topicArn", alerts.topic_arn)
pulumi.export("promise", promise)

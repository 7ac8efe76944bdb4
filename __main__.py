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

store, promised = decided(pulumi.get_stack())

bucket = VersionedBucket("models", store.bucket, protected=store.protected)
alerts = Alerts("alerts", emails=store.alert_emails, secret=store.secret_emails, protected=store.protected)
vault = BackupVault("vault", store.vault, protected=store.protected, topic_arn=alerts.topic_arn)
second = (
    SecondRegion("second", store.vault, region=store.second_region, protected=store.protected)
    if store.second_region
    else None
)
backup_role = BackupRole("backup-role", "backup", protected=store.protected)
restore_role = BackupRole("restore-role", "restore", protected=store.protected)
plan = BackupPlan(
    "plan",
    plan_name=store.plan_name,
    rules=store.rules,
    vault=vault.vault,
    copy_vault_arn=second.arn if second else None,
    bucket_arn=bucket.arn,
    role_arn=backup_role.arn,
    depends_on=[*backup_role.ready, *bucket.ready],
    protected=store.protected,
)
if store.restore_test:
    RestoreTest(
        "restore-test", store.restore_test, vault_arn=vault.arn, bucket_arn=bucket.arn, role_arn=restore_role.arn
    )

pulumi.export("bucket", bucket.bucket)
pulumi.export("bucketArn", bucket.arn)
pulumi.export("region", store.region)
pulumi.export("vault", vault.vault)
pulumi.export("vaultArn", vault.arn)
pulumi.export("secondVault", second.vault if second else None)
pulumi.export("secondVaultArn", second.arn if second else None)
pulumi.export("planId", plan.plan_id)
pulumi.export("backupRoleArn", backup_role.arn)
pulumi.export("restoreRoleArn", restore_role.arn)
pulumi.export("topicArn", alerts.topic_arn)
pulumi.export("promise", [row.export() for row in promised])

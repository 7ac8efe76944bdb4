"""The bucket that holds the models, ready to be backed up and restored to any second.

Owns versioning, ownership, public access, encryption, policy, lifecycle and EventBridge. Refuses transitions to archive
classes: archived objects are not backed up.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from artifact_store import design
from artifact_store.components import policy
from artifact_store.components.key import EncryptionKey
from artifact_store.components.options import guarded

OWNERSHIP = "BucketOwnerEnforced"
"""No ACLs: a restore job that brings ACLs into such a bucket fails (AWS Backup guide, restoring-s3)."""


class VersionedBucket(pulumi.ComponentResource):
    """`ready`: the resources a backup needs before it can start (versioning and EventBridge).

    An adopted bucket was there before the stack and stays when it goes, with its models and with all that was set on it
    here, the key that encrypts it included.
    """

    bucket: pulumi.Output[str]
    arn: pulumi.Output[str]
    ready: list[pulumi.Resource]

    def __init__(
        self, name: str, args: design.Bucket, *, protected: bool, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        adopted = args.adopt is not None
        super().__init__("artifact-store:index:VersionedBucket", name, None, guarded(opts, protected, retained=adopted))
        child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            name,
            bucket=args.adopt,
            force_destroy=args.force_destroy or None,
            opts=pulumi.ResourceOptions(
                parent=self,
                import_=args.adopt,
                protect=protected,
                retain_on_delete=protected or adopted,
                # Tags that an adopted bucket brings along are not the stack's to take off.
                ignore_changes=["tags", "tagsAll"] if adopted else None,
            ),
        )
        versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=bucket.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership=OWNERSHIP),
            opts=child,
        )
        access = aws.s3.BucketPublicAccessBlock(
            f"{name}-public-access",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[self._encryption(name, args, protected=protected)],
            opts=child,
        )
        aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.id,
            policy=pulumi.Output.json_dumps(
                bucket.arn.apply(lambda arn: policy.bucket(arn, deny_version_deletion=args.deny_version_deletion))
            ),
            # S3 answers 409 when policy and public access block are written at the same time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[access]),
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=_lifecycle(args),
            # Rules on noncurrent versions mean nothing before versioning is on.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        notification = aws.s3.BucketNotification(f"{name}-notification", bucket=bucket.id, eventbridge=True, opts=child)
        self.bucket, self.arn, self.ready = bucket.bucket, bucket.arn, [versioning, notification]
        self.register_outputs({"bucket": self.bucket, "arn": self.arn})

    def _encryption(
        self, name: str, args: design.Bucket, *, protected: bool
    ) -> aws.s3.BucketServerSideEncryptionConfigurationRuleArgs:
        default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs
        if not args.customer_key:
            return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                apply_server_side_encryption_by_default=default(sse_algorithm="AES256")
            )
        key = EncryptionKey(
            f"{name}-key",
            description="Encrypts the models of an artifact store",
            protected=protected,
            retained=args.adopt is not None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
            apply_server_side_encryption_by_default=default(sse_algorithm="aws:kms", kms_master_key_id=key.arn),
            bucket_key_enabled=True,
        )


def _lifecycle(args: design.Bucket) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
    everything = aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
    return [
        aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="abort-unfinished-uploads",
            status="Enabled",
            filter=everything,
            abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=args.abort_uploads_days
            ),
        ),
        aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="remove-what-is-not-promised",
            status="Enabled",
            filter=everything,
            noncurrent_version_expiration=_noncurrent(args.noncurrent_days),
            expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
        ),
    ]


def _noncurrent(
    days: int | None,
) -> aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs | None:
    if days is None:
        return None
    return aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(noncurrent_days=days)

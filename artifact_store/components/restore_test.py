"""A restore that AWS Backup makes on a schedule, only to see that it works; the result is thrown away.

Owns the testing plan and its selection. ACLs stay out: AWS would infer that they are restored, and such a restore fails
where buckets have none (AWS Backup guide, restore-testing-inferred-metadata).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from artifact_store import design


class RestoreTest(pulumi.ComponentResource):
    """`depends_on`: what must exist before the first test (the role's policies)."""

    @classmethod
    def by_config(cls, name: str, args: design.RestoreTest | None, **inputs: Any) -> RestoreTest | None:
        """None where config wants no tests."""
        return None if args is None else cls(name, args, **inputs)

    def __init__(
        self,
        name: str,
        args: design.RestoreTest,
        *,
        vault_arn: pulumi.Input[str],
        bucket_arn: pulumi.Input[str],
        role_arn: pulumi.Input[str],
        depends_on: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("artifact-store:index:RestoreTest", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        plan = aws.backup.RestoreTestingPlan(
            name,
            name=args.name,
            schedule_expression=args.schedule,
            schedule_expression_timezone=args.timezone,
            start_window_hours=args.start_window_hours,
            recovery_point_selection=aws.backup.RestoreTestingPlanRecoveryPointSelectionArgs(
                algorithm="LATEST_WITHIN_WINDOW",
                include_vaults=[vault_arn],
                recovery_point_types=["CONTINUOUS", "SNAPSHOT"],
                selection_window_days=args.selection_window_days,
            ),
            opts=child,
        )
        aws.backup.RestoreTestingSelection(
            f"{name}-selection",
            name="bucket",
            restore_testing_plan_name=plan.name,
            iam_role_arn=role_arn,
            protected_resource_type="S3",
            protected_resource_arns=[bucket_arn],
            restore_metadata_overrides={"restoreACLs": "false"},
            validation_window_hours=args.validation_window_hours,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(depends_on)),
        )
        self.register_outputs({})

"""The backup plan: what is backed up when, for how long, and of which bucket.

Owns the rules and the selection. Refuses nothing itself: what AWS accepts is checked on the design beforehand. The plan
has a fixed name and is protected, since another plan would stop the bucket's continuous backup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from artifact_store import design, rules
from artifact_store.components.options import guarded


class BackupPlan(pulumi.ComponentResource):
    """`depends_on`: what must exist before the first job (the role's policies, versioning, EventBridge)."""

    plan_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        plan_name: str,
        plan_rules: Sequence[design.Rule],
        vault: pulumi.Input[str],
        copy_vault_arn: pulumi.Input[str] | None,
        bucket_arn: pulumi.Input[str],
        role_arn: pulumi.Input[str],
        depends_on: Sequence[pulumi.Resource],
        protected: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("artifact-store:index:BackupPlan", name, None, guarded(opts, protected))
        plan = aws.backup.Plan(
            name,
            name=plan_name,
            rules=[_rule(rule, vault, copy_vault_arn) for rule in plan_rules],
            opts=pulumi.ResourceOptions(
                parent=self, hooks=pulumi.ResourceHookBinding(before_update=[_history_kept(name, plan_rules)])
            ),
        )
        aws.backup.Selection(
            f"{name}-selection",
            name="bucket",
            plan_id=plan.id,
            iam_role_arn=role_arn,
            resources=[bucket_arn],
            # AWS Backup knows selections by name within a plan, so two cannot stand side by side.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(depends_on), delete_before_replace=True),
        )
        self.plan_id = plan.id
        self.register_outputs({"planId": self.plan_id})


def _history_kept(name: str, plan_rules: Sequence[design.Rule]) -> pulumi.ResourceHook:
    """Warns, at preview already, of a change that ends the continuous backup: only the engine knows the past."""
    field = next((rule.field for rule in plan_rules if rule.continuous), "")

    def warn(change: pulumi.ResourceHookArgs) -> None:
        before, after = (_continuous_days(inputs or {}) for inputs in (change.old_inputs, change.new_inputs))
        for problem in rules.history_kept(before, after, field):
            pulumi.log.warn(problem.line)

    return pulumi.ResourceHook(f"{name}-history-kept", warn, pulumi.ResourceHookOptions(on_dry_run=True))


def _continuous_days(inputs: Mapping[str, Any]) -> int | None:
    for rule in inputs.get("rules", []):
        if rule.get("enableContinuousBackup"):
            days = rule.get("lifecycle", {}).get("deleteAfter")
            return None if days is None else int(days)
    return None


def _rule(
    rule: design.Rule, vault: pulumi.Input[str], copy_vault_arn: pulumi.Input[str] | None
) -> aws.backup.PlanRuleArgs:
    copies = None
    if rule.copy_days is not None and copy_vault_arn is not None:
        lifecycle = aws.backup.PlanRuleCopyActionLifecycleArgs(delete_after=rule.copy_days)
        copies = [aws.backup.PlanRuleCopyActionArgs(destination_vault_arn=copy_vault_arn, lifecycle=lifecycle)]
    return aws.backup.PlanRuleArgs(
        rule_name=rule.name,
        target_vault_name=vault,
        schedule=rule.schedule,
        schedule_expression_timezone=rule.timezone,
        start_window=rule.start_window_minutes,
        completion_window=rule.completion_window_minutes,
        enable_continuous_backup=rule.continuous or None,
        lifecycle=aws.backup.PlanRuleLifecycleArgs(delete_after=rule.delete_after_days),
        copy_actions=copies,
    )

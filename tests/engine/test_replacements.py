"""What no config changes, and a later release of the program may: names and targets that replace a resource."""

from __future__ import annotations

from pathlib import Path

import pytest
from pulumi.automation import CommandError

from artifact_store.embedded import deploy
from artifact_store.embedded.cloud import EmbeddedAws
from tests.engine.looking import Steps, client
from tests.engine.test_refusals import project

VAULT = """
from artifact_store import design
from artifact_store.components import BackupVault
one, two = (aws.sns.Topic(name) for name in ("one", "two"))
args = design.Vault(name="replaced", customer_key=False, lock=None, force_destroy=True)
BackupVault("vault", args, protected=True, topic_arn={topic}.arn)
"""
PLAN = """
from artifact_store import design
from artifact_store.components import BackupPlan, BackupRole
aws.backup.Vault("vault", name="planned")
rule = design.Rule(
    name="continuous", field="f", schedule="cron(0 5 ? * * *)", timezone="Etc/UTC", start_window_minutes=60,
    completion_window_minutes=1440, delete_after_days=7, continuous=True,
)
BackupPlan(
    "plan", plan_name="{name}", plan_rules=[rule], vault="planned", copy_vault_arn=None, depends_on=[],
    bucket_arn="arn:aws:s3:::models", role_arn=BackupRole("role", "backup", protected=True).arn, protected=True,
)
"""


def test_notifications_sent_to_another_topic_are_deleted_first_and_so_are_there_afterwards(
    aws: EmbeddedAws, tmp_path: Path
) -> None:
    """Takes 5 s: two runs of the engine. Made first, the new ones would be deleted with the old ones."""
    with deploy.engine(project(tmp_path, VAULT.format(topic="one")), "dev", aws) as stack:
        stack.up()
        project(tmp_path, VAULT.format(topic="two"))
        steps = Steps()
        stack.up(on_event=steps)
        assert steps.of("vault-notifications") == ["delete-replaced", "replace", "create-replacement"]
        found = client(aws, "backup").get_backup_vault_notifications(BackupVaultName="replaced")
        assert ":two-" in found["SNSTopicArn"]


def test_a_renamed_plan_is_refused_since_it_would_end_the_continuous_backup(aws: EmbeddedAws, tmp_path: Path) -> None:
    """Takes 5 s: two runs of the engine."""
    with deploy.engine(project(tmp_path, PLAN.format(name="planned")), "dev", aws) as stack:
        stack.up()
        project(tmp_path, PLAN.format(name="renamed"))
        with pytest.raises(CommandError, match=r"unable to replace resource.*::plan"):
            stack.up()
        plans = client(aws, "backup").list_backup_plans()["BackupPlansList"]
        assert [plan["BackupPlanName"] for plan in plans] == ["planned"]
        assert (
            len(
                client(aws, "backup").list_backup_selections(BackupPlanId=plans[0]["BackupPlanId"])[
                    "BackupSelectionsList"
                ]
            )
            == 1
        )

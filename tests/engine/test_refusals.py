"""What is refused before anything is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from pulumi.automation import CommandError

from artifact_store.embedded import deploy
from artifact_store.embedded.cloud import EmbeddedAws
from tests.engine.conftest import PROJECT, required
from tests.engine.looking import Steps, client, everything


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"artifact-store:retention": {"pointInTimeDays": 36}}, "retention.pointInTimeDays"),
        ({"artifact-store:retention": {"pointInTimeDays": 7, "dialyDays": 9}}, "dailyDays"),
        ({"artifact-store:secondRegion": {"region": "us-east-1"}}, "secondRegion.region"),
    ],
)
def test_wrong_config_is_refused_at_preview_by_field_and_nothing_is_made(
    aws: EmbeddedAws, config: dict[str, object], said: str
) -> None:
    with deploy.engine(PROJECT, "dev", aws, config) as stack, pytest.raises(CommandError, match=said) as error:
        stack.preview()
    assert "Traceback" not in str(error.value)
    assert everything(aws) == {}


def test_a_missing_engine_skips_on_a_developers_machine_and_fails_in_ci() -> None:
    with pytest.raises(pytest.skip.Exception, match="make engine"):
        required(None, ci=False)
    with pytest.raises(pytest.fail.Exception, match="make engine"):
        required(None, ci=True)


def project(folder: Path, program: str) -> Path:
    (folder / "Pulumi.yaml").write_text("name: artifact-store\nruntime: python\n")
    (folder / "__main__.py").write_text(f"import pulumi\nimport pulumi_aws as aws\n{program}\n")
    return folder


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ('aws.sqs.Queue("queue")', "does not know the resource type aws:sqs/queue:Queue"),
        ('aws.backup.Vault("vault", tags={"a": "b"})', "does not know tags of aws:backup/vault:Vault"),
        (
            'aws.backup.Plan("plan", rules=[{"rule_name": "r", "target_vault_name": "v", '
            '"lifecycle": {"cold_storage_after": 30, "delete_after": 90}}])',
            "DeleteAfterDays cannot be less than 90 days apart from MoveToColdStorageAfterDays",
        ),
    ],
)
def test_what_the_embedded_aws_does_not_know_and_what_aws_refuses_is_an_error(
    aws: EmbeddedAws, tmp_path: Path, program: str, said: str
) -> None:
    with deploy.engine(project(tmp_path, program), "dev", aws) as stack, pytest.raises(CommandError, match=said):
        stack.up()
    assert everything(aws) == {}


@dataclass(frozen=True)
class Elsewhere:
    """Stands where an embedded AWS would, with an endpoint on another machine (an address for documentation)."""

    environment: dict[str, str]


def test_an_endpoint_on_another_machine_is_refused(aws: EmbeddedAws, tmp_path: Path) -> None:
    made = project(tmp_path, 'aws.backup.Vault("vault")')
    elsewhere = Elsewhere({**aws.environment, "AWS_ENDPOINT_URL": "http://192.0.2.1:5000"})
    said = r"only on this machine, but the endpoint is http://192\.0\.2\.1:5000"
    with (
        deploy.engine(made, "dev", elsewhere) as stack,
        pytest.raises(CommandError, match=said),
    ):
        stack.up()


def test_a_lock_replaced_in_the_engines_default_order_leaves_the_vault_unlocked(
    aws: EmbeddedAws, tmp_path: Path
) -> None:
    """The hazard that the store's delete_before_replace answers; the embedded AWS must show it, or prove nothing."""
    program = """
vault = aws.backup.Vault("vault", name="hazard")
aws.backup.VaultLockConfiguration("lock", backup_vault_name=vault.name, min_retention_days={days})
"""
    made = project(tmp_path, program.format(days=7))
    with deploy.engine(made, "dev", aws) as stack:
        stack.up()
        project(tmp_path, program.format(days=8))
        steps = Steps()
        stack.up(on_event=steps)
        assert steps.of("lock") == ["create-replacement", "replace", "delete-replaced"]
        found = client(aws, "backup").describe_backup_vault(BackupVaultName="hazard")
        assert not found.get("Locked")
        stack.destroy()
    assert everything(aws) == {}

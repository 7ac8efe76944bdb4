"""Deploying the project without an engine, and what an embedded AWS leaves behind."""

from __future__ import annotations

import os
from pathlib import Path

import boto3
import pytest

from artifact_store.embedded import deploy
from artifact_store.embedded.cloud import EmbeddedAws
from artifact_store.embedded.monitor import run, stack_config
from artifact_store.embedded.table import Aws
from artifact_store.errors import ConfigError, Refused

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def policies(started: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Roles get AWS's managed policies."""
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")


@pytest.mark.parametrize(("stack", "vaults"), [("dev", ["us-east-1"]), ("prod", ["us-east-1", "us-west-2"])])
def test_the_monitor_makes_the_whole_store_and_returns_its_outputs(
    policies: None, cloud: EmbeddedAws, stack: str, vaults: list[str]
) -> None:
    """Takes 2 s: moto reads AWS's managed policies."""
    outputs, made = run(PROJECT, stack, cloud)
    aws = Aws(cloud.endpoint, cloud.region)
    name = f"artifact-store-{stack}"
    assert outputs["vault"] == name
    for region in vaults:
        assert [v["BackupVaultName"] for v in aws("backup", region).list_backup_vaults()["BackupVaultList"]] == [name]
    assert [b["Name"] for b in aws("s3").list_buckets()["Buckets"]] == [outputs["bucket"]]
    assert aws("s3").get_bucket_versioning(Bucket=outputs["bucket"])["Status"] == "Enabled"
    assert outputs["promise"][0]["granularity"] == "any second"
    chosen = aws("backup").list_backup_selections(BackupPlanId=outputs["planId"])["BackupSelectionsList"]
    assert [s["SelectionName"] for s in chosen] == ["bucket"]
    assert made > 25


def test_without_a_pulumi_command_the_monitor_deploys_and_the_result_says_so(
    policies: None, cloud: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy, "command", lambda project: None)
    with deploy.deployed(PROJECT, "dev", cloud) as result:
        assert result.by == "the in-process monitor"
        assert result.outputs["bucketArn"] == f"arn:aws:s3:::{result.outputs['bucket']}"


def program(folder: Path, body: str) -> Path:
    (folder / "Pulumi.yaml").write_text("name: artifact-store\nruntime: python\n")
    (folder / "Pulumi.dev.yaml").write_text("config: {}\n")
    (folder / "__main__.py").write_text(f"import pulumi\nimport pulumi_aws as aws\n{body}\n")
    return folder


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('aws.sqs.Queue("queue")', "does not know the resource type aws:sqs/queue:Queue"),
        ('aws.backup.Vault("vault", tags={"a": "b"})', "vault: the embedded AWS does not know tags"),
        ("aws.ec2.get_ami_output(most_recent=True).apply(print)", "does not know the function aws:ec2/getAmi:getAmi"),
    ],
)
def test_what_the_table_does_not_know_fails_the_program(
    cloud: EmbeddedAws, tmp_path: Path, body: str, said: str
) -> None:
    with pytest.raises(Exception, match=said):  # the SDK wraps it in an Exception of its own
        run(program(tmp_path, body), "dev", cloud)


def test_a_program_that_failed_does_not_disturb_the_next_one(cloud: EmbeddedAws, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"):
        run(program(tmp_path, 'aws.backup.Vault("one", name="one")\nraise ValueError("broken")'), "dev", cloud)
    outputs, made = run(
        program(tmp_path, 'pulumi.export("arn", aws.backup.Vault("two", name="two").arn)'), "dev", cloud
    )
    assert outputs == {"arn": "arn:aws:backup:us-east-1:123456789012:backup-vault:two"}
    assert made == 1


def test_a_stack_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"stack 'nowhere': Pulumi\.nowhere\.yaml does not exist"):
        stack_config(PROJECT, "nowhere")


def test_an_encrypted_value_is_refused_by_key(tmp_path: Path) -> None:
    program(tmp_path, "")
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  artifact-store:alertEmails:\n    - secure: v1:abc\n")
    with pytest.raises(ConfigError, match="artifact-store:alertEmails: is encrypted"):
        stack_config(tmp_path, "dev")


def test_the_monitor_refuses_an_endpoint_on_another_machine(tmp_path: Path) -> None:
    elsewhere = EmbeddedAws()
    elsewhere.endpoint = "http://192.0.2.1:5000"
    with pytest.raises(Refused, match=r"only on this machine, but the endpoint is http://192\.0\.2\.1:5000"):
        run(program(tmp_path, ""), "dev", elsewhere)


def test_the_environment_hides_the_developers_own_and_comes_back(
    cloud: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "secret")
    before = dict(os.environ)
    with deploy.environment(cloud.environment):
        assert "AWS_PROFILE" not in os.environ
        assert "PULUMI_ACCESS_TOKEN" not in os.environ
        assert boto3.Session().client("s3").meta.endpoint_url == cloud.endpoint
    assert dict(os.environ) == before


def test_requests_reach_the_embedded_aws_past_a_proxy(cloud: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    with deploy.environment(cloud.environment):
        assert boto3.Session().client("s3").list_buckets()["Buckets"] == []
        cloud.reset()


def test_wrong_config_is_one_error_with_a_line_for_each_fault(
    policies: None, cloud: EmbeddedAws, tmp_path: Path
) -> None:
    for path in (PROJECT / "Pulumi.yaml", PROJECT / "__main__.py"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "config:\n  artifact-store:retention: {pointInTimeDays: 36}\n  artifact-store:bukcet: {}\n"
    )
    with pytest.raises(ConfigError) as error:
        run(tmp_path, "dev", cloud)
    assert [fault.split(": ")[1] for fault in error.value.faults] == [
        "bukcet",
        "aws:region",
        "retention.pointInTimeDays",
    ]

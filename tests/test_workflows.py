"""Workflows: least permissions, pinned actions, no long-lived keys. Linted by zizmor and actionlint besides."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
PREVIEW = PROJECT / ".github/workflows/preview.yml"
STACKS = {path.name.split(".")[1] for path in PROJECT.glob("Pulumi.*.yaml")}


def load(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in load(path)["jobs"].values() for step in job["steps"]]


def test_there_is_one_workflow_for_tests_and_one_for_previews() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "preview.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_with_its_version_beside_it(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert len(uses) >= 2
    for one in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_secret_is_a_key_of_aws(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"secrets\.(\w+)", text)) <= {"PULUMI_CONFIG_PASSPHRASE"}
    assert "AWS_SECRET_ACCESS_KEY" not in text
    assert "pull_request_target" not in text
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


def test_the_tests_may_only_read_the_code() -> None:
    workflow = load(PROJECT / ".github/workflows/ci.yml")
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {"test": {"contents": "read"}}
    assert steps(PROJECT / ".github/workflows/ci.yml")[-1]["run"] == ".ci/run"


def test_a_preview_gets_short_lived_credentials_and_a_fork_gets_none() -> None:
    workflow = load(PROJECT / ".github/workflows/preview.yml")
    assert workflow["permissions"] == {}
    job = workflow["jobs"]["preview"]
    assert job["permissions"] == {"contents": "read", "id-token": "write", "pull-requests": "write"}
    assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]
    [credentials] = [step["with"] for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")]
    assert credentials["role-to-assume"] == "${{ vars.PREVIEW_ROLE_ARN }}"
    assert not {"aws-access-key-id", "aws-secret-access-key"} & credentials.keys()


def test_a_preview_runs_the_engine_that_the_tests_run() -> None:
    tested = re.search(
        r"^\s*github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (PROJECT / "tools/go.mod").read_text(), re.MULTILINE
    )
    assert tested is not None
    [pulumi] = [s["with"] for s in steps(PREVIEW) if s.get("uses", "").startswith("pulumi/actions")]
    assert pulumi["pulumi-version"] == tested[1]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ("v3.274.1", ""),
        ("v3.300.0", ""),
        ("v4.0.0", ""),
        ("v3.99.0", "v3.99.0"),
        ("3.274.0", "3.274.0"),
        ("", "no version"),
    ],
)
def test_a_pulumi_on_path_counts_only_if_it_is_as_new_as_the_tested_one(tmp_path: Path, found: str, says: str) -> None:
    """Where it is too old the build starts, here with a Go that cannot build."""
    (tmp_path / "tools").mkdir()
    for name in ("build", "go.mod"):
        shutil.copy(PROJECT / "tools" / name, tmp_path / "tools" / name)
    place = tmp_path / "bin"
    place.mkdir()
    for name, script in (
        ("pulumi", f"echo {found}"),
        ("go", "[ $1 = env ] && echo go1.26.6 || { echo build was tried >&2; exit 1; }"),
    ):
        (place / name).write_text(f"#!/bin/sh\n{script}\n")
        (place / name).chmod(0o755)
    done = subprocess.run(
        [tmp_path / "tools" / "build", "pulumi"],
        env={"PATH": f"{place}:/usr/bin:/bin", "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    if says:
        assert done.returncode == 1
        assert f"the pulumi on PATH ({says}) is older than v3.274.1, with which this was tested" in done.stdout
        assert "build was tried" in done.stderr
    else:
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_preview_covers_every_stack_and_comments_once_on_each() -> None:
    job = load(PROJECT / ".github/workflows/preview.yml")["jobs"]["preview"]
    assert set(job["strategy"]["matrix"]["stack"]) == STACKS
    [pulumi] = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("pulumi/actions")]
    assert pulumi["command"] == "preview"
    assert pulumi["comment-on-pr"] is True
    assert pulumi["edit-pr-comment"] is True

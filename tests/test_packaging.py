"""What is installed: what the package needs is pinned, nothing is pinned twice, and the command starts fast."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
SLOW = ("pulumi", "pulumi_aws", "boto3", "botocore", "awscrt", "pydantic", "rich", "moto", "numpy")


def pins(name: str) -> dict[str, str]:
    lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith(("#", "-"))]
    found = dict(re.fullmatch(r"([\w.-]+)(?:\[\w+\])?==([\w.]+)", line).groups() for line in wanted)
    assert len(found) == len(wanted)
    return found


def parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def project() -> dict[str, list[str]]:
    found: dict[str, list[str]] = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_the_ordered_packages_are_pinned_for_users() -> None:
    assert {"pulumi", "pulumi-aws", "pytest", "moto"} <= pins("requirements.txt").keys()


def test_all_that_the_package_needs_is_pinned_at_a_version_it_accepts() -> None:
    pinned = pins("requirements.txt")
    for needed in project()["dependencies"]:
        name, least = needed.split(">=")
        # boto3 brings botocore of its own version.
        found = pinned["boto3" if name == "botocore" else name]
        assert parts(found) >= parts(least), needed


def test_the_two_lists_of_pins_agree() -> None:
    users, developers = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name: users[name] for name in users.keys() & developers.keys()} == {
        name: developers[name] for name in users.keys() & developers.keys()
    }


@pytest.mark.parametrize("module", ["artifact_store", "artifact_store.cli.main"])
def test_nothing_slow_is_imported_before_it_is_needed(module: str) -> None:
    asked = f"import sys, {module}; print([name for name in {SLOW!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_layouts_and_formats_are_loaded_only_for_folders_that_hold_such_models() -> None:
    asked = (
        "import sys, artifact_store.restore.planner, artifact_store.restore.apply, artifact_store.restore.verify; "
        "print(sorted(name for name in sys.modules if name == 'yaml' or name.startswith(('artifact_store.formats.', "
        "'artifact_store.history.layouts.'))))"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    beside = ("formats.finding", "history.layouts.configs", "history.layouts.content", "history.layouts.marks")
    assert done.stdout.strip() == str([f"artifact_store.{name}" for name in beside])


def test_the_restore_needs_no_pulumi() -> None:
    """The package installs without pulumi and moto; only the store and the embedded AWS may import them."""
    importing = re.compile(r"^\s*(?:from|import) (?:pulumi|moto)\b", re.MULTILINE)
    found = {
        path.relative_to(PROJECT / "artifact_store").parts[0]
        for path in (PROJECT / "artifact_store").rglob("*.py")
        if importing.search(path.read_text(encoding="utf-8"))
    }
    assert found <= {"components", "embedded", "config.py"}

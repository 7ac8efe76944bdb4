"""Deploying a Pulumi project to the embedded AWS, with the real engine or without.

Owns the way from a project's folder and a stack's name to its outputs. With a `pulumi` command in `.tools/` or on PATH
the real engine does it; without, `monitor` runs the same program in this process. Works on a copy of the stack files,
since the engine writes into them.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from artifact_store.config import PROJECT
from artifact_store.embedded.cloud import EmbeddedAws

if TYPE_CHECKING:
    from pulumi.automation import Stack

PASSPHRASE = "embedded"


@dataclass
class Deployment:
    """outputs: the stack's. by: what deployed it, such as "pulumi v3.274.1" or "the in-process monitor"."""

    outputs: dict[str, Any] = field(default_factory=dict)
    by: str = ""
    resources: int = 0


def command(project: Path) -> Path | None:
    """The `pulumi` command: in the project's `.tools/`, where it is built if PATH has none that is new enough, or on
    PATH."""
    built = project / ".tools" / "pulumi"
    found = shutil.which("pulumi")
    return built if built.is_file() else Path(found) if found else None


@contextmanager
def deployed(project: Path, stack: str, aws: EmbeddedAws) -> Iterator[Deployment]:
    """Deploy; on the way out the engine destroys a throw-away stack, whatever happened in between. A protected one, and
    what the in-process monitor made, goes with the embedded AWS."""
    from artifact_store.embedded.monitor import run, stack_config

    if command(project) is None:
        with environment(aws.environment):
            outputs, resources = run(project, stack, aws)
            yield Deployment(outputs, "the in-process monitor", resources)
        return
    with engine(project, stack, aws) as handle:
        try:
            result = handle.up()
            outputs = {name: output.value for name, output in result.outputs.items()}
            resources = sum((result.summary.resource_changes or {}).values())
            yield Deployment(outputs, f"pulumi {handle.workspace.pulumi_version}", resources)
        finally:
            if stack_config(project, stack).get(f"{PROJECT}:throwAway") == "true":
                handle.destroy()


@contextmanager
def engine(project: Path, stack: str, aws: EmbeddedAws, config: Mapping[str, Any] | None = None) -> Iterator[Stack]:
    """A stack of the project on the real engine, for the Automation API: its own state, nothing deployed yet.

    config: as for `configure`.
    """
    from pulumi import automation as auto

    pulumi = command(project)
    if pulumi is None:
        raise FileNotFoundError("no pulumi command on PATH or in .tools/; `make engine` builds it")
    with tempfile.TemporaryDirectory(prefix="artifact-store-engine-") as name:
        folder = Path(name)
        work, state, plugins = folder / "project", folder / "state", folder / "bin"
        for made in (work, state, plugins):
            made.mkdir()
        for path in project.glob("Pulumi*.yaml"):
            shutil.copy(path, work)
        plugin = plugins / "pulumi-resource-aws"
        plugin.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m artifact_store.embedded.provider "$@"\n')
        plugin.chmod(0o755)
        variables = {
            **aws.environment,
            "PATH": os.pathsep.join([str(plugins), str(pulumi.parent), os.environ.get("PATH", "")]),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        with environment(variables):
            handle = auto.create_or_select_stack(
                stack,
                project_name=PROJECT,
                program=program(project),
                opts=auto.LocalWorkspaceOptions(work_dir=str(work), env_vars=variables),
            )
            configure(handle, config or {})
            yield handle


def configure(stack: Stack, config: Mapping[str, Any]) -> None:
    """Set values of the stack's config, by full key ("artifact-store:retention"); objects as objects. The engine's own
    command knows only texts."""
    path = Path(stack.workspace.work_dir) / f"Pulumi.{stack.name}.yaml"
    settings = (yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None) or {}
    settings["config"] = {**(settings.get("config") or {}), **config}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")


def program(project: Path) -> Any:
    """The project's `__main__.py` as a function; imports of the project itself work from anywhere."""

    def run() -> None:
        runpy.run_path(str(project / "__main__.py"), run_name="__main__")

    return run


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables and take away every other AWS_ and PULUMI_ one; put all back afterwards."""
    saved = dict(os.environ)
    for name in [n for n in os.environ if n.startswith(("AWS_", "PULUMI_"))]:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)

"""The real Pulumi engine on an embedded AWS. Every test here carries the marker `engine`; a file's tests share a
stack and run in their order, on one worker.

A missing engine skips these tests on a developer's machine and fails them in CI.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from artifact_store.embedded import deploy
from artifact_store.embedded.cloud import EmbeddedAws

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]


def required(found: Path | None, *, ci: bool) -> Path:
    """The engine. A developer who has none may run all other tests; in CI its absence is a failure, never a pass."""
    if found is None:
        line = "no pulumi command on PATH or in .tools/: run `make engine`"
        if ci:
            pytest.fail(line)
        pytest.skip(line)
    return found


@pytest.fixture(scope="session")
def pulumi() -> Path:
    """The command's path."""
    return required(deploy.command(PROJECT), ci=bool(os.environ.get("CI")))


@pytest.fixture(scope="module")
def aws(pulumi: Path) -> Iterator[EmbeddedAws]:
    """Its own for each file, with the `pulumi` command on PATH; nothing of it stays in the environment."""
    with EmbeddedAws() as cloud, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{pulumi.parent}{os.pathsep}{os.environ['PATH']}")
        yield cloud


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.engine)

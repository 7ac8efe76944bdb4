"""The embedded AWS for the tests of this folder: one a file, empty before each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from artifact_store.embedded.cloud import EmbeddedAws
from artifact_store.embedded.deploy import environment
from artifact_store.embedded.table import Aws

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def started() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws, environment(aws.environment), pytest.MonkeyPatch.context() as patch:
        # Reading AWS's thousand managed policies takes most of a second, and is done again after each reset.
        patch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "false")
        yield aws


@pytest.fixture
def cloud(started: EmbeddedAws) -> EmbeddedAws:
    started.reset()
    return started


@pytest.fixture
def aws(cloud: EmbeddedAws) -> Aws:
    return Aws(cloud.endpoint, cloud.region)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and "started" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.servers)

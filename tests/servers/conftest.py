"""Real S3 servers for the tests of this folder: moto (in this process) and SeaweedFS (a process of its own).

Every test here carries the marker `servers` and runs on one worker, so that each server starts once. Credentials are
those of the servers; nothing of the developer's own AWS set-up is looked at.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from artifact_store.cli import main
from artifact_store.s3.client import S3, connect
from tests.servers.fault_proxy import FaultProxy
from tests.servers.seaweed import ACCESS_KEY, SECRET_KEY, seaweed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HERE = Path(__file__).parent
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Server:
    """name: "moto" or "weed". interleaves: its listings keep versions and markers in true order. honours_conditions:
    it obeys conditions on copies and on lines of a bulk delete."""

    name: str
    endpoint: str
    interleaves: bool
    honours_conditions: bool

    def boto(self) -> S3Client:
        return boto3.Session().client(
            "s3", endpoint_url=self.endpoint, config=Config(s3={"addressing_style": "path"}, max_pool_connections=32)
        )


@pytest.fixture(scope="session", autouse=True)
def environment() -> Iterator[None]:
    """The servers' credentials, and no setting of the developer's own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AWS_"):
                patch.delenv(name)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def moto(environment: None) -> Iterator[Server]:
    """Keep buckets here below 2,000 versions: each page it lists copies the whole bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Server("moto", f"http://{host}:{port}", interleaves=False, honours_conditions=False)
    server.stop()


@pytest.fixture(scope="session")
def weed(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Starting takes 4 to 8 seconds, once a session. Its clock cannot be moved."""
    with seaweed(tmp_path_factory.mktemp("weed")) as endpoint:
        yield Server("weed", endpoint, interleaves=True, honours_conditions=True)


@pytest.fixture(params=["moto", "weed"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each test runs on both."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def s3(server: Server) -> Iterator[S3]:
    """Our client on the server."""
    with connect(endpoint_url=server.endpoint) as client:
        yield client


@pytest.fixture
def bucket(server: Server) -> str:
    """A new versioned bucket."""
    return new_bucket(server)


@pytest.fixture
def run(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """(exit code, stdout, stderr) of a command run in this process, on the server of the file's own `story`."""
    endpoint = request.getfixturevalue("story").server.endpoint

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main.run([*map(str, arguments), "--endpoint-url", endpoint])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    """Before the server; passes everything on until told otherwise."""
    with FaultProxy(server.endpoint) as proxy:
        yield proxy


def new_bucket(server: Server, *, versioned: bool = True) -> str:
    name = f"t-{uuid.uuid4().hex[:20]}"
    boto = server.boto()
    boto.create_bucket(Bucket=name)
    if versioned:
        boto.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.servers)
            item.add_marker(pytest.mark.xdist_group("servers"))

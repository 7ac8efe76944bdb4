"""An AWS on this machine: moto on a free loopback port, with the AWS Backup calls it lacks.

Owns the server's life and the environment that points any AWS client at it. Nothing leaves the machine, no account and
no credentials are needed, and everything is gone when it is closed.
"""

from __future__ import annotations

import logging
import os
from types import TracebackType

ACCOUNT = "123456789012"
"""The account moto plays."""
RESET_SECONDS = 60
"""It loads all services the first time, which takes long on a busy machine."""

LOAD_POLICIES = "MOTO_IAM_LOAD_MANAGED_POLICIES"


class EmbeddedAws:
    """Use as a context manager. endpoint: where it listens, http://127.0.0.1:PORT."""

    endpoint: str

    def __init__(self, region: str = "us-east-1") -> None:
        self.region = region

    def __enter__(self) -> EmbeddedAws:
        from moto.server import ThreadedMotoServer

        from artifact_store.embedded import additions

        # Attachments of AWS's managed policies need the policies; moto knows them, but loads them only when told to.
        self._loaded_before = os.environ.get(LOAD_POLICIES)
        os.environ[LOAD_POLICIES] = "true"
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        additions.install()
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        # moto keeps what was made in this process, not in the server: what another one left is not ours.
        self.reset()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reset()
        self._server.stop()
        if self._loaded_before is None:
            os.environ.pop(LOAD_POLICIES, None)
        else:
            os.environ[LOAD_POLICIES] = self._loaded_before

    @property
    def environment(self) -> dict[str, str]:
        """What an AWS client needs in its environment, and what keeps it from looking elsewhere."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def reset(self) -> None:
        """Forget everything that was made."""
        from urllib.request import ProxyHandler, Request, build_opener

        request = Request(f"{self.endpoint}/moto-api/reset", method="POST")  # noqa: S310 - http to this process's own server
        build_opener(ProxyHandler({})).open(request, timeout=RESET_SECONDS).close()

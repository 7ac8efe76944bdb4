"""The other tools to measure against: where they are, and how they come here. A missing one is named, never skipped in
silence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / ".tools"
PIT_VERSION = "0.9"
PIT_NEEDS = (f"s3-pit-restore=={PIT_VERSION}", "boto3==1.44.8")


@dataclass(frozen=True)
class Peer:
    """A command line tool. name: with its version."""

    name: str
    program: Path


def rclone(*, install: bool) -> Peer | None:
    """The release named in bench/rclone/go.mod, else the one on PATH. install: build it where it is not there yet."""
    built = TOOLS / "rclone"
    if install and not built.exists():
        print("building rclone into .tools/ (minutes, once)", file=sys.stderr)
        subprocess.run([ROOT / "tools" / "build", "rclone"], check=False)
    found = str(built) if built.exists() else shutil.which("rclone")
    if found is None:
        _missing("rclone", "run tools/build rclone, or put it on PATH")
        return None
    version = subprocess.run([found, "version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    return Peer(version.replace("rclone v", "rclone ").removesuffix("-DEV"), Path(found))


def s3_pit_restore(*, install: bool) -> Peer | None:
    """From PyPI, in an environment of its own. install: put it there where it is not yet."""
    home = TOOLS / "s3-pit-restore"
    program = home / "bin" / "s3-pit-restore"
    if install and not program.exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=False)
        pip = [
            str(home / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *PIT_NEEDS,
        ]
        subprocess.run(pip, check=False)
    if not program.exists():
        python = ".tools/s3-pit-restore/bin/python"
        _missing("s3-pit-restore", f"python -m venv {home.relative_to(ROOT)}; {python} -m pip install {PIT_NEEDS[0]}")
        return None
    return Peer(f"s3-pit-restore {PIT_VERSION}", program)


def _missing(name: str, how: str) -> None:
    print(f"{name} is not here, so nothing is measured against it; to get it: {how}", file=sys.stderr)

"""How long the command line takes to say how it is used."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from bench.restore import OURS
from bench.table import Row


def help_text(*, rounds: int) -> Iterator[Row]:
    """One row: `artifact-store --help` as a user runs it."""
    seconds, wrong = [], ""
    for _ in range(rounds):
        began = time.perf_counter()
        run = subprocess.run([OURS, "--help"], capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - began)
        if run.returncode or "restore" not in run.stdout:
            wrong = f"ended with {run.returncode} and {len(run.stdout)} characters of help"
    yield Row("artifact-store --help", f"{min(seconds):.2f} s", "", min(seconds), "s", most=0.3, wrong=wrong)

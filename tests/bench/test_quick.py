"""The measurements run as a user runs them, and their results are right."""

import json
import subprocess
import sys

import pytest


@pytest.mark.servers
def test_a_quick_run_prints_a_row_for_each_measurement_and_none_is_wrong():
    """Takes 20 to 40 s: it starts SeaweedFS, and fresh interpreters for every measurement. Peers that are not here are named."""
    run = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--json"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    told = [row["what"] for row in rows]
    for begin in ("restore 70 keys", "list 6,000", "copy 400", "30 ms a request: list", "plan 12,000", "apply 700"):
        assert any(what.startswith(begin) for what in told), f"no row for {begin}"
    heads = next(row for row in rows if row["what"].startswith("HEAD"))
    assert heads["figure"] <= 2
    for peer in ("rclone", "s3-pit-restore"):
        assert any(peer in row["other"] for row in rows) or f"{peer} is not here" in run.stderr

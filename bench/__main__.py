"""`python -m bench`: measure, check, compare with the targets, print.

Exits 1 where a result is wrong. A missed target is printed as such and is no error: the machine may be busy.
"""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import client, planning, restore, startup
from bench.table import Row, as_json, as_markdown, show


@dataclass(frozen=True)
class Sizes:
    """keys: of the restore. versions: listed at once. small, large: versions planned. slow: versions listed with
    latency. copies. models: judged. applied: versions of the bucket whose plan is carried out. rounds: runs, of which
    the best counts; more where the middle one does. install: fetch and build the peers that are not here yet."""

    keys: int
    versions: int
    small: int
    large: int
    slow: int
    copies: int
    models: int
    applied: int
    rounds: int
    install: bool


PACKAGE = Path(__file__).parent.parent / "artifact_store"
WIDTH = 150
"""Columns where stdout is no terminal."""

FULL = Sizes(2_000, 100_000, 100_000, 1_000_000, 25_000, 10_000, 500, 30_000, 3, install=True)
QUICK = Sizes(70, 6_000, 6_000, 12_000, 2_000, 400, 10, 3_000, 1, install=False)

PARTS: dict[str, Callable[[Sizes], Iterator[Row]]] = {
    "restore": lambda s: restore.measure(keys=s.keys, rounds=s.rounds, install=s.install),
    "listing": lambda s: client.listing(versions=s.versions, rounds=s.rounds),
    "copies": lambda s: client.copies(count=s.copies, rounds=s.rounds),
    "latency": lambda s: client.latency(versions=s.slow, count=s.copies, rounds=s.rounds),
    "planning": lambda s: planning.growth(small=s.small, large=s.large, rounds=s.rounds),
    "models": lambda s: planning.whole_models(models=s.models, rounds=2 * s.rounds + 1),
    "requests": lambda s: planning.requests(versions=s.applied),
    "help": lambda s: startup.help_text(rounds=5),
}


def main() -> int:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure artifact-store against other tools.")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"some of: {', '.join(PARTS)}; all where none is named"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, once: shows that it runs, not how fast")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a row")
    form.add_argument("--markdown", action="store_true", help="a table for a README")
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]}; known: {', '.join(PARTS)}")
    rows: list[Row] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        isolate(folder)
        for name in arguments.parts or PARTS:
            print(f"{time.monotonic() - began:4.0f} s  {name}", file=sys.stderr, flush=True)
            rows += PARTS[name](QUICK if arguments.quick else FULL)
    if arguments.json:
        print(as_json(rows))
    elif arguments.markdown:
        print(as_markdown(rows))
    else:
        from rich.console import Console

        show(rows, Console(width=None if sys.stdout.isatty() else WIDTH))
    load = os.getloadavg()[0]
    took = f"{time.monotonic() - began:.0f} s in all"
    print(f"{os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}; {took}", file=sys.stderr)
    return 1 if any(row.wrong for row in rows) else 0


def isolate(folder: str) -> None:
    """Nothing of the user's own AWS or rclone set-up is looked at, and plans go into `folder`. The package is compiled,
    as it is where it was installed."""
    compileall.compile_dir(PACKAGE, quiet=1)
    for name in list(os.environ):
        if name.startswith(("AWS_", "RCLONE_")):
            del os.environ[name]
    os.environ.update(
        AWS_ACCESS_KEY_ID="bench",
        AWS_SECRET_ACCESS_KEY="bench",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        NO_PROXY="127.0.0.1",
        no_proxy="127.0.0.1",
        TZ="UTC",
        XDG_STATE_HOME=folder,
    )


if __name__ == "__main__":
    sys.exit(main())

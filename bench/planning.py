"""A restore of a large bucket on the stub: memory, time and requests of its plan; the requests that carry it out."""

from __future__ import annotations

import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from math import ceil
from pathlib import Path

from artifact_store.history.models import FOLDERS_AT_ONCE
from bench.bucket import INSTANT, SHARDS
from bench.clients import Planned, plan_ours, plan_without_models
from bench.process import Cost, best, measured, middle
from bench.restore import OURS
from bench.stub import BUCKET, Stub, stub
from bench.table import Row

MB = 1_000_000
PAGE = 1000
PROBES = 2
"""HEADs that a run may send to learn whether the server knows conditions: one before its first copy, one before its
first delete. No other write needs one."""


def growth(*, small: int, large: int, rounds: int) -> Iterator[Row]:
    """Rows for peak memory, and for memory and time against a bucket of `small` versions."""
    few, wrong_few = _plan(small, rounds)
    many, wrong_many = _plan(large, 1)
    wrong = wrong_few or wrong_many
    what = f"plan {large:,} versions"
    peak, peak_few = many.peak / MB, few.peak / MB
    yield Row(f"{what}: peak memory", f"{peak:.0f} MB", "", peak, "MB", most=250, wrong=wrong)
    yield Row(
        f"{what}: memory", f"{peak:.0f} MB", f"{peak_few:.0f} MB for {small:,}", peak / peak_few, most=1.2, wrong=wrong
    )
    each, each_few = many.cpu / large * 1e6, few.cpu / small * 1e6
    yield Row(
        f"{what}: CPU time for each",
        f"{each:.1f} µs ({many.seconds:.1f} s in all)",
        f"{each_few:.1f} µs for {small:,}",
        each / each_few,
        most=1.2,
        wrong=wrong,
    )
    pages = ceil(large / PAGE)
    yield Row(
        f"{what}: requests",
        f"{many.result.requests:,}",
        f"{pages:,} pages",
        many.result.requests / pages,
        most=1.25,
        wrong=wrong,
    )


def whole_models(*, models: int, rounds: int) -> Iterator[Row]:
    """Rows for what it costs to judge every model of a bucket, of all of which a restore would write: fine-tunes of one
    model, so that those judged together read indexes and configs, and the others know them."""
    with stub(0, models=models) as server:
        with_, without = middle(
            rounds,
            lambda: measured(plan_ours, server.endpoint),
            lambda: measured(plan_without_models, server.endpoint),
        )
        keys, expected = server.keys, server.expected
    found = [with_.result.actions, without.result.actions]
    wrong = "" if found == [expected, expected] else f"the plans have {found} instead of {expected}"
    what = f"plan {keys:,} keys that are {models:,} models"
    yield Row(
        f"{what}: time",
        f"{with_.seconds:.2f} s",
        f"{without.seconds:.2f} s unjudged",
        with_.seconds / without.seconds,
        most=1.3,
        wrong=wrong,
    )
    reads = with_.result.requests - without.result.requests
    most = models * SHARDS + 2 * min(models, FOLDERS_AT_ONCE)
    yield Row(
        f"{what}: small reads",
        f"{reads:,}",
        f"{most:,}: shards, and indexes and configs of {min(models, FOLDERS_AT_ONCE)}",
        reads / most,
        most=1.05,
        wrong=wrong,
    )


def requests(*, versions: int) -> Iterator[Row]:
    """Rows for the requests that carry a plan out, counted by the server, with the command line as a user runs it."""
    with stub(versions) as server, tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan"
        address = ["--endpoint-url", server.endpoint]
        wrong = _command(["plan", f"s3://{BUCKET}", "--at", f"@{INSTANT}", "-o", plan, *address])
        server.counts()
        wrong = wrong or _command(["apply", plan, "--no-verify", *address])
        counts = server.counts()
        wrong = wrong or _command(["verify", plan, *address]) or _left(server)
    copies, deletes = server.expected["copy"], ceil(server.expected["delete"] / PAGE)
    sent = Counter(counts).total()
    yield Row(
        f"apply {copies:,} copies and {server.expected['delete']:,} deletes: requests",
        f"{sent:,}",
        f"{copies + deletes:,} at the least",
        sent / (copies + deletes),
        most=1.01,
        wrong=wrong,
    )
    heads = counts["HeadObject"]
    yield Row("HEAD requests among them", f"{heads}", f"{PROBES} probes", heads, "HEADs", most=PROBES, wrong=wrong)


def _plan(versions: int, rounds: int) -> tuple[Cost[Planned], str]:
    with stub(versions) as server:
        (cost,) = best(rounds, lambda: measured(plan_ours, server.endpoint))
        found, expected = cost.result.actions, server.expected
    return cost, "" if found == expected else f"the plan of {versions:,} versions has {found} instead of {expected}"


def _command(arguments: list[str | Path]) -> str:
    run = subprocess.run([OURS, *arguments], capture_output=True, text=True, check=False)
    return f"{arguments[0]} ended with {run.returncode}: {run.stderr.strip()[-300:]}" if run.returncode else ""


def _left(server: Stub) -> str:
    """What a second plan would still change; "" for nothing."""
    actions = measured(plan_ours, server.endpoint).result.actions
    expected = {"copy": 0, "delete": 0, "keep": server.expected["copy"] + server.expected["keep"]}
    return "" if actions == expected else f"a second plan has {actions} instead of {expected}"

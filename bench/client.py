"""Our S3 client against boto3 on the stub: pages listed and objects copied, at once and with latency."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.bucket import ENTRIES
from bench.clients import Listed, copy_boto3, copy_ours, list_boto3, list_ours, list_serially
from bench.process import Cost, best, measured
from bench.stub import Stub, stub
from bench.table import Row

PAGE = 1000
LATENCY = 0.03
"""Seconds."""
SMALL_PAGE = 25
"""Entries a page with latency: so that what is measured is waiting together, not the reading of XML."""


def listing(*, versions: int, rounds: int) -> Iterator[Row]:
    """Rows for pages per second, by the clock and by CPU time."""
    with stub(versions) as server:
        ours, theirs = best(
            rounds,
            partial(measured, list_ours, server.endpoint),
            partial(measured, list_boto3, server.endpoint),
        )
        wrong = _unlisted(server, ours.result) or _unlisted(server, theirs.result)
    pages = -(-versions // PAGE)
    what = f"list {versions:,} versions"
    for of, mine, other in (("", ours.seconds, theirs.seconds), ("CPU ", ours.cpu, theirs.cpu)):
        yield Row(
            f"{what}: pages a {of}second",
            f"{pages / mine:.0f}",
            f"{pages / other:.1f} boto3 paginator",
            other / mine,
            least=8,
            wrong=wrong,
        )


def copies(*, count: int, rounds: int) -> Iterator[Row]:
    """One row: copies per CPU second."""
    ours, theirs = best(rounds, lambda: _copying(count, 64), lambda: _copying(count // 4, 0))
    copied = ours.result, theirs.result
    mine, other = count / ours.cpu, count // 4 / theirs.cpu
    yield Row(
        f"copy {count:,} objects: copies a CPU second",
        f"{mine:,.0f}, and {count / ours.seconds:,.0f} a second",
        f"{other:,.0f} boto3 copy_object",
        mine / other,
        least=5,
        wrong="" if copied == (count, count // 4) else f"{copied} of {count, count // 4} were copied",
    )


def latency(*, versions: int, count: int, rounds: int) -> Iterator[Row]:
    """Rows for what 64 requests in flight gain over one at a time, where each takes 30 ms."""
    ms = f"{LATENCY * 1000:.0f} ms a request"
    few = versions // 20
    for flat in (False, True):
        with (
            stub(versions, latency=LATENCY, flat=flat, page=SMALL_PAGE) as server,
            stub(few, latency=LATENCY, flat=flat, page=SMALL_PAGE) as small,
        ):
            at_once, serially = best(
                rounds,
                partial(measured, list_ours, server.endpoint),
                partial(measured, list_serially, small.endpoint),
            )
            wrong = _unlisted(server, at_once.result) or _unlisted(small, serially.result)
        rates = versions / SMALL_PAGE / at_once.seconds, few / SMALL_PAGE / serially.seconds
        shape = "one folder" if flat else "a tree"
        yield Row(
            f"{ms}: list {shape}, pages a second",
            f"{rates[0]:.0f} (64 in flight)",
            f"{rates[1]:.1f} (one at a time)",
            rates[0] / rates[1],
            least=20,
            wrong=wrong,
        )
    many, one = best(rounds, lambda: _copying(count, 64, LATENCY), lambda: _copying(count // 20, 1, LATENCY))
    yield Row(
        f"{ms}: copies a second",
        f"{count / many.seconds:,.0f} (64 in flight)",
        f"{count // 20 / one.seconds:.1f} (one at a time)",
        count / many.seconds / (count // 20 / one.seconds),
        least=20,
        wrong="" if (many.result, one.result) == (count, count // 20) else "not all were copied",
    )


def _copying(count: int, in_flight: int, delay: float = 0.0) -> Cost[int]:
    """On a stub of its own, since a copy changes what stands. in_flight 0: by boto3."""
    with stub(count * 6, latency=delay) as server:
        if in_flight:
            return measured(copy_ours, server.endpoint, count, in_flight)
        return measured(copy_boto3, server.endpoint, count)


def _unlisted(server: Stub, listed: Listed) -> str:
    entries = ENTRIES * server.keys
    if (listed.keys, listed.entries) == (server.keys, entries):
        return ""
    return f"{listed.keys} keys and {listed.entries} entries were listed, there are {server.keys} and {entries}"

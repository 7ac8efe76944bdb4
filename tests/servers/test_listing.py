"""The listing on real servers equals what was written and what boto3 lists one page after the other."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterator

import pytest

from artifact_store.history.listing import NotInOrder, list_current, list_histories, list_history
from artifact_store.s3 import client as client_module
from artifact_store.s3 import operations as op
from artifact_store.s3.client import S3, connect
from tests.servers.conftest import Server, new_bucket
from tests.servers.fault_proxy import Delay, FaultProxy, Reset, Status, Truncate

Truth = dict[str, list[tuple[str, bool]]]
"""Key to (version id, is marker), newest first."""
PIECES = [
    "a",
    "b",
    "m-1",
    "m-10",
    "with space",
    "a+b",
    "100%",
    "%41",
    "é",
    "日本",
    "\U0001f600",
    "x&y",
    "..z",
    "A",
    "_",
]


def odd_keys(draw: random.Random, count: int) -> list[str]:
    """Folders two deep; no key is also a folder, which SeaweedFS cannot hold without losing it at a page's end."""
    keys = {f"{draw.choice(PIECES)}/{draw.choice(PIECES)}-{draw.choice(PIECES)}.bin" for _ in range(count)}
    return sorted(keys | {f"top {draw.choice(PIECES)}.json" for _ in range(count // 8)})


def write(s3: S3, bucket: str, plan: dict[str, list[bool]]) -> Truth:
    """Each key's entries in their order, oldest first, True for a marker; different keys at once."""

    def one(key: str, kinds: list[bool]) -> op.Job[tuple[str, list[tuple[str, bool]]]]:
        made = []
        for number, is_marker in enumerate(kinds):
            if is_marker:
                deleted = yield op.DeleteObject(bucket, key)
                made.append((deleted.marker_version_id, True))
            else:
                written = yield op.PutObject(bucket, key, b"%d" % number)
                made.append((written.version_id, False))
        return key, made[::-1]

    return dict(s3.run((one(key, kinds) for key, kinds in plan.items()), in_flight=16))


def by_boto(server: Server, bucket: str, prefix: str = "") -> dict[str, set[tuple[str, bool]]]:
    found: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for page in server.boto().get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for kind, is_marker in (("Versions", False), ("DeleteMarkers", True)):
            for entry in page.get(kind, []):
                found[entry["Key"]].add((entry["VersionId"], is_marker))
    return dict(found)


def entries_of(history_entries: list[op.Entry]) -> list[tuple[str, bool]]:
    return [(entry.version_id, entry.is_marker) for entry in history_entries]


def check(server: Server, s3: S3, bucket: str, truth: Truth, prefix: str = "") -> None:
    histories = list(list_histories(s3, bucket, prefix))
    keys = [history.key for history in histories]
    assert keys == sorted(key for key in truth if key.startswith(prefix))
    for history in histories:
        found, written = entries_of(history.entries), truth[history.key]
        if server.interleaves:
            assert found == written, history.key
        else:
            assert sorted(found) == sorted(written), history.key
            assert [e for e in found if not e[1]] == [e for e in written if not e[1]], history.key
        assert [entry.is_latest for entry in history.entries].count(True) == 1
    alive = ((h.key, e) for h in histories for e in h.entries if e.is_latest and not e.is_marker)
    try:
        current = [(entry.key, entry.etag, entry.size) for entry in list_current(s3, bucket, prefix)]
    except NotInOrder:
        assert server.name == "weed", "the others list in byte order"
    else:
        assert current == [(key, entry.etag, entry.size) for key, entry in alive]


@pytest.mark.parametrize("seed", range(3))
def test_a_random_history_with_odd_keys_is_listed_exactly(server: Server, s3: S3, bucket: str, seed: int) -> None:
    draw = random.Random(seed)
    plan = {key: [False] + [draw.random() < 0.3 for _ in range(draw.randrange(5))] for key in odd_keys(draw, 120)}
    truth = write(s3, bucket, plan)
    check(server, s3, bucket, truth)
    assert by_boto(server, bucket) == {key: set(entries) for key, entries in truth.items()}
    for prefix in ("a", "a/", "m-1", "m-1/", "with ", "é/", "%", "top ", "nothing"):
        check(server, s3, bucket, truth, prefix)


def test_one_key_is_listed_alone(server: Server, s3: S3, bucket: str) -> None:
    truth = write(s3, bucket, {"a": [False, True, False], "a-b": [False], "ab": [False], "c/é +%41": [False, False]})
    for key in ("a", "c/é +%41"):
        history = list_history(s3, bucket, key)
        assert history is not None
        assert (history.key, sorted(entries_of(history.entries))) == (key, sorted(truth[key]))
    assert list_history(s3, bucket, "c/") is None


def test_what_was_written_before_versioning_has_the_id_null(server: Server, s3: S3) -> None:
    boto = server.boto()
    bucket = new_bucket(server, versioned=False)
    boto.put_object(Bucket=bucket, Key="k", Body=b"old")
    boto.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    newer = boto.put_object(Bucket=bucket, Key="k", Body=b"new")["VersionId"]
    [history] = list_histories(s3, bucket)
    assert entries_of(history.entries) == [(newer, False), ("null", False)]
    assert s3.call(op.GetObject(bucket, "k", "null")).data == b"old"


def test_an_empty_bucket_lists_nothing(s3: S3, bucket: str) -> None:
    assert list(list_histories(s3, bucket)) == []


def test_pages_of_markers_alone_hide_nothing(weed: Server) -> None:
    """1,100 markers come first, so the first page holds no version at all."""
    bucket = new_bucket(weed)
    with connect(endpoint_url=weed.endpoint) as s3:
        truth = write(s3, bucket, {f"gone/{n:04d}": [True] for n in range(1100)} | {"z/kept": [False, True, False]})
        assert len(truth) == 1101
        check(weed, s3, bucket, truth)


def test_a_key_with_more_entries_than_a_page_holds_is_whole(weed: Server) -> None:
    bucket = new_bucket(weed)
    with connect(endpoint_url=weed.endpoint) as s3:
        truth = write(s3, bucket, {"f/a": [False], "f/long": [n % 3 == 2 for n in range(1150)], "f/z": [False]})
        check(weed, s3, bucket, truth)
        history = list_history(s3, bucket, "f/long")
        assert history is not None
        assert entries_of(history.entries) == truth["f/long"]


@pytest.fixture(scope="module")
def large(weed: Server) -> Iterator[tuple[str, Truth]]:
    """14,000 entries: folders of all sizes and one flat folder. Written in 4 seconds, once."""
    bucket = new_bucket(weed)
    draw = random.Random(7)
    flat = {f"flat/ckpt-{n:05d}.pt": [False] for n in range(5000)}
    deep = {f"models/m-{n % 90}/{'ab'[n % 2]}/part-{n:04d}": [False, n % 5 == 0] for n in range(3500)}
    odd = {key: [False, True] for key in odd_keys(draw, 400)}
    with connect(endpoint_url=weed.endpoint) as s3:
        yield bucket, write(s3, bucket, flat | deep | odd)


def test_a_large_bucket_is_listed_in_parallel_without_loss(weed: Server, large: tuple[str, Truth]) -> None:
    bucket, truth = large
    with connect(endpoint_url=weed.endpoint) as s3:
        for prefix in ("", "flat/", "models/m-1"):
            check(weed, s3, bucket, truth, prefix)


def test_nothing_is_lost_where_requests_fail(
    weed: Server, large: tuple[str, Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, truth = large
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.005)
    faults = [Status(503, "SlowDown"), Reset(), Truncate(0.5), Status(500), Truncate(0.99), None, None]
    with FaultProxy(weed.endpoint) as proxy, connect(endpoint_url=proxy.endpoint) as s3:
        proxy.choose = lambda seen: faults[seen.number % len(faults)] if seen.attempt < 4 else None
        check(weed, s3, bucket, truth)
        assert len(proxy.faults) > 10


def test_a_listing_that_is_left_early_ends_what_is_in_flight(weed: Server, large: tuple[str, Truth]) -> None:
    bucket, _ = large
    with FaultProxy(weed.endpoint) as proxy, connect(endpoint_url=proxy.endpoint) as s3:
        proxy.choose = lambda seen: Delay(60) if seen.number > 2 else None
        histories = list_histories(s3, bucket)
        next(histories)
        began = time.monotonic()
        histories.close()
        s3.close()
        assert time.monotonic() - began < 1

"""The parallel listing against a model of S3: each key once, in order, whole, whatever the keys and page sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artifact_store.errors import S3Error
from artifact_store.history import listing
from artifact_store.history.listing import History, NotInOrder, list_current, list_histories, list_history
from artifact_store.s3 import operations as op
from tests.history.ticking import Ticking
from tests.restore.memory import MemoryS3

BUCKET = "bkt"
LETTERS = "ab/-. 09\U0001f600\uffee"
"""Few, so that folders, siblings of folders and common beginnings abound; two that sort differently in UTF-16."""


class SmallPages(MemoryS3):
    """S3 that never sends more than so many entries at once, as it may (ListObjectVersions, API reference)."""

    def __init__(self, most: int, **more: Any) -> None:
        super().__init__(**more)
        self.most = most

    def _answer(self, operation: op.Operation) -> Any:
        if isinstance(operation, op.ListVersions | op.ListObjects):
            operation = replace(operation, max_keys=min(operation.max_keys, self.most))
        return super()._answer(operation)


def fill(s3: MemoryS3, keys: list[tuple[str, int]]) -> None:
    """Each key with so many entries, every third a marker."""
    for key, count in keys:
        for number in range(count):
            if number % 3 == 2:
                s3.delete(key)
            else:
                s3.put(key, b"%d" % number)


def expected(s3: MemoryS3, prefix: str) -> list[tuple[str, list[op.Entry]]]:
    keys = sorted(key for key in s3.buckets[BUCKET].keys if key.startswith(prefix))
    return [(key, [stored.entry for stored in s3._listed(BUCKET, key)]) for key in keys]


def listed(histories: Iterator[History]) -> list[tuple[str, list[op.Entry]]]:
    return [(history.key, history.entries) for history in histories]


key_names = st.text(LETTERS, min_size=1, max_size=7)
filled = st.lists(st.tuples(key_names, st.integers(1, 5)), max_size=60, unique_by=lambda pair: pair[0])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(filled, st.integers(1, 9), st.integers(0, 9), st.text(LETTERS, max_size=2))
def test_every_key_comes_once_in_byte_order_with_its_entries_newest_first(
    keys: list[tuple[str, int]], most: int, seed: int, prefix: str
) -> None:
    s3 = SmallPages(most, seed=seed)
    fill(s3, keys)
    assert listed(list_histories(s3, BUCKET, prefix)) == expected(s3, prefix)
    current = [(key, entries[0]) for key, entries in expected(s3, prefix) if not entries[0].is_marker]
    assert [(e.key, e) for e in list_current(s3, BUCKET, prefix)] == [
        (k, e._replace(version_id="")) for k, e in current
    ]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(filled, st.integers(1, 9), st.integers(0, 9), st.text(LETTERS, max_size=2))
def test_no_entry_is_lost_where_versions_come_before_markers(
    keys: list[tuple[str, int]], most: int, seed: int, prefix: str
) -> None:
    s3 = SmallPages(most, seed=seed, interleaved=False)
    fill(s3, keys)
    found = list(list_histories(s3, BUCKET, prefix))

    def as_set(entries: list[op.Entry]) -> set[str]:
        return {entry.version_id for entry in entries}

    assert [(h.key, as_set(h.entries)) for h in found] == [(k, as_set(e)) for k, e in expected(s3, prefix)]
    assert sum(len(history.entries) for history in found) == sum(len(e) for _, e in expected(s3, prefix))


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(["flat", "deep", "numbered", "hex", "dated", "one folder"]),
    st.integers(200, 600),
    st.integers(1, 4),
    st.integers(0, 99),
)
def test_shapes_that_people_store_are_listed_whole(shape: str, count: int, versions: int, seed: int) -> None:
    names = {
        "flat": lambda n: f"{n * 7919 % 100_003:x}",
        "deep": lambda n: f"m/{n % 7}/{n % 5}/{n}/w.bin",
        "numbered": lambda n: f"ckpt-{n:06d}.pt",
        "hex": lambda n: f"blobs/{n * 2654435761 % 2**32:08x}",
        "dated": lambda n: f"2026/{n % 12 + 1:02d}/{n % 28 + 1:02d}/run-{n}/model.safetensors",
        "one folder": lambda n: f"models/m-{n // 9}-of-100/part-{n % 9}",
    }
    s3 = SmallPages(20, seed=seed)
    fill(s3, [(names[shape](n), versions) for n in range(count)])
    assert listed(list_histories(s3, BUCKET)) == expected(s3, "")
    assert [entry.key for entry in list_current(s3, BUCKET)] == sorted(s3.contents())


def list_ticking(s3: Ticking, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """List it all, where each answer takes so long by the listing's clock."""
    monkeypatch.setattr(listing, "monotonic", lambda: s3.ticks * seconds)
    assert [history.key for history in list_histories(s3, BUCKET)] == s3.keys


def test_a_listing_in_parallel_costs_few_requests_more_than_one_in_a_row() -> None:
    s3 = SmallPages(100, seed=1)
    fill(s3, [(f"models/m-{n:03d}/part-{part}", 2) for n in range(200) for part in range(10)])
    entries = sum(len(history.entries) for history in list_histories(s3, BUCKET))
    assert entries == 4000
    assert 40 <= len(s3.sent) <= 40 * 3


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(
            lambda i: f"m/f-{i // 9000:02}/run-{i // 90 % 100:03}/step-{i // 9 % 10:05}/{i % 9:05}", id="tree"
        ),
        pytest.param(lambda i: f"artifacts/{i:09}.bin", id="numbers"),
        pytest.param(lambda i: f"blobs/{i * 2654435761 % 2**32:08x}", id="digests"),
    ],
)
def test_a_thousand_pages_take_a_twentieth_of_the_time_of_one_after_the_other(
    names: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 requests under way, 30 ms each; each of these buckets is listed in half a second of computing."""
    s3 = Ticking(sorted(names(i) for i in range(33_334)))
    list_ticking(s3, monkeypatch, 0.03)
    assert s3.ticks <= s3.pages / 20
    assert s3.requests <= s3.pages * 1.6


@pytest.mark.parametrize("keys", [90, 20])
def test_more_folders_than_an_answer_names_are_asked_for_before_they_are_read(
    keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """25 a page, of a hundred folders and more."""
    s3 = Ticking([f"m/run-{i // keys:05}/{i % keys:05}" for i in range(8_333)], page=25)
    list_ticking(s3, monkeypatch, 0.03)
    assert s3.ticks <= s3.pages / 20
    assert s3.requests <= s3.pages * 1.9


def test_requests_grow_as_the_bucket_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever cuts a range asks for the folders in it, and not for all that come after."""
    few, many = (Ticking([f"m/{i // 10:05}/{i % 10}" for i in range(count)], page=4) for count in (4_000, 16_000))
    for s3 in (few, many):
        list_ticking(s3, monkeypatch, 0.03)
    assert many.requests <= 4.2 * few.requests


def test_folders_that_come_after_many_files_are_read_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [f"a{i:05}" for i in range(150)]
    s3 = Ticking(files + [f"m-{i // 20:04}/{i % 20:05}" for i in range(20_000)])
    list_ticking(s3, monkeypatch, 0.03)
    assert s3.ticks <= s3.pages / 15


def test_tiny_folders_are_named_by_the_thousand_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = Ticking([f"m/run-{i:06}/x" for i in range(10_000)])
    list_ticking(s3, monkeypatch, 0.1)
    assert s3.ticks <= s3.pages / 2
    assert s3.requests <= s3.pages * 1.8


def test_a_folder_of_files_alone_is_not_asked_for_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = Ticking([f"m/{i:05}" for i in range(5_000)])
    list_ticking(s3, monkeypatch, 0.03)
    assert [ask.prefix for ask in s3.asked if ask.delimiter] == [""]


def test_the_folders_of_a_level_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each is cut again, those around it are known."""
    s3 = Ticking([f"m/r-{i // 100:03}/s-{i // 10 % 10}/{i % 10}" for i in range(8_333)], page=25)
    list_ticking(s3, monkeypatch, 0.03)
    assert [ask.prefix for ask in s3.asked if ask.delimiter].count("") == 1


@pytest.mark.parametrize("kind", ["digests", "numbers"])
def test_what_is_held_is_bounded_where_guesses_bring_pages(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some times what is read ahead, however much there is."""
    names = {"digests": lambda i: f"{i * 2654435761 % 2**32:08x}", "numbers": lambda i: f"{i:09}"}
    s3 = Ticking(sorted(names[kind](i) for i in range(70_000)), page=1000)
    monkeypatch.setattr(listing, "monotonic", lambda: s3.ticks * 0.03)
    one = listing._Listing(s3, BUCKET, "")
    most = 0
    for number, _ in enumerate(one.histories()):
        if number % 1000 == 0:
            most = max(most, sum(part.held for part in one._ranges))
    assert most <= 4 * 32_000


def test_files_beside_folders_are_not_listed_for_the_sake_of_the_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """That would be the whole listing, one page after the other, before the range is cut."""
    s3 = Ticking([f"m/{i:05}{'/x' * (i % 50 == 0)}" for i in range(5_000)], versions=1)
    list_ticking(s3, monkeypatch, 0.03)
    assert s3.ticks <= s3.pages / 3


def test_folders_that_a_server_names_again_and_again_are_not_asked_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stuck(Ticking):
        def _answer(self, ask: op.ListVersions) -> op.VersionPage:
            page = super()._answer(ask)
            return replace(page, next_key_marker="", next_version_id_marker="") if ask.delimiter else page

    s3 = Stuck([f"m/run-{i // 90:05}/{i % 90:05}" for i in range(8_333)], page=25)
    list_ticking(s3, monkeypatch, 0.03)
    assert s3.ticks <= s3.pages / 10


def test_the_few_pages_of_a_small_bucket_are_not_waited_for_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """10 pages of 20 models: the first page, where to cut, the pieces, and what lies behind each. A page shows two of
    them, and not whether the first is whole: they may be twice as long as they are."""
    s3 = Ticking([f"m/f-{i // 100:02}/{i % 100:05}" for i in range(2000)], versions=5, page=1000)
    list_ticking(s3, monkeypatch, 0.1)
    assert s3.ticks <= 5
    # 18 folders, each with a look at what lies behind it.
    assert s3.requests <= s3.pages + 2 * 18


def test_a_server_that_answers_at_once_is_sent_hardly_more_requests_than_there_are_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3 = Ticking([f"m/f-{i // 9000:02}/run-{i // 90 % 100:03}/{i % 90:05}" for i in range(33_334)], page=1000)
    list_ticking(s3, monkeypatch, 0.001)
    assert s3.requests <= s3.pages * 1.25


def test_a_listing_that_fits_a_page_costs_one_request() -> None:
    s3 = MemoryS3()
    fill(s3, [(f"k{n}", 2) for n in range(300)])
    assert len(list(list_histories(s3, BUCKET))) == 300
    assert len(s3.sent) == 1


def test_an_empty_bucket_has_no_histories() -> None:
    assert list(list_histories(MemoryS3(), BUCKET)) == []


def test_a_missing_bucket_is_an_error() -> None:
    with pytest.raises(S3Error):
        list(list_histories(MemoryS3(), "none"))


def test_a_failing_page_ends_the_listing_instead_of_leaving_a_gap() -> None:
    s3 = SmallPages(10, seed=3)
    fill(s3, [(f"k{n:03d}", 1) for n in range(300)])

    def fail(operation: op.Operation) -> None:
        if len(s3.sent) == 12:
            raise S3Error("no", status=500, code="InternalError")

    s3.before = fail
    with pytest.raises(S3Error):
        list(list_histories(s3, BUCKET))


def test_a_listing_that_is_not_read_to_its_end_asks_for_no_more_than_it_may_hold() -> None:
    s3 = SmallPages(1)
    fill(s3, [(f"k{n:04d}", 1) for n in range(2000)])
    histories = list_histories(s3, BUCKET)
    assert next(histories).key == "k0000"
    assert len(s3.sent) < 500
    asked = len(s3.sent)
    histories.close()
    assert len(s3.sent) == asked


@pytest.mark.parametrize("most", [1, 2, 3, 1000])
def test_one_key_is_found_among_its_neighbours(most: int) -> None:
    s3 = SmallPages(most)
    fill(s3, [("a", 2), ("a/b", 1), ("a-b", 1), ("ab", 2), ("b", 5)])
    for key in ("a", "a/b", "ab", "b"):
        history = list_history(s3, BUCKET, key)
        assert history is not None
        assert (history.key, history.entries) == (key, [stored.entry for stored in s3._listed(BUCKET, key)])
    assert list_history(s3, BUCKET, "a/") is None
    assert list_history(s3, BUCKET, "zzz") is None


@pytest.mark.parametrize("lister", [list_histories, list_current])
def test_a_server_that_promises_more_without_saying_from_where_is_not_asked_for_ever(lister: Any) -> None:
    class Stuck(MemoryS3):
        def _answer(self, operation: op.Operation) -> Any:
            page = super()._answer(operation)
            return replace(page, entries=[], is_truncated=True, next_key_marker="", next_version_id_marker="")

    s3 = Stuck()
    s3.put("a", b"1")
    with pytest.raises(S3Error if lister is list_histories else NotInOrder):
        list(lister(s3, BUCKET))

"""The bucket that measurements are made on is listed as S3 lists one, and its history is what it is said to be."""

import itertools

import pytest

from artifact_store.history.listing import History
from artifact_store.history.state import at
from artifact_store.s3.pages import parse_objects, parse_versions
from bench.bucket import INSTANT, Bucket, after, id_of

LATER = INSTANT + 1000


def pages(bucket, most=1000, prefix="", delimiter=""):
    key, version = "", ""
    while True:
        page = parse_versions(bucket.list(prefix, delimiter, key, version, most))
        yield page
        if not page.is_truncated:
            return
        key, version = page.next_key_marker, page.next_version_id_marker


def entries(bucket, **asked):
    return [entry for page in pages(bucket, **asked) for entry in page.entries]


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("most", [1, 2, 3, 7, 1000])
def test_pages_of_any_size_hold_every_entry_once_in_order(flat, most):
    bucket = Bucket(90, flat=flat)
    bucket.write(4, LATER, 1)
    expected = [(key, id_of(i, entry)) for i, key in enumerate(bucket.keys) for entry in bucket.entries(i)]
    assert [(entry.key, entry.version_id) for entry in entries(bucket, most=most)] == expected
    assert len(expected) == 91
    assert bucket.keys == sorted(bucket.keys)


def test_a_prefix_lists_what_lies_below_it_and_nothing_else():
    bucket = Bucket(3 * 250)
    prefix = bucket.keys[120][: bucket.keys[120].index("/checkpoint")]
    assert {entry.key for entry in entries(bucket, prefix=prefix, most=7)} == set(bucket.keys[100:200])


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_a_delimiter_gives_each_folder_once(most):
    bucket = Bucket(3 * 250)
    found = list(pages(bucket, most=most, prefix="models/family-000/", delimiter="/"))
    folders = [prefix for page in found for prefix in page.common_prefixes]
    assert folders == [f"models/family-000/run-{run:03}/" for run in range(3)]
    assert not any(page.entries for page in found)


def test_a_delimiter_after_a_key_leaves_out_the_folders_before_it():
    bucket = Bucket(3 * 250)
    page = parse_versions(bucket.list("models/family-000/", "/", bucket.keys[120], ""))
    assert page.common_prefixes == ["models/family-000/run-002/"]


def test_the_keys_to_keep_copy_and_delete_are_as_many_as_the_histories_say():
    bucket = Bucket(3 * 37)
    found = {"copy": 0, "delete": 0, "keep": 0}
    for key, group in itertools.groupby(entries(bucket), key=lambda entry: entry.key):
        state = at(History(key, list(group)), INSTANT)
        then, now = state.then, state.now
        found["delete" if then is None else "keep" if then is now else "copy"] += 1
    assert bucket.expected() == found == {"copy": 26, "delete": 4, "keep": 7}


def test_what_is_written_stands_on_top_with_the_etag_of_what_was_copied():
    bucket = Bucket(30)
    source = next(
        e for e in entries(bucket) if e.key == bucket.keys[0] and e.version_id == id_of(0, bucket.entries(0)[1])
    )
    bucket.write(0, LATER, 1)
    first, second = entries(bucket)[:2]
    assert (first.etag, first.is_latest, first.last_modified) == (source.etag, True, LATER)
    assert (second.is_latest, second.last_modified) == (False, INSTANT + 60)
    bucket.write(0, LATER, None)
    assert entries(bucket)[0].is_marker
    assert bucket.current(bucket.keys[0]) is None
    assert len({entry.version_id for entry in entries(bucket)}) == 32


@pytest.mark.parametrize("prefix", ["a", "a/", "models/family-000/"])
def test_after_a_prefix_comes_the_first_string_beyond_all_that_start_with_it(prefix):
    assert prefix + "\U0010ffff" * 3 < after(prefix)
    assert not after(prefix).startswith(prefix)


@pytest.mark.parametrize("flat", [False, True])
def test_current_objects_are_listed_once_in_order_page_after_page(flat: bool) -> None:
    bucket = Bucket(3000, flat=flat, page=70)
    found: list[str] = []
    while True:
        page = parse_objects(bucket.list_current(start_after=found[-1] if found else ""))
        found += [entry.key for entry in page.entries]
        if not page.is_truncated:
            break
    assert found == [key for key in bucket.keys if bucket.current(key) is not None]

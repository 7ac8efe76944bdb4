"""What small files hold is remembered by ETag and size: of answers that are what was listed, and within bounds."""

import pytest

from artifact_store.history import contents
from artifact_store.history.contents import Contents
from artifact_store.s3.operations import Entry, ObjectBody


def entry(key: str, etag: str, size: int) -> Entry:
    return Entry(key, "v", 1.0, is_latest=True, etag=etag, size=size)


def test_the_same_etag_and_size_are_the_same_bytes_and_another_of_either_is_not():
    known = Contents()
    known.keep(entry("a/x.json", "e", 2), ObjectBody(b"{}", 2, "e"))
    assert known.of(entry("b/y.json", "e", 2)) == b"{}"
    assert known.of(entry("a/x.json", "e", 3)) is None
    assert known.of(entry("a/x.json", "f", 2)) is None


@pytest.mark.parametrize(
    ("etag", "size", "data", "answered"),
    [
        ("", 2, b"{}", ""),
        ("e", 2, b"{}", "f"),
        ("e", 2, b"{}", ""),
        ("e", 3, b"{}", "e"),
        ("e", 1, b"{}", "e"),
    ],
)
def test_an_answer_that_is_not_what_was_listed_is_not_remembered(etag, size, data, answered):
    known = Contents()
    known.keep(entry("a", etag, size), ObjectBody(data, size, answered))
    assert known.of(entry("a", etag, size)) is None


def test_no_more_is_remembered_than_fits(monkeypatch):
    monkeypatch.setattr(contents, "KEPT", 8)
    monkeypatch.setattr(contents, "LARGEST", 4)
    known = Contents()
    # The same content twice takes its place once.
    for etag, size in (("one", 3), ("one", 3), ("large", 5), ("two", 4), ("three", 2), ("four", 1)):
        known.keep(entry("a", etag, size), ObjectBody(b"1" * size, size, etag))
    sizes = {"one": 3, "large": 5, "two": 4, "three": 2, "four": 1}
    assert [etag for etag, size in sizes.items() if known.of(entry("a", etag, size))] == ["one", "two", "four"]

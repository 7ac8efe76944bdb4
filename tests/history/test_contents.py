"""What small files hold is remembered by ETag and size, and within bounds."""

from artifact_store.formats.finding import Finding
from artifact_store.history import contents
from artifact_store.history.contents import Contents
from artifact_store.s3.operations import Entry


def entry(key: str, etag: str, size: int) -> Entry:
    return Entry(key, "v", 1.0, is_latest=True, etag=etag, size=size)


def test_the_same_etag_and_size_are_the_same_bytes_and_another_of_either_is_not():
    known = Contents()
    known.keep(entry("a/x.json", "e", 2), b"{}")
    assert known.data(entry("b/y.json", "e", 2)) == b"{}"
    assert known.data(entry("a/x.json", "e", 3)) is None
    assert known.data(entry("a/x.json", "f", 2)) is None


def test_what_a_file_is_holds_for_its_name_in_any_folder():
    known, finding = Contents(), Finding("JSON")
    known.keep_finding(entry("a/x.json", "e", 2), finding)
    assert known.finding(entry("b/c/x.json", "e", 2)) is finding
    assert known.finding(entry("a/x.yaml", "e", 2)) is None
    assert known.finding(entry("a/x.json", "f", 2)) is None


def test_without_an_etag_nothing_is_remembered():
    known = Contents()
    known.keep(entry("a", "", 2), b"{}")
    known.keep_finding(entry("a", "", 2), Finding())
    assert (known.data(entry("a", "", 2)), known.finding(entry("a", "", 2))) == (None, None)


def test_no_more_is_remembered_than_fits(monkeypatch):
    monkeypatch.setattr(contents, "BYTES_KEPT", 5)
    monkeypatch.setattr(contents, "FINDINGS_KEPT", 1)
    known = Contents()
    for etag, data in (("one", b"123"), ("two", b"123"), ("three", b"12"), ("one", b"123")):
        known.keep(entry("a", etag, len(data)), data)
        known.keep_finding(entry("a", etag, len(data)), Finding())
    assert [etag for etag, size in (("one", 3), ("two", 3), ("three", 2)) if known.data(entry("a", etag, size))] == [
        "one",
        "three",
    ]
    assert known.finding(entry("a", "one", 3)) is not None
    assert known.finding(entry("a", "two", 3)) is None

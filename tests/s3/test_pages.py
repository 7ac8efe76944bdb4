"""Pages of listings: whatever a server writes is read as XML means it, and the quick way is the one that is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.errors import S3Error
from artifact_store.s3 import operations as op
from artifact_store.s3 import pages, wire
from tests.s3.pages import LEGAL, XML, Style, keys, page

NOON = 1_700_000_000


def entries(encoded: bool) -> st.SearchStrategy[list[op.Entry]]:
    def make(key: str, marker: bool, **more: object) -> op.Entry:
        if marker:
            more.update(etag="", size=0, storage_class="STANDARD", restored=False)
        return op.Entry(key=key, is_marker=marker, **more)

    entry = st.builds(
        make,
        key=keys(LEGAL if encoded else XML),
        marker=st.booleans(),
        version_id=st.sampled_from(["null", "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", "a&b"])
        | st.text("abcXYZ019._-", min_size=1),
        last_modified=st.integers(NOON - 5, NOON).map(float),
        is_latest=st.booleans(),
        etag=st.sampled_from(["d41d8cd98f00b204e9800998ecf8427e", "9b2cf535f27731c974343645a3985328-12"]),
        size=st.integers(0, 5 * 2**40),
        storage_class=st.sampled_from(["STANDARD", "GLACIER", "DEEP_ARCHIVE"]),
        restored=st.booleans(),
    )
    return st.lists(entry, max_size=8)


styles = st.builds(Style, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans())


@given(st.data(), styles)
def test_a_page_reads_back_as_what_was_written_by_both_parsers(data: st.DataObject, style: Style) -> None:
    alphabet = LEGAL if style.encoded else XML
    written = data.draw(entries(style.encoded))
    prefixes = data.draw(st.lists(keys(alphabet), max_size=3))
    truncated, next_key = data.draw(st.booleans()), data.draw(st.just("") | keys(alphabet))
    body = page(written, style, prefixes, truncated, next_key, "v&1")
    for parsed in (pages.parse_versions(body, 7.0), by_xml(body, 7.0)):
        assert parsed.entries == written
        assert parsed.common_prefixes == prefixes
        assert (parsed.is_truncated, parsed.next_key_marker) == (truncated, next_key)
        assert (parsed.next_version_id_marker, parsed.server_time) == ("v&1", 7.0)


@given(st.data(), styles)
def test_the_quick_parser_says_of_order_what_the_xml_parser_says(data: st.DataObject, style: Style) -> None:
    body = page(data.draw(entries(style.encoded)), style)
    assert pages.parse_versions(body) == by_xml(body)


@pytest.mark.parametrize(
    ("raw", "meant"),
    [("&#x85;", "\x85"), ("&#133;", "\x85"), ("&#xD;&#xA;", "\r\n"), ("&amp;copy", "&copy"), ("&apos;&quot;", "'\"")],
)
def test_character_references_in_keys_mean_what_xml_says(raw: str, meant: str) -> None:
    body = page([op.Entry("KEY", "v", NOON, True)], Style(encoded=False)).replace(b"KEY", raw.encode())
    assert [e.key for e in pages.parse_versions(body).entries] == [meant]
    assert [e.key for e in by_xml(body).entries] == [meant]


@pytest.mark.parametrize(
    "change",
    [
        (b"<Version>", b'<Version kind="x">'),
        (b"<Key>", b"<Key >"),
        (b"<Key>k</Key>", b"<Key><![CDATA[k]]></Key>"),
        (b"<Key>k</Key>", b"<Key>k<!-- no --></Key>"),
        (b"</Version>", b"</Version >"),
    ],
)
def test_a_spelling_the_quick_parser_does_not_know_is_read_all_the_same(change: tuple[bytes, bytes]) -> None:
    plain = page([op.Entry("k", "v", NOON, True, etag="e", size=1)], Style())
    body = plain.replace(*change)
    assert body != plain
    assert pages.parse_versions(body) == pages.parse_versions(plain)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.99])
def test_a_page_cut_short_is_an_error_that_is_tried_again(cut: float) -> None:
    body = page([op.Entry(f"k{n}", "v", NOON, True, etag="e", size=1) for n in range(9)], Style())
    with pytest.raises(S3Error) as caught:
        wire.decode(op.ListVersions("b"), wire.Reply(200, {}, body[: int(len(body) * cut)]))
    assert caught.value.code == "Truncated"


def test_a_page_without_the_mandatory_fields_is_an_error_not_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_VERSIONS", pages._Reader("Version", "DeleteMarker"))  # one that has seen nothing yet
    body = page([op.Entry("k", "v", NOON, True, etag="e", size=1)], Style()).replace(b"<Key>k</Key>", b"")
    with pytest.raises(S3Error) as caught:
        wire.decode(op.ListVersions("b"), wire.Reply(200, {}, body))
    assert caught.value.code == "Truncated"
    assert "ListObjectVersions s3://b/" in str(caught.value)


V, M = False, True


@pytest.mark.parametrize(
    ("listed", "interleaved"),
    [
        # (key, marker, time, latest) in the order sent
        ([("a", V, 3, True), ("b", M, 3, True), ("b", V, 2, False)], True),
        ([("a", M, 3, True), ("a", V, 3, False), ("a", M, 3, False)], True),
        ([("a", V, 3, True), ("b", V, 3, True)], True),
        ([("a", M, 3, True), ("b", M, 3, True)], True),
        # A marker of an earlier key after the version of a later one.
        ([("a", V, 2, False), ("b", V, 2, True), ("a", M, 3, True)], False),
        # One key: the current entry is not the first.
        ([("a", V, 2, False), ("a", M, 2, True)], False),
        # One key: older before newer.
        ([("a", V, 2, True), ("a", V, 1, False), ("a", M, 2, False)], False),
    ],
)
def test_the_order_of_a_page_is_trusted_only_where_it_can_be_true(
    listed: list[tuple[str, bool, int, bool]], interleaved: bool
) -> None:
    body = page([op.Entry(k, "v", NOON + t, latest, marker) for k, marker, t, latest in listed], Style())
    assert pages.parse_versions(body).interleaved is interleaved


SERVERS = {
    "aws": "<Version><Key>a</Key><VersionId>1</VersionId><IsLatest>true</IsLatest>"
    "<LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><ChecksumAlgorithm>CRC32"
    "</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType><Size>5</Size><StorageClass>STANDARD</StorageClass>"
    "<Owner><ID>0</ID></Owner></Version>",
    "rgw": "<Version><Key>a</Key><VersionId>1</VersionId><IsLatest>true</IsLatest>"
    "<LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>5</Size>"
    "<StorageClass>STANDARD</StorageClass><Owner><ID>0</ID><DisplayName>x</DisplayName></Owner><Type>Normal</Type>"
    "</Version>",
    "moto": "<Version>\n<Key>a</Key>\n<VersionId>1</VersionId>\n<IsLatest>true</IsLatest>\n"
    "<LastModified>2024-01-01T00:00:00.000Z</LastModified>\n<ETag>&quot;e&quot;</ETag>\n<Size>5</Size>\n"
    "<StorageClass>STANDARD</StorageClass>\n<Owner>\n<ID>0</ID>\n<DisplayName>x</DisplayName>\n</Owner>\n</Version>",
    "seaweedfs": "<Version><IsLatest>true</IsLatest><Key>a</Key><LastModified>2024-01-01T00:00:00Z</LastModified>"
    "<Owner><ID>0</ID></Owner><Size>5</Size><StorageClass>STANDARD</StorageClass><VersionId>1</VersionId>"
    "<ETag>&#34;e&#34;</ETag></Version>",
    "archived": "<Version><Key>a</Key><VersionId>1</VersionId><IsLatest>true</IsLatest>"
    "<LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>5</Size>"
    "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>2024-02-01T00:00:00.000Z"
    "</RestoreExpiryDate></RestoreStatus><StorageClass>GLACIER</StorageClass></Version>",
    "marker": "<DeleteMarker><Owner><ID>0</ID></Owner><Key>a</Key><VersionId>1</VersionId><IsLatest>true</IsLatest>"
    "<LastModified>2024-01-01T00:00:00.000Z</LastModified></DeleteMarker>",
}
"""An entry as each of them writes it."""


@given(st.lists(st.sampled_from(sorted(SERVERS)), min_size=1, max_size=6))
def test_entries_of_any_server_mixed_on_one_page_mean_what_the_xml_parser_says(chosen: list[str]) -> None:
    body = listing("".join(SERVERS[name] for name in chosen))
    assert pages.parse_versions(body) == by_xml(body)


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_a_page_of_each_server_is_read_without_the_xml_parser(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = by_xml(listing(SERVERS[name]))
    monkeypatch.setattr(pages.xml, "parse", None)
    assert pages.parse_versions(listing(SERVERS[name])) == expected


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_an_entry_inside_a_comment_is_none(name: str) -> None:
    body = listing(f"{SERVERS['aws']}<!-- {SERVERS[name]} -->")
    assert len(pages.parse_versions(body).entries) == 1


def by_xml(body: bytes, server_time: float = 0.0) -> op.VersionPage:
    """The page as the XML parser reads it, with the quick way out of the way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "_quick", lambda *_: None)
        return pages.parse_versions(body, server_time)


def listing(entries: str) -> bytes:
    return f"<ListVersionsResult><IsTruncated>false</IsTruncated>{entries}</ListVersionsResult>".encode()


@pytest.mark.parametrize(
    "change",
    [
        ("<LastModified>2024-01-01T00:00:00.000Z</LastModified>", ""),
        ("<LastModified>2024-01-01T00:00:00.000Z</LastModified>", "<LastModified/>"),
        ("<Version>", "<NextKeyMarker>k</NextKeyMarker><Version>"),
    ],
)
def test_what_the_quick_way_would_leave_out_is_left_to_the_xml_parser(change: tuple[str, str]) -> None:
    """Between two sound entries."""
    body = listing(SERVERS["aws"] + SERVERS["aws"].replace(*change) + SERVERS["aws"])
    try:
        expected = by_xml(body)
    except ValueError:
        with pytest.raises(ValueError, match="an entry without LastModified"):
            pages.parse_versions(body)
    else:
        assert pages.parse_versions(body) == expected

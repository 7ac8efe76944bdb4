"""Keys that S3 takes, and pages of ListObjectVersions as servers write them, made from entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from hypothesis import strategies as st

from artifact_store.s3.operations import Entry

LEGAL = st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufffe\uffff")
"""Control characters too: S3 takes any UTF-8 (S3 User Guide, "Naming Amazon S3 objects")."""
XML = st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t\n\r", exclude_characters="\ufffe\uffff")
"""What an XML document can hold."""
ODD = st.sampled_from(
    [" ", "+", "%", "%41", "//", "/", "..", "&", "<", "]]>", "é", "日本", "\U0001f600", "?", "#", "="]
)


def keys(alphabet: st.SearchStrategy[str] = LEGAL) -> st.SearchStrategy[str]:
    piece = st.text(alphabet, min_size=1, max_size=8) | ODD
    return st.lists(piece, min_size=1, max_size=8).map("".join)


@dataclass(frozen=True)
class Style:
    """encoded: as AWS, keys URL-encoded and said so. owner: an Owner element in each entry. pretty: line breaks and
    indents between elements. prefixes_first: CommonPrefixes before the entries. self_closing: empty elements as <E/>."""

    encoded: bool = True
    owner: bool = False
    pretty: bool = False
    prefixes_first: bool = False
    self_closing: bool = False


def page(
    entries: Sequence[Entry],
    style: Style,
    prefixes: Sequence[str] = (),
    truncated: bool = False,
    next_key: str = "",
    next_version: str = "",
) -> bytes:
    def text(value: str) -> str:
        return escape(value, {"\r": "&#13;", "\n": "&#10;", '"': "&quot;"})

    def key(value: str) -> str:
        return text(quote_plus(value, safe="/") if style.encoded else value)

    def element(tag: str, value: str) -> str:
        return f"<{tag}/>" if style.self_closing and not value else f"<{tag}>{value}</{tag}>"

    gap = "\n  " if style.pretty else ""
    folders = [f"<CommonPrefixes>{gap}{element('Prefix', key(prefix))}{gap}</CommonPrefixes>" for prefix in prefixes]
    lines = [
        "<Name>b</Name>",
        element("Prefix", ""),
        element("KeyMarker", ""),
        element("IsTruncated", "true" if truncated else "false"),
        element("NextKeyMarker", key(next_key)),
        element("NextVersionIdMarker", text(next_version)),
        *(["<EncodingType>url</EncodingType>"] if style.encoded else []),
        *(folders if style.prefixes_first else []),
    ]
    for entry in entries:
        fields = [
            element("Key", key(entry.key)),
            element("VersionId", text(entry.version_id)),
            element("IsLatest", "true" if entry.is_latest else "false"),
            element("LastModified", _iso(entry.last_modified)),
        ]
        if not entry.is_marker:
            fields += [
                element("ETag", text(f'"{entry.etag}"')),
                element("Size", str(entry.size)),
                element("StorageClass", entry.storage_class),
            ]
            if entry.restored:
                fields.append("<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>")
        if style.owner:
            fields.append("<Owner><ID>0123</ID><DisplayName>Key &amp; Size</DisplayName></Owner>")
        tag = "DeleteMarker" if entry.is_marker else "Version"
        lines.append(f"<{tag}>{gap}{gap.join(fields)}{gap}</{tag}>")
    if not style.prefixes_first:
        lines += folders
    inner = gap + gap.join(lines) + gap
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</ListVersionsResult>'
    ).encode()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")

"""Pages of a listing as S3 writes them: versions and markers, or current objects.

Owns the reading of their XML, twice: by one regular expression, learnt from the pages themselves, since servers differ
in the order of elements and a million versions are read; and by an XML parser, which is right on everything and gets
every page of which the expression does not match each entry. Formats: S3 API reference, "ListObjectVersions" and
"ListObjectsV2".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from sys import intern
from typing import Any
from urllib.parse import unquote, unquote_plus
from xml.sax.saxutils import escape

from artifact_store.s3 import operations as op
from artifact_store.s3 import xml

FIELDS = ("Key", "LastModified", "VersionId", "IsLatest", "ETag", "Size", "StorageClass", "RestoreStatus")
NEEDED = FIELDS[:2]
MOST_ELEMENTS = 50
"""Kinds of element that an entry may have; S3 documents 12."""
Fields = tuple[str, ...]
"""One entry: the raw text of FIELDS in their order, "" where an element is absent."""

_CHILD = re.compile(r"<(\w+)>(?:[^<]*|\s*(?:<\w+>[^<]*</\w+>\s*)*)</\1>")
_INNER = r"\s*(?:<\w+>[^<]*</\w+>\s*)*"
_ROOT = re.compile(r"\s*(?:<\?xml[^>]*\?>)?\s*<(ListVersionsResult|ListBucketResult)[^>]*(?<!/)>")
_PREFIX = re.compile(r"<CommonPrefixes>\s*<Prefix>([^<]*)</Prefix>\s*</CommonPrefixes>")
_TOP = re.compile(r"<(IsTruncated|NextKeyMarker|NextVersionIdMarker|EncodingType)>([^<]*)</\1>")
_BESIDE = ("<IsTruncated", "<Next", "<EncodingType")
_ODD = re.compile(r"""<!|=["']|\s>""")
"""What S3 never writes around the entries and the expressions do not read: comments, CDATA, attributes, spaces in
tags."""


class _Reader:
    """One regular expression for entries of one or two kinds of element. Learns which elements come, and in which
    order, from the first page and from each that shows something new; all but NEEDED may be absent."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds
        self._orders: list[list[str]] = [[] for _ in kinds]
        self._find, self._picks = self._made()

    def read(self, listed: str, count: int) -> list[list[Fields]] | None:
        """For each kind the entries, with empty ones where an entry is of the other; None where not all `count` of
        them can be read."""
        found = self._find(listed)
        if len(found) != count:
            known = self._orders
            nothing: list[list[str]] = [[] for _ in known]
            for before in (known, nothing):
                self._orders = [
                    merged(order, shapes(kind, listed)) for order, kind in zip(before, self.kinds, strict=True)
                ]
                if not all(map(_sensible, self._orders)):
                    self._orders = nothing
                    return None
                self._find, self._picks = self._made()
                found = self._find(listed)
                if len(found) == count:
                    break
            else:
                return None
        return [list(map(pick, found)) for pick in self._picks]

    def _made(self) -> tuple[Callable[[str], list[Any]], list[Callable[[Fields], Fields]]]:
        alternatives: list[str] = []
        picks: list[Callable[[Fields], Fields]] = []
        groups = 0
        for order, kind in zip(self._orders, self.kinds, strict=True):
            wanted = [tag for tag in order or NEEDED if tag in FIELDS]
            # The last group never takes anything: it stands for the elements that are absent.
            body = "".join(map(_element, order or NEEDED))
            alternatives.append(rf"<{kind}>\s*{body}()</{kind}>")
            places = [groups + (wanted.index(tag) if tag in wanted else len(wanted)) for tag in FIELDS]
            picks.append(itemgetter(*places))
            groups += len(wanted) + 1
        return re.compile("|".join(alternatives)).findall, picks


def shapes(kind: str, listed: str) -> list[tuple[str, ...]]:
    """The sequences of elements that entries of this kind consist of, the longest first."""
    found = {tuple(_CHILD.findall(inner)) for inner in re.findall(f"<{kind}>(.*?)</{kind}>", listed, re.DOTALL)}
    return sorted(found, key=len, reverse=True)


def merged(order: list[str], more: Iterable[Sequence[str]]) -> list[str]:
    """The order with what other sequences have beside it, each element after the one it follows there."""
    found = list(order)
    for shape in more:
        at = 0
        for tag in shape:
            if tag not in found:
                found.insert(at, tag)
            at = found.index(tag) + 1
    return found


def _sensible(order: Sequence[str]) -> bool:
    return not order or (set(NEEDED) <= set(order) and len(order) <= MOST_ELEMENTS)


def _element(tag: str) -> str:
    if tag in NEEDED:
        return rf"<{tag}>([^<]*)</{tag}>\s*"
    if tag == "RestoreStatus":
        return rf"(?:<{tag}>({_INNER})</{tag}>\s*)?"
    if tag in FIELDS:
        return rf"(?:<{tag}>([^<]*)</{tag}>\s*)?"
    return rf"(?:<{tag}>(?:[^<]*|{_INNER})</{tag}>\s*)*"


_VERSIONS, _OBJECTS = _Reader("Version", "DeleteMarker"), _Reader("Contents")


def parse_versions(body: bytes, server_time: float = 0.0) -> op.VersionPage:
    """A page of ListObjectVersions. Raises ValueError or ExpatError where it is none."""
    page = _quick(body, "ListVersionsResult", _VERSIONS) or parse_by_xml(body, ("Version", "DeleteMarker"))
    entries = [_marker(fields, page.key) if at else _version(fields, page.key) for at, fields in page.listed]
    return op.VersionPage(
        entries,
        page.prefixes,
        page.top["IsTruncated"] == "true",
        page.key(page.top.get("NextKeyMarker", "")),
        plain(page.top.get("NextVersionIdMarker", "")),
        server_time,
        interleaved(entries),
    )


def parse_objects(body: bytes, server_time: float = 0.0) -> op.VersionPage:
    """A page of ListObjectsV2; goes on after the last key or prefix in it. Raises ValueError or ExpatError where it is
    none."""
    page = _quick(body, "ListBucketResult", _OBJECTS) or parse_by_xml(body, ("Contents",))
    entries = [_version(fields, page.key)._replace(version_id="", is_latest=True) for _, fields in page.listed]
    truncated = page.top["IsTruncated"] == "true"
    after = max([entry.key for entry in entries[-1:]] + page.prefixes[-1:], default="") if truncated else ""
    return op.VersionPage(entries, page.prefixes, truncated, after, "", server_time)


@dataclass(slots=True)
class Page:
    """A page's raw text. listed: (which of the kinds of element, its fields). top: what stands beside the entries.
    key: decodes a key."""

    listed: Iterable[tuple[int, Fields]]
    prefixes: list[str]
    top: Mapping[str, str]
    key: Callable[[str], str]


def _quick(body: bytes, root: str, reader: _Reader) -> Page | None:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    opening = _ROOT.match(text)
    # One character is found in a fiftieth of the time that two take.
    odd = "!" in text and "<!" in text
    if opening is None or opening[1] != root or not text.rstrip().endswith(f"</{root}>") or odd:
        return None
    begin = opening.end()
    low = min((at for kind in reader.kinds if (at := text.find(f"<{kind}>", begin)) >= 0), default=begin)
    high = max((at + len(kind) + 3 for kind in reader.kinds if (at := text.rfind(f"</{kind}>")) >= 0), default=low)
    rest = text[begin:low] + text[high:]
    top = dict(_TOP.findall(rest))
    if "IsTruncated" not in top or _ODD.search(rest):
        return None
    listed = text[low:high]
    found = reader.read(listed, sum(listed.count(f"<{kind}>") for kind in reader.kinds))
    prefixes = _PREFIX.findall(rest)
    if found is None or len(prefixes) != text.count("<CommonPrefixes>") or any(tag in listed for tag in _BESIDE):
        return None
    decoded = _decoder(top)
    entries = map(_of_kind, *found) if len(found) > 1 else ((0, fields) for fields in found[0])
    return Page(entries, list(map(decoded, prefixes)), top, decoded)


def _of_kind(version: Fields, marker: Fields) -> tuple[int, Fields]:
    return (0, version) if version[0] else (1, marker)


def parse_by_xml(body: bytes, kinds: Sequence[str]) -> Page:
    """The same by a real XML parser: the reference for the quick way. kinds: the elements that are entries."""
    stack: list[str] = []
    pieces: list[str] = []
    top: dict[str, str] = {}
    listed: list[tuple[int, dict[str, str]]] = []
    prefixes: list[str] = []

    def start(tag: str, _: Any) -> None:
        stack.append(tag)
        pieces.clear()
        if tag in kinds:
            listed.append((kinds.index(tag), {}))

    def end(tag: str) -> None:
        value = escape("".join(pieces))
        pieces.clear()
        stack.pop()
        if any(kind in stack for kind in kinds):
            if tag == "IsRestoreInProgress":
                tag, value = "RestoreStatus", f">{value}<"
            listed[-1][1].setdefault(tag, value)
        elif tag == "Prefix" and stack[-1:] == ["CommonPrefixes"]:
            prefixes.append(value)
        elif len(stack) == 1:
            top[tag] = value

    xml.parse(body, start, end, pieces)
    if "IsTruncated" not in top:
        raise ValueError("no IsTruncated in it")
    decoded = _decoder(top)
    return Page([(at, _in_order(fields)) for at, fields in listed], list(map(decoded, prefixes)), top, decoded)


def _in_order(fields: Mapping[str, str]) -> Fields:
    lacking = next((tag for tag in NEEDED if not fields.get(tag)), "")
    if lacking:
        raise ValueError(f"an entry without {lacking}")
    return tuple(fields.get(tag, "") for tag in FIELDS)


def _version(fields: Fields, decoded: Callable[[str], str]) -> op.Entry:
    key, time, version_id, latest, etag, size, storage_class, restore = fields
    return op.Entry(
        decoded(key),
        (plain(version_id) if "&" in version_id else version_id) or "null",
        _SECONDS.get(time) or _time(time),
        latest == "true",
        False,
        # Written in quotes.
        etag[6:-6] if etag[:6] == etag[-6:] == "&quot;" else plain(etag).strip('"'),
        int(size or 0),
        intern(storage_class) if storage_class else "STANDARD",
        ">false<" in restore,
    )


def _marker(fields: Fields, decoded: Callable[[str], str]) -> op.Entry:
    key, time, version_id, latest, *_ = fields
    return op.Entry(
        decoded(key), plain(version_id) or "null", _SECONDS.get(time) or _time(time), latest == "true", True
    )


_REFERENCE = re.compile(r"&(?:#(\d+)|#x([0-9a-fA-F]+)|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


def _referred(match: re.Match[str]) -> str:
    if match[3]:
        return _NAMED[match[3]]
    return chr(int(match[1]) if match[1] else int(match[2], 16))


def plain(text: str) -> str:
    """XML text that is never URL-encoded."""
    return _REFERENCE.sub(_referred, text) if "&" in text else text


def _decoder(top: Mapping[str, str]) -> Callable[[str], str]:
    """Keys are URL-encoded only where the answer says so; "+" stands for a space then (API reference).

    A key's entries follow each other: they share one string, which a listing of many pages feels in its memory.
    """
    encoded = top.get("EncodingType", "") == "url"
    before, known = "", ""

    def decode_key(raw: str) -> str:
        nonlocal before, known
        if raw != before:
            text = plain(raw)
            if encoded and "+" in text:
                text = unquote_plus(text)
            elif encoded and "%" in text:
                text = unquote(text)
            before, known = raw, text
        return known

    return decode_key


_SECONDS: dict[str, float] = {}


def _time(raw: str) -> float:
    """ISO 8601 to seconds since the epoch. Neighbouring entries mostly share a second, so recent ones are kept."""
    if len(_SECONDS) > 4096:
        _SECONDS.clear()
    moment = datetime.fromisoformat(raw)
    found = _SECONDS[raw] = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return found


def interleaved(entries: Sequence[op.Entry]) -> bool:
    """Whether the order within a key can be trusted between versions and markers.

    Some servers send all versions of a page and then all markers. That shows when keys go back, when a key's current
    entry is not its first, or when every marker of the page comes last; the latter may be chance, which only makes the
    reader more careful about ties.
    """
    before: op.Entry | None = None
    last_version = first_marker = -1
    for index, entry in enumerate(entries):
        if before is not None and entry.key != before.key:
            if entry.key < before.key:
                return False
        elif before is not None and entry.is_latest:
            return False
        if not entry.is_marker:
            last_version = index
        elif first_marker < 0:
            first_marker = index
        before = entry
    return first_marker < 0 or last_version < 0 or first_marker < last_version

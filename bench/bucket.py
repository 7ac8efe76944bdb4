"""A bucket made by rule, of any size: every key has three entries, and an accident happened after INSTANT.

Owns the keys, their histories and the pages that list them, as S3 writes them. Remembers what is written to it, so that
a restore can be looked at afterwards. No I/O.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

INSTANT = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
"""The moment to go back to."""

ENTRIES = 3
"""Versions and markers of every key at the start."""

PAGE = 1000
SIZE = 10_000_000
"""Bytes of every version: checkpoints of one model are all of one size."""


@dataclass(frozen=True, slots=True)
class Entry:
    """seconds: since the epoch. number: unique within the key, from which the id and the ETag are made."""

    number: int
    seconds: int
    marker: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """A history, newest first, and what a restore has to do about it: "keep", "copy" or "delete"."""

    entries: tuple[Entry, ...]
    action: str


def _kind(action: str, *after: int, marker: bool = False) -> Kind:
    newest_first = zip(count(ENTRIES - 1, -1), after, strict=False)
    return Kind(tuple(Entry(n, INSTANT + s, marker and n == ENTRIES - 1) for n, s in newest_first), action)


CHANGED = _kind("copy", 60, -60, -120)
KEPT = _kind("keep", -60, -120, -180)
DELETED = _kind("copy", 60, -60, -120, marker=True)
NEW = _kind("delete", 60, 50, 40)
KINDS = (CHANGED, CHANGED, KEPT, CHANGED, DELETED, CHANGED, NEW, CHANGED, KEPT, CHANGED)
"""Key after key: seven of ten to be copied, two to be kept, one to be deleted."""


def deep_key(index: int) -> str:
    """Ten shards a checkpoint, ten checkpoints a run, a hundred runs a family. In the order of numbers."""
    family, run, step, shard = index // 10_000, index // 100 % 100, index // 10 % 10, index % 10
    return f"models/family-{family:03}/run-{run:03}/checkpoint-{step:05}/shard-{shard:05}-of-00010.bin"


def flat_key(index: int) -> str:
    """All in one folder."""
    return f"artifacts/{index:09}.bin"


class Bucket:
    """`versions` entries, rounded to whole keys. flat: one folder instead of a tree. page: most entries a page.
    sizes: bytes of the keys that do not have SIZE. etags: of those whose versions all hold the same."""

    kinds: tuple[Kind, ...] = KINDS
    """Key after key."""
    sizes: Mapping[str, int] = {}
    etags: Mapping[str, str] = {}

    def __init__(self, versions: int, *, flat: bool = False, page: int = PAGE) -> None:
        self.keys = [flat_key(i) if flat else deep_key(i) for i in range(max(1, round(versions / ENTRIES)))]
        self.page = page
        self._written: dict[int, list[Entry]] = {}
        self._whole = [
            "".join(_xml("%(key)s", "%(index)024d", entry, entry is kind.entries[0]) for entry in kind.entries)
            for kind in self.kinds
        ]

    def size(self, key: str) -> int:
        return self.sizes.get(key, SIZE)

    def content(self, key: str, first: int, last: int) -> bytes | None:
        """Bytes of every version of a key; None where they are not known."""
        return None

    def etag(self, index: int, entry: Entry) -> str:
        return self.etags.get(self.keys[index]) or etag_of(index, entry)

    def expected(self) -> dict[str, int]:
        """How many keys a restore to INSTANT keeps, copies and deletes."""
        whole, rest = divmod(len(self.keys), len(self.kinds))
        actions = [kind.action for kind in self.kinds]
        return {action: whole * actions.count(action) + actions[:rest].count(action) for action in sorted(set(actions))}

    def entries(self, index: int) -> list[Entry]:
        """Of one key, newest first."""
        return self._written.get(index, []) + list(self.kinds[index % len(self.kinds)].entries)

    def find(self, key: str) -> int | None:
        index = bisect_left(self.keys, key)
        return index if index < len(self.keys) and self.keys[index] == key else None

    def current(self, key: str) -> tuple[int, Entry] | None:
        """The key's index and newest version; None where there is none, or a marker."""
        index = self.find(key)
        if index is None:
            return None
        newest = self.entries(index)[0]
        return None if newest.marker else (index, newest)

    def version(self, key: str, version_id: str) -> tuple[int, Entry] | None:
        index = self.find(key)
        if index is None:
            return None
        found = next((entry for entry in self.entries(index) if id_of(index, entry) == version_id), None)
        return None if found is None or found.marker else (index, found)

    def write(self, index: int, now: int, number: int | None) -> Entry:
        """Put a copy of the version with this number on top, or a marker. A copy has the ETag of its source, so its
        number is the source's plus a thousand for each entry of the key."""
        newer = self._written.setdefault(index, [])
        step = 1000 * (len(newer) + 1)
        entry = Entry(step + number % 1000, now) if number is not None else Entry(step + 999, now, marker=True)
        newer.insert(0, entry)
        return entry

    def list(
        self, prefix: str = "", delimiter: str = "", key_marker: str = "", version_marker: str = "", most: int = PAGE
    ) -> bytes:
        """One page of ListObjectVersions."""
        room = min(most, self.page)
        index, skip = self._start(prefix, key_marker, version_marker)
        end = bisect_left(self.keys, after(prefix)) if prefix else len(self.keys)
        parts: list[str] = []
        marker = ("", "")
        while room and index < end:
            key = self.keys[index]
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                folder = key[: cut + 1]
                if not key_marker.startswith(folder):
                    parts.append(f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>")
                    room -= 1
                    marker = (folder, "")
                index, skip = bisect_left(self.keys, after(folder), index), 0
                continue
            if not skip and room >= ENTRIES and index not in self._written and key not in self.sizes:
                kind = index % len(self.kinds)
                parts.append(self._whole[kind] % {"key": key, "index": index})
                room -= ENTRIES
                marker = (key, id_of(index, self.kinds[kind].entries[-1]))
                index += 1
                continue
            entries = self.entries(index)
            shown = entries[skip : skip + room]
            size, etag = self.size(key), self.etags.get(key, "")
            parts += [_xml(key, f"{index:024}", entry, entry is entries[0], size, etag) for entry in shown]
            room -= len(shown)
            marker = (key, id_of(index, shown[-1]))
            if skip + len(shown) < len(entries):
                break
            index, skip = index + 1, 0
        return _page(parts, marker if index < end else None)

    def list_current(self, prefix: str = "", delimiter: str = "", start_after: str = "", most: int = PAGE) -> bytes:
        """One page of ListObjectsV2."""
        room = min(most, self.page)
        index = max(bisect_left(self.keys, prefix), bisect_right(self.keys, start_after) if start_after else 0)
        end = bisect_left(self.keys, after(prefix)) if prefix else len(self.keys)
        parts: list[str] = []
        while room and index < end:
            key = self.keys[index]
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            newest = self.entries(index)[0]
            if cut >= 0:
                parts.append(f"<CommonPrefixes><Prefix>{key[: cut + 1]}</Prefix></CommonPrefixes>")
                index = bisect_left(self.keys, after(key[: cut + 1]), index)
                room -= 1
                continue
            if not newest.marker:
                parts.append(_object(key, f"{index:024}", newest, self.size(key)))
                room -= 1
            index += 1
        return _framed("ListBucketResult", parts, index < end, "")

    def _start(self, prefix: str, key_marker: str, version_marker: str) -> tuple[int, int]:
        """The first key to list, and how many of its entries came before."""
        first = bisect_left(self.keys, prefix)
        if not key_marker or key_marker < prefix:
            return first, 0
        index = self.find(key_marker)
        if index is None or not version_marker:
            return max(first, bisect_right(self.keys, key_marker)), 0
        ids = [id_of(index, entry) for entry in self.entries(index)]
        before = ids.index(version_marker) + 1
        return (index + 1, 0) if before == len(ids) else (index, before)


SHARDS = 4
FILES_A_MODEL = 200


class ModelBucket(Bucket):
    """`models` models, each saved three times as a whole: shards, index and config among other files, FILES_A_MODEL. As
    of fine-tunes of one model, index and config are the same in all."""

    kinds = (CHANGED,)

    def __init__(self, models: int) -> None:
        super().__init__(0)
        shards = [f"model-{n:05}-of-{SHARDS:05}.safetensors" for n in range(1, SHARDS + 1)]
        tensors = {name: f"t{number}" for number, name in enumerate(shards)}
        index = {"metadata": {"total_size": 1}, "weight_map": {tensor: name for name, tensor in tensors.items()}}
        self._contents = {"model.safetensors.index.json": json.dumps(index).encode(), "config.json": b"{}"}
        names = [*shards, *self._contents]
        names += [f"steps/{number:05}.bin" for number in range(FILES_A_MODEL - len(names))]
        self.keys = sorted(f"models/m-{model:04}/{name}" for model in range(models) for name in names)
        small = [(f"models/m-{model:04}/{name}", name) for model in range(models) for name in self._contents]
        self.sizes = {key: len(self._contents[name]) for key, name in small}
        self.etags = {key: hashlib.md5(self._contents[name], usedforsecurity=False).hexdigest() for key, name in small}
        self._contents |= {name: _header(tensor) for name, tensor in tensors.items()}

    def expected(self) -> dict[str, int]:
        return {"copy": len(self.keys) - len(self.etags), "delete": 0, "keep": len(self.etags)}

    def content(self, key: str, first: int, last: int) -> bytes | None:
        data = self._contents.get(key.rpartition("/")[2])
        return None if data is None else data[first : last + 1].ljust(last + 1 - first, b"\0")


def _header(tensor: str) -> bytes:
    """Of a safetensors file of SIZE bytes that holds this tensor."""
    length = 104
    count = SIZE - 8 - length
    told = json.dumps({tensor: {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}}).encode()
    return length.to_bytes(8, "little") + told.ljust(length)


def after(prefix: str) -> str:
    """The first string that is greater than all that start with the prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def id_of(index: int, entry: Entry) -> str:
    """32 characters, as those of S3."""
    return f"{index:024}.{entry.number:07}"


def etag_of(index: int, entry: Entry) -> str:
    """A copy has the ETag of what it copies."""
    return f"{index:024}{entry.number % 1000:08}"


def _object(key: str, index: str, entry: Entry, size: int) -> str:
    content = _content(index, entry, size)
    return f"<Contents><Key>{key}</Key><LastModified>{_time(entry)}</LastModified>{content}</Contents>"


def _content(index: str, entry: Entry, size: int, etag: str = "") -> str:
    etag = etag or f"{index}{entry.number % 1000:08}"
    return f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass>"


def _time(entry: Entry) -> str:
    return datetime.fromtimestamp(entry.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _xml(key: str, index: str, entry: Entry, latest: bool, size: int = SIZE, etag: str = "") -> str:
    tag = "DeleteMarker" if entry.marker else "Version"
    content = "" if entry.marker else _content(index, entry, size, etag)
    return (
        f"<{tag}><Key>{key}</Key><VersionId>{index}.{entry.number:07}</VersionId>"
        f"<IsLatest>{'true' if latest else 'false'}</IsLatest><LastModified>{_time(entry)}</LastModified>{content}"
        f"<Owner><ID>{'0123456789abcdef' * 4}</ID></Owner></{tag}>"
    )


def _page(parts: list[str], goes_on: tuple[str, str] | None) -> bytes:
    markers = ""
    if goes_on is not None:
        key, version_id = goes_on
        markers = f"<NextKeyMarker>{key}</NextKeyMarker><NextVersionIdMarker>{version_id}</NextVersionIdMarker>"
    return _framed("ListVersionsResult", parts, goes_on is not None, markers)


def _framed(root: str, parts: list[str], truncated: bool, markers: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>bench</Name><EncodingType>url</EncodingType><MaxKeys>{PAGE}</MaxKeys>"
        f"<IsTruncated>{'true' if truncated else 'false'}</IsTruncated>{markers}{''.join(parts)}</{root}>"
    ).encode()

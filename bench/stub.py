"""An S3 server in a process of its own that answers at once, or after a set latency, from a bucket made by rule.

Owns the wire: just enough of HTTP and of S3 for listings of versions, HEAD, copies and bulk deletes, conditions among
them. Counts what it is asked. Signatures are not checked and only the made bucket exists, whatever its name.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import unquote

from bench.bucket import INSTANT, SIZE, Bucket, Entry, ModelBucket, id_of

BUCKET = "bench-bucket"
COUNTS = "/.counts"
"""A path no bucket can have: what was asked since it was last read, as JSON."""
_LINE = re.compile(rb"<Object><Key>([^<]*)</Key>(?:<ETag>([^<]*)</ETag>)?</Object>")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Stub:
    """A running server. expected: keys that a restore to INSTANT keeps, copies, deletes."""

    endpoint: str
    expected: dict[str, int]
    keys: int

    def counts(self) -> Counter[str]:
        """Requests by operation since the last call."""
        with urllib.request.urlopen(f"{self.endpoint}{COUNTS}", timeout=60) as answer:
            return Counter(json.load(answer))


@contextmanager
def stub(
    versions: int, *, latency: float = 0.0, flat: bool = False, page: int = 1000, models: int = 0
) -> Iterator[Stub]:
    """Run one while the block runs. latency: seconds before each answer. models: of whole models instead."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, versions, latency, flat, page, models), daemon=True)
    process.start()
    theirs.close()
    try:
        port, expected, keys = ours.recv()
        yield Stub(f"http://127.0.0.1:{port}", expected, keys)
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, versions: int, latency: float, flat: bool, page: int, models: int) -> None:
    bucket = ModelBucket(models) if models else Bucket(versions, flat=flat, page=page)

    async def main() -> None:
        answers = Answers(bucket)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(answers, latency), "127.0.0.1", 0, backlog=512)
        pipe.send((server.sockets[0].getsockname()[1], bucket.expected(), len(bucket.keys)))
        await server.serve_forever()

    asyncio.run(main())


class _Connection(asyncio.Protocol):
    def __init__(self, answers: Answers, latency: float) -> None:
        self._answers, self._latency = answers, latency
        self._read = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._read, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._read) < whole:
                return
            head, body = bytes(self._read[:end]), bytes(self._read[end + 4 : whole])
            del self._read[:whole]
            answer = self._answers.answer(head, body)
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)
            else:
                self._transport.write(answer)


class Answers:
    """From the bytes of a request to those of its answer."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._counts: Counter[str] = Counter()
        self._second, self._date = 0, b""

    def answer(self, head: bytes, body: bytes) -> bytes:
        line, _, rest = head.decode("latin-1").partition("\r\n")
        method, target, _ = line.split(" ")
        path, _, query = target.partition("?")
        if path == COUNTS:
            counts, self._counts = self._counts, Counter()
            return self._http(200, json.dumps(counts).encode())
        headers = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in rest.split("\r\n"))}
        fields = {name: unquote(value) for name, _, value in (f.partition("=") for f in query.split("&"))}
        key = unquote(path[1:].partition("/")[2])
        operation = _operation(method, key, fields, headers)
        self._counts[operation] += 1
        if operation == "ListObjectVersions":
            return self._http(200, self._list(fields))
        if operation == "ListObjectsV2":
            named = fields.get("prefix", ""), fields.get("delimiter", ""), fields.get("start-after", "")
            return self._http(200, self._bucket.list_current(*named, int(fields.get("max-keys", "1000"))))
        if operation == "CopyObject":
            return self._copy(key, headers)
        if operation == "GetObject":
            return self._get(key, fields, headers.get("range", ""))
        if operation == "HeadObject":
            return self._head(key, fields)
        if operation == "DeleteObjects":
            return self._delete(body)
        if operation == "GetBucketVersioning":
            return self._http(200, b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        return self._error(501, "NotImplemented")

    def _get(self, key: str, fields: dict[str, str], span: str) -> bytes:
        found = self._bucket.version(key, fields.get("versionId", ""))
        if found is None:
            return self._error(404, "NoSuchVersion")
        size = self._bucket.size(key)
        first, _, last = span.removeprefix("bytes=").partition("-")
        ends = (int(first), int(last)) if span else (0, size - 1)
        data = self._bucket.content(key, *ends)
        if data is None:
            return self._error(501, "NotImplemented")
        told = f'ETag: "{self._bucket.etag(*found)}"\r\nContent-Range: bytes {ends[0]}-{ends[1]}/{size}\r\n'
        return self._http(206 if span else 200, data, told)

    def _list(self, fields: dict[str, str]) -> bytes:
        markers = fields.get("key-marker", ""), fields.get("version-id-marker", "")
        most = int(fields.get("max-keys", "1000"))
        return self._bucket.list(fields.get("prefix", ""), fields.get("delimiter", ""), *markers, most)

    def _copy(self, key: str, headers: dict[str, str]) -> bytes:
        index = self._bucket.find(key)
        source, _, version_id = headers["x-amz-copy-source"].partition("?versionId=")
        found = self._bucket.version(unquote(source).lstrip("/").partition("/")[2], unquote(version_id))
        if index is None or found is None:
            return self._error(404, "NoSuchKey")
        current = self._bucket.current(key)
        if not self._holds(current, headers):
            return self._error(412, "PreconditionFailed")
        entry = self._bucket.write(index, int(time.time()), found[1].number)
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<CopyObjectResult><LastModified>2026-01-02T00:00:00.000Z'
            f"</LastModified><ETag>&quot;{self._bucket.etag(index, entry)}&quot;</ETag></CopyObjectResult>"
        )
        return self._http(200, body.encode(), f"x-amz-version-id: {id_of(index, entry)}\r\n")

    def _head(self, key: str, fields: dict[str, str]) -> bytes:
        version_id = fields.get("versionId", "")
        found = self._bucket.version(key, version_id) if version_id else self._bucket.current(key)
        if found is None:
            return self._error(404, "")
        index, entry = found
        headers = (
            f'ETag: "{self._bucket.etag(index, entry)}"\r\nx-amz-version-id: {id_of(index, entry)}\r\n'
            f"Last-Modified: {formatdate(entry.seconds, usegmt=True)}\r\n"
        )
        return self._http(200, b"", headers, SIZE)

    def _delete(self, body: bytes) -> bytes:
        lines = []
        for raw_key, raw_etag in _LINE.findall(body):
            key, etag = raw_key.decode(), raw_etag.decode()
            current, index = self._bucket.current(key), self._bucket.find(key)
            if etag and not self._holds(current, {"if-match": etag}):
                lines.append(f"<Error><Key>{key}</Key><Code>PreconditionFailed</Code></Error>")
                continue
            if index is not None:
                self._bucket.write(index, int(time.time()), None)
            lines.append(f"<Deleted><Key>{key}</Key><DeleteMarker>true</DeleteMarker></Deleted>")
        return self._http(200, f"<DeleteResult>{''.join(lines)}</DeleteResult>".encode())

    def _holds(self, current: tuple[int, Entry] | None, headers: dict[str, str]) -> bool:
        """Whether the conditions of a write hold for what stands there."""
        wanted = headers.get("if-match", "").strip('"')
        if wanted:
            return current is not None and self._bucket.etag(*current) == wanted
        return not (headers.get("if-none-match") == "*" and current is not None)

    def _error(self, status: int, code: str) -> bytes:
        return self._http(status, f"<Error><Code>{code}</Code></Error>".encode() if code else b"")

    def _http(self, status: int, body: bytes, headers: str = "", length: int | None = None) -> bytes:
        now = int(time.time())
        if now != self._second:
            self._second, self._date = now, formatdate(now, usegmt=True).encode()
        size = len(body) if length is None else length
        return b"HTTP/1.1 %d X\r\nDate: %b\r\nContent-Length: %d\r\nContent-Type: application/xml\r\n%b\r\n%b" % (
            status,
            self._date,
            size,
            headers.encode(),
            body,
        )


def _operation(method: str, key: str, fields: dict[str, str], headers: dict[str, str]) -> str:
    if not key:
        by_query = {
            "versions": "ListObjectVersions",
            "list-type": "ListObjectsV2",
            "versioning": "GetBucketVersioning",
            "delete": "DeleteObjects",
        }
        return next((name for field, name in by_query.items() if field in fields), f"{method} bucket")
    if method == "PUT" and "x-amz-copy-source" in headers:
        return "CopyObject"
    return {"HEAD": "HeadObject", "GET": "GetObject"}.get(method, f"{method} object")


__all__ = ["BUCKET", "INSTANT", "Answers", "Stub", "stub"]

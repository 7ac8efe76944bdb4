"""Buckets with a past on a real server, told once and shared: each test restores a prefix of its own.

Everything `before` is in one second T, everything `after` is later. SeaweedFS has a clock that cannot be moved, so one
second is waited for, once for all tests; moto's clock is set.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import time_machine

from artifact_store.s3 import operations as op
from artifact_store.s3.client import connect
from tests.servers.conftest import Server, new_bucket

MIB = 1024**2
MOTO_T = 1_777_901_400
DATA = random.Random(20_261_125)
PARTS = [DATA.randbytes(5 * MIB), DATA.randbytes(MIB)]
OTHER_PARTS = [DATA.randbytes(5 * MIB), DATA.randbytes(MIB)]
LARGE_PARTS = [DATA.randbytes(5 * MIB), DATA.randbytes(5 * MIB), DATA.randbytes(1000)]
UNEVEN_PARTS = [DATA.randbytes(6 * MIB), DATA.randbytes(5 * MIB), DATA.randbytes(8 * MIB), DATA.randbytes(1000)]
SHARED_PARTS = {"parts/even": LARGE_PARTS, "parts/uneven": UNEVEN_PARTS}
CUT_OFF = ("cut/model", "slain/model")
PROPERTIES = {
    "ContentType": "application/x-model",
    "CacheControl": "no-store",
    "ContentLanguage": "de",
    "ContentEncoding": "identity",
    "ContentDisposition": 'attachment; filename="w"',
    "Metadata": {"step": "1000", "run": "a b"},
}
TAGS = "team=vision&why=a%20b"

ODD = [
    "a b",
    "ü/ñ",
    "%41",
    "a+b",
    "q?x=1&y=2",
    "#frag",
    "e\u0301",
    "*",
    "[x]",
    "'\"",
    "~",
    "日本語/模型",
    "a;b",
    "a,b",
    "x" * 250,
]
ODD_ON_MOTO = ["/lead", "a//b", "..", "a/../b", ".", "\\", "end/", "<&>"]
"""SeaweedFS rewrites or refuses these."""


def story_of(prefix: str, keys: dict[str, list[bytes | None]]) -> dict[str, list[bytes | None]]:
    return {f"{prefix}/{key}": events for key, events in keys.items()}


def before_and_after(server: Server) -> tuple[dict[str, list[bytes | None]], dict[str, list[bytes | None]]]:
    """Events by key in their order, None a delete."""
    before: dict[str, list[bytes | None]] = {}
    after: dict[str, list[bytes | None]] = {}
    for name in ("plain", "again", "bucket", "folder", "journal", "killed", "faulty", "undelete", "keep", "library"):
        before |= story_of(
            name,
            {f"k{i:02}": [b"old %d" % i] for i in range(30)}
            | {"gone": [b"x", None], "kept": [b"kept"], "back": [b"back"]},
        )
        after |= story_of(
            name,
            {f"k{i:02}": [b"new %d" % i] for i in range(20)}
            | {f"k{i:02}": [None] for i in range(20, 25)}
            | {f"n{i}": [b"stray"] for i in range(5)}
            | {"gone": [b"again"], "back": [None, b"back"]},
        )
    odd = ODD + (ODD_ON_MOTO if server.name == "moto" else [])
    before |= story_of("odd", {key: [b"old"] for key in odd})
    after |= story_of("odd", {key: [b"new"] for key in odd})
    before |= story_of("hidden", {key: [b"old", None] for key in ODD})
    after |= story_of("hidden", {"stray": [b"new"]})
    before |= story_of("hidden", {"live": [b"live"]})
    before |= story_of("second", {"back": [b"1", None, b"2"], "gone": [b"1", None], "thrice": [b"1", b"2", b"3"]})
    after |= story_of("second", {key: [b"later"] for key in ("back", "gone", "thrice")})
    before |= story_of("conflict", {key: [b"old"] for key in ("mine", "theirs", "removed")} | {"kept": [b"kept"]})
    after |= story_of("conflict", {key: [b"new"] for key in ("mine", "theirs", "removed", "stray", "claimed")})
    return before, after


@dataclass
class World:
    server: Server
    bucket: str
    other: str
    instant: float = 0.0
    expected: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.boto = self.server.boto()
        before, after = before_and_after(self.server)
        if self.server.name == "moto":
            # Its listings cannot order what shares a second, so only what is about ties may share one.
            tied = {key: found for key, found in before.items() if key.startswith("second/")}
            first = {key: found[:-1] for key, found in before.items() if key not in tied}
            last = {key: found[-1:] for key, found in before.items() if key not in tied}
            self._at(MOTO_T - 10, lambda: self._perform(first))
            self._at(MOTO_T, lambda: self._before(tied), tick=True)
            self._at(MOTO_T, lambda: self._before(last))
            self._at(MOTO_T, self._upload_before)
            self.instant = float(MOTO_T)
            self._at(MOTO_T + 100, lambda: self._perform({key: found[:-1] for key, found in after.items()}))
            self._at(MOTO_T + 200, lambda: self._after({key: found[-1:] for key, found in after.items()}))
        else:
            # What must share a second comes first, while the second is young.
            next_second()
            self._before(dict(sorted(before.items(), key=lambda item: not item[0].startswith("second/"))))
            self._upload_before()
            self.instant = float(int(time.time()))
            next_second()
            self._after(after)

    @staticmethod
    def _at(second: int, happens: Callable[[], None], *, tick: bool = False) -> None:
        with time_machine.travel(second, tick=tick):
            happens()

    def at(self, prefix: str) -> dict[str, bytes]:
        """What stood below the prefix at T."""
        return {key: data for key, data in self.expected.items() if key.startswith(f"{prefix}/")}

    def now(self, prefix: str, bucket: str = "") -> dict[str, bytes]:
        """What a GET of each key below the prefix gives."""
        name = bucket or self.bucket
        pages = self.boto.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=f"{prefix}/")
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return {key: self.boto.get_object(Bucket=name, Key=key)["Body"].read() for key in keys}

    def entries(self, prefix: str, bucket: str = "") -> set[tuple[str, str]]:
        """Every version and marker below the prefix."""
        pages = self.boto.get_paginator("list_object_versions").paginate(
            Bucket=bucket or self.bucket, Prefix=f"{prefix}/"
        )
        return {
            (found["Key"], found["VersionId"])
            for page in pages
            for found in page.get("Versions", []) + page.get("DeleteMarkers", [])
        }

    def upload(self, key: str, parts: list[bytes], **more: object) -> str:
        create = self.boto.create_multipart_upload(Bucket=self.bucket, Key=key, **more)
        name = {"Bucket": self.bucket, "Key": key, "UploadId": create["UploadId"]}
        etags = [
            {"PartNumber": n, "ETag": self.boto.upload_part(**name, PartNumber=n, Body=part)["ETag"]}
            for n, part in enumerate(parts, 1)
        ]
        return self.boto.complete_multipart_upload(**name, MultipartUpload={"Parts": etags})["VersionId"]

    def _before(self, events: dict[str, list[bytes | None]]) -> None:
        self._perform(events)
        for key, found in events.items():
            if found[-1] is not None:
                self.expected[key] = found[-1]

    def _upload_before(self) -> None:
        self.boto.put_object(Bucket=self.bucket, Key="props/one", Body=b"one", Tagging=TAGS, **PROPERTIES)
        self.upload("props/parts", LARGE_PARTS, Tagging=TAGS, **PROPERTIES)
        self.upload("multi/model", PARTS)
        for key in CUT_OFF:
            self.upload(key, LARGE_PARTS)
            self.expected[key] = b"".join(LARGE_PARTS)
        for key, parts in SHARED_PARTS.items():
            self.upload(key, parts)
            self.expected[key] = b"".join(parts)
        self.expected |= {
            "props/one": b"one",
            "props/parts": b"".join(LARGE_PARTS),
            "multi/model": b"".join(PARTS),
        }

    def _after(self, events: dict[str, list[bytes | None]]) -> None:
        self._perform(events)
        self.boto.put_object(Bucket=self.bucket, Key="props/one", Body=b"two")
        self.boto.put_object(Bucket=self.bucket, Key="props/parts", Body=b"two")
        for key in (*CUT_OFF, *SHARED_PARTS):
            self.boto.put_object(Bucket=self.bucket, Key=key, Body=b"two")
        self.upload("multi/model", OTHER_PARTS)

    def _perform(self, events: dict[str, list[bytes | None]]) -> None:
        def job(key: str, found: list[bytes | None]) -> op.Job[None]:
            for data in found:
                if data is None:
                    yield op.DeleteObject(self.bucket, key)
                else:
                    yield op.PutObject(self.bucket, key, data)

        with connect(endpoint_url=self.server.endpoint, in_flight=16) as s3:
            for _ in s3.run(job(key, found) for key, found in events.items()):
                pass


def next_second() -> None:
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.01)


_worlds: dict[str, World] = {}


def world_on(server: Server) -> World:
    """The world of this server, told at its first use; anew where an embedded AWS in this process has reset moto."""
    there = [bucket["Name"] for bucket in server.boto().list_buckets()["Buckets"]]
    if server.name not in _worlds or _worlds[server.name].bucket not in there:
        _worlds[server.name] = World(server, new_bucket(server), new_bucket(server))
    return _worlds[server.name]

"""Two HEADs are taken for the same content only where their ETags or checksums mean that, by whoever asks."""

from __future__ import annotations

import zlib

import pytest

from artifact_store.history.sameness import same_by_heads
from artifact_store.history.verdict import Condition
from artifact_store.s3.operations import ObjectHead
from tests.history.test_judging import judged, put
from tests.history.trainer import T0
from tests.model_files import tar_gz
from tests.restore.memory import MemoryS3, crc

FIRST, SECOND = tar_gz(1), tar_gz(2)


def head(etag: str, checksum_type: str = "FULL_OBJECT", size: int = 9, kms: bool = True, **sums: str) -> ObjectHead:
    encryption = "aws:kms" if kms else "AES256"
    return ObjectHead(etag, size, 0.0, "v", "STANDARD", {}, {}, sums, checksum_type, encryption=encryption)


@pytest.mark.parametrize(
    ("one", "other", "key", "same"),
    [
        (head("a"), head("a", size=8), "w.bin", False),
        (head("a"), head("a"), "w.bin", True),
        (head("a", kms=False, CRC32="x"), head("b", kms=False, CRC32="x"), "w.bin", False),
        (head("a", kms=False, CRC32="x"), head("b-2", kms=False, CRC32="x"), "w.bin", True),
        (head("a", CRC32="x"), head("b", CRC32="x"), "w.bin", True),
        (head("a", CRC32="x"), head("b", CRC32="y"), "w.bin", False),
        (head("a", CRC32="x"), head("b", SHA256="x"), "w.bin", None),
        (head("a"), head("b"), "w.bin", None),
        # A CRC-32 says nothing of a gzip file, unless it differs; another checksum does.
        (head("a", CRC32="x"), head("b", CRC32="x"), "w.tar.gz", None),
        (head("a", CRC32="x"), head("b", CRC32="y"), "w.tar.gz", False),
        (head("a", CRC32="x", SHA256="s"), head("b", CRC32="x", SHA256="s"), "w.TGZ", True),
        (head("a", CRC32="x", SHA256="s"), head("b", CRC32="x", SHA256="t"), "w.TGZ", False),
        # One that differs outweighs one that is equal.
        (head("a", CRC32="x", SHA256="s"), head("b", CRC32="x", SHA256="t"), "w.bin", False),
        # The checksum of checksums depends on the parts.
        (head("a-2", "COMPOSITE", CRC32="x-2"), head("b-2", "COMPOSITE", CRC32="x-2"), "w.bin", True),
        (head("a-2", "COMPOSITE", CRC32="x-2"), head("b-3", "COMPOSITE", CRC32="y-3"), "w.bin", None),
        (head("a-2", "COMPOSITE", CRC32="x-2"), head("b", CRC32="y"), "w.bin", None),
        (head("a-2", "COMPOSITE", CRC32="x"), head("b", CRC32="x"), "w.bin", None),
    ],
)
def test_what_two_heads_prove(one: ObjectHead, other: ObjectHead, key: str, same: bool | None) -> None:
    assert same_by_heads(one, other, key) is same
    assert same_by_heads(other, one, key) is same


def test_without_etags_checksums_decide_alone() -> None:
    assert same_by_heads(head("a"), head("a"), "w.bin", trust_etags=False) is None
    one, other = head("a", kms=False, CRC32="x"), head("b", kms=False, CRC32="x")
    assert same_by_heads(one, other, "w.bin", trust_etags=False) is True


@pytest.mark.parametrize("kms", [False, True])
def test_an_archive_with_the_checksum_of_another_is_of_its_own_save(kms: bool) -> None:
    assert (len(FIRST), zlib.crc32(FIRST)) == (len(SECOND), zlib.crc32(SECOND))
    s3 = MemoryS3()
    s3.buckets["bkt"].kms = kms
    put(s3, "MLmodel", b"flavors: {a: {data: data}}\n", T0)
    put(s3, "data/tokenizer.tar.gz", FIRST, T0)
    put(s3, "data/weights.bin", b"of the first", T0)
    assert judged(s3).whole
    put(s3, "data/tokenizer.tar.gz", SECOND, T0 + 10_000)
    verdict = judged(s3)
    assert verdict.condition is Condition.INCOMPLETE
    assert "wrote data/tokenizer.tar.gz, but not data/weights.bin" in verdict.reasons[0]


@pytest.mark.parametrize("algorithms", [("CRC32",), ("CRC32", "SHA256")])
def test_a_checksum_that_differs_outweighs_one_that_is_equal_when_saves_are_told_apart(
    algorithms: tuple[str, ...],
) -> None:
    s3 = MemoryS3()
    s3.buckets["bkt"].kms = True
    put(s3, "MLmodel", b"flavors: {a: {data: data}}\n", T0)
    for step in (0, 1):
        for path in ("data/one.bin", "data/two.bin")[: 2 - step]:
            put(s3, path, b"step %d" % step, T0 + 10_000 * step)
    for number, stored in enumerate(s3.buckets["bkt"].keys["models/m/data/one.bin"]):
        stored.checksums.update({"CRC32": crc(b"step 0"), "SHA256": f"of step {number}"})
        for name in stored.checksums.keys() - {*algorithms}:
            del stored.checksums[name]
    assert judged(s3).whole == (algorithms == ("CRC32",))

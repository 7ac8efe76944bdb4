"""Equal checksums are taken for equal content only where they mean that."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from artifact_store.restore.compare import Version, same_content
from artifact_store.restore.destination import parse_destination
from tests.model_files import tar_gz
from tests.restore.memory import NOW, MemoryS3
from tests.restore.support import restore

FIRST, SECOND = tar_gz(1), tar_gz(2)


def test_gzip_files_of_other_content_have_the_same_crc32() -> None:
    """What is stored uncompressed, as weights that do not compress are, does not count in the CRC-32 of the file."""
    assert FIRST != SECOND
    assert (len(FIRST), zlib.crc32(FIRST)) == (len(SECOND), zlib.crc32(SECOND))


@pytest.mark.parametrize("key", ["model.tar.gz", "m/Model.TGZ"])
@pytest.mark.parametrize("kms", [False, True])
def test_an_archive_with_the_checksum_of_another_comes_back(key: str, kms: bool, tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.buckets["bkt"].kms = kms
    s3.put(key, FIRST, time=NOW - 10)
    s3.put(key, SECOND, time=NOW)
    restore(s3, tmp_path, second=-5)
    assert s3.contents() == {key: FIRST}


def test_an_archive_on_disk_with_the_checksum_of_the_wanted_one_is_fetched(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.buckets["bkt"].kms = True
    s3.put("model.tar.gz", FIRST, time=NOW - 10)
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.tar.gz").write_bytes(SECOND)
    plans = tmp_path / "plans"
    plans.mkdir()
    restore(s3, plans, to=parse_destination(str(out)), overwrite=True)
    assert (out / "model.tar.gz").read_bytes() == FIRST


@pytest.mark.parametrize(("kms", "equal"), [(False, False), (True, True)])
def test_other_etags_of_md5s_are_other_content_whatever_the_checksums_say(kms: bool, equal: bool) -> None:
    """KMS makes ETags of its own, and then the checksum is all there is."""
    s3 = MemoryS3()
    s3.buckets["bkt"].kms = kms
    versions = [Version("bkt", "w.bin", s3.put("w.bin", data)) for data in (FIRST, SECOND)]
    (sameness,) = s3.run([same_content(*versions, len(FIRST))])
    assert (sameness.same is not None, sameness.known) == (equal, True)

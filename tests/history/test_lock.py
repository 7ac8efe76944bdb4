"""A lock file pins versions: it can be read back, tells when it was touched, and never stands in for what is gone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from artifact_store.errors import Refused, UsageError
from artifact_store.history.lock import Lock, make_lock, read_lock, verify_lock, write_lock
from artifact_store.history.scope import parse_scope
from tests.restore.memory import MemoryS3, crc

SCOPE = parse_scope("s3://bkt/m")
WEIGHTS, OTHER = (save({"w": np.full(4, value, np.float32)}) for value in (1, 2))
T = 1_000_000


@pytest.fixture
def s3() -> MemoryS3:
    made = MemoryS3()
    made.put("m/config.json", b"{}", time=T)
    made.put("m/model.safetensors", WEIGHTS, time=T)
    made.put("m-1/model.safetensors", b"a neighbour", time=T)
    made.put("m/model.safetensors", OTHER, time=T + 100)
    made.put("m/new.txt", b"new", time=T + 100)
    return made


def test_a_lock_holds_every_version_that_stood_with_checksum_and_header(s3: MemoryS3) -> None:
    lock = make_lock(s3, SCOPE, T + 50)
    assert list(lock.files) == ["m/config.json", "m/model.safetensors"]
    file = lock.files["m/model.safetensors"]
    stored = next(e for e in s3.entries() if e.key == file.key and e.last_modified == T)
    assert (file.version_id, file.size, file.etag) == (stored.version_id, len(WEIGHTS), stored.etag)
    assert file.checksum == f"CRC32:{crc(WEIGHTS)}"
    assert len(file.header) == 64
    assert file.header == make_lock(s3, SCOPE, T + 100).files["m/model.safetensors"].header
    assert lock.files["m/config.json"].header == ""


def written(lock: Lock, path: Path) -> None:
    with path.open("wb") as file:
        write_lock(lock, file)


def test_what_is_written_is_read_back_and_small(s3: MemoryS3, tmp_path: Path) -> None:
    lock, path = make_lock(s3, SCOPE, T + 50), tmp_path / "model.lock.json"
    written(lock, path)
    assert read_lock(path) == lock
    assert len(path.read_text().splitlines()) == 8 + len(lock.files) + 3
    assert json.loads(path.read_text())["at"] == "1970-01-12T13:47:30Z"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"size": 2', '"size": 3'),
        ('"bucket": "bkt"', '"bucket": "bk2"'),
        ("m/config.json", "m/konfig.json"),
        ('"at": "1970-01-12T13:47:30Z"', '"at": "1970-01-12T13:47:31Z"'),
        ('"instant": 1000050.0', '"instant": 1000050.5'),
        ('"raw": false', '"raw": 0'),
        ('"prefix": "m"', '"prefix": "m", "note": "mine"'),
    ],
)
def test_a_lock_that_was_touched_is_refused(s3: MemoryS3, tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "lock"
    written(make_lock(s3, SCOPE, T + 50), path)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(Refused, match="was changed after it was made"):
        read_lock(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"files": [', '"flies": ['),
        ('"files": [', '"files": 5, "was": ['),
        ('"size": 2', '"size": "2"'),
        ('"instant": 1000050.0', '"instant": 1e300'),
        ('"instant": 1000050.0', '"instant": NaN'),
        ('"instant": 1000050.0', '"instant": null'),
    ],
)
def test_a_lock_with_a_field_that_is_wrong_is_refused_in_our_own_words(
    s3: MemoryS3, tmp_path: Path, old: str, new: str
) -> None:
    path = tmp_path / "lock"
    written(make_lock(s3, SCOPE, T + 50), path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(Refused) as error:
        read_lock(path)
    told = f"lock file {path} is damaged or was edited: a field is missing or wrong; make it again"
    assert str(error.value) == told


def test_what_cannot_be_read_a_plan_and_another_version_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(UsageError, match=f"^cannot read lock file {path}: No such file or directory$"):
        read_lock(path)
    with pytest.raises(UsageError, match=f"^cannot read lock file {tmp_path}: Is a directory$"):
        read_lock(tmp_path)
    path.write_text('{"format":"artifact-store plan 1"}\n{}\n')
    with pytest.raises(UsageError, match=r"is a plan, not a lock file; apply and verify take it without --lock$"):
        read_lock(path)
    path.write_text('{"format": "artifact-store lock 2"}')
    with pytest.raises(UsageError, match=r"is of the format 'artifact-store lock 2', and this program reads .* 1'"):
        read_lock(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "\xff", "[" * 100_000, '{"format": 1}'])
def test_what_is_no_lock_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock"
    path.write_text(text)
    with pytest.raises(UsageError, match="is no lock file") as error:
        read_lock(path)
    assert "\n" not in str(error.value)


def states(s3: MemoryS3, lock: Lock) -> dict[str, tuple[str | None, str | None]]:
    found = [lock.state(history) for history in SCOPE.histories(s3)]
    return {state.key: (state.then and state.then.version_id, state.now and state.now.version_id) for state in found}


def test_a_key_is_what_the_lock_says_whatever_time_it_carries(s3: MemoryS3) -> None:
    lock = make_lock(s3, SCOPE, T + 50)
    now = {e.key: e.version_id for e in s3.entries() if e.is_latest}
    locked = {key: file.version_id for key, file in lock.files.items()}
    assert states(s3, lock) == {
        "m/config.json": (locked["m/config.json"], now["m/config.json"]),
        "m/model.safetensors": (locked["m/model.safetensors"], now["m/model.safetensors"]),
        "m/new.txt": (None, now["m/new.txt"]),
    }
    s3.delete("m/model.safetensors")
    assert states(s3, lock)["m/model.safetensors"] == (locked["m/model.safetensors"], None)
    assert verify_lock(s3, lock) == []


def test_a_version_that_is_gone_is_named_and_nothing_else_is_taken(s3: MemoryS3) -> None:
    lock = make_lock(s3, SCOPE, T + 50)
    gone = lock.files["m/model.safetensors"].version_id
    entries = s3.buckets["bkt"].keys["m/model.safetensors"]
    entries[:] = [stored for stored in entries if stored.entry.version_id != gone]
    assert verify_lock(s3, lock) == [("m/model.safetensors", f"version {gone} is gone")]
    with pytest.raises(Refused, match=f"the locked version {gone} of m/model.safetensors is gone"):
        states(s3, lock)
    entries.clear()
    del s3.buckets["bkt"].keys["m/model.safetensors"]
    error = lock.missing(history.key for history in SCOPE.histories(s3))
    assert error is not None
    assert gone in str(error)
    assert lock.missing(lock.files) is None

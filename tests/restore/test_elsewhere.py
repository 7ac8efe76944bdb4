"""Restores to another bucket or to a folder: they only write, and nothing leaves the place or is written over unasked."""

import errno
import os
from pathlib import Path

import pytest

from artifact_store.errors import Refused
from artifact_store.restore.apply import apply
from artifact_store.restore.destination import IN_PLACE, ToBucket, ToFolder, parse_destination
from artifact_store.restore.folder import Names, file_checksum, file_etag, folds_case, name_fault
from artifact_store.restore.journal import Journal
from artifact_store.restore.plan import Action, Reason
from artifact_store.restore.planfile import read_plan, write_plan
from artifact_store.restore.verify import verify
from artifact_store.restore.wording import shortened
from artifact_store.s3 import operations as op
from tests.restore.memory import BucketModel, MemoryS3
from tests.restore.support import later, plan, restore

OTHER = ToBucket("other", "back/")


def two_buckets() -> MemoryS3:
    """models/m-1 as it was in the first second, damaged since; an empty bucket beside it."""
    s3 = MemoryS3()
    s3.buckets["other"] = BucketModel()
    s3.put("models/m-1/config.json", b"{}")
    s3.put("models/m-1/weights", b"good")
    s3.put("models/m-10/weights", b"not ours")
    later(s3)
    s3.put("models/m-1/weights", b"evil")
    s3.put("models/m-1/stray", b"stray")
    s3.delete("models/m-1/config.json")
    return s3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", IN_PLACE),
        ("s3://other", ToBucket("other")),
        ("s3://other/", ToBucket("other")),
        ("s3://other/a/b", ToBucket("other", "a/b/")),
        ("s3://other/a/b/", ToBucket("other", "a/b/")),
        ("/data/out", ToFolder(Path("/data/out"))),
    ],
)
def test_a_destination_is_read_from_its_text_and_written_back(text: str, expected: object) -> None:
    assert parse_destination(text) == expected
    assert parse_destination(str(expected)) == expected


def test_another_bucket_gets_the_state_at_t_below_its_prefix_and_the_source_is_not_touched(tmp_path: Path) -> None:
    s3 = two_buckets()
    before = s3.entries()
    restore(s3, tmp_path, address="s3://bkt/models/m-1", to=OTHER)
    assert s3.contents("other") == {"back/config.json": b"{}", "back/weights": b"good"}
    assert s3.entries() == before


def test_what_is_there_already_is_kept_and_extra_keys_are_not_deleted(tmp_path: Path) -> None:
    s3 = two_buckets()
    s3.put("back/weights", b"good", bucket="other")
    s3.put("back/theirs", b"theirs", bucket="other")
    made = plan(s3, tmp_path, address="s3://bkt/models/m-1", to=OTHER)
    assert [(step.action, step.reason) for step in made.steps()] == [
        (Action.COPY, Reason.MISSING),
        (Action.KEEP, Reason.SAME_ETAG),
    ]
    assert apply(s3, made).written == 1
    assert set(s3.contents("other")) == {"back/config.json", "back/theirs", "back/weights"}


def test_what_differs_is_written_over_only_where_asked(tmp_path: Path) -> None:
    s3 = two_buckets()
    s3.put("back/weights", b"mine", bucket="other")
    with pytest.raises(Refused, match=r"1 key exists at s3://other/back/ with other content .*: 'weights'"):
        plan(s3, tmp_path, address="s3://bkt/models/m-1", to=OTHER)
    assert list(tmp_path.iterdir()) == []
    restore(s3, tmp_path, address="s3://bkt/models/m-1", to=OTHER, overwrite=True)
    assert s3.contents("other")["back/weights"] == b"good"
    assert len(s3.buckets["other"].keys["back/weights"]) == 2


def test_a_bucket_without_versions_is_never_written_over(tmp_path: Path) -> None:
    s3 = two_buckets()
    s3.buckets["other"].status = ""
    s3.put("back/weights", b"mine", bucket="other")
    with pytest.raises(Refused, match="bucket other keeps no former versions"):
        plan(s3, tmp_path, address="s3://bkt/models/m-1", to=OTHER, overwrite=True)


def test_the_place_the_keys_came_from_is_no_other_place(tmp_path: Path) -> None:
    s3 = two_buckets()
    with pytest.raises(Refused, match="is where the keys came from"):
        plan(s3, tmp_path, address="s3://bkt/models/m-1", to=ToBucket("bkt", "models/m-1/"))


def test_another_prefix_of_the_same_bucket_is_written_beside(tmp_path: Path) -> None:
    s3 = two_buckets()
    restore(s3, tmp_path, address="s3://bkt/models/m-1", to=ToBucket("bkt", "models/m-1-before/"))
    assert s3.contents()["models/m-1-before/weights"] == b"good"
    assert s3.contents()["models/m-1/weights"] == b"evil"


def test_an_object_named_like_the_folder_goes_beside_its_files_and_two_keys_never_become_one(tmp_path: Path) -> None:
    s3 = two_buckets()
    s3.clock -= 10
    s3.put("models/m-1", b"alone")
    later(s3)
    restore(s3, tmp_path, address="s3://bkt/models/m-1", to=OTHER)
    assert set(s3.contents("other")) == {"back/config.json", "back/m-1", "back/weights"}
    s3.put("models/m-1/m-1", b"clash")
    with pytest.raises(Refused, match="would both be written to s3://other/back/m-1"):
        plan(s3, tmp_path, address="s3://bkt/models/m-1", to=OTHER, second=10)


def test_someone_who_writes_the_other_bucket_meanwhile_is_not_buried(tmp_path: Path) -> None:
    s3 = two_buckets()
    made = plan(s3, tmp_path, address="s3://bkt/models/m-1", to=OTHER)
    s3.put("back/weights", b"mine", bucket="other")
    report = apply(s3, made)
    assert [key for key, _ in report.conflicts] == ["models/m-1/weights"]
    assert s3.contents("other")["back/weights"] == b"mine"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_gets_the_files_as_they_were_with_their_times(tmp_path: Path) -> None:
    s3 = two_buckets()
    s3.clock -= 10
    s3.put("models/m-1/empty", b"")
    s3.put("models/m-1/sub/", b"")
    s3.put("models/m-1/sub/deep/ü %41", b"deep")
    later(s3)
    out = tmp_path / "out"
    restore(s3, tmp_path, address="s3://bkt/models/m-1", to=ToFolder(out))
    assert files(out) == {"config.json": b"{}", "weights": b"good", "empty": b"", "sub/deep/ü %41": b"deep"}
    assert (out / "weights").stat().st_mtime == s3.clock - 10
    made = plan(s3, tmp_path, address="s3://bkt/models/m-1", to=ToFolder(out))
    assert made.summary.changes == 0


@pytest.mark.parametrize("parts", [[b"x" * 3000, b"y" * 3000, b"z"], [b"x" * 3000, b"y" * 10, b"z" * 10]])
def test_a_file_is_recognised_by_the_etag_of_its_parts_or_by_its_bytes(tmp_path: Path, parts: list[bytes]) -> None:
    s3 = MemoryS3(checksums=False)
    s3.put_parts("k", parts)
    later(s3)
    out = tmp_path / "out"
    restore(s3, tmp_path, to=ToFolder(out))
    assert plan(s3, tmp_path, to=ToFolder(out)).summary.changes == 0
    changed = bytearray((out / "k").read_bytes())
    changed[-1] ^= 1
    (out / "k").write_bytes(changed)
    with pytest.raises(Refused, match="1 key exists in"):
        plan(s3, tmp_path, to=ToFolder(out))


def test_a_large_file_comes_in_ranges_and_whole(tmp_path: Path) -> None:
    s3 = MemoryS3()
    data = bytes(range(256)) * (36 * 1024 * 4)
    s3.put("big", data)
    later(s3)
    out = tmp_path / "out"
    restore(s3, tmp_path, to=ToFolder(out))
    assert (out / "big").read_bytes() == data


def test_a_file_that_differs_is_written_over_only_where_asked_and_only_if_unchanged_since(tmp_path: Path) -> None:
    s3 = two_buckets()
    out = tmp_path / "out"
    out.mkdir()
    (out / "weights").write_bytes(b"mine")
    with pytest.raises(Refused, match=r"1 key exists in .*/out with other content .*: 'weights'"):
        plan(s3, tmp_path, address="s3://bkt/models/m-1", to=ToFolder(out))
    made = plan(s3, tmp_path, address="s3://bkt/models/m-1", to=ToFolder(out), overwrite=True)
    (out / "weights").write_bytes(b"mine, edited")
    report = apply(s3, made)
    assert [key for key, _ in report.conflicts] == ["models/m-1/weights"]
    assert (out / "weights").read_bytes() == b"mine, edited"
    restore(s3, tmp_path, address="s3://bkt/models/m-1", to=ToFolder(out), overwrite=True)
    assert (out / "weights").read_bytes() == b"good"


def test_a_download_cut_off_is_finished_by_a_second_run_and_leaves_no_half_file(tmp_path: Path) -> None:
    s3 = two_buckets()
    for number in range(20):
        s3.put(f"models/m-1/{number}", b"x" * 5000)
    out = tmp_path / "out"
    made = plan(s3, tmp_path, address="s3://bkt/models/m-1", second=10, to=ToFolder(out))
    left = 7

    def interrupt(operation: op.Operation) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt

    s3.before = interrupt
    first = apply(s3, made)
    assert first.interrupted
    assert all(len(data) in (4, 5, 5000) for data in files(out).values())
    s3.before = lambda _: None
    second = apply(s3, made)
    assert second.complete
    assert second.already == first.written
    assert verify(s3, made, deep=True).proved
    assert len(files(out)) == 22


def test_verify_of_a_folder_finds_what_is_wrong(tmp_path: Path) -> None:
    s3 = two_buckets()
    out = tmp_path / "out"
    made = plan(s3, tmp_path, address="s3://bkt/models/m-1", to=ToFolder(out))
    apply(s3, made, journal=Journal.beside(made.path))
    (out / "weights").write_bytes(b"evil")
    (out / "config.json").unlink()
    wrong = dict(verify(s3, made).wrong)
    assert wrong == {
        "models/m-1/config.json": f"{out / 'config.json'} is missing",
        "models/m-1/weights": f"{out / 'weights'} has other content",
    }


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("../escape", "has a part . or .., which could leave the folder"),
        ("a/../../escape", "has a part . or .., which could leave the folder"),
        ("./a", "has a part . or .., which could leave the folder"),
        ("/etc/passwd", "has an empty part (//, or a leading /)"),
        ("a//b", "has an empty part (//, or a leading /)"),
        ("..\\escape", "holds a NUL or a backslash"),
        ("a\0b", "holds a NUL or a backslash"),
        ("C:/windows", "starts like a Windows drive"),
        ("é" * 128, "has a part of 256 bytes; a file name holds 255"),
        ("ok/" * 1500 + "x", "makes a path of 4507 bytes; it must stay under 4096"),
        ("d/", "is a folder's name but has content"),
    ],
)
def test_a_key_that_cannot_be_a_file_is_reported_before_anything_is_written(
    key: str, fault: str, tmp_path: Path
) -> None:
    s3 = MemoryS3()
    s3.put("fine", b"fine")
    s3.put(key, b"evil")
    later(s3)
    out = Path("/out") if "path of" in fault else tmp_path / "out"
    with pytest.raises(Refused) as told:
        plan(s3, tmp_path, to=ToFolder(out))
    expected = f"{shortened(key)} {fault}".replace("4507", str(len("/out") + 1 + len(key)))
    assert str(told.value).startswith(f"1 key cannot be files in {out}, so nothing was planned")
    assert str(told.value).endswith(expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["...", "a..b", "..a", " ", "ab:c", "CON", "%2e%2e", "~", "-rf", "a\n"])
def test_odd_names_that_a_file_can_have_are_taken(key: str) -> None:
    assert name_fault(key, Path("/out")) == ""


def test_a_file_and_a_folder_of_one_name_are_reported_in_either_order(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for key in ("a", "a/b", "c.d", "c/x", "c"):
        s3.put(key, b"x")
    later(s3)
    with pytest.raises(Refused, match="2 keys cannot be files") as told:
        plan(s3, tmp_path, to=ToFolder(tmp_path / "out"))
    assert "'a/b' lies below a name that is a file too; 'c/x' lies below" in str(told.value)
    names = Names(Path("/nowhere"), folds_case=True)
    assert [names.add(name) for name in ("x/y", "X")] == ["", "is a file and a folder"]


@pytest.mark.parametrize("folds", [True, False])
def test_names_in_byte_order_clash_whatever_lies_between_them(folds: bool) -> None:
    names = Names(Path("/nowhere"), folds_case=folds)
    assert [names.add(name) for name in ("a", "a b", "a-1/x", "a-1/y")] == ["", "", "", ""]
    assert names.add("a/b/c") == "lies below a name that is a file too"
    assert names.add("b") == ""
    assert names.add("b/") == "is a file and a folder"
    assert names.add("c", in_order=False) == ""
    assert names.add("b/c") == "lies below a name that is a file too"
    assert names.add("c/d") == "lies below a name that is a file too"
    assert names.add("c", in_order=False).startswith("differs from another name" if folds else "is there twice")


def test_a_million_names_in_order_need_no_memory_where_cases_are_told_apart() -> None:
    names = Names(Path("/nowhere"), folds_case=False)
    for number in range(2000):
        assert names.add(f"run-{number:04}/weights") == ""
    assert (len(names.open), len(names.files), len(names.folders), len(names.alone)) == (1, 0, 0, 0)


def test_names_that_differ_by_case_clash_only_where_the_file_system_folds_it() -> None:
    for folds, fault in ((True, "differs from another name only by case or by Unicode form"), (False, "")):
        names = Names(Path("/nowhere"), folds_case=folds)
        assert [names.add(name) for name in ("Model", "model")] == ["", fault]
        assert [names.add(name) for name in ("e\u0301", "é")] == ["", fault]


def test_this_file_system_tells_cases_apart_or_not_as_it_does(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert folds_case(tmp_path / "missing") is (tmp_path / "A").exists()


def test_a_symbolic_link_is_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("sub/file", b"x")
    later(s3)
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    made = plan(s3, tmp_path, to=ToFolder(out))
    (out / "sub").symlink_to(outside)
    with pytest.raises(Refused, match="would be written through the symbolic link"):
        plan(s3, tmp_path, to=ToFolder(out))
    assert [reason for _, reason in apply(s3, made).failed] == ["a part of its path is a symbolic link"]
    assert list(outside.iterdir()) == []


def test_a_file_where_a_folder_must_be_is_reported(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("sub/file", b"x")
    later(s3)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").write_bytes(b"mine")
    with pytest.raises(Refused, match=r"'sub/file' needs a folder where the file .*/out/sub is"):
        plan(s3, tmp_path, to=ToFolder(tmp_path / "out"))


def test_a_plan_tells_how_many_requests_its_files_take_and_what_is_lost(tmp_path: Path) -> None:
    s3 = two_buckets()
    out = tmp_path / "out"
    out.mkdir()
    (out / "weights").write_bytes(b"mine!")
    made = plan(s3, tmp_path, address="s3://bkt/models/m-1", to=ToFolder(out), overwrite=True)
    summary = read_plan(made.path).summary
    assert (summary.hidden, summary.overwritten, summary.overwritten_bytes) == (0, 1, 5)
    s3.sent.clear()
    assert apply(s3, made).complete
    assert len(s3.sent) == summary.requests == 2


def test_a_file_that_cannot_be_written_fails_alone(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.put("fine", b"x")
    s3.put("sub/file", b"x")
    later(s3)
    out = tmp_path / "out"
    made = plan(s3, tmp_path, to=ToFolder(out))
    out.mkdir()
    (out / "sub").write_bytes(b"came between")
    report = apply(s3, made)
    assert [(key, reason.partition(":")[0]) for key, reason in report.failed] == [("sub/file", "File exists")]
    assert files(out) == {"fine": b"x", "sub": b"came between"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_takes_no_file_ends_the_run_and_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The disk is not really full: what the system says of one, without a file's name, is said of every write."""
    s3 = MemoryS3()
    for key in "abc":
        s3.put(key, b"weights")
    later(s3)
    out = tmp_path / "out"
    made = plan(s3, tmp_path, to=ToFolder(out))

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "utime", full)
    s3.sent.clear()
    with pytest.raises(OSError, match=os.strerror(number)) as told:
        apply(s3, made)
    assert Path(told.value.filename).parent == out
    assert files(out) == {}
    assert len(s3.sent) <= 4


def test_a_plan_that_names_a_file_outside_the_folder_writes_none(tmp_path: Path) -> None:
    s3 = two_buckets()
    out = tmp_path / "out"
    made = plan(s3, tmp_path, address="s3://bkt/models/m-1", to=ToFolder(out))
    steps = [step._replace(target=f"../{step.target}") for step in made.steps()]
    forged = write_plan(tmp_path / "forged", made.header, steps)
    report = apply(s3, forged)
    assert [reason for _, reason in report.failed] == [
        "its file name '../config.json' has a part . or .., which could leave the folder",
        "its file name '../weights' has a part . or .., which could leave the folder",
    ]
    assert not (tmp_path / "weights").exists()


def test_the_etag_of_a_file_is_the_one_s3_gives(tmp_path: Path) -> None:
    s3 = MemoryS3()
    path = tmp_path / "f"
    path.write_bytes(b"a" * 10 + b"b" * 10 + b"c")
    s3.put("one", path.read_bytes())
    s3.put_parts("many", [b"a" * 10, b"b" * 10, b"c"])
    etags = [s3.buckets["bkt"].keys[key][0].entry.etag for key in ("one", "many")]
    assert [file_etag(path, [21], multipart=False), file_etag(path, [10, 10, 1], multipart=True)] == etags


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("CRC32", "y/Q5Jg=="),
        ("CRC32C", "4waSgw=="),
        ("CRC64NVME", "rosUhgp5mIg="),
        ("SHA1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        ("SHA256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    ],
)
def test_the_checksum_of_a_file_is_the_one_s3_stores(tmp_path: Path, algorithm: str, expected: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"123456789")
    assert file_checksum(path, algorithm) == expected


def test_a_file_whose_etag_says_nothing_is_recognised_by_the_stored_checksum(tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.buckets["bkt"].kms = True
    s3.put("k", b"weights")
    later(s3)
    out = tmp_path / "out"
    restore(s3, tmp_path, to=ToFolder(out))
    assert [step.reason for step in plan(s3, tmp_path, to=ToFolder(out)).steps()] == [Reason.SAME_CHECKSUM]
    (out / "k").write_bytes(b"WEIGHTS")
    with pytest.raises(Refused, match="1 key exists in"):
        plan(s3, tmp_path, to=ToFolder(out))


def test_a_file_of_which_nothing_is_stored_is_proved_by_the_journal_until_it_is_touched(tmp_path: Path) -> None:
    s3 = MemoryS3(checksums=False)
    s3.buckets["bkt"].kms = True
    s3.put("k", b"weights")
    later(s3)
    out = tmp_path / "out"
    made = plan(s3, tmp_path, to=ToFolder(out))
    assert apply(s3, made, journal=Journal.beside(made.path)).complete
    assert (verify(s3, made).wrong, verify(s3, made).unproved) == ((), ())
    assert apply(s3, made).already == 1
    (out / "k").write_bytes(b"WEIGHTS")
    found = verify(s3, made)
    assert (found.wrong, [key for key, _ in found.unproved]) == ((), ["k"])
    assert verify(s3, made, deep=True).wrong == (("k", f"{out / 'k'} has other content"),)

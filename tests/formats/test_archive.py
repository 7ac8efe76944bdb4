"""A zip archive passes where the zip library opens it; a pickle is named and never loaded."""

import io
import pickle
import struct
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store.formats.archive import MAX_DIRECTORY, TAIL
from tests.formats.asking import ask, look, problem

PATH = "run/model.pt"


def archive(entries, comment=b"", **how):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **how) as out:
        for name, content in entries.items():
            out.writestr(name, content)
        out.comment = comment
    return stream.getvalue()


WHOLE = archive({"m/data.pkl": b"\x80\x02}q\x00.", "m/data/0": bytes(200), "m/version": b"3\n"})
DIRECTORY = WHOLE.index(b"PK\x01\x02")


def wide(monkeypatch, entries):
    """As PyTorch writes it: with ZIP64 records, however small."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    return archive(entries)


def opens(data):
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as found:
            found.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
        return False
    return True


@pytest.mark.parametrize("path", ["a.pt", "a.pth", "a.ckpt", "pytorch_model.bin", "a.keras", "a.npz", "dir.x/LAST.PT"])
def test_a_whole_archive_passes_under_every_name_that_loaders_know(path):
    found = look(path, WHOLE)
    assert (found.format, found.problem, found.proved, found.facts) == ("zip", "", True, {"entries": 3})


def test_arrays_of_numpy_pass_compressed_and_not():
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, a=np.arange(1000), b=np.ones(3))
        assert problem("a.npz", stream.getvalue()) == ""
        assert look("a.npz", stream.getvalue()).facts == {"entries": 2}
    stream = io.BytesIO()
    np.savez(stream)
    assert problem("a.npz", stream.getvalue()) == ""


def test_a_keras_file_passes_and_not_without_its_end(tmp_path):
    weights = tmp_path / "model.weights.h5"
    with h5py.File(weights, "w") as file:
        file["layers/dense/vars/0"] = np.ones((100, 100))
    data = archive({"metadata.json": "{}", "config.json": "{}", "model.weights.h5": weights.read_bytes()})
    assert look("model.keras", data).facts == {"entries": 3}
    assert problem("model.keras", data[:-1]) == "has no end record in its last 64 KiB: it was cut, or is no zip archive"
    assert problem("model.weights.h5", weights.read_bytes()) == ""


def test_a_large_archive_costs_its_first_bytes_and_its_tail():
    data = archive({"m/data.pkl": b"x", "m/data/0": bytes(1_000_000)})
    asked = ask(PATH, data)
    assert asked.finding.problem == ""
    assert [(r.first, r.last) for r in asked.ranges] == [(0, 1023), (len(data) - TAIL, len(data) - 1)]


def test_a_directory_longer_than_the_tail_costs_one_request_more():
    data = archive({f"m/data/{number:060}": b"" for number in range(1200)})
    asked = ask(PATH, data)
    assert asked.finding.facts == {"entries": 1200}
    assert len(asked.ranges) == 3


def test_a_comment_of_the_greatest_length_hides_nothing():
    data = archive({"m/data/0": bytes(100_000)}, comment=b"c" * 65_535)
    assert opens(data)
    assert problem(PATH, data) == ""


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_an_archive_cut_anywhere_is_refused(size):
    assert not opens(WHOLE[:size])
    assert problem(PATH, WHOLE[:size]) != ""


def test_what_follows_an_archive_passes_as_it_does_for_loaders():
    for junk in (b"\n", b"x" * 1000, bytes(60_000)):
        assert opens(WHOLE + junk)
        assert problem(PATH, WHOLE + junk) == ""


def test_zip64_records_are_followed(monkeypatch):
    data = wide(monkeypatch, {"m/data.pkl": b"x", "m/data/0": bytes(300), "m/data/1": bytes(300)})
    assert b"PK\x06\x06" in data
    assert opens(data)
    assert look(PATH, data).facts == {"entries": 3}
    for size in range(len(data)):
        assert problem(PATH, data[:size]) != ""


@settings(max_examples=500, deadline=None)
@given(st.integers(DIRECTORY, len(WHOLE) - 1), st.integers(0, 255))
def test_a_byte_changed_in_the_directory_never_passes_where_the_library_refuses(at, value):
    data = WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :]
    if problem(PATH, data) == "":
        assert opens(data)


def test_a_byte_changed_in_zip64_records_never_passes_where_the_library_refuses(monkeypatch):
    data = wide(monkeypatch, {"m/data.pkl": b"x", "m/data/0": bytes(300)})
    refused = 0
    for at in range(data.index(b"PK\x01\x02"), len(data)):
        for value in (0, data[at] ^ 1, 255):
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            if problem(PATH, changed) == "":
                assert opens(changed)
            else:
                refused += 1
    assert refused > 200


def end(entries=0, size=0, first=0):
    return struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, entries, entries, size, first, 0)


def listed(begin=0, size=0, name=b"a"):
    return (
        struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, size, size, len(name), 0, 0, 0, 0, 0, begin)
        + name
    )


LOCAL = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (LOCAL, "has no end record in its last 64 KiB: it was cut, or is no zip archive"),
        (LOCAL + end(1, 47, 100), "says that its directory ends at byte 147, behind its end record at 31"),
        (LOCAL + end(1, 2**32 - 1, 0), "says that its directory ends at byte 4,294,967,295, behind its end record"),
        (LOCAL + listed() + end(2, 47, 31), "says that 2 entries have a directory of 47 bytes: it is damaged"),
        (LOCAL + listed() * 2 + end(1, 94, 31), "has 2 entries in its directory and 1 in its end record"),
        (LOCAL + listed() * 2 + end(2, 94, 31), "has entries that overlap at byte 0: it is no honest zip archive"),
        (LOCAL + listed(size=10) + end(1, 47, 31), "has an entry that ends at byte 41, behind its directory at 31"),
        (LOCAL + listed(begin=9) + end(1, 47, 31), "has an entry that ends at byte 40, behind its directory at 31"),
        (LOCAL + listed() + b"gap" + end(1, 47, 31), "has 3 bytes between its directory and its end record"),
        (LOCAL + b"X" * 47 + end(1, 47, 31), "has a directory that breaks off at its byte 0: it is damaged"),
        (LOCAL + listed()[:40] + bytes(7) + listed(name=b"a" * 400)[:46] + end(1, 93, 31), "breaks off at its byte 47"),
        (LOCAL + listed(size=2**32 - 1) + end(1, 47, 31), "has an entry that ends at byte 4,294,967,326"),
        (b"junk" + WHOLE, "starts with b'junk' where a zip archive starts with b'PK\\x03\\x04'"),
        (bytes(100), "starts with b'\\x00\\x00\\x00\\x00' where a zip archive starts with"),
        (b"", "is empty (0 bytes)"),
    ],
)
def test_a_damaged_or_hostile_archive_is_refused_with_its_reason(data, said):
    asked = ask(PATH, data)
    assert said in asked.finding.problem
    assert asked.total == len(data)


def test_a_directory_larger_than_what_is_read_is_left_unproved():
    size = 2 * MAX_DIRECTORY
    data = LOCAL + bytes(size) + end(1, size, 31)
    asked = ask(PATH, data)
    assert (asked.finding.problem, asked.finding.proved) == ("", False)
    assert asked.total < 100_000


def test_a_pickle_of_older_pytorch_is_named_and_not_loaded():
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("it was loaded",))

    for path in ("a.pt", "a.pth", "a.ckpt", "pytorch_model.bin"):
        found = look(path, pickle.dumps(Trap(), protocol=2))
        assert (found.format, found.problem, found.proved) == ("pickle", "", False)
    for path in ("a.keras", "a.npz"):
        assert "where a zip archive starts with" in problem(path, pickle.dumps(1, protocol=2))


def test_endings_that_others_use_too_are_left_alone_where_they_hold_something_else():
    for path in ("weights.bin", "model.ckpt"):
        found = look(path, b"\0\x01raw bytes")
        assert (found.format, found.problem, found.proved) == ("", "", False)
        assert problem(path, b"") == "is empty (0 bytes): its upload failed, or nothing was ever written"
        assert problem(path, b"PK\x03\x04" + bytes(50)) != ""
        assert problem(path, WHOLE[:-1]) != ""


def test_a_checkpoint_of_zero_bytes_is_refused_and_other_bytes_are_left_alone():
    for path in ("last.ckpt", "__0_0.distcp"):
        for data in (bytes(4), bytes(5000)):
            asked = ask(path, data)
            assert asked.finding.problem == (
                "starts with zero bytes, as no checkpoint does: its upload or download was not finished"
            )
            assert asked.total <= 65_536
        assert look(path, b"\0\0\x05\x08" + bytes(90)).problem == ""
    assert problem("weights.bin", bytes(5000)) == ""
    both = ask("__0_0.distcp", WHOLE + WHOLE, 10**9)
    assert (both.finding.problem, both.finding.proved, both.total) == ("", False, 1024)

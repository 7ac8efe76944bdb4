"""An HDF5 file passes where the library opens it: it is as long as its superblock says, or longer."""

import struct

import h5py
import numpy as np
import pytest

from tests.formats.asking import ask, look, problem

PATH = "keras/model.weights.h5"
VERSIONS = {"earliest": 0, "v108": 2, "latest": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hdf5")


def written(folder, libver="earliest", block=0):
    path = folder / f"{libver}-{block}.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=block) as file:
        file["layers/dense/vars/0"] = np.arange(300.0)
        file["layers"].attrs["name"] = "dense"
    return path.read_bytes()


def opens(folder, data):
    path = folder / "read.h5"
    path.write_bytes(data)
    try:
        with h5py.File(path, "r") as file:
            return "layers" in list(file)
    except (OSError, RuntimeError):
        return False


@pytest.mark.parametrize("block", [0, 512, 1024, 4096, 131_072])
@pytest.mark.parametrize("libver", VERSIONS)
def test_every_version_passes_whole_behind_a_user_block_too_and_not_a_byte_shorter(folder, libver, block):
    data = written(folder, libver, block)
    assert data[block + 8] == VERSIONS[libver]
    found = look(PATH, data)
    assert (found.format, found.problem, found.proved, found.facts) == ("hdf5", "", True, {"end": len(data)})
    assert opens(folder, data)
    for cut in (1, 2, 100, len(data) - block - 1, len(data) - block - 30, len(data) - block - 50):
        assert not opens(folder, data[:-cut])
        assert problem(PATH, data[:-cut]) != ""
    assert problem(PATH, data[:-1]) == (
        f"has {len(data) - 1:,} bytes where its superblock says {len(data):,}, 1 too few: it was cut"
    )


@pytest.mark.parametrize("size", [*range(1, 120), 500, 2000])
def test_a_file_cut_anywhere_is_refused(folder, size):
    data = written(folder)
    assert not opens(folder, data[:size])
    assert problem(PATH, data[:size]) != ""


def as_version_one(data):
    """h5py writes none: four bytes more before the addresses, so the root's header, which they overwrite, moves behind."""
    root = len(data) + -len(data) % 8
    moved = data.ljust(root, b"\0") + data[96:600]
    addresses = data[24:40] + struct.pack("<Q", len(moved)) + data[48:64] + struct.pack("<Q", root) + data[72:96]
    start = data[:8] + b"\1" + data[9:24] + struct.pack("<HH", 32, 0) + addresses
    return start + moved[len(start) :]


def test_a_superblock_of_version_one_is_read(folder):
    data = as_version_one(written(folder))
    assert opens(folder, data)
    assert look(PATH, data).facts == {"end": len(data)}
    assert opens(folder, data + b"junk")
    assert not opens(folder, data[:-1])
    assert problem(PATH, data[:-1]).endswith("1 too few: it was cut")


@pytest.mark.parametrize("width", [2, 4])
def test_addresses_of_another_width_are_read(folder, width):
    path = folder / f"width-{width}.h5"
    plist = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    plist.set_sizes(width, width)
    with h5py.File(h5py.h5f.create(str(path).encode(), fcpl=plist)) as file:
        file.create_group("layers")
    data = path.read_bytes()
    assert data[8:11] == bytes([2, width, width])
    assert opens(folder, data)
    assert look(PATH, data).facts == {"end": len(data)}
    assert not opens(folder, data[:-1])
    assert problem(PATH, data[:-1]).endswith("1 too few: it was cut")


def test_longer_files_and_files_behind_other_bytes_pass_as_they_open(folder):
    data = written(folder)
    for more in (data + b"junk", bytes(512) + data, bytes(1024) + data):
        assert opens(folder, more)
        assert problem(PATH, more) == ""
    moved = bytes(512) + data[:-1]
    assert not opens(folder, moved)
    assert problem(PATH, moved) != ""
    astray = bytes(700) + data
    assert not opens(folder, astray)
    assert "has no HDF5 signature" in problem(PATH, astray)


@pytest.mark.parametrize("libver", ["v108", "latest"])
def test_a_byte_changed_in_a_superblock_with_a_checksum_is_refused_as_the_library_refuses_it(folder, libver):
    data = written(folder, libver)
    for at in range(48):
        for value in (data[at] ^ 1, data[at] ^ 0x80, 255 - data[at]):
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            assert (problem(PATH, changed) == "") is opens(folder, changed), at


def test_a_byte_changed_in_an_older_superblock_is_refused_where_the_check_looks(folder):
    data = written(folder)
    for at in (*range(9), 9, 10, 12, 13, 14, *range(42, 48)):
        for value in (1, 7, 255):
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            if changed != data:
                assert problem(PATH, changed) != ""
                assert not opens(folder, changed), (at, value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty (0 bytes): its upload failed, or nothing was ever written"),
        (b"\x89HDF", "has no HDF5 signature"),
        (bytes(5000), "has no HDF5 signature: it is no HDF5 file, or its start was overwritten"),
        (b"\x89HDF\r\n\x1a\n", "has a superblock of version -1 where 0 to 3 are known: it was cut or overwritten"),
        (b"\x89HDF\r\n\x1a\n" + b"\x09" * 200, "has a superblock of version 9 where 0 to 3 are known"),
        (b"\x89HDF\r\n\x1a\n\0", "ends in its superblock, at 9 bytes: it was cut"),
        (b"\x89HDF\r\n\x1a\n\x02\x08\x05" + bytes(99), "has a superblock of version 2 that no library writes"),
        (
            b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0" + bytes(99),
            "says that it ends at byte 0, inside its own superblock",
        ),
    ],
)
def test_what_is_no_whole_superblock_is_refused_with_its_reason(folder, data, said):
    assert not opens(folder, data)
    assert said in problem(PATH, data)


def test_the_search_for_a_signature_doubles_and_costs_little():
    asked = ask(PATH, b"", 10**12)
    assert "has no HDF5 signature" in asked.finding.problem
    assert len(asked.ranges) < 32
    assert asked.total < 32 * 1024


def test_a_large_file_costs_one_request(folder):
    asked = ask(PATH, written(folder), 10**10)
    assert [(r.first, r.last) for r in asked.ranges] == [(0, 4095)]

"""A GGUF file passes where its readers read it; what runs out of the file, repeats or overflows is refused."""

import struct

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store.formats.finding import Tensor
from artifact_store.formats.gguf import LATER, MAX_PAIRS, MAX_TENSORS, STEP, TYPES
from tests.formats.asking import ask, look, problem

PATH = "m/model-00001-of-00002.gguf"


def written(path, byte_order=gguf.GGUFEndian.LITTLE):
    writer = gguf.GGUFWriter(path, "llama", endianess=byte_order)
    writer.add_uint16("split.no", 0)
    writer.add_uint16("split.count", 2)
    writer.add_int32("split.tensors.count", 5)
    writer.add_block_count(1)
    writer.add_token_list(["<s>", "é", "token"])
    writer.add_token_scores([0.0, 1.0, 2.0])
    writer.add_array("nested", [[1, 2], [3]])
    writer.add_bool("yes", True)
    writer.add_float64("small", 0.5)
    writer.add_tensor("w", np.ones((2, 4), np.float32))
    writer.add_tensor("blk.0.q", np.ones((2, 34), np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("h", np.ones(3, np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return written(tmp_path_factory.mktemp("gguf") / "m.gguf")


@pytest.fixture(scope="module")
def reads(tmp_path_factory):
    """Does the library read these bytes? Only for what was found whole: it loops for ever on some of the rest."""
    path = tmp_path_factory.mktemp("gguf") / "read.gguf"

    def verdict(data):
        path.write_bytes(data)
        try:
            gguf.GGUFReader(path)
        except (ValueError, IndexError, KeyError):
            return False
        return True

    return verdict


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key, kind, value=b""):
    return text(key) + struct.pack("<I", kind) + value


def info(name="w", shape=(4,), kind=0, offset=0):
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def made(pairs=(), infos=(), data=0, *, version=3, counts=None):
    tensors, keys = counts or (len(infos), len(pairs))
    header = b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + b"".join(pairs) + b"".join(infos)
    return header + bytes(-len(header) % 32 + data)


def test_a_whole_file_gives_its_tensors_and_the_numbers_of_its_split(whole, reads):
    found = look(PATH, whole)
    assert reads(whole)
    assert (found.format, found.problem, found.proved) == ("gguf", "", True)
    assert found.tensors == {
        "w": Tensor("F32", (4, 2), 32),
        "blk.0.q": Tensor("Q8_0", (32, 2), 68),
        "h": Tensor("F16", (3,), 6),
    }
    assert found.facts == {"split.no": 0, "split.count": 2, "split.tensors.count": 5}
    assert len(found.digest) == 64


def test_the_other_byte_order_says_the_same(whole, tmp_path):
    other = look(PATH, written(tmp_path / "big.gguf", gguf.GGUFEndian.BIG))
    assert other == look(PATH, whole)


def test_version_two_is_read_and_others_are_not(whole, reads):
    for version in (0, 1, 2, 3, 4, 0x7FFF):
        data = whole[:4] + struct.pack("<I", version) + whole[8:]
        assert reads(data) is (version in (2, 3))
        assert (problem(PATH, data) == "") is (version in (2, 3))


def test_types_are_those_of_the_library():
    sizes = {int(kind): (kind.name, *gguf.GGML_QUANT_SIZES[kind]) for kind in gguf.GGMLQuantizationType}
    assert sizes == TYPES


def test_a_file_may_lack_the_padding_behind_its_last_tensor_and_nothing_more(whole, reads):
    start = len(whole) - 32 - 96 - 32
    end = start + 32 + 96 + 6
    for size in range(len(whole) + 1):
        if size >= end:
            assert reads(whole[:size])
        assert (problem(PATH, whole[:size]) == "") is (size >= end), size
    assert problem(PATH, whole[: end - 1]).startswith(
        f"has {end - 1:,} bytes where its header accounts for {end:,}, 1 too"
    )


def test_a_longer_file_passes_as_it_does_for_readers(whole, reads):
    assert reads(whole + b"junk")
    assert problem(PATH, whole + b"junk") == ""


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_what_passes_with_a_changed_byte_in_its_header_is_read_by_the_library(whole, reads, data):
    at = data.draw(st.integers(0, len(whole) - 160))
    changed = whole[:at] + data.draw(st.binary(min_size=1, max_size=1)) + whole[at + 1 :]
    found = look(PATH, changed)
    if found.problem == "" and found.proved:
        assert reads(changed)


ALIGNED = pair("general.alignment", 4, struct.pack("<I", 64))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"GGML" + bytes(100), "starts with b'GGML' where GGUF starts with b'GGUF'"),
        (b"GG", "starts with b'GG' where"),
        (made([pair("a", 0, b"1"), pair("a", 0, b"1")]), "has key 'a' twice"),
        (made(infos=[info(), info(offset=32)], data=64), "has tensor 'w' twice"),
        (made([pair("a", 99)]), "has a value of 'a' of the unknown type 99"),
        (made([pair("general.alignment", 5, bytes(4))]), "has general.alignment of type 5 where it is 4 (u32)"),
        (made([pair("general.alignment", 4, struct.pack("<I", 24))]), "24, which is no power of two"),
        (made([pair("general.alignment", 4, bytes(4))]), "general.alignment 0, which is no power of two"),
        (made([pair(b"\xff", 0, b"1")]), "has a key that is no UTF-8 text"),
        (made(infos=[info(b"\xff")], data=16), "has a tensor's name that is no UTF-8 text"),
        (made(infos=[info(kind=4)], data=64), "has tensor 'w' of the unknown type 4"),
        (made(infos=[info(kind=2**32 - 1)], data=64), "has tensor 'w' of the unknown type 4294967295"),
        (made(infos=[info(shape=(1, 1, 1, 1, 1))], data=64), "has tensor 'w' of 5 dimensions where 4 is the limit"),
        (made(infos=[info(shape=(31,), kind=8)], data=64), "rows that are no multiple of the 32 of Q8_0"),
        (made(infos=[info(offset=32)], data=64), "has tensor 'w' at 32 where 0 was expected"),
        (made([ALIGNED], [info(), info("v", offset=32)], data=64), "has tensor 'v' at 32 where 64 was expected"),
        (made(infos=[info(shape=(2**63,))], data=64), "has tensor 'w' with more elements than a file can hold"),
        (made(infos=[info(shape=(2**32, 2**32))], data=64), "has tensor 'w' with more elements than a file can hold"),
        (made(counts=(10**9, 0)), "says that it has 1,000,000,000 tensors, more than fit into 32 bytes"),
        (made(counts=(0, 2**63)), "says that it has 9,223,372,036,854,775,808 key-value pairs, more than fit"),
        (made([struct.pack("<Q", 2**63)], counts=(0, 1)), "has a key of 9,223,372,036,854,775,808 bytes where 65,535"),
        (made([pair("a", 8, struct.pack("<Q", 2**62))]), "has a value of 'a' that would end at byte 4,611,686,018,427"),
        (made([pair("a", 9, struct.pack("<IQ", 8, 2**62))]), "a value of 'a' of 4,611,686,018,427,387,904 elements"),
        (made([pair("a", 9, struct.pack("<IQ", 0, 2**62))]), "a value of 'a' of 4,611,686,018,427,387,904 elements"),
        (made([pair("a", 9, struct.pack("<IQ", 9, 1) * 200)]), "of arrays in more than 8 arrays"),
        (made([pair("a", 9, struct.pack("<IQ", 99, 1))]), "has a value of 'a' of the unknown type 99"),
    ],
)
def test_a_damaged_or_hostile_header_costs_one_small_request(data, said):
    asked = ask(PATH, data)
    assert said in asked.finding.problem
    assert asked.total == len(data)


def test_a_type_that_a_later_ggml_may_have_is_left_unproved():
    found = look(PATH, made(infos=[info(kind=LATER[0])], data=64))
    assert (found.problem, found.proved) == ("", False)


def test_a_large_vocabulary_is_walked_in_few_requests():
    tokens = b"".join(text(f"token {number}") for number in range(150_000))
    scores = bytes(4 * 150_000)
    data = made(
        [
            pair("tokens", 9, struct.pack("<IQ", 8, 150_000) + tokens),
            pair("scores", 9, struct.pack("<IQ", 6, 150_000) + scores),
        ],
        [info()],
        data=16,
    )
    asked = ask(PATH, data, len(data) + 10**9)
    assert asked.finding.problem == ""
    assert list(asked.finding.tensors) == ["w"]
    assert len(asked.ranges) == 5
    assert asked.total < len(data) + 16 * STEP


def test_a_header_that_does_not_end_is_given_up_after_the_bytes_a_check_may_ask_for():
    asked = ask(PATH, made([pair("a", 9, struct.pack("<IQ", 8, 10**11))]), 10**12)
    assert (asked.finding.problem, asked.finding.proved) == ("", False)
    assert asked.total <= 32 * 1024**2
    assert len(asked.ranges) < 16


def test_arrays_of_arrays_do_not_multiply():
    inner = struct.pack("<IQ", 9, 60_000)
    asked = ask(PATH, made([pair("a", 9, inner * 7 + struct.pack("<IQ", 0, 0) * 100_000)]), 10**12)
    assert (asked.finding.problem, asked.finding.proved) == ("", False)
    assert len(asked.ranges) < 5


def test_a_huge_array_of_numbers_is_stepped_over_and_not_read():
    asked = ask(PATH, made([pair("a", 9, struct.pack("<IQ", 0, 10**11))]), 10**12)
    assert asked.finding.problem == ""
    assert [asked.first for asked in asked.ranges] == [0]


def test_more_tensors_or_pairs_than_are_read_are_left_unproved():
    for counts in ((MAX_TENSORS + 1, 0), (0, MAX_PAIRS + 1)):
        asked = ask(PATH, made(counts=counts), 10**9)
        assert (asked.finding.problem, asked.finding.proved, len(asked.ranges)) == ("", False, 1)

"""The index of a TensorFlow checkpoint tells how many data files there are and where each ends at least."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store.formats import tensor_bundle
from artifact_store.formats.tensor_bundle import MAGIC, Bundle, BundleRefused, fields, read
from tests.formats.bundles import block, entry_proto, index, table, varint

TENSORS = [
    ("layer/bias", 0, 0, 40),
    ("layer/kernel", 0, 40, 4000),
    ("layer/kernel/m", 2, 300, 70_000),
    ("layer/kernel/v", 2, 0, 300),
    ("save_counter", 0, 4040, 8),
]
HEADER = (b"", b"\x08\x01")


def test_each_data_file_ends_where_its_last_tensor_does():
    assert read(index(TENSORS, shards=3)) == Bundle(3, {0: 4048, 2: 70_300})


def test_a_checkpoint_without_tensors_has_its_data_file_all_the_same():
    assert read(index([])) == Bundle(1, {})


def test_a_tensor_cut_into_slices_lies_where_its_slices_do():
    sliced = b"\x08\x01\x3a\x02\x0a\x00"
    data = table([block([HEADER, (b"a", sliced + b"\x20\x7f"), (b"b", entry_proto(0, 1, 2))])])
    assert read(data) == Bundle(1, {0: 3})


@pytest.mark.parametrize("cut", range(0, len(index(TENSORS, shards=3)), 7))
def test_a_cut_index_is_refused(cut):
    with pytest.raises(BundleRefused, match="does not end as the index of a checkpoint"):
        read(index(TENSORS, shards=3)[:cut])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not end as the index of a checkpoint: it was cut off, or is something else"),
        (b"\xff" * 40 + MAGIC, "points outside itself: it was cut off or overwritten"),
        (b"\0" * 40 + MAGIC, "points outside itself: it was cut off or overwritten"),
        (table([block([HEADER])], packed=b"\1"), "is compressed, which is not read"),
        (table([]), "says 0 data files; 1 to 100,000 are read"),
        (index([], shards=0), "says 0 data files; 1 to 100,000 are read"),
        (index([], shards=100_001), "says 100,001 data files; 1 to 100,000 are read"),
        (index([("a", 3, 0, 1)], shards=3), "puts a tensor in data file 3 of 3"),
        (
            table([block([HEADER, (b"a", b"\x0f")])]),
            "points outside itself: it was cut off or overwritten",
        ),
    ],
)
def test_what_is_no_index_is_refused_in_one_line(data, message):
    with pytest.raises(BundleRefused) as caught:
        read(data)
    assert str(caught.value) == message


def test_a_small_file_cannot_name_one_block_without_end():
    content = block([HEADER])
    again = block([(b"k%03d" % n, varint(0) + varint(len(content))) for n in range(100)])
    data = content + b"\0crc!"
    places = varint(0) + varint(len(content)) + varint(len(data)) + varint(len(again))
    with pytest.raises(BundleRefused, match="names the same blocks again and again"):
        read(data + again + b"\0crc!" + places.ljust(40, b"\0") + MAGIC)


def test_no_more_tensors_are_read_than_the_limit(monkeypatch):
    monkeypatch.setattr(tensor_bundle, "MOST_ENTRIES", 3)
    assert read(index(TENSORS[:2])).shards == 1
    with pytest.raises(BundleRefused, match="holds more than 3 tensors"):
        read(index(TENSORS[:3], shards=3))


def test_the_fields_of_a_message_are_numbers_or_lengths():
    assert fields(b"\x08\x96\x01\x12\x03abc\x1d1234\x21abcdefgh\x28\x00") == {1: 150, 2: 3, 3: 0, 4: 0, 5: 0}


@settings(max_examples=300)
@given(st.integers(0, 10_000), st.integers(0, 255), st.binary(max_size=100))
def test_whatever_the_bytes_the_answer_is_a_bundle_or_a_refusal(at, byte, noise):
    good = index(TENSORS, shards=3)
    spoiled = bytearray(good)
    spoiled[at % len(good)] = byte
    for data in (bytes(spoiled), noise + MAGIC, noise + good[at % len(good) :]):
        with contextlib.suppress(BundleRefused):
            assert read(data).shards > 0

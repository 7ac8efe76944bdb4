"""A manifest of an OCDBT database passes where its length and its checksum are its own."""

import pytest

from artifact_store.formats.ocdbt import MAX_MANIFEST, crc32c
from tests.formats.asking import ask, look, problem

PATH = "100/state/ocdbt.process_0/manifest.ocdbt"
WHOLE = bytes.fromhex(
    "0cdb3a2a8e00000000000000000128b52ffd207a9d0300a40624c57879175dc89f2d096414a6518e6300648080800404010000000002"
    "0000220000642f6230393330633435346166323930336166646564613532646662303238656139020102000000"
    "01ff01f403ff01490001004900f40396022cc5bf4bec1839c9b0c5bf4bec18000200801043003336a44320"
)
"""As TensorStore 0.1.86 wrote it for one value of 500 bytes."""


def test_what_tensorstore_wrote_passes() -> None:
    found = look(PATH, WHOLE)
    assert (found.format, found.problem, found.proved) == ("ocdbt", "", True)


def test_the_checksum_is_the_one_of_its_specification() -> None:
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_a_manifest_cut_anywhere_is_refused(size: int) -> None:
    assert problem(PATH, WHOLE[:size]) != ""


def test_a_changed_byte_anywhere_is_refused() -> None:
    for at in range(len(WHOLE)):
        assert problem(PATH, WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :]) != "", at


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty (0 bytes): its upload failed, or nothing was ever written"),
        (bytes(len(WHOLE)), "where an OCDBT manifest starts with"),
        (WHOLE[:10], "has 10 bytes and the smallest OCDBT manifest has 18: it was cut"),
        (WHOLE[:-1], "has 141 bytes and says that it has 142: it was cut, or is of two writes"),
        (WHOLE + b"x", "has 143 bytes and says that it has 142: it was cut, or is of two writes"),
        (WHOLE[:-1] + b"!", "has another checksum than the one it carries: it was damaged"),
    ],
)
def test_what_is_no_whole_manifest_is_refused_with_its_reason(data: bytes, said: str) -> None:
    assert said in problem(PATH, data)


def test_a_manifest_too_large_to_sum_up_costs_its_first_bytes() -> None:
    size = MAX_MANIFEST + 1
    asked = ask(PATH, WHOLE[:4] + size.to_bytes(8, "little"), size)
    assert (asked.finding.problem, asked.finding.proved) == ("", False)
    assert asked.total == 1024

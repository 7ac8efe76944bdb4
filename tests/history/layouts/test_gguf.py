"""GGUF pieces find each other by their names; each count is a save of its own."""

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.history.layouts.gguf import LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import only, recognise, recognise_reading, shards


def pieces(stem, count):
    return dict.fromkeys(shards(stem, count, "gguf"), 100)


def test_each_single_file_is_a_model_and_nothing_is_read():
    sets, asked = recognise_reading(LAYOUT, {"a.Q4_K_M.gguf": 9, "b.gguf": 9, "README.md": 9, "": 0, "old/c.gguf": 9})
    assert [(found.name, found.members, found.parts) for found in sets] == [
        ("a.Q4_K_M", ("a.Q4_K_M.gguf",), {}),
        ("b", ("b.gguf",), {}),
    ]
    assert asked == []


def test_the_pieces_of_one_count_are_one_model_and_each_must_know_its_number():
    first, second = "m-00001-of-00002.gguf", "m-00002-of-00002.gguf"
    assert recognise(LAYOUT, pieces("m", 2)) == [
        ModelSet(
            layout="gguf",
            prefix="models/m/",
            name="m-of-00002",
            members=(first, second),
            facts={first: {"split.no": 0, "split.count": 2}, second: {"split.no": 1, "split.count": 2}},
            parts={"": (first, second)},
        )
    ]


def test_the_facts_are_those_that_a_real_writer_puts_into_its_pieces(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "real.gguf", "llama", split_max_tensors=1)
    for name in "abc":
        writer.add_tensor(name, np.zeros(4, "float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = only(LAYOUT, {path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert found.members == tuple(shards("real", 3, "gguf"))
    for name, facts in found.facts.items():
        fields = gguf.GGUFReader(tmp_path / name).fields
        assert {key: int(fields[key].contents()) for key in facts} == facts


def test_absent_numbers_are_missing_and_named_by_the_first_that_is_there():
    files = pieces("m", 4)
    del files["m-00001-of-00004.gguf"], files["m-00003-of-00004.gguf"]
    assert only(LAYOUT, files).missing == (
        Missing("m-00001-of-00004.gguf", "m-00002-of-00004.gguf"),
        Missing("m-00003-of-00004.gguf", "m-00002-of-00004.gguf"),
    )


@pytest.mark.parametrize(("before", "after"), [(5, 3), (2, 5)])
def test_saves_of_other_counts_are_models_of_their_own(before, after):
    sets = recognise(LAYOUT, pieces("m", before) | pieces("m", after) | {"m.gguf": 9})
    assert {found.name: found.missing for found in sets} == {
        "m": (),
        f"m-of-0000{before}": (),
        f"m-of-0000{after}": (),
    }


def test_names_that_share_a_start_are_other_models():
    sets = recognise(LAYOUT, pieces("m", 2) | pieces("m-1", 2) | pieces("m-00001-of-00002", 2))
    assert [(found.name, found.missing) for found in sets] == [
        ("m-of-00002", ()),
        ("m-00001-of-00002-of-00002", ()),
        ("m-1-of-00002", ()),
    ]


def test_a_projector_belongs_to_the_models_beside_it_and_is_one_where_there_is_none():
    sidecar = {"mmproj-f16.gguf": 9, "mtp-a.gguf": 9}
    assert [found.others for found in recognise(LAYOUT, {"m.gguf": 9} | pieces("n", 2) | sidecar)] == [
        ("mmproj-f16.gguf", "mtp-a.gguf"),
        ("mmproj-f16.gguf", "mtp-a.gguf"),
    ]
    assert [found.name for found in recognise(LAYOUT, sidecar)] == ["mmproj-f16", "mtp-a"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("m-00004-of-00003.gguf", "m-00004-of-00003.gguf is not one of the files 1 to 3"),
        ("m-00000-of-00003.gguf", "m-00000-of-00003.gguf is not one of the files 1 to 3"),
        ("m-00001-of-00000.gguf", "m-00001-of-00000.gguf is not one of the files 1 to 0"),
    ],
)
def test_a_number_outside_the_count_is_a_problem(name, problem):
    assert only(LAYOUT, {name: 9}).problems == (problem,)


def test_a_count_of_a_hundred_thousand_is_a_problem_and_lists_none():
    found = only(LAYOUT, {"m-00001-of-99999.gguf": 9})
    assert found.problems == ("m-00001-of-99999.gguf counts 99,999 files, more than the 10,000 that are looked for",)
    assert found.missing == ()


def test_folders_without_such_a_file_hold_none():
    assert recognise(LAYOUT, {"m.gguf.part": 9, "gguf": 9, "d.gguf/x": 9}) == []


@given(st.integers(1, 60), st.sets(st.integers(1, 60), min_size=1), st.text("ab-of0", min_size=1, max_size=8))
def test_what_is_there_and_what_is_missing_are_all_the_numbers(count, there, stem):
    kept = {number for number in there if number <= count} or {1}
    every = shards(stem, count, "gguf")
    found = only(LAYOUT, {every[number - 1]: 9 for number in kept})
    assert sorted([*found.members, *(file.path for file in found.missing)]) == every
    assert len(found.missing) == count - len(kept)

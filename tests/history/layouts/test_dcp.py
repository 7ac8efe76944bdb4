"""PyTorch distributed checkpoints: the map says which files, and how long each must be at least."""

import os

import pytest

from artifact_store.history.layouts import dcp, lightning, naming
from artifact_store.history.layouts.dcp import LAYOUT
from artifact_store.history.sets import SMALL, Missing, ModelSet
from tests.history.layouts.bucket import only, recognise, recognise_reading
from tests.history.layouts.torch_names import Metadata, MetadataIndex, StorageInfo, built, dumped, metadata

TWO_RANKS = [
    ("layer.weight", "__0_0.distcp", 0, 1000),
    ("layer.weight", "__1_0.distcp", 0, 1000),
    ("layer.bias", "__0_0.distcp", 1000, 250),
    ("layer.bias", "__1_0.distcp", 1000, 200),
]
MAP = dumped(metadata(TWO_RANKS))
WHOLE = {".metadata": MAP, "__0_0.distcp": 1250, "__1_0.distcp": 1200}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_the_files_the_map_names_are_the_checkpoint_each_as_long_as_its_last_piece(protocol):
    files = WHOLE | {".metadata": dumped(metadata(TWO_RANKS), protocol)}
    assert recognise(LAYOUT, files) == [
        ModelSet(
            layout="dcp",
            prefix="models/m/",
            members=("__0_0.distcp", "__1_0.distcp"),
            indexes=(".metadata",),
            least={"__0_0.distcp": 1250, "__1_0.distcp": 1200},
            parts={"": ("__0_0.distcp", "__1_0.distcp", ".metadata")},
        )
    ]


def test_only_the_map_is_read():
    assert recognise_reading(LAYOUT, WHOLE)[1] == [".metadata"]


def test_a_file_that_is_gone_is_missing_and_the_map_named_it():
    found = only(LAYOUT, {".metadata": MAP, "__0_0.distcp": 1250})
    assert found.members == ("__0_0.distcp",)
    assert found.missing == (Missing("__1_0.distcp", ".metadata"),)


def test_files_that_another_world_size_left_are_said_and_belong_to_no_model():
    left = {f"__{rank}_0.distcp": 900 for rank in range(2, 8)}
    found = only(LAYOUT, WHOLE | left)
    assert found.members == ("__0_0.distcp", "__1_0.distcp")
    assert (found.missing, found.problems) == ((), ())
    assert found.leftovers == tuple(left)
    assert found.warnings == (
        ".metadata does not name 6 .distcp files, left by another save: "
        "__2_0.distcp, __3_0.distcp, __4_0.distcp and 3 more",
    )


def test_a_save_cut_off_before_its_map_misses_the_map():
    found = only(LAYOUT, {"__0_0.distcp": 1250, "__1_0.distcp": 1200})
    assert found.members == ("__0_0.distcp", "__1_0.distcp")
    assert found.missing == (Missing(".metadata", "__0_0.distcp"),)


def test_maps_of_single_ranks_add_up():
    files = {
        "__0.metadata": dumped(metadata(TWO_RANKS[::2])),
        "__1.metadata": dumped(metadata(TWO_RANKS[1::2])),
        "__0_0.distcp": 1250,
        "__1_0.distcp": 1200,
    }
    found = only(LAYOUT, files)
    assert found.indexes == ("__0.metadata", "__1.metadata")
    assert found.members == ("__0_0.distcp", "__1_0.distcp")
    assert found.least == {"__0_0.distcp": 1250, "__1_0.distcp": 1200}
    assert (found.missing, found.problems, found.warnings) == ((), (), ())


def test_a_gap_in_the_ranks_that_wrote_maps_is_missing():
    files = {
        "__0.metadata": dumped(metadata(TWO_RANKS[::2])),
        "__3.metadata": dumped(metadata([("x", "__3_0.distcp", 0, 5)])),
        "__0_0.distcp": 1250,
        "__2_0.distcp": 77,
        "__3_0.distcp": 5,
        "__4_0.distcp": 5,
    }
    found = only(LAYOUT, files)
    assert found.missing == (
        Missing("__1.metadata", "__3.metadata"),
        Missing("__2.metadata", "__2_0.distcp"),
        Missing("__4.metadata", "__4_0.distcp"),
    )
    assert found.members == ("__0_0.distcp", "__2_0.distcp", "__3_0.distcp", "__4_0.distcp")


def test_a_map_too_large_to_read_leaves_every_file_in_the_checkpoint_unchecked():
    found = only(LAYOUT, WHOLE | {".metadata": SMALL + 1})
    assert found.members == ("__0_0.distcp", "__1_0.distcp")
    assert found.least == {"__0_0.distcp": 1, "__1_0.distcp": 1}
    assert found.problems == ()
    assert found.warnings == (".metadata has more than 16,777,216 bytes, so no piece was checked against it",)


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_map_that_runs_a_command_is_a_problem_and_runs_nothing(tmp_path):
    hostile = metadata(TWO_RANKS, mcore_data=Runs(tmp_path / "ran"))
    found = only(LAYOUT, WHOLE | {".metadata": dumped(hostile)})
    assert found.problems == (".metadata asks for 'posix.system', which is not plain data; nothing of it was run",)
    assert not (tmp_path / "ran").exists()
    assert found.members == ("__0_0.distcp", "__1_0.distcp")


def map_of(storage_data):
    return dumped(built(Metadata, state_dict_metadata={}, storage_data=storage_data))


def map_with(path, offset=0, length=1):
    index = built(MetadataIndex, fqn="a", offset=None, index=None)
    return map_of({index: built(StorageInfo, relative_path=path, offset=offset, length=length)})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", ".metadata is cut off, or takes more values than it has put down"),
        (MAP[: len(MAP) // 2], ".metadata is cut off, or takes more values than it has put down"),
        (b"version https://git-lfs\n", ".metadata uses operation 0x76 at byte 0, which plain data does not need"),
        (dumped([1]), ".metadata holds no storage_data, so it does not say where the tensors are"),
        (map_of(None), ".metadata holds no storage_data, so it does not say where the tensors are"),
        (map_of({"a": "b"}), ".metadata holds a place of a tensor that is no record"),
        (map_with(None), ".metadata names null where a path belongs"),
        (
            map_with("../other/__0_0.distcp"),
            ".metadata names ../other/__0_0.distcp, which is no path inside the folder",
        ),
        (map_with("/etc/passwd"), ".metadata names /etc/passwd, which is no path inside the folder"),
        (map_with("a\x1b[2J"), r".metadata names 'a\x1b[2J', which is no path inside the folder"),
        (map_with(".metadata"), ".metadata puts a tensor into .metadata, which holds none"),
        (map_with("a", -1), ".metadata gives a piece in a an offset or length that is no number of bytes"),
        (map_with("a", 0, 2**63), ".metadata gives a piece in a an offset or length that is no number of bytes"),
        (map_with("a", 0, True), ".metadata gives a piece in a an offset or length that is no number of bytes"),
        (map_with("a", 0.0), ".metadata gives a piece in a an offset or length that is no number of bytes"),
    ],
)
def test_a_map_that_cannot_be_used_is_a_problem_and_every_file_stays_in_the_checkpoint(content, problem):
    found = only(LAYOUT, WHOLE | {".metadata": content})
    assert found.problems == (problem,)
    assert found.members == ("__0_0.distcp", "__1_0.distcp")
    assert found.missing == ()


def test_a_map_that_names_too_many_files_is_a_problem(monkeypatch):
    monkeypatch.setattr(dcp, "MOST_NUMBERS", 2)
    found = only(LAYOUT, {".metadata": dumped(metadata([("a", f"{n}.distcp", 0, 1) for n in range(9)]))})
    assert found.problems == (".metadata names more than 2 files",)
    assert len(found.missing) == 3


def test_numbers_that_names_claim_are_not_counted_out_without_end(monkeypatch):
    assert naming.gaps([0, 1, 4]) == [2, 3]
    assert naming.gaps([]) == []
    assert naming.gaps([999_999_999]) == []


@pytest.mark.parametrize("files", [{"a.txt": 1}, {"sub/.metadata": 1}, {"other.metadata": 1}, {"": 0}])
def test_other_folders_hold_no_distributed_checkpoint(files):
    assert recognise(LAYOUT, files) == []


@pytest.mark.parametrize(
    "content", [b"", b"# This file tracks properties of this Flutter project.", dumped([1]), bytes(9)]
)
def test_a_metadata_file_of_another_tool_is_a_map_only_beside_pieces(content):
    for prefix, beside in (("m/", {}), ("last.ckpt/", {}), ("m/", {"meta.pt": 9})):
        for layout in (LAYOUT, lightning.LAYOUT):
            assert recognise(layout, {".metadata": content, **beside}, prefix) == []
    assert len(only(LAYOUT, {".metadata": content, "__0_0.distcp": 9}).problems) == 1


def test_a_map_without_its_pieces_misses_them_and_one_that_was_cut_is_a_problem():
    assert [gone.path for gone in only(LAYOUT, {".metadata": MAP}).missing] == ["__0_0.distcp", "__1_0.distcp"]
    assert len(only(LAYOUT, {".metadata": MAP[:-9]}).problems) == 1


@pytest.mark.parametrize(
    "owner", [{"meta.pt": 10}, {"common.pt": 10}, {"metadata.json": b'{"sharded_backend": "torch_dist"}'}]
)
def test_a_folder_of_lightning_or_megatron_is_left_to_its_own_layout(owner):
    assert recognise(LAYOUT, WHOLE | owner) == []


@pytest.mark.parametrize("content", [b'{"author": "me"}', b"[]", b"", SMALL + 1])
def test_a_metadata_json_of_somebody_else_changes_nothing(content):
    assert only(LAYOUT, WHOLE | {"metadata.json": content}).members == ("__0_0.distcp", "__1_0.distcp")

"""Megatron: the tracker names an iteration; an iteration is whole when every rank has its files or its map and
metadata.json are there."""

import pytest

from artifact_store.history.layouts import dcp
from artifact_store.history.layouts.megatron import LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import only, recognise, recognise_reading
from tests.history.layouts.torch_names import dumped, metadata

TRACKER = "latest_checkpointed_iteration.txt"
RANKS = {
    f"mp_rank_{tensor:02}_{pipeline:03}/{file}": 100
    for tensor in range(2)
    for pipeline in range(3)
    for file in ("model_optim_rng.pt", "distrib_optim.pt")
}
MAP = dumped(metadata([("w", "__0_0.distcp", 0, 640), ("w", "__0_1.distcp", 0, 320)]))
CLOSING = b'{"sharded_backend": "torch_dist", "sharded_backend_version": 1, "common_backend": "torch"}'
DISTRIBUTED = {".metadata": MAP, "__0_0.distcp": 640, "__0_1.distcp": 320, "common.pt": 9, "metadata.json": CLOSING}


def without(files, *gone):
    assert set(gone) <= files.keys()
    return {path: content for path, content in files.items() if path not in gone}


def test_the_rank_folders_of_an_iteration_are_one_model_and_nothing_is_read():
    sets, asked = recognise_reading(LAYOUT, RANKS | {"": 0, "mp_rank_00_000/": 0, "run_config.yaml": 4})
    assert sets == [
        ModelSet(
            layout="megatron",
            prefix="models/m/",
            members=tuple(sorted(RANKS)),
            others=("run_config.yaml",),
            parts={"": tuple(sorted(RANKS))},
        )
    ]
    assert asked == []


def test_a_rank_without_its_folder_and_one_without_a_file_are_missing():
    gone = [path for path in RANKS if path.startswith("mp_rank_00_001/")] + ["mp_rank_01_000/distrib_optim.pt"]
    assert only(LAYOUT, without(RANKS, *gone) | {"mp_rank_00_001/": 0}).missing == (
        Missing("mp_rank_00_001/distrib_optim.pt", "mp_rank_01_002/distrib_optim.pt"),
        Missing("mp_rank_00_001/model_optim_rng.pt", "mp_rank_01_002/distrib_optim.pt"),
        Missing("mp_rank_01_000/distrib_optim.pt", "mp_rank_01_002/distrib_optim.pt"),
    )


def test_ranks_of_another_parallel_size_are_said():
    files = RANKS | {f"mp_rank_{n:02}/model_optim_rng.pt": 5 for n in range(2)}
    assert only(LAYOUT, files).warnings == (
        "ranks are counted in 2 ways, left by saves of other parallel sizes: "
        "mp_rank_00, mp_rank_00_000, mp_rank_00_001 and 5 more",
    )


def test_a_folder_that_claims_a_million_ranks_is_a_problem_and_counts_nothing_out():
    found = only(LAYOUT, {"mp_rank_999_999_999/model_optim_rng.pt": 5})
    assert found.missing == ()
    assert found.problems == (
        "mp_rank_999_999_999/model_optim_rng.pt claims 1,000,000,000 ranks; no more than 100,000 are counted out",
    )


def test_a_distributed_iteration_closes_with_metadata_json():
    assert recognise(LAYOUT, DISTRIBUTED | {"run_config.yaml": 4}, "run/iter_0000100/") == [
        ModelSet(
            layout="megatron",
            prefix="run/iter_0000100/",
            members=("__0_0.distcp", "__0_1.distcp", "common.pt"),
            indexes=(".metadata", "metadata.json"),
            others=("run_config.yaml",),
            least={"__0_0.distcp": 640, "__0_1.distcp": 320},
            parts={"": ("__0_0.distcp", "__0_1.distcp", "common.pt", ".metadata")},
        )
    ]
    assert recognise(dcp.LAYOUT, DISTRIBUTED) == []


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        (["metadata.json"], (Missing("metadata.json", "common.pt"),)),
        (["common.pt"], (Missing("common.pt", "metadata.json"),)),
        (["__0_1.distcp"], (Missing("__0_1.distcp", ".metadata"),)),
        ([".metadata"], (Missing(".metadata", "__0_0.distcp"),)),
        ([".metadata", "__0_0.distcp", "__0_1.distcp"], (Missing(".metadata", "metadata.json"),)),
        ([".metadata", "common.pt"], (Missing(".metadata", "__0_0.distcp"), Missing("common.pt", "metadata.json"))),
        (
            [".metadata", "metadata.json"],
            (Missing(".metadata", "__0_0.distcp"), Missing("metadata.json", "common.pt")),
        ),
    ],
)
def test_what_a_cut_distributed_iteration_lacks_is_missing(gone, missing):
    files = without(DISTRIBUTED, *gone)
    assert only(LAYOUT, files).missing == missing
    assert recognise(dcp.LAYOUT, files) == []


@pytest.mark.parametrize("content", [b"", b"cut", MAP[:9]])
def test_a_map_that_is_none_is_a_problem_and_not_missing(content):
    found = only(LAYOUT, {".metadata": content, "common.pt": 9, "metadata.json": CLOSING})
    assert found.problems == (".metadata is no map of a distributed checkpoint, and there is no .distcp file",)
    assert (found.missing, found.others) == ((), (".metadata",))


def test_a_map_that_cannot_be_read_is_not_said_to_be_none():
    files = {".metadata": MAP, "common.pt": 9, "metadata.json": CLOSING}
    (found,) = recognise(LAYOUT, files, unreadable={".metadata"})
    assert found.problems == (".metadata cannot be read",)


def test_of_a_metadata_json_with_one_backend_that_is_none_the_other_holds():
    closing = b'{"sharded_backend": "zarr", "common_backend": 5}'
    found = only(LAYOUT, {"metadata.json": closing, "common.pt": 9, "w/.zarray": 5, "w/0.0": 80})
    assert found.problems == ("metadata.json gives a number as common_backend",)
    assert found.members == ("w/.zarray", "w/0.0", "common.pt")
    assert found.missing == ()


def test_another_backend_that_writes_a_map_is_checked_against_it():
    files = DISTRIBUTED | {"metadata.json": CLOSING.replace(b"torch_dist", b"fsdp_dtensor")}
    assert only(LAYOUT, files).members == ("__0_0.distcp", "__0_1.distcp", "common.pt")
    assert only(LAYOUT, without(files, "__0_1.distcp")).missing == (Missing("__0_1.distcp", ".metadata"),)


def test_zarr_iterations_hold_a_folder_for_each_tensor():
    closing = CLOSING.replace(b"torch_dist", b"zarr")
    files = {"metadata.json": closing, "common.pt": 9, "model.w/.zarray": 5, "model.w/0.0": 80, "model.w/": 0}
    found = only(LAYOUT, files)
    assert found.members == ("model.w/.zarray", "model.w/0.0", "common.pt")
    assert found.missing == ()
    assert only(LAYOUT, {"metadata.json": closing, "common.pt": 9}).problems == (
        "metadata.json says zarr, and no folder of a tensor is there",
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "metadata.json is empty"),
        (b"[]", "metadata.json holds no JSON object but a list"),
        (b'{"sharded_backend": 1}', "metadata.json gives a number as sharded_backend"),
        (b"[" * 100_000, "metadata.json is no JSON: nested too deeply"),
    ],
)
def test_a_metadata_json_that_cannot_be_used_is_a_problem(content, problem):
    found = only(LAYOUT, DISTRIBUTED | {"metadata.json": content})
    assert found.problems == (problem,)
    assert found.members == ("__0_0.distcp", "__0_1.distcp", "common.pt")


@pytest.mark.parametrize(
    "files",
    [
        {"metadata.json": b"{}"},
        {"mp_rank_00/notes.txt": 1},
        {"common.txt": 1},
        {"common.pt": 9, "rows.csv": 9},
        {"common.pt": 9, "metadata.json": b'{"x": 1}'},
    ],
)
def test_other_folders_hold_no_megatron_checkpoint(files):
    assert recognise(LAYOUT, files) == []


RUN = {f"iter_0000100/{path}": size for path, size in RANKS.items()}


@pytest.mark.parametrize(
    ("text", "files"),
    [
        (b"100\n", RUN),
        (b"release", {"release/mp_rank_00/model_optim_rng.pt": 5}),
        (b"7", {"global_step_7/actor/model_world_size_1_rank_0.pt": 5}),
        (b"7", {"actor/global_step_7/model.pt": 5}),
        (b"7", {"global_step7/mp_rank_00_model_states.pt": 5}),
    ],
)
def test_the_tracker_is_a_pointer_beside_the_folder_it_names(text, files):
    assert recognise(LAYOUT, files | {TRACKER: text}) == [
        ModelSet(
            layout="megatron",
            prefix="models/m/",
            name="latest_checkpointed_iteration",
            pointers=(TRACKER,),
            targets=tuple(sorted(files)),
        )
    ]


@pytest.mark.parametrize(
    ("text", "files", "target"),
    [
        (b"1", RUN, "iter_0000001"),
        (b"10", {"iter_00000100/mp_rank_00/model_optim_rng.pt": 5}, "iter_0000010"),
        (b"200", RUN | {"iter_0000200/": 0}, "iter_0000200"),
        (b"release", RUN, "release"),
        (b"8", {"global_step_7/actor/model.pt": 5}, "global_step_8"),
        (b"8", {"global_step7/mp_rank_00_model_states.pt": 5}, "global_step8"),
        (b"8", RUN | {"global_step7/mp_rank_00_model_states.pt": 5}, "iter_0000008"),
        (b"100", {}, "iter_0000100"),
    ],
)
def test_a_tracker_whose_iteration_is_gone_misses_it(text, files, target):
    assert only(LAYOUT, files | {TRACKER: text}).missing == (Missing(target, TRACKER),)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"../other", f"{TRACKER} says '../other'; it should say an iteration or release"),
        (b"-1", f"{TRACKER} says '-1'; it should say an iteration or release"),
        ("\u0661".encode(), f"{TRACKER} says '\u0661'; it should say an iteration or release"),
        (b"9" * 1000, f"{TRACKER} says '{'9' * 117}...'; it should say an iteration or release"),
        (b"", f"{TRACKER} says ''; it should say an iteration or release"),
        (2000, f"{TRACKER} has 2,000 bytes, more than the 1,024 that are read of such a file"),
    ],
)
def test_a_tracker_that_cannot_be_followed_is_a_problem(content, problem):
    found = only(LAYOUT, RUN | {TRACKER: content})
    assert (found.problems, found.missing) == ((problem,), ())

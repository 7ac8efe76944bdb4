"""DeepSpeed: the ranks in the names count the files; `latest` names a folder that may be gone."""

import pytest

from artifact_store.history.layouts.deepspeed import LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import only, recognise, recognise_reading

ZERO_2 = {
    "mp_rank_00_model_states.pt": 500,
    **{f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt": 900 for rank in range(4)},
}
ZERO_3 = {
    f"zero_pp_rank_{rank}_mp_rank_{model:02}_{part}_states.pt": 700
    for rank in range(12)
    for model in range(2)
    for part in ("model", "optim")
}


def without(files, *gone):
    assert set(gone) <= files.keys()
    return {path: content for path, content in files.items() if path not in gone}


def test_the_rank_files_of_a_tag_are_one_model_and_nothing_is_read():
    sets, asked = recognise_reading(LAYOUT, ZERO_2 | {"": 0, "notes.txt": 3})
    assert sets == [
        ModelSet(
            layout="deepspeed",
            prefix="models/m/",
            members=tuple(sorted(ZERO_2)),
            others=("notes.txt",),
            parts={"": tuple(sorted(ZERO_2))},
        )
    ]
    assert asked == []
    assert only(LAYOUT, ZERO_3).members == tuple(sorted(ZERO_3))
    assert only(LAYOUT, ZERO_3).missing == ()


def test_a_gap_in_the_ranks_is_missing():
    gone = "bf16_zero_pp_rank_2_mp_rank_00_optim_states.pt"
    found = only(LAYOUT, without(ZERO_2, gone))
    assert found.missing == (Missing(gone, "bf16_zero_pp_rank_3_mp_rank_00_optim_states.pt"),)


def test_the_last_rank_of_one_kind_is_known_from_the_other():
    gone = "zero_pp_rank_11_mp_rank_01_model_states.pt", "zero_pp_rank_11_mp_rank_00_model_states.pt"
    found = only(LAYOUT, without(ZERO_3, *gone))
    witness = "zero_pp_rank_11_mp_rank_01_optim_states.pt"
    assert found.missing == (Missing(gone[1], witness), Missing(gone[0], witness))


def test_optimizer_states_without_a_model_miss_it():
    found = only(LAYOUT, without(ZERO_2, "mp_rank_00_model_states.pt"))
    assert found.missing == (Missing("mp_rank_00_model_states.pt", "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt"),)


def test_experts_are_counted_for_each_layer_that_has_them():
    experts = {f"layer_{layer}_expert_{n}_mp_rank_00_model_states.pt": 80 for layer in (0, 3) for n in range(11)}
    files = ZERO_2 | experts
    assert only(LAYOUT, files).missing == ()
    gone = "layer_3_expert_7_mp_rank_00_model_states.pt"
    assert only(LAYOUT, without(files, gone)).missing == (
        Missing(gone, "layer_3_expert_10_mp_rank_00_model_states.pt"),
    )


def test_pipeline_layers_may_have_holes_and_their_slices_may_not():
    layers = {f"layer_{layer:02}-model_{n:02}-model_states.pt": 80 for layer in (0, 2, 3) for n in range(2)}
    files = {f"mp_rank_{n:02}_model_states.pt": 10 for n in range(4)} | layers
    assert only(LAYOUT, files).missing == ()
    gone = "layer_02-model_00-model_states.pt"
    assert only(LAYOUT, without(files, gone)).missing == (Missing(gone, "layer_03-model_01-model_states.pt"),)


def test_a_universal_checkpoint_holds_a_folder_for_each_weight():
    files = {"mp_rank_00_model_states.pt": 9, "zero/w/fp32.pt": 5, "zero/w/exp_avg.pt": 5, "zero/": 0}
    assert only(LAYOUT, files).members == ("mp_rank_00_model_states.pt", "zero/w/exp_avg.pt", "zero/w/fp32.pt")


def test_parts_of_different_sizes_are_said():
    found = only(LAYOUT, ZERO_2 | {"bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt": 449})
    assert found.warnings == (
        "bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt has 449 bytes and "
        "bf16_zero_pp_rank_3_mp_rank_00_optim_states.pt 900; the parts of one save are alike",
    )
    assert only(LAYOUT, ZERO_2 | {"bf16_zero_pp_rank_3_mp_rank_00_optim_states.pt": 450}).warnings == ()


def test_a_name_that_claims_a_million_ranks_is_a_problem_and_counts_nothing_out():
    found = only(LAYOUT, {"mp_rank_00_model_states.pt": 1, "zero_pp_rank_999999_mp_rank_00_optim_states.pt": 1})
    assert found.missing == ()
    assert found.problems == (
        "zero_pp_rank_999999_mp_rank_00_optim_states.pt claims 1,000,000 files of its kind; "
        "no more than 100,000 are counted out",
    )


def test_a_name_that_claims_50_000_ranks_names_the_first_thousand():
    found = only(LAYOUT, {"mp_rank_00_model_states.pt": 1, "zero_pp_rank_49999_mp_rank_00_optim_states.pt": 1})
    assert len(found.missing) == 1_000
    assert found.problems == (
        "48,999 more files are missing, the first of them zero_pp_rank_1000_mp_rank_00_optim_states.pt",
    )


RUN = {f"global_step100/{name}": size for name, size in ZERO_2.items()} | {"zero_to_fp32.py": 30}


def test_latest_is_a_pointer_beside_the_folders_it_names():
    assert recognise(LAYOUT, RUN | {"latest": b"global_step100\n"}) == [
        ModelSet(
            layout="deepspeed",
            prefix="models/m/",
            name="latest",
            others=("zero_to_fp32.py",),
            pointers=("latest",),
            targets=tuple(sorted(f"global_step100/{name}" for name in ZERO_2)),
        )
    ]


@pytest.mark.parametrize(
    "files",
    [
        RUN | {"latest": b"global_step1000"},
        RUN | {"latest": b"global_step1000", "global_step1000/": 0},
        RUN | {"latest": b"global_step1000", "global_step10001/mp_rank_00_model_states.pt": 5},
        {"latest": b"global_step1000"},
    ],
)
def test_a_pointer_to_a_folder_that_is_gone_misses_it(files):
    assert only(LAYOUT, files).missing == (Missing("global_step1000", "latest"),)


@pytest.mark.parametrize(
    "weights",
    ["model.safetensors", "model-00001-of-00002.safetensors", "pytorch_model.bin", "adapter_model.safetensors"],
)
def test_a_pointer_to_a_folder_that_is_gone_is_a_warning_beside_weights_that_are_whole_without_it(weights):
    files = {weights: 9, "latest": b"global_step500", "zero_to_fp32.py": 9}
    found = only(LAYOUT, files)
    assert (found.pointers, found.others, found.problems) == (("latest",), ("zero_to_fp32.py",), ())
    assert found.missing == (Missing("global_step500", "latest", needed=False),)
    assert found.warnings == (
        "latest names global_step500, which is not there: training can go on from the weights beside it alone",
    )
    there = only(LAYOUT, files | {"global_step500/mp_rank_00_model_states.pt": 5})
    assert (there.targets, there.warnings) == (("global_step500/mp_rank_00_model_states.pt",), ())
    assert recognise(LAYOUT, {weights: 9, "latest": b"2024-01-01/run"}) == []


def test_both_pointers_are_found():
    files = RUN | {"latest": b"global_step100", "latest_universal": b"global_step100_universal"}
    assert [(found.name, found.missing) for found in recognise(LAYOUT, files)] == [
        ("latest", ()),
        ("latest_universal", (Missing("global_step100_universal", "latest_universal"),)),
    ]


def test_a_tag_of_the_users_own_is_followed_when_rank_files_are_there():
    files = {"latest": b"best", "best/mp_rank_00_model_states.pt": 5}
    assert only(LAYOUT, files).pointers == ("latest",)
    assert recognise(LAYOUT, {"latest": b"best", "best/model.bin": 5}) == []
    assert recognise(LAYOUT, {"latest": b"\xff\xfe"}) == []
    assert recognise(LAYOUT, {"latest": 5_000}) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"../other/global_step100", "latest names ../other/global_step100, which is no path inside the folder"),
        (b"/data/global_step100", "latest names /data/global_step100, which is no path inside the folder"),
        (b"", "latest names , which is no file"),
        (b"\xff", "latest is no text in UTF-8"),
        (1025, "latest has 1,025 bytes, more than the 1,024 that are read of such a file"),
    ],
)
def test_a_pointer_that_cannot_be_followed_is_a_problem(content, problem):
    found = only(LAYOUT, RUN | {"latest": content})
    assert (found.problems, found.missing) == ((problem,), ())

"""A diffusers pipeline is its model_index.json and every component that it names."""

import json

import pytest

from artifact_store.history.layouts.diffusers import LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import index, only, recognise, recognise_reading, sharded, shards

STEM = "diffusion_pytorch_model"
WEIGHTS_INDEX = f"{STEM}.safetensors.index.json"
MODEL_INDEX = json.dumps(
    {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.36.0",
        "_name_or_path": "a/b",
        "safety_checker": [None, None],
        "requires_safety_checker": True,
        "scales": [0.5, 0.5],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
).encode()
PIPELINE = {
    "model_index.json": MODEL_INDEX,
    "README.md": 0,
    "scheduler/scheduler_config.json": 9,
    "text_encoder/config.json": 9,
    "text_encoder/model.safetensors": 100,
    "tokenizer/merges.txt": 0,
    "tokenizer/tokenizer_config.json": 9,
    "unet/config.json": 9,
    **{f"unet/{name}": content for name, content in sharded(STEM, 2).items()},
    "vae/config.json": 9,
    "vae/diffusion_pytorch_model.safetensors": 100,
}
UNET = tuple(f"unet/{name}" for name in shards(STEM, 2))


def without(*paths):
    return {path: content for path, content in PIPELINE.items() if path not in paths}


def test_a_pipeline_is_the_weights_indexes_and_configs_of_its_components():
    sets, asked = recognise_reading(LAYOUT, PIPELINE | {"": 0, "unet/": 0, "old_unet/config.json": 9})
    assert sets == [
        ModelSet(
            layout="diffusers",
            prefix="models/m/",
            name="pipeline",
            members=("text_encoder/model.safetensors", *UNET, "vae/diffusion_pytorch_model.safetensors"),
            indexes=(f"unet/{WEIGHTS_INDEX}", "model_index.json"),
            others=(
                "scheduler/scheduler_config.json",
                "text_encoder/config.json",
                "tokenizer/merges.txt",
                "tokenizer/tokenizer_config.json",
                "unet/config.json",
                "vae/config.json",
                "README.md",
            ),
            configs=(
                "scheduler/scheduler_config.json",
                "text_encoder/config.json",
                "tokenizer/merges.txt",
                "tokenizer/tokenizer_config.json",
                "unet/config.json",
                "vae/config.json",
            ),
            parts={
                "text_encoder/": ("text_encoder/model.safetensors",),
                "unet/": tuple(UNET),
                "vae/": ("vae/diffusion_pytorch_model.safetensors",),
            },
            tensors={UNET[0]: frozenset({"t1"}), UNET[1]: frozenset({"t2"})},
        )
    ]
    assert asked == ["model_index.json", f"unet/{WEIGHTS_INDEX}"]


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        ([UNET[1]], Missing(UNET[1], f"unet/{WEIGHTS_INDEX}")),
        (
            ["vae/diffusion_pytorch_model.safetensors"],
            Missing("vae/diffusion_pytorch_model.safetensors", "model_index.json"),
        ),
        (["text_encoder/model.safetensors"], Missing("text_encoder/model.safetensors", "model_index.json")),
        (["vae/config.json"], Missing("vae/config.json", "model_index.json")),
        (["scheduler/scheduler_config.json"], Missing("scheduler/scheduler_config.json", "model_index.json")),
        (
            ["tokenizer/merges.txt", "tokenizer/tokenizer_config.json"],
            Missing("tokenizer/tokenizer_config.json", "model_index.json"),
        ),
        (
            ["vae/config.json", "vae/diffusion_pytorch_model.safetensors"],
            Missing("vae/config.json", "model_index.json"),
        ),
    ],
)
def test_what_a_component_lacks_is_missing(gone, missing):
    assert only(LAYOUT, without(*gone)).missing == (missing,)


def test_a_folder_marker_is_no_component():
    files = without("vae/config.json", "vae/diffusion_pytorch_model.safetensors") | {"vae/": 0}
    assert only(LAYOUT, files).missing == (Missing("vae/config.json", "model_index.json"),)


def test_an_index_that_is_gone_leaves_the_shards_and_is_missing():
    found = only(LAYOUT, without(f"unet/{WEIGHTS_INDEX}"))
    assert found.missing == (Missing(f"unet/{WEIGHTS_INDEX}", UNET[0]),)
    assert found.members[1:3] == UNET


@pytest.mark.parametrize(("before", "after"), [(5, 3), (2, 5)])
def test_shards_of_the_save_before_are_leftovers_of_the_one_after(before, after):
    unet = sharded(STEM, before) | sharded(STEM, after)
    found = only(LAYOUT, without(*UNET) | {f"unet/{name}": content for name, content in unet.items()})
    assert found.leftovers == tuple(f"unet/{name}" for name in shards(STEM, before))
    assert [name for name in found.members if name.startswith("unet/")] == [
        f"unet/{name}" for name in shards(STEM, after)
    ]
    assert found.missing == ()
    assert not set(found.leftovers) & set(found.others)


def test_a_stale_single_file_or_index_is_named_with_what_each_release_takes():
    found = only(LAYOUT, PIPELINE | {f"unet/{STEM}.safetensors": 100})
    assert found.readers == {
        "diffusers": f"unet/: {WEIGHTS_INDEX}",
        "diffusers before 0.29": f"unet/: {STEM}.safetensors",
    }


def test_two_components_that_are_ambiguous_are_both_named():
    text_encoder = {f"text_encoder/{name}": content for name, content in sharded("model", 1).items()}
    found = only(LAYOUT, PIPELINE | {f"unet/{STEM}.safetensors": 100} | text_encoder)
    assert found.readers["transformers"] == "text_encoder/: model.safetensors"
    assert found.readers["diffusers"] == f"unet/: {WEIGHTS_INDEX}"


def test_weights_of_other_runtimes_count_as_weights():
    onnx = {"vae/model.onnx": 100}
    found = only(LAYOUT, without("vae/diffusion_pytorch_model.safetensors") | onnx)
    assert found.missing == ()
    assert "vae/model.onnx" in found.members


def test_a_component_on_its_own_is_a_model():
    files = sharded(STEM, 2) | {"config.json": 9}
    found = only(LAYOUT, files, "models/m/unet/")
    assert (found.name, found.members, found.indexes) == ("", tuple(shards(STEM, 2)), (WEIGHTS_INDEX,))
    assert found.others == ("config.json",)


def test_variants_of_a_component_are_models_of_their_own():
    files = {
        f"{STEM}.safetensors": 9,
        f"{STEM}.fp16.safetensors": 9,
        f"{STEM}.bin": 9,
        f"{STEM}.non_ema.bin": 9,
        "config.json": 9,
    }
    assert [found.name for found in recognise(LAYOUT, files)] == ["", "fp16", "bin", "non_ema.bin"]


def test_an_index_of_a_component_that_a_download_left_is_told_with_the_component():
    left = {f"vae/{STEM}.bin.index.json": index({"t": f"{STEM}-00001-of-00001.bin"})}
    found = only(LAYOUT, PIPELINE | left)
    assert (found.missing, found.problems) == ((), ())
    assert set(found.paths) == {*PIPELINE, *left}
    assert found.warnings == (
        f"vae: none of the files of {STEM}.bin.index.json is there: it was left by a download or a save without them",
    )


def test_a_bin_file_beside_its_index_is_taken_first():
    found = only(LAYOUT, sharded(STEM, 2, suffix="bin") | {f"{STEM}.bin": 9})
    assert found.readers == {
        "diffusers": f"{STEM}.bin",
        "diffusers with use_safetensors=False": f"{STEM}.bin.index.json",
    }


def test_weights_of_a_lora_are_a_model():
    found = only(LAYOUT, {"pytorch_lora_weights.safetensors": 9})
    assert (found.name, found.members, found.parts) == ("lora", ("pytorch_lora_weights.safetensors",), {})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"<html>", "model_index.json is no JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'"a"', "model_index.json holds no JSON object but a string"),
        (
            b'{"../vae": ["diffusers", "AutoencoderKL"]}',
            "model_index.json names ../vae, which is no path inside the folder",
        ),
        (b"{}", "model_index.json names no pipeline: its _class_name is null"),
        (b'{"/": ["diffusers", "AutoencoderKL"]}', "model_index.json names /, which is no file"),
        (b'{"a/b": ["diffusers", "AutoencoderKL"]}', "model_index.json names a/b, which is no folder beside it"),
        (
            json.dumps({f"c{number}": ["diffusers", "AutoencoderKL"] for number in range(101)}).encode(),
            "model_index.json names 101 components, more than the 100 that are looked for",
        ),
    ],
)
def test_a_model_index_that_says_nothing_usable_is_a_problem(content, problem):
    found = only(LAYOUT, PIPELINE | {"model_index.json": content})
    assert found.problems == (problem,)
    assert found.members == found.missing == ()


@pytest.mark.parametrize("content", [b'{"models": ["a", "b"]}', b'{"m": ["s3://x", "v1"]}', b"[]", b"", b"{"])
def test_a_model_index_of_another_tool_is_no_pipeline(content):
    assert recognise(LAYOUT, {"model_index.json": content, "a/weights.json": 9, "scheduler_config.json": 9}) == []


def test_a_pipeline_of_which_only_the_index_is_left_is_one_that_is_not_there():
    content = b'{"_class_name": "P", "unet": ["diffusers", "UNet2DConditionModel"]}'
    assert only(LAYOUT, {"model_index.json": content}).missing == (Missing("unet/config.json", "model_index.json"),)
    assert only(LAYOUT, {"model_index.json": content[:-1] + b', "../a": ["b", "c"]}'}).problems == (
        "model_index.json names ../a, which is no path inside the folder",
    )


def test_an_index_of_a_component_that_leaves_it_is_a_problem_named_with_the_component():
    found = only(LAYOUT, PIPELINE | {f"unet/{WEIGHTS_INDEX}": index({"t": "../vae/x.safetensors"})})
    assert found.problems == (f"unet: {WEIGHTS_INDEX} names ../vae/x.safetensors, which is no path inside the folder",)


def test_other_folders_hold_no_pipeline():
    assert recognise(LAYOUT, {"model.safetensors": 9, "config.json": 9, "unet/model_index.json": 9}) == []

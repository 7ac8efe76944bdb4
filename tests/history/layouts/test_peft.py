"""A PEFT adapter is its config and its weights; the base model is named and is no part of it."""

import json

import pytest

from artifact_store.history.layouts.peft import LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import only, recognise, recognise_reading

CONFIG = json.dumps({"base_model_name_or_path": "meta-llama/Llama-3.1-8B", "peft_type": "LORA", "r": 8}).encode()
NEEDS = "needs its base model meta-llama/Llama-3.1-8B, which is no part of it"


def test_an_adapter_is_its_weights_its_config_and_the_files_beside():
    files = {"adapter_config.json": CONFIG, "adapter_model.safetensors": 80, "tokenizer.json": 9, "README.md": 0, "": 0}
    sets, asked = recognise_reading(LAYOUT, files | {"checkpoint-10/adapter_model.safetensors": 80})
    assert sets == [
        ModelSet(
            layout="peft",
            prefix="models/m/",
            members=("adapter_model.safetensors",),
            indexes=("adapter_config.json",),
            others=("README.md", "tokenizer.json"),
            configs=("tokenizer.json",),
            parts={path: (path,) for path in ("adapter_model.safetensors", "adapter_config.json")},
            warnings=(NEEDS,),
        )
    ]
    assert asked == ["adapter_config.json"]


def test_a_config_without_weights_misses_them():
    found = only(LAYOUT, {"adapter_config.json": CONFIG})
    assert found.missing == (Missing("adapter_model.safetensors", "adapter_config.json"),)
    assert found.members == ()


@pytest.mark.parametrize(
    ("config", "weights"),
    [
        (b'{"fine_tune_type": "lora", "num_layers": 16}', "adapters.safetensors"),
        (b'{"config": {"alpha": 8}, "peft_type": null}', "pytorch_adapter.bin"),
        (b"{", "adapter.pt"),
        (b"", "adapter.pt"),
        (b"[]", "adapter.pt"),
    ],
)
def test_a_config_of_another_library_is_no_adapter_of_peft(config, weights):
    assert recognise(LAYOUT, {"adapter_config.json": config, weights: 80, "head_config.json": 9}) == []
    assert len(recognise(LAYOUT, {"adapter_config.json": config, "adapter_model.bin": 80})) == 1


def test_weights_without_a_config_miss_it():
    found = only(LAYOUT, {"adapter_model.bin": 80})
    assert found.missing == (Missing("adapter_config.json", "adapter_model.bin"),)
    assert found.indexes == ()


def test_weights_in_two_formats_are_both_kept_and_the_first_choice_is_named():
    found = only(LAYOUT, {"adapter_config.json": CONFIG, "adapter_model.bin": 80, "adapter_model.safetensors": 80})
    assert found.members == ("adapter_model.safetensors", "adapter_model.bin")
    assert found.readers == {}
    assert found.warnings == (
        "adapter_model.safetensors is taken before adapter_model.bin, which may be of an older save",
        NEEDS,
    )


@pytest.mark.parametrize("base", [None, ""])
def test_an_adapter_that_names_no_base_model_warns_of_none(base):
    config = json.dumps({"base_model_name_or_path": base}).encode()
    assert only(LAYOUT, {"adapter_config.json": config, "adapter_model.safetensors": 80}).warnings == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "adapter_config.json is no JSON: "),
        (b"null", "adapter_config.json holds no JSON object but null"),
        (b'{"base_model_name_or_path": ["a"]}', "adapter_config.json names a list as its base model"),
    ],
)
def test_a_config_that_cannot_be_read_is_a_problem(content, problem):
    found = only(LAYOUT, {"adapter_config.json": content, "adapter_model.safetensors": 80})
    assert len(found.problems) == 1
    assert found.problems[0].startswith(problem)


def test_the_name_of_a_base_model_cannot_move_the_cursor_of_a_terminal():
    config = json.dumps({"base_model_name_or_path": "\x1b[2J" + "a" * 500}).encode()
    (warning,) = only(LAYOUT, {"adapter_config.json": config, "adapter_model.safetensors": 80}).warnings
    assert warning.isprintable()
    assert len(warning) < 200


def test_other_folders_hold_no_adapter():
    assert recognise(LAYOUT, {"config.json": 9, "model.safetensors": 80, "adapter/adapter_config.json": 9}) == []

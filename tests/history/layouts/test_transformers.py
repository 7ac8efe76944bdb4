"""Hugging Face models: what the index names is the model, and what loaders take is said where they differ."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from artifact_store.history.layouts.content import MEMBERS
from artifact_store.history.layouts.transformers import LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import folder, index, only, recognise, recognise_reading, sharded, shards

INDEX = "model.safetensors.index.json"
CONFIGS = {"config.json": b"{}", "tokenizer.json": b"{}", "tokenizer_config.json": b"{}", "merges.txt": b""}


def test_a_sharded_model_is_its_index_the_shards_it_names_and_the_configs_beside():
    assert recognise(LAYOUT, sharded("model", 3) | CONFIGS) == [
        ModelSet(
            layout="transformers",
            prefix="models/m/",
            members=tuple(shards("model", 3)),
            indexes=(INDEX,),
            others=("config.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"),
            configs=("config.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"),
            parts={"": tuple(shards("model", 3))},
            tensors={name: frozenset({f"t{number}"}) for number, name in enumerate(shards("model", 3), 1)},
        )
    ]


def test_only_the_index_is_read():
    assert recognise_reading(LAYOUT, sharded("model", 3) | CONFIGS)[1] == [INDEX]
    assert recognise_reading(LAYOUT, {"model.safetensors": 900} | CONFIGS)[1] == []


def test_the_tensors_promised_of_a_shard_are_those_a_real_shard_holds(tmp_path):
    held = {"model-00001-of-00002.safetensors": ["a", "b"], "model-00002-of-00002.safetensors": ["c"]}
    for name, tensors in held.items():
        save_file({tensor: np.zeros((2, 3), "float32") for tensor in tensors}, tmp_path / name)
    weight_map = {tensor: name for name, tensors in held.items() for tensor in tensors}
    files = {name: (tmp_path / name).read_bytes() for name in held}
    found = only(LAYOUT, files | {INDEX: index(weight_map, 72)} | CONFIGS)
    for name in held:
        with safe_open(tmp_path / name, "np") as real:
            assert found.tensors[name] == frozenset(real.keys())
    assert (found.missing, found.problems, found.warnings) == ((), (), ())


def test_a_shard_that_is_gone_is_missing_and_named_by_the_index():
    files = sharded("model", 3) | CONFIGS
    del files["model-00002-of-00003.safetensors"]
    found = only(LAYOUT, files)
    assert found.missing == (Missing("model-00002-of-00003.safetensors", INDEX),)
    assert found.members == ("model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors")


@pytest.mark.parametrize(("before", "after"), [(5, 3), (2, 5)])
def test_shards_of_the_save_before_are_leftovers_of_the_one_after(before, after):
    found = only(LAYOUT, sharded("model", before) | sharded("model", after) | CONFIGS)
    assert found.members == tuple(shards("model", after))
    assert found.leftovers == tuple(shards("model", before))
    assert found.missing == found.problems == ()
    assert found.readers == {}
    assert found.warnings == (
        f"{before} shards beside {INDEX} belong to another save (model-00001-of-0000{before}.safetensors is the first): "
        "a reader that takes every .safetensors file loads them too",
    )


def test_a_single_file_beside_an_index_is_named_with_what_each_loader_takes():
    found = only(LAYOUT, sharded("model", 2) | {"model.safetensors": 200} | CONFIGS)
    assert found.readers == {
        "transformers": "model.safetensors",
        "vLLM": INDEX,
        "vLLM with runai_streamer": "every .safetensors file",
    }
    assert found.members == (*shards("model", 2), "model.safetensors")
    assert found.parts == {}, "what two readers take is not one save"


def test_a_stale_index_whose_shards_are_gone_still_divides_loaders():
    found = only(LAYOUT, {"model.safetensors": 200, INDEX: sharded("model", 2)[INDEX]} | CONFIGS)
    assert found.readers["vLLM"] == INDEX
    assert found.missing == tuple(Missing(name, INDEX) for name in shards("model", 2))


def test_an_index_of_the_single_file_itself_divides_nobody():
    found = only(LAYOUT, {"model.safetensors": 200, INDEX: index({"t": "model.safetensors"})} | CONFIGS)
    assert found.readers == {}
    assert found.members == ("model.safetensors",)
    assert found.tensors == {"model.safetensors": frozenset({"t"})}


def test_shards_beside_a_single_file_without_an_index_are_leftovers():
    found = only(LAYOUT, {"model.safetensors": 200, **dict.fromkeys(shards("model", 2), 100)} | CONFIGS)
    assert found.members == ("model.safetensors",)
    assert found.leftovers == tuple(shards("model", 2))


def test_shards_without_an_index_miss_it_and_the_numbers_they_count_up_to():
    found = only(LAYOUT, {"model-00001-of-00003.safetensors": 9, "model-00003-of-00003.safetensors": 9} | CONFIGS)
    assert found.missing == (
        Missing(INDEX, "model-00001-of-00003.safetensors"),
        Missing("model-00002-of-00003.safetensors", "model-00001-of-00003.safetensors"),
    )
    assert found.members == ("model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors")


def test_shards_of_two_saves_without_an_index_are_a_problem():
    found = only(LAYOUT, dict.fromkeys(shards("model", 2) + shards("model", 3), 9) | CONFIGS)
    assert found.problems == ("shards of 2 saves (of 2 and of 3) and no index that says which is meant",)
    assert found.missing == (Missing(INDEX, "model-00001-of-00002.safetensors"),)


@pytest.mark.parametrize(
    ("shard", "index_name"),
    [
        ("model.fp16-00001-of-00001.safetensors", "model.safetensors.index.fp16.json"),
        ("model.fp16-00001-of-00001.safetensors", "model.fp16.safetensors.index.json"),
        ("model-00001-of-00001.fp16.safetensors", "model.safetensors.fp16.index.json"),
    ],
)
def test_a_variant_is_a_set_of_its_own_wherever_a_library_puts_its_name(shard, index_name):
    plain, variant = recognise(LAYOUT, {"model.safetensors": 9, shard: 9, index_name: index({"t": shard})} | CONFIGS)
    assert (plain.name, plain.members, plain.readers) == ("", ("model.safetensors",), {})
    assert (variant.name, variant.members, variant.indexes) == ("fp16", (shard,), (index_name,))
    assert variant.missing == variant.leftovers == ()


def test_two_indexes_of_one_variant_that_name_other_files_divide_their_readers():
    one, other = "model.fp16-00001-of-00001.safetensors", "model-00001-of-00001.fp16.safetensors"
    files = {
        one: 9,
        other: 9,
        "model.safetensors.index.fp16.json": index({"t": one}),
        "model.safetensors.fp16.index.json": index({"t": other}),
    }
    assert only(LAYOUT, files | CONFIGS).readers == {
        "readers of model.safetensors.index.fp16.json": "the 1 files that model.safetensors.index.fp16.json names",
        "readers of model.safetensors.fp16.index.json": "the 1 files that model.safetensors.fp16.index.json names",
    }
    files["model.safetensors.fp16.index.json"] = index({"t": one})
    assert only(LAYOUT, files | CONFIGS).readers == {}


def test_formats_side_by_side_are_sets_of_their_own_and_safetensors_come_first():
    first, second = recognise(LAYOUT, {"model.safetensors": 9} | sharded("pytorch_model", 2, suffix="bin") | CONFIGS)
    assert (first.name, first.warnings) == ("", ())
    assert (second.name, second.indexes) == ("bin", ("pytorch_model.bin.index.json",))
    assert second.warnings == ("safetensors lie beside these files and are taken before them",)


BIN_INDEX = "pytorch_model.bin.index.json"


@pytest.mark.parametrize("content", [sharded("pytorch_model", 2, suffix="bin")[BIN_INDEX], b"", b"{}"])
@pytest.mark.parametrize("weights", [{"model.safetensors": 9}, sharded("model", 2)], ids=["single", "shards"])
def test_an_index_none_of_whose_files_is_there_is_left_over_beside_whole_weights_that_come_first(weights, content):
    found = only(LAYOUT, weights | {BIN_INDEX: content} | CONFIGS)
    assert (found.name, found.missing, found.problems) == ("", (), ())
    assert set(found.paths) == {*weights, BIN_INDEX, *CONFIGS}
    assert found.warnings == (
        f"none of the files of {BIN_INDEX} is there: it was left by a download or a save without them",
    )


def test_an_index_without_files_is_no_leftover_where_readers_look_for_it_or_a_file_of_it_is_there():
    bin_files = sharded("pytorch_model", 2, suffix="bin")
    (first, second) = recognise(LAYOUT, {INDEX: sharded("model", 2)[INDEX], "pytorch_model.bin": 9} | CONFIGS)
    assert (first.name, len(first.missing), second.name, second.missing) == ("", 2, "bin", ())
    one = {path: content for path, content in bin_files.items() if "00002-of" not in path}
    assert [len(found.missing) for found in recognise(LAYOUT, {"model.safetensors": 9} | one | CONFIGS)] == [0, 1]
    torn = {path: content for path, content in sharded("model", 2).items() if "00002-of" not in path}
    left = {BIN_INDEX: bin_files[BIN_INDEX]}
    assert [len(found.missing) for found in recognise(LAYOUT, torn | left | CONFIGS)] == [1, 2]
    assert len(only(LAYOUT, left | CONFIGS).missing) == 2


def test_a_bin_file_beside_its_index_divides_loaders():
    found = only(LAYOUT, {"pytorch_model.bin": 9} | sharded("pytorch_model", 2, suffix="bin") | CONFIGS)
    assert found.readers == {"transformers": "pytorch_model.bin", "vLLM": "every .bin file"}


def test_weights_without_a_config_are_warned_of():
    assert only(LAYOUT, {"model.safetensors": 9}).warnings == (
        "no config.json beside the weights: from_pretrained cannot load them without",
    )


def test_the_files_of_one_sharding_are_a_part_and_the_index_is_the_same_for_all_saves():
    assert only(LAYOUT, {"model.safetensors": 9} | CONFIGS).parts == {"": ("model.safetensors",)}
    assert only(LAYOUT, sharded("model", 2) | CONFIGS).parts == {"": tuple(shards("model", 2))}


def test_folder_markers_and_deeper_folders_are_no_part_of_it():
    deeper = {f"checkpoint-100/{name}": 9 for name in shards("model", 2)}
    marked = sharded("model", 2) | CONFIGS | {"": 0, "checkpoint-100/": 0, "onnx/": 0} | deeper
    assert recognise(LAYOUT, marked) == recognise(LAYOUT, sharded("model", 2) | CONFIGS)


@pytest.mark.parametrize(
    "names",
    [
        ["config.json", "tokenizer.json"],
        ["modelling.safetensors", "model_a.safetensors"],
        ["model.json"],
        ["model.weights.h5"],
        ["model.safetensors.tmp"],
        ["m/model.safetensors"],
        [""],
    ],
)
def test_folders_with_other_names_hold_no_such_model(names):
    assert recognise(LAYOUT, dict.fromkeys(names, 9)) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", f"{INDEX} is empty"),
        (b"[" * 100_000, f"{INDEX} is no JSON: nested too deeply"),
        (b"{}," * 400_000, None),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            f"{INDEX} is no JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        (b"\xff\xfe\xfd", None),
        (b"[]", f"{INDEX} holds no JSON object but a list"),
        (b"{}", f"{INDEX} names no files: its weight_map is null"),
        (b'{"weight_map": []}', f"{INDEX} names no files: its weight_map is a list"),
        (b'{"weight_map": {"t": []}}', f"{INDEX} names no files: its weight_map is empty"),
        (b'{"weight_map": {}}', f"{INDEX} names no files: its weight_map is empty"),
        (b'{"weight_map": {"t": 7}}', f"{INDEX} names a number where a path belongs"),
        (index({"t": "/etc/x.safetensors"}), f"{INDEX} names /etc/x.safetensors, which is no path inside the folder"),
        (index({"t": "../b.safetensors"}), f"{INDEX} names ../b.safetensors, which is no path inside the folder"),
        (
            index({"t": "a/../../b.safetensors"}),
            f"{INDEX} names a/../../b.safetensors, which is no path inside the folder",
        ),
        (index({"t": "./"}), f"{INDEX} names ./, which is no file"),
        (
            index({"t": "a\x1b[2J.safetensors"}),
            rf"{INDEX} names 'a\x1b[2J.safetensors', which is no path inside the folder",
        ),
        (
            index({"t": "\ud800.safetensors"}),
            rf"{INDEX} names '\ud800.safetensors', which is no path inside the folder",
        ),
        (index({"t": "config.json"}), f"{INDEX} names config.json, which is no .safetensors file"),
        (
            index({f"t{number}": f"{number}.safetensors" for number in range(MEMBERS + 1)}),
            f"{INDEX} names more than 10,000 files",
        ),
    ],
)
def test_an_index_that_says_nothing_usable_is_a_problem_in_one_line(content, problem):
    found = only(LAYOUT, sharded("model", 2) | CONFIGS | {INDEX: content})
    assert len(found.problems) == 1
    assert found.problems[0] == problem or problem is None
    assert found.problems[0].isprintable()
    assert found.members == tuple(shards("model", 2))
    assert found.missing == found.leftovers == ()


def test_an_index_too_large_to_read_is_not_asked_for():
    found, asked = recognise_reading(LAYOUT, sharded("model", 2) | {INDEX: 17 * 1024**2} | CONFIGS)
    assert found[0].problems == (
        f"{INDEX} has 17,825,792 bytes, more than the 16,777,216 that are read of such a file",
    )
    assert asked == []


def test_an_index_that_has_gone_since_the_listing_is_a_problem():
    reading = LAYOUT.recognise(folder(sharded("model", 2)))
    assert next(reading) == INDEX
    with pytest.raises(StopIteration) as end:
        reading.send(None)
    assert end.value.value[0].problems == (f"{INDEX} cannot be read",)


@pytest.mark.parametrize("total", [None, "8", True, 1.5, -1, 10**30, 200])
def test_a_total_size_that_is_absent_strange_or_within_the_files_says_nothing(total):
    files = sharded("model", 2)
    files[INDEX] = index({"a": shards("model", 2)[0], "b": shards("model", 2)[1]}, total)
    assert only(LAYOUT, files | CONFIGS).warnings == ()


def test_more_tensor_bytes_than_the_files_hold_are_warned_of_and_no_fault():
    files = sharded("model", 2)
    files[INDEX] = index({"a": shards("model", 2)[0], "b": shards("model", 2)[1]}, 201)
    found = only(LAYOUT, files | CONFIGS)
    assert found.warnings == (f"{INDEX} speaks of 201 bytes of tensors, and the files it names have 200",)
    assert found.problems == ()


def test_a_name_that_counts_a_million_files_is_a_problem_and_lists_none():
    found = only(LAYOUT, {"model-00001-of-99999.safetensors": 9} | CONFIGS)
    assert found.problems == (
        "model-00001-of-99999.safetensors counts 99,999 files, more than the 10,000 that are looked for",
    )
    assert [file.path for file in found.missing] == [INDEX]


names = st.integers(0, 30).map("part-{}.safetensors".format)


@given(st.dictionaries(st.text(max_size=5), names, min_size=1, max_size=40), st.sets(names))
def test_what_is_there_and_what_is_missing_are_together_what_the_index_names(weight_map, there):
    files = dict.fromkeys(there, 9) | {INDEX: json.dumps({"weight_map": weight_map}).encode()} | CONFIGS
    found = only(LAYOUT, files)
    assert set(found.members) == set(weight_map.values()) & there
    assert {file.path for file in found.missing} == set(weight_map.values()) - there
    assert {(tensor, name) for name, tensors in found.tensors.items() for tensor in tensors} == set(weight_map.items())


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    )
)
def test_no_content_of_an_index_raises(content):
    data = content if isinstance(content, bytes) else json.dumps({"weight_map": content}).encode()
    found = only(LAYOUT, sharded("model", 2) | {INDEX: data} | CONFIGS)
    assert found.problems or found.missing

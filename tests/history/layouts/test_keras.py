"""A Keras model is one file, or the shards its weights.json names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.history.layouts.keras import LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import index, only, recognise, recognise_reading

INDEX = "model.weights.json"


def pieces(count):
    return [f"model_{number:05}.weights.h5" for number in range(count)]


def sharded(count):
    return {
        **dict.fromkeys(pieces(count), 100),
        INDEX: index({f"/layers/dense_{n}/vars": name for n, name in enumerate(pieces(count))}),
    }


def test_each_file_is_a_model_and_nothing_is_read():
    sets, asked = recognise_reading(LAYOUT, {"a.keras": 9, "b.weights.h5": 9, "my_model.h5": 9, "c/d.keras": 9, "": 0})
    assert [(found.name, found.members, found.parts) for found in sets] == [
        ("a.keras", ("a.keras",), {}),
        ("b.weights.h5", ("b.weights.h5",), {}),
        ("my_model.h5", ("my_model.h5",), {}),
    ]
    assert asked == []


def test_hdf5_that_speaks_of_no_model_and_files_of_other_layouts_are_not_taken():
    assert recognise(LAYOUT, {"train.h5": 9, "tf_model.h5": 9, "tf_model-00001-of-00002.h5": 9, "x.keras.tmp": 9}) == []


NAMES = {
    "model.h5": True,
    "my_model.hdf5": True,
    "model-05-0.23.h5": True,
    "model_epoch_10_val_loss_0.23.h5": True,
    "weights.best.hdf5": True,
    "weights-improvement-01-0.91.hdf5": True,
    "cifar10_ResNet20v1_model.031.h5": True,
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5": True,
    "modelv2_final.h5": True,
    "model_output.h5": False,
    "model_predictions.h5": False,
    "checkpoint_metrics.hdf5": False,
    "weights_of_survey.h5": False,
}


@pytest.mark.parametrize("name", NAMES)
def test_hdf5_is_a_model_where_its_name_says_no_more_than_which(name):
    assert [found.members for found in recognise(LAYOUT, {name: 9})] == [(name,)] * NAMES[name]


@pytest.mark.parametrize(
    "content", [b'{"cat": 1.5}', b"[1.5]", b"", b"0.5 0.5", b'{"weight_map": {"cat": 1.5}}', b'{"weight_map": {}}']
)
def test_weights_in_json_that_name_no_files_and_have_none_beside_are_no_model(content):
    assert recognise(LAYOUT, {"class.weights.json": content, "rows.csv": 9}) == []


def test_an_unpacked_archive_has_its_configs_and_assets_beside():
    files = {"model.weights.h5": 9, "config.json": 2, "metadata.json": 2, "assets/": 0, "assets/vocab.txt": 0}
    assert only(LAYOUT, files).others == ("config.json", "metadata.json", "assets/vocab.txt")


def test_the_shards_an_index_names_are_one_model():
    sets, asked = recognise_reading(LAYOUT, sharded(3) | {"config.json": 9})
    assert sets == [
        ModelSet(
            layout="keras",
            prefix="models/m/",
            name=INDEX,
            members=tuple(pieces(3)),
            indexes=(INDEX,),
            others=("config.json",),
            configs=("config.json",),
            parts={"": tuple(pieces(3))},
        )
    ]
    assert asked == [INDEX]


def test_a_group_whose_variables_lie_in_several_shards_names_them_all():
    found = only(LAYOUT, {INDEX: index({"/layers/dense/vars": pieces(2)}), **dict.fromkeys(pieces(2), 9)})
    assert found.members == tuple(pieces(2))


def test_a_shard_that_is_gone_is_missing():
    files = sharded(3)
    del files[pieces(3)[1]]
    found = only(LAYOUT, files)
    assert found.missing == (Missing(pieces(3)[1], INDEX),)
    assert found.members == (pieces(3)[0], pieces(3)[2])


def test_more_shards_than_the_index_names_are_leftovers_and_no_models():
    found = only(LAYOUT, sharded(5) | sharded(3))
    assert found.members == tuple(pieces(3))
    assert found.leftovers == tuple(pieces(5)[3:])


def test_fewer_files_than_a_larger_index_names_are_missing():
    assert only(LAYOUT, sharded(2) | {INDEX: sharded(5)[INDEX]}).missing == tuple(
        Missing(name, INDEX) for name in pieces(5)[2:]
    )


def test_a_single_file_beside_shards_is_a_model_of_its_own():
    sets = recognise(LAYOUT, sharded(2) | {"model.weights.h5": 9, "model.keras": 9})
    assert [found.name for found in sets] == [INDEX, "model.keras", "model.weights.h5"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", f"{INDEX} is empty"),
        (b"{}", f"{INDEX} names no files: its weight_map is null"),
        (b'{"weight_map": {}}', f"{INDEX} names no files: its weight_map is empty"),
        (index({"v": "../model.h5"}), f"{INDEX} names ../model.h5, which is no path inside the folder"),
        (index({"v": [["a.h5"]]}), f"{INDEX} names a list where a path belongs"),
        (index({"v": "model.txt"}), f"{INDEX} names model.txt, which is no .h5 file"),
    ],
)
def test_an_index_that_says_nothing_usable_is_a_problem_and_the_shards_stay_together(content, problem):
    found = only(LAYOUT, sharded(2) | {INDEX: content})
    assert found.problems == (problem,)
    assert found.members == tuple(pieces(2))
    assert found.missing == found.leftovers == ()


@given(
    st.dictionaries(st.text(max_size=5), st.sampled_from(pieces(9)), min_size=1), st.sets(st.sampled_from(pieces(9)))
)
def test_what_is_there_and_what_is_missing_are_together_what_the_index_names(weight_map, there):
    found = only(LAYOUT, dict.fromkeys(there, 9) | {INDEX: index(weight_map)})
    assert set(found.members) == set(weight_map.values()) & there
    assert {file.path for file in found.missing} == set(weight_map.values()) - there
    assert set(found.leftovers) == there - set(weight_map.values())

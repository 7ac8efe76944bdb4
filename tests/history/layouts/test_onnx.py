"""An ONNX model is its graph and the files that hold its tensors, which have at least what the graph points to."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from artifact_store.history.layouts.onnx import GRAPHS, LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import only, recognise, recognise_reading


def model(*locations):
    """A graph with a tensor of 4,000 bytes in each of the files, one behind the other in a file named twice."""
    offsets, tensors = {}, []
    for number, location in enumerate(locations):
        tensor = numpy_helper.from_array(np.zeros(1000, "float32"), f"w{number}")
        offset = offsets.get(location, 0)
        offsets[location] = offset + 4000
        if location:
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", location), ("offset", str(offset)), ("length", "4000")):
                entry = tensor.external_data.add()
                entry.key, entry.value = key, value
        tensors.append(tensor)
    output = helper.make_tensor_value_info("w0", TensorProto.FLOAT, [1000])
    graph = helper.make_graph([helper.make_node("Identity", ["w0"], ["y"])], "g", [], [output], initializer=tensors)
    return helper.make_model(graph).SerializeToString()


def test_a_graph_and_the_data_the_library_wrote_for_it_are_one_model(tmp_path):
    saved = onnx.load_model_from_string(model("", ""))
    onnx.save_model(
        saved, tmp_path / "model.onnx", save_as_external_data=True, location="model.onnx.data", size_threshold=0
    )
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    sets, asked = recognise_reading(LAYOUT, files | {"": 0, "config.json": 9, "fp16/model.onnx": 9})
    assert sets == [
        ModelSet(
            layout="onnx",
            prefix="models/m/",
            name="model",
            members=("model.onnx.data",),
            indexes=("model.onnx",),
            unordered=frozenset({"model.onnx"}),
            least={"model.onnx.data": sets[0].least["model.onnx.data"]},
            parts={"": ("model.onnx.data", "model.onnx")},
        )
    ]
    assert 8000 <= sets[0].least["model.onnx.data"] <= len(files["model.onnx.data"])
    assert asked == ["model.onnx"]


def test_a_graph_that_holds_its_tensors_is_one_file():
    found = only(LAYOUT, {"model.onnx": model("")})
    assert (found.members, found.indexes, found.parts) == (("model.onnx",), (), {"": ("model.onnx",)})
    assert found.least == {}


def test_the_least_size_of_a_data_file_is_the_end_of_its_last_tensor():
    found = only(LAYOUT, {"model.onnx": model("a.bin", "b.bin", "a.bin"), "a.bin": 8000, "b.bin": 10**6})
    assert found.least == {"a.bin": 8000, "b.bin": 4000}
    assert (found.members, found.indexes) == (("a.bin", "b.bin"), ("model.onnx",))


def test_a_data_file_that_is_gone_is_missing():
    found = only(LAYOUT, {"model.onnx": model("a.bin", "weights/b.bin"), "weights/b.bin": 4000})
    assert found.missing == (Missing("a.bin", "model.onnx"),)
    assert (found.members, found.indexes) == (("weights/b.bin",), ("model.onnx",))


@pytest.mark.parametrize(("before", "after"), [(5, 3), (2, 5)])
def test_data_files_of_the_save_before_that_no_graph_names_are_leftovers(before, after):
    old = {f"model.onnx_data_{number}": 4000 for number in range(before)}
    new = [f"model.onnx.data_{number}" for number in range(after)]
    found = only(LAYOUT, {"model.onnx": model(*new), **old, **dict.fromkeys(new, 4000)})
    assert found.leftovers == tuple(old)
    assert (found.members, found.indexes) == (tuple(new), ("model.onnx",))


def test_graphs_of_one_folder_are_models_of_their_own_and_may_share_data():
    files = {"decoder.onnx": model("shared.bin"), "encoder.onnx": model(""), "past.onnx": model("shared.bin")}
    sets = recognise(LAYOUT, files | {"shared.bin": 4000})
    assert [(found.name, found.members, found.indexes) for found in sets] == [
        ("decoder", ("shared.bin",), ("decoder.onnx",)),
        ("encoder", ("encoder.onnx",), ()),
        ("past", ("shared.bin",), ("past.onnx",)),
    ]


def test_names_that_share_a_start_are_not_taken_for_data():
    found = only(LAYOUT, {"model.onnx": model(""), "model.onnx.database": 9, "model2.onnx.data": 9, "model.data": 9})
    assert found.leftovers == ("model.data",)


def test_a_large_graph_is_not_read_and_the_data_named_after_it_is_its_own():
    sets, asked = recognise_reading(LAYOUT, {"model.onnx": 17 * 1024**2, "model.onnx_data": 9})
    assert (sets[0].members, sets[0].indexes) == (("model.onnx_data",), ("model.onnx",))
    assert sets[0].warnings == (
        "model.onnx was not read for the files it needs: those named after it count as its own",
    )
    assert asked == []
    assert only(LAYOUT, {"model.onnx": 17 * 1024**2}).warnings == ()


def test_no_more_than_a_hundred_graphs_are_read():
    graph = model("")
    sets, asked = recognise_reading(LAYOUT, {f"{number:03}.onnx": graph for number in range(GRAPHS + 5)})
    assert len(sets) == GRAPHS + 5
    assert len(asked) == GRAPHS


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "model.onnx is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", ""),
        (b"\x0a\xff\xff\xff\xff\x7f", ""),
        (model("/etc/passwd"), "'/etc/passwd'"),
        (model("../b.bin"), "'../b.bin'"),
        (model("a\x1b[2J"), "'a\\x1b[2J'"),
    ],
)
def test_a_graph_that_cannot_be_read_or_points_out_of_its_folder_is_a_problem(content, part):
    found = only(LAYOUT, {"model.onnx": content, "model.onnx.data": 4000, "b.bin": 9})
    assert len(found.problems) == 1
    assert found.problems[0].startswith("model.onnx ")
    assert part in found.problems[0]
    assert found.problems[0].isprintable()
    assert (found.members, found.indexes) == (("model.onnx.data",), ("model.onnx",))
    assert found.missing == ()


def test_other_folders_hold_no_graph():
    assert recognise(LAYOUT, {"model.onnx.data": 9, "onnx/model.onnx": 9}) == []

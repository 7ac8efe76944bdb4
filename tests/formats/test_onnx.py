"""An ONNX model passes where protobuf parses it to the end, and names the files that hold its tensors."""

import numpy as np
import onnx
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from artifact_store.formats.finding import Tensor
from artifact_store.formats.onnx import MESSAGES, TYPES, WHOLE, External, external
from artifact_store.formats.protobuf import SKIPS
from artifact_store.formats.source import Fault
from tests.formats.asking import ask, look, problem

PATH = "1/model.onnx"


def model(size=4):
    weights = numpy_helper.from_array(np.ones((size, size), np.float32), "w")
    bias = helper.make_tensor("b", TensorProto.INT64, [3], [1, 2, 300])
    inner = helper.make_graph([], "branch", [], [], [helper.make_tensor("inner", TensorProto.FLOAT, [2], [1.0, 2.0])])
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"], name="n", ints=[1, 2, 300], floats=[0.5, 1.5], to="é"),
        helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", size])
    graph = helper.make_graph(
        nodes, "g", [x], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [weights, bias]
    )
    made = helper.make_model(graph, producer_name="test")
    helper.set_model_props(made, {"author": "nobody"})
    return made


DATA = model().SerializeToString()


def parses(data):
    try:
        onnx.load_model_from_string(data)
    except DecodeError:
        return False
    return True


def with_external(**entries):
    made = model()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return made.SerializeToString()


def test_a_whole_model_gives_its_initializers():
    found = look(PATH, DATA)
    assert (found.format, found.problem, found.proved) == ("onnx", "", True)
    assert found.tensors == {
        "w": Tensor("FLOAT", (4, 4), 64),
        "b": Tensor("INT64", (3,), 4),
        "inner": Tensor("FLOAT", (2,), 8),
    }
    assert found.facts == {"external": 0}
    assert len(found.digest) == 64


def test_messages_and_types_are_those_of_the_library():
    expected = {}
    waiting = [onnx.ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        fields = expected[message.full_name.removeprefix("onnx.")] = {}
        for field in message.fields:
            if field.message_type:
                fields[field.number] = field.message_type.full_name.removeprefix("onnx.")
                if fields[field.number] not in expected:
                    waiting.append(field.message_type)
            elif field.is_repeated and field.type not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
                widths = {FieldDescriptor.TYPE_FLOAT: "4", FieldDescriptor.TYPE_DOUBLE: "8"}
                fields[field.number] = widths.get(field.type, "v")
    assert expected == MESSAGES
    assert list(TYPES) == [value.name for value in TensorProto.DataType.DESCRIPTOR.values]
    assert list(range(len(TYPES))) == [value.number for value in TensorProto.DataType.DESCRIPTOR.values]


def test_a_model_cut_anywhere_is_refused_but_where_it_only_lacks_its_properties():
    shorter = model()
    shorter.ClearField("metadata_props")
    assert [size for size in range(len(DATA)) if problem(PATH, DATA[:size]) == ""] == [shorter.ByteSize()]


def test_a_model_cut_at_the_end_of_its_graph_parses_and_is_refused_all_the_same():
    bare = model()
    bare.ClearField("opset_import")
    bare.ClearField("metadata_props")
    data = bare.SerializeToString()
    assert DATA.startswith(data)
    assert parses(data)
    assert "has no opset_import, which every ONNX model has: it was cut between two fields" in problem(PATH, data)


@settings(max_examples=500, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(0, 255))
def test_what_passes_with_a_changed_byte_is_parsed_by_the_library(at, value):
    data = DATA[:at] + bytes([value]) + DATA[at + 1 :]
    if problem(PATH, data) == "":
        assert parses(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_what_passes_with_bytes_behind_it_is_parsed_by_the_library(more):
    if problem(PATH, DATA + more) == "":
        assert parses(DATA + more)


def test_a_large_model_costs_its_start_and_what_lies_behind_its_graph():
    data = model(1000).SerializeToString()
    assert len(data) > WHOLE
    asked = ask(PATH, data)
    assert (asked.finding.problem, asked.finding.proved) == ("", True)
    assert len(asked.ranges) == 2
    assert asked.total < 66_000
    for cut in (1, 10, 20, 1000, 3_000_000):
        assert problem(PATH, data[:-cut]) != ""
    assert problem(PATH, data + b"x") != ""


def test_external_data_is_listed_as_the_library_wrote_it(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save_model(model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    data = path.read_bytes()
    saved = onnx.load_model(path, load_external_data=False)
    expected = []
    for tensor in external_data_helper._get_all_tensors(saved):
        if external_data_helper.uses_external_data(tensor):
            info = external_data_helper.ExternalDataInfo(tensor)
            expected.append(External(tensor.name, info.location, info.offset, info.length))
    assert len(expected) >= 1
    assert sorted(external(data), key=str) == sorted(expected, key=str)
    assert external(data)[0] == External("w", "weights.bin", external(data)[0].offset, 64)
    assert max(one.least for one in external(data)) <= (tmp_path / "weights.bin").stat().st_size
    assert look(PATH, data).tensors["w"] == Tensor("FLOAT", (4, 4), 64)
    assert look(PATH, data).facts == {"external": len(expected)}
    assert external(DATA) == []


def test_offset_and_length_may_be_left_out():
    assert external(with_external(location="./sub/w.bin")) == [External("w", "sub/w.bin", 0, None)]
    found = external(with_external(location="w", offset="4096", length="64"))
    assert found == [External("w", "w", 4096, 64)]
    assert found[0].least == 4160


@pytest.mark.parametrize("location", ["", "/etc/passwd", "../w", "a/../../w", "..\\w", "."])
def test_a_file_outside_the_folder_is_refused(location):
    data = with_external(location=location, offset="0", length="64")
    with pytest.raises(Fault, match="which is no file in its folder"):
        external(data)
    assert "which is no file in its folder: no loader reads it" in problem(PATH, data)


@pytest.mark.parametrize(("key", "value"), [("offset", "-1"), ("length", "x"), ("length", "9" * 30), ("offset", "٣")])
def test_numbers_that_are_none_are_refused(key, value):
    with pytest.raises(Fault, match=f"with the {key} "):
        external(with_external(location="w", **{key: value}))


def nested(depth):
    """Graphs in attributes of nodes of graphs."""
    data = b""
    for _ in range(depth):
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            data = tag + varint(len(data)) + data
    return b"\x08\x08\x42\x02\x10\x15\x3a" + varint(len(data)) + data


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (nested(60), "has messages nested deeper than 100: no parser reads it"),
        (nested(5000), "has messages nested deeper than 100: no parser reads it"),
        (b"\x3a" + varint(2**63) + b"x", "has a protobuf field 7 that ends 9,223,372,036,854,775,807 bytes behind"),
        (b"\x3a" + b"\xff" * 30, "has a protobuf number that does not end"),
        (b"\x00" * 100, "has no protobuf field where one should begin"),
        (b"\x0b\x0c", "has a protobuf field 1 of wire type 3"),
        (b"\x08\x08", "has no graph, which every ONNX model has"),
        (b"\x3a\x00\x42\x00", "has no ir_version, which every ONNX model has"),
        (b"", "is empty (0 bytes)"),
    ],
)
def test_a_hostile_or_foreign_file_is_refused_with_its_reason(data, said):
    asked = ask(PATH, data)
    assert said in asked.finding.problem
    assert asked.total == len(data)


def test_the_deepest_model_that_parses_passes():
    assert parses(nested(30))
    assert problem(PATH, nested(30)) == ""


def test_more_fields_than_are_walked_are_left_unproved_and_refused_of_a_layout(monkeypatch):
    monkeypatch.setattr("artifact_store.formats.onnx.MAX_FIELDS", 1000)
    assert (look(PATH, DATA).proved, external(DATA)) == (True, [])
    many = DATA + b"\x08\x08" * 1000
    found = look(PATH, many)
    assert (found.problem, found.proved) == ("", False)
    with pytest.raises(Fault, match="has more than 1,000 fields or 100,000 external tensors, too many to walk"):
        external(many)


def test_a_file_that_lures_into_many_requests_is_given_up():
    hop = b"\x3a" + varint(100_000)
    data = (hop + bytes(100_000)) * 200
    asked = ask(PATH, data)
    assert (asked.finding.problem, asked.finding.proved) == ("", False)
    assert len(asked.ranges) <= SKIPS + 1

"""What holds of every layout, whatever lies in a folder and whatever its files say."""

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artifact_store.history.layouts import LAYOUTS
from artifact_store.history.layouts.marks import MARKS, may_tell
from artifact_store.history.sets import shallow
from tests.history.layouts.bucket import folder, recognise

NAMES = [
    "", "1/", "1/model.onnx", "2/model.py", "MLmodel", "README.md", "adapter_config.json", "adapter_model.bin",
    "adapter_model.safetensors", "aliases/champion", "artifacts/model/MLmodel", "config.json", "config.pbtxt",
    "diffusion_pytorch_model-00001-of-00002.safetensors", "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json", "m-00001-of-00002.gguf", "m.gguf", "m.keras", "mmproj.gguf",
    "model", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.fp16.safetensors",
    "model.onnx", "model.onnx.data", "model.safetensors", "model.safetensors.index.fp16.json",
    "model.safetensors.index.json", "model.tar.gz", "model.weights.h5", "model.weights.json", "model/", "model/data.pkl",
    "model_00000.weights.h5", "model_index.json", "pytorch_model.bin", "pytorch_model.bin.index.json", "unet/",
    "unet/config.json", "unet/diffusion_pytorch_model.safetensors.index.json", "version-2/meta.yaml",
    "version-2/", "\x1b[2J.weights.json", "\x1b[2J.onnx", "\x1b[2J-00001-of-00003.gguf",
]  # fmt: skip
PATHS = st.sampled_from(
    [*NAMES, "/etc/passwd", "../x.safetensors", "a/../../b", "x" * 2000, "\x1b[2J", "\ud800", ".", ""]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | PATHS
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PATHS, inner, max_size=3))
SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "weight_map": st.dictionaries(st.text(max_size=3), PATHS, max_size=5) | VALUES,
        "metadata": st.fixed_dictionaries({"total_size": PLAIN}) | VALUES,
        "flavors": st.dictionaries(st.sampled_from(["transformers", "sklearn", "python_function"]), VALUES) | VALUES,
        "base_model_name_or_path": VALUES,
        "unet": st.just(["diffusers", "UNet2DConditionModel"]) | VALUES,
        "model_size_bytes": PLAIN,
    },
)
CONTENTS = st.binary(max_size=50) | SHAPES.map(lambda value: json.dumps(value).encode())
FOLDERS = st.dictionaries(st.sampled_from(NAMES), CONTENTS, max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(FOLDERS, st.sampled_from(["", "m/", f"runs/{'0' * 32}/"]))
def test_a_set_speaks_of_files_that_are_there_once_each_and_of_missing_that_are_not(files, prefix):
    for layout in LAYOUTS:
        for found in recognise(layout, files, prefix):
            spoken = (*found.paths, *found.leftovers)
            assert sorted(set(spoken)) == sorted(spoken), f"{layout.name} names a file twice"
            assert set(spoken) <= files.keys(), f"{layout.name} names a file that is not there"
            assert not {gone.path for gone in found.missing} & files.keys(), f"{layout.name} misses what is there"
            assert {gone.named_by for gone in found.missing} <= files.keys()
            assert set(found.least) | found.may_be_empty | found.hashed <= set(found.members)
            assert {path for part in found.parts.values() for path in part} <= {*found.members, *found.indexes}
            assert set(found.configs) <= set(found.others)
            assert found.unordered <= set(found.indexes)
            assert set(found.targets) <= files.keys()
            assert found.prefix == prefix
            for text in (*found.problems, *found.warnings):
                assert text.isprintable(), f"{layout.name} hands a terminal what moves its cursor"
                assert len(text) < 1000
            for gone in found.missing:
                assert not gone.path.startswith("/")
                assert ".." not in gone.path.split("/")


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_folder_of_nothing_and_of_its_marker_alone_hold_no_model(layout):
    assert recognise(layout, {}) == []
    assert recognise(layout, {"": 0}) == []
    assert recognise(layout, {"": 0, "a/": 0, "a/b": 9, "notes.txt": 9}) == []


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_where_the_marks_were_at_another_time_there_is_no_model_and_nothing_is_read(layout):
    with pytest.raises(StopIteration) as end:
        next(layout.recognise(folder({"1/model.py": 9, "data/part.bin": 9, "notes.txt": 9}, f"runs/{'0' * 32}/")))
    assert end.value.value == []


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_the_look_at_a_folder_of_a_hundred_thousand_names_is_cheap(layout):
    many = folder({f"model{number:06}.dat": 1 for number in range(100_000)} | {f"folder{n}/x": 1 for n in range(1000)})
    assert len(many.names | many.folders) == 101_000
    start = time.process_time()
    assert not layout.marks(many)
    assert time.process_time() - start < 0.5, "this runs for every folder of a bucket"


SPOKEN = ["", "x", "1", "model", "pytorch_model", "mp_rank_00", "variables", "artifacts", "aliases", "version-3", "a1"]
SPOKEN += [
    part for mark in MARKS.values() for part in (*mark.names, *mark.starts, *mark.ends, *mark.hints, mark.inside)
]
SPOKEN_OF = st.lists(st.sampled_from(SPOKEN), min_size=1, max_size=3).map("".join)


@given(files=st.sets(SPOKEN_OF), folders=st.sets(SPOKEN_OF), prefix=st.sampled_from(["", "m/", f"runs/{'0' * 32}/"]))
def test_a_name_that_may_tell_nothing_makes_no_difference_to_any_mark(files, folders, prefix):
    directories = {f"{name}/" for name in folders}
    every, kept = shallow(prefix, files | directories), shallow(prefix, {*filter(may_tell, files)} | directories)
    assert {name: mark(every) for name, mark in MARKS.items()} == {name: mark(kept) for name, mark in MARKS.items()}

"""TensorFlow: the index counts the data files and says how long they are; `checkpoint` names the current one."""

import pytest

from artifact_store.history.layouts.tensorflow import LAYOUT
from artifact_store.history.sets import SMALL, Missing, ModelSet
from tests.formats.bundles import index
from tests.history.layouts.bucket import only, recognise, recognise_reading

INDEX = index([("a", 0, 0, 700), ("b", 1, 0, 300), ("c", 1, 300, 11)], shards=2)
SAVED = {
    "saved_model.pb": 5_000,
    "fingerprint.pb": b"\x28\x07",
    "variables/variables.index": INDEX,
    "variables/variables.data-00000-of-00002": 700,
    "variables/variables.data-00001-of-00002": 311,
    "assets/vocab.txt": 40,
    "assets.extra/examples": 9,
}
DATA = ("variables/variables.data-00000-of-00002", "variables/variables.data-00001-of-00002")


def without(files, *gone):
    assert set(gone) <= files.keys()
    return {path: content for path, content in files.items() if path not in gone}


def test_a_saved_model_is_its_graph_its_variables_and_its_assets():
    markers = {"": 0, "assets/": 0, "variables/": 0}
    sets, asked = recognise_reading(LAYOUT, SAVED | markers)
    assert sets == [
        ModelSet(
            layout="tensorflow",
            prefix="models/m/",
            members=(*DATA, "assets/vocab.txt"),
            indexes=("variables/variables.index", "saved_model.pb"),
            others=("assets.extra/examples", "fingerprint.pb"),
            least=dict(zip(DATA, (700, 311), strict=True)),
            may_be_empty=frozenset({"assets/vocab.txt"}),
            parts={"": (*DATA, "variables/variables.index")},
        )
    ]
    assert asked == ["variables/variables.index"]


def test_a_saved_model_without_variables_or_fingerprint_is_its_graph():
    assert only(LAYOUT, {"saved_model.pb": 5_000}).indexes == ("saved_model.pb",)
    assert only(LAYOUT, {"saved_model.pb": 5_000}).missing == ()


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        (["saved_model.pb"], (Missing("saved_model.pb", "variables/variables.index"),)),
        ([DATA[1]], (Missing(DATA[1], "variables/variables.index"),)),
        (["variables/variables.index"], (Missing("variables/variables.index", DATA[0]),)),
        (["variables/variables.index", *DATA], (Missing("variables/variables.index", "fingerprint.pb"),)),
    ],
)
def test_what_a_cut_saved_model_lacks_is_missing(gone, missing):
    assert only(LAYOUT, without(SAVED, *gone)).missing == missing


def test_a_fingerprint_of_a_model_without_variables_promises_none():
    assert only(LAYOUT, {"saved_model.pb": 5_000, "fingerprint.pb": b"\x08\x07"}).missing == ()
    assert only(LAYOUT, {"saved_model.pb": 5_000, "fingerprint.pb": b"\x28"}).missing == ()


def test_data_files_of_another_count_are_leftovers_when_the_index_says_so():
    left = {f"variables/variables.data-0000{n}-of-00005": 100 for n in range(5)}
    found = only(LAYOUT, SAVED | left)
    assert found.members == (*DATA, "assets/vocab.txt")
    assert found.warnings == (
        "variables/variables.index counts 2 data files; left by another save: "
        "variables/variables.data-00000-of-00005, variables/variables.data-00001-of-00005, "
        "variables/variables.data-00002-of-00005 and 2 more",
    )


def test_the_folder_of_variables_is_no_checkpoint_of_its_own():
    variables = {path.removeprefix("variables/"): size for path, size in SAVED.items() if path.startswith("variables/")}
    assert recognise(LAYOUT, variables, "models/m/variables/") == []
    assert recognise(LAYOUT, variables, "variables/") == []
    assert only(LAYOUT, variables, "models/my-variables/").name == "variables"


CKPT = {
    "ckpt-1.index": INDEX,
    "ckpt-1.data-00000-of-00002": 700,
    "ckpt-1.data-00001-of-00002": 311,
    "ckpt-10.index": index([("a", 0, 0, 9)]),
    "ckpt-10.data-00000-of-00001": 9,
    "ckpt-10.meta": 50,
}


TEN = ("ckpt-10.data-00000-of-00001", "ckpt-10.index")


def test_each_stem_is_a_checkpoint_and_the_pointer_one_more():
    pointer = b'model_checkpoint_path: "ckpt-10"\nall_model_checkpoint_paths: "ckpt-1"\n'
    assert recognise(LAYOUT, CKPT | {"checkpoint": pointer}) == [
        ModelSet(
            layout="tensorflow",
            prefix="models/m/",
            name="ckpt-1",
            members=("ckpt-1.data-00000-of-00002", "ckpt-1.data-00001-of-00002"),
            indexes=("ckpt-1.index",),
            least={"ckpt-1.data-00000-of-00002": 700, "ckpt-1.data-00001-of-00002": 311},
            parts={"": ("ckpt-1.data-00000-of-00002", "ckpt-1.data-00001-of-00002", "ckpt-1.index")},
        ),
        ModelSet(
            layout="tensorflow",
            prefix="models/m/",
            name="ckpt-10",
            members=("ckpt-10.data-00000-of-00001",),
            indexes=("ckpt-10.index",),
            others=("ckpt-10.meta",),
            least={"ckpt-10.data-00000-of-00001": 9},
            parts={"": ("ckpt-10.data-00000-of-00001", "ckpt-10.index")},
        ),
        ModelSet(layout="tensorflow", prefix="models/m/", name="checkpoint", pointers=("checkpoint",), targets=TEN),
    ]


def test_a_data_file_that_holds_no_tensor_may_be_empty():
    files = {"c.index": index([("a", 1, 0, 9)], shards=2), "c.data-00000-of-00002": 0, "c.data-00001-of-00002": 9}
    assert only(LAYOUT, files).may_be_empty == {"c.data-00000-of-00002"}


def test_an_index_without_its_data_is_tensorflows_when_it_reads_as_such():
    assert only(LAYOUT, {"c.index": INDEX}).missing == (
        Missing("c.data-00000-of-00002", "c.index"),
        Missing("c.data-00001-of-00002", "c.index"),
    )
    assert recognise(LAYOUT, {"faiss.index": b"IxFI" + b"\0" * 100}) == []
    assert recognise(LAYOUT, {"faiss.index": 2_000_000}) == []
    assert recognise(LAYOUT, {"tiny.index": b""}) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "c.index does not end as the index of a checkpoint: it was cut off, or is something else"),
        (INDEX[:-9], "c.index does not end as the index of a checkpoint: it was cut off, or is something else"),
    ],
)
def test_an_index_that_cannot_be_read_leaves_what_the_names_say(content, problem):
    files = {"c.index": content, "c.data-00000-of-00003": 5, "c.data-00001-of-00003": 5}
    found = only(LAYOUT, files)
    assert found.problems == (problem,)
    assert found.members == ("c.data-00000-of-00003", "c.data-00001-of-00003")
    assert found.missing == (Missing("c.data-00002-of-00003", "c.data-00001-of-00003"),)


def test_an_index_too_large_to_read_leaves_what_the_names_say():
    found = only(LAYOUT, {"c.index": SMALL + 1, "c.data-00000-of-00001": 5})
    assert (found.problems, found.missing) == ((), ())
    assert found.warnings == ("c.index has more than 16,777,216 bytes, so no data file was checked against it",)


def test_without_an_index_the_names_count_and_two_counts_are_said():
    files = {"ckpt.data-00000-of-00001": 5, "ckpt.data-00002-of-00003": 5}
    found = only(LAYOUT, files)
    assert found.missing == (
        Missing("ckpt.index", "ckpt.data-00000-of-00001"),
        Missing("ckpt.data-00000-of-00003", "ckpt.data-00002-of-00003"),
        Missing("ckpt.data-00001-of-00003", "ckpt.data-00002-of-00003"),
    )
    assert found.warnings == (
        "ckpt has data files of 2 saves, and no index tells which count: "
        "ckpt.data-00000-of-00001, ckpt.data-00002-of-00003",
    )


def test_data_files_without_an_index_are_a_checkpoint_only_where_the_names_say_so():
    files = {"rows.data-00000-of-00002": 5, "rows.data-00001-of-00002": 5}
    assert recognise(LAYOUT, files) == []
    assert recognise(LAYOUT, files | {"checkpoint": b"step 3"}) == []
    assert only(LAYOUT, files | {"rows.meta": 9}).missing == (Missing("rows.index", "rows.data-00000-of-00002"),)
    named = {f"model.ckpt-9.{path.removeprefix('rows.')}": 5 for path in files}
    assert only(LAYOUT, named).missing == (Missing("model.ckpt-9.index", "model.ckpt-9.data-00000-of-00002"),)


def test_a_few_bytes_that_claim_100_000_files_name_the_first_thousand():
    found = only(LAYOUT, {"c.index": index([], shards=100_000)})
    assert len(found.missing) == 1_000
    assert found.problems == ("99,000 more files are missing, the first of them c.data-01000-of-100000",)
    found = only(LAYOUT, {"ckpt.data-00007-of-99999": 5})
    assert len(found.missing) == 1_000
    assert found.problems == ("98,999 more files are missing, the first of them ckpt.data-01000-of-99999",)


@pytest.mark.parametrize(
    ("text", "missing", "problems", "warnings"),
    [
        (b'model_checkpoint_path: "ckpt-10"', (), (), ()),
        (b'model_checkpoint_path: "ckpt-100"', (Missing("ckpt-100.index", "checkpoint"),), (), ()),
        (
            b'model_checkpoint_path: "ckpt-1"\nall_model_checkpoint_paths: "ckpt-0"\nall_model_checkpoint_paths: "ckpt-1"',
            (),
            (),
            ("checkpoint also lists checkpoints that are not there: ckpt-0",),
        ),
        (
            b'model_checkpoint_path: "/tmp/train/ckpt-10"',
            (),
            ("checkpoint names /tmp/train/ckpt-10, which is no path inside the folder",),
            (),
        ),
        (
            b'model_checkpoint_path: "../ckpt-10"',
            (),
            ("checkpoint names ../ckpt-10, which is no path inside the folder",),
            (),
        ),
        (
            b'model_checkpoint_path: "ckpt',
            (),
            ("checkpoint names 0 checkpoints that can be read; it should name one",),
            (),
        ),
        (
            b'model_checkpoint_path: "a"\nmodel_checkpoint_path: "b"',
            (),
            ("checkpoint names 2 checkpoints that can be read; it should name one",),
            (),
        ),
    ],
)
def test_the_pointer_is_followed_inside_the_folder_alone(text, missing, problems, warnings):
    found = recognise(LAYOUT, CKPT | {"checkpoint": text})[-1]
    assert (found.name, found.pointers) == ("checkpoint", ("checkpoint",))
    assert (found.missing, found.problems, found.warnings) == (missing, problems, warnings)


@pytest.mark.parametrize("content", [b"\x83\xa5\xff\x00", b"", b"x" * 100, 2_000_000])
def test_a_file_called_checkpoint_of_somebody_else_is_no_pointer(content):
    assert recognise(LAYOUT, {"checkpoint": content}) == []


@pytest.mark.parametrize("content", [b"", bytes(50), b"<Error/>", b"version https://git-lfs.github.com/spec/v1"])
def test_beside_checkpoints_it_is_a_pointer_and_one_that_names_nothing_is_a_problem(content):
    found = recognise(LAYOUT, CKPT | {"checkpoint": content})[-1]
    assert (found.name, found.pointers) == ("checkpoint", ("checkpoint",))
    assert found.problems == ("checkpoint names no checkpoint: it was overwritten, or its upload failed",)


@pytest.mark.parametrize("files", [{"variables/other.txt": 1}, {"data-1": 1}, {"model.data-1-of-2": 1}])
def test_other_folders_hold_nothing_of_tensorflow(files):
    assert recognise(LAYOUT, files) == []

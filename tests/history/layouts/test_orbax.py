"""Orbax: a step is committed, its array items have their manifests, and empty marks are no fault."""

import json

import pytest

from artifact_store.history.layouts.orbax import LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import only, recognise, recognise_reading


def step_metadata(**more):
    said = {
        "item_handlers": {
            "state": "orbax.checkpoint._src.handlers.pytree_checkpoint_handler.PyTreeCheckpointHandler",
            "assets": "training.checkpoints.CallbackHandler",
        },
        "metrics": {},
        "performance_metrics": {},
        "init_timestamp_nsecs": 1764000000000000000,
        "commit_timestamp_nsecs": 1764000009000000000,
        "custom_metadata": {},
    }
    return json.dumps(said | more).encode()


ITEM = json.dumps({"tree_metadata": {}, "use_ocdbt": True, "use_zarr3": False}).encode()
ARRAYS = {
    "_METADATA": ITEM,
    "_sharding": 40,
    "array_metadatas/process_0": 50,
    "array_metadatas/process_1": 50,
    "d/b7799a97": 300,
    "manifest.ocdbt": 120,
    "ocdbt.process_0/d/09e6fcdb": 9_000,
    "ocdbt.process_0/manifest.ocdbt": 110,
    "ocdbt.process_1/d/222d5a89": 9_000,
    "ocdbt.process_1/manifest.ocdbt": 110,
}
STATE = {f"state/{path}": content for path, content in ARRAYS.items()}
STEP = STATE | {"_CHECKPOINT_METADATA": step_metadata(), "assets/droid/norm_stats.json": 280}
MEMBERS = (
    "state/d/b7799a97",
    "state/ocdbt.process_0/d/09e6fcdb",
    "state/ocdbt.process_0/manifest.ocdbt",
    "state/ocdbt.process_1/d/222d5a89",
    "state/ocdbt.process_1/manifest.ocdbt",
)


def without(files, *gone):
    assert set(gone) <= files.keys()
    return {path: content for path, content in files.items() if path not in gone}


def test_a_step_is_all_its_items_and_closes_with_its_metadata():
    markers = {"": 0, "state/": 0, "state/d/": 0}
    sets, asked = recognise_reading(LAYOUT, STEP | markers, "run/100/")
    assert sets == [
        ModelSet(
            layout="orbax",
            prefix="run/100/",
            members=("assets/droid/norm_stats.json", *MEMBERS),
            indexes=("state/_METADATA", "state/manifest.ocdbt", "_CHECKPOINT_METADATA"),
            others=("state/_sharding", "state/array_metadatas/process_0", "state/array_metadatas/process_1"),
            parts={"": (*MEMBERS[:1], "state/manifest.ocdbt", *MEMBERS[1:], "_CHECKPOINT_METADATA")},
        )
    ]
    assert asked == ["state/_METADATA", "_CHECKPOINT_METADATA"]


def test_the_marks_of_a_finished_save_are_rightly_empty():
    found = only(LAYOUT, STEP | {"orbax.checkpoint": b"", "commit_success.txt": b""})
    assert found.may_be_empty == {"orbax.checkpoint", "commit_success.txt"}
    assert found.indexes[-3:] == ("_CHECKPOINT_METADATA", "commit_success.txt", "orbax.checkpoint")
    assert (found.missing, found.problems, found.warnings) == ((), (), ())


def test_one_item_saved_alone_is_a_checkpoint():
    found = only(LAYOUT, ARRAYS | {"_CHECKPOINT_METADATA": step_metadata(item_handlers="x.StandardCheckpointHandler")})
    assert found.members == tuple(path.removeprefix("state/") for path in MEMBERS)
    assert found.indexes == ("_METADATA", "manifest.ocdbt", "_CHECKPOINT_METADATA")
    assert (found.missing, found.problems) == ((), ())
    assert only(LAYOUT, ARRAYS).missing == ()


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        (["state/manifest.ocdbt"], (Missing("state/manifest.ocdbt", "state/_METADATA"),)),
        (["state/_METADATA"], (Missing("state/_METADATA", "state/manifest.ocdbt"),)),
        (
            ["state/ocdbt.process_1/manifest.ocdbt"],
            (Missing("state/ocdbt.process_1/manifest.ocdbt", "state/ocdbt.process_1/d/222d5a89"),),
        ),
        (
            ["state/d/b7799a97", "state/ocdbt.process_0/d/09e6fcdb", "state/ocdbt.process_1/d/222d5a89"],
            (Missing("state/d", "state/_METADATA"),),
        ),
        (
            [path for path in STATE if path != "state/_METADATA"],
            (Missing("state/manifest.ocdbt", "state/_METADATA"), Missing("state/d", "state/_METADATA")),
        ),
        (list(STATE), (Missing("state/_METADATA", "_CHECKPOINT_METADATA"),)),
    ],
)
def test_what_a_cut_step_lacks_is_missing(gone, missing):
    assert only(LAYOUT, without(STEP, *gone)).missing == missing


def test_a_new_style_mark_promises_the_metadata_of_the_step():
    found = only(LAYOUT, without(STEP, "_CHECKPOINT_METADATA") | {"orbax.checkpoint": b""})
    assert found.missing == (Missing("_CHECKPOINT_METADATA", "orbax.checkpoint"),)


def test_an_item_of_the_users_own_handler_may_have_written_nothing():
    found = only(LAYOUT, without(STEP, "assets/droid/norm_stats.json"))
    assert found.missing == ()
    assert found.warnings == ("_CHECKPOINT_METADATA names the item assets, of which there is no file",)


def test_a_gap_in_the_processes_is_said():
    files = {path.replace("process_1", "process_2"): content for path, content in STEP.items()}
    assert only(LAYOUT, files).warnings == (
        "processes that wrote nothing, or whose folders are gone: state/ocdbt.process_1",
    )


def test_folders_of_unfinished_saves_are_no_part_of_the_step():
    files = STEP | {"state.orbax-checkpoint-tmp-17/d/0": 5}
    found = only(LAYOUT, files)
    assert found.members == ("assets/droid/norm_stats.json", *MEMBERS)
    assert found.warnings == (
        "left of saves that were not finished, and no part of this one: state.orbax-checkpoint-tmp-17",
    )
    assert only(LAYOUT, STEP, "run/100.orbax-checkpoint-tmp-17/").problems == (
        "the folder's name says .orbax-checkpoint-tmp: a save that was not finished",
    )


@pytest.mark.parametrize(
    ("path", "content", "problem"),
    [
        (
            "_CHECKPOINT_METADATA",
            step_metadata(commit_timestamp_nsecs=None),
            "_CHECKPOINT_METADATA gives no time of commit: the save was not finished",
        ),
        (
            "_CHECKPOINT_METADATA",
            step_metadata(commit_timestamp_nsecs="soon"),
            "_CHECKPOINT_METADATA gives no time of commit: the save was not finished",
        ),
        (
            "_CHECKPOINT_METADATA",
            step_metadata(item_handlers=[1]),
            "_CHECKPOINT_METADATA gives a list as item_handlers",
        ),
        (
            "_CHECKPOINT_METADATA",
            step_metadata(item_handlers={"../other": "PyTree"}),
            "_CHECKPOINT_METADATA names ../other, which is no path inside the folder",
        ),
        (
            "_CHECKPOINT_METADATA",
            step_metadata(item_handlers=dict.fromkeys(map(str, range(10_001)), "PyTree")),
            "_CHECKPOINT_METADATA names 10,001 items, more than 10,000",
        ),
        ("_CHECKPOINT_METADATA", b"", "_CHECKPOINT_METADATA is empty"),
        ("_CHECKPOINT_METADATA", b"[" * 10**5, "_CHECKPOINT_METADATA is no JSON: nested too deeply"),
        ("state/_METADATA", b"[]", "state/_METADATA holds no JSON object but a list"),
    ],
)
def test_a_metadata_file_that_cannot_be_used_is_a_problem(path, content, problem):
    found = only(LAYOUT, STEP | {path: content})
    assert (found.problems, found.missing) == ((problem,), ())
    assert found.members == ("assets/droid/norm_stats.json", *MEMBERS)


def tree(*paths, value_type="jax.Array", **more):
    entries = {
        str(path): {
            "key_metadata": [{"key": key, "key_type": 2} for key in path],
            "value_metadata": {"value_type": value_type, "skip_deserialize": False, "write_shape": [8, 8]},
        }
        for path in paths
    }
    return json.dumps({"tree_metadata": entries, "use_ocdbt": False, "use_zarr3": False} | more).encode()


def test_zarr_items_have_a_folder_for_each_array():
    files = {"_METADATA": tree(("params", "w"), ("a",)), "params.w/.zarray": 9, "params.w/0.0": 80, "a/.zarray": 9}
    found = only(LAYOUT, files)
    assert found.members == ("a/.zarray", "params.w/.zarray", "params.w/0.0")
    assert (found.missing, found.may_be_empty) == ((), frozenset())
    assert only(LAYOUT, without(files, "a/.zarray")).missing == (Missing("a/.zarray", "_METADATA"),)
    nested = {"_METADATA": tree(("linear/w",)), "linear/w/.zarray": 9}
    assert only(LAYOUT, nested).missing == ()
    newer = without(files, "a/.zarray") | {"_METADATA": tree(("a",), use_zarr3=True)}
    assert only(LAYOUT, newer).missing == (Missing("a/zarr.json", "_METADATA"),)
    assert only(LAYOUT, {"_METADATA": tree(("epoch",), value_type="scalar")}).missing == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (tree(("..",)), "_METADATA names .., which is no path inside the folder"),
        (tree(("a/../b",)), "_METADATA names a/../b, which is no path inside the folder"),
        (b'{"tree_metadata": {"a": 1}}', "_METADATA holds a tree that does not name its arrays"),
        (b'{"tree_metadata": {"a": {"key_metadata": 1}}}', "_METADATA holds a tree that does not name its arrays"),
    ],
)
def test_a_tree_that_cannot_be_used_is_a_problem(content, problem):
    assert only(LAYOUT, {"_METADATA": content}).problems == (problem,)


def test_the_mark_that_each_item_is_committed_closes_it():
    found = only(LAYOUT, STEP | {"state/commit_success.txt": 40})
    assert found.members == ("assets/droid/norm_stats.json", *MEMBERS)
    assert found.indexes == (
        "state/_METADATA",
        "state/commit_success.txt",
        "state/manifest.ocdbt",
        "_CHECKPOINT_METADATA",
    )


@pytest.mark.parametrize(
    "files",
    [
        {"_METADATA": b'{"a": 1}'},
        {"manifest.ocdbt": 5, "d/0": 5},
        {"commit_success.txt": 0},
        {"100/_CHECKPOINT_METADATA": 5},
        {"checkpoint": 5},
    ],
)
def test_other_folders_hold_no_orbax_checkpoint(files):
    assert recognise(LAYOUT, files) == []

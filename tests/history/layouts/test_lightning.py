"""Lightning: every .ckpt file is a model; a folder of shards is one that closes with meta.pt."""

import pytest

from artifact_store.history.layouts import dcp
from artifact_store.history.layouts.lightning import LAYOUT
from artifact_store.history.sets import Missing, ModelSet
from tests.history.layouts.bucket import only, recognise, recognise_reading
from tests.history.layouts.torch_names import dumped, metadata

MAP = dumped(metadata([("w", "__0_0.distcp", 0, 640), ("w", "__1_0.distcp", 0, 640)]))
SHARDED = {".metadata": MAP, "__0_0.distcp": 640, "__1_0.distcp": 640, "meta.pt": 80}
FOLDER = "runs/7/epoch=3-step=100.ckpt/"


def test_every_ckpt_file_is_a_model_of_its_own_and_nothing_is_read():
    files = {"epoch=3-step=100.ckpt": 9_000, "last.ckpt": 9_000, "hparams.yaml": 20, "": 0}
    sets, asked = recognise_reading(LAYOUT, files)
    assert sets == [
        ModelSet(
            layout="lightning",
            prefix="models/m/",
            name="epoch=3-step=100",
            members=("epoch=3-step=100.ckpt",),
        ),
        ModelSet(layout="lightning", prefix="models/m/", name="last", members=("last.ckpt",)),
    ]
    assert asked == []


def test_two_files_called_last_are_said_since_the_time_decides_which_is_loaded():
    files = {"last.ckpt": 9_000, "last-v1.ckpt": 9_000, "last-best.ckpt": 9_000}
    warning = 'last-v1.ckpt, last.ckpt stand side by side: ckpt_path="last" loads the one that was modified last'
    assert {found.name: found.warnings for found in recognise(LAYOUT, files)} == {
        "last": (warning,),
        "last-v1": (warning,),
        "last-best": (),
    }


@pytest.mark.parametrize("prefix", [FOLDER, "models/m/"])
def test_a_folder_of_shards_closes_with_meta_pt(prefix):
    assert recognise(LAYOUT, SHARDED, prefix) == [
        ModelSet(
            layout="lightning",
            prefix=prefix,
            members=("__0_0.distcp", "__1_0.distcp"),
            indexes=(".metadata", "meta.pt"),
            least={"__0_0.distcp": 640, "__1_0.distcp": 640},
            parts={"": ("__0_0.distcp", "__1_0.distcp", ".metadata", "meta.pt")},
        )
    ]
    assert recognise(dcp.LAYOUT, SHARDED, prefix) == []


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        (["meta.pt"], (Missing("meta.pt", ".metadata"),)),
        (["__1_0.distcp"], (Missing("__1_0.distcp", ".metadata"),)),
        ([".metadata"], (Missing(".metadata", "__0_0.distcp"),)),
        ([".metadata", "meta.pt"], (Missing(".metadata", "__0_0.distcp"), Missing("meta.pt", "__0_0.distcp"))),
    ],
)
def test_what_a_cut_folder_lacks_is_missing(gone, missing):
    files = {path: content for path, content in SHARDED.items() if path not in gone}
    assert only(LAYOUT, files, FOLDER).missing == missing
    assert recognise(dcp.LAYOUT, files, FOLDER) == []


def test_a_folder_without_shards_is_none():
    assert recognise(LAYOUT, {"meta.pt": 80}) == []
    assert recognise(LAYOUT, {"config.yaml": 80}, FOLDER) == []


def test_shards_that_no_name_claims_for_lightning_are_left_to_plain_checkpoints():
    files = {path: content for path, content in SHARDED.items() if path != "meta.pt"}
    assert recognise(LAYOUT, files) == []
    assert only(dcp.LAYOUT, files).missing == ()

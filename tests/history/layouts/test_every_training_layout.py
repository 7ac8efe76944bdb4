"""What holds of the layouts of training frameworks, whatever lies in a folder and whatever its files say."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artifact_store.history.layouts import LAYOUTS
from tests.formats.bundles import index
from tests.history.layouts.bucket import recognise
from tests.history.layouts.torch_names import dumped, metadata

NAMES = [
    "", ".metadata", "__0.metadata", "__1.metadata", "__3.metadata", "__0_0.distcp", "__1_0.distcp", "__3_1.distcp",
    "x.metadata", "x.distcp", "meta.pt", "common.pt", "metadata.json", "last.ckpt", "last-v1.ckpt", "epoch=3.ckpt",
    "latest", "latest_universal", "zero_to_fp32.py", "global_step100/mp_rank_00_model_states.pt", "global_step1000/",
    "mp_rank_00_model_states.pt", "zero_pp_rank_3_mp_rank_01_optim_states.pt", "zero/w/fp32.pt",
    "bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt", "zero_pp_rank_0_mp_rank_00_model_states.pt",
    "layer_3_expert_5_mp_rank_00_model_states.pt", "layer_02-model_01-model_states.pt",
    "latest_checkpointed_iteration.txt", "iter_0000100/mp_rank_00/model_optim_rng.pt", "iter_0000200/",
    "mp_rank_00/model_optim_rng.pt", "mp_rank_01_002/distrib_optim.pt", "mp_rank_00_001/", "mp_rank_\x1b/x.pt",
    "orbax.checkpoint", "_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt", "commit_success.txt", "_sharding",
    "state/_METADATA", "state/manifest.ocdbt", "state/ocdbt.process_2/d/0", "ocdbt.process_1/manifest.ocdbt",
    "state/d/0", "d/", "\x1b[2J/_METADATA", "state.orbax-checkpoint-tmp-1/d/0", "checkpoint", "saved_model.pb",
    "fingerprint.pb", "variables/variables.index", "variables/variables.data-00001-of-00003", "assets/", "assets/a",
    "ckpt-1.index", "ckpt-1.data-00000-of-00002", "ckpt-1.data-00001-of-00001", "\x1b[2J.data-00000-of-00001",
    "ab/cdefabcdefabcdefabcdefabcdefab.dir", "d4/1d8cd98f00b204e9800998ecf8427e", "00/11", "ff/",
]  # fmt: skip
PATHS = st.sampled_from(
    [*NAMES, "/etc/passwd", "../x", "a/../../b", "x" * 2000, "\x1b[2J", "global_step1000", "ckpt-1"]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | PATHS
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PATHS, inner, max_size=3))
SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "item_handlers": st.dictionaries(PATHS, st.just("PyTreeHandler")) | VALUES,
        "commit_timestamp_nsecs": PLAIN,
        "tree_metadata": VALUES,
        "use_ocdbt": PLAIN,
        "sharded_backend": st.just("torch_dist") | VALUES,
        "common_backend": VALUES,
    },
)
MAPS = st.lists(st.tuples(st.just("w"), PATHS, st.integers(-1, 2**65), st.integers(0, 99)), max_size=4).map(
    lambda pieces: dumped(metadata(pieces))
)
INDEXES = st.integers(0, 5).map(lambda shards: index([("w", min(shards, 2), 0, 9)], shards=shards))
POINTERS = PATHS.map(lambda path: path.encode()) | PATHS.map(lambda path: f'model_checkpoint_path: "{path}"'.encode())
TREES = st.lists(
    st.fixed_dictionaries({"md5": st.sampled_from(["d41d8cd98f00b204e9800998ecf8427e", "0" * 32]) | PLAIN}), max_size=4
).map(lambda tree: json.dumps(tree).encode())
CONTENTS = (
    st.binary(max_size=50) | SHAPES.map(lambda value: json.dumps(value).encode()) | MAPS | INDEXES | POINTERS | TREES
)
FOLDERS = st.dictionaries(st.sampled_from(NAMES), CONTENTS, max_size=12)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(FOLDERS, st.sampled_from(["", "m/", "run/epoch=3.ckpt/", "store/files/md5/", "m/100.orbax-checkpoint-tmp-1/"]))
def test_a_set_speaks_of_files_that_are_there_once_each_and_of_missing_that_are_not(files, prefix):
    for layout in LAYOUTS:
        for found in recognise(layout, files, prefix):
            spoken = (*found.paths, *found.leftovers)
            assert sorted(set(spoken)) == sorted(spoken), f"{layout.name} names a file twice"
            assert set(spoken) <= files.keys(), f"{layout.name} names a file that is not there"
            assert spoken or found.missing or found.warnings, f"{layout.name} finds a set of nothing"
            assert not {gone.path for gone in found.missing} & files.keys(), f"{layout.name} misses what is there"
            assert {gone.named_by for gone in found.missing} <= files.keys()
            assert set(found.least) | (found.may_be_empty - {*found.indexes}) <= set(found.members)
            assert found.prefix == prefix
            for text in (*found.problems, *found.warnings):
                assert text.isprintable(), f"{layout.name} hands a terminal what moves its cursor"
                assert len(text) < 1000
            for gone in found.missing:
                assert not gone.path.startswith("/")
                assert ".." not in gone.path.split("/")

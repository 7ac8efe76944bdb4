"""Models on the command line, on real servers: shown whole or not, refused or brought back whole, pinned and compared."""

import json

import numpy as np
import pytest
import time_machine
from safetensors.numpy import save

from artifact_store.cli import main
from artifact_store.history.instant import show
from tests.servers.conftest import new_bucket
from tests.servers.story import STORED, Story
from tests.servers.worlds import next_second

FIRST, CUT, THIRD = STORED, STORED + 7200, STORED + 14_400
"""Seconds at which saves begin: a whole one, one that is cut off after a shard, a whole one. Each file takes one."""
SHARDS = [f"llama/model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
INDEX, CONFIG = "llama/model.safetensors.index.json", "llama/config.json"
AT_CUT = "2026-05-04T16:00:00Z"
FIRST_WHOLE, THIRD_WHOLE = "2026-05-04T15:29:59Z", "2026-05-04T17:30:03Z"
UNET, WEIGHTS = "diffusion_pytorch_model.safetensors", save({"t": np.full(8, 1, np.float32)})
MIXED = (
    "files of two saves: the one that began at 2026-05-04T15:30:00Z wrote model-00001-of-00003.safetensors, but not "
    "model-00002-of-00003.safetensors and model-00003-of-00003.safetensors; a push that was cut off, or an uploader that "
    "skips unchanged files, looks like this"
)


def files(step, dtype=np.float32):
    """The files of a save, in the order they are written; the third is written last by the index."""
    shards = {key: save({f"t{n}": np.full(8, step, dtype)}) for n, key in enumerate(SHARDS)}
    places = {f"t{n}": key.rpartition("/")[2] for n, key in enumerate(SHARDS)}
    index = json.dumps({"metadata": {"total_size": 96}, "weight_map": places}).encode()
    return {**shards, INDEX: index, CONFIG: b'{"hidden_size": 8}'}


@pytest.fixture
def story(moto):
    story = Story(moto, new_bucket(moto))
    for second, (key, body) in enumerate(files(1).items()):
        story.put(FIRST + second, key, body)
    story.put(CUT, SHARDS[0], files(2)[SHARDS[0]])
    for second, (key, body) in enumerate(files(3).items()):
        if key != CONFIG:
            story.put(THIRD + second, key, body)
    story.put(STORED, "notes.txt", b"no model")
    return story


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def address(story):
    return f"s3://{story.bucket}/llama"


def test_models_are_listed_each_with_its_condition_and_the_instants_at_which_it_is_whole(run, story):
    code, out, err = run("models", f"s3://{story.bucket}", "--at", AT_CUT)
    assert (code, out.splitlines()) == (
        0,
        [
            "incomplete 2026-05-04T15:30:00Z     480 B  transformers llama/",
            f"           {MIXED}",
            f"           newest whole at or before: {FIRST_WHOLE}; first whole after: {THIRD_WHOLE}",
        ],
    )
    assert err == f"1 model in s3://{story.bucket}/ at {AT_CUT}, 0 of them whole\n"
    code, out, err = run("models", f"s3://{story.bucket}/llama")
    assert (code, out) == (0, "whole      2026-05-04T17:30:03Z     480 B  transformers llama/\n")
    assert err.endswith(", 1 of them whole\n")


def test_models_in_json_have_stable_fields(run, address):
    code, out, _ = run("models", address, "--at", AT_CUT, "--json")
    assert code == 0
    assert json.loads(out) == {
        "layout": "transformers",
        "prefix": "llama/",
        "name": "",
        "condition": "incomplete",
        "reasons": [MIXED],
        "warnings": [],
        "files": 5,
        "size": 480,
        "saved": "2026-05-04T15:30:00Z",
        "before": FIRST_WHOLE,
        "after": THIRD_WHOLE,
    }


def test_where_there_is_no_model_that_is_said(run, story):
    code, out, err = run("models", f"s3://{story.bucket}/notes.txt")
    assert (code, out) == (0, "")
    assert err.startswith("no model of a known layout in s3://")


def test_the_saves_of_a_model_are_a_timeline(run, address):
    code, out, _ = run("log", address, "--models")
    bars = {"whole": "█" * 24, "incomplete": "▒" * 4}
    assert (code, out.splitlines()) == (
        0,
        [
            "llama/ (transformers)",
            f"  2026-05-04T13:30:04Z  {bars['whole']}  whole: 4 files written, 462 B, in 4 s",
            f"  2026-05-04T15:30:00Z  {bars['incomplete']:<24}  incomplete: 1 file written, 96 B, 1 overwritten",
            f"    {MIXED}",
            f"  2026-05-04T17:30:03Z  {bars['whole']}  whole: 4 files written, 462 B, in 3 s, 4 overwritten",
        ],
    )
    code, out, _ = run("log", address, "--models", "--json", "--since", "2026-05-04T15:00:00Z", "--until", AT_CUT)
    (record,) = map(json.loads, out.splitlines())
    assert (record["start"], record["end"], record["files"], record["condition"]) == (
        "2026-05-04T15:30:00Z",
        "2026-05-04T15:30:00Z",
        1,
        "incomplete",
    )


def test_a_restore_to_what_is_no_model_is_refused_and_writes_nothing(run, story, address):
    before = story.everything()
    code, out, err = run("restore", address, "--at", AT_CUT, "--yes")
    assert (code, out) == (4, "")
    assert err.splitlines() == [
        f"error: llama/ (transformers) is incomplete at {AT_CUT}: {MIXED}",
        f"error:   newest whole at or before: {FIRST_WHOLE}; first whole after: {THIRD_WHOLE}",
        "error: nothing was written; restore to one of these instants, or add --nearest-complete to take each model's newest "
        "whole save at or before T, or --as-is to restore exactly T",
    ]
    assert story.everything() == before


def test_the_nearest_whole_save_comes_back_and_who_may_hold_old_bytes_is_told(run, story, address):
    code, _, err = run("restore", address, "--at", AT_CUT, "--nearest-complete", "--yes")
    assert code == 0
    assert story.contents("llama/") == files(1)
    told = err.splitlines()
    assert "  whole           1 model  brought back member by member, what lists them last" in told
    assert f"  llama/ as it was at {FIRST_WHOLE}, when it was whole last" in told
    assert told.index("verified: 5 keys as the plan says, 3 headers of models read") < told.index(
        "who may still hold the old bytes, and what to run:"
    )
    assert f"    aws s3 sync {address}/ DIR --exact-timestamps --endpoint-url {story.server.endpoint}" in told


def test_files_of_another_save_that_were_there_at_t_are_told_and_stay(run, story, address):
    orphan = "model-00001-of-00009.safetensors"
    story.put(STORED - 100_000, f"llama/{orphan}", files(9)[SHARDS[0]])
    code, out, err = run("restore", address, "--at", FIRST_WHOLE, "--yes", "--json")
    assert code == 0
    told = (
        f"1 shards beside model.safetensors.index.json belong to another save ({orphan} is the first): a reader that takes "
        "every .safetensors file loads them too"
    )
    assert f"  note: llama/: {told}" in err.splitlines()
    (model,) = json.loads(out)["models"]
    assert (model["condition"], model["reasons"], model["warnings"]) == ("whole", [], [told])
    assert story.contents("llama/") == {**files(1), f"llama/{orphan}": files(9)[SHARDS[0]]}


@pytest.mark.parametrize("deleted", [False, True])
def test_a_pointer_to_a_training_state_that_is_gone_is_told_by_all_who_show_the_model(run, story, deleted):
    """Whether the state was deleted, or was never copied here."""
    put = story.put
    for second, (path, body) in enumerate({"model.safetensors": WEIGHTS, "latest": b"global_step7"}.items()):
        put(FIRST + second, f"run/{path}", body)
    if deleted:
        put(FIRST + 1, "run/global_step7/mp_rank_00_model_states.pt", b"\x80\x02}.")
        story.delete(FIRST + 3600, "run/global_step7/mp_rank_00_model_states.pt")
    put(CUT, "run/model.safetensors", b"spoiled")
    told = "latest names global_step7, which is not there: training can go on from the weights beside it alone"
    address, at = f"s3://{story.bucket}/run", show(CUT - 1)
    code, out, _ = run("models", address, "--at", at)
    assert (code, out.count("whole "), out.count(f"note: {told}\n")) == (0, 2, 1)
    code, _, err = run("restore", address, "--at", at, "--yes")
    assert (code, err.count(f"  note: run/latest: {told}\n")) == (0, 1)
    assert story.contents("run/") == {"run/latest": b"global_step7", "run/model.safetensors": WEIGHTS}
    # Where there is nothing to do it is told all the same.
    code, _, err = run("restore", address, "--at", at, "--yes")
    assert (code, err.count("global_step7")) == (0, 1)


def test_where_nothing_is_to_do_a_broken_model_is_named_all_the_same(run, story, address):
    story.delete(THIRD + 100, SHARDS[1])
    code, _, err = run("restore", address, "--at", "0s", "--yes")
    assert code == 0
    told = err.splitlines()
    assert told[-3] == "nothing to do: it is as it was"
    assert told[-2].startswith(
        "warning: llama/ (transformers) is incomplete: model-00002-of-00003.safetensors is not there"
    )
    assert told[-1] == "  newest whole at or before: 2026-05-04T17:31:39Z; never whole after; see --nearest-complete"
    code, _, err = run("restore", address, "--at", "0s", "--nearest-complete", "--yes")
    assert (code, story.contents("llama/")) == (0, {**files(3), CONFIG: files(1)[CONFIG]})


def test_a_model_whose_index_is_archived_names_thaw_as_the_way_out_and_goes_it(run, story, moto, address):
    with time_machine.travel(FIRST + 10, tick=False):
        moto.boto().put_object(Bucket=story.bucket, Key=INDEX, Body=files(1)[INDEX], StorageClass="GLACIER")
    before = story.everything()
    at = show(FIRST + 3600)
    code, _, err = run("restore", address, "--at", at, "--yes")
    assert (code, err.splitlines()[-1]) == (
        4,
        "error: nothing was written; add --thaw to have S3 make these files readable, which writes nothing, and restore "
        "again after that",
    )
    code, _, err = run("restore", address, "--at", at, "--yes", "--thaw")
    assert code == 3
    assert "  note: 1 file of llama/ must be thawed before it can be judged" in err.splitlines()
    assert err.splitlines()[-1].startswith("asked S3 to make 1 version readable, which takes 3 to 5 hours from GLACIER")
    assert story.everything() == before


def test_exactly_t_comes_back_where_that_is_asked(run, story, address):
    code, _, err = run("restore", address, "--at", AT_CUT, "--as-is", "--yes")
    assert code == 0
    assert story.contents("llama/") == {**files(1), SHARDS[0]: files(2)[SHARDS[0]]}
    assert f"  warning: llama/ (transformers) comes back incomplete, as asked: {MIXED}" in err.splitlines()


def test_contradictions_are_refused(run, address, tmp_path):
    assert run("restore", address, "--at", AT_CUT, "--as-is", "--nearest-complete", "--yes")[0] == 2
    assert run("diff", address, "--at", AT_CUT, "--and", "1h")[0] == 2
    assert run("restore", address, "--lock", tmp_path / "x", "--yes")[0] == 2
    assert run("restore", "--yes")[0] == 2
    assert run("verify")[0] == 2


def test_a_locked_model_is_had_again_whatever_came_after(run, story, address, tmp_path):
    lock = tmp_path / "model.lock.json"
    code, _, err = run("lock", address, "--at", FIRST_WHOLE, "-o", lock)
    assert (code, err) == (0, f"5 files, 480 B, 1 model of {address} locked in {lock}\n")
    assert run("verify", "--lock", lock)[2] == "verified: 5 locked versions there, as they were locked\n"
    code, _, err = run("get", "--lock", lock, "-o", tmp_path / "out")
    assert code == 0
    there = {f"llama/{path.name}": path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert there == files(1)
    story.put(THIRD + 100, "llama/stray.bin", b"?")
    part = run("restore", "--lock", lock, "--exclude", "config.json", "--yes")
    told = "a lock file is restored as a whole; leave --include and --exclude out, or lock less"
    assert part == (2, "", f"error: {told}\n")
    code, _, err = run("restore", "--lock", lock, "--yes")
    assert (code, story.contents("llama/")) == (0, files(1))
    story.server.boto().delete_object(Bucket=story.bucket, Key=SHARDS[0], VersionId=story.ids[SHARDS[0]][0])
    gone = story.ids[SHARDS[0]][0]
    code, _, err = run("verify", "--lock", lock)
    assert code == 3
    assert f"  {SHARDS[0]}: version {gone} is gone" in err.splitlines()
    code, _, err = run("restore", "--lock", lock, "--yes")
    assert code == 4
    assert err.startswith(f"error: the locked version {gone} of {SHARDS[0]} is gone; ")


def test_a_lock_file_is_written_whole_and_over_another_only_when_told(run, address, tmp_path):
    lock = tmp_path / "model.lock.json"
    lock.write_text("mine")
    words = ("lock", address, "--at", FIRST_WHOLE, "-o", lock)
    assert run(*words) == (4, "", f"error: {lock} exists; add --force to write over it\n")
    assert lock.read_text() == "mine"
    assert run(*words, "--force")[0] == 0
    assert run("verify", "--lock", lock)[0] == 0
    assert run(*words[:-1], "-")[1] == lock.read_text()
    assert list(tmp_path.iterdir()) == [lock]


@pytest.mark.parametrize(("out", "shown"), [("", "''"), ("-", "-"), ("/dev/stdout", "/dev/stdout")])
def test_the_many_files_of_a_lock_go_into_a_folder(run, address, tmp_path, monkeypatch, out, shown):
    monkeypatch.chdir(tmp_path)
    assert run("lock", address, "--at", FIRST_WHOLE, "-o", "x.lock")[0] == 0
    told = f"error: -o {shown}: --lock writes many files; name a folder, as in -o DIR\n"
    assert run("get", "--lock", "x.lock", "-o", out) == (2, "", told)
    assert [path.name for path in tmp_path.iterdir()] == ["x.lock"]


def test_a_folder_that_get_cannot_write_is_told_with_its_own_option(run, address, tmp_path):
    lock = tmp_path / "x.lock"
    assert run("lock", address, "--at", FIRST_WHOLE, "-o", lock)[0] == 0
    told = "error: cannot write into /etc/passwd/x: /etc/passwd: Not a directory; name a folder you can write with -o\n"
    assert run("get", "--lock", lock, "-o", "/etc/passwd/x") == (4, "", told)


def test_only_a_whole_model_is_locked(run, address, tmp_path):
    lock = tmp_path / "lock"
    code, _, err = run("lock", address, "--at", AT_CUT, "-o", lock)
    assert (code, lock.exists()) == (4, False)
    assert "lock one of these instants, or add --as-is to lock exactly T" in err
    code, _, err = run("lock", address, "--at", AT_CUT, "-o", lock, "--as-is")
    told = [
        f"warning: llama/ (transformers) is locked incomplete, as asked: {MIXED}",
        f"5 files, 480 B, 1 model of {address} locked in {lock}",
    ]
    assert (code, err.splitlines()) == (0, told)


def test_lock_says_of_its_own_options_what_they_do_to_a_lock(run):
    code, out, _ = run("lock", "--help")
    assert (code, "Restore exactly" in out, "Lock exactly T" in out) == (0, False, True)


@pytest.mark.parametrize(
    ("part", "files", "size", "title", "of"),
    [
        (f"/{SHARDS[1]}", 1, 96, "llama/ (transformers, whole at T)", 5),
        ("/llama/model-*", 3, 288, "llama/ (transformers, whole at T)", 5),
        ("/pipe/unet", 2, 98, "pipe/pipeline (diffusers, whole at T)", 3),
        ("/pipe/unet/config.json", 1, 2, "pipe/pipeline (diffusers, whole at T)", 3),
    ],
)
def test_who_locks_a_part_of_a_model_is_told_of_which(run, story, tmp_path, part, files, size, title, of):
    """A folder that is a model by itself may be a part of another."""
    index = b'{"_class_name": "P", "unet": ["diffusers", "UNet2DConditionModel"]}'
    for path, body in (("model_index.json", index), ("unet/config.json", b"{}"), ("unet/" + UNET, WEIGHTS)):
        story.put(FIRST, f"pipe/{path}", body)
    address, out = f"s3://{story.bucket}{part}", tmp_path / "lock"
    code, told, err = run("lock", address, "--at", FIRST_WHOLE, "-o", out, "--json")
    prefix = title.partition("/")[0]
    whole = f"lock s3://{story.bucket}/{prefix}/ to pin them all"
    told = json.loads(told)
    assert (code, told["files"], told["size"]) == (0, files, size)
    assert f"warning: this pins only {files} of the {of} files of {title}; {whole}\n" in err
    assert [(one["prefix"], one["condition"], one["pinned"]) for one in told["part_of"] if one["files"] == of] == [
        (f"{prefix}/", "whole", files)
    ]
    assert run("verify", "--lock", out)[0] == 0


@pytest.mark.parametrize("part", [f"/{SHARDS[1]}", "/llama/model-*"])
def test_a_part_of_what_is_no_model_is_locked_only_when_that_is_asked(run, story, tmp_path, part):
    words = ("lock", f"s3://{story.bucket}{part}", "--at", AT_CUT, "-o", tmp_path / "lock")
    code, _, err = run(*words)
    assert (code, (tmp_path / "lock").exists()) == (4, False)
    assert err.startswith(f"error: llama/ (transformers) is incomplete at {AT_CUT}: {MIXED}\n")
    assert "lock one of these instants, or add --as-is to lock exactly T" in err
    code, _, err = run(*words, "--as-is")
    assert code == 0
    assert "of llama/ (transformers, incomplete at T); lock " in err
    assert "as asked" not in err


def test_a_model_of_one_file_is_judged_and_no_other_that_lies_beside_it(run, story, tmp_path):
    for name in ("one", "two"):
        story.put(FIRST, f"loose/{name}.keras", b"?")
    address, out = f"s3://{story.bucket}/loose/one.keras", tmp_path / "lock"
    code, _, err = run("lock", address, "--at", FIRST_WHOLE, "-o", out)
    assert (code, err.count(" is incomplete at "), err.startswith("error: loose/one.keras (keras) is")) == (4, 1, True)
    code, _, err = run("lock", address, "--at", FIRST_WHOLE, "-o", out, "--as-is")
    told = err.splitlines()
    assert (code, told[1:]) == (0, [f"1 file, 1 B, 1 model of {address} locked in {out}"])
    assert told[0].startswith("warning: loose/one.keras (keras) is locked incomplete, as asked: ")


def test_a_hold_is_put_on_each_version_where_the_bucket_allows_it(run, story, moto, address, tmp_path):
    code, _, err = run("lock", address, "--at", FIRST_WHOLE, "-o", tmp_path / "lock", "--hold")
    failed = f"error: the lock file is written, but nothing could be held: {story.bucket} has no object lock; "
    assert (code, err) == (3, f"{failed}no lifecycle rule of it removes versions\n")
    boto, bucket = moto.boto(), f"{story.bucket}-held"
    removes = {"NoncurrentDays": 30}
    rules = [
        {"ID": "moves", "Status": "Enabled", "Filter": {"Prefix": "llama/"}},
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "llama/"}, "NoncurrentVersionExpiration": removes},
        {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": removes},
        {"ID": "other", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "NoncurrentVersionExpiration": removes},
    ]
    rules[0]["NoncurrentVersionTransitions"] = [{"NoncurrentDays": 7, "StorageClass": "GLACIER_IR"}]
    boto.put_bucket_lifecycle_configuration(Bucket=story.bucket, LifecycleConfiguration={"Rules": rules})
    words = ("lock", address, "--at", FIRST_WHOLE, "-o", tmp_path / "lock", "--hold", "--force")
    assert run(*words) == (3, "", f"{failed}versions that are not current go after 30 days by rule old\n")
    boto.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    held = Story(moto, bucket)
    for second, (key, body) in enumerate(files(1).items()):
        held.put(FIRST + second, key, body)
    code, _, err = run("lock", f"s3://{bucket}/llama", "--at", FIRST_WHOLE, "-o", tmp_path / "held", "--hold")
    assert (code, err.splitlines()[-1]) == (0, "5 versions under legal hold until someone takes it off")
    for key, (version,) in held.ids.items():
        found = boto.get_object_legal_hold(Bucket=bucket, Key=key, VersionId=version)
        assert found["LegalHold"]["Status"] == "ON"


def test_what_changed_inside_a_model_is_told_from_headers(run, story, address):
    story.put(THIRD + 200, SHARDS[2], save({"t2": np.zeros((2, 4), np.float16), "new": np.zeros(1, np.float32)}))
    code, out, err = run("diff", address, "--tensors", "--at", FIRST_WHOLE, "--exit-code")
    assert (code, out.splitlines()) == (
        1,
        [
            "+ new  F32 [1]",
            "~ t2  F32 [8] → F16 [2, 4]",
            *(f"~ {key.rpartition('/')[2]}  (other bytes)" for key in SHARDS),
        ],
    )
    assert "1 added, 0 gone, 1 reshaped, 1 retyped; files: 0 added, 0 gone, 3 with other bytes" in err
    code, out, _ = run("diff", address, "--tensors", "--at", FIRST_WHOLE, "--and", FIRST_WHOLE, "--exit-code")
    assert (code, out) == (0, "")
    code, _, err = run("diff", address, "--tensors", "--at", THIRD_WHOLE, "--and", FIRST_WHOLE)
    told = f"--at {THIRD_WHOLE} ({THIRD_WHOLE}) lies after --and {FIRST_WHOLE} ({FIRST_WHOLE}); exchange the two"
    assert (code, err) == (2, f"error: {told}\n")
    code, _, err = run("diff", f"{address}x", "--tensors", "--at", FIRST_WHOLE, "--and", FIRST_WHOLE)
    told = f"nothing was in {address}x at {FIRST_WHOLE}, nor at {FIRST_WHOLE}; look at the times and at the spelling of bucket"
    assert (code, err) == (4, f"error: {told} and prefix\n")
    out = run("diff", address, "--tensors", "--at", FIRST_WHOLE, "--json")[1]
    assert json.loads(out.splitlines()[0]) == {
        "tensor": "new",
        "change": "added",
        "before": None,
        "after": {"dtype": "F32", "shape": [1]},
    }


def test_a_push_under_way_on_a_server_that_keeps_the_order_is_seen_and_the_model_before_it_comes_back(weed, capsys):
    """Takes 3 s: its clock cannot be moved, and three instants must differ."""
    boto = weed.boto()
    bucket, times = new_bucket(weed), []
    order = [*SHARDS, INDEX, CONFIG]
    for step, part in ((1, order), (2, order[:2]), (2, order[2:4])):
        for key in part:
            boto.put_object(Bucket=bucket, Key=key, Body=files(step)[key])
        times.append(int(boto.head_object(Bucket=bucket, Key=part[-1])["LastModified"].timestamp()))
        next_second()
    arguments = [f"s3://{bucket}/llama", "--at", f"@{times[1]}", "--endpoint-url", weed.endpoint, "--yes"]
    assert main.run(["restore", *arguments]) == 4
    assert "llama/ (transformers) is mid-save at " in capsys.readouterr().err
    assert main.run(["restore", *arguments, "--nearest-complete"]) == 0
    found = {key: boto.get_object(Bucket=bucket, Key=key)["Body"].read() for key in order}
    assert found == files(1)

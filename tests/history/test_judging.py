"""What a verdict says beside the plain cases: of indexes, parts, configs, archives, pointers, and what was not checked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from artifact_store.errors import S3Error
from artifact_store.history import models
from artifact_store.history.listing import list_histories
from artifact_store.history.models import Candidate, Finder, Verdict, assess, identity, survey
from artifact_store.history.scope import parse_scope
from artifact_store.history.sets import Folder, ModelSet, Reading
from artifact_store.history.verdict import Condition
from artifact_store.s3 import operations as op
from tests.history.trainer import PREFIX, T0, Trainer
from tests.model_files import KINDS, archive, hf_sharded, safetensors
from tests.restore.memory import MemoryS3

BY_NAME = {kind.name: kind for kind in KINDS}
LATER = T0 + 90_000
AT = "1970-01-12T13:46"


def saved(name: str, *steps: int, in_parts: bool = False) -> Trainer:
    """A model of this kind, saved at T0, T0 + 10,000, …"""
    trainer = Trainer(BY_NAME[name], r".*", in_parts=in_parts)
    for number, step in enumerate(steps):
        trainer.save(step, T0 + 10_000 * number)
    return trainer


def candidates(s3: MemoryS3, *, where: str = "s3://bkt") -> list[Candidate]:
    finder = Finder(parse_scope(where))
    found: list[Candidate] = []
    for history in list_histories(s3, "bkt"):
        found += finder.see(history, written=True)
    return found + list(finder.end())


def judged(s3: MemoryS3, instant: float = LATER, prefix: str = PREFIX) -> Verdict:
    """The first set of the folder at the prefix; a set with members before a pointer."""
    (candidate,) = [one for one in candidates(s3) if one.prefix == prefix]
    (found,) = s3.run([assess("bkt", candidate, instant)])
    return max(found, key=lambda verdict: len(verdict.found.members))


def put(s3: MemoryS3, path: str, data: bytes, second: int, **more: object) -> None:
    s3.put(PREFIX + path, data, time=second, **more)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("dcp", ".metadata"),
        ("lightning_sharded", "last.ckpt/meta.pt"),
        ("saved_model", "variables/variables.index"),
        ("orbax", "state/manifest.ocdbt"),
        ("orbax", "_CHECKPOINT_METADATA"),
    ],
)
def test_an_old_index_over_new_bytes_is_of_another_save(name: str, index: str) -> None:
    trainer = saved(name, 1)
    for number, (path, data) in enumerate(trainer.files(2).items()):
        if path != index:
            put(trainer.s3, path, data, T0 + 10_000 + number)
    prefix = f"{PREFIX}last.ckpt/" if name == "lightning_sharded" else PREFIX
    verdict = judged(trainer.s3, prefix=prefix)
    assert verdict.condition is Condition.INCOMPLETE
    (reason,) = verdict.reasons
    assert "files of two saves: the one that began at 1970-01-12T16:33:" in reason
    assert f"but not {index.removeprefix('last.ckpt/')};" in reason


def test_an_index_of_one_sharding_that_was_not_uploaded_again_is_no_fault() -> None:
    s3 = MemoryS3()
    put(s3, "config.json", b"{}", T0)
    for number, (path, data) in enumerate(hf_sharded(1, 3).items()):
        put(s3, path, data, T0 + number)
    for number, (path, data) in enumerate(hf_sharded(2, 3).items()):
        if not path.endswith(".json"):
            put(s3, path, data, T0 + 10_000 + number)
    verdict = judged(s3)
    assert (verdict.condition, verdict.warnings) == (Condition.WHOLE, ())


def test_a_component_of_two_saves_breaks_a_pipeline_and_one_replaced_alone_is_said() -> None:
    trainer = saved("diffusers", 1)
    files = trainer.files(2)
    unet = [path for path in files if path.startswith("unet/diffusion")]
    put(trainer.s3, unet[0], files[unet[0]], T0 + 10_000)
    broken = judged(trainer.s3)
    assert (broken.found.name, broken.condition) == ("pipeline", Condition.INCOMPLETE)
    assert f"wrote {unet[0]}, but not {unet[1]} and {unet[2]};" in broken.reasons[0]
    whole = saved("diffusers", 1)
    model_index = json.loads(whole.files(1)["model_index.json"]) | {"vae": ["diffusers", "AutoencoderKL"]}
    put(whole.s3, "model_index.json", json.dumps(model_index).encode(), T0 + 30)
    vae = {"vae/config.json": b"{}", "vae/diffusion_pytorch_model.safetensors": safetensors("v", 1)}
    for path, data in vae.items():
        put(whole.s3, path, data, T0 + 29)
    assert judged(whole.s3).warnings == ()
    put(whole.s3, "vae/diffusion_pytorch_model.safetensors", safetensors("v", 2), T0 + 20_000)
    verdict = judged(whole.s3)
    assert (verdict.condition, verdict.warnings) == (
        Condition.WHOLE,
        (
            f"vae/ was written at 1970-01-12T19:20:00Z, unet/ was written at {AT}:42Z: a part that was replaced alone "
            "or a push that was cut off looks like this",
        ),
    )


def test_an_adapter_whose_config_is_of_another_save_is_said() -> None:
    trainer = saved("peft", 1)
    put(trainer.s3, "adapter_model.safetensors", trainer.files(2)["adapter_model.safetensors"], T0 + 10_000)
    verdict = judged(trainer.s3)
    assert (verdict.condition, verdict.warnings[1:]) == (
        Condition.WHOLE,
        (
            f"adapter_model.safetensors was written at 1970-01-12T16:33:20Z, adapter_config.json was written at {AT}:40Z: "
            "a part that was replaced alone or a push that was cut off looks like this",
        ),
    )


def test_the_flavors_of_an_mlflow_model_are_parts_that_may_be_replaced_alone() -> None:
    s3 = MemoryS3()
    described = b"flavors: {a: {data: one.keras}, b: {model_path: two.keras}}\n"
    put(s3, "MLmodel", described, T0)
    for path in ("one.keras", "two.keras"):
        put(s3, path, BY_NAME["keras"].save(1)["model.keras"], T0 + 1)
    assert (judged(s3).condition, judged(s3).warnings) == (Condition.WHOLE, ())
    put(s3, "two.keras", BY_NAME["keras"].save(2)["model.keras"], T0 + 10_000)
    assert (judged(s3).condition, judged(s3).warnings) == (
        Condition.WHOLE,
        (
            f"two.keras was written at 1970-01-12T16:33:20Z, MLmodel and one.keras were written at {AT}:40Z: a part that "
            "was replaced alone or a push that was cut off looks like this",
        ),
    )


def test_a_config_that_is_newer_than_the_weights_is_said_with_both_times_and_one_brought_back_is_not() -> None:
    trainer = saved("transformers", 1)
    put(trainer.s3, "config.json", b'{"edited": true}', T0 + 10_000)
    put(trainer.s3, "README.md", b"text", T0 + 10_000)
    verdict = judged(trainer.s3)
    assert (verdict.condition, verdict.warnings) == (
        Condition.WHOLE,
        (
            f"config.json was written at 1970-01-12T16:33:20Z, the weights at {AT}:43Z: a config that was edited alone "
            "or a push that was cut off looks like this",
        ),
    )
    put(trainer.s3, "config.json", trainer.files(1)["config.json"], T0 + 20_000)
    assert judged(trainer.s3).warnings == ()


def test_between_a_triton_config_and_its_version_is_inside_a_save() -> None:
    s3 = MemoryS3()
    for step, start in ((1, T0), (2, T0 + 10_000)):
        files = BY_NAME["triton"].save(step)
        for number, path in enumerate(sorted(files, reverse=True)):
            put(s3, path, files[path], start + 10 * number)
    assert max(files) == "config.pbtxt"
    verdict = judged(s3, T0 + 10_005)
    assert (verdict.condition, verdict.reasons) == (
        Condition.MID_SAVE,
        ("a save that began at 1970-01-12T16:33:20Z went on until 1970-01-12T16:33:40Z",),
    )
    assert (verdict.before, verdict.after) == (T0 + 9_999, T0 + 10_020)
    put(s3, "config.pbtxt", b'backend: "onnxruntime" max_batch_size: 4\n', T0 + 30_000)
    assert judged(s3).whole, "a config that is edited alone is no save"


STUBS = {
    b"": "is empty",
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>': "is an XML error of a server (SlowDown)",
    b"<!DOCTYPE html><html></html>": "is an HTML page",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n": "is a git-lfs pointer",
    b'{"model_type": ': "is no JSON",
}


@pytest.mark.parametrize("data", STUBS, ids=STUBS.values())
@pytest.mark.parametrize("path", ["config.json", "tokenizer.json"])
def test_a_config_that_is_none_breaks_the_model(path: str, data: bytes) -> None:
    trainer = saved("transformers", 1)
    put(trainer.s3, path, data, T0 + 20)
    verdict = judged(trainer.s3)
    assert verdict.condition is Condition.INCOMPLETE
    (reason,) = verdict.reasons
    assert reason.startswith(f"{path} {STUBS[data]}")


@pytest.mark.parametrize("data", list(STUBS)[1:], ids=list(STUBS.values())[1:])
def test_a_config_that_a_loader_does_without_is_only_said(data: bytes) -> None:
    trainer = saved("transformers", 1)
    put(trainer.s3, "generation_config.json", data, T0 + 20)
    verdict = judged(trainer.s3)
    assert verdict.whole
    (warning,) = verdict.warnings
    assert warning.startswith(f"generation_config.json {STUBS[data]}")


def test_few_configs_are_read_each_once_and_of_a_large_vocabulary_both_ends() -> None:
    trainer = saved("transformers", 1)
    put(trainer.s3, "tokenizer.json", b'{"model": "' + b"x" * 3_000_000 + b'"}', T0 + 20)
    for number in range(50):
        put(trainer.s3, f"a{number}_processor_config.json", b"{}", T0 + 20)
        put(trainer.s3, f"added_tokens{number}.json", b"{}", T0 + 20)
    trainer.s3.sent.clear()
    assert judged(trainer.s3).whole
    read = [sent for sent in trainer.s3.sent if isinstance(sent, op.GetObject)]
    assert len({sent.key for sent in read}) <= 3 + 1 + models.BESIDE_READ
    assert (
        sum((sent.last or 0) - (sent.first or 0) + 1 for sent in read if sent.key.endswith("tokenizer.json")) < 80_000
    )
    assert len([sent for sent in read if sent.key.endswith("index.json")]) == 1


@pytest.mark.parametrize(("data", "reason"), [(b"", "meta.pt is empty"), (b"PK", "meta.pt ")])
def test_an_index_that_no_layout_reads_is_checked_as_a_member_is(data: bytes, reason: str) -> None:
    trainer = saved("lightning_sharded", 1)
    put(trainer.s3, "last.ckpt/meta.pt", data, T0 + 20)
    verdict = judged(trainer.s3, prefix=f"{PREFIX}last.ckpt/")
    assert verdict.condition is Condition.INCOMPLETE
    assert verdict.reasons[0].startswith(reason)


def test_weights_that_were_not_checked_are_named() -> None:
    trainer = saved("transformers", 1)
    files = trainer.files(1)
    paths = [path for path in files if path.startswith("model-")]
    put(trainer.s3, paths[0], files[paths[0]], T0 + 20, storage_class="GLACIER")

    def denied(operation: op.Operation) -> None:
        if isinstance(operation, op.GetObject) and operation.key.endswith(paths[1]):
            raise op_error()

    trainer.s3.before = denied
    verdict = judged(trainer.s3)
    assert (verdict.condition, verdict.warnings) == (
        Condition.WHOLE,
        (
            f"{paths[0]} is archived, so the content was not checked",
            f"{paths[1]} cannot be read, so the content was not checked",
        ),
    )
    plan = MemoryS3()
    put(plan, "config.pbtxt", b'backend: "tensorrt"\n', T0)
    put(plan, "1/model.plan", b"engine", T0)
    assert judged(plan).warnings == (
        "1/model.plan is of no format that is checked: only names and sizes were looked at",
    )


def test_versions_that_may_not_be_looked_at_leave_open_which_save_they_are_of_and_no_more() -> None:
    s3 = MemoryS3()
    s3.buckets["bkt"].kms = True
    files = hf_sharded(1, 2)
    for number, (path, data) in enumerate(files.items()):
        put(s3, path, data, T0 + number)
    first = next(iter(files))
    put(s3, first, hf_sharded(2, 2)[first], T0 + 10_000)
    put(s3, first, files[first], T0 + 20_000)
    assert judged(s3).whole, "its checksum tells that it is the first again"

    def denied(operation: op.Operation) -> None:
        if isinstance(operation, op.HeadObject):
            raise op_error()

    s3.before = denied
    assert judged(s3).reasons[0].startswith("files of two saves: the one that began at 1970-01-12T19:20:00Z")


def op_error() -> Exception:
    from artifact_store.errors import S3Error

    return S3Error("AccessDenied", status=403, code="AccessDenied")


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("transformers", "model.safetensors.index.json"),
        ("dcp", ".metadata"),
        ("peft", "adapter_config.json"),
        ("onnx_external", "model.onnx"),
        ("diffusers", "unet/diffusion_pytorch_model.safetensors.index.json"),
    ],
)
def test_what_lies_in_an_archive_and_must_be_read_to_judge_is_named_to_be_thawed(name: str, index: str) -> None:
    trainer = saved(name)
    for path, data in trainer.files(1).items():
        archived = {"storage_class": "DEEP_ARCHIVE"} if path == index else {}
        put(trainer.s3, path, data, T0, **archived)
    verdict = judged(trainer.s3)
    assert (verdict.condition, verdict.archived, verdict.thaw_first) == (Condition.INCOMPLETE, (index,), True)
    (reason,) = verdict.reasons
    assert reason.endswith(
        f"{index.removeprefix('unet/')} lies in DEEP_ARCHIVE and must be thawed before the model can be judged (--thaw)"
    )
    trainer.s3.delete(PREFIX + "gone")
    whole = saved(name, 1)
    assert (judged(whole.s3).archived, judged(whole.s3).thaw_first) == ((), False)


def test_an_index_closes_uploads_of_its_own_save_only() -> None:
    s3 = MemoryS3()
    files = hf_sharded(1, 2)
    *shards, index = files
    for path in shards:
        s3.put_parts(PREFIX + path, [files[path][:50], files[path][50:]], began=T0)
    put(s3, index, files[index], T0 + 10)
    for path, data in hf_sharded(2, 2).items():
        if path in shards:
            s3.put_parts(PREFIX + path, [data[:50], data[50:]], began=T0 + 7_000)
    assert judged(s3, T0 + 10).whole
    assert judged(s3, T0 + 7_010).condition is Condition.UNCERTAIN
    put(s3, index, hf_sharded(2, 2)[index], T0 + 7_020)
    assert judged(s3, T0 + 7_020).whole


@pytest.mark.parametrize(("pause", "condition"), [(10, Condition.WHOLE), (1_000, Condition.UNCERTAIN)])
def test_a_triton_config_closes_the_upload_of_its_save_and_one_edited_later_does_not(
    pause: int, condition: Condition
) -> None:
    s3, files = MemoryS3(), BY_NAME["triton"].save(1)
    for path in files:
        if path != "config.pbtxt":
            s3.put_parts(PREFIX + path, [files[path][:50], files[path][50:]], began=T0)
    put(s3, "config.pbtxt", files["config.pbtxt"], T0 + pause)
    assert judged(s3, T0 + 2_000).condition is condition


def test_what_a_deduplicating_uploader_left_out_is_no_fault_where_the_index_came_last_and_is_new() -> None:
    trainer = saved("transformers", 1)
    files = trainer.files(2)
    first, second, *_ = (path for path in files if path.startswith("model-"))
    put(trainer.s3, first, files[first], T0 + 10_000)
    put(trainer.s3, second, files[second], T0 + 10_001)
    assert "or an uploader that skips unchanged files, looks like this" in judged(trainer.s3).reasons[0]
    put(trainer.s3, "model.safetensors.index.json", files["model.safetensors.index.json"], T0 + 10_002)
    assert judged(trainer.s3).whole
    cut = saved("dcp", 1)
    put(cut.s3, "__0_0.distcp", cut.files(2)["__0_0.distcp"], T0 + 10_001)
    put(cut.s3, ".metadata", cut.files(2)[".metadata"], T0 + 10_000)
    assert not judged(cut.s3).whole, "an index that came before the bytes proves nothing"


def test_a_save_that_begins_in_the_second_in_which_another_ended_is_told_from_it() -> None:
    s3 = MemoryS3()
    for number, (path, data) in enumerate(BY_NAME["dcp"].save(1).items()):
        put(s3, path, data, T0 + number)
    for number, (path, data) in enumerate(BY_NAME["dcp"].save(2).items()):
        put(s3, path, data, T0 + 3 + number)
    for instant, condition in {T0 + 2: "mid-save", T0 + 3: "mid-save", T0 + 5: "mid-save", T0 + 6: "whole"}.items():
        assert judged(s3, instant).condition.value == condition, instant
    assert judged(s3, T0 + 6).found.indexes == (".metadata",)


def test_a_write_that_changes_nothing_is_no_save_to_be_inside_of() -> None:
    trainer = saved("dcp", 1)
    for number, (path, data) in enumerate(trainer.files(1).items()):
        put(trainer.s3, path, data, T0 + 20_000 + number)
    assert judged(trainer.s3, T0 + 20_001).whole


def test_a_folder_of_too_many_files_is_told_of_where_it_looks_like_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "FILES_A_FOLDER", 4)
    s3 = MemoryS3()
    for number in range(6):
        s3.put(f"dvc/files/md5/{number:02x}/{'0' * 30}", b"x")
        s3.put(f"plain/{number}", b"x")
        s3.put(f"run/steps/{number}", b"x")
    s3.put("run/model.safetensors", b"x")
    finder = Finder(parse_scope("s3://bkt"))
    found = [one for history in list_histories(s3, "bkt") for one in finder.see(history)]
    found += finder.end()
    assert [one.prefix for one in found] == []
    assert finder.unjudged == [("dvc/files/md5/", ("dvc",)), ("run/", ("transformers",))]
    cut = Finder(parse_scope("s3://bkt/run/mod*"))
    assert [one for history in list_histories(s3, "bkt") for one in cut.see(history)] == []
    assert (list(cut.end()), cut.unjudged) == ([], [])


POINTERS = {
    "deepspeed": ("latest", "global_step1/"),
    "megatron": ("latest_checkpointed_iteration.txt", "iter_0000100/"),
    "tf_checkpoint": ("checkpoint", "ckpt-1."),
}


@pytest.mark.parametrize("name", POINTERS)
def test_a_pointer_whose_target_is_gone_dangles_and_was_whole_before(name: str) -> None:
    trainer = saved(name, 1)
    pointer, target = POINTERS[name]
    trainer.s3.clock = T0 + 10_000
    for path in trainer.files(1):
        if path.startswith(target):
            trainer.s3.delete(PREFIX + path)
    (candidate,) = [one for one in candidates(trainer.s3) if one.prefix == PREFIX]
    (found,) = trainer.s3.run([assess("bkt", candidate, LATER)])
    (verdict,) = [one for one in found if pointer in one.found.pointers]
    assert verdict.condition is Condition.INCOMPLETE
    assert verdict.reasons == (f"{verdict.found.missing[0].path} is not there, named by {pointer}",)
    assert (verdict.before, verdict.after) == (T0 + 9_999, None)


STATES = {f"global_step1/{path}": data for path, data in BY_NAME["deepspeed"].save(1).items() if path.endswith(".pt")}


def with_training_state(s3: MemoryS3, second: int) -> int:
    """A checkpoint of a trainer: weights, a tag, and the states that it names, which end last. Returns their last."""
    for path, data in (hf_sharded(1, 2) | {"config.json": b"{}", "latest": b"global_step1"}).items():
        put(s3, path, data, second)
    for number, (path, data) in enumerate(STATES.items(), 10):
        put(s3, path, data, second + number)
    return second + 9 + len(STATES)


def of_latest(s3: MemoryS3, instant: float) -> Verdict:
    (candidate,) = [one for one in candidates(s3) if one.prefix == PREFIX]
    (found,) = s3.run([assess("bkt", candidate, instant)])
    (verdict,) = [one for one in found if "latest" in one.found.pointers]
    return verdict


def test_a_training_state_that_is_still_coming_is_of_the_save_that_its_pointer_came_with() -> None:
    s3 = MemoryS3()
    ended = with_training_state(s3, T0)
    torn = of_latest(s3, T0 + 5)
    assert (torn.condition, torn.before, torn.after) == (Condition.MID_SAVE, T0 - 1, ended)
    assert of_latest(s3, ended).whole


def test_a_training_state_that_was_deleted_leaves_weights_that_are_whole_and_a_warning() -> None:
    s3 = MemoryS3()
    with_training_state(s3, T0)
    s3.clock = T0 + 10_000
    for path in STATES:
        s3.delete(PREFIX + path)
    gone = of_latest(s3, LATER)
    told = "latest names global_step1, which is not there: training can go on from the weights beside it alone"
    assert (gone.condition, gone.warnings) == (Condition.WHOLE, (told,))
    assert (of_latest(s3, T0 + 9_000).condition, of_latest(s3, T0 + 9_000).warnings) == (Condition.WHOLE, ())


def test_a_folder_is_looked_through_once_an_instant_however_many_of_its_models_are_broken() -> None:
    def looks(count: int) -> list[int]:
        """How many files stood there at each look."""
        s3, seen = MemoryS3(), list[int]()
        for start in (T0, T0 + 10_000, T0 + 20_000):
            for number in range(count):
                put(s3, f"{number}.gguf", b"of %d" % start, start)
        (candidate,) = candidates(s3)
        (gguf,) = candidate.layouts

        def recognise(folder: Folder) -> Reading[list[ModelSet]]:
            seen.append(len(folder.files))
            return (yield from gguf.recognise(folder))

        candidate.layouts = (replace(gguf, recognise=recognise),)
        (found,) = s3.run([assess("bkt", candidate, T0 + 15_000)])
        assert [verdict.whole for verdict in found] == [False] * count
        return seen

    assert [3 * files for files in looks(1)] == looks(3)


def test_a_config_that_another_model_shares_makes_no_model_that_is_under_way() -> None:
    """`model.safetensors` comes 200 s after a whole `pytorch_model.bin`; at T it is nobody's business."""
    s3 = MemoryS3()
    for second, path, data in (
        (0, "pytorch_model.bin", archive(1)),
        (1, "config.json", b"{}"),
        (201, "model.safetensors", safetensors("w", 1)),
    ):
        s3.clock = T0 + second
        s3.put(PREFIX + path, data, time=s3.clock)
    s3.clock = LATER
    found = {
        identity(verdict.found): verdict.condition
        for some in survey(s3, parse_scope("s3://bkt"), lambda folder: assess("bkt", folder, T0 + 100))
        for verdict in some
    }
    assert found == {("transformers", PREFIX, "bin"): Condition.WHOLE}


def test_a_config_that_is_deleted_after_a_push_is_no_part_of_it() -> None:
    trainer = saved("transformers", 1)
    end = int(trainer.s3.clock)
    trainer.s3.clock = end + 5
    trainer.s3.delete(PREFIX + "tokenizer.json")
    assert judged(trainer.s3, end + 2).condition is Condition.WHOLE


def asked(s3: MemoryS3) -> list[str]:
    """The names of the files that were read since, in order."""
    names = [ask.key.rpartition("/")[2] for ask in s3.sent if isinstance(ask, op.GetObject)]
    s3.sent.clear()
    return sorted(names)


def test_of_folders_with_the_same_small_files_those_are_read_once() -> None:
    s3, index = MemoryS3(), "model.safetensors.index.json"
    for number, config in ((1, b'{"a": 1}'), (2, b'{"a": 1}'), (3, b'{"a": 2}')):
        put(s3, f"checkpoint-{number}/config.json", config, T0)
        for path, data in (hf_sharded(number, 3) | {index: hf_sharded(1, 3)[index]}).items():
            put(s3, f"checkpoint-{number}/{path}", data, T0 + number)
    shards = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    folders = candidates(s3)
    s3.sent.clear()
    reads = []
    for folder in folders:
        ((verdict,),) = s3.run([assess("bkt", folder, LATER)])
        assert verdict.condition is Condition.WHOLE
        reads.append(asked(s3))
    assert reads == [["config.json", *shards, index], shards, ["config.json", *shards]]


def two_configs(first: bytes, second: bytes, kind: type[MemoryS3] = MemoryS3, **more: object) -> MemoryS3:
    """Two models with a config each; more: of the second one."""
    s3 = kind()
    for folder, config, how in (("a/", first, {}), ("b/", second, more)):
        put(s3, f"{folder}model.safetensors", safetensors(folder, 1), T0)
        put(s3, f"{folder}config.json", config, T0, **how)
    return s3


def one_by_one(s3: MemoryS3, *, backwards: bool = False) -> dict[str, tuple[Condition, tuple[str, ...]]]:
    """Condition and reasons by folder."""
    told = {}
    for folder in reversed(candidates(s3)) if backwards else candidates(s3):
        ((verdict,),) = s3.run([assess("bkt", folder, LATER)])
        told[folder.prefix.removeprefix(PREFIX)] = verdict.condition, verdict.reasons
    return told


def test_what_a_small_file_is_that_holds_what_another_held_is_told_of_both() -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n"
    told = one_by_one(two_configs(pointer, pointer))
    assert told["a/"] == told["b/"]
    assert told["a/"][0] is Condition.INCOMPLETE
    assert told["a/"][1][0].startswith("config.json is a git-lfs pointer to sha256:00000000…")


@pytest.mark.parametrize("backwards", [False, True])
def test_an_archived_file_is_left_out_whatever_is_known_of_another_that_holds_the_same(backwards: bool) -> None:
    told = one_by_one(two_configs(b"{", b"{", storage_class="GLACIER"), backwards=backwards)
    assert [told["a/"][0], told["b/"][0]] == [Condition.INCOMPLETE, Condition.WHOLE]


def test_an_answer_that_is_not_what_was_listed_says_nothing_of_other_folders() -> None:
    """The version with id null is overwritten between the listing and the read."""

    class Overwritten(MemoryS3):
        def _answer(self, operation: op.Operation) -> object:
            changed = isinstance(operation, op.GetObject) and operation.key == f"{PREFIX}a/config.json"
            return op.ObjectBody(b'{"a": 1,', 8, "f" * 32) if changed else super()._answer(operation)

    s3 = two_configs(b'{"a": 1}', b'{"a": 1}', Overwritten)
    told = one_by_one(s3)
    assert [told["a/"][0], told["b/"][0]] == [Condition.INCOMPLETE, Condition.WHOLE]


@pytest.mark.parametrize(("backwards", "condition"), [(False, Condition.WHOLE), (True, Condition.INCOMPLETE)])
def test_a_version_that_may_not_be_read_is_known_by_another_that_was_and_holds_the_same(
    backwards: bool, condition: Condition
) -> None:
    s3 = two_configs(b"{", b"{")

    def deny(ask: op.Operation) -> None:
        if isinstance(ask, op.GetObject) and ask.key == f"{PREFIX}a/config.json":
            raise S3Error("GetObject: AccessDenied", status=403)

    s3.before = deny
    told = one_by_one(s3, backwards=backwards)
    assert [told["a/"][0], told["b/"][0]] == [condition, Condition.INCOMPLETE]
    assert told["b/"][1][0].startswith("config.json is no JSON")

"""A restore that leaves files as they are leaves a model that passes its own check, or is refused before it writes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from artifact_store.errors import Refused, S3Error
from artifact_store.history.instant import show
from artifact_store.history.models import assess, survey
from artifact_store.history.scope import parse_scope
from artifact_store.history.state import UNSETTLED_WINDOW
from artifact_store.restore.apply import apply
from artifact_store.restore.destination import IN_PLACE, parse_destination
from artifact_store.restore.models import NotWhole
from artifact_store.restore.plan import PlanOptions
from artifact_store.restore.planfile import Plan
from artifact_store.restore.planner import make_plan
from artifact_store.restore.standing import LeavesBroken
from artifact_store.s3 import operations as op
from tests.formats import bundles
from tests.model_files import archive
from tests.restore.memory import MemoryS3
from tests.restore.support import SMALL

T0 = 1_000_000
T, LATER = T0 + 1000, T0 + 20_000
SINGLE, INDEX = "m/model.safetensors", "m/model.safetensors.index.json"


def weights(step: int, *tensors: str) -> bytes:
    return save({name: np.full(8, step, np.float32) for name in tensors})


def sharded(step: int, count: int) -> dict[str, bytes]:
    names = {f"t{n}": f"model-{n + 1:05}-of-{count:05}.safetensors" for n in range(count)}
    shards = {f"m/{file}": weights(step, tensor) for tensor, file in names.items()}
    content = {"metadata": {"total_size": 32 * count, "step": step}, "weight_map": names}
    return {**shards, INDEX: json.dumps(content).encode(), "m/config.json": b"{}"}


def single(step: int) -> dict[str, bytes]:
    return {SINGLE: weights(step, "t0", "t1"), "m/config.json": b"{}"}


def told(s3: MemoryS3, files: Mapping[str, bytes | None], second: int) -> None:
    """Write, or delete, a file a second."""
    for number, (key, data) in enumerate(files.items()):
        s3.clock = second + number
        if data is None:
            s3.delete(key)
        else:
            s3.put(key, data)


def plan(s3: MemoryS3, folder: Path, address: str = "s3://bkt", *, to: str = "", **options: object) -> Plan:
    place = parse_destination(to) if to else IN_PLACE
    return make_plan(s3, parse_scope(address), T, folder / "plan", options=PlanOptions(**options), destination=place)


def standing(s3: MemoryS3) -> dict[str, str]:
    """Each model that stands, with its condition, long after."""
    instant = s3.clock + UNSETTLED_WINDOW + 1
    scope = parse_scope("s3://bkt")
    found = survey(s3, scope, lambda folder: assess("bkt", folder, instant))
    return {verdict.title: verdict.condition.value for verdicts in found for verdict in verdicts}


def test_a_single_file_that_would_stay_beside_the_shards_of_t_is_refused(tmp_path: Path) -> None:
    s3 = MemoryS3()
    told(s3, sharded(1, 2), T0)
    told(s3, {**sharded(2, 2), **single(2)}, T0 + 5000)
    s3.clock = LATER
    with pytest.raises(LeavesBroken) as error:
        plan(s3, tmp_path, keep_new=True)
    first, last = str(error.value).splitlines()
    assert first.startswith("m/ (transformers) would be no whole model after this restore: ")
    assert first.endswith("model.safetensors was not there at T, and would stay")
    assert last == "nothing was written; leave --keep-new out, or add --as-is to do it all the same"
    assert (error.value.exit_code, list(tmp_path.iterdir())) == (4, [])
    with pytest.raises(
        LeavesBroken, match=r"restore all of it .artifact-store restore s3://bkt/m/ --at 1970-01-12T14:03"
    ):
        plan(s3, tmp_path, exclude=("*model.safetensors",))
    made = plan(s3, tmp_path, keep_new=True, models="as-is")
    assert ["was not there at T" in model.reasons[-1] for model in made.header.models] == [True]
    assert apply(s3, plan(s3, tmp_path), options=SMALL).complete
    assert standing(s3) == {"m/": "whole"}


@pytest.mark.parametrize("size", [0, 3_000_000])
def test_a_file_in_parts_that_has_long_been_there_comes_back_alone_whatever_its_size(size: int, tmp_path: Path) -> None:
    """An upload is given longer the larger it is, in what will stand as in what was."""
    s3 = MemoryS3()
    data = save({"t0": np.zeros(8 + size, np.float32)})
    told(s3, {"m/config.json": b"{}", "m/README.md": b"x"}, T0 - 30 * 86_400)
    s3.put_parts(SINGLE, [data[: len(data) // 2], data[len(data) // 2 :]])
    s3.clock = LATER
    made = plan(s3, tmp_path, to=str(tmp_path / "out"), include=("*.safetensors",))
    assert [one.condition for one in made.header.models] == ["whole"]


def test_shards_of_another_count_may_stay_and_the_plan_says_so(tmp_path: Path) -> None:
    s3 = MemoryS3()
    told(s3, sharded(1, 2), T0)
    told(s3, {**sharded(2, 3), "m/model-00001-of-00002.safetensors": None}, T0 + 5000)
    s3.clock = LATER
    made = plan(s3, tmp_path, keep_new=True)
    (model,) = made.header.models
    assert model.condition == "whole"
    assert any(text.startswith("3 shards beside model.safetensors.index.json") for text in model.warnings)
    assert apply(s3, made, options=SMALL).complete
    assert standing(s3) == {"m/": "whole"}


def test_a_newer_adapter_that_loaders_would_take_is_refused(tmp_path: Path) -> None:
    s3 = MemoryS3()
    told(s3, {"a/adapter_config.json": b"{}", "a/adapter_model.bin": b"\x80\x02}q\x00."}, T0)
    told(s3, {"a/adapter_config.json": b'{"r": 8}', "a/adapter_model.safetensors": weights(2, "t")}, T0 + 5000)
    s3.clock = LATER
    with pytest.raises(LeavesBroken, match=r"adapter_model.safetensors was not there at T, and would stay"):
        plan(s3, tmp_path, keep_new=True)


def test_what_is_left_out_counts_though_the_weights_are_as_they_were(tmp_path: Path) -> None:
    s3 = MemoryS3()
    told(s3, sharded(1, 2), T0)
    told(s3, {**single(2), "m/config.json": b"[]"}, T0 + 5000)
    s3.clock = LATER
    with pytest.raises(LeavesBroken, match=r"model.safetensors was not there at T, and would stay"):
        plan(s3, tmp_path, exclude=("*model.safetensors",))


@pytest.mark.parametrize("again", [(), ("m/model-00001-of-00002.safetensors",)])
def test_a_config_alone_comes_back_and_the_plan_says_that_the_model_around_it_stays_broken(
    tmp_path: Path, again: tuple[str, ...]
) -> None:
    s3 = MemoryS3()
    told(s3, {**sharded(1, 2), "m/config.json": b"{}"}, T0)
    told(s3, {"m/config.json": b"[]", **{key: sharded(2, 2)[key] for key in again}}, T0 + 5000)
    s3.clock = T0 + 6000
    s3.call(op.DeleteObject("bkt", "m/model-00002-of-00002.safetensors"))
    s3.clock = LATER
    made = plan(s3, tmp_path, include=("*config.json",))
    (model,) = made.header.models
    assert (model.condition, len(model.reasons)) == ("incomplete", 1)
    assert model.reasons[0].startswith("model-00002-of-00002.safetensors is not there")
    assert apply(s3, made, options=SMALL).complete
    assert s3.contents()["m/config.json"] == b"{}"
    assert standing(s3) == {"m/": "incomplete"}


def test_a_broken_model_that_is_new_and_stays_beside_others_is_nobodys_business(tmp_path: Path) -> None:
    s3 = MemoryS3()
    told(s3, {"ck/a.ckpt": PICKLE}, T0)
    told(s3, {"ck/a.ckpt": b"PK", "ck/b.ckpt": b""}, T0 + 5000)
    s3.clock = LATER
    assert apply(s3, plan(s3, tmp_path, keep_new=True), options=SMALL).complete
    assert s3.contents() == {"ck/a.ckpt": PICKLE, "ck/b.ckpt": b""}


def test_a_new_model_beside_what_comes_back_is_kept(tmp_path: Path) -> None:
    s3 = MemoryS3()
    told(s3, single(1), T0)
    new = {"new/model.safetensors": weights(2, "t"), "new/config.json": b"{}"}
    told(s3, {SINGLE: weights(2, "t0", "t1"), **new}, T0 + 5000)
    s3.clock = LATER
    assert apply(s3, plan(s3, tmp_path, keep_new=True), options=SMALL).complete
    assert standing(s3) == {"m/": "whole", "new/": "whole"}
    assert s3.contents()[SINGLE] == single(1)[SINGLE]


PICKLE = b"\x80\x02}q\x00."
POINTERS = {
    "deepspeed": ("run/latest", b"global_step{}", {"run/global_step{}/mp_rank_00_model_states.pt": PICKLE}),
    "megatron": (
        "run/latest_checkpointed_iteration.txt",
        b"{}",
        {"run/iter_000000{}/mp_rank_00/model_optim_rng.pt": PICKLE},
    ),
    "tensorflow": (
        "run/checkpoint",
        b'model_checkpoint_path: "ckpt-{}"\n',
        {"run/ckpt-{}.index": bundles.index([("w", 0, 0, 32)]), "run/ckpt-{}.data-00000-of-00001": bytes(32)},
    ),
}
"""Layout -> the pointer, what it says of checkpoint {}, and the files of that checkpoint."""


def checkpoint(layout: str, number: int) -> dict[str, bytes]:
    pointer, content, target = POINTERS[layout]
    files = {path.format(number): data for path, data in target.items()}
    return {**files, pointer: content.replace(b"{}", str(number).encode())}


@pytest.fixture(params=POINTERS)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(layout: str, *, gone: bool) -> MemoryS3:
    """Checkpoint 1, then 2. gone: 1 was deleted after that."""
    s3 = MemoryS3()
    told(s3, checkpoint(layout, 1), T0)
    told(s3, checkpoint(layout, 2), T0 + 5000)
    if gone:
        told(s3, {key: None for key in checkpoint(layout, 1) if key != POINTERS[layout][0]}, T0 + 6000)
    s3.clock = LATER
    return s3


def test_a_pointer_alone_does_not_come_back_to_what_is_gone_and_what_brings_both_is_named(
    layout: str, tmp_path: Path
) -> None:
    s3, pointer = run(layout, gone=True), POINTERS[layout][0]
    target = next(iter(checkpoint(layout, 1))).removeprefix("run/").split("/")[0]
    for address, options in (
        (f"s3://bkt/{pointer}", {}),
        (f"s3://bkt/{pointer}*", {}),
        ("s3://bkt", {"include": (pointer,)}),
        ("s3://bkt/run", {"include": (pointer[4:],), "keep_new": True}),
    ):
        with pytest.raises(LeavesBroken) as error:
            plan(s3, tmp_path, address, **options)
        first, last = str(error.value).splitlines()
        assert f"{target} is not there, named by {pointer[4:]}" in first
        assert options.get("keep_new") or "(artifact-store restore s3://bkt/run/ --at 1970-01-12T14:03:20Z)" in last
    assert plan(s3, tmp_path, f"s3://bkt/{pointer}", models="as-is").summary.changes == 1
    assert apply(s3, plan(s3, tmp_path, "s3://bkt/run/"), options=SMALL).complete
    assert s3.contents() == checkpoint(layout, 1)


def test_a_pointer_alone_does_not_come_back_to_half_a_checkpoint(tmp_path: Path) -> None:
    s3 = run("tensorflow", gone=False)
    told(s3, {"run/ckpt-1.data-00000-of-00001": None}, T0 + 6000)
    s3.clock = LATER
    with pytest.raises(LeavesBroken, match=r"ckpt-1.data-00000-of-00001 is not there, of what checkpoint would name"):
        plan(s3, tmp_path, "s3://bkt/run/checkpoint")


def test_a_pointer_alone_comes_back_where_what_it_names_is_there(layout: str, tmp_path: Path) -> None:
    s3, pointer = run(layout, gone=False), POINTERS[layout][0]
    assert apply(s3, plan(s3, tmp_path, f"s3://bkt/{pointer}"), options=SMALL).complete
    assert s3.contents() == {**checkpoint(layout, 2), **checkpoint(layout, 1)}


def test_what_a_pointer_names_that_is_left_out_is_not_hidden(layout: str, tmp_path: Path) -> None:
    s3, pointer = run(layout, gone=False), POINTERS[layout][0]
    with pytest.raises(LeavesBroken, match=f"named by {pointer[4:]}"):
        plan(s3, tmp_path, exclude=(f"*{pointer}",))
    assert apply(s3, plan(s3, tmp_path), options=SMALL).complete
    assert s3.contents() == checkpoint(layout, 1)


def test_a_pointer_alone_is_not_brought_to_another_place(layout: str, tmp_path: Path) -> None:
    s3, pointer = run(layout, gone=False), POINTERS[layout][0]
    with pytest.raises(LeavesBroken, match=f"named by {pointer[4:]}"):
        plan(s3, tmp_path, f"s3://bkt/{pointer}", to="s3://bkt/elsewhere")


def test_what_replaced_the_shards_is_not_hidden_where_their_index_is_left_out(tmp_path: Path) -> None:
    s3 = MemoryS3()
    told(s3, sharded(1, 2), T0 - 50_000)
    told(s3, single(2), LATER)
    told(s3, {INDEX: None}, LATER + 10)
    s3.clock = LATER + 20_000
    with pytest.raises(LeavesBroken, match="is not there, named by"):
        plan(s3, tmp_path, exclude=("*.json",))


EVENTS = st.lists(st.sampled_from(["single", "two", "three", "delete index", "delete single"]), min_size=1, max_size=3)
PARTS = st.sampled_from([(), ("*.json",), ("*model-*",), ("*model.safetensors",), ("*index*",), ("*of-00002*",)])


@settings(max_examples=80, deadline=None)
@given(EVENTS, EVENTS, st.booleans(), PARTS, PARTS)
def test_whatever_is_left_a_restore_that_succeeds_leaves_whole_models(
    before: list[str], after: list[str], keep_new: bool, include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    s3 = MemoryS3()
    s3.clock = T0
    s3.put("beside.txt", b"1")
    for step, event in enumerate([*before, *after]):
        files: dict[str, Mapping[str, bytes | None]] = {
            "single": single(step),
            "two": sharded(step, 2),
            "three": sharded(step, 3),
            "delete index": {INDEX: None},
            "delete single": {SINGLE: None},
        }
        told(s3, files[event], (T0 - 50_000 if step < len(before) else T0 + 2000) + 5000 * step)
    s3.clock = LATER + 20_000
    with TemporaryDirectory() as folder:
        try:
            made = plan(s3, Path(folder), keep_new=keep_new, include=include, exclude=exclude)
        except Refused:
            return
        assert apply(s3, made, options=SMALL).complete
    found = standing(s3)
    if not made.summary.changes:
        assert {model.title: model.condition for model in made.header.models if not model.whole} == {
            title: condition for title, condition in found.items() if condition != "whole"
        }
    elif any(model.prefix == "m/" for model in made.header.models):
        assert set(found.values()) <= {"whole"}


def test_models_that_share_files_are_taken_from_one_save_where_the_nearest_is_asked_for(tmp_path: Path) -> None:
    """T inside the second push: one set of weights is all there, the other is not, and they share a config."""

    def push(step: int) -> dict[str, bytes]:
        return {**sharded(step, 2), "m/config.json": b'{"v": %d}' % step, "m/pytorch_model.bin": archive(step)}

    s3 = MemoryS3()
    for step, second in ((1, T0 - 86_400), (2, T - 2), (3, LATER)):
        files = push(step)
        told(s3, {key: files[key] for key in sorted(files)}, second)
    s3.clock = LATER + 86_400
    with pytest.raises(Refused, match="is mid-save at"):
        plan(s3, tmp_path)
    made = plan(s3, tmp_path, models="nearest")
    assert {(one.title, one.condition) for one in made.header.models} == {("m/", "whole"), ("m/bin", "whole")}
    assert apply(s3, made, options=SMALL).complete
    assert s3.contents() == push(1)


def test_what_is_not_there_yet_goes_without_the_config_of_what_is(tmp_path: Path) -> None:
    was = {"m/config.json": b"{}", "m/pytorch_model.bin": archive(1)}
    s3 = MemoryS3()
    told(s3, was, T - 50)
    shards = {key: data for key, data in sharded(1, 2).items() if key not in was}
    told(s3, shards, T - 1)
    told(s3, dict.fromkeys(was, b"bad"), LATER)
    s3.clock = LATER + 86_400
    assert apply(s3, plan(s3, tmp_path, models="nearest"), options=SMALL).complete
    assert s3.contents() == was


@pytest.mark.parametrize(
    ("address", "options", "remedy"),
    [
        ("s3://bkt", {"include": ("m/*1-of*",)}, "leave --include and --exclude out"),
        ("s3://bkt/m/*", {"exclude": ("*1-of*",)}, "leave --include and --exclude out"),
        ("s3://bkt/m/model-00001*", {}, "restore all of it (artifact-store restore s3://bkt/m/ --at {at} --to {to})"),
    ],
)
def test_what_is_told_to_be_done_instead_goes_to_the_same_place(
    address: str, options: dict[str, tuple[str, ...]], remedy: str, tmp_path: Path
) -> None:
    s3 = MemoryS3()
    told(s3, sharded(1, 2), T0)
    told(s3, sharded(2, 2), LATER)
    s3.clock = LATER + 86_400
    with pytest.raises(LeavesBroken) as error:
        plan(s3, tmp_path, address, to=str(tmp_path / "out"), **options)
    wanted = remedy.format(at=show(T), to=tmp_path / "out")
    assert str(error.value).splitlines()[-1] == f"nothing was written; {wanted}, or add --as-is to do it all the same"


@pytest.mark.parametrize("address", ["s3://bkt", "s3://bkt/run[1]*", "s3://bkt/run[1]"])
def test_what_is_told_to_be_left_out_brings_back_the_models_beside_it(address: str, tmp_path: Path) -> None:
    """As it stands in the message, whatever the names hold."""
    whole = {"run[1]/config.json": b"{}", "run[1]/pytorch_model.bin": archive(1)}
    s3 = MemoryS3()
    told(s3, whole, T0 - 90_000)
    told(s3, {"run[1]/model.safetensors": b"no such thing"}, T0)
    told(s3, dict.fromkeys((*whole, "run[1]/model.safetensors"), b"bad"), LATER)
    s3.clock = LATER + 86_400
    with pytest.raises(NotWhole, match="leave it out") as error:
        plan(s3, tmp_path, address)
    (command,) = re.findall(r"leave it out \((.*)\), or add", str(error.value))
    globs = [word for word in shlex.split(command) if word != "--exclude"]
    assert apply(s3, plan(s3, tmp_path, address, exclude=tuple(globs)), options=SMALL).complete
    assert {key: s3.contents()[key] for key in whole} == whole


def ranks(step: int) -> dict[str, bytes]:
    return {f"iter_0000100/mp_rank_{n:02}/model_optim_rng.pt": archive(step + n) for n in range(2)}


@pytest.mark.parametrize("part", ["mp_rank_00", "mp_rank_00/*", "mp_rank_00/model_optim_rng.pt", "mp_rank_00/model*"])
def test_a_part_of_a_model_in_a_folder_of_its_own_is_judged_with_the_rest(part: str, tmp_path: Path) -> None:
    s3 = MemoryS3()
    told(s3, ranks(1), T0)
    told(s3, ranks(11), LATER)
    s3.clock = LATER + 86_400
    remedy = "restore all of it (artifact-store restore s3://bkt/iter_0000100/ --at"
    for options in ({}, {"keep_new": True}):
        with pytest.raises(LeavesBroken, match=re.escape(remedy)):
            plan(s3, tmp_path, f"s3://bkt/iter_0000100/{part}", **options)
    # In another place nothing lies beside it.
    plan(s3, tmp_path, "s3://bkt/iter_0000100/mp_rank_00", to=str(tmp_path / "out"))


def test_what_is_not_selected_in_a_part_is_left_as_what_is_beside_it(tmp_path: Path) -> None:
    s3 = MemoryS3()
    told(s3, {**ranks(1), "iter_0000100/mp_rank_00/log.txt": b"1"}, T0)
    told(s3, {**ranks(11), "iter_0000100/mp_rank_00/log.txt": b"2"}, LATER)
    s3.clock = LATER + 86_400
    made = plan(s3, tmp_path, "s3://bkt/iter_0000100/mp_rank_00", include=("log.txt",))
    assert made.summary.changes == 1


def test_a_broken_model_around_a_folder_that_is_none_of_it_is_nobodys_business(tmp_path: Path) -> None:
    """A checkpoint comes back below a run whose own weights are being written, at T and now."""
    s3 = MemoryS3()
    inner = {key.replace("m/", "m/checkpoint-5/"): data for key, data in single(1).items()}
    told(s3, inner, T0)
    told(s3, sharded(1, 3), T - 1)
    told(s3, dict.fromkeys(inner, b"bad"), LATER)
    told(s3, {"m/model-00001-of-00003.safetensors": weights(2, "t0")}, LATER)
    s3.clock = LATER + 5
    assert apply(s3, plan(s3, tmp_path, "s3://bkt/m/checkpoint-5"), options=SMALL).complete
    assert {key: s3.contents()[key] for key in inner} == inner


@pytest.mark.parametrize("address", ["s3://bkt/models/readme.txt", "s3://bkt/models/notes"])
def test_what_lies_around_is_listed_only_where_it_may_hold_a_model(address: str, tmp_path: Path) -> None:
    s3 = MemoryS3()
    s3.clock = T0
    for number in range(2500):
        s3.put(f"models/run-{number:04}/x.ckpt", b"PK")
    told(s3, {"models/readme.txt": b"1", "models/notes/a": b"1"}, T0)
    told(s3, {"models/readme.txt": b"2", "models/notes/a": b"2"}, LATER)
    s3.sent.clear()
    assert plan(s3, tmp_path, address).summary.changes == 1
    whole = [ask for ask in s3.sent if isinstance(ask, op.ListVersions) and not ask.delimiter]
    assert not any("models/".startswith(ask.prefix) for ask in whole)
    named = [ask.prefix for ask in s3.sent if isinstance(ask, op.ListVersions) and ask.delimiter]
    assert named == ["models/"] * 3 + [""]


def test_who_may_not_list_what_is_around_is_told_that_it_was_not_judged(tmp_path: Path) -> None:
    s3 = MemoryS3()
    told(s3, ranks(1), T0)
    told(s3, ranks(11), LATER)

    def deny(ask: op.Operation) -> None:
        if isinstance(ask, op.ListVersions) and not ask.prefix.startswith("iter_0000100/mp_rank_00"):
            raise S3Error("no", status=403, code="AccessDenied")

    s3.before = deny
    made = plan(s3, tmp_path, "s3://bkt/iter_0000100/mp_rank_00/")
    assert [(one.prefix, one.condition) for one in made.header.models] == [
        ("", "unjudged"),
        ("iter_0000100/", "unjudged"),
    ]


def test_of_too_large_a_folder_around_a_file_no_more_is_held_than_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artifact_store.restore.around.FILES_A_FOLDER", 3)
    s3 = MemoryS3()
    told(s3, sharded(1, 3), T0)
    told(s3, sharded(2, 3), LATER)
    made = plan(s3, tmp_path, "s3://bkt/m/model-00001*")
    assert [(one.prefix, one.layout, one.condition) for one in made.header.models] == [
        ("m/", "transformers", "unjudged")
    ]


def test_a_part_whose_save_was_cut_off_goes_back_to_the_rest_where_the_nearest_is_asked_for(tmp_path: Path) -> None:
    """Nothing was written since T: only what lies around the part tells that it is of another save."""
    s3 = MemoryS3()
    told(s3, ranks(1), T0)
    first, *_ = ranks(11)
    told(s3, {first: ranks(11)[first]}, T - 100)
    s3.clock = LATER
    made = plan(s3, tmp_path, "s3://bkt/iter_0000100/mp_rank_00", models="nearest")
    assert apply(s3, made, options=SMALL).complete
    assert s3.contents() == ranks(1)

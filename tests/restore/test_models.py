"""A model comes back whole or not at all, and no reader ever finds a restored index over members of another save."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store.errors import Refused, S3Error, UsageError
from artifact_store.history.lock import Lock, Pins, make_lock
from artifact_store.history.models import assess, survey
from artifact_store.history.scope import parse_scope
from artifact_store.history.state import UNSETTLED_WINDOW, Flag
from artifact_store.history.verdict import Condition
from artifact_store.restore.apply import ApplyOptions, apply
from artifact_store.restore.models import LOCK, NotWhole, Order, PlannedModel, removal_rank
from artifact_store.restore.plan import Action, PlanOptions
from artifact_store.restore.planfile import Plan, read_plan
from artifact_store.restore.planner import make_plan
from artifact_store.restore.standing import LeavesBroken
from artifact_store.restore.verify import verify
from artifact_store.s3 import operations as op
from tests.history.saver import INDEX, PREFIX, T0, Model, index, name, shard
from tests.restore.memory import MemoryS3
from tests.restore.support import SMALL

LATER = T0 + 90_000


def plan(s3: MemoryS3, folder: Path, instant: float, models: str = "whole", address: str = "s3://bkt") -> Plan:
    path = folder / f"plan-{len(list(folder.iterdir()))}"
    return make_plan(s3, parse_scope(address), instant, path, options=PlanOptions(models=models))


def shown(s3: MemoryS3, prefix: str = PREFIX) -> dict[str, bytes]:
    return {key[len(prefix) :]: data for key, data in s3.contents().items() if key.startswith(prefix)}


def saved(count: int, step: int) -> dict[str, bytes]:
    return {INDEX: index(count, step), **{name(n, count): shard(n, step) for n in range(count)}}


@pytest.fixture
def model() -> Model:
    """Two whole saves; between them one that was cut off after two of three shards."""
    made = Model(3)
    made.save(1, T0)
    made.save(2, T0 + 10_000, only=2)
    made.save(3, T0 + 30_000)
    made.s3.clock = LATER
    return made


FIRST_END, THIRD_END = T0 + 9999, T0 + 30_007
BROKEN = T0 + 20_000


def test_what_is_no_model_is_refused_with_the_reason_and_both_good_instants(model: Model, tmp_path: Path) -> None:
    with pytest.raises(NotWhole) as error:
        plan(model.s3, tmp_path, BROKEN)
    assert error.value.exit_code == 4
    assert list(tmp_path.iterdir()) == []
    first, second, last = str(error.value).splitlines()
    assert first.startswith("models/m/ (transformers) is incomplete at 1970-01-12T19:20:00Z: files of two saves: ")
    assert second == "  newest whole at or before: 1970-01-12T16:33:19Z; first whole after: 1970-01-12T22:06:47Z"
    assert last.startswith("nothing was written; ")
    assert (error.value.verdicts[0].before, error.value.verdicts[0].after) == (FIRST_END, THIRD_END)


def test_the_nearest_whole_save_is_taken_for_that_model_alone(model: Model, tmp_path: Path) -> None:
    model.s3.put("models/notes.txt", b"old", time=T0 + 1)
    model.s3.put("models/notes.txt", b"at T", time=T0 + 15_000)
    model.s3.put("models/notes.txt", b"new", time=T0 + 40_000)
    made = plan(model.s3, tmp_path, BROKEN, "nearest")
    (planned,) = made.header.models
    assert (planned.title, planned.condition, planned.instant) == (PREFIX, "whole", FIRST_END)
    assert Flag.EDGE not in made.summary.flagged, "nobody named the second in which a save ended"
    assert apply(model.s3, made, options=SMALL).complete
    assert verify(model.s3, made).proved
    assert shown(model.s3) == saved(3, 1)
    assert model.s3.contents()["models/notes.txt"] == b"at T"


def test_a_file_that_is_wrong_in_two_ways_is_told_once(model: Model, tmp_path: Path) -> None:
    made = plan(model.s3, tmp_path, FIRST_END)
    assert apply(model.s3, made, options=SMALL).complete
    cut = PREFIX + name(1, 3)
    model.s3.put(cut, b"x")
    found = verify(model.s3, made)
    assert [key for key, _ in found.wrong] == [cut]
    assert found.wrong[0][1].startswith("is 1 bytes, should be ")


def test_exactly_the_instant_comes_back_where_that_is_asked_and_the_plan_says_what_it_is(
    model: Model, tmp_path: Path
) -> None:
    made = plan(model.s3, tmp_path, BROKEN, "as-is")
    assert [(one.condition, one.instant) for one in read_plan(made.path).header.models] == [("incomplete", BROKEN)]
    assert apply(model.s3, made, options=SMALL).complete
    mixed = {name(0, 3): shard(0, 2), name(1, 3): shard(1, 2), name(2, 3): shard(2, 1), INDEX: index(3, 1)}
    assert shown(model.s3) == mixed


def test_a_model_that_was_never_whole_is_refused_even_where_the_nearest_is_asked_for(tmp_path: Path) -> None:
    model = Model(3)
    model.save(1, T0, only=2)
    model.s3.clock = LATER
    model.s3.delete(PREFIX + name(0, 3))
    told = r"models/m/ cannot be had whole: leave it out \(--exclude '{}'\), or add --as-is"
    for address, glob in (("s3://bkt", "models/m/*"), ("s3://bkt/models", "m/*")):
        with pytest.raises(NotWhole, match=told.format(re.escape(glob))):
            plan(model.s3, tmp_path, T0 + 50_000, "nearest", address)
    with pytest.raises(NotWhole, match="models/m/ cannot be had whole: add --as-is to restore it as it was"):
        plan(model.s3, tmp_path, T0 + 50_000, "nearest", "s3://bkt/models/m")


def test_files_beside_a_model_stay_at_t_where_the_model_is_taken_from_before(model: Model, tmp_path: Path) -> None:
    model.s3.put(PREFIX + "billing.csv", b"old", time=T0 + 1)
    model.s3.put(PREFIX + "billing.csv", b"at T", time=T0 + 15_000)
    model.s3.put(PREFIX + "new-at-T.csv", b"new", time=T0 + 15_001)
    model.s3.put(PREFIX + "billing.csv", b"now", time=T0 + 40_000)
    assert apply(model.s3, plan(model.s3, tmp_path, BROKEN, "nearest"), options=SMALL).complete
    assert shown(model.s3) == {**saved(3, 1), "billing.csv": b"at T", "new-at-T.csv": b"new"}


def test_of_several_models_in_a_folder_only_the_broken_one_is_taken_from_before(tmp_path: Path) -> None:
    s3 = MemoryS3()
    for epoch in (1, 2):
        s3.put(f"ck/epoch={epoch}.ckpt", b"PK", time=T0 + epoch)
    archive = BytesIO()
    with ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", b"1")
    for epoch in (1, 2, 3):
        s3.put(f"ck/epoch={epoch}.ckpt", archive.getvalue(), time=T0 + 10_000 * epoch)
    s3.put("ck/epoch=1.ckpt", b"", time=T0 + 40_000)
    s3.clock = LATER
    s3.put("ck/epoch=2.ckpt", b"now", time=LATER - 5)
    assert apply(s3, plan(s3, tmp_path, T0 + 50_000, "nearest"), options=SMALL).complete
    assert set(shown(s3, "ck/").values()) == {archive.getvalue()}
    assert len(shown(s3, "ck/")) == 3


def test_a_model_that_is_broken_now_as_it_was_at_t_is_brought_back_where_the_nearest_is_asked_for(
    tmp_path: Path,
) -> None:
    model = Model(3)
    model.save(1, T0)
    model.s3.clock = T0 + 20_000
    model.s3.delete(PREFIX + name(1, 3))
    model.s3.clock = LATER
    assert plan(model.s3, tmp_path, LATER - 10).summary.changes == 0
    assert apply(model.s3, plan(model.s3, tmp_path, LATER - 10, "nearest"), options=SMALL).complete
    assert shown(model.s3) == saved(3, 1)


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("s3://bkt/models", {"include": ("*model-00001*",)}),
        ("s3://bkt/models", {"exclude": ("*model-00002*",)}),
        (f"s3://bkt/{PREFIX}{name(0, 3)}", {}),
        (f"s3://bkt/{PREFIX}model-00001*", {}),
    ],
)
def test_a_part_of_a_model_is_not_brought_back_alone(
    model: Model, tmp_path: Path, address: str, options: dict[str, tuple[str, ...]]
) -> None:
    with pytest.raises(LeavesBroken, match="would be left out, and the model would be of two saves") as error:
        make_plan(model.s3, parse_scope(address), T0 + 5000, tmp_path / "p", options=PlanOptions(**options))
    again = "artifact-store restore s3://bkt/models/m/ --at 1970-01-12T15:10:00Z"
    remedy = f"nothing was written; restore all of it ({again}), or add --as-is to do it all the same"
    assert str(error.value).splitlines()[-1] == remedy
    chosen = PlanOptions(models="as-is", **options)
    made = make_plan(model.s3, parse_scope(address), T0 + 5000, tmp_path / "p", options=chosen)
    assert made.summary.changes
    assert [one.condition for one in made.header.models] == ["incomplete"]


def test_configs_alone_may_be_brought_back(model: Model, tmp_path: Path) -> None:
    model.s3.put(PREFIX + "config.json", b"{}", time=T0)
    model.s3.put(PREFIX + "config.json", b"[]", time=T0 + 50_000)
    made = make_plan(model.s3, parse_scope(f"s3://bkt/{PREFIX}config.json"), T0 + 5000, tmp_path / "p")
    assert made.summary.changes == 1


def test_a_new_folder_whose_first_save_is_under_way_goes_where_the_nearest_is_asked_for(tmp_path: Path) -> None:
    model = Model(3)
    model.save(1, T0)
    model.s3.clock = LATER
    with pytest.raises(NotWhole, match="not there yet at 1970-01-12T13:46:39Z"):
        plan(model.s3, tmp_path, T0 + 3)
    model.s3.put("models/other.txt", b"1", time=T0 - 5)
    assert apply(model.s3, plan(model.s3, tmp_path, T0 + 3, "nearest"), options=SMALL).complete
    assert shown(model.s3) == {}


def listings(s3: MemoryS3) -> int:
    return sum(isinstance(sent, op.ListVersions) for sent in s3.sent)


@pytest.mark.parametrize("kept", [True, False])
def test_models_are_taken_from_before_with_one_more_listing_however_far_back(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights were whole last when the model around them was not, so that both go back once more. Where too much would
    have to be kept for that, each step back is another listing."""
    if not kept:
        monkeypatch.setattr("artifact_store.restore.watch.FILES_KEPT", 0)
    inner = Model(3, prefix="m/model/")
    s3 = inner.s3
    good, bad = (f"flavors:\n  pytorch:\n    model_data: {data}\n".encode() for data in ("model", "gone"))
    inner.save(1, T0)
    s3.put("m/MLmodel", good, time=T0 + 8)
    inner.save(2, T0 + 10_000)
    s3.put("m/MLmodel", bad, time=T0 + 10_002)
    s3.put("m/MLmodel", good, time=T0 + 20_000)
    s3.put(f"m/model/{INDEX}", index(4, 3), time=T0 + 20_000)
    inner.save(4, T0 + 40_000)
    s3.clock = LATER
    s3.sent.clear()
    plan(s3, tmp_path, T0 + 50_000)
    once = listings(s3)
    s3.sent.clear()
    made = plan(s3, tmp_path, T0 + 30_000, "nearest")
    assert listings(s3) == (2 if kept else 3) * once
    assert [(one.title, one.instant) for one in made.header.models] == [("m/", FIRST_END), ("m/model/", FIRST_END)]
    assert apply(s3, made, options=SMALL).complete
    assert shown(s3, "m/model/") == saved(3, 1)


def test_where_nothing_is_to_do_what_stands_is_judged_without_listing_again(tmp_path: Path) -> None:
    model = Model(3)
    model.save(1, T0)
    model.s3.clock = T0 + 20_000
    model.s3.delete(PREFIX + name(1, 3))
    model.s3.clock = LATER
    model.s3.sent.clear()
    made = plan(model.s3, tmp_path, LATER - 10)
    assert (made.summary.changes, listings(model.s3)) == (0, 1)
    (told,) = read_plan(made.path).header.models
    assert (told.title, told.condition, told.instants) == (
        PREFIX,
        "incomplete",
        "newest whole at or before: 1970-01-12T19:19:59Z; never whole after",
    )


def test_a_model_of_too_many_files_to_be_judged_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artifact_store.history.models.FILES_A_FOLDER", 3)
    model = Model(3)
    model.save(1, T0)
    model.save(2, T0 + 10_000)
    model.s3.clock = LATER
    made = plan(model.s3, tmp_path, T0 + 5000)
    told = {one.prefix: one.condition for one in read_plan(made.path).header.models}
    assert told[PREFIX] == "unjudged"
    assert apply(model.s3, made, options=SMALL).complete
    assert shown(model.s3) == saved(3, 1)


def test_a_file_that_may_not_be_read_keeps_no_model_from_coming_back(tmp_path: Path) -> None:
    model = Model(3)
    model.save(1, T0)
    model.save(2, T0 + 10_000)
    model.s3.clock = LATER

    def deny(sent: op.Operation) -> None:
        if isinstance(sent, op.GetObject) and sent.key == PREFIX + name(0, 3):
            raise S3Error("no", status=403, code="AccessDenied")

    model.s3.before = deny
    assert apply(model.s3, plan(model.s3, tmp_path, T0 + 5000), options=SMALL).complete
    assert shown(model.s3) == saved(3, 1)


def test_a_pointer_stays_where_it_is_while_its_target_cannot_be_restored() -> None:
    target = PlannedModel("run/global_step200/", "", "deepspeed", "whole", 0.0, ("run/global_step200/a.pt",))
    order = Order([target, PlannedModel("run/", "", "deepspeed", "whole", 0.0, (), (), ("run/latest",))])
    assert (order.rank("run/latest"), order.held_back("run/latest")) == (1, "")
    order.failed("run/global_step200/a.pt")
    assert "run/global_step200/a.pt of the same model" in order.held_back("run/latest")


@pytest.mark.parametrize("address", ["s3://bkt", "s3://bkt/d", "s3://bkt/d/rows.csv"])
@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("latest", b"global_step5"),
        ("latest_checkpointed_iteration.txt", b"100"),
        ("checkpoint", b'model_checkpoint_path: "model.ckpt-5"'),
        ("model.safetensors.index.json", b'{"weight_map": {}}'),
        ("model.tar.gz", b"not gz"),
        ("x.onnx", b""),
    ],
)
def test_a_broken_model_that_is_not_touched_keeps_no_file_beside_it_from_coming_back(
    path: str, content: bytes, address: str, tmp_path: Path
) -> None:
    s3 = MemoryS3()
    for second, key, data in ((0, path, content), (50_000, "rows.csv", b"old"), (90_000, "rows.csv", b"new")):
        s3.clock = T0 + second
        s3.put(f"d/{key}", data, time=s3.clock)
    s3.clock += 10
    made = plan(s3, tmp_path, T0 + 60_000, address=address)
    assert apply(s3, made, options=SMALL).complete
    assert s3.contents() == {f"d/{path}": content, "d/rows.csv": b"old"}


def test_a_model_that_the_restore_does_not_touch_is_not_judged(tmp_path: Path) -> None:
    model = Model(3)
    model.save(1, T0, only=2)
    model.s3.put("other/file.txt", b"1", time=T0)
    model.s3.put("other/file.txt", b"2", time=T0 + 80_000)
    model.s3.clock = LATER
    model.s3.sent.clear()
    made = plan(model.s3, tmp_path, T0 + 50_000)
    assert made.summary.counts[Action.COPY] == 1
    assert made.header.models == ()
    assert not any(isinstance(sent, op.GetObject) for sent in model.s3.sent)


def test_another_place_gets_whole_models_only(model: Model, tmp_path: Path) -> None:
    from artifact_store.restore.destination import parse_destination

    for to in ("s3://bkt/elsewhere", str(tmp_path / "out")):
        with pytest.raises(NotWhole):
            make_plan(
                model.s3, parse_scope("s3://bkt/models/m"), BROKEN, tmp_path / "p", destination=parse_destination(to)
            )


@pytest.mark.parametrize("cold", ["all", "index"])
def test_a_model_whose_index_is_archived_is_thawed_first_and_restored_after_that(cold: str, tmp_path: Path) -> None:
    model = Model(2)
    classes = {key: "GLACIER" if cold == "all" or key == INDEX else "STANDARD" for key in saved(2, 1)}
    for key, data in saved(2, 1).items():
        model.s3.put(PREFIX + key, data, time=T0, storage_class=classes[key])
    changed = [key for key in saved(2, 1) if cold == "all" or key != INDEX]
    for key in changed:
        model.s3.put(PREFIX + key, saved(2, 2)[key], time=T0 + 10_000)
    model.s3.clock = LATER
    for wanted in ("whole", "nearest"):
        with pytest.raises(NotWhole, match="add --thaw to have S3 make these files readable"):
            plan(model.s3, tmp_path, T0 + 5000, wanted)
    before = model.s3.entries()
    path = tmp_path / "thaw"
    made = make_plan(model.s3, parse_scope("s3://bkt"), T0 + 5000, path, options=PlanOptions(thaw=True))
    assert read_plan(path) == made
    with pytest.raises(Refused, match=r"versions? in an archive class cannot be copied yet"):
        apply(model.s3, made, options=SMALL)
    report = apply(model.s3, made, options=ApplyOptions(thaw=True))
    assert (report.thawing, report.failed) == (list(classes.values()).count("GLACIER"), ())
    assert model.s3.entries() == before
    model.s3.thaw()
    assert apply(model.s3, plan(model.s3, tmp_path, T0 + 5000), options=SMALL).complete
    assert shown(model.s3) == saved(2, 1)


def from_lock(s3: MemoryS3, folder: Path, lock: Lock, **options: object) -> Plan:
    path = folder / f"plan-{len(list(folder.iterdir()))}"
    return make_plan(s3, lock.scope, lock.instant, path, options=PlanOptions(**options), lock=lock)


def test_a_lock_is_judged_by_the_versions_it_names_whatever_bears_an_earlier_time(tmp_path: Path) -> None:
    model = Model(3)
    model.save(1, T0)
    lock = make_lock(model.s3, parse_scope(f"s3://bkt/{PREFIX}"), T0 + 100)
    model.s3.put_parts(PREFIX + name(1, 3), [shard(1, 2)[:100], shard(1, 2)[100:]], began=T0 + 50)
    model.s3.put_parts(PREFIX + "model-00001-of-00009.safetensors", [shard(0, 2)], began=T0 + 60)
    model.s3.clock = LATER
    assert model.verdict(T0 + 100).condition is not Condition.WHOLE
    made = from_lock(model.s3, tmp_path, lock)
    (planned,) = made.header.models
    assert planned.condition == "whole"
    assert not any("another save" in text for text in planned.warnings)
    assert apply(model.s3, made, options=SMALL).complete
    assert shown(model.s3) == saved(3, 1)


def test_what_was_locked_though_it_is_no_model_comes_back_only_when_that_is_asked_again(
    model: Model, tmp_path: Path
) -> None:
    lock = make_lock(model.s3, parse_scope(f"s3://bkt/{PREFIX}"), BROKEN)
    with pytest.raises(NotWhole, match="add --as-is to restore what the lock file names all the same"):
        from_lock(model.s3, tmp_path, lock)
    assert apply(model.s3, from_lock(model.s3, tmp_path, lock, models="as-is"), options=SMALL).complete
    assert shown(model.s3)[name(2, 3)] == shard(2, 1)
    assert shown(model.s3)[name(1, 3)] == shard(1, 2)


def test_a_lock_of_a_part_does_not_make_a_model_of_two_saves(model: Model, tmp_path: Path) -> None:
    lock = make_lock(model.s3, parse_scope(f"s3://bkt/{PREFIX}{name(0, 3)}"), T0 + 5000)
    with pytest.raises(LeavesBroken, match="would be left out, and the model would be of two saves"):
        from_lock(model.s3, tmp_path, lock)


@pytest.mark.parametrize(
    "options", [{"include": ("*",)}, {"exclude": ("config.json",)}, {"settled": True}, {"models": "nearest"}]
)
def test_a_lock_is_a_whole_and_names_each_version(model: Model, tmp_path: Path, options: dict[str, object]) -> None:
    lock = make_lock(model.s3, parse_scope(f"s3://bkt/{PREFIX}"), T0 + 5000)
    with pytest.raises(UsageError, match=r"leave .* out"):
        from_lock(model.s3, tmp_path, lock, **options)


def test_what_is_pinned_is_what_was_judged_though_an_upload_ends_meanwhile(model: Model) -> None:
    """It bears the time at which it began, so that a later look would take it for what stood."""
    s3, scope, instant = model.s3, parse_scope(f"s3://bkt/{PREFIX}"), LATER
    pins = Pins(scope, instant)
    found = list(survey(s3, scope, lambda folder: assess("bkt", folder, instant, now=instant), pins))
    assert [verdict.condition for verdicts in found for verdict in verdicts] == [Condition.WHOLE]
    stood = {entry.key: entry.version_id for entry in s3.entries() if entry.is_latest}
    s3.put_parts(PREFIX + name(0, 3), [b"another", b"save"], began=LATER - 60)
    assert make_lock(s3, scope, instant).files[PREFIX + name(0, 3)].version_id != stood[PREFIX + name(0, 3)]
    listed = listings(s3)
    lock = make_lock(s3, scope, instant, pins.then)
    assert {file.key: file.version_id for file in lock.files.values()} == stood
    assert listings(s3) == listed


def writes(s3: MemoryS3) -> list[str]:
    """Keys in the order in which they were written or hidden."""
    done: list[str] = []
    for sent in s3.sent:
        if isinstance(sent, op.CopyObject | op.CompleteMultipartUpload):
            done.append(sent.key)
        elif isinstance(sent, op.DeleteObjects):
            done += [line.key for line in sent.keys]
    return done


def test_members_come_before_the_index_and_what_points_is_hidden_first(tmp_path: Path) -> None:
    model = Model(2)
    model.save(1, T0)
    model.save(2, T0 + 10_000)
    for stray in ("latest", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin"):
        model.s3.put(PREFIX + stray, b"x", time=T0 + 20_000)
    model.s3.clock = LATER
    made = plan(model.s3, tmp_path, T0 + 5000)
    model.s3.sent.clear()
    assert apply(model.s3, made, options=SMALL).complete
    order = list(dict.fromkeys(key[len(PREFIX) :] for key in writes(model.s3)))
    assert set(order[:2]) == {name(0, 2), name(1, 2)}
    assert order[2:] == [INDEX, "latest", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin"]


def test_a_model_that_cannot_be_completed_keeps_its_index_and_strays_and_the_others_go_on(tmp_path: Path) -> None:
    s3 = MemoryS3()
    good, bad = Model(2, s3, prefix="a/good/"), Model(2, s3, prefix="a/bad/")
    for model in (good, bad):
        model.save(1, T0)
    for model in (good, bad):
        model.save(2, T0 + 10_000)
        s3.put(f"{model.prefix}stray.bin", b"x", time=T0 + 20_000)
    s3.clock = LATER
    made = plan(s3, tmp_path, T0 + 5000)

    def refuse(sent: op.Operation) -> None:
        if isinstance(sent, op.CopyObject | op.CreateMultipartUpload) and sent.key == f"a/bad/{name(1, 2)}":
            raise S3Error("no", status=400, code="InvalidRequest")

    s3.before = refuse
    report = apply(s3, made, options=SMALL)
    held = f"left as it is, since a/bad/{name(1, 2)} of the same model could not be restored"
    assert dict(report.failed) == {
        f"a/bad/{name(1, 2)}": "no",
        f"a/bad/{INDEX}": held,
        "a/bad/stray.bin": held,
    }
    assert shown(s3, "a/good/") == saved(2, 1)
    assert shown(s3, "a/bad/")[INDEX] == index(2, 2)
    assert "stray.bin" in shown(s3, "a/bad/")
    s3.before = lambda sent: None
    assert apply(s3, made, options=SMALL).complete
    assert shown(s3, "a/bad/") == saved(2, 1)


@settings(max_examples=60)
@given(st.integers(2, 4), st.integers(0, 40), st.booleans(), st.integers(0, 5))
def test_interrupted_anywhere_no_restored_index_stands_over_members_of_another_save(
    count: int, at: int, honours: bool, seed: int
) -> None:
    model = Model(count, MemoryS3(honours=honours, seed=seed))
    model.save(1, T0)
    model.save(2, T0 + 10_000)
    model.s3.clock = LATER
    with TemporaryDirectory() as folder:
        made = plan(model.s3, Path(folder), T0 + 5000)
        left = [at]

        def interrupt(sent: op.Operation) -> None:
            left[0] -= 1
            if left[0] == -1:
                raise KeyboardInterrupt

        model.s3.before = interrupt
        with suppress(KeyboardInterrupt):
            apply(model.s3, made, options=SMALL)
        model.s3.before = lambda sent: None
        now = shown(model.s3)
        if now[INDEX] == index(count, 1):
            assert now == saved(count, 1)
        assert apply(model.s3, made, options=SMALL).complete
    assert shown(model.s3) == saved(count, 1)
    assert model.verdict(LATER + UNSETTLED_WINDOW + 50).condition is Condition.WHOLE


@settings(max_examples=60)
@given(
    st.integers(2, 4),
    st.lists(st.tuples(st.integers(0, 8000), st.none() | st.integers(0, 3)), min_size=1, max_size=4),
    st.integers(0, 40_000),
    st.sampled_from(["whole", "nearest"]),
)
def test_a_restore_that_succeeds_leaves_a_model_that_is_whole(
    count: int, pushes: list[tuple[int, int | None]], after: int, wanted: str
) -> None:
    model, now = Model(count), float(T0)
    for step, (pause, only) in enumerate(pushes, 1):
        now = model.save(step, now + pause, only=None if only is None else min(only, count)) + 1
    model.s3.clock = int(max(now, T0 + after)) + 10_000
    model.s3.put(PREFIX + "stray.bin", b"x")
    with TemporaryDirectory() as folder:
        try:
            made = plan(model.s3, Path(folder), T0 + after, wanted)
        except Refused:
            return
        assert apply(model.s3, made, options=SMALL).complete
        assert verify(model.s3, made, deep=True).wrong == ()
    if made.header.models:
        found = shown(model.s3)
        # Each index names the same members, so that of an earlier save does for them.
        assert found.pop(INDEX)
        shards = [{name(n, count): shard(n, step) for n in range(count)} for step in range(1, len(pushes) + 1)]
        assert found in shards, sorted(found)


def test_a_plan_remembers_its_models_as_they_were_judged() -> None:
    one = PlannedModel("m/", "fp16", "diffusers", "whole", 5.0, ("m/a",), ("m/i",), ("m/p",), ("r",), ("w", "v"), "i")
    assert PlannedModel.from_json(json.loads(json.dumps(asdict(one)))) == one


def test_shards_of_another_save_that_were_there_at_t_stay_and_the_plan_says_so(tmp_path: Path) -> None:
    model = Model(2)
    orphan = name(0, 4)
    model.s3.put(PREFIX + orphan, shard(0, 9), time=T0 - 5000)
    model.save(1, T0)
    model.save(2, T0 + 10_000)
    model.s3.clock = LATER
    made = read_plan(plan(model.s3, tmp_path, T0 + 5000).path)
    (planned,) = made.header.models
    assert planned.condition == "whole"
    (told,) = [text for text in planned.warnings if orphan in text]
    assert "belong to another save" in told
    assert apply(model.s3, made, options=SMALL).complete
    assert shown(model.s3) == {**saved(2, 1), orphan: shard(0, 9)}


def test_an_index_waits_for_those_below_it_and_what_closes_a_save_for_those_beside_it() -> None:
    indexes = ("s/state/_METADATA", "s/state/manifest.ocdbt", "s/_CHECKPOINT_METADATA", "s/commit_success.txt")
    orbax = PlannedModel("s/", "", "orbax", "whole", 0.0, ("s/state/d/0",), indexes, ("s/latest",))
    assert [Order([orbax]).rank(key) for key in (*orbax.members, *indexes, "s/latest")] == [0, 1, 1, 2, 3, 4]
    alone = PlannedModel("m/", "", "dcp", "whole", 0.0, ("m/w",), ("m/.metadata",))
    assert [Order([alone]).rank(key) for key in ("m/w", "m/.metadata")] == [0, 1]


def test_a_file_that_is_index_of_one_model_and_member_of_another_waits_for_both() -> None:
    inner = PlannedModel("m/in/", "", "transformers", "whole", 0.0, ("m/in/w",), ("m/in/index",))
    outer = PlannedModel("m/", "", "mlflow", "whole", 0.0, ("m/in/w", "m/in/index"), ("m/MLmodel",))
    order = Order([inner, outer])
    assert [order.rank(key) for key in ("m/in/w", "m/in/index", "m/MLmodel", "x")] == [0, 1, 2, 0]
    order.failed("m/in/w")
    assert "m/in/w of the same model" in order.held_back("m/MLmodel")
    assert order.removal_held_back("m/stray")
    assert order.removal_held_back("m/in/stray")
    assert not order.removal_held_back("m/other/stray")


@pytest.mark.parametrize(
    ("key", "rank"),
    [
        ("a/latest", 0),
        ("checkpoint", 0),
        ("t/config.pbtxt", 0),
        ("m/model.safetensors.index.json", 1),
        ("m/MLmodel", 1),
        ("m/.metadata", 1),
        ("m/__3.metadata", 1),
        ("m/meta.pt", 1),
        ("m/model.safetensors.index.fp16.json", 1),
        ("m/model.weights.json", 1),
        ("m/variables/variables.index", 1),
        ("store/files/md5/ab/cd.dir", 1),
        ("m/latest/weights.bin", 2),
        ("m/checkpoint-100.bin", 2),
    ],
)
def test_what_points_is_hidden_before_what_lists_and_that_before_the_rest(key: str, rank: int) -> None:
    assert removal_rank(key) == rank


def test_a_lock_of_what_was_never_whole_names_no_instants_there_are_none() -> None:
    s3 = MemoryS3()
    s3.put("m/x.onnx", b"")
    scope = parse_scope("s3://bkt")
    (verdicts,) = survey(s3, scope, lambda folder: assess("bkt", folder, s3.clock))
    assert str(NotWhole(verdicts, scope, s3.clock, LOCK)).splitlines()[1:] == [
        "nothing was written; no instant is known at which it is whole: lock another prefix, or add --as-is to lock "
        "exactly T"
    ]
    assert str(NotWhole(verdicts, scope, s3.clock, LOCK)).count("x.onnx is empty") == 1

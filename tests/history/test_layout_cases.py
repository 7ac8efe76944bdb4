"""Every layout through the same cases: whole, damaged, inside a save, in other numbers of pieces, beside strangers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from fnmatch import fnmatch

import pytest

from artifact_store.history.layouts import LAYOUTS
from artifact_store.history.models import Identity, Verdict, assess, identity, survey
from artifact_store.history.scope import parse_scope
from artifact_store.history.state import UNSETTLED_WINDOW
from artifact_store.history.verdict import Condition
from tests import model_files as made
from tests.model_files import KINDS, Files, Kind
from tests.restore.memory import MemoryS3

T0 = 1_000_000
NOW = T0 + 90_000
PREFIX = "models/m/"

every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
sharded = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.shards], ids=str)


def bucket(*saves: Iterable[tuple[str, bytes | None]], prefix: str = PREFIX) -> MemoryS3:
    """Save n is written from T0 + 10,000 n on, a file a second. None deletes."""
    s3 = MemoryS3()
    for number, save in enumerate(saves):
        for second, (path, data) in enumerate(save):
            s3.clock = T0 + 10_000 * number + second
            if data is None:
                s3.delete(prefix + path)
            else:
                s3.put(prefix + path, data, time=s3.clock)
    s3.clock = NOW
    return s3


def verdicts(s3: MemoryS3, instant: float = NOW + UNSETTLED_WINDOW, where: str = "s3://bkt") -> dict[Identity, Verdict]:
    found: dict[Identity, Verdict] = {}
    for some in survey(s3, parse_scope(where), lambda candidate: assess("bkt", candidate, instant)):
        found |= {identity(verdict.found): verdict for verdict in some}
    return found


def broken(found: dict[Identity, Verdict]) -> dict[Identity, tuple[Condition, tuple[str, ...]]]:
    return {name: (verdict.condition, verdict.reasons) for name, verdict in found.items() if not verdict.whole}


def test_every_layout_has_a_kind() -> None:
    assert {kind.layout for kind in KINDS} == {layout.name for layout in LAYOUTS}


@every_kind
def test_saves_have_the_same_sizes_and_other_bytes(kind: Kind) -> None:
    """Else what is shown below could be told from sizes."""
    first, second = kind.core(kind.save(1)), kind.core(kind.save(2))
    assert sorted(map(len, first.values())) == sorted(map(len, second.values()))
    for path in first.keys() & second.keys() - kind.pointers:
        assert first[path] != second[path]


@every_kind
def test_what_was_saved_is_whole_and_nothing_else_is_found(kind: Kind) -> None:
    files = kind.save(1)
    found = verdicts(bucket(files.items()))
    assert broken(found) == {}
    assert kind.layout in {layout for layout, _, _ in found}
    spoken = {verdict.found.prefix + path for verdict in found.values() for path in verdict.found.paths}
    assert spoken == {PREFIX + path for path in files}
    for verdict in found.values():
        assert (verdict.found.warnings, verdict.found.leftovers, verdict.found.readers) in [
            ((), (), {}),
            (("needs its base model org/base, which is no part of it",), (), {}),
        ]


@every_kind
def test_overwritten_by_a_later_save_it_is_whole_again(kind: Kind) -> None:
    s3 = bucket(kind.save(1).items(), kind.save(2).items(), kind.save(3).items())
    for instant in (T0 + 9_999, T0 + 19_999, NOW):
        assert broken(verdicts(s3, instant)) == {}


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "gone": lambda _: None,
    "empty": lambda _: b"",
    "half": lambda data: data[: len(data) // 2],
    "a byte short": lambda data: data[:-1],
    "zeros": lambda data: bytes(len(data)),
    "noise": lambda data: random.Random(0).randbytes(len(data)),
    "error": lambda _: b'<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>',
    "page": lambda _: b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
    "lfs": lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
}

UNTOLD: dict[str, tuple[str, ...]] = {
    # bytes without any structure of their own, that many
    "*.onnx.data": ("zeros", "noise"),
    "*.data-?????-of-?????": ("zeros", "noise"),
    "*.distcp": ("noise",),
    # TensorFlow 1 and others write anything under this name
    "last.ckpt": ("noise",),
    # data files of a database, which nothing that is read lists
    "*/d/0?*": ("gone", "half", "a byte short", "zeros", "noise"),
    # only reading all of it would tell
    "*.tar.gz": ("half", "a byte short"),
    # text that may end anywhere
    "MLmodel": ("a byte short",),
    "config.pbtxt": ("half", "a byte short"),
    "checkpoint": ("half", "a byte short"),
    "*/model.py": ("half", "a byte short", "noise"),
    # the last rank of all, which no name counts
    "*/bf16_zero_pp_rank_2_mp_rank_00_optim_states.pt": ("gone",),
}
"""Name -> damage to the only upload of it that no cheap read can tell."""

SHOWS = (
    *("MLmodel", "config.pbtxt", "model_index.json", "model.safetensors", "m.gguf", "model.onnx", "model.keras"),
    *("model.weights.json", "model.tar.gz", "last.ckpt", "latest", "*_CHECKPOINT_METADATA", "checkpoint", "*.dir"),
    made.TRACKER,
)
"""Without this file nothing there says that it is that model: it is gone, as any file may be."""


def named(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


def unnoticed(kind: Kind, damage: str, bucket_with: Callable[[Files, str, bytes | None], MemoryS3]) -> set[str]:
    """The core files whose damage leaves every model whole; where one is no longer found, "gone" before the name."""
    files = kind.save(1)
    every = verdicts(bucket(files.items())).keys()
    silent = set()
    for path, data in kind.core(files).items():
        changed = DAMAGES[damage](data)
        assert changed != data
        found = verdicts(bucket_with(files, path, changed))
        if not broken(found):
            silent.add(path if found.keys() == every else f"gone {path}")
    return silent


def uploaded(files: Files, path: str, changed: bytes | None) -> MemoryS3:
    left = {**files, path: changed} if changed is not None else {k: v for k, v in files.items() if k != path}
    return bucket(left.items())


@pytest.mark.parametrize("damage", DAMAGES)
@every_kind
def test_a_file_that_was_uploaded_damaged_is_noticed(kind: Kind, damage: str) -> None:
    for path in unnoticed(kind, damage, uploaded):
        if path.startswith("gone "):
            assert named(path.removeprefix("gone "), SHOWS)
        else:
            assert named(path, (name for name, untold in UNTOLD.items() if damage in untold))


ALONE = ("*.onnx.data", "*/d/0?*", "*.tar.gz", "MLmodel", "config.pbtxt", "checkpoint", "*/model.py", "last.ckpt")
"""Untold also where it happens to a file of a whole model: it is bound to no other, or its loss is no write."""


@pytest.mark.parametrize("damage", DAMAGES)
@every_kind
def test_damage_to_one_piece_later_is_noticed_whatever_its_bytes(kind: Kind, damage: str) -> None:
    """The versions tell it where the format cannot: the piece is of another save than the rest."""

    def later(files: Files, path: str, changed: bytes | None) -> MemoryS3:
        return bucket(files.items(), [(path, changed)])

    for path in unnoticed(kind, damage, later):
        if path.startswith("gone "):
            assert named(path.removeprefix("gone "), SHOWS)
        else:
            assert damage in {d for name in ALONE if fnmatch(path, name) for d in UNTOLD[name]}, path


@every_kind
def test_deleted_whole_and_before_its_first_write_it_is_no_model(kind: Kind) -> None:
    files = kind.save(1)
    s3 = bucket(files.items(), [(path, None) for path in files])
    assert verdicts(s3) == {}
    assert verdicts(s3, T0 - 1) == {}


@every_kind
def test_between_two_writes_of_a_save_what_is_torn_is_not_whole_and_all_else_is(kind: Kind) -> None:
    first, second = kind.save(1), kind.save(2)
    s3 = bucket(first.items(), second.items(), [("notes.txt", b"later")])
    known: dict[Identity, Verdict] = {}
    for number, files in enumerate((first, second)):
        known |= verdicts(s3, T0 + 10_000 * number + 9_999)
        for written in range(1, len(files)):
            found = verdicts(s3, T0 + 10_000 * number + written - 1)
            done = list(files)[:written]
            if not number and torn({*kind.core(files)} - kind.pointers, done) and weights(known) & {*done}:
                assert not all(verdict.whole for verdict in found.values()), done[-1]
            for name in found.keys() & known.keys():
                spoken = {path for path in files if PREFIX + path in keys(known[name])}
                its = spoken & kind.core(files).keys()
                assert found[name].whole <= (not torn(its, done)), (done[-1], name)
                assert found[name].whole or torn(spoken, done), (done[-1], name, found[name].reasons)
            # Shards of Keras without what lists them look like weights that were saved at an epoch.
            assert kind.name == "keras_sharded" or found.keys() <= known.keys()


def keys(verdict: Verdict) -> set[str]:
    return {verdict.found.prefix + path for path in verdict.found.paths}


def weights(known: dict[Identity, Verdict]) -> set[str]:
    """Without these a model is none."""
    return {
        (verdict.found.prefix + path).removeprefix(PREFIX)
        for verdict in known.values()
        for path in (*verdict.found.members, *verdict.found.indexes)
    }


def torn(paths: set[str], done: Iterable[str]) -> bool:
    """Whether some of them are written and some are not."""
    return bool(paths & {*done}) and not paths <= {*done}


def test_pieces_of_a_split_gguf_hold_as_many_tensors_as_they_say() -> None:
    assert broken(verdicts(bucket(made.gguf_pairs(1, 3).items()))) == {}
    piece = "m-00002-of-00003.gguf"
    mixed = made.gguf_split(1, 3) | {piece: made.gguf_pairs(1, 3)[piece]}
    (verdict,) = verdicts(bucket(mixed.items())).values()
    assert verdict.condition is Condition.INCOMPLETE
    assert verdict.reasons == ("its pieces hold 4 tensors together, and one says 3",)


def test_ranks_that_were_deleted_later_are_named_and_a_kind_that_was_given_up_is_not() -> None:
    files = made.deepspeed(1, 4)
    states = [path for path in files if path.endswith("optim_states.pt")]
    (verdict,) = broken(verdicts(bucket(files.items(), [(path, None) for path in states[2:]]))).values()
    assert verdict == (
        Condition.INCOMPLETE,
        (
            "written with the rest and deleted since: bf16_zero_pp_rank_2_mp_rank_00_optim_states.pt and "
            "bf16_zero_pp_rank_3_mp_rank_00_optim_states.pt",
        ),
    )
    assert broken(verdicts(bucket(files.items(), [(path, None) for path in states]))) == {}
    fewer = made.deepspeed(2, 2)
    assert broken(verdicts(bucket(files.items(), [*((path, None) for path in states[2:]), *fewer.items()]))) == {}


RESHARDED = {
    # what lists its pieces, or holds each count under names of its own, is whole whatever lies beside it
    **dict.fromkeys([kind.name for kind in KINDS if kind.shards], (Condition.WHOLE, Condition.WHOLE)),
    # ranks are told by their names alone: those of the larger save before are taken for ranks of this one
    "deepspeed": (Condition.INCOMPLETE, Condition.WHOLE),
    "megatron": (Condition.INCOMPLETE, Condition.WHOLE),
}
"""Kind -> condition after 5 pieces were saved and then 3, and after 2 and then 5, nothing cleaned up."""


@pytest.mark.parametrize(("case", "before", "after"), [(0, 5, 3), (1, 2, 5)])
@sharded
def test_pieces_that_a_save_of_another_count_left_do_not_pass_for_its_own(
    kind: Kind, case: int, before: int, after: int
) -> None:
    first, second = kind.save(1, before), kind.save(2, after)
    left = bucket(first.items(), second.items())
    conditions = {verdict.condition for verdict in verdicts(left).values()}
    assert conditions - {Condition.WHOLE} == {RESHARDED[kind.name][case]} - {Condition.WHOLE}
    gone = [(path, None) for path in first if path not in second]
    assert broken(verdicts(bucket(first.items(), [*second.items(), *gone]))) == {}
    assert broken(verdicts(bucket(first.items(), [*gone, *second.items()]))) == {}


BESIDE = {
    "transformers": ("model.safetensors", made.safetensors("w", 9), Condition.AMBIGUOUS),
    "transformers_bin": ("pytorch_model.bin", made.archive(9), Condition.AMBIGUOUS),
    "mlflow_transformers": ("model/model.safetensors", made.safetensors("w", 9), Condition.AMBIGUOUS),
    "diffusers": ("unet/diffusion_pytorch_model.safetensors", made.safetensors("w", 9), Condition.AMBIGUOUS),
    # names of their own, so that no reader takes one for the other
    "gguf_split": ("m.gguf", made.gguf_single(9, 1)["m.gguf"], Condition.WHOLE),
    "keras_sharded": ("model.keras", made.archive(9), Condition.WHOLE),
}
"""Kind -> a file of an older save in one piece that was left beside the pieces, and what that makes of the model."""


@pytest.mark.parametrize("name", BESIDE)
def test_one_file_of_an_older_save_beside_the_pieces_is_told_where_readers_differ(name: str) -> None:
    (kind,) = (kind for kind in KINDS if kind.name == name)
    path, data, condition = BESIDE[name]
    found = verdicts(bucket([(path, data)], kind.save(1).items()))
    assert {verdict.condition for verdict in found.values()} - {Condition.WHOLE} == {condition} - {Condition.WHOLE}


NAMING = [kind for kind in KINDS if kind.pointers and kind.layout != "triton"]
"""Those whose pointer names a folder or a file."""


@pytest.mark.parametrize("kind", NAMING, ids=str)
def test_a_pointer_to_what_was_deleted_is_broken_and_what_it_does_not_name_is_not(kind: Kind) -> None:
    first, second = kind.save(1), kind.save(2)
    target = [path for path in kind.core(second) if path not in kind.pointers]
    found = verdicts(bucket(first.items(), second.items(), [(path, None) for path in target])).values()
    (pointer,) = (verdict for verdict in found if verdict.found.pointers)
    others = [verdict for verdict in found if not verdict.found.pointers]
    assert pointer.condition is Condition.INCOMPLETE
    assert all(verdict.whole for verdict in others)
    assert bool(others) is (first.keys() != second.keys())


LEFT = {
    "an index of files that were left out of a download": (
        {"pytorch_model.bin.index.json": made.transformers_bin(1, 2)["pytorch_model.bin.index.json"]},
        "none of the files of pytorch_model.bin.index.json is there: it was left by a download or a save without them",
    ),
    "a pointer to a training state that was not kept": (
        {"zero_to_fp32.py": b"pass\n", "latest": b"global_step500", "trainer_state.json": b"{}"},
        "latest names global_step500, which is not there: training can go on from the weights beside it alone",
    ),
}
"""What is left beside a whole model -> what its user is told."""


@pytest.mark.parametrize("left", LEFT)
def test_what_was_left_beside_a_whole_model_is_told_and_the_model_is_whole(left: str) -> None:
    files, warning = LEFT[left]
    found = verdicts(bucket((made.transformers(1, 2) | files).items()))
    assert broken(found) == {}
    assert [text for verdict in found.values() for text in verdict.warnings] == [warning]


@pytest.mark.parametrize(
    ("instant", "condition"),
    [(NOW, Condition.WHOLE), (NOW + 5, Condition.WHOLE), (NOW - 1, Condition.UNCERTAIN)],
)
def test_an_upload_that_is_listed_now_has_ended_and_before_nobody_knows(instant: int, condition: Condition) -> None:
    s3, data = MemoryS3(), made.safetensors("w", 1)
    s3.put_parts("m/model.safetensors", [data[:50], data[50:]], began=NOW - 60)
    jobs = survey(s3, parse_scope("s3://bkt"), lambda candidate: assess("bkt", candidate, instant, now=NOW))
    assert [verdict.condition for found in jobs for verdict in found] == [condition]

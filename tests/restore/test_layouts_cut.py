"""Of every layout: a restore that is cut off after any write leaves no restored list or pointer over other members."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from artifact_store.history.scope import parse_scope
from artifact_store.restore.apply import DEFAULTS, ApplyOptions, apply
from artifact_store.restore.journal import Journal
from artifact_store.restore.models import REMOVAL_RANKS, removal_rank
from artifact_store.restore.planfile import Plan
from artifact_store.restore.planner import make_plan
from artifact_store.s3 import operations as op
from tests.history.test_layout_cases import T0, broken, bucket, verdicts
from tests.model_files import KINDS, Files, Kind
from tests.restore.memory import MemoryS3, s3_error
from tests.restore.support import SMALL
from tests.restore.test_layouts_whole import LATER, every_kind, is_of, sharded, there

WRITES = (op.CopyObject, op.CompleteMultipartUpload, op.DeleteObjects)
Build = Callable[[], MemoryS3]


def new_over_old(kind: Kind, before: Files, now: Files, wanted: Files) -> Iterator[str]:
    """Lists and pointers that were brought back over members that are not all back."""
    for head, members in kind.lists(wanted).items():
        if now.get(head) == wanted[head] != before.get(head) and not is_of(now, wanted, members):
            yield f"{head} came back before {sorted(path for path in members if now.get(path) != wanted[path])}"


def old_over_hidden(kind: Kind, before: Files, now: Files, stood: Files, wanted: Files) -> Iterator[str]:
    """Lists and pointers that have to go or change and still stand, of whose members some were hidden."""
    for head, members in kind.lists(stood).items():
        hidden = [path for path in members if path in before and path not in now]
        if now.get(head) == stood[head] == before.get(head) != wanted.get(head) and hidden:
            yield f"{head} still stands and {sorted(hidden)} are hidden"


class Cut:
    """Ends the run at the nth write, before it is sent or after it was carried out; then S3 is out of reach."""

    def __init__(self, s3: MemoryS3, at: int, *, sent: bool) -> None:
        self.left, self.hit = at, False
        if sent:
            s3.after = self
        else:
            s3.before = self

    def __call__(self, sent: op.Operation) -> None:
        if self.hit:
            raise s3_error(0, "Unreachable")
        self.left -= isinstance(sent, WRITES)
        if self.left == -1 and isinstance(sent, WRITES):
            self.hit = True
            raise KeyboardInterrupt


def plan(s3: MemoryS3, folder: Path, instant: float) -> Plan:
    return make_plan(s3, parse_scope("s3://bkt"), instant, folder / f"plan-{len(list(folder.iterdir()))}")


def cut_everywhere(
    build: Build, instant: float, folder: Path, options: ApplyOptions, look: Callable[[Files, Files], Iterator[str]]
) -> int:
    """Cut the restore at every write, look at what stands, finish it by a second run. Returns how many writes it has."""
    undisturbed = build()
    assert apply(undisturbed, plan(undisturbed, folder, instant), options=options).complete
    at = 0
    while True:
        for sent in (False, True):
            s3 = build()
            before = there(s3)
            made = plan(s3, folder, instant)
            cut = Cut(s3, at, sent=sent)
            with suppress(KeyboardInterrupt):
                apply(s3, made, journal=Journal.beside(made.path), options=options)
            s3.before = s3.after = lambda _: None
            assert list(look(before, there(s3))) == [], f"cut at write {at}, sent: {sent}"
            versions = len(s3.entries())
            s3.clock += 5
            assert apply(s3, made, journal=Journal.beside(made.path), options=options).complete
            assert len(s3.entries()) >= versions
            assert there(s3) == there(undisturbed)
            if not cut.hit:
                done = apply(s3, made, journal=Journal.beside(made.path), options=options)
                assert (done.complete, done.written) == (True, 0)
                return at
        at += 1


@pytest.mark.parametrize("options", [DEFAULTS, SMALL], ids=["whole", "in parts"])
@every_kind
def test_cut_off_at_any_write_a_restore_over_later_saves_shows_no_new_list_over_old_members(
    kind: Kind, options: ApplyOptions, tmp_path: Path
) -> None:
    first, second, third = (kind.save(step) for step in (1, 2, 3))
    wanted = first

    def build() -> MemoryS3:
        return bucket(first.items(), second.items(), third.items(), [("notes.txt", b"later")])

    def look(before: Files, now: Files) -> Iterator[str]:
        yield from new_over_old(kind, before, now, wanted)
        for stood in (second, third):
            yield from old_over_hidden(kind, before, now, stood, wanted)

    writes = cut_everywhere(build, T0 + 9_999, tmp_path, options, look)
    assert writes >= 2
    s3 = build()
    assert apply(s3, plan(s3, tmp_path, T0 + 9_999), options=options).complete
    assert there(s3) == first
    assert broken(verdicts(s3, LATER)) == {}


@every_kind
def test_cut_off_at_any_write_a_restore_of_what_was_deleted_shows_no_list_before_its_members(
    kind: Kind, tmp_path: Path
) -> None:
    first = kind.save(1)

    def build() -> MemoryS3:
        return bucket(first.items(), [(path, None) for path in reversed(first)])

    def look(before: Files, now: Files) -> Iterator[str]:
        assert before == {}
        yield from new_over_old(kind, before, now, first)

    assert cut_everywhere(build, T0 + 9_999, tmp_path, DEFAULTS, look) >= len(first)


@pytest.mark.parametrize(("before", "after"), [(5, 3), (2, 5)])
@sharded
def test_cut_off_at_any_write_a_restore_over_another_count_of_pieces_shows_no_mix(
    kind: Kind, before: int, after: int, tmp_path: Path
) -> None:
    first, second = kind.save(1, before), kind.save(2, after)
    cleaned = [(path, None) for path in first if path not in second]

    def build() -> MemoryS3:
        return bucket(first.items(), [*second.items(), *cleaned], [("notes.txt", b"later")])

    def look(stood: Files, now: Files) -> Iterator[str]:
        yield from new_over_old(kind, stood, now, first)
        yield from old_over_hidden(kind, stood, now, second, first)

    cut_everywhere(build, T0 + 9_999, tmp_path, DEFAULTS, look)


@every_kind
def test_where_one_member_cannot_be_written_no_list_or_pointer_that_speaks_of_it_is(kind: Kind, tmp_path: Path) -> None:
    first, second = kind.save(1), kind.save(2)
    members = {path for listed in kind.lists(first).values() for path in listed}
    for refused in sorted(members & second.keys()):
        s3 = bucket(first.items(), second.items())
        before = there(s3)
        made = plan(s3, tmp_path, T0 + 9_999)

        def refuse(sent: op.Operation, key: str = f"models/m/{refused}") -> None:
            if isinstance(sent, op.CopyObject) and sent.key == key:
                raise s3_error(400, "InvalidRequest")

        s3.before = refuse
        report = apply(s3, made)
        assert [key for key, reason in report.failed if "InvalidRequest" in reason] == [f"models/m/{refused}"]
        assert list(new_over_old(kind, before, there(s3), first)) == []
        s3.before = lambda _: None
        assert apply(s3, made).complete
        assert there(s3) == first


@every_kind
def test_what_lists_or_points_is_hidden_before_what_it_speaks_of(kind: Kind) -> None:
    """Batches of a thousand keys are hidden one after the other."""
    lists = kind.lists(kind.save(1))
    for head, spoken in lists.items():
        assert removal_rank(head) < REMOVAL_RANKS - 1, head
        assert all(removal_rank(head) <= removal_rank(path) for path in spoken), head


def test_the_cuts_are_made_where_writes_are() -> None:
    assert {kind.name for kind in KINDS if kind.lists(kind.save(1))} >= {
        "transformers",
        "dcp",
        "orbax",
        "deepspeed_steps",
    }
    s3 = bucket([("a", b"1")])
    Cut(s3, 0, sent=True)
    with pytest.raises(KeyboardInterrupt):
        s3.call(op.CopyObject("bkt", "models/m/a", "", "bkt", "models/m/b"))
    assert there(s3) == {"a": b"1", "b": b"1"}

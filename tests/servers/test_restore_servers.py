"""Restores on real servers. What other tools are known to get wrong is here, each as a test that passes."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
import time_machine

from artifact_store.errors import Refused, S3Error
from artifact_store.history.scope import Scope
from artifact_store.history.state import Flag
from artifact_store.restore.apply import ApplyOptions, Progress, apply
from artifact_store.restore.copying import CopyLimits
from artifact_store.restore.destination import IN_PLACE, Destination, ToBucket, ToFolder
from artifact_store.restore.journal import Journal
from artifact_store.restore.plan import Action, PlanOptions, Reason
from artifact_store.restore.planfile import Plan, read_plan
from artifact_store.restore.planner import make_plan
from artifact_store.restore.verify import verify
from artifact_store.s3 import operations as op
from artifact_store.s3.client import S3, connect
from tests.servers.conftest import Server, new_bucket
from tests.servers.fault_proxy import Delay, FaultProxy, Reset, Seen, Status
from tests.servers.worlds import MIB, MOTO_T, OTHER_PARTS, PARTS, PROPERTIES, TAGS, World, world_on

IN_PARTS = ApplyOptions(limits=CopyLimits(single_copy=8 * MIB, part_size=6 * MIB))
"""Parts of another size than those of the objects, so that to have theirs is no chance."""


@pytest.fixture
def world(server: Server) -> World:
    return world_on(server)


@pytest.fixture
def planned(world: World, s3: S3, tmp_path: Path) -> Callable[..., Plan]:
    """Plans the restore of a prefix to T."""

    def plan(prefix: str, *, to: Destination = IN_PLACE, name: str = "plan", **options: object) -> Plan:
        chosen = PlanOptions(**options)
        scope = Scope(world.bucket, prefix)
        return make_plan(s3, scope, world.instant, tmp_path / name, options=chosen, destination=to)

    return plan


def restored(s3: S3, world: World, plan: Plan, prefix: str, options: ApplyOptions = IN_PARTS) -> None:
    """Apply, and check against what is known to have stood at T; nothing may be removed and nothing added twice."""
    before = world.entries(prefix)
    report = apply(s3, plan, options=options, journal=Journal.beside(plan.path))
    assert report.complete, report
    assert world.now(prefix) == world.at(prefix)
    after = world.entries(prefix)
    assert before <= after
    assert len(after) == len(before) + plan.summary.changes
    for found in (verify(s3, plan), verify(s3, plan, deep=True)):
        assert (found.wrong, found.unproved) == ((), ())


def test_a_prefix_is_what_it_was_and_restoring_it_again_writes_nothing(
    world: World, s3: S3, planned: Callable[..., Plan]
) -> None:
    plan = planned("plain")
    assert plan.summary.counts == {
        Action.KEEP: 7,
        Action.COPY: 25,
        Action.DELETE: 6,
        Action.UNDELETE: 0,
        Action.THAW: 0,
    }
    restored(s3, world, plan, "plain")
    after = world.entries("plain")
    again = planned("plain", name="again")
    assert again.summary.changes == 0
    assert apply(s3, again).written == 0
    assert world.entries("plain") == after


def test_keys_of_any_form_are_restored(world: World, s3: S3, planned: Callable[..., Plan]) -> None:
    plan = planned("odd")
    assert plan.summary.counts[Action.COPY] == len(world.at("odd"))
    restored(s3, world, plan, "odd")


def test_keys_that_xml_cannot_hold_are_hidden_and_fail_no_others(moto: Server, tmp_path: Path) -> None:
    """On moto, which answers a bulk delete of such a key with an error for the whole batch; SeaweedFS forgets the name."""
    name = new_bucket(moto)
    with connect(endpoint_url=moto.endpoint) as s3:
        with time_machine.travel(MOTO_T, tick=False):
            s3.call(op.PutObject(name, "old", b"old"))
        for key in ("a", "esc\x1b[0m", "bell\x07", "z"):
            s3.call(op.PutObject(name, key, b"new"))
        plan = make_plan(s3, Scope(name), float(MOTO_T), tmp_path / "plan")
        assert plan.summary.counts[Action.DELETE] == 4
        report = apply(s3, plan)
        assert (report.written, report.failed, report.conflicts) == (4, (), ())
        current = [entry.key for entry in s3.call(op.ListVersions(name)).entries if entry.is_latest]
        markers = {entry.key for entry in s3.call(op.ListVersions(name)).entries if entry.is_marker}
    assert sorted(current) == ["a", "bell\x07", "esc\x1b[0m", "old", "z"]
    assert markers == {"a", "bell\x07", "esc\x1b[0m", "z"}


def test_keys_deleted_before_t_stay_deleted_however_their_names_are_encoded(
    world: World, s3: S3, planned: Callable[..., Plan]
) -> None:
    plan = planned("hidden")
    if world.server.interleaves:
        assert plan.summary.flagged.keys() <= {Flag.EDGE}
    restored(s3, world, plan, "hidden")


def test_put_delete_put_in_one_second_is_decided_by_the_servers_order_or_named_as_a_tie(
    world: World, s3: S3, planned: Callable[..., Plan]
) -> None:
    plan = planned("second")
    if world.server.interleaves:
        assert Flag.TIE not in plan.summary.flagged
        restored(s3, world, plan, "second")
    else:
        assert plan.summary.samples[Flag.TIE] == ["second/back", "second/gone"]
        assert apply(s3, plan).complete
        assert world.now("second") == world.at("second") | {"second/gone": b"1"}


def test_a_multipart_object_overwritten_by_other_bytes_of_the_same_size_is_restored_and_then_recognised(
    world: World, s3: S3, planned: Callable[..., Plan]
) -> None:
    assert sum(map(len, PARTS)) == sum(map(len, OTHER_PARTS))
    plan = planned("multi")
    assert plan.summary.counts[Action.COPY] == 1
    restored(s3, world, plan, "multi", ApplyOptions())
    assert planned("multi", name="again").summary.changes == 0


def test_multipart_objects_without_checksums_keep_their_etags_and_are_restored_once(
    world: World, s3: S3, planned: Callable[..., Plan]
) -> None:
    plan = planned("parts")
    etags = {step.key: step.etag for step in plan.steps()}
    assert [etag[-2:] for etag in etags.values()] == ["-3", "-4"]
    restored(s3, world, plan, "parts", ApplyOptions())
    now = {key: world.boto.head_object(Bucket=world.bucket, Key=key)["ETag"].strip('"') for key in etags}
    assert now == etags
    entries = world.entries("parts")
    assert planned("parts", name="again").summary.changes == 0
    assert apply(s3, plan).already == 2
    assert world.entries("parts") == entries
    assert world.boto.list_multipart_uploads(Bucket=world.bucket).get("Uploads", []) == []


def test_copies_in_one_request_and_in_parts_keep_headers_metadata_and_tags(
    world: World, s3: S3, planned: Callable[..., Plan]
) -> None:
    etags = {step.key: step.etag for step in planned("props").steps()}
    restored(s3, world, planned("props", name="p"), "props")
    for key in ("props/one", "props/parts"):
        head = world.boto.head_object(Bucket=world.bucket, Key=key)
        assert {name: head.get(name) for name in PROPERTIES} == PROPERTIES
        tags = world.boto.get_object_tagging(Bucket=world.bucket, Key=key)["TagSet"]
        assert "&".join(sorted(f"{tag['Key']}={tag['Value'].replace(' ', '%20')}" for tag in tags)) == TAGS
        if world.server.name == "moto":
            # SeaweedFS makes other ETags for copied parts than for uploaded ones.
            assert head["ETag"].strip('"') == etags[key]
    assert world.boto.list_multipart_uploads(Bucket=world.bucket).get("Uploads", []) == []


def test_undelete_removes_markers_and_nothing_else(world: World, s3: S3, planned: Callable[..., Plan]) -> None:
    before = world.entries("undelete")
    plan = planned("undelete", undelete=True)
    assert plan.summary.counts[Action.UNDELETE] == 5
    report = apply(s3, plan)
    assert report.complete, report
    assert world.now("undelete") == world.at("undelete")
    assert len(before - world.entries("undelete")) == 5
    assert verify(s3, plan, deep=True).wrong == ()


def test_keep_new_leaves_what_came_after(world: World, s3: S3, planned: Callable[..., Plan]) -> None:
    plan = planned("keep", keep_new=True)
    assert apply(s3, plan).complete
    new = {f"keep/n{i}": b"stray" for i in range(5)} | {"keep/gone": b"again"}
    assert world.now("keep") == world.at("keep") | new
    assert verify(s3, plan).wrong == ()


def test_another_bucket_gets_the_keys_below_its_prefix_and_a_second_run_adds_nothing(
    world: World, s3: S3, planned: Callable[..., Plan]
) -> None:
    source = world.entries("bucket")
    place = ToBucket(world.other, "back/")
    plan = planned("bucket", to=place)
    assert apply(s3, plan).complete
    expected = {key.replace("bucket/", "back/"): data for key, data in world.at("bucket").items()}
    assert world.now("back", world.other) == expected
    assert verify(s3, plan, deep=True).wrong == ()
    written = world.entries("back", world.other)
    assert planned("bucket", to=place, name="again").summary.changes == 0
    assert apply(s3, plan).already == len(expected)
    assert world.entries("back", world.other) == written
    assert world.entries("bucket") == source


def test_a_folder_gets_the_files(world: World, s3: S3, planned: Callable[..., Plan], tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan = planned("folder", to=ToFolder(out))
    assert apply(s3, plan).complete
    found = {f"folder/{path.relative_to(out)}": path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found == world.at("folder")
    assert verify(s3, plan, deep=True).wrong == ()
    assert planned("folder", to=ToFolder(out), name="again").summary.changes == 0


def test_a_destination_that_does_not_exist_is_an_error_before_anything_is_written(planned: Callable[..., Plan]) -> None:
    with pytest.raises(S3Error) as told:
        planned("bucket", to=ToBucket("no-such-bucket-anywhere"))
    assert told.value.code == "NoSuchBucket"


def test_what_someone_wrote_since_the_plan_is_left_alone_and_the_rest_is_restored(
    world: World, s3: S3, planned: Callable[..., Plan]
) -> None:
    plan = planned("conflict")
    s3.call(op.PutObject(world.bucket, "conflict/theirs", b"by someone else"))
    s3.call(op.PutObject(world.bucket, "conflict/claimed", b"by someone else"))
    s3.call(op.DeleteObject(world.bucket, "conflict/removed"))
    report = apply(s3, plan)
    assert sorted(key for key, _ in report.conflicts) == ["conflict/claimed", "conflict/removed", "conflict/theirs"]
    assert (report.written, report.failed, report.pending) == (2, (), 0)
    assert world.now("conflict") == {
        "conflict/claimed": b"by someone else",
        "conflict/kept": b"kept",
        "conflict/mine": b"old",
        "conflict/theirs": b"by someone else",
    }
    assert sorted(key for key, _ in verify(s3, plan).wrong) == sorted(key for key, _ in report.conflicts)


def test_interrupted_and_run_again_with_the_journal_nothing_is_done_twice(
    world: World, s3: S3, planned: Callable[..., Plan]
) -> None:
    before = len(world.entries("journal"))
    plan = planned("journal")
    journal = Journal.beside(plan.path)

    def interrupt(progress: Progress) -> None:
        if progress.keys == 12:
            raise KeyboardInterrupt

    first = apply(s3, plan, journal=journal, on_progress=interrupt)
    assert first.interrupted
    second = apply(s3, plan, journal=journal)
    assert second.complete, second
    assert first.written + first.pending == plan.summary.changes
    assert second.already >= first.written
    assert world.now("journal") == world.at("journal")
    assert len(world.entries("journal")) == before + plan.summary.changes


KILLED = """
import os, sys
from pathlib import Path
from threading import Event
from artifact_store.restore.apply import apply
from artifact_store.restore.planfile import read_plan
from artifact_store.s3.client import connect
apply(connect(endpoint_url=sys.argv[1]), read_plan(Path(sys.argv[2])), journal=Path(sys.argv[3]) if sys.argv[3:] else None,
      on_progress=lambda progress: os._exit(9) if progress.keys == 12 else None)
"""


@pytest.mark.parametrize("with_journal", [True, False])
def test_a_killed_process_is_finished_by_a_second_run(
    world: World, s3: S3, planned: Callable[..., Plan], with_journal: bool
) -> None:
    """Starts a Python process, hence slow."""
    prefix = "killed" if with_journal else "again"
    before = len(world.entries(prefix))
    plan = planned(prefix)
    journal = Journal.beside(plan.path) if with_journal else None
    arguments = [world.server.endpoint, str(plan.path), *([str(journal)] if journal else [])]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == 9
    report = apply(s3, read_plan(plan.path), journal=journal)
    assert report.complete, report
    assert report.already >= 11
    assert world.now(prefix) == world.at(prefix)
    if world.server.honours_conditions:
        # Without conditions, a request still under way when its process died may be carried out after the second run
        # has looked.
        assert len(world.entries(prefix)) == before + plan.summary.changes


def test_lost_answers_busy_servers_and_resets_lose_nothing_and_write_nothing_twice(
    world: World, planned: Callable[..., Plan], proxy: FaultProxy
) -> None:
    """Retries wait for tenths of a second, hence slow."""
    before = len(world.entries("faulty"))
    plan = planned("faulty")

    def choose(seen: Seen) -> Status | Reset | None:
        if seen.attempt > 1:
            return None
        faults = [Status(503, "SlowDown"), Status(500), Reset(), Reset(forwarded=world.server.honours_conditions)]
        return faults[seen.number % 4]

    proxy.choose = choose
    with connect(endpoint_url=proxy.endpoint) as shaky:
        report = apply(shaky, plan)
        assert shaky.stats.retries > 20
    assert report.complete, report
    assert world.now("faulty") == world.at("faulty")
    assert len(world.entries("faulty")) == before + plan.summary.changes


def test_a_page_of_markers_alone_does_not_end_the_listing(server: Server, s3: S3, tmp_path: Path) -> None:
    """More than a thousand markers are made first, hence slow."""
    name = new_bucket(server)
    s3.call(op.PutObject(name, "a", b"old"))

    def hide() -> op.Job[op.Deleted]:
        return (yield op.DeleteObject(name, "a"))

    def write(data: bytes) -> None:
        s3.call(op.PutObject(name, "z", data))

    assert sum(1 for _ in s3.run(hide() for _ in range(1100))) == 1100
    write(b"old")
    heads: op.ObjectHead = s3.call(op.HeadObject(name, "z"))
    plan = make_plan(s3, Scope(name), heads.last_modified, tmp_path / "plan")
    assert [(step.key, step.action, step.reason) for step in plan.steps()] == [("z", Action.KEEP, Reason.SAME_VERSION)]
    first: op.VersionPage = s3.call(op.ListVersions(name))
    if server.interleaves:
        # moto lists all versions before all markers, on every page.
        assert (first.is_truncated, {entry.is_marker for entry in first.entries}) == (True, {True})


INTERRUPTED = """
import sys, time
from pathlib import Path
from threading import Event
from artifact_store.restore.apply import ApplyOptions, apply
from artifact_store.restore.copying import CopyLimits
from artifact_store.restore.planfile import read_plan
from artifact_store.s3.client import connect
options = ApplyOptions(limits=CopyLimits(single_copy=8 << 20))
report = apply(connect(endpoint_url=sys.argv[1]), read_plan(Path(sys.argv[2])), options=options)
print(report.interrupted, report.written, report.pending, report.uploads_left, flush=True)
"""


def test_ctrl_c_ends_within_a_second_says_what_is_left_and_leaves_no_upload(
    world: World, planned: Callable[..., Plan], proxy: FaultProxy
) -> None:
    """Starts a Python process, hence slow. A busy machine gets three tries."""
    plan = planned("cut")
    under_way = Event()

    def choose(seen: Seen) -> Delay | None:
        if "partNumber=" in seen.target and seen.method == "PUT":
            under_way.set()
            return Delay(30)
        return None

    proxy.choose = choose
    arguments = [sys.executable, "-c", INTERRUPTED, proxy.endpoint, str(plan.path)]
    took: list[float] = []
    while len(took) < 3 and min(took, default=1.0) >= 1:
        under_way.clear()
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert under_way.wait(30)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=20)
            took.append(time.monotonic() - began)
        assert said.split() == ["True", "0", "1", "0"]
        assert process.returncode == 0
    assert min(took) < 1, took
    assert world.boto.list_multipart_uploads(Bucket=world.bucket).get("Uploads", []) == []
    assert world.now("cut") == {"cut/model": b"two"}


SLAIN = """
import os, sys
from pathlib import Path
from artifact_store.restore.apply import ApplyOptions, apply
from artifact_store.restore.copying import CopyLimits
from artifact_store.restore.planfile import read_plan
from artifact_store.s3.client import connect
options = ApplyOptions(limits=CopyLimits(single_copy=8 << 20))
apply(connect(endpoint_url=sys.argv[1]), read_plan(Path(sys.argv[2])), journal=Path(sys.argv[3]), options=options)
"""


def test_the_parts_of_a_run_that_was_killed_outright_are_given_up_by_the_next(
    world: World, s3: S3, planned: Callable[..., Plan], proxy: FaultProxy
) -> None:
    """Starts a Python process, hence slow."""
    plan = planned("slain")
    journal = Journal.beside(plan.path)
    under_way = Event()

    def choose(seen: Seen) -> Delay | None:
        if "partNumber=3" in seen.target and seen.method == "PUT":
            under_way.set()
            return Delay(30)
        return None

    proxy.choose = choose
    arguments = [sys.executable, "-c", SLAIN, proxy.endpoint, str(plan.path), str(journal)]
    with subprocess.Popen(arguments) as process:
        assert under_way.wait(30)
        process.kill()
    assert len(world.boto.list_multipart_uploads(Bucket=world.bucket, Prefix="slain/").get("Uploads", [])) == 1
    report = apply(s3, plan, journal=journal, options=IN_PARTS)
    assert (report.written, report.uploads_left) == (1, 0)
    assert world.now("slain") == world.at("slain")
    assert world.boto.list_multipart_uploads(Bucket=world.bucket, Prefix="slain/").get("Uploads", []) == []


def test_an_archived_version_stops_the_restore_before_anything_is_written(moto: Server, tmp_path: Path) -> None:
    """On moto, which refuses to copy what is archived as S3 does; SeaweedFS has no archive."""
    name, boto = new_bucket(moto), moto.boto()
    with time_machine.travel(MOTO_T, tick=False):
        boto.put_object(Bucket=name, Key="cold", Body=b"weights", StorageClass="GLACIER")
        boto.put_object(Bucket=name, Key="warm", Body=b"old")
    for key in ("cold", "warm"):
        boto.put_object(Bucket=name, Key=key, Body=b"new")
    with connect(endpoint_url=moto.endpoint) as s3:
        plan = make_plan(s3, Scope(name), float(MOTO_T), tmp_path / "plan")
        assert [(step.key, step.action) for step in plan.steps()] == [("cold", Action.THAW), ("warm", Action.COPY)]
        with pytest.raises(Refused, match="1 version in an archive class"):
            apply(s3, plan)
    assert boto.get_object(Bucket=name, Key="warm")["Body"].read() == b"new"

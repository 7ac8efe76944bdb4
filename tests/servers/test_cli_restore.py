"""`restore`, `plan`, `apply`, `verify` on a real server: what is asked, told, written and proved; and the exit codes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
import time_machine

from tests.cli.terminal import COMMAND, on_terminal, piped
from tests.servers.conftest import new_bucket
from tests.servers.fault_proxy import Delay, FaultProxy, Reset, Status, Truncate
from tests.servers.story import BAD_SHARD, BEFORE, MODEL, NEIGHBOUR, SPOILED, spoiled_model

IGNORING_SIGHUP = (
    "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
)
SMALL_FILES = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); os.execv(sys.argv[1], sys.argv[1:])"
CONFIG = "models/m-1/config.json"
SHARD = "models/m-1/part-0000{}-of-00002.bin"


@pytest.fixture
def story(moto):
    return spoiled_model(moto)


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    """Where restores keep their plans."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "artifact-store"


def model(story):
    return story.contents("models/m-1/")


def test_a_model_comes_back_to_the_byte_and_nothing_is_lost(run, story, state):
    versions = {(key, version) for key, version, _ in story.everything()}
    code, out, err = run("restore", story.address, "--at", BEFORE, "--yes")
    assert (code, out) == (0, "")
    told = err.splitlines()
    (plan,) = state.glob("*.plan")
    assert told[:7] == [
        f"{story.address} to {BEFORE}",
        "  copy             2 keys  3.9 KiB, bringing back what was there",
        "  hide              1 key  with a delete marker: not there at T",
        "  keep              1 key  as it is",
        "  cost         7 requests  3.9 KiB of storage added",
        "  2 keys current now (1.5 KiB) stay as older versions: nothing is lost",
        f"  note: 1 key changed within a second of T; a T one second off differs: {SHARD.format(1)}",
    ]
    assert told[7] == f"plan and journal: {plan}"
    assert re.fullmatch(r"wrote 3 keys, 3\.9 KiB in .*", told[8])
    assert told[9:] == ["verified: 4 keys as the plan says"]
    assert model(story) == MODEL
    assert story.contents()["models/m-10/config.json"] == NEIGHBOUR
    assert versions < {(key, version) for key, version, _ in story.everything()}


def test_a_second_restore_finds_nothing_to_do_and_keeps_no_plan(run, story, state):
    assert run("restore", story.address, "--at", BEFORE, "--yes")[0] == 0
    plans, everything = set(state.iterdir()), story.everything()
    code, out, err = run("restore", story.address, "--at", BEFORE, "--yes")
    assert (code, out) == (0, "")
    assert err.endswith("nothing to do: it is as it was\n")
    assert story.everything() == everything
    assert set(state.iterdir()) == plans


def test_a_dry_run_writes_nothing_and_names_the_command_that_carries_it_out(run, story):
    before = story.everything()
    code, _, err = run("restore", story.address, "--at", BEFORE, "--dry-run")
    assert code == 0
    assert story.everything() == before
    said, command = err.splitlines()[-1].split(": ", 1)
    assert said == "dry run, nothing was written; carry it out with"
    words = shlex.split(command)
    assert words[:2] == ["artifact-store", "apply"]
    done = piped(*words[1:])
    assert done.code == 0
    assert model(story) == MODEL


def test_on_a_terminal_it_asks_and_no_means_no(story, state):
    before = story.everything()
    shown = on_terminal("restore", story.address, "--at", BEFORE, "--endpoint-url", story.server.endpoint, typed="n\n")
    assert "Go on? [y/N]: " in shown.out
    assert shown.out.endswith("error: not wanted, so nothing was written\x1b[0m\n")
    assert shown.code == 4
    assert story.everything() == before
    assert list(state.iterdir()) == []


def test_on_a_terminal_yes_restores_and_shows_how_far(story):
    shown = on_terminal("restore", story.address, "--at", BEFORE, "--endpoint-url", story.server.endpoint, typed="y\n")
    assert shown.code == 0
    assert "3/3 keys  3.9 KiB of 3.9 KiB" in shown.out
    assert "verified: 4 keys as the plan says" in shown.out
    assert model(story) == MODEL


def test_where_nobody_can_be_asked_nothing_is_read_or_written(story, state):
    before = story.everything()
    done = piped("restore", story.address, "--at", BEFORE, "--endpoint-url", story.server.endpoint)
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "error: standard input is no terminal, so nobody can be asked; add --yes to go on, or --dry-run to look\n"
    )
    assert story.everything() == before
    assert not state.exists()


def test_json_is_one_object_that_tells_the_plan_the_outcome_and_the_proof(run, story, state):
    _, out, _ = run("restore", story.address, "--at", BEFORE, "--yes", "--json")
    (record,) = (json.loads(line) for line in out.splitlines())
    (plan,) = state.glob("*.plan")
    assert record == {
        "bucket": story.bucket,
        "prefix": "models/m-1",
        "at": BEFORE,
        "to": None,
        "plan": str(plan),
        "keep": 1,
        "copy": 2,
        "delete": 1,
        "undelete": 0,
        "thaw": 0,
        "copied_bytes": 4000,
        "added_bytes": 4000,
        "hidden": 2,
        "hidden_bytes": 1501,
        "overwritten": 0,
        "overwritten_bytes": 0,
        "same_content": 0,
        "requests": 7,
        "flags": {"edge": 1},
        "models": [],
        "written": 3,
        "already": 0,
        "written_bytes": 4000,
        "failed": [],
        "conflicts": [],
        "pending": 0,
        "thawing": 0,
        "uploads_left": 0,
        "verification": {"checked": 4, "compared": 0, "headers": 0, "unread": 0, "wrong": [], "unproved": []},
    }


def test_a_plan_is_made_carried_out_and_proved_in_three_commands(run, story, tmp_path):
    plan = tmp_path / "m-1.plan"
    before = story.everything()
    code, out, err = run("plan", story.address, "--at", BEFORE, "--out", plan)
    assert (code, out) == (0, "")
    assert err.endswith(
        f"written to {plan}; carry it out with: artifact-store apply {plan} --endpoint-url {story.server.endpoint}\n"
    )
    assert story.everything() == before
    code, _, err = run("verify", plan)
    assert code == 3
    assert err.splitlines()[0] == (
        f"error: 3 keys of 4 not as the plan says; carry it out with: artifact-store apply {plan} --endpoint-url "
        f"{story.server.endpoint}"
    )
    assert [line.split(": ")[0] for line in err.splitlines()[1:]] == [
        f"  {SHARD.format(1)}",
        f"  {SHARD.format(2)}",
        "  models/m-1/stray\\x9b2J.tmp",
    ]
    assert story.everything() == before
    assert run("apply", plan)[0] == 0
    assert model(story) == MODEL
    code, out, err = run("verify", plan)
    assert (code, out, err) == (0, "", "verified: 4 keys as the plan says\n")
    _, out, _ = run("verify", plan, "--deep", "--json")
    proof = json.loads(out)
    assert (proof["plan"], proof["checked"], proof["wrong"]) == (str(plan), 4, [])


PLANNED, APPLIED, LATER = (SPOILED + hours * 3600 for hours in (1, 2, 3))


def at(second, run, *arguments):
    with time_machine.travel(second, tick=False):
        return run(*arguments)


def told_by_verify(run, plan):
    code, _, err = run("verify", plan)
    assert code == 3
    return err.splitlines()[0]


def test_a_plan_whose_keys_another_restore_changed_is_not_told_to_be_applied_again(run, story, tmp_path):
    plan = tmp_path / "m-1.plan"
    assert at(PLANNED, run, "plan", story.address, "--at", BEFORE, "--out", plan)[0] == 0
    assert at(APPLIED, run, "apply", plan)[0] == 0
    assert run("verify", plan)[0] == 0
    assert at(LATER, run, "restore", story.address, "--at", "2026-05-04T14:00:02Z", "--yes", "--as-is")[0] == 0
    differs = "and what differs was changed after it was made, the last time at 2026-05-04T17:00:00Z"
    remedy = (
        "plan again to go back, or see what happened with: "
        f"artifact-store log {story.address} --since 2026-05-04T15:00:00Z --endpoint-url {story.server.endpoint}"
    )
    wrong = "error: 3 keys of 4 not as the plan says; the plan was carried out"
    assert told_by_verify(run, plan) == f"{wrong}, {differs}; {remedy}"
    journal = tmp_path / "m-1.plan.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]))
    assert told_by_verify(run, plan) == f"{wrong} in part, {differs}; {remedy}"
    journal.unlink()
    assert told_by_verify(run, plan) == f"{wrong}, {differs}; {remedy}".replace(
        "was carried", "was not carried", 1
    ).replace("carried out,", "carried out here,", 1)


def test_a_plan_that_was_cut_off_is_told_to_be_finished(run, story, tmp_path):
    plan, journal = tmp_path / "m-1.plan", tmp_path / "m-1.plan.journal"
    assert at(PLANNED, run, "plan", story.address, "--at", BEFORE, "--out", plan)[0] == 0
    header = json.loads(plan.read_text().splitlines()[0])
    journal.write_text(
        json.dumps({"plan": header["digest"]}) + "\n" + json.dumps({"step": 1, "key": "k", "version_id": "v"}) + "\n"
    )
    assert told_by_verify(run, plan).endswith(
        f"; finish it with: artifact-store apply {plan} --endpoint-url {story.server.endpoint}"
    )


def test_a_folder_that_was_changed_after_the_plan_was_carried_out_is_told_as_such(run, story, tmp_path):
    plan, folder = tmp_path / "m-1.plan", tmp_path / "out"
    assert run("plan", story.address, "--at", BEFORE, "--out", plan, "--to", folder)[0] == 0
    assert run("apply", plan)[0] == 0
    (folder / "config.json").unlink()
    assert told_by_verify(run, plan) == (
        "error: 1 key of 3 not as the plan says; the plan was carried out, and what differs was changed after that; "
        "plan again to go back"
    )


def test_what_would_be_written_over_is_told_with_the_option_of_the_command_that_was_run(run, story, tmp_path):
    folder, lock = tmp_path / "out", tmp_path / "lock"
    folder.mkdir()
    (folder / "config.json").write_text("mine")
    assert run("lock", story.address, "--at", BEFORE, "-o", lock, "--as-is")[0] == 0
    commands = {
        ("restore", story.address, "--at", BEFORE, "--yes", "--to", folder): "--overwrite",
        ("restore", "--lock", lock, "--yes", "--to", folder): "--overwrite",
        ("plan", story.address, "--at", BEFORE, "--out", tmp_path / "p", "--to", folder): "--overwrite",
        ("get", "--lock", lock, "-o", folder): "--force",
    }
    for command, option in commands.items():
        assert run(*command) == (
            4,
            "",
            f"error: 1 key exists in {folder} with other content and would be written over; allow it with {option}, or "
            "name another place: 'config.json'\n",
        )
        assert (folder / "config.json").read_text() == "mine"
        assert run(*command, option)[0] == 0
        (folder / "config.json").write_text("mine")


def test_a_plan_is_read_as_json_lines(run, story, tmp_path):
    plan = tmp_path / "m-1.plan"
    run("plan", story.address, "--at", BEFORE, "--out", plan)
    header, *steps = (json.loads(line) for line in plan.read_text().splitlines())
    assert (header["bucket"], header["prefix"]) == (story.bucket, "models/m-1")
    assert [(step["action"], step["key"]) for step in steps] == [
        ("keep", "models/m-1/config.json"),
        ("copy", SHARD.format(1)),
        ("copy", SHARD.format(2)),
        ("delete", "models/m-1/stray\x9b2J.tmp"),
    ]


def test_a_plan_is_written_over_a_plan_but_over_nothing_else(run, story, tmp_path):
    plan = tmp_path / "m-1.plan"
    arguments = ("plan", story.address, "--at", BEFORE, "--out", plan)
    plan.write_text("my notes")
    code, _, err = run(*arguments)
    assert (code, err) == (4, f"error: {plan} exists and is no plan; name another file with --out\n")
    assert plan.read_text() == "my notes"
    plan.unlink()
    assert run(*arguments)[0] == run(*arguments)[0] == 0


def test_a_plan_that_was_carried_out_makes_room_for_another_with_a_journal_of_its_own(run, story, tmp_path):
    plan, journal = tmp_path / "m-1.plan", tmp_path / "m-1.plan.journal"
    arguments = ("plan", story.address, "--at", BEFORE, "--out", plan)
    assert run(*arguments)[0] == run("apply", plan)[0] == 0
    first, told = plan.read_bytes(), journal.read_bytes()
    assert run("plan", story.address, "--at", "2026-05-04T13:00:00Z", "--out", plan)[0] == 4
    assert (plan.read_bytes(), journal.read_bytes()) == (first, told)
    story.server.boto().delete_object(Bucket=story.bucket, Key=CONFIG)
    assert run(*arguments)[0] == 0
    assert plan.read_bytes() != first
    assert not journal.exists()
    assert run("apply", plan)[0] == 0
    assert model(story) == MODEL


def test_a_plan_that_was_begun_and_is_not_finished_is_not_written_over(run, story, tmp_path):
    plan, journal = tmp_path / "m-1.plan", tmp_path / "m-1.plan.journal"
    arguments = ("plan", story.address, "--at", BEFORE, "--out", plan)
    assert run(*arguments)[0] == run("apply", plan)[0] == 0
    begun, whole = plan.read_bytes(), journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    upload = b'{"upload": "u", "bucket": "b", "key": "k"}\n'
    for cut, told in (
        (lines[:1], "0 of 3 keys done"),
        (lines[:2], "1 of 3 keys done"),
        ([*lines[:3], lines[3][:-9]], "2 of 3 keys done"),
        ([*lines, upload], "3 of 3 keys done, 1 upload left open"),
    ):
        journal.write_bytes(b"".join(cut))
        assert run(*arguments) == (
            4,
            "",
            f"error: {plan} was begun and is not finished ({told}); name another file with --out, or finish it with: "
            f"artifact-store apply {plan} --endpoint-url {story.server.endpoint}\n",
        )
        assert (plan.read_bytes(), journal.read_bytes()) == (begun, b"".join(cut))


def test_a_journal_that_is_not_the_plans_is_left_alone(run, story, tmp_path):
    plan, journal = tmp_path / "m-1.plan", tmp_path / "m-1.plan.journal"
    arguments = ("plan", story.address, "--at", BEFORE, "--out", plan)
    refused = (4, "", f"error: {journal} is no journal of {plan}; move it away, or name another file with --out\n")
    for written in (b'{"plan": "of another"}\n', b"my notes", b""):
        journal.write_bytes(written)
        assert run(*arguments) == refused
        assert not plan.exists()
    journal.unlink()
    assert run(*arguments)[0] == 0
    for written in (b'{"plan": "of another"}\n', b"my notes", b"[]\n"):
        journal.write_bytes(written)
        assert run(*arguments) == refused
        assert journal.read_bytes() == written


def test_apply_takes_yes_and_does_the_same(run, story, tmp_path):
    plan = tmp_path / "m-1.plan"
    run("plan", story.address, "--at", BEFORE, "--out", plan)
    assert run("apply", plan, "--yes")[0] == 0
    assert model(story) == MODEL


EDITS = {
    "a step": ('"action":"copy"', '"action":"delete"'),
    "the instant": ('"instant":1777903199', '"instant":1777903198'),
    "an option": ('"keep_new":false', '"keep_new":true'),
    "a count": ('"copy":2', '"copy":1'),
    "the destination": ('"destination":""', '"destination":"/tmp/elsewhere"'),
    "the spelling of a step": ('{"action":"copy"', '{ "action":"copy"'),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_plan_is_refused(run, story, tmp_path, edit):
    plan = tmp_path / "m-1.plan"
    run("plan", story.address, "--at", BEFORE, "--out", plan)
    old, new = EDITS[edit]
    assert old in plan.read_text()
    plan.write_text(plan.read_text().replace(old, new, 1))
    before = story.everything()
    for command in ("apply", "verify"):
        code, _, err = run(command, plan)
        assert (code, err.count("\n")) == (4, 1)
        assert err.startswith(f"error: plan {plan} is damaged or was edited: ")
        assert err.endswith("; make the plan again\n")
    assert story.everything() == before


def test_what_someone_wrote_meanwhile_is_kept_and_told(run, story, tmp_path):
    plan = tmp_path / "m-1.plan"
    run("plan", story.address, "--at", BEFORE, "--out", plan)
    boto = story.server.boto()
    boto.put_object(Bucket=story.bucket, Key=SHARD.format(2), Body=b"someone's work")
    code, _, err = run("apply", plan)
    assert code == 3
    told = err.splitlines()[-2:]
    assert told[0] == (
        "error: 1 key changed by someone else meanwhile and left so, all others are restored; plan again to go on"
    )
    assert told[1].startswith(f"  {SHARD.format(2)}: changed since the plan was made")
    assert model(story) == {**MODEL, SHARD.format(2): b"someone's work"}


def test_new_keys_are_left_where_that_is_asked(run, story):
    assert run("restore", story.address, "--at", BEFORE, "--yes", "--keep-new")[0] == 0
    assert model(story) == {**MODEL, "models/m-1/stray\x9b2J.tmp": b"?"}


def test_only_the_keys_that_are_asked_for_are_touched(run, story):
    code, _, _ = run("restore", story.address, "--at", BEFORE, "--yes", "--include", "*.bin", "--exclude", "*1-of*")
    assert code == 0
    now = model(story)
    assert now[SHARD.format(2)] == MODEL[SHARD.format(2)]
    assert now[SHARD.format(1)] == BAD_SHARD
    assert "models/m-1/stray\x9b2J.tmp" in now


def test_undelete_says_that_it_rewrites_history_and_removes_only_the_marker(run, story):
    entries = len(story.everything())
    _, _, err = run("restore", f"s3://{story.bucket}/{SHARD.format(2)}", "--at", BEFORE, "--yes", "--undelete")
    assert "  undelete          1 key  removing its delete markers for good, which rewrites history\n" in err
    assert len(story.everything()) == entries - 1
    assert model(story)[SHARD.format(2)] == MODEL[SHARD.format(2)]


def test_a_model_is_brought_into_a_folder_and_the_bucket_stays_as_it_is(run, story, tmp_path):
    before = story.everything()
    folder = tmp_path / "out"
    code, out, err = run("restore", story.address, "--at", BEFORE, "--yes", "--to", folder)
    assert (code, out) == (0, "")
    assert err.splitlines()[0] == f"{story.address} to {BEFORE} into {folder}"
    files = {
        f"models/m-1/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert files == MODEL
    assert story.everything() == before


def test_a_model_is_brought_into_another_bucket(run, story):
    other = new_bucket(story.server)
    before = story.everything()
    code, _, err = run("restore", story.address, "--at", BEFORE, "--yes", "--to", f"s3://{other}/rescued")
    assert code == 0
    assert err.splitlines()[0] == f"{story.address} to {BEFORE} into s3://{other}/rescued/"
    boto = story.server.boto()
    keys = [o["Key"] for o in boto.list_objects_v2(Bucket=other)["Contents"]]
    copied = {key: boto.get_object(Bucket=other, Key=key)["Body"].read() for key in keys}
    assert copied == {key.replace("models/m-1/", "rescued/"): body for key, body in MODEL.items()}
    assert story.everything() == before


def test_a_key_that_fails_is_listed_the_rest_is_done_and_a_second_run_finishes(story, state):
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: (
            Status(403, "AccessDenied") if seen.method == "PUT" and "00002-of" in seen.target else None
        )
        done = piped("restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", proxy.endpoint)
        assert (done.code, done.out) == (3, "")
        (plan,) = state.glob("*.plan")
        again = ["apply", str(plan), "--endpoint-url", proxy.endpoint]
        error, failed = done.err.splitlines()[-2:]
        assert error == (
            f"error: 1 key not restored, all others are; try again with: {shlex.join(['artifact-store', *again])}"
        )
        assert failed.startswith(f"  {SHARD.format(2)}: CopyObject ")
        assert "AccessDenied" in failed
        assert {key: body for key, body in MODEL.items() if key != SHARD.format(2)} == model(story)
        proxy.choose = lambda seen: None
        done = piped(*again)
        assert done.code == 0
        assert "wrote 1 key, " in done.err
        assert "; 2 were done before\n" in done.err
        assert model(story) == MODEL


FAULTS = {
    "cut": Truncate(),
    "reset": Reset(),
    "answer lost": Reset(forwarded=True),
    "busy": Status(503, "SlowDown"),
    "broken": Status(500, "InternalError"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_happens_to_the_first_try_of_each_request_the_model_is_back_and_proved(story, fault):
    """Each fault costs some pauses before the next try: more than 2 s together."""
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: FAULTS[fault] if seen.attempt == 1 and seen.method != "HEAD" else None
        done = piped("restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", proxy.endpoint)
        assert len(proxy.faults) >= 5
    assert (done.code, done.err.splitlines()[-1]) == (0, "verified: 4 keys as the plan says")
    assert model(story) == MODEL


def interrupted(proxy, number, *arguments):
    """(exit code, stderr) of a command that gets a signal when a request of it is held back; it must end soon."""
    child = subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, env=dict(os.environ))
    deadline = time.monotonic() + 30
    while not any(isinstance(fault, Delay) for _, fault in proxy.faults) and time.monotonic() < deadline:
        time.sleep(0.01)
    began = time.monotonic()
    child.send_signal(number)
    err = child.communicate(timeout=20)[1].decode()
    assert time.monotonic() - began < 10, "it waited for the request that was held back"
    assert "Traceback" not in err
    return child.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_at_once_says_what_is_left_and_a_second_run_finishes(story, state, number):
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: Delay(30) if seen.method == "PUT" and "00002-of" in seen.target else None
        arguments = ("restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", proxy.endpoint)
        code, err = interrupted(proxy, number, *arguments)
        assert code == 130
        (plan,) = state.glob("*.plan")
        again = ["apply", str(plan), "--endpoint-url", proxy.endpoint]
        assert re.search(r"wrote 1 key, 1\.5 KiB in ", err)
        assert err.endswith(f"interrupted, 2 keys not done; finish with: {shlex.join(['artifact-store', *again])}\n")
        proxy.choose = lambda seen: None
        done = piped(*again)
        assert done.code == 0
        assert model(story) == MODEL


def test_an_upload_that_cannot_be_given_up_in_time_is_told_and_given_up_by_the_next_run(story):
    """Two parts, the least of which S3 allows to be 5 MiB."""
    boto, place = story.server.boto(), {"Bucket": story.bucket, "Key": "models/m-1/big"}
    with time_machine.travel(SPOILED - 5000, tick=False):
        upload = boto.create_multipart_upload(**place)["UploadId"]
        bodies = (b"x" * 5 * 1024**2, b"y")
        tags = [
            boto.upload_part(**place, UploadId=upload, PartNumber=n, Body=b)["ETag"] for n, b in enumerate(bodies, 1)
        ]
        parts = [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
        boto.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
    story.delete(SPOILED, "models/m-1/big")
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: (
            Delay(30) if ("partNumber=2" in seen.target and seen.method == "PUT") or seen.method == "DELETE" else None
        )
        arguments = ("restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", proxy.endpoint)
        code, err = interrupted(proxy, signal.SIGINT, *arguments)
        assert code == 130
        *_, told, last = err.splitlines()
        assert told == "1 unfinished upload could not be given up in time; the next apply of this plan does it"
        proxy.choose = lambda seen: None
        assert piped(*shlex.split(last.split("finish with: artifact-store ")[1])).code == 0
    assert "Uploads" not in boto.list_multipart_uploads(Bucket=story.bucket)
    assert story.contents()["models/m-1/big"] == b"".join(bodies)


def test_what_is_done_and_what_is_not_is_told_within_a_second_of_an_interrupt(moto):
    """The best of three, since other work on the machine is no fault of ours: up to 10 s."""
    seconds = []
    while len(seconds) < 3 and min(seconds, default=1) >= 1:
        story = spoiled_model(moto)
        with FaultProxy(story.server.endpoint) as proxy:
            proxy.choose = lambda seen: Delay(30) if seen.method == "PUT" and "00002-of" in seen.target else None
            command = [*COMMAND, "restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", proxy.endpoint]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
                while not any(isinstance(fault, Delay) for _, fault in proxy.faults) and child.poll() is None:
                    time.sleep(0.01)
                began = time.monotonic()
                child.send_signal(signal.SIGINT)
                told = next(line for line in child.stderr if line.startswith("interrupted, "))
                seconds.append(time.monotonic() - began)
        assert told.startswith("interrupted, 2 keys not done; finish with: ")
    assert min(seconds) < 1


def test_a_run_that_nohup_started_outlives_its_terminal(story):
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: Delay(1) if seen.method == "PUT" and "00002-of" in seen.target else None
        arguments = ("restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", proxy.endpoint)
        child = subprocess.Popen([sys.executable, "-c", IGNORING_SIGHUP, *COMMAND, *arguments], stderr=subprocess.PIPE)
        while not proxy.faults and child.poll() is None:
            time.sleep(0.01)
        child.send_signal(signal.SIGHUP)
        child.communicate(timeout=20)
    assert child.returncode == 0
    assert model(story) == MODEL


def test_an_interrupt_while_proving_says_that_all_is_written(story):
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: Delay(30) if "list-type=2" in seen.target and wrote(proxy) else None
        arguments = ("restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", proxy.endpoint)
        code, err = interrupted(proxy, signal.SIGINT, *arguments)
    assert code == 130
    assert err.splitlines()[-1].startswith(
        "interrupted: all is written, but not proved; prove it with: artifact-store verify "
    )
    assert model(story) == MODEL


def wrote(proxy):
    return any(seen.method == "PUT" for seen in proxy.seen)


def test_credentials_that_run_out_half_way_are_told_with_what_is_done_and_how_to_go_on(story, state):
    """With the exit code of a run that wrote something."""
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: (
            Status(400, "ExpiredToken") if seen.method == "PUT" and "00002-of" in seen.target else None
        )
        done = piped("restore", story.address, "--at", BEFORE, "--yes", "--json", "--endpoint-url", proxy.endpoint)
        (plan,) = state.glob("*.plan")
        again = ["apply", str(plan), "--endpoint-url", proxy.endpoint]
        assert done.code == 3
        error = done.err.splitlines()[-1]
        assert error.startswith("error: CopyObject ")
        assert error.endswith(
            "; 1 of 3 keys are noted as done, and what is written stays; finish with: "
            + shlex.join(["artifact-store", *again])
        )
        record = json.loads(done.out)
        assert (record["done"], record["copy"]) == (1, 2)
        assert "ExpiredToken" in record["stopped"]
        proxy.choose = lambda seen: None
        assert piped(*again).code == 0
    assert model(story) == MODEL


def test_credentials_that_run_out_before_the_first_write_end_as_a_refusal(story):
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: Status(400, "ExpiredToken") if seen.method == "PUT" else None
        done = piped("restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", proxy.endpoint)
    assert done.code == 4
    assert "noted as done" not in done.err


def test_a_restore_that_may_write_nothing_ends_as_a_refusal(story):
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: Status(403, "AccessDenied") if seen.method in ("PUT", "POST") else None
        before = story.everything()
        done = piped("restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", proxy.endpoint)
    assert story.everything() == before
    assert done.code == 4
    assert "AccessDenied" in done.err.splitlines()[-1]


def test_a_journal_that_can_no_longer_be_written_is_told_with_what_is_done(story, tmp_path):
    """The limit on the size of files stands for a full disk: the journal's first line fits, and no other."""
    plan = tmp_path / "m-1.plan"
    endpoint = ("--endpoint-url", story.server.endpoint)
    assert piped("plan", story.address, "--at", BEFORE, "--out", str(plan), *endpoint).code == 0
    command = [sys.executable, "-c", SMALL_FILES, *COMMAND, "apply", str(plan), *endpoint]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3
    error = done.stderr.splitlines()[-1]
    assert error.startswith(
        f"error: {plan}.journal: File too large; 0 of 3 keys are noted as done, and what is written"
    )
    assert error.endswith(f"; finish with: {shlex.join(['artifact-store', 'apply', str(plan), *endpoint])}")
    assert piped("apply", str(plan), *endpoint).code == 0
    assert model(story) == MODEL


def test_a_proof_that_cannot_be_made_does_not_hide_what_was_written(story):
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: (
            Status(403, "AccessDenied") if "list-type=2" in seen.target and wrote(proxy) else None
        )
        done = piped("restore", story.address, "--at", BEFORE, "--yes", "--json", "--endpoint-url", proxy.endpoint)
    assert done.code == 3
    record = json.loads(done.out)
    assert (record["written"], record["failed"]) == (3, [])
    assert "AccessDenied" in record["verification"]["error"]
    error = done.err.splitlines()[-1]
    assert error.startswith("error: all is written, but not proved: ListObjectsV2 ")
    assert "; prove it with: artifact-store verify " in error
    assert model(story) == MODEL


def test_files_that_are_written_over_are_told_as_lost(run, story, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "config.json").write_bytes(b"precious")
    arguments = ("restore", story.address, "--at", BEFORE, "--to", folder, "--overwrite")
    _, _, err = run(*arguments, "--dry-run")
    assert "  warning: 1 file (8 B) will be overwritten and lost\n" in err
    assert "nothing is lost" not in err
    assert run(*arguments, "--yes")[0] == 0
    assert (folder / "config.json").read_bytes() == MODEL["models/m-1/config.json"]


def test_what_failed_and_what_someone_changed_are_told_apart_in_the_order_of_keys(story, tmp_path):
    plan = tmp_path / "m-1.plan"
    story.put(SPOILED + 3, CONFIG, b"{}")
    with FaultProxy(story.server.endpoint) as proxy:
        endpoint = ("--endpoint-url", proxy.endpoint)
        piped("plan", story.address, "--at", BEFORE, "--out", str(plan), *endpoint)
        story.server.boto().put_object(Bucket=story.bucket, Key=SHARD.format(1), Body=b"someone's work")
        proxy.choose = lambda seen: (
            Status(403, "AccessDenied") if seen.method == "PUT" and "00002-of" in seen.target else None
        )
        done = piped("apply", str(plan), *endpoint)
    assert done.code == 3
    error, *failed = done.err.splitlines()[-3:]
    assert error == (
        f"error: 1 key not restored, try again with: {shlex.join(['artifact-store', 'apply', str(plan), *endpoint])}; "
        "and 1 key changed by someone else meanwhile and left so, plan again for these"
    )
    assert [line.split(": ")[0] for line in failed] == [f"  {SHARD.format(1)}", f"  {SHARD.format(2)}"]


@pytest.mark.parametrize("others_fail", [False, True])
def test_a_version_that_is_gone_is_not_tried_for_ever(story, tmp_path, others_fail):
    plan = tmp_path / "m-1.plan"
    story.put(SPOILED + 3, CONFIG, b"{}")
    with FaultProxy(story.server.endpoint) as proxy:
        endpoint = ("--endpoint-url", proxy.endpoint)
        assert piped("plan", story.address, "--at", BEFORE, "--out", str(plan), *endpoint).code == 0
        key = SHARD.format(1)
        story.server.boto().delete_object(Bucket=story.bucket, Key=key, VersionId=story.ids[key][0])
        if others_fail:
            proxy.choose = lambda seen: (
                Status(403, "AccessDenied") if seen.method == "PUT" and "00002-of" in seen.target else None
            )
        done = piped("apply", str(plan), *endpoint)
    assert done.code == 3
    (error,) = (line for line in done.err.splitlines() if line.startswith("error: "))
    again = shlex.join(["artifact-store", "apply", str(plan), *endpoint])
    if others_fail:
        told = f"2 keys not restored, 1 because the version is gone: get it from AWS Backup; try the others again with: {again}"
    else:
        told = "1 key not restored, its version is gone: get it from AWS Backup"
    assert error == f"error: {told}"


def test_a_plan_is_not_shown_where_s3_cannot_be_reached(run, story, tmp_path):
    plan = tmp_path / "m-1.plan"
    assert run("plan", story.address, "--at", BEFORE, "--out", plan)[0] == 0
    done = piped("apply", str(plan), "--endpoint-url", "http://127.0.0.1:1")
    assert (done.code, done.err.count("\n")) == (4, 1)


def test_a_question_that_gets_no_answer_ends_with_nothing_written_and_keeps_no_plan(story, state):
    before = story.everything()
    shown = on_terminal("restore", story.address, "--at", BEFORE, "--endpoint-url", story.server.endpoint, typed="\x04")
    assert shown.code == 130
    assert shown.out.endswith("\ninterrupted: nothing was written\n")
    assert (story.everything(), list(state.iterdir())) == (before, [])


def test_an_interrupt_while_planning_says_that_nothing_was_written(story, state):
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: Delay(30) if "versions=" in seen.target else None
        words = ("restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", proxy.endpoint)
        code, err = interrupted(proxy, signal.SIGINT, *words)
    assert (code, err) == (130, "interrupted: nothing was written\n")
    assert list(state.iterdir()) == []


def test_an_interrupt_does_not_keep_what_failed_to_itself(story):
    story.put(SPOILED + 3, CONFIG, b"{}")
    with FaultProxy(story.server.endpoint) as proxy:
        faults = {"00001-of": Status(403, "AccessDenied"), "00002-of": Delay(30)}
        proxy.choose = lambda seen: (
            next((fault for part, fault in faults.items() if part in seen.target), None)
            if seen.method == "PUT"
            else None
        )
        arguments = ("restore", story.address, "--at", BEFORE, "--yes", "--endpoint-url", proxy.endpoint)
        code, err = interrupted(proxy, signal.SIGINT, *arguments)
    assert code == 130
    failed, last = err.splitlines()[-2:]
    assert failed.startswith(f"  {SHARD.format(1)}: CopyObject ")
    assert last.startswith("interrupted, 2 keys not done; ")


def test_the_rate_is_kept(story):
    with FaultProxy(story.server.endpoint) as proxy:
        began = time.monotonic()
        arguments = ("restore", story.address, "--at", BEFORE, "--yes", "--no-verify", "--rate", "20")
        done = piped(*arguments, "--endpoint-url", proxy.endpoint)
        assert done.code == 0
        # The first request goes at once, each other a twentieth of a second after the one before.
        assert time.monotonic() - began >= (len(proxy.seen) - 1) / 20
        assert "verified" not in done.err

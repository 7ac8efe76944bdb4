"""`ls`, `diff`, `log` and `get` on a real server: exact output, and nothing written."""

import json
import os
import shlex
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from artifact_store.cli import main
from tests.cli.terminal import COMMAND, on_terminal, piped
from tests.servers.conftest import new_bucket
from tests.servers.fault_proxy import FaultProxy, Status
from tests.servers.seaweed import ACCESS_KEY, SECRET_KEY
from tests.servers.story import (
    BAD_SHARD,
    BEFORE,
    CONFIG,
    SHARD_1,
    SHARD_2,
    SPOILED,
    STORED,
    Story,
    spoiled_model,
)

SHARD = "models/m-1/part-0000{}-of-00002.bin"


@pytest.fixture(scope="module")
def story(moto):
    return spoiled_model(moto)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_ls_shows_what_was_there_with_time_size_and_version(run, story):
    code, out, err = run("ls", story.address, "--at", BEFORE)
    assert code == 0
    assert out == (
        f"2026-05-04T13:30:00Z      18 B {story.ids['models/m-1/config.json'][0]}   models/m-1/config.json\n"
        f"2026-05-04T13:30:00Z   1.5 KiB {story.ids[SHARD.format(1)][0]}   {SHARD.format(1)}\n"
        f"2026-05-04T13:30:00Z   2.4 KiB {story.ids[SHARD.format(2)][0]}   {SHARD.format(2)}\n"
    )
    assert err == f"3 keys, 3.9 KiB in {story.address} at {BEFORE}\n"


def test_ls_now_shows_what_is_there_now_and_escapes_what_would_drive_a_terminal(run, story):
    code, out, _ = run("ls", story.address, "--at", "0s")
    assert code == 0
    assert [line.split(maxsplit=4)[-1] for line in out.splitlines()] == [
        "models/m-1/config.json",
        SHARD.format(1),
        "models/m-1/stray\\x9b2J.tmp",
    ]


def test_ls_json_names_each_field_of_a_version(run, story):
    code, out, _ = run("ls", story.address, "--at", BEFORE, "--json")
    assert code == 0
    assert lines(out)[0] == {
        "key": "models/m-1/config.json",
        "version_id": story.ids["models/m-1/config.json"][0],
        "size": 18,
        "etag": "262db672e922fa178b174f32955754ab",
        "last_modified": "2026-05-04T13:30:00Z",
        "storage_class": "STANDARD",
        "flags": [],
    }
    assert len(lines(out)) == 3


def test_ls_of_the_second_of_a_write_shows_it_and_of_the_second_before_does_not(run, story):
    shown = {}
    for second in (SPOILED - 1, SPOILED):
        _, out, _ = run("ls", story.address, "--at", f"@{second}", "--json")
        shown[second] = {line["key"]: line["version_id"] for line in lines(out)}[SHARD.format(1)]
    assert [shown[SPOILED - 1], shown[SPOILED]] == story.ids[SHARD.format(1)]


@pytest.mark.parametrize(
    ("path", "at", "hint"),
    [
        (
            "models/m-1",
            "2026-05-04T13:29:59Z",
            "nothing was there in {0} at 2026-05-04T13:29:59Z; the first write after it was at 2026-05-04T13:30:00Z",
        ),
        (
            "models/m-1/part-00002-of-00002.bin",
            "2026-05-04T14:00:01Z",
            "nothing was there in {0} at 2026-05-04T14:00:01Z; the last write before it was at 2026-05-04T13:30:00Z",
        ),
        (
            "weights",
            BEFORE,
            "nothing was there in {0} at 2026-05-04T13:59:59Z; nothing was ever written there; "
            "look at the spelling of bucket and prefix",
        ),
    ],
)
def test_ls_of_nothing_says_when_there_was_something(run, story, path, at, hint):
    address = f"s3://{story.bucket}/{path}"
    assert run("ls", address, "--at", at) == (0, "", hint.format(address) + "\n")


def test_diff_shows_what_is_changed_back_comes_back_and_is_hidden(run, story):
    code, out, err = run("diff", story.address, "--at", BEFORE)
    assert code == 0
    assert out == (
        f"~   1.5 KiB →   1.5 KiB  {SHARD.format(1)}  (overwritten since)\n"
        f"+    absent →   2.4 KiB  {SHARD.format(2)}  (deleted since)\n"
        "-       1 B →    absent  models/m-1/stray\\x9b2J.tmp  (not there at T)\n"
    )
    assert err == (
        f"a restore of {story.address} to {BEFORE}: 1 to change back, 1 to bring back, 1 to hide; 1 key as it was\n"
    )


def test_diff_json_gives_action_reason_and_both_sides(run, story):
    _, out, _ = run("diff", story.address, "--at", BEFORE, "--json")
    changed, deleted, new = lines(out)
    first, bad = story.ids[SHARD.format(1)]
    assert changed == {
        "key": SHARD.format(1),
        "action": "copy",
        "reason": "changed",
        "then": {
            "version_id": first,
            "size": 1500,
            "etag": changed["then"]["etag"],
            "last_modified": "2026-05-04T13:30:00Z",
            "storage_class": "STANDARD",
        },
        "now": {"version_id": bad, "size": 1500, "etag": changed["now"]["etag"]},
        "flags": ["edge"],
    }
    assert changed["then"]["etag"] != changed["now"]["etag"]
    assert (deleted["action"], deleted["reason"], deleted["now"]) == ("copy", "deleted", None)
    assert (new["key"], new["action"], new["reason"], new["then"]) == (
        "models/m-1/stray\x9b2J.tmp",
        "delete",
        "new",
        None,
    )


def test_diff_exit_code_tells_whether_anything_would_change(run, story):
    assert run("diff", story.address, "--at", BEFORE, "--exit-code")[0] == 1
    code, out, err = run("diff", story.address, "--at", "0s", "--exit-code")
    assert (code, out, err.split(":")[0]) == (0, "", "no difference")
    assert run("diff", story.address, "--at", BEFORE, "--keep-new", "--include", "stray*", "--exit-code")[0] == 0


LOOKING = {
    "ls": ["--at", BEFORE],
    "log": [],
    "log --models": ["--models"],
    "models": [],
    "diff": ["--at", BEFORE],
    "diff --json": ["--at", BEFORE, "--json"],
    "ls --json": ["--at", BEFORE, "--json"],
    "log --json": ["--json"],
    "log --models --json": ["--models", "--json"],
    "models --json": ["--json"],
}


@pytest.mark.parametrize("command", LOOKING)
def test_where_nothing_ever_was_that_is_one_line_and_no_error_to_whoever_only_looks(run, story, command):
    """A comparison with nothing is one: its exit code is an answer."""
    address, close = f"s3://{story.bucket}/models/m-11", f"s3://{story.bucket}/models/m-1"
    code, out, err = run(command.split()[0], address, *LOOKING[command])
    assert (code, out, err.count("\n")) == (4 if "diff" in command else 0, "", 1)
    assert "nothing was ever written" in err
    assert address in err
    assert err.endswith(f"; look at the spelling: did you mean {close} or {close}0?\n")


@pytest.mark.parametrize(
    ("path", "close"),
    [
        ("modles/m-1/", "models/m-1"),
        ("Models/config.json", "models"),
        ("models/m-1/confg*", "models/m-1/config.json"),
        ("model/m-1/config.json", "models/m-1/config.json"),
        ("models/m-1/config.json/x", "models/m-1/config.json"),
    ],
)
def test_names_close_to_the_first_that_is_not_there_are_offered_with_what_is_below_them(run, story, path, close):
    told = run("log", f"s3://{story.bucket}/{path}")[2]
    assert told.endswith(f"; look at the spelling: did you mean s3://{story.bucket}/{close}?\n")


def test_what_was_once_there_is_not_taken_for_a_wrong_spelling(run, story):
    address = f"s3://{story.bucket}/{SHARD.format(2)}"
    assert run("log", address, "--since", "1h")[2] == f"nothing happened in {address} in that time\n"
    assert run("log", address, "--models")[2] == f"no save of a model of a known layout in {address} in that time\n"
    assert run("models", address)[2].startswith(f"no model of a known layout in {address} at ")


def test_who_may_not_list_above_a_prefix_is_told_that_nothing_is_below_it(story, capsys):
    address = f"s3://{story.bucket}/models/m-2"
    with FaultProxy(story.server.endpoint) as proxy:
        proxy.choose = lambda seen: Status(403, "AccessDenied") if "delimiter=%2F" in seen.target else None
        assert main.run(["log", address, "--endpoint-url", proxy.endpoint]) == 0
        assert any("delimiter=%2F" in seen.target for seen in proxy.seen)
    told = f"nothing was ever written in {address}; look at the spelling of bucket and prefix\n"
    assert capsys.readouterr() == ("", told)


def test_diff_of_a_mistyped_prefix_or_pattern_is_no_success(run, story):
    address = f"s3://{story.bucket}/weights"
    told = f"error: nothing was ever written in {address}; look at the spelling of bucket and prefix\n"
    assert run("diff", address, "--at", BEFORE) == (4, "", told)
    told = (
        f"error: none of 4 keys in {story.address} is chosen; look at --include and --exclude, which are relative to "
        "the prefix\n"
    )
    assert run("diff", story.address, "--at", BEFORE, "--include", "confg*") == (4, "", told)


def test_diff_leaves_out_what_the_options_leave_alone(run, story):
    _, out, _ = run("diff", story.address, "--at", BEFORE, "--keep-new", "--exclude", "*00001*", "--json")
    assert [line["key"] for line in lines(out)] == [SHARD.format(2)]


def test_log_draws_what_happened_and_names_the_last_quiet_second(run, story):
    code, out, err = run("log", story.address)
    assert (code, err) == (0, "")
    assert out == (
        "2026-05-04T13:30:00Z      18 B █ created      models/m-1/config.json\n"
        f"2026-05-04T13:30:00Z   1.5 KiB █ created      {SHARD.format(1)}\n"
        f"2026-05-04T13:30:00Z   2.4 KiB █ created      {SHARD.format(2)}\n"
        f"2026-05-04T14:00:00Z   1.5 KiB ▓ overwritten  {SHARD.format(1)}\n"
        f"2026-05-04T14:00:01Z   2.4 KiB ░ deleted      {SHARD.format(2)}\n"
        "2026-05-04T14:00:02Z       1 B █ created      models/m-1/stray\\x9b2J.tmp\n"
        "\n"
        "changes per 5 min:  █ created  ▓ overwritten  ░ deleted\n"
        f"2026-05-04T13:30:00Z  {'█' * 21}  3 created\n"
        "                      · 25 min of nothing\n"
        f"2026-05-04T14:00:00Z  {'█' * 7}{'▓' * 7}{'░' * 7}  1 created, 1 overwritten, 1 deleted\n"
        "\n"
        "bursts of overwrites and deletes, each with the command for the last quiet second before it:\n"
        "\n"
        "  2026-05-04T14:00:00Z, 2 s: 1 overwritten, 1 deleted; 3.9 KiB no longer current\n"
        f"    {SHARD.format(1)}, {SHARD.format(2)}\n"
        f"    artifact-store diff {story.address} --at {BEFORE} --endpoint-url {story.server.endpoint}\n"
    )


def test_the_command_that_log_names_shows_the_accident_undone(run, story):
    _, out, _ = run("log", story.address)
    command = shlex.split(out.splitlines()[-1])
    assert command[0] == "artifact-store"
    _, shown, _ = run(*command[1:], "--json")
    assert [line["reason"] for line in lines(shown)] == ["changed", "deleted", "new"]


def test_log_json_gives_every_change_oldest_first(run, story):
    code, out, _ = run("log", f"s3://{story.bucket}", "--json")
    assert code == 0
    found = lines(out)
    assert [(c["time"], c["kind"], c["size"], c["lost"]) for c in found] == [
        ("2026-05-04T13:30:00Z", "create", 18, 0),
        ("2026-05-04T13:30:00Z", "create", 1500, 0),
        ("2026-05-04T13:30:00Z", "create", 2500, 0),
        ("2026-05-04T13:31:00Z", "create", 13, 0),
        ("2026-05-04T14:00:00Z", "overwrite", 1500, 1500),
        ("2026-05-04T14:00:01Z", "delete", 0, 2500),
        ("2026-05-04T14:00:02Z", "create", 1, 0),
    ]
    assert found[4]["key"] == SHARD.format(1)
    assert found[4]["version_id"] == story.ids[SHARD.format(1)][1]


def test_log_keeps_to_the_time_it_is_given_both_ends_included(run, story):
    between = ("--since", f"@{STORED + 60}", "--until", f"@{SPOILED}")
    _, out, _ = run("log", f"s3://{story.bucket}", *between, "--json")
    assert [c["time"] for c in lines(out)] == ["2026-05-04T13:31:00Z", "2026-05-04T14:00:00Z"]
    code, out, err = run("log", story.address, "--since", "1h")
    assert (code, out, err) == (0, "", f"nothing happened in {story.address} in that time\n")


def test_log_where_nothing_was_lost_says_so(run, story):
    _, out, _ = run("log", f"s3://{story.bucket}/models/m-10")
    assert out.endswith("\n\nno burst of overwrites or deletes in that time\n")


def test_get_writes_a_file_as_it_was(run, story, tmp_path):
    out = tmp_path / "shard"
    version = story.ids[SHARD.format(1)][0]
    code, stdout, err = run("get", f"s3://{story.bucket}/{SHARD.format(1)}", "--at", BEFORE, "-o", str(out))
    assert (code, stdout) == (0, "")
    assert err == f"1.5 KiB written 2026-05-04T13:30:00Z, version {version}\n"
    assert out.read_bytes() == SHARD_1
    assert [path.name for path in tmp_path.iterdir()] == ["shard"]


def test_get_brings_a_deleted_file_to_stdout_and_nothing_else(story):
    arguments = ("get", f"s3://{story.bucket}/{SHARD.format(2)}", "--at", BEFORE, "-o", "-")
    done = piped(*arguments, "--endpoint-url", story.server.endpoint)
    assert (done.code, done.out) == (0, SHARD_2.decode())


def test_get_json_tells_what_was_written(run, story, tmp_path):
    out = str(tmp_path / "config.json")
    _, told, _ = run("get", f"{story.address}/config.json", "--at", BEFORE, "-o", out, "--json")
    (record,) = lines(told)
    assert (record["key"], record["size"], record["file"]) == ("models/m-1/config.json", len(CONFIG), out)


def test_get_writes_over_a_file_only_when_told(run, story, tmp_path):
    out = tmp_path / "shard"
    out.write_bytes(b"mine")
    arguments = ("get", f"s3://{story.bucket}/{SHARD.format(1)}", "--at", "0s", "-o", str(out))
    assert run(*arguments) == (4, "", f"error: {out} exists; add --force to write over it\n")
    assert out.read_bytes() == b"mine"
    assert run(*arguments, "--force")[0] == 0
    assert out.read_bytes() == BAD_SHARD


def test_get_of_what_was_not_there_writes_nothing_and_says_when_it_was(run, story, tmp_path):
    out = tmp_path / "x"
    key = f"s3://{story.bucket}/{SHARD.format(2)}"
    assert run("get", key, "--at", "0s", "-o", str(out))[0] == 4
    code, _, err = run("get", key, "--at", "2026-05-04T13:00:00Z", "-o", str(out))
    assert (code, err) == (
        4,
        f"error: {key} did not exist at 2026-05-04T13:00:00Z; the first write after it was at 2026-05-04T13:30:00Z\n",
    )
    for many in ("", "/", "/*", "/part*"):
        code, _, err = run("get", f"{story.address}{many}", "--at", BEFORE, "-o", str(out))
        command = shlex.join(["artifact-store", "restore", story.address + many, "--at", BEFORE, "--to", "DIR"])
        assert code == 4
        assert err.startswith(
            f"error: {story.address}{many} is no file, but keys lie below it; take them with: {command}"
        )
    code, _, err = run("get", f"{story.address}/nothing", "--at", BEFORE, "-o", str(out))
    told = "nothing was ever written there; look at the spelling of bucket and prefix"
    assert (code, err) == (4, f"error: {story.address}/nothing did not exist at {BEFORE}; {told}\n")
    assert list(tmp_path.iterdir()) == []


def test_get_into_a_folder_that_is_not_there_is_one_line(run, story, tmp_path):
    out = tmp_path / "nowhere" / "x"
    code, _, err = run("get", f"{story.address}/config.json", "--at", BEFORE, "-o", str(out))
    remedy = "name a file in a folder you can write, or -"
    assert (code, err) == (4, f"error: cannot write {out}: {out.parent}: No such file or directory; {remedy}\n")


def config_json(story, *out):
    address = f"s3://{story.bucket}/models/m-1/config.json"
    return ("get", address, "--at", BEFORE, *out, "--endpoint-url", story.server.endpoint)


def test_get_writes_through_stdouts_other_name_wherever_it_leads(story, tmp_path):
    assert piped(*config_json(story, "-o", "/dev/stdout")).out == CONFIG.decode()
    there = tmp_path / "redirected"
    with there.open("wb") as file:
        subprocess.run([*COMMAND, *config_json(story, "-o", "/dev/stdout")], stdout=file, check=True)
    assert there.read_bytes() == CONFIG
    assert stat.S_ISLNK(Path("/dev/stdout").lstat().st_mode)


def test_get_writes_through_a_pipe_and_leaves_it_one(run, story, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    code, _, _ = run(*config_json(story, "-o", str(pipe), "--force")[:-2])
    assert (code, reader.communicate(timeout=20)[0]) == (0, CONFIG)
    assert pipe.is_fifo()


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("there", [True, False])
def test_get_replaces_no_link(run, story, tmp_path, force, there):
    link, file = tmp_path / "link", tmp_path / "file"
    if there:
        file.write_bytes(b"mine")
    link.symlink_to(file)
    code, _, err = run(*config_json(story, "-o", str(link), *force)[:-2])
    assert (code, err) == (4, f"error: {link} is a link to {file}; name that file itself\n")
    assert link.is_symlink()
    assert not there or file.read_bytes() == b"mine"


def test_get_replaces_no_socket(run, story, tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(path))
        code, _, err = run(*config_json(story, "-o", str(path), "--force")[:-2])
    assert (code, err) == (4, f"error: {path} is neither a file nor a pipe; name a file, or - for stdout\n")
    assert path.is_socket()


def test_log_whose_ends_are_exchanged_is_refused(run, story):
    code, out, err = run("log", story.address, "--since", f"@{SPOILED}", "--until", f"@{STORED}")
    assert (code, out) == (2, "")
    assert err == (
        f"error: --since @{SPOILED} (2026-05-04T14:00:00Z) lies after --until @{STORED} (2026-05-04T13:30:00Z); "
        "exchange the two\n"
    )


def test_on_a_terminal_version_ids_are_short_and_keys_whole(story):
    arguments = ("ls", story.address, "--at", BEFORE, "--endpoint-url", story.server.endpoint)
    shown = on_terminal(*arguments, columns=60, env={"NO_COLOR": "1"}).out
    version = story.ids[SHARD.format(1)][0]
    assert f"2026-05-04T13:30:00Z   1.5 KiB …{version[-7:]}   {SHARD.format(1)}\n" in shown
    assert version not in shown


def test_on_a_terminal_the_histogram_is_as_wide_as_it_may_be(story):
    arguments = ("log", story.address, "--endpoint-url", story.server.endpoint)
    for columns in (80, 120):
        shown = on_terminal(*arguments, columns=columns, env={"NO_COLOR": "1"}).out
        bars = [line for line in shown.splitlines() if line.startswith("2026-05-04T13:30:00Z  █")]
        (bar,) = [line for line in bars if line.endswith("  3 created")]
        assert bar.count("█") == columns - 24 - len("1 created, 1 overwritten, 1 deleted")


def test_a_terminal_gets_colours_and_no_key_reaches_it_raw(story):
    arguments = ("diff", story.address, "--at", BEFORE, "--endpoint-url", story.server.endpoint)
    shown = on_terminal(*arguments).out
    assert f"\x1b[33m~   1.5 KiB →   1.5 KiB  {SHARD.format(1)}\x1b[0m" in shown
    assert "\x9b" not in shown
    assert "\x1b" not in piped(*arguments).out


def test_the_server_is_found_as_the_aws_command_line_finds_it(story, tmp_path):
    arguments = ("ls", story.address, "--at", BEFORE)
    expected = piped(*arguments, "--endpoint-url", story.server.endpoint)
    assert expected.code == 0
    assert piped(*arguments, env={"AWS_ENDPOINT_URL": story.server.endpoint}) == expected
    config = tmp_path / "config"
    config.write_text(
        f"[profile here]\nregion = eu-central-1\nendpoint_url = {story.server.endpoint}\n"
        f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    assert piped(*arguments, "--profile", "here", env={"AWS_CONFIG_FILE": str(config)}) == expected
    assert piped(*arguments, env={"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "here"}) == expected


def test_the_command_that_log_names_reaches_the_same_server_in_the_same_way(story):
    told = piped("log", story.address, env={"AWS_ENDPOINT_URL": story.server.endpoint}).out
    assert told.splitlines()[-1] == f"    artifact-store diff {story.address} --at {BEFORE}"


def test_looking_at_a_suspended_bucket_is_allowed_since_it_writes_nothing(moto, capsys):
    bucket = new_bucket(moto)
    boto = moto.boto()
    boto.put_object(Bucket=bucket, Key="k", Body=b"x")
    boto.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    for command in ("ls", "diff"):
        assert main.run([command, f"s3://{bucket}", "--at", "0s", "--endpoint-url", moto.endpoint]) == 0
    assert capsys.readouterr().out.endswith(" k\n")


def test_what_was_rewritten_with_the_same_content_is_told(moto, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    story = Story(moto, new_bucket(moto))
    for second in (STORED, SPOILED):
        story.put(second, "m/config.json", CONFIG)
    assert main.run(["diff", f"s3://{story.bucket}", "--at", BEFORE, "--endpoint-url", moto.endpoint]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[1] == (
        "  it was rewritten since with the same content; metadata and tags are not compared"
    )
    endpoint = ("--endpoint-url", moto.endpoint)
    assert main.run(["restore", f"s3://{story.bucket}", "--at", BEFORE, "--yes", *endpoint]) == 0
    assert capsys.readouterr().err.splitlines()[1:2] == [
        "  keep              1 key  as it is: it was rewritten since with the same content; metadata and tags are not "
        "compared"
    ]


def test_log_leaves_a_job_that_saves_regularly_out_of_the_bursts(moto, capsys):
    story = Story(moto, new_bucket(moto))
    for n in range(40):
        story.put(STORED + 30 * n, "run/latest.pt", b"state")
    story.put(STORED, "m/w", b"weights")
    story.delete(STORED + 1000, "m/w")
    assert main.run(["log", f"s3://{story.bucket}", "--endpoint-url", moto.endpoint]) == 0
    told = capsys.readouterr().out.splitlines()
    assert (
        "33 overwritten at a steady beat, as by a job that saves regularly: drawn above, but part of no burst" in told
    )
    assert [line.split(" --at ")[1].split()[0] for line in told if " --at " in line] == [
        "2026-05-04T13:30:29Z",
        "2026-05-04T13:46:39Z",
    ]

"""Each mistake gets one line, the right exit code and no request; the command starts without what it does not need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from artifact_store.cli import main
from artifact_store.errors import KeysFailed, Refused
from tests.cli.terminal import COMMAND, on_terminal, piped

HEAVY = {"pulumi", "pulumi_aws", "boto3", "botocore", "awscrt", "pydantic", "rich", "yaml", "asyncio", "moto"}
FORMS = "write 2026-05-04T13:30:00Z, 2026-05-04T15:30:00+02:00, @1777901400 or an age such as 90m, 2h, 7d"


def run(capsys, *arguments):
    """(exit code, stdout, stderr) of a command run in this process."""
    code = main.run(list(arguments))
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.fixture(autouse=True)
def unreachable(monkeypatch, tmp_path):
    """No command here may get as far as S3."""

    def connect(*_, **__):
        raise AssertionError("S3 was asked")

    monkeypatch.setattr("artifact_store.cli.options.Target.connect", connect)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_the_help_loads_nothing_heavy():
    code = "import sys; from artifact_store.cli import main; main.run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "artifact_store" in loaded
    assert loaded & HEAVY == set()
    ours = [name for name in done.stderr.split() if name.startswith("artifact_store.")]
    needed = {"__main__", "cli", "errors", "history"}
    assert {name.split(".")[1] for name in ours} <= needed, "what only commands need is loaded by them"
    assert "artifact_store.history.models" not in ours


def test_a_mistyped_time_is_refused_before_anything_heavy_is_loaded():
    code = "import sys; from artifact_store.cli import main; main.run(sys.argv[1:]); print(*sys.modules)"
    arguments = ["restore", "s3://bucket", "--at", "yesterday", "--yes"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    # typer itself takes pydantic to read an option with bounds.
    assert {name.partition(".")[0] for name in done.stdout.split()} & (HEAVY - {"pydantic"}) == set()


def test_help_names_each_command_and_the_exit_codes(capsys):
    code, out, err = run(capsys, "--help")
    assert (code, err) == (0, "")
    for command in ("ls", "diff", "log", "plan", "apply", "restore", "get", "verify", "promise"):
        assert f"\n  {command} " in out
    told = "Exit codes: 0 done, 1 differences (diff --exit-code), 2 usage, 3 not all is done or proved, 4 refused, 130"
    assert told in " ".join(out.split())
    assert run(capsys) == (0, out, "")


@pytest.mark.parametrize("command", ["ls", "diff", "log", "plan", "apply", "restore", "get", "verify"])
def test_each_command_that_asks_s3_takes_the_options_of_the_aws_command_line(capsys, command):
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    for option in ("--profile", "--region", "--endpoint-url", "--json"):
        assert option in out


def test_the_version_is_the_packages(capsys):
    assert run(capsys, "--version") == (0, "artifact-store 0.1.0\n", "")


def test_python_m_is_the_same_command():
    assert piped("--version").out == "artifact-store 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bogus"], "No such command 'bogus'; see artifact-store --help"),
        (["ls"], "Missing argument 's3://BUCKET[/PREFIX]'; see artifact-store ls --help"),
        (["ls", "s3://bucket"], "Missing option '--at'; see artifact-store ls --help"),
        (["ls", "s3://bucket", "--at"], "Option '--at' requires an argument; see artifact-store --help"),
        (["log", "s3://bucket", "--since", "soon"], f"time 'soon' is not understood; {FORMS}"),
        (["ls", "bucket", "--at", "2h"], "'bucket' does not start with s3://; did you mean s3://bucket?"),
        (["diff", "s3://", "--at", "2h"], "'s3://' names no bucket; write s3://BUCKET or s3://BUCKET/PREFIX"),
        (
            ["restore", "https://x.s3.amazonaws.com/a", "--at", "2h", "--yes"],
            "'https://x.s3.amazonaws.com/a' is no s3:// address (it starts with https://); "
            "write s3://BUCKET or s3://BUCKET/PREFIX",
        ),
        (["plan", "s3://bucket", "--at", "noon", "--out", "p"], f"time 'noon' is not understood; {FORMS}"),
        (
            ["restore", "s3://bucket", "--at", "2h", "--yes", "--overwrite"],
            "--overwrite belongs to --to; in place, what is there now stays as a version anyway",
        ),
        (
            ["restore", "s3://bucket", "--at", "2h", "--yes", "--to", "x", "--keep-new"],
            "--keep-new does not go with --to, which deletes nothing at all; leave --keep-new out",
        ),
        (
            ["restore", "s3://bucket", "--at", "2h", "--yes", "--deep", "--no-verify"],
            "--deep says how to verify and --no-verify not to; leave one out",
        ),
        (
            ["get", "s3://bucket", "--at", "2h", "-o", "x"],
            "'s3://bucket' names no file; write s3://bucket/KEY, or take many with restore --to DIR",
        ),
        (
            ["get", "s3://bucket/k", "--at", "2h", "-o", "-", "--json"],
            "--json and the file cannot both go to stdout; name a file with -o",
        ),
        (
            ["get", "s3://bucket/k", "--at", "2h", "-o", "/"],
            "/ is a folder; name a file, as in -o /FILE",
        ),
        (
            ["get", "s3://bucket/k", "--at", "2h", "-o", "/dev/stdout", "--json"],
            "--json and the file cannot both go to stdout; name a file with -o",
        ),
        (["plan", "s3://bucket", "--at", "2h", "--out", ""], "--out . is a folder; name a file, as in --out x.plan"),
        (
            ["plan", "s3://bucket", "--at", "2h", "--out", "-"],
            "--out -: apply reads a plan from its file; name one, as in --out x.plan",
        ),
        (["plan", "s3://bucket", "--at", "2h", "--out", "."], "--out . is a folder; name a file, as in --out x.plan"),
        (
            ["plan", "s3://bucket", "--at", "2h", "--out", ".."],
            "--out .. is a folder; name a file, as in --out ../x.plan",
        ),
        (
            ["restore", "s3://bucket", "--at", "2h", "--yes", "--to", "S3://foo/bar"],
            "'S3://foo/bar' does not start with s3://; did you mean s3://foo/bar?",
        ),
        (
            ["plan", "s3://bucket", "--at", "2h", "--out", "x", "--to", "s3:/foo"],
            "'s3:/foo' does not start with s3://; did you mean s3://foo?",
        ),
        (
            ["restore", "s3://bucket", "--at", "2h", "--yes", "--to", "s3://a bucket/x"],
            "'a bucket' is no bucket name; write s3://BUCKET or s3://BUCKET/PREFIX",
        ),
        (
            ["restore", "s3://bucket", "--at", "2h", "--yes", "--to", "gs://foo/bar"],
            "'gs://foo/bar' is no s3:// address (it starts with gs://); write s3://BUCKET or s3://BUCKET/PREFIX",
        ),
        (
            ["restore", "s3://bucket", "--at", "2h", "--yes", "--to", "s3://other/y*"],
            "'s3://other/y*': a * names many prefixes, and a destination is one; leave the * out",
        ),
        *(
            (
                words,
                "--to is empty; name s3://OTHER[/PREFIX] or a folder, or leave --to out to restore in place",
            )
            for words in (
                ["restore", "s3://bucket", "--at", "2h", "--yes", "--to", ""],
                ["plan", "s3://bucket", "--at", "2h", "--out", "p", "--to="],
            )
        ),
        (["lock", "s3://bucket", "--at", "2h", "-o", ""], "'' is a folder; name a file, as in -o FILE"),
        (["lock", "s3://bucket", "--at", "2h", "-o", "/"], "/ is a folder; name a file, as in -o /FILE"),
        (["verify", "--lock", "/nowhere/x"], "cannot read lock file /nowhere/x: No such file or directory"),
        (["apply", "/nowhere/x.plan"], "cannot read plan /nowhere/x.plan: No such file or directory"),
        (["verify", "/nowhere/x.plan"], "cannot read plan /nowhere/x.plan: No such file or directory"),
        (
            ["restore", "s3://bucket", "--at", "2h", "--rate", "0"],
            "Invalid value for '--rate': Input should be greater than or equal to 0.1; "
            "see artifact-store restore --help",
        ),
    ],
)
def test_a_mistake_on_the_command_line_gets_one_line_and_exit_code_2(capsys, arguments, message):
    assert run(capsys, *arguments) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("words", "moved"),
    [
        (
            ["--profile", "x", "restore", "s3://b/a b", "--at", "2h"],
            "restore --profile x 's3://b/a b' --at 2h",
        ),
        (["--json", "ls", "s3://b", "--at", "2h"], "ls --json s3://b --at 2h"),
        (["--profile=log", "--json", "log", "s3://b"], "log --profile=log --json s3://b"),
        (["--profile", "log", "models", "s3://b"], "models --profile log s3://b"),
        (["-o", "x", "get", "--", "s3://b/k"], "get -o x -- s3://b/k"),
    ],
)
def test_options_before_the_command_are_answered_with_the_command_to_type(capsys, words, moved):
    assert run(capsys, *words) == (2, "", f"error: options come after the command: artifact-store {moved}\n")


@pytest.mark.parametrize(
    "words", [["--profile", "x"], ["--profile", "ls"], ["--yes", "ls", "s3://b"], ["--bogus", "ls"]]
)
def test_what_is_no_option_of_the_command_is_moved_nowhere(capsys, words):
    assert run(capsys, *words) == (2, "", f"error: No such option: {words[0]}; see artifact-store --help\n")


def test_what_is_wrong_behind_the_command_is_told_as_such(capsys):
    assert run(capsys, "ls", "--bogus", "log") == (
        2,
        "",
        "error: No such option: --bogus; see artifact-store ls --help\n",
    )


def test_a_time_without_a_zone_is_refused_with_the_commands_to_type_instead():
    done = piped("ls", "s3://bucket/a b", "--at", "2026-05-04 15:30", env={"TZ": "Europe/Berlin"})
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: time '2026-05-04 15:30' has no zone; write 2026-05-04T15:30:00Z for UTC, "
        "or 2026-05-04T15:30:00+02:00 for this machine's zone (CEST)\n"
        "  artifact-store ls 's3://bucket/a b' --at 2026-05-04T15:30:00Z\n"
        "  artifact-store ls 's3://bucket/a b' --at 2026-05-04T15:30:00+02:00\n"
    )


def test_a_restore_that_cannot_ask_is_refused():
    done = piped("restore", "s3://bucket", "--at", "2h")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "error: standard input is no terminal, so nobody can be asked; add --yes to go on, or --dry-run to look\n"
    )


def test_a_file_that_exists_is_not_written_over(capsys, tmp_path):
    there = tmp_path / "config.json"
    there.write_text("mine")
    code, out, err = run(capsys, "get", "s3://bucket/k", "--at", "2h", "-o", str(there))
    assert (code, out, err) == (4, "", f"error: {there} exists; add --force to write over it\n")
    assert there.read_text() == "mine"


def test_what_is_no_plan_is_not_applied(capsys, tmp_path):
    path = tmp_path / "x.plan"
    path.write_bytes(b"\x89PNG\r\n")
    expected = f"error: {path} is not a plan of this program: its first line is not a plan's header\n"
    assert run(capsys, "apply", str(path)) == (2, "", expected)
    assert run(capsys, "verify", str(path)) == (2, "", expected)


def fails_with(monkeypatch, error):
    def fail(**_):
        raise error

    monkeypatch.setattr("artifact_store.stack.of_files", lambda *_: fail())


def test_failed_keys_are_listed_with_their_reasons_and_their_control_characters_escaped(capsys, monkeypatch):
    fails_with(monkeypatch, KeysFailed("2 keys not restored", [("a\x1b[2J", "AccessDenied"), ("b", "it\nis gone")]))
    assert run(capsys, "promise", "--stack", "x") == (
        3,
        "",
        "error: 2 keys not restored\n  a\\x1b[2J: AccessDenied\n  b: it\\nis gone\n",
    )


def test_what_is_refused_ends_with_4_and_an_interrupt_with_130(capsys, monkeypatch):
    fails_with(monkeypatch, Refused("no"))
    assert run(capsys, "promise", "--stack", "x") == (4, "", "error: no\n")
    fails_with(monkeypatch, KeyboardInterrupt())
    assert run(capsys, "promise", "--stack", "x") == (130, "", "interrupted: nothing was written\n")
    fails_with(monkeypatch, KeyboardInterrupt("half is written"))
    assert run(capsys, "promise", "--stack", "x") == (130, "", "interrupted: half is written\n")


def test_a_full_disk_is_one_line_that_says_which(capsys, monkeypatch):
    def fill(*_):
        with Path("/dev/full").open("wb", buffering=0) as disk:
            disk.write(b"x")

    monkeypatch.setattr("artifact_store.stack.of_files", fill)
    monkeypatch.setenv("TMPDIR", "/scratch")
    assert run(capsys, "promise", "--stack", "x") == (
        4,
        "",
        "error: No space left on device: in /scratch, which holds what is too large for memory (TMPDIR names another), "
        "or where the plan is written; make room there, or name another place\n",
    )
    fails_with(monkeypatch, OSError(28, "No space left on device", "/state/x.plan"))
    assert run(capsys, "promise", "--stack", "x") == (4, "", "error: /state/x.plan: No space left on device\n")


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_full_disk_under_stdout_is_named_as_stdout(lines):
    code = (
        "import sys; from artifact_store.cli import main, output; "
        f"main.app.command('flood')(lambda: [output.emit({{'n': n}}) for n in range({lines})] and None); "
        "sys.argv = ['artifact-store', 'flood']; main.main()"
    )
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (4, "error: standard output: No space left on device\n")


def test_a_terminal_is_not_flooded_with_failed_keys(capsys, monkeypatch):
    fails_with(monkeypatch, KeysFailed("30 keys not restored", [(f"k{n:02}", "no") for n in range(30)]))
    assert run(capsys, "promise", "--stack", "x")[2].count("\n") == 31
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    told = run(capsys, "promise", "--stack", "x")[2].splitlines()
    assert told[-2:] == ["  k19: no", "  … and 10 more; --json names them all, and so does a pipe"]


def test_a_fault_of_ours_is_not_hidden(capsys, monkeypatch):
    fails_with(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        run(capsys, "promise", "--stack", "x")


def test_errors_are_red_on_a_terminal_and_plain_in_a_pipe_or_with_no_color():
    shown = on_terminal("bogus").out
    assert shown == "\x1b[31merror: No such command 'bogus'; see artifact-store --help\x1b[0m\n"
    assert on_terminal("bogus", env={"NO_COLOR": "1"}).out == piped("bogus").err
    assert "\x1b" not in piped("bogus").err


@pytest.mark.parametrize(
    ("closed", "code"), [("<&-", 4), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 4)], ids=["in", "out", "err", "all"]
)
def test_a_stream_that_is_closed_is_one_that_nobody_reads(closed, code):
    words = ["restore", "s3://bucket", "--at", "2h"] if code else ["--version"]
    shell = ["/bin/sh", "-c", f'"$@" {closed}', "sh", *COMMAND, *words]
    done = subprocess.run(shell, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_an_interrupt_while_the_program_loads_ends_it_without_a_traceback(tmp_path):
    # typer is the first thing that the command line loads.
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = piped("--version", env={"PYTHONPATH": str(tmp_path)})
    assert (done.code, done.out, done.err) == (-2, "", "")


def test_a_reader_who_has_had_enough_is_no_error():
    code = (
        "import sys; from artifact_store.cli import main, output; "
        "main.app.command('flood')(lambda: [output.emit({'n': n}) for n in range(100_000)] and None); "
        "sys.argv = ['artifact-store', 'flood']; main.main()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert json.loads(child.stdout.readline()) == {"n": 0}
    child.stdout.close()
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait(60) == 141

"""The promise is read from the stack's file alone."""

import json
from dataclasses import asdict

from artifact_store.cli import main
from artifact_store.promise import promise, text
from artifact_store.stack import of_files
from tests.cli.terminal import ROOT, piped


def run(capsys, *arguments):
    code = main.run(["promise", *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_promise_of_each_stack_is_the_one_that_the_program_exports(capsys):
    for stack in ("dev", "prod"):
        rows = promise(of_files(ROOT, stack)[0])
        code, out, _ = run(capsys, "-C", str(ROOT), "--stack", stack)
        assert (code, out) == (0, text(rows) + "\n")
        code, out, _ = run(capsys, "-C", str(ROOT), "--stack", stack, "--json")
        assert code == 0
        assert [json.loads(line) for line in out.splitlines()] == [asdict(row) for row in rows]


def test_it_needs_neither_engine_nor_aws():
    alone = {"PATH": "/nowhere", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "HOME": "/nowhere"}
    done = piped("promise", "--stack", "dev", env=alone, cwd=ROOT)
    assert done.code == 0
    assert done.out.startswith("any key, from its S3 versions ")


def test_where_there_are_several_stacks_one_must_be_named(capsys):
    code, out, err = run(capsys, "-C", str(ROOT))
    assert (code, out) == (2, "")
    assert err == f"error: several stacks in {ROOT}: dev, prod; name one with --stack\n"


def test_where_there_is_no_stack_the_folder_is_named(capsys, tmp_path):
    code, out, err = run(capsys, "-C", str(tmp_path))
    assert (code, out) == (2, "")
    assert err == f"error: no Pulumi.NAME.yaml in {tmp_path}; name the project's folder with -C\n"


def test_the_only_stack_need_not_be_named(capsys, tmp_path):
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "Pulumi.dev.yaml").rename(tmp_path / "Pulumi.team.yaml")
    code, out, _ = run(capsys, "-C", str(tmp_path))
    assert code == 0
    assert out.startswith("any key, from its S3 versions ")


def test_a_stack_that_is_not_there_is_an_error_that_names_those_that_are(capsys):
    code, out, err = run(capsys, "-C", str(ROOT), "--stack", "pord")
    assert (code, out) == (2, "")
    assert err == "error: stack 'pord': Pulumi.pord.yaml does not exist; stacks here: dev, prod\n"


def test_each_fault_of_a_config_is_a_line_of_its_own(capsys, tmp_path):
    (tmp_path / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (tmp_path / "Pulumi.bad.yaml").write_text(
        "config:\n  artifact-store:retention:\n    pointInTimeDays: 99\n    dailyDays: -1\n"
    )
    code, out, err = run(capsys, "-C", str(tmp_path), "--stack", "bad")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith("error: ") for line in lines)
    assert any("pointInTimeDays" in line and "99" in line for line in lines)
    assert any("dailyDays" in line and "-1" in line for line in lines)

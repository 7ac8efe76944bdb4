"""The README claims nothing that the code does not do: its tables, outputs and examples are compared with the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml
from pydantic import BaseModel
from typer.main import get_command

from artifact_store import errors
from artifact_store.cli.main import app, run
from artifact_store.config import PROJECT, StoreConfig

FOLDER = Path(__file__).resolve().parents[1]
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def table(before: str) -> list[list[str]]:
    """The rows of the table that follows a text, cells stripped."""
    lines = README.split(before, 1)[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| ---"))
    rows = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def output(command: str) -> str:
    """What the README shows of a command."""
    return README.split(f"<!-- from: {command} -->\n```\n", 1)[1].split("\n```", 1)[0]


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)\n\1```$", README, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """(key, default) of every value of the config."""
    for name, field in model.model_fields.items():
        key = f"{path}{field.alias or name}"
        inner = [o for o in (field.annotation, *get_args(field.annotation)) if isinstance(o, type)]
        section = next((o for o in inner if issubclass(o, BaseModel)), None)
        if section is not None:
            yield from fields(section, f"{key}.")
        elif field.is_required():
            yield key, "required"
        else:
            yield key, "none" if field.default in (None, ()) else json.dumps(field.default).strip('"')


def test_the_config_reference_names_every_key_with_its_default() -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in table("<!-- config reference")}
    computed = {"retention.versionDays": "as `pointInTimeDays", "secondRegion.keepDays": "as the snapshot"}
    assert told == dict(fields(StoreConfig)) | computed


def test_every_command_is_told_and_no_other() -> None:
    told = {word for row in table("## The commands") for word in re.findall(r"`([a-z]+) ", row[0] + " ")}
    assert sorted(told) == sorted(get_command(app).list_commands(None))


def test_every_option_of_a_restore_is_told_and_no_other() -> None:
    told = {option for row in table("**Options of a restore**") for option in re.findall(r"--[a-z-]+", row[0])}
    command: Any = get_command(app).get_command(None, "restore")
    known = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
    assert told == known - {"--at", "--json", "--profile", "--region", "--endpoint-url", "--help"}


def test_the_exit_codes_are_those_of_the_errors() -> None:
    told = {int(row[0]) for row in table("| exit code") if row[0].isdigit()}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert told == {kind.exit_code for kind in kinds} | {0, 1, 130}


def test_the_config_shown_is_the_file_itself() -> None:
    [shown] = blocks("yaml")
    assert yaml.safe_load(shown) == yaml.safe_load((FOLDER / "Pulumi.prod.yaml").read_text(encoding="utf-8"))


def test_the_promise_shown_is_the_one_computed(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output("artifact-store promise --stack prod").splitlines()
    assert run(["promise", "--stack", "prod", "--folder", str(FOLDER)]) == 0
    assert capsys.readouterr().out.splitlines()[: len(shown) - 2] == shown[1:-1]


def test_the_refusal_shown_is_the_one_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"aws:region": "us-east-1", f"{PROJECT}:retention": {"pointInTimeDays": 36}, f"{PROJECT}:bukcet": {}}
    (tmp_path / "Pulumi.wrong.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    assert run(["promise", "--stack", "wrong", "--folder", str(tmp_path)]) == 2
    assert capsys.readouterr().err.strip() == output("artifact-store promise --stack wrong")


def test_the_policies_shown_are_json_and_allow_no_wildcard() -> None:
    policies = [json.loads(text) for text in blocks("json")]
    assert len(policies) == 2
    for statement in (one for policy in policies for one in policy["Statement"]):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not any("*" in action for action in actions)
        assert statement.get("Principal") != "*"


def test_every_make_target_and_file_named_exists() -> None:
    makefile = (FOLDER / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^    |`|&& )make ([a-z.][\w./]*)", README, re.MULTILINE):
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
    for name in re.findall(r"`((?:artifact_store|history|restore|\.github)/[\w./-]+|rules\.py|promise\.py)`", README):
        assert any((place / name).exists() for place in (FOLDER, FOLDER / "artifact_store")), name


def test_the_readme_is_finished() -> None:
    assert not re.search(r"TODO|TBD|BENCH-TABLE", README)
    assert isinstance(app, typer.Typer)

"""Folders of too many files on the command line: told of, so that nobody takes silence for a whole model."""

import json

import pytest

from artifact_store.history import models
from tests.servers.conftest import new_bucket
from tests.servers.story import STORED, Story


@pytest.fixture
def story(moto):
    story = Story(moto, new_bucket(moto))
    for number in range(5):
        story.put(STORED + number, f"data/files/md5/{number:02x}/{'0' * 30}", b"x")
    return story


def test_models_tells_of_a_folder_with_too_many_files(run, story, monkeypatch):
    monkeypatch.setattr(models, "FILES_A_FOLDER", 4)
    code, out, err = run("models", f"s3://{story.bucket}")
    assert (code, out) == (0, "")
    assert "warning: data/files/md5/ (perhaps dvc) has more than 4 files and was not judged as a model\n" in err


def test_models_in_json_has_a_line_for_such_a_folder_with_the_fields_of_a_model(run, story, monkeypatch):
    monkeypatch.setattr(models, "FILES_A_FOLDER", 4)
    code, out, _ = run("models", f"s3://{story.bucket}", "--json")
    assert code == 0
    assert json.loads(out) == {
        "layout": "dvc",
        "prefix": "data/files/md5/",
        "name": "",
        "condition": "unjudged",
        "reasons": ["it has more than 4 files"],
        "warnings": [],
        "files": None,
        "size": None,
        "saved": None,
        "before": None,
        "after": None,
    }


def test_lock_tells_of_what_it_pins_without_having_judged_it(run, story, monkeypatch, tmp_path):
    monkeypatch.setattr(models, "FILES_A_FOLDER", 4)
    words = ("lock", f"s3://{story.bucket}", "--at", f"@{STORED + 10}", "-o", tmp_path / "x.lock", "--json")
    code, out, err = run(*words)
    told = json.loads(out)
    assert (code, told["files"], told["unjudged"]) == (0, 5, ["data/files/md5/"])
    assert "warning: data/files/md5/ (perhaps dvc) has more than 4 files and was not judged as a model\n" in err


def test_the_help_of_lock_names_every_field_it_prints(run, story, tmp_path):
    fields = json.loads(run("lock", f"s3://{story.bucket}", "--at", "0s", "-o", tmp_path / "x", "--json")[1])
    shown = run("lock", "--help")[1]
    assert [field for field in fields if field not in shown.partition("--json:")[2]] == []

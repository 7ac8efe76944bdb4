"""Folders of too many files on the command line: told of, so that nobody takes silence for a whole model."""

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

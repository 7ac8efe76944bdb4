"""A SageMaker job's model is one archive."""

from artifact_store.history.layouts.sagemaker import LAYOUT
from artifact_store.history.sets import ModelSet
from tests.history.layouts.bucket import recognise, recognise_reading


def test_the_archive_is_the_model_and_nothing_is_read():
    files = {"model.tar.gz": 900, "output.tar.gz": 5, "": 0, "code/inference.py": 9}
    model = ModelSet(
        layout="sagemaker",
        prefix="jobs/j-1/output/",
        members=("model.tar.gz",),
        others=("output.tar.gz",),
    )
    assert recognise_reading(LAYOUT, files, "jobs/j-1/output/") == ([model], [])


def test_an_archive_of_another_name_or_below_is_none():
    assert recognise(LAYOUT, {"data.tar.gz": 9, "model.tar.gz.part": 9, "output/model.tar.gz": 9}) == []

"""SageMaker's archive of a model: `model.tar.gz`, all of it in one object.

What a job writes uncompressed is a folder of some other layout. The registry keeps the archive's ETag.
"""

from __future__ import annotations

from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.sets import Folder, Layout, ModelSet, Reading

ARCHIVE = "model.tar.gz"
OUTPUT = "output.tar.gz"
"""What the training job wrote beside its model."""


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    yield from ()
    if ARCHIVE not in folder.files:
        return []
    others = (OUTPUT,) if OUTPUT in folder.files else ()
    return [ModelSet(layout="sagemaker", prefix=folder.prefix, members=(ARCHIVE,), others=others)]


LAYOUT = Layout("sagemaker", MARKS["sagemaker"], _recognise)

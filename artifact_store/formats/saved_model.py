"""TensorFlow's `saved_model.pb`: a protobuf message of a version and graphs, walked at its top level alone.

Source: tensorflow/core/protobuf/saved_model.proto.
"""

from __future__ import annotations

from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.protobuf import top_level
from artifact_store.formats.source import Fault, Source

NAME = "savedmodel"


def check(source: Source) -> Check:
    seen = yield from top_level(source)
    for number, name in ((1, "saved_model_schema_version"), (2, "meta_graphs")):
        if number not in seen:
            raise Fault(f"has no {name}, which every SavedModel has: it was cut between two fields, or is another file")
    return Finding(NAME)

"""Who may still hold the old bytes after a restore, and the command that helps each: S3 tells nobody that it changed.

Pure. Owns the advice and when it applies.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from artifact_store.restore.destination import InPlace
from artifact_store.restore.plan import Action
from artifact_store.restore.planfile import Header

LOADED = frozenset({"transformers", "peft", "diffusers", "gguf", "onnx", "keras", "tensorflow", "mlflow", "triton"})
"""Layouts that servers load into memory."""


def holders(header: Header) -> Iterator[tuple[str, str]]:
    """(who may still hold old bytes, what to run), for what a plan changed.

    Nothing where no model came back, and nothing for another place, where nobody reads yet.
    """
    summary, destination = header.summary, header.destination
    if not isinstance(destination, InPlace) or summary is None or not header.models:
        return
    if not (summary.counts[Action.COPY] or summary.counts[Action.UNDELETE]):
        return
    place = f"s3://{header.bucket}/{header.prefix}"
    yield (
        (
            "copies made with aws s3 sync: it skips files of the same size that are newer on S3, and keeps what was "
            "hidden unless --delete is added"
        ),
        shlex.join(["aws", "s3", "sync", place, "DIR", "--exact-timestamps"]),
    )
    yield (
        "Python processes that read through s3fs or another fsspec file system: listings and blocks are cached",
        'python: fsspec.filesystem("s3").invalidate_cache()',
    )
    layouts = {model.layout for model in header.models}
    if layouts & LOADED:
        yield (
            "servers and notebooks that loaded the model: they keep what they have in memory",
            "kubectl rollout restart deployment/NAME",
        )
    for model in header.models:
        if model.layout == "triton":
            name = model.prefix.rstrip("/").rpartition("/")[2]
            yield (
                f"Triton in explicit mode keeps {name} as it is (in poll mode it reloads by itself, maybe half-way)",
                f"curl -X POST TRITON:8000/v2/repository/models/{shlex.quote(name)}/load",
            )

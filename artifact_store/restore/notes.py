"""Who may still hold the old bytes after a restore, and the command that helps each: S3 tells nobody that it changed.

Pure. Owns the advice and when it applies. What nobody here can know is a word in capitals: DIR, DEPLOYMENT, ENDPOINT.
"""

from __future__ import annotations

import os.path
import shlex
from collections.abc import Iterator, Sequence

from artifact_store.restore.destination import InPlace
from artifact_store.restore.plan import Action
from artifact_store.restore.planfile import Header

SERVED = frozenset(
    {"transformers", "peft", "diffusers", "gguf", "onnx", "keras", "tensorflow", "mlflow", "triton", "lightning"}
)
"""Layouts that servers and notebooks load; what is left out is read when training goes on, and then anew."""

UPDATE = ["aws", "sagemaker", "update-endpoint", "--endpoint-name", "ENDPOINT", "--endpoint-config-name", "NEW_CONFIG"]


def holders(header: Header, account: Sequence[str] = (), endpoint: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """(who may still hold old bytes, what to run), for what a plan changed. account: --profile and --region as they
    were given, endpoint: --endpoint-url.

    Nothing where no model came back, nothing for another place, where nobody reads yet, and nothing for DVC remotes,
    whose keys are the hashes of what they hold.
    """
    summary, destination = header.summary, header.destination
    models = [model for model in header.models if model.layout not in ("dvc", "")]
    if not isinstance(destination, InPlace) or not models:
        return
    if not (summary.counts[Action.COPY] or summary.counts[Action.UNDELETE]):
        return
    layouts = {model.layout for model in models}
    placed = [model for model in models if not model.unjudged] or models
    common = os.path.commonprefix([model.prefix for model in placed])  # noqa: RUF071 - by characters; cut at a "/" below
    place = f"s3://{header.bucket}/{common[: common.rfind('/') + 1]}"
    yield (
        (
            "copies made with aws s3 sync: it skips files of the same size that are newer on S3, and keeps what was "
            "hidden unless --delete is added"
        ),
        shlex.join(["aws", "s3", "sync", place, "DIR", "--exact-timestamps", *account, *endpoint]),
    )
    yield (
        "Python processes that read through s3fs or another fsspec file system: listings and blocks are cached",
        'python: fsspec.filesystem("s3").invalidate_cache()',
    )
    if layouts & SERVED:
        yield (
            "servers and notebooks that loaded a model (vLLM, KServe, MLflow): they keep it in memory or on disk",
            "kubectl rollout restart deployment/DEPLOYMENT",
        )
    if "sagemaker" in layouts:
        yield (
            "SageMaker endpoints: instances keep the archive they began with, until another configuration is deployed",
            shlex.join([*UPDATE, *account]),
        )
    for model in models:
        if model.layout == "triton":
            name = model.prefix.rstrip("/").rpartition("/")[2]
            yield (
                f"Triton in explicit mode keeps {name} as it is (in poll mode it reloads by itself, maybe half-way)",
                f"curl -X POST TRITON:8000/v2/repository/models/{shlex.quote(name)}/load",
            )

"""MLflow: models (`MLmodel` and the paths its flavors name), roots of runs, and the registry of a file store.

MLmodel lists no files and no hashes, so a model is whole where every path that a flavor names is there and all files
together have the bytes that were counted at the save. A registry in a database is not in the bucket and not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from artifact_store.history.layouts.configs import loaded
from artifact_store.history.layouts.content import (
    MEMBERS,
    OF_BYTES,
    OF_SHAPES,
    Fault,
    holds_weights,
    inner_path,
    is_marker,
    read_text,
    read_yaml,
    rightly_empty,
    shown,
)
from artifact_store.history.layouts.marks import MARKS, registered_model, run
from artifact_store.history.sets import Folder, Layout, Missing, ModelSet, Reading

MODEL = "MLmodel"
NULLS = frozenset({"", "null", "~"})

PATHS = (
    "data",
    "model_path",
    "model_data",
    "model_binary",
    "pickled_model",
    "python_model",
    "saved_model_dir",
    "peft_adaptor",
    "serialized_explainer",
    "code",
)
"""Keys under which flavors name a file or folder of the model. model_code_path is none: it is kept as it was on the
machine that saved, and loaders use its last part alone."""

ENVIRONMENTS = ("conda", "virtualenv")
WRITTEN = (
    "flavors",
    "artifact_path",
    "run_id",
    "model_uuid",
    "model_id",
    "mlflow_version",
    "utc_time_created",
    "signature",
)
"""Of these MLflow writes some into every MLmodel; a file of that name without them is somebody else's."""
ALIASES = 1_000
"""Aliases of one registered model that are read."""


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    if MODEL in folder.files:
        model = yield from _model(folder)
        return [model] if model else []
    if run(folder):
        return _run(folder)
    if not registered_model(folder):
        return []
    registered = yield from _registered(folder)
    return [registered] if registered else []


def _model(folder: Folder) -> Reading[ModelSet | None]:
    named: set[str] = set()
    problems: list[str] = []
    warnings: list[str] = []
    try:
        content = yield from read_yaml(folder, MODEL)
        if content.keys().isdisjoint(WRITTEN):
            return None
        flavors = _flavors(content)
        for value in _named(flavors):
            _take(value, named, problems, warnings)
        if len(named) > MEMBERS:
            raise Fault(f"{MODEL} names more than {MEMBERS:,} paths")
        problems += _too_small(folder, content)
        warnings += _environments(folder, flavors)
        warnings += _elsewhere(flavors)
    except Fault as fault:
        problems.append(str(fault))
        named.clear()
    members, inner, found = list[str](), list[str](), set[str]()
    parts: dict[str, list[str]] = {MODEL: [MODEL]}
    for path in sorted(folder.files):
        owner = None if is_marker(path) else _owner(path, named)
        if owner is None:
            continue
        found.add(owner)
        name = path.rsplit("/", 1)[-1]
        if path != owner and (OF_SHAPES.fullmatch(name) or OF_BYTES.fullmatch(name)):
            inner.append(path)
        # Configs and code in a flavor's folder are mended alone, which makes no mix of two saves.
        elif path == owner or holds_weights(path):
            members.append(path)
        else:
            continue
        if not OF_SHAPES.fullmatch(name):
            parts.setdefault(owner, []).append(path)
    taken = {MODEL, *members, *inner}
    others = tuple(sorted(path for path in folder.files if path not in taken and not is_marker(path)))
    return ModelSet(
        layout="mlflow",
        prefix=folder.prefix,
        members=tuple(members),
        indexes=(*inner, MODEL),
        others=others,
        configs=loaded(path for path in others if _owner(path, named)),
        missing=tuple(Missing(path, MODEL) for path in sorted(named - found)),
        problems=tuple(problems),
        warnings=tuple(warnings),
        may_be_empty=rightly_empty(members),
        parts={part: tuple(files) for part, files in parts.items()},
        unordered=frozenset({MODEL}),  # os.walk tells when it is uploaded
    )


def _flavors(content: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    flavors = content.get("flavors")
    if not isinstance(flavors, dict) or not flavors:
        raise Fault(f"{MODEL} names no flavors")
    for name, flavor in flavors.items():
        if not isinstance(flavor, dict):
            raise Fault(f"{MODEL} describes the flavor {shown(str(name))!r} by no mapping")
    return flavors


def _named(flavors: Mapping[str, Mapping[str, Any]]) -> Iterator[object]:
    """The paths that flavors name; what is no string is passed on."""
    for name, flavor in flavors.items():
        yield from (flavor[key] for key in PATHS if key in flavor)
        artifacts = flavor.get("artifacts")
        if isinstance(artifacts, dict):
            yield from (item["path"] for item in artifacts.values() if isinstance(item, dict) and "path" in item)
        if name == "transformers" and "model_binary" in flavor:
            yield from _components(flavor)


def _components(flavor: Mapping[str, Any]) -> Iterator[object]:
    """The folders of a pipeline's components that are saved with it; of others the source is written down."""
    components = flavor.get("components")
    names = [name for name in components if isinstance(name, str)] if isinstance(components, list) else []
    if "processor_type" in flavor:
        names.append("processor")
    for name in names:
        if f"{name}_name" not in flavor:
            yield f"components/{name}"


def _take(value: object, named: set[str], problems: list[str], warnings: list[str]) -> None:
    if isinstance(value, str) and value in NULLS:
        return
    if isinstance(value, str) and "://" in value:
        warnings.append(f"needs {shown(value)}, which is no part of it")
        return
    try:
        named.add(inner_path(value, MODEL))
    except Fault as fault:
        problems.append(str(fault))


def _owner(path: str, named: set[str]) -> str | None:
    """What names the file: itself, or the folder it lies in."""
    while path not in named:
        path, slash, _ = path.rpartition("/")
        if not slash:
            return None
    return path


def _too_small(folder: Folder, content: Mapping[str, Any]) -> list[str]:
    counted = content.get("model_size_bytes")
    if not isinstance(counted, str) or not re.fullmatch(r"[0-9]{1,18}", counted):
        return []
    held = sum(file.size for path, file in folder.files.items() if path != MODEL)
    if held >= int(counted):
        return []
    return [f"its files have {held:,} bytes, and {MODEL} counted {int(counted):,} when they were saved"]


def _environments(folder: Folder, flavors: Mapping[str, Mapping[str, Any]]) -> list[str]:
    value = flavors.get("python_function", {}).get("env")
    files = [value.get(key) for key in ENVIRONMENTS] if isinstance(value, dict) else [value]
    absent = (name for name in files if isinstance(name, str) and name not in NULLS and name not in folder.files)
    return [f"{shown(name)} is absent: a server cannot build its environment from it" for name in absent]


def _elsewhere(flavors: Mapping[str, Mapping[str, Any]]) -> list[str]:
    flavor = flavors.get("transformers", {})
    source = flavor.get("source_model_name")
    if "model_binary" in flavor or not isinstance(source, str) or source in NULLS:
        return []
    return [f"needs the weights of {shown(source)}, which are no part of it"]


def _run(folder: Folder) -> list[ModelSet]:
    files = sorted(path for path in folder.files if not is_marker(path))
    if not any(path.startswith("artifacts/") and path.endswith(f"/{MODEL}") for path in files):
        return []
    return [ModelSet(layout="mlflow-run", prefix=folder.prefix, others=tuple(files))]


def _registered(folder: Folder) -> Reading[ModelSet | None]:
    """None where no model and no version is described: sites have versions and aliases too."""
    files = sorted(path for path in folder.files if not is_marker(path))
    aliases = [path for path in files if re.fullmatch(r"aliases/[^/]+", path)]
    metas = [path for path in files if re.fullmatch(r"(?:version-\d{1,9}/)?meta\.yaml", path)]
    if not metas:
        return None
    missing: list[Missing] = []
    problems: list[str] = []
    if len(aliases) > ALIASES:
        problems.append(f"{len(aliases):,} aliases, more than the {ALIASES:,} that are read")
    for path in aliases[:ALIASES]:
        try:
            version = (yield from read_text(folder, path, 1024)).strip()
            if not re.fullmatch(r"\d{1,9}", version):
                raise Fault(f"{shown(path)} names no version but {shown(version)!r}")
            if f"version-{int(version)}/meta.yaml" not in folder.files:
                missing.append(Missing(f"version-{int(version)}/meta.yaml", path))
        except Fault as fault:
            problems.append(str(fault))
    taken = {*aliases, *metas}
    return ModelSet(
        layout="mlflow-registry",
        prefix=folder.prefix,
        indexes=tuple(metas),
        pointers=tuple(aliases),
        others=tuple(path for path in files if path not in taken),
        missing=tuple(missing),
        problems=tuple(problems),
    )


LAYOUT = Layout("mlflow", MARKS["mlflow"], _recognise)

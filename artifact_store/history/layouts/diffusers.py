"""diffusers pipelines and their components.

A pipeline is `model_index.json` and the folders it names, each with weights, a config or a tokenizer; a component's
folder is also a model on its own. Owns what a component must hold; how its weights are named is for `weights`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from artifact_store.history.layouts.configs import loaded
from artifact_store.history.layouts.content import (
    Fault,
    below,
    direct_names,
    files_at,
    inner_path,
    is_marker,
    read_object,
    shown,
)
from artifact_store.history.layouts.content import kind as json_kind
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.transformers import FAMILIES as TRANSFORMERS
from artifact_store.history.layouts.transformers import companions
from artifact_store.history.layouts.weights import Family, weight_sets
from artifact_store.history.sets import Folder, Layout, Missing, ModelSet, Reading

INDEX = "model_index.json"
LORA = "pytorch_lora_weights.safetensors"
CLASS = "_class_name"
COMPONENTS = 100
"""Components that one pipeline may name; the largest have about ten."""


def _safetensors(single: str, index: str) -> Mapping[str, str]:
    return {"diffusers": index, "diffusers before 0.29": single}


def _bin(single: str, index: str) -> Mapping[str, str]:
    # diffusers#14811: unless told, it looks for no index of .bin files
    return {"diffusers": single, "diffusers with use_safetensors=False": index}


FAMILIES = (
    Family("diffusion_pytorch_model", "safetensors", _safetensors),
    Family("diffusion_pytorch_model", "bin", _bin),
    Family("diffusion_flax_model", "msgpack", _bin),
)

CONFIGS = (
    (re.compile(r"Scheduler$"), "scheduler_config.json"),
    (re.compile(r"Tokenizer(?:Fast)?$"), "tokenizer_config.json"),
    (re.compile(r"(?:Processor|Extractor)(?:Fast)?$"), "preprocessor_config.json"),
)
"""What the class of a component without weights is named after -> the config it is loaded from."""
OWN = re.compile(r"[^/]+/(?:scheduler_config\.json|diffusion_(?:pytorch|flax)_model[-.].*)", re.DOTALL)
"""Files that only components have."""
OTHER_WEIGHTS = (".safetensors", ".bin", ".onnx", ".msgpack", ".pt", ".pth", ".ckpt", ".gguf", ".xml")


@dataclass(slots=True)
class Parts:
    """What the components of a pipeline add up to; paths relative to the pipeline."""

    members: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    tensors: dict[str, frozenset[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    readers: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, found: ModelSet) -> None:
        """A set of the component `name`."""
        self.members += _within(name, found.members)
        self.indexes += _within(name, found.indexes)
        self.leftovers += _within(name, found.leftovers)
        self.missing += [Missing(f"{name}/{gone.path}", f"{name}/{gone.named_by}") for gone in found.missing]
        self.tensors |= {f"{name}/{path}": tensors for path, tensors in found.tensors.items()}
        self.problems += [f"{name}: {text}" for text in found.problems]
        self.warnings += [f"{name}: {text}" for text in found.warnings]
        for files in found.parts.values():
            self.parts[f"{name}/{found.name}"] = tuple(_within(name, files))
        for reader, taken in found.readers.items():
            self.readers.setdefault(reader, []).append(f"{name}/: {taken}")


def _within(name: str, paths: tuple[str, ...]) -> Iterator[str]:
    return (f"{name}/{path}" for path in paths)


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    sets = yield from weight_sets(folder, "diffusers", FAMILIES, companions(folder))
    if LORA in folder.files:
        lora = ModelSet(layout="diffusers", prefix=folder.prefix, name="lora", members=(LORA,))
        sets.append(lora)
    if INDEX in folder.files:
        pipeline = yield from _pipeline(folder)
        sets += [pipeline] if pipeline else []
    return sets


def _pipeline(folder: Folder) -> Reading[ModelSet | None]:
    """None where the index names no pipeline and no component lies below: others list their models in such a file."""
    parts = Parts()
    content: Mapping[str, Any] = {}
    try:
        content = yield from read_object(folder, INDEX)
        components = _components(content)
    except Fault as fault:
        if not isinstance(content.get(CLASS), str) and not any(OWN.fullmatch(path) for path in folder.files):
            return None
        parts.problems.append(str(fault))
        components = {}
    for name, (library, kind) in components.items():
        yield from _component(folder, name, library, kind, parts)
    claimed = {*parts.members, *parts.indexes, *parts.leftovers}
    for name in components:
        parts.others += [path for path in files_at(folder, name) if path not in claimed]
    return ModelSet(
        layout="diffusers",
        prefix=folder.prefix,
        name="pipeline",
        members=tuple(parts.members),
        indexes=(*parts.indexes, INDEX),
        others=(*parts.others, *companions(folder)),
        configs=loaded((*parts.others, *companions(folder))),
        missing=tuple(parts.missing),
        tensors=parts.tensors,
        problems=tuple(parts.problems),
        warnings=tuple(parts.warnings),
        parts=parts.parts,
        readers={reader: ", ".join(taken) for reader, taken in parts.readers.items()},
        leftovers=tuple(parts.leftovers),
    )


def _components(content: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Name -> (library, class). An optional component that the pipeline goes without is written [null, null]."""
    found = {}
    for name, value in content.items():
        if name.startswith("_") or not isinstance(value, list) or len(value) != 2:
            continue
        library, kind = value
        if isinstance(library, str) and isinstance(kind, str):
            inner = inner_path(name, INDEX)
            if "/" in inner:
                raise Fault(f"{INDEX} names {shown(name)}, which is no folder beside it")
            found[inner] = (library, kind)
    if len(found) > COMPONENTS:
        raise Fault(f"{INDEX} names {len(found):,} components, more than the {COMPONENTS} that are looked for")
    if not isinstance(content.get(CLASS), str):
        raise Fault(f"{INDEX} names no pipeline: its {CLASS} is {json_kind(content.get(CLASS))}")
    return found


def _component(folder: Folder, name: str, library: str, kind: str, parts: Parts) -> Reading[None]:
    inner = folder.below(name)
    config = next((config for pattern, config in CONFIGS if pattern.search(kind)), "config.json")
    empty = all(is_marker(path) for path in inner.files)
    if empty or (config == "scheduler_config.json" and config not in inner.files):
        parts.missing.append(Missing(f"{name}/{config}", INDEX))
    elif config == "config.json":
        yield from _weights(inner, name, library, parts)


def _weights(inner: Folder, name: str, library: str, parts: Parts) -> Reading[None]:
    sets = yield from below(name, weight_sets(inner, "diffusers", (*FAMILIES, *TRANSFORMERS), ()))
    for found in sets:
        parts.add(name, found)
    if sets and "config.json" not in inner.files:
        parts.missing.append(Missing(f"{name}/config.json", INDEX))
    if not sets:
        weights = [path for path in direct_names(inner) if path.endswith(OTHER_WEIGHTS)]
        parts.members += _within(name, tuple(weights))
        parts.parts |= {path: (path,) for path in _within(name, tuple(weights))}
        if not weights and "config.json" in inner.files:
            usual = "diffusion_pytorch_model.safetensors" if library == "diffusers" else "model.safetensors"
            parts.missing.append(Missing(f"{name}/{usual}", INDEX))


LAYOUT = Layout("diffusers", MARKS["diffusers"], _recognise)

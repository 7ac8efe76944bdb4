"""PEFT adapters: `adapter_config.json` and the weights that it describes.

MLX and AdapterHub keep adapters of their own beside a config of the same name, which gives no `peft_type`. The base
model is another set that may live anywhere; its name is passed on, never followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from artifact_store.history.layouts.configs import loaded
from artifact_store.history.layouts.content import Fault, kind, read_object, shown
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.transformers import companions
from artifact_store.history.sets import Folder, Layout, Missing, ModelSet, Reading

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
"""In the order in which PEFT looks for them."""


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    weights = tuple(name for name in WEIGHTS if name in folder.files)
    indexes = (CONFIG,) if CONFIG in folder.files else ()
    missing: list[Missing] = []
    problems: list[str] = []
    warnings: list[str] = []
    config: Mapping[str, Any] = {}
    if indexes:
        try:
            config = yield from read_object(folder, CONFIG)
            warnings += _base(config.get("base_model_name_or_path"))
        except Fault as fault:
            problems.append(str(fault))
    if not weights and not isinstance(config.get("peft_type"), str):
        return []
    if not weights:
        missing.append(Missing(WEIGHTS[0], CONFIG))
    elif not indexes:
        missing.append(Missing(CONFIG, weights[0]))
    if len(weights) > 1:
        warnings.insert(0, f"{weights[0]} is taken before {weights[1]}, which may be of an older save")
    found = ModelSet(
        layout="peft",
        prefix=folder.prefix,
        members=weights,
        indexes=indexes,
        others=companions(folder),
        configs=loaded(companions(folder)),
        missing=tuple(missing),
        problems=tuple(problems),
        warnings=tuple(warnings),
        parts={path: (path,) for path in (*weights[:1], *indexes)},
    )
    return [found]


def _base(name: object) -> list[str]:
    if name is None or name == "":
        return []
    if not isinstance(name, str):
        raise Fault(f"{CONFIG} names {kind(name)} as its base model")
    return [f"needs its base model {shown(name)}, which is no part of it"]


LAYOUT = Layout("peft", MARKS["peft"], _recognise)

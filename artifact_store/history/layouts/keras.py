"""Keras models: `.keras` archives, HDF5 files, and weights in shards that `NAME.weights.json` names.

HDF5 holds much that is no model, so of other `.h5` files only those are taken whose name says model or weights and
then nothing but which of them: `model_output.h5` is what a model made.
"""

from __future__ import annotations

import re

from artifact_store.history.layouts.configs import loaded
from artifact_store.history.layouts.content import Fault, direct_names, files_at, read_object
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.weights import invert
from artifact_store.history.sets import Folder, Layout, Missing, ModelSet, Reading

HDF5 = re.compile(
    r"""(?xsi) (?!tf_model[-.]) .* (?:model|weights|checkpoint|ckpt)
    (?: [-_.+=\d]
      | v(?=\d) | best | final | last | latest | new | old | full | trained | epochs? | ep | iter | step | improvement
      | val | loss | acc | accuracy | auc | f1 | mae | mse | fold | run
      | tf | th | dim | ordering | kernels | notop | no_top | weights | model | only
    )*
    \.(?:h5|hdf5)"""
)
"""Those of transformers' TensorFlow models (tf_model.h5) are another layout's."""

PIECE = re.compile(r"(.+)_\d{5}\.weights\.h5", re.DOTALL)
WEIGHTS = ".weights.h5"
INDEX = ".weights.json"
BESIDE = ("config.json", "metadata.json", "task.json", "preprocessor.json", "tokenizer.json")
"""An unpacked `.keras` archive, or a KerasHub preset, lies around its model.weights.h5."""


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    names = direct_names(folder)
    pieces: dict[str, list[str]] = {}
    for name in names:
        if match := PIECE.fullmatch(name):
            pieces.setdefault(match[1], []).append(name)
    sets: list[ModelSet] = []
    taken: set[str] = set()
    for index in (name for name in names if name.endswith(INDEX)):
        stem = index.removesuffix(INDEX)
        found = yield from _sharded(folder, stem, pieces.get(stem, []))
        if found:
            sets.append(found)
            taken.update(found.members, found.leftovers)
    for name in names:
        if name.endswith(".keras") or (HDF5.fullmatch(name) and name not in taken):
            others = _beside(folder) if name == f"model{WEIGHTS}" else ()
            sets.append(
                ModelSet(
                    layout="keras",
                    prefix=folder.prefix,
                    name=name,
                    members=(name,),
                    others=others,
                    configs=loaded(others),
                )
            )
    return sets


def _sharded(folder: Folder, stem: str, pieces: list[str]) -> Reading[ModelSet | None]:
    """None where the index names no files and none lie beside it: other tools keep weights of classes in JSON."""
    index = f"{stem}{INDEX}"
    problems: tuple[str, ...] = ()
    try:
        content = yield from read_object(folder, index)
        named = sorted(invert(content.get("weight_map"), index, "h5"))
    except Fault as fault:
        if not pieces:
            return None
        named, problems = pieces, (str(fault),)
    others = _beside(folder) if stem == "model" else ()
    members = tuple(path for path in named if path in folder.files)
    return ModelSet(
        layout="keras",
        prefix=folder.prefix,
        name=index,
        members=members,
        indexes=(index,),
        others=others,
        configs=loaded(others),
        missing=tuple(Missing(path, index) for path in named if path not in folder.files),
        problems=problems,
        parts={"": members},
        leftovers=tuple(name for name in pieces if name not in named),
    )


def _beside(folder: Folder) -> tuple[str, ...]:
    return (*(name for name in BESIDE if name in folder.files), *files_at(folder, "assets"))


LAYOUT = Layout("keras", MARKS["keras"], _recognise)

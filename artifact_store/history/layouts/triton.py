"""Models in a Triton repository: `config.pbtxt` and a folder for each version, which is a number.

Each version is a model of its own. Triton polls the config and the versions, so the config is a pointer: it is written
after what it describes. Of the config only the fields that name files and other models are understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from artifact_store.formats.plain import closed
from artifact_store.formats.source import Fault as FormatFault
from artifact_store.formats.stubs import stub
from artifact_store.history.layouts.content import (
    OF_SHAPES,
    Fault,
    holds_weights,
    inner_path,
    read_text,
    rightly_empty,
    shown,
)
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.sets import Folder, Layout, Missing, ModelSet, Reading

CONFIG = "config.pbtxt"
CONFIG_BYTES = 1024**2
VERSION = re.compile(r"[1-9][0-9]{0,17}")

USUAL = {
    "onnxruntime": "model.onnx",
    "onnxruntime_onnx": "model.onnx",
    "tensorrt_plan": "model.plan",
    "tensorrt": "model.plan",
    "pytorch": "model.pt",
    "pytorch_libtorch": "model.pt",
    "tensorflow_graphdef": "model.graphdef",
    "tensorflow_savedmodel": "model.savedmodel",
    "python": "model.py",
    "vllm": "model.json",
}
"""Backend or platform -> the file or folder it loads where the config names none."""

_FIELD = r"""\b{}\s*:\s*["']([^"'\\\n]*)["']"""
# A string that is not closed ends with its line: else each quote in it would be tried as a start, in quadratic time.
_COMMENT = re.compile(r"""("(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?)|\#[^\n]*""")
_BACKEND = re.compile(_FIELD.format("backend"))
_PLATFORM = re.compile(_FIELD.format("platform"))
_FILE = re.compile(_FIELD.format("default_model_filename"))
_STEP = re.compile(_FIELD.format("model_name"))
_OTHER_FILES = re.compile(r"\b(?:cc_model_filenames|runtime)\b")
"""A file for each kind of device, or a runtime of the model's own: what a version then holds is not known here."""


@dataclass(frozen=True, slots=True)
class Config:
    """served: whether it says by what; other tools write text protobuf too. file: what each version must hold, "" where
    that is not known. steps: the models of an ensemble."""

    served: bool = False
    file: str = ""
    ensemble: bool = False
    steps: tuple[str, ...] = ()


def _versions(folder: Folder) -> list[str]:
    return sorted((name for name in folder.folders if VERSION.fullmatch(name)), key=int)


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    if CONFIG not in folder.files:
        return []  # it was at another time
    config, problems = Config(), list[str]()
    try:
        text = yield from read_text(folder, CONFIG, CONFIG_BYTES)
        if said := stub(text.encode()):
            raise Fault(f"{CONFIG} {said}")
        closed(text)
        config = _parse(text)
    except FormatFault as fault:
        problems.append(f"{CONFIG} {fault}")
    except Fault as fault:
        problems.append(str(fault))
    versions = _versions(folder)
    if not versions and not config.served:
        return []
    warnings = [f"needs the model {shown(step)} of the same repository" for step in config.steps]
    if not versions and not config.ensemble:  # the folder of an ensemble's version is empty: S3 has none
        warnings.append(f"no folder of a version beside {CONFIG}: the names of versions are numbers from 1")
    files: dict[str, list[str]] = {version: [] for version in versions or [""]}
    others = []
    for path in sorted(folder.files):
        top, slash, _ = path.partition("/")
        if slash and top in files:
            files[top].append(path)
        elif path != CONFIG:
            others.append(path)
    return [
        ModelSet(
            layout="triton",
            prefix=folder.prefix,
            name=version,
            members=tuple(members),
            pointers=(CONFIG,),
            others=tuple(others),
            missing=_missing(config, version, members),
            problems=tuple(problems),
            warnings=tuple(warnings),
            parts={version: tuple(path for path in members if _of_one_save(path))} if version else {},
            may_be_empty=_rightly_empty(config, version, members),
        )
        for version, members in files.items()
    ]


def _parse(text: str) -> Config:
    if not text.strip():
        raise Fault(f"{CONFIG} is empty")
    text = _COMMENT.sub(lambda match: match[1] or "", text)
    backend, platform = _BACKEND.search(text), _PLATFORM.search(text)
    if platform is not None and platform[1] == "ensemble":
        return Config(served=True, ensemble=True, steps=tuple(sorted(set(_STEP.findall(text)))[:100]))
    file = _FILE.search(text)
    named = platform if platform is not None and platform[1] else backend
    served = named is not None or file is not None
    if _OTHER_FILES.search(text):
        return Config(served)
    if file is not None and file[1]:
        return Config(served, inner_path(file[1], CONFIG))
    return Config(served, USUAL.get(named[1], "") if named is not None else "")


def _of_one_save(path: str) -> bool:
    return holds_weights(path) and not OF_SHAPES.fullmatch(path.rsplit("/", 1)[-1])


def _missing(config: Config, version: str, members: list[str]) -> tuple[Missing, ...]:
    wanted = f"{version}/{config.file}"
    if not version or not config.file or any(path == wanted or path.startswith(f"{wanted}/") for path in members):
        return ()
    return (Missing(wanted, CONFIG),)


def _rightly_empty(config: Config, version: str, members: list[str]) -> frozenset[str]:
    """Not the file that the backend loads, whatever its name."""
    return rightly_empty(members) - {f"{version}/{config.file}"}


LAYOUT = Layout("triton", MARKS["triton"], _recognise)

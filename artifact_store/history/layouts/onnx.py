"""ONNX models: a graph, and the files beside it that hold its tensors.

A graph with such files is their index: it says where in them each tensor lies, and is restored after them. Saving again
appends to such a file, so it must have at least the bytes the graph points to, and may have more. A graph too large to
be read as a small file holds its tensors itself, as a rule; data files that are named after it are then taken to be its
own.
"""

from __future__ import annotations

import re

from artifact_store.formats.onnx import external
from artifact_store.formats.source import Fault as FormatFault
from artifact_store.history.layouts.content import MEMBERS, Fault, direct_names, inner_path, read, shown
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.sets import SMALL, Folder, Layout, Missing, ModelSet, Reading

DATA = re.compile(r"(.+\.onnx)[._]data(?:_\d+)?|(.+)\.data", re.DOTALL)
"""Files of tensors, as torch (.data) and optimum (_data) name them after their graph."""

GRAPHS = 100
"""Graphs of one folder that are read; an export with all its quantisations has about twenty."""


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    names = direct_names(folder)
    data = _data(names)
    sets = []
    for number, name in enumerate(name for name in names if name.endswith(".onnx")):
        if number < GRAPHS and folder.files[name].size <= SMALL:
            found = yield from _read(folder, name, data.get(name, []))
        else:
            found = _unread(folder, name, data.get(name, []))
        sets.append(found)
    return sets


def _data(names: list[str]) -> dict[str, list[str]]:
    """Graph -> files named after it."""
    found: dict[str, list[str]] = {}
    for name in names:
        if match := DATA.fullmatch(name):
            found.setdefault(match[1] or f"{match[2]}.onnx", []).append(name)
    return found


def _read(folder: Folder, name: str, data: list[str]) -> Reading[ModelSet]:
    least: dict[str, int] = {}
    problems: list[str] = []
    try:
        content = yield from read(folder, name)
        if not content:
            raise Fault(f"{shown(name)} is empty")
        for tensor in external(content):
            path = inner_path(tensor.location, shown(name))
            if path not in least and len(least) == MEMBERS:
                raise Fault(f"{shown(name)} names more than {MEMBERS:,} files")
            least[path] = max(least.get(path, 0), tensor.least)
    except FormatFault as fault:
        problems.append(f"{shown(name)} {fault}")
    except Fault as fault:
        problems.append(str(fault))
    if problems:
        least = dict.fromkeys(data, 0)
    there = sorted(path for path in least if path in folder.files)
    return ModelSet(
        layout="onnx",
        prefix=folder.prefix,
        name=name.removesuffix(".onnx"),
        members=tuple(there) if least else (name,),
        indexes=(name,) if least else (),
        unordered=frozenset({name} if least else ()),
        missing=tuple(Missing(path, name) for path in sorted(least) if path not in folder.files),
        least={path: least[path] for path in there if least[path]},
        problems=tuple(problems),
        may_be_empty=frozenset(path for path in there if not least[path] and not problems),
        parts={"": (*there, name)},
        leftovers=tuple(path for path in data if path not in least),
    )


def _unread(folder: Folder, name: str, data: list[str]) -> ModelSet:
    warnings = (f"{shown(name)} was not read for the files it needs: those named after it count as its own",)
    return ModelSet(
        layout="onnx",
        prefix=folder.prefix,
        name=name.removesuffix(".onnx"),
        members=tuple(data) if data else (name,),
        indexes=(name,) if data else (),
        unordered=frozenset({name} if data else ()),
        warnings=warnings if data else (),
        parts={"": (*data, name)},
    )


LAYOUT = Layout("onnx", MARKS["onnx"], _recognise)

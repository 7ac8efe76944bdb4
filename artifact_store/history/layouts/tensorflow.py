"""TensorFlow: SavedModels, checkpoints, and the pointer file `checkpoint`.

Weights lie in `<stem>.data-<i>-of-<n>`; `<stem>.index` says how many of those there are and where each tensor ends, so
files that a save in another number of pieces left are told from those that are missing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from artifact_store.formats import tensor_bundle
from artifact_store.formats.tensor_bundle import BundleRefused
from artifact_store.history.layouts.content import Fault, direct_names, inner_path, is_marker, pointer_set, read, shown
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.naming import MOST_LISTED, listed, told
from artifact_store.history.sets import SMALL, Folder, Layout, Missing, ModelSet, Reading

GRAPHS: Final = ("saved_model.pb", "saved_model.pbtxt")
FINGERPRINT: Final = "fingerprint.pb"
POINTER: Final = "checkpoint"
VARIABLES: Final = "variables/variables"
_DATA: Final = re.compile(r"(.+)\.data-([0-9]{5})-of-([0-9]{5})", re.DOTALL)
_INDEX: Final = ".index"
_HASH_OF_INDEX: Final = 5
"""The field of fingerprint.pb that is not 0 where the model has variables (fingerprint.proto of TensorFlow)."""
_LONE_INDEX: Final = 1024**2
"""Bytes up to which an `.index` without data files is read, to tell whether it is TensorFlow's."""
_PATHS: Final = re.compile(r'^\s*(model_checkpoint_path|all_model_checkpoint_paths)\s*:\s*"([^"]*)"\s*$', re.MULTILINE)


@dataclass(slots=True)
class _Bundle:
    """The files of one stem."""

    members: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    least: dict[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    may_be_empty: frozenset[str] = frozenset()
    leftovers: tuple[str, ...] = ()

    @property
    def bound(self) -> tuple[str, ...]:
        """What one save wrote: the index holds checksums of the data."""
        return (*self.members, *self.index)


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    saved = yield from _saved_model(folder)
    pointer = yield from _pointer(folder)
    checkpoints = yield from _checkpoints(folder)
    return [found for found in (saved, *checkpoints, pointer) if found]


def _saved_model(folder: Folder) -> Reading[ModelSet | None]:
    graphs = tuple(name for name in GRAPHS if name in folder.names)
    data = {path for path in folder.files if path.startswith(f"{VARIABLES}.data-") and _DATA.fullmatch(path)}
    variables = bool(data) or VARIABLES + _INDEX in folder.files
    if not graphs and not variables:
        return None
    bundle = _Bundle()
    missing: list[Missing] = []
    if variables:
        bundle = yield from _bundle(folder, VARIABLES, data)
    elif FINGERPRINT in folder.names and (yield from _had_variables(folder)):
        missing.append(Missing(VARIABLES + _INDEX, named_by=FINGERPRINT))
    if not graphs:
        missing.append(Missing(GRAPHS[0], named_by=(*bundle.index, *bundle.members)[0]))
    assets = [path for path in sorted(folder.files) if path.startswith("assets/") and not is_marker(path)]
    extra = [path for path in sorted(folder.files) if path.startswith("assets.extra/") and not is_marker(path)]
    beside = folder.names & {FINGERPRINT, "keras_metadata.pb", "tfhub_module.pb"}
    return ModelSet(
        layout=LAYOUT.name,
        prefix=folder.prefix,
        members=(*bundle.members, *assets),
        indexes=(*bundle.index, *graphs),
        others=(*extra, *sorted(beside)),
        missing=(*bundle.missing, *missing),
        least=bundle.least,
        problems=bundle.problems,
        warnings=bundle.warnings,
        may_be_empty=bundle.may_be_empty | frozenset(assets),
        parts={"": bundle.bound},
        leftovers=bundle.leftovers,
    )


def _had_variables(folder: Folder) -> Reading[bool]:
    try:
        content = yield from read(folder, FINGERPRINT, 4096)
        return tensor_bundle.fields(content).get(_HASH_OF_INDEX, 0) != 0
    except (Fault, IndexError):
        return False


def _checkpoints(folder: Folder) -> Reading[list[ModelSet]]:
    data: dict[str, set[str]] = defaultdict(set)
    names = direct_names(folder)
    for name in names:
        if match := _DATA.fullmatch(name):
            data[match[1]].add(name)
    sure = [stem for stem in data if _is_checkpoint(folder, stem)]
    lone = [
        stem
        for name in names
        if name.endswith(_INDEX) and (stem := name.removesuffix(_INDEX)) not in data
        if tensor_bundle.FOOTER <= folder.files[name].size <= _LONE_INDEX
    ]
    sets = []
    for stem in sorted({*sure, *lone}):
        if f"/{folder.prefix}".endswith("/variables/") and stem == "variables":
            continue  # of the SavedModel one folder up
        bundle = yield from _bundle(folder, stem, data[stem])
        if not data[stem] and not bundle.missing:
            continue  # no index of a checkpoint
        sets.append(
            ModelSet(
                layout=LAYOUT.name,
                prefix=folder.prefix,
                name=stem,
                members=bundle.members,
                indexes=bundle.index,
                others=tuple({f"{stem}.meta"} & folder.names),
                missing=bundle.missing,
                least=bundle.least,
                problems=bundle.problems,
                warnings=bundle.warnings,
                may_be_empty=bundle.may_be_empty,
                parts={"": bundle.bound},
                leftovers=bundle.leftovers,
            )
        )
    return sets


def _is_checkpoint(folder: Folder, stem: str) -> bool:
    """Whether data files are TensorFlow's: others number the pieces of a data set in the same way."""
    return bool({stem + _INDEX, f"{stem}.meta"} & folder.names) or "ckpt" in stem.lower()


def _bundle(folder: Folder, stem: str, data: set[str]) -> Reading[_Bundle]:
    index = stem + _INDEX
    if index not in folder.files:
        return _by_names(stem, data, (Missing(index, named_by=min(data)),))
    if folder.files[index].size > SMALL:
        found = _by_names(stem, data, ())
        found.warnings += (f"{shown(index)} has more than {SMALL:,} bytes, so no data file was checked against it",)
    else:
        try:
            content = yield from read(folder, index)
            found = _by_index(stem, data, tensor_bundle.read(content))
        except Fault as fault:
            found = _by_names(stem, data, ())
            found.problems = (str(fault), *found.problems)
        except BundleRefused as refusal:
            found = _by_names(stem, data, ())
            found.problems = (f"{shown(index)} {refusal}", *found.problems)
    found.index = (index,)
    return found


def _by_index(stem: str, data: set[str], said: tensor_bundle.Bundle) -> _Bundle:
    names = [f"{stem}.data-{number:05}-of-{said.shards:05}" for number in range(said.shards)]
    least = {names[number]: end for number, end in said.ends.items() if end and names[number] in data}
    missing, rest = told([Missing(name, named_by=stem + _INDEX) for name in names if name not in data])
    warnings: tuple[str, ...] = ()
    if left := data - {*names}:
        warnings = (f"{shown(stem)}{_INDEX} counts {said.shards:,} data files; left by another save: {listed(left)}",)
    return _Bundle(
        members=tuple(name for name in names if name in data),
        missing=missing,
        least=least,
        problems=rest,
        warnings=warnings,
        may_be_empty=frozenset(name for name in names if name in data and name not in least),
        leftovers=tuple(sorted(data - {*names})),
    )


def _by_names(stem: str, data: set[str], missing: tuple[Missing, ...]) -> _Bundle:
    """What the names alone say: they carry the number of files."""
    counts: dict[int, set[int]] = defaultdict(set)
    for name in data:
        number, _, count = name[-14:].partition("-of-")
        counts[int(count)].add(int(number))
    absent = [
        Missing(f"{stem}.data-{number:05}-of-{count:05}", named_by=f"{stem}.data-{max(there):05}-of-{count:05}")
        for count, there in islice(sorted(counts.items()), MOST_LISTED)
        for number in range(count)
        if number not in there
    ]
    named, rest = told((*missing, *absent))
    warnings: tuple[str, ...] = ()
    if len(counts) > 1:
        warnings = (
            f"{shown(stem)} has data files of {len(counts)} saves, and no index tells which count: {listed(data)}",
        )
    return _Bundle(members=tuple(sorted(data)), missing=named, problems=rest, warnings=warnings)


def _pointer(folder: Folder) -> Reading[ModelSet | None]:
    if POINTER not in folder.names or folder.files[POINTER].size > _LONE_INDEX:
        return None
    try:
        content = yield from read(folder, POINTER, _LONE_INDEX)
    except Fault:
        return None
    text = content.decode("utf-8", "replace")
    paths = _PATHS.findall(text)
    if "model_checkpoint_path" not in text:
        stems = {match[1] for name in folder.names if (match := _DATA.fullmatch(name))}
        if not any(_is_checkpoint(folder, stem) for stem in stems):
            return None
        problem = f"{POINTER} names no checkpoint: it was overwritten, or its upload failed"
        return pointer_set(LAYOUT.name, folder, POINTER, problem=problem)
    current = [path for name, path in paths if name == "model_checkpoint_path"]
    gone = {path for name, path in paths if name != "model_checkpoint_path" and not _files_of(folder, path)} - {
        *current
    }
    warnings = (f"{POINTER} also lists checkpoints that are not there: {listed(gone)}",) if gone else ()
    try:
        if len(current) != 1 or "\\" in current[0]:
            raise Fault(f"{POINTER} names {len(current)} checkpoints that can be read; it should name one")
        stem = inner_path(current[0], POINTER)
    except Fault as fault:
        return pointer_set(LAYOUT.name, folder, POINTER, problem=str(fault), warnings=warnings)
    there = _files_of(folder, stem)
    return pointer_set(LAYOUT.name, folder, POINTER, target=stem + _INDEX, there=there, warnings=warnings)


def _files_of(folder: Folder, stem: str) -> list[str]:
    """The files of a checkpoint: its index and data, or the one file of the oldest format; [] without those."""
    if stem + _INDEX not in folder.files and stem not in folder.files:
        return []
    data = (path for path in folder.files if path.startswith(f"{stem}.data-") and _DATA.fullmatch(path))
    return sorted({stem, stem + _INDEX} & folder.files.keys() | {*data})


LAYOUT: Final = Layout("tensorflow", MARKS["tensorflow"], _recognise)

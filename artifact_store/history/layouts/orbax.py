"""Orbax checkpoints (JAX): a folder for each step, in it one for each item, arrays in OCDBT databases or zarr.

Outside Google Cloud Storage a save happens in a folder of another name that is renamed at the end. S3 has no rename, so
what stands there last proves nothing; `_CHECKPOINT_METADATA` says when the save was committed, and every database
needs its manifest. What is inside a database is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from artifact_store.history.layouts.content import (
    MEMBERS,
    Fault,
    inner_path,
    is_marker,
    kind,
    read_object,
    rightly_empty,
    shown,
)
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.naming import gaps, listed, told
from artifact_store.history.sets import Folder, Layout, Missing, ModelSet, Reading

MARK: Final = "orbax.checkpoint"
STEP: Final = "_CHECKPOINT_METADATA"
ITEM: Final = "_METADATA"
MANIFEST: Final = "manifest.ocdbt"
COMMITTED: Final = "commit_success.txt"
UNFINISHED: Final = ".orbax-checkpoint-tmp"
_PROCESS: Final = re.compile(r"ocdbt\.process_([0-9]{1,6})/")
_OF_SHAPES: Final = frozenset({ITEM, COMMITTED, "_sharding", ".zarray", ".zattrs", ".zgroup", "zarr.json"})
_ARRAYS: Final = re.compile(r"PyTree|Standard|Array")


@dataclass(slots=True)
class _Parts:
    members: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    may_be_empty: set[str] = field(default_factory=set)
    bound: list[str] = field(default_factory=list)
    """What each save writes anew: not what is the same for all arrays of these names and shapes."""


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    if not MARKS["orbax"](folder):
        return []
    parts = _Parts()
    if UNFINISHED in folder.prefix:
        parts.problems.append(f"the folder's name says {UNFINISHED}: a save that was not finished")
    by_item = _by_item(folder, parts)
    for base in sorted(by_item):
        ours = yield from _item(folder, base, by_item[base], parts)
        if not base and not ours and folder.names.isdisjoint((MARK, STEP)):
            return []
    handlers: dict[str, Any] = {}
    if STEP in folder.names:
        handlers = yield from _step(folder, parts)
    elif MARK in folder.names:
        parts.missing.append(Missing(STEP, named_by=MARK))
    for name in sorted(handlers.keys() - {base.removesuffix("/") for base in by_item}):
        if _ARRAYS.search(str(handlers[name])):
            parts.missing.append(Missing(f"{name}/{ITEM}", named_by=STEP))
        else:
            parts.warnings.append(f"{STEP} names the item {shown(name)}, of which there is no file")
    missing, rest = told(parts.missing)
    closing = [name for name in (STEP, COMMITTED, MARK) if name in folder.names]
    return [
        ModelSet(
            layout=LAYOUT.name,
            prefix=folder.prefix,
            members=tuple(parts.members),
            indexes=(*parts.indexes, *closing),
            others=tuple(parts.others),
            missing=missing,
            problems=(*parts.problems, *rest),
            warnings=tuple(parts.warnings),
            may_be_empty=frozenset(parts.may_be_empty | {MARK, COMMITTED} & folder.names),
            parts={"": (*parts.bound, *({STEP} & folder.names))},  # the step holds the time of its commit
        )
    ]


def _by_item(folder: Folder, parts: _Parts) -> dict[str, list[str]]:
    """The files of each item, by the item's folder; "" where the folder itself is the only item."""
    single = ITEM in folder.names or MANIFEST in folder.names
    by_item: dict[str, list[str]] = {"": []} if single else {}
    unfinished = set()
    for path in sorted(folder.files):
        top, _, below = path.partition("/")
        if is_marker(path) or path in {MARK, STEP, COMMITTED}:
            continue
        if UNFINISHED in top:
            unfinished.add(top)
        elif single:
            by_item[""].append(path)
        elif below:
            by_item.setdefault(f"{top}/", []).append(path)
        else:
            parts.others.append(path)
    if unfinished:
        parts.warnings.append(f"left of saves that were not finished, and no part of this one: {listed(unfinished)}")
    return by_item


def _item(folder: Folder, base: str, paths: list[str], parts: _Parts) -> Reading[bool]:
    """Sort the files of one item into the parts. Does it look like arrays that Orbax wrote?"""
    names = {path[len(base) :] for path in paths}
    said: dict[str, Any] = {}
    if ITEM in names:
        try:
            said = yield from read_object(folder, base + ITEM)
        except Fault as fault:
            parts.problems.append(str(fault))
    processes = {int(match[1]): match[0] for name in names if (match := _PROCESS.match(name))}
    database = MANIFEST in names or bool(processes) or said.get("use_ocdbt") is True
    if database:
        parts.missing += _lacking(base, names, processes)
        if absent := gaps(processes):
            every = listed(f"{base}ocdbt.process_{number}" for number in absent)
            parts.warnings.append(f"processes that wrote nothing, or whose folders are gone: {every}")
    else:
        try:
            parts.missing += _lacking_folders(base, names, said)
        except Fault as fault:
            parts.problems.append(str(fault))
    arrays = database or "tree_metadata" in said
    parts.bound += _bound(base, paths) if arrays else []
    for path in paths:
        name = path[len(base) :]
        if name == COMMITTED:
            parts.may_be_empty.add(path)
        if name in {MANIFEST, ITEM, COMMITTED}:
            parts.indexes.append(path)
        elif name == "_sharding" or name.startswith("array_metadatas/"):
            parts.others.append(path)
        else:
            parts.members.append(path)
            parts.may_be_empty |= frozenset() if arrays else rightly_empty([path])
    return arrays


def _bound(base: str, paths: list[str]) -> list[str]:
    """The files of an item's arrays that each save writes anew."""
    same = f"{base}array_metadatas/"
    return [path for path in paths if path.rsplit("/", 1)[-1] not in _OF_SHAPES and not path.startswith(same)]


def _lacking(base: str, names: set[str], processes: dict[int, str]) -> Iterator[Missing]:
    witness = base + next((name for name in (ITEM, MANIFEST) if name in names), min(names))
    if MANIFEST not in names:
        yield Missing(base + MANIFEST, named_by=witness)
    if ITEM not in names and "checkpoint" not in names:
        yield Missing(base + ITEM, named_by=witness)
    for process in processes.values():
        if process + MANIFEST not in names:
            yield Missing(base + process + MANIFEST, min(base + name for name in names if name.startswith(process)))
    if not any(name.startswith("d/") or "/d/" in name for name in names):
        yield Missing(f"{base}d", named_by=witness)


def _lacking_folders(base: str, names: set[str], said: dict[str, Any]) -> list[Missing]:
    """The arrays of an item without database that have no folder, as its metadata names them. Raises Fault."""
    tree = said.get("tree_metadata")
    if not isinstance(tree, dict) or len(tree) > MEMBERS:
        return []
    there = {name[:end] for name in names for end, letter in enumerate(name) if letter == "/"}
    lacking = []
    for entry in tree.values():
        try:
            keys = [part["key"] for part in entry["key_metadata"]]
            array = entry["value_metadata"]["value_type"] in {"jax.Array", "np.ndarray"}
        except (KeyError, TypeError):
            raise Fault(f"{shown(base + ITEM)} holds a tree that does not name its arrays") from None
        name = inner_path(".".join(map(str, keys)), base + ITEM)
        if array and name not in there:
            lacking.append(Missing(f"{base}{name}/{'zarr.json' if said.get('use_zarr3') else '.zarray'}", base + ITEM))
    return lacking


def _step(folder: Folder, parts: _Parts) -> Reading[dict[str, Any]]:
    """The handler of each item, by name, as the step says them."""
    try:
        said = yield from read_object(folder, STEP)
        committed = said.get("commit_timestamp_nsecs", 1)
        if type(committed) is not int or committed <= 0:
            raise Fault(f"{STEP} gives no time of commit: the save was not finished")
        handlers = said.get("item_handlers") or {}
        if isinstance(handlers, str):
            return {}
        if not isinstance(handlers, dict):
            raise Fault(f"{STEP} gives {kind(handlers)} as item_handlers")
        if len(handlers) > MEMBERS:
            raise Fault(f"{STEP} names {len(handlers):,} items, more than {MEMBERS:,}")
        return {inner_path(name, STEP): handler for name, handler in handlers.items()}
    except Fault as fault:
        parts.problems.append(str(fault))
        return {}


LAYOUT: Final = Layout("orbax", MARKS["orbax"], _recognise)

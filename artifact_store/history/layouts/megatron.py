"""Megatron checkpoints: a folder for each iteration, and `latest_checkpointed_iteration.txt`, which names one.

An iteration holds either one folder for each model parallel rank, or a PyTorch distributed checkpoint with `common.pt`
that closes with `metadata.json`. The pointer is written after it, and the iteration before may then be deleted.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import product
from math import prod
from typing import Final

from artifact_store.history.layouts import dcp
from artifact_store.history.layouts.content import (
    Fault,
    direct_names,
    files_at,
    is_marker,
    kind,
    pointer_set,
    read,
    read_object,
    read_text,
    shown,
)
from artifact_store.history.layouts.dcp import CLOSING, COMMON
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.naming import MOST_NUMBERS, listed, told
from artifact_store.history.sets import Folder, Layout, Missing, ModelSet, Reading

TRACKER: Final = "latest_checkpointed_iteration.txt"
_RANK: Final = re.compile(r"mp_rank_([0-9]{2,5})(?:_([0-9]{3,5}))?(?:_([0-9]{3,5}))?")


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    found: list[ModelSet | None] = [_ranks(folder)]
    if TRACKER in folder.names:
        pointer = yield from _pointer(folder)
        found.append(pointer)
    if (yield from dcp.in_megatron_folder(folder)):
        distributed = yield from _distributed(folder)
        found.append(distributed)
    return [one for one in found if one]


def _pointer(folder: Folder) -> Reading[ModelSet]:
    try:
        text = yield from read_text(folder, TRACKER, 1024)
        target = _target(folder, text.strip())
    except Fault as fault:
        return pointer_set(LAYOUT.name, folder, TRACKER, problem=str(fault))
    return pointer_set(LAYOUT.name, folder, TRACKER, target=target, there=files_at(folder, target))


def _target(folder: Folder, text: str) -> str:
    """The folder that the tracker names. Raises Fault."""
    if text == "release":
        return text
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Fault(f"{TRACKER} says {shown(text)!r}; it should say an iteration or release")
    number = int(text)
    own = f"iter_{number:07}"
    # Others keep the same tracker beside folders of their own names: verl, Megatron-DeepSpeed.
    names = (own, f"global_step_{number}", f"actor/global_step_{number}", f"global_step{number}")
    there = next((name for name in names if files_at(folder, name)), None)
    if there:
        return there
    if any(name.startswith("iter_") for name in folder.folders):
        return own
    styles = {re.sub("[0-9]+$", "", name) for name in folder.folders if name.startswith("global_step")}
    style = min(styles & {"global_step", "global_step_"}, default="")
    return f"{style}{number}" if style else own


def _ranks(folder: Folder) -> ModelSet | None:
    """The set of an iteration with one folder for each rank; None where it has none."""
    paths = {path for path in folder.files if _RANK.fullmatch(path.split("/", 1)[0]) and path.endswith(".pt")}
    if not paths:
        return None
    shapes: dict[int, dict[tuple[int, ...], str]] = defaultdict(dict)
    for path in sorted(paths, reverse=True):
        name = path.split("/", 1)[0]
        if match := _RANK.fullmatch(name):
            numbers = tuple(int(number) for number in match.groups() if number is not None)
            shapes[len(numbers)][numbers] = path
    kinds = sorted({path.split("/", 1)[1] for path in paths})
    missing: list[Missing] = []
    problems: list[str] = []
    for ranks in shapes.values():
        last = ranks[max(ranks)]
        tops = [max(numbers) for numbers in zip(*ranks, strict=True)]
        expected = prod(top + 1 for top in tops)
        if expected > MOST_NUMBERS:
            problems.append(f"{last} claims {expected:,} ranks; no more than {MOST_NUMBERS:,} are counted out")
            continue
        for numbers in product(*(range(top + 1) for top in tops)):
            name = ranks[numbers].split("/", 1)[0] if numbers in ranks else _name(numbers)
            missing += [Missing(f"{name}/{file}", last) for file in kinds if f"{name}/{file}" not in paths]
    warnings: tuple[str, ...] = ()
    if len(shapes) > 1:
        every = {path.split("/", 1)[0] for path in paths}
        warnings = (f"ranks are counted in {len(shapes)} ways, left by saves of other parallel sizes: {listed(every)}",)
    named, rest = told(missing)
    return ModelSet(
        layout=LAYOUT.name,
        prefix=folder.prefix,
        members=tuple(sorted(paths)),
        others=tuple(name for name in direct_names(folder) if name not in {CLOSING, COMMON, TRACKER}),
        missing=named,
        problems=(*problems, *rest),
        warnings=warnings,
        parts={"": tuple(sorted(paths))},
    )


def _name(numbers: tuple[int, ...]) -> str:
    return "_".join([f"mp_rank_{numbers[0]:02}", *(f"{number:03}" for number in numbers[1:])])


def _distributed(folder: Folder) -> Reading[ModelSet]:
    """The set of an iteration that is a distributed checkpoint."""
    problems: list[str] = []
    missing: list[Missing] = []
    backends = {"sharded_backend": "torch_dist", "common_backend": "torch"}
    if CLOSING in folder.names:
        problems += yield from _take_backends(folder, backends)
    else:
        missing.append(Missing(CLOSING, named_by=COMMON))
    found = yield from dcp.read_map(folder)
    members = list(found.members)
    if backends["sharded_backend"] != "torch_dist" and not found.maps and not members:
        members = [path for path in sorted(folder.files) if "/" in path and not is_marker(path)]
        if not members:
            problems.append(f"{CLOSING} says {shown(backends['sharded_backend'])}, and no folder of a tensor is there")
    elif not found.maps and dcp.METADATA in folder.names:
        why = yield from _why_no_map(folder)
        problems.append(why)
    elif not found.maps and not found.missing:
        missing.append(Missing(dcp.METADATA, named_by=CLOSING if CLOSING in folder.names else COMMON))
    if COMMON in folder.names:
        members.append(COMMON)
    elif backends["common_backend"] == "torch":
        missing.append(Missing(COMMON, named_by=CLOSING))
    indexes = (*found.maps, *({CLOSING} & folder.names))
    taken = {*members, *indexes, TRACKER}
    return ModelSet(
        layout=LAYOUT.name,
        prefix=folder.prefix,
        members=tuple(members),
        indexes=indexes,
        others=tuple(name for name in direct_names(folder) if name not in taken and not name.endswith(".distcp")),
        missing=(*found.missing, *missing),
        least=found.least,
        problems=(*problems, *found.problems),
        warnings=found.warnings,
        parts={"": (*members, *found.maps)},
        leftovers=found.leftovers,
    )


def _take_backends(folder: Folder, backends: dict[str, str]) -> Reading[list[str]]:
    """Put what `metadata.json` says over the defaults; gives what is wrong with it."""
    try:
        said = yield from read_object(folder, CLOSING)
        for name, default in backends.items():
            value = said.get(name, default)
            if not isinstance(value, str):
                raise Fault(f"{CLOSING} gives {kind(value)} as {name}")
            backends[name] = value
    except Fault as fault:
        return [str(fault)]
    return []


def _why_no_map(folder: Folder) -> Reading[str]:
    """What is wrong with a `.metadata` that is not taken for a map."""
    try:
        yield from read(folder, dcp.METADATA)
    except Fault as fault:
        return str(fault)
    return f"{dcp.METADATA} is no map of a distributed checkpoint, and there is no .distcp file"


LAYOUT: Final = Layout("megatron", MARKS["megatron"], _recognise)

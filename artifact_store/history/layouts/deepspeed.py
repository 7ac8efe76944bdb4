"""DeepSpeed checkpoints: a folder of rank files for each tag, and `latest`, which names the tag.

`latest` is written before all ranks are done, so it proves nothing. What the names of rank files tell: every rank from
0 to the largest, in each of the two directions (data and model parallel), must have its file. Trainers of Hugging Face
keep a tag beside weights that are whole without it, and often those alone are kept: then a tag that is gone is told of,
and one that is still being uploaded makes the save torn.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from itertools import product
from math import prod
from typing import Final, TypeAlias

from artifact_store.history.layouts.content import (
    Fault,
    direct_names,
    files_at,
    inner_path,
    pointer_set,
    read_text,
    shown,
)
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.naming import MOST_NUMBERS, told
from artifact_store.history.sets import Folder, Layout, Missing, ModelSet, Reading

POINTERS: Final = ("latest", "latest_universal")
_TAG: Final = re.compile(r"global_step[0-9]{1,18}(_universal)?")
_WEIGHTS: Final = re.compile(r"(?:model|pytorch_model|adapter_model)[-.].*(?:safetensors|bin)", re.DOTALL)
_STATES: Final = "_states.pt"
_DIRECTION: Final = "(zero_pp_rank|expp_rank|mp_rank|layer|expert|model)"
_RANK: Final = re.compile(_DIRECTION + "_([0-9]{1,6})")
_COUNTED: Final = re.compile(_DIRECTION + "_#")
_KINDS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"mp_rank_[0-9]{1,6}_model_states\.pt",
        r"zero_pp_rank_[0-9]{1,6}_mp_rank_[0-9]{1,6}_model_states\.pt",
        r"(bf16_|fp16_)?zero_pp_rank_[0-9]{1,6}_mp_rank_[0-9]{1,6}_optim_states\.pt",
        r"layer_[0-9]{1,6}_expert_[0-9]{1,6}_mp_rank_[0-9]{1,6}_model_states\.pt",
        r"expp_rank_[0-9]{1,6}_mp_rank_[0-9]{1,6}_optim_states\.pt",
        r"layer_[0-9]{1,6}-model_states\.pt",
        r"layer_[0-9]{1,6}-model_[0-9]{1,6}-model_states\.pt",
    )
)

Kinds: TypeAlias = dict[str, dict[tuple[int, ...], str]]
"""Name with "#" for numbers -> numbers -> name."""


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    found = [_tag_folder(folder)]
    for name in POINTERS:
        if name in folder.names:
            pointer = yield from _pointer(folder, name)
            found.append(pointer)
    return [one for one in found if one]


def _pointer(folder: Folder, name: str) -> Reading[ModelSet | None]:
    """The set of a file that names a tag; None where it is some other file called `latest`."""
    others = tuple(sorted(folder.names & {"zero_to_fp32.py"}))
    ours = bool(others) or any(_TAG.fullmatch(below) for below in folder.folders)
    if not ours and folder.files[name].size > 1024:
        return None
    try:
        text = yield from read_text(folder, name, 1024)
        tag = inner_path(text.strip(), name)
    except Fault as fault:
        return pointer_set(LAYOUT.name, folder, name, others=others, problem=str(fault)) if ours else None
    there = files_at(folder, tag)
    if not (ours or _TAG.fullmatch(tag) or any(path.endswith(_STATES) for path in there)):
        return None
    pointer = pointer_set(LAYOUT.name, folder, name, target=tag, there=there, others=others)
    if not there and any(_WEIGHTS.fullmatch(beside) for beside in folder.names):
        text = f"{name} names {shown(tag)}, which is not there: training can go on from the weights beside it alone"
        return replace(pointer, missing=(Missing(tag, name, needed=False),), warnings=(text,))
    return pointer


def _tag_folder(folder: Folder) -> ModelSet | None:
    names = direct_names(folder)
    kinds: Kinds = defaultdict(dict)
    for name in names:
        if any(kind.fullmatch(name) for kind in _KINDS):
            kinds[_RANK.sub(r"\1_#", name)][tuple(int(match[2]) for match in _RANK.finditer(name))] = name
    if not kinds:
        return None
    members = [name for ranks in kinds.values() for name in ranks.values()]
    universal = [path for path in sorted(folder.files) if path.startswith("zero/") and path.endswith(".pt")]
    missing: list[Missing] = []
    problems: list[str] = []
    tops = _tops(kinds)
    for kind, ranks in sorted(kinds.items()):
        try:
            missing += _gaps(kind, ranks, tops)
        except Fault as fault:
            problems.append(str(fault))
    if not any("model_states" in name for name in members):
        missing.append(Missing("mp_rank_00_model_states.pt", named_by=min(members)))
    named, rest = told(missing)
    every = (*sorted(members), *universal)
    return ModelSet(
        layout=LAYOUT.name,
        prefix=folder.prefix,
        members=every,
        others=tuple(name for name in names if name not in members and name not in POINTERS),
        missing=named,
        problems=(*problems, *rest),
        warnings=tuple(_uneven(folder, kinds)),
        parts={"": every},
    )


def _tops(kinds: Kinds) -> dict[str, tuple[int, str]]:
    """For each direction the largest rank that any file carries, and that file. All kinds count the same ranks."""
    tops: dict[str, tuple[int, str]] = {}
    for kind, ranks in kinds.items():
        for numbers, name in ranks.items():
            for direction, number in zip(_directions(kind), numbers, strict=True):
                tops[direction] = max(tops.get(direction, (number, name)), (number, name))
    return tops


def _directions(kind: str) -> list[str]:
    return [match[1] for match in _COUNTED.finditer(kind)]


def _gaps(kind: str, ranks: dict[tuple[int, ...], str], tops: dict[str, tuple[int, str]]) -> list[Missing]:
    """The files of one kind that ranks without gaps would have written. Raises Fault where they are too many."""
    axes: list[list[int] | range] = []
    named_by = ranks[max(ranks)]
    for place, direction in enumerate(_directions(kind)):
        own = {numbers[place] for numbers in ranks}
        if direction == "layer":  # only layers that hold weights have a number
            axes.append(sorted(own))
            continue
        top, name = tops[direction]
        axes.append(range(top + 1))
        if top not in own:
            named_by = name
    expected = prod(len(axis) for axis in axes)
    if expected > MOST_NUMBERS:
        raise Fault(
            f"{shown(named_by)} claims {expected:,} files of its kind; no more than {MOST_NUMBERS:,} are counted out"
        )
    return [Missing(_name(kind, numbers), named_by) for numbers in product(*axes) if numbers not in ranks]


def _name(kind: str, numbers: tuple[int, ...]) -> str:
    """The name DeepSpeed gives the file: two digits for model parallel ranks and pipeline layers, plain ones else."""
    left = iter(numbers)

    def numbered(match: re.Match[str]) -> str:
        wide = match[1] in {"mp_rank", "model"} or (match[1] == "layer" and "expert" not in kind)
        return f"{match[1]}_{next(left):0{2 if wide else 1}}"

    return _COUNTED.sub(numbered, kind)


def _uneven(folder: Folder, kinds: Kinds) -> list[str]:
    """Optimizer states are cut into equal parts among the data parallel ranks."""
    warnings = []
    for kind, ranks in kinds.items():
        if "zero_pp_rank" not in kind or "optim" not in kind:
            continue
        by_model_rank: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for (_, model_rank), name in ranks.items():
            by_model_rank[model_rank].append((folder.files[name].size, name))
        for sizes in by_model_rank.values():
            (least, small), (most, large) = min(sizes), max(sizes)
            if 0 < 2 * least < most:
                warnings.append(f"{small} has {least:,} bytes and {large} {most:,}; the parts of one save are alike")
    return warnings


LAYOUT: Final = Layout("deepspeed", MARKS["deepspeed"], _recognise)

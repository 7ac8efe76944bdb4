"""Weights as Hugging Face libraries name them: one file, or numbered shards and the index that names them.

Owns the names (stem, format, variant) and how a save, its index and what is left of other saves are told apart. Which
folders hold such weights, and what belongs to them beside, is for the layouts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from artifact_store.history.layouts.configs import loaded
from artifact_store.history.layouts.content import (
    MEMBERS,
    Fault,
    direct_names,
    inner_path,
    kind,
    read_object,
    shown,
    size_of,
)
from artifact_store.history.sets import Folder, Missing, ModelSet, Reading

Choice = Callable[[str, str], Mapping[str, str]]
"""(single file, index beside it) -> reader -> which of them it takes."""


@dataclass(frozen=True, slots=True)
class Family:
    """`stem.suffix` and all that is derived from it. choice: for where a single file and an index lie side by side."""

    stem: str
    suffix: str
    choice: Choice


@dataclass(slots=True)
class Group:
    """The files of one family and variant: count -> number -> shard's name."""

    family: Family
    variant: str
    single: str = ""
    indexes: list[str] = field(default_factory=list)
    shards: dict[int, dict[int, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """ "" for plain safetensors; the format where it is another, the variant where there is one."""
        plain = "" if self.family.suffix == "safetensors" else self.family.suffix
        return ".".join(part for part in (self.variant, plain) if part)

    @property
    def shard_names(self) -> list[str]:
        return sorted(name for numbers in self.shards.values() for name in numbers.values())

    @property
    def usual_index(self) -> str:
        return ".".join(p for p in (self.family.stem, self.family.suffix, "index", self.variant, "json") if p)


@dataclass(slots=True)
class Index:
    """What an index says. tensors: file -> the tensors in it. total: bytes of all tensors, 0 where it does not say."""

    tensors: dict[str, frozenset[str]]
    total: int


VARIANT = r"([A-Za-z0-9_]+)"


def groups(names: Iterable[str], families: Iterable[Family]) -> list[Group]:
    """The weights among direct names of a folder, in the order of families and variants."""
    found: dict[tuple[int, str], Group] = {}
    patterns = [(number, family, *_patterns(family)) for number, family in enumerate(families)]
    for name in names:
        for number, family, single, shard, index in patterns:
            if not name.startswith(family.stem):
                continue
            if match := single.fullmatch(name):
                _group(found, number, family, match[1]).single = name
            elif match := shard.fullmatch(name):
                of = _group(found, number, family, match[1] or match[4]).shards.setdefault(int(match[3]), {})
                of[int(match[2])] = name
            elif match := index.fullmatch(name):
                _group(found, number, family, match[1] or match[2] or match[3]).indexes.append(name)
    for group in found.values():
        group.indexes.sort(key=lambda name: (name != group.usual_index, name))
    return [group for _, group in sorted(found.items(), key=lambda item: item[0])]


@cache
def _patterns(family: Family) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    stem, suffix = re.escape(family.stem), re.escape(family.suffix)
    # Libraries have put the variant in each of these places; all of them are still in buckets.
    return (
        re.compile(rf"{stem}(?:\.{VARIANT})?\.{suffix}"),
        re.compile(rf"{stem}(?:\.{VARIANT})?-(\d{{5}})-of-(\d{{5}})(?:\.{VARIANT})?\.{suffix}"),
        re.compile(rf"{stem}(?:\.{VARIANT})?\.{suffix}(?:\.{VARIANT})?\.index(?:\.{VARIANT})?\.json"),
    )


def _group(found: dict[tuple[int, str], Group], number: int, family: Family, variant: str | None) -> Group:
    return found.setdefault((number, variant or ""), Group(family, variant or ""))


def weight_sets(
    folder: Folder, layout: str, families: Iterable[Family], others: tuple[str, ...]
) -> Reading[list[ModelSet]]:
    """One set for each family and variant in the folder. others: what belongs to each of them beside.

    Families come in the order in which readers look for them, so none gets to an index without files that lies beside a
    whole set of an earlier one: a download that left files out, or a conversion, leaves such an index.
    """
    sets: list[ModelSet] = []
    for group in groups(direct_names(folder), families):
        found = yield from _set(folder, layout, group, others)
        earlier = next(
            (at for at, one in enumerate(sets) if one.members and not one.missing and not one.problems), None
        )
        if earlier is None or found.members or found.leftovers:
            sets.append(found)
        else:
            sets[earlier] = _beside_leftover(sets[earlier], found)
    return sets


def _beside_leftover(whole: ModelSet, left: ModelSet) -> ModelSet:
    text = f"none of the files of {left.indexes[0]} is there: it was left by a download or a save without them"
    return replace(whole, others=(*whole.others, *left.indexes), warnings=(*whole.warnings, text))


def _set(folder: Folder, layout: str, group: Group, others: tuple[str, ...]) -> Reading[ModelSet]:
    indexes: dict[str, Index] = {}
    problems: list[str] = []
    for path in group.indexes:
        try:
            indexes[path] = yield from _read_index(folder, path, group.family.suffix)
        except Fault as fault:
            problems.append(str(fault))
    named: dict[str, str] = {}
    tensors: dict[str, frozenset[str]] = {}
    for path, index in indexes.items():
        for file, names in index.tensors.items():
            named.setdefault(file, path)
            tensors[file] = tensors.get(file, frozenset()) | names
    missing = [Missing(file, by) for file, by in sorted(named.items()) if file not in folder.files]
    members = {file for file in named if file in folder.files}
    if group.single:
        members.add(group.single)
    leftovers: list[str] = []
    if indexes or (group.single and not group.indexes):
        leftovers = [file for file in group.shard_names if file not in named]
    else:
        members.update(group.shard_names)
        if not group.indexes:
            missing += _unindexed(group, problems)
    readers = _readers(group, indexes)
    return ModelSet(
        layout=layout,
        prefix=folder.prefix,
        name=group.name,
        members=tuple(sorted(members)),
        indexes=tuple(group.indexes),
        others=others,
        configs=loaded(others),
        missing=tuple(missing),
        tensors=tensors,
        problems=tuple(problems),
        warnings=tuple(_warnings(folder, group, indexes, leftovers)),
        # An index is the same for all saves of one sharding. Where readers differ, the members are of more than one.
        parts={} if readers else {"": tuple(sorted(members))},
        readers=readers,
        leftovers=tuple(leftovers),
    )


def _read_index(folder: Folder, path: str, suffix: str) -> Reading[Index]:
    content = yield from read_object(folder, path)
    return Index(invert(content.get("weight_map"), path, suffix), _total(content))


def invert(weight_map: Any, path: str, suffix: str) -> dict[str, frozenset[str]]:
    """Tensor -> file (or a list of files) of the index at `path` becomes file -> tensors; at least one file.

    Raises Fault where it is no such map, or names what is no .`suffix` file in the folder.
    """
    if not isinstance(weight_map, dict):
        raise Fault(f"{shown(path)} names no files: its weight_map is {kind(weight_map)}")
    by_file: dict[str, set[str]] = {}
    for tensor, value in weight_map.items():
        for named in value if isinstance(value, list) else [value]:
            if not isinstance(named, str) or named not in by_file:
                file = inner_path(named, path)
                if not file.endswith(f".{suffix}"):
                    raise Fault(f"{shown(path)} names {shown(file)}, which is no .{suffix} file")
                if file not in by_file and len(by_file) == MEMBERS:
                    raise Fault(f"{shown(path)} names more than {MEMBERS:,} files")
            else:
                file = named
            by_file.setdefault(file, set()).add(tensor)
    if not by_file:
        raise Fault(f"{shown(path)} names no files: its weight_map is empty")
    return {file: frozenset(tensors) for file, tensors in by_file.items()}


def _total(content: Mapping[str, Any]) -> int:
    metadata = content.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    return total if isinstance(total, int) and not isinstance(total, bool) and total < 2**63 else 0


def _unindexed(group: Group, problems: list[str]) -> list[Missing]:
    """What is absent where only shards are there: the index, and the numbers their own names count up to."""
    witness = group.shard_names[0]
    missing = [Missing(group.usual_index, witness)]
    if len(group.shards) > 1:
        counts = " and ".join(f"of {count}" for count in sorted(group.shards))
        problems.append(f"shards of {len(group.shards)} saves ({counts}) and no index that says which is meant")
    for count, numbers in sorted(group.shards.items()):
        absent, fault = uncounted(numbers, count)
        if fault:
            problems.append(fault)
        missing += [Missing(path, numbers[min(numbers)]) for path in absent]
    return missing


def uncounted(numbers: Mapping[int, str], count: int) -> tuple[list[str], str]:
    """(names of the absent of the files 1..count, what is wrong with the numbers or ""). numbers: number -> name."""
    witness = numbers[min(numbers)]
    if count > MEMBERS:
        return [], f"{shown(witness)} counts {count:,} files, more than the {MEMBERS:,} that are looked for"
    strange = sorted(number for number in numbers if not 1 <= number <= count)
    fault = f"{shown(numbers[strange[0]])} is not one of the files 1 to {count}" if strange else ""
    return [_renumbered(witness, number) for number in range(1, count + 1) if number not in numbers], fault


def _renumbered(name: str, number: int) -> str:
    """The name of another piece: five digits before the last `-of-`."""
    at = name.rindex("-of-")
    return f"{name[: at - 5]}{number:05}{name[at:]}"


def _warnings(folder: Folder, group: Group, indexes: Mapping[str, Index], leftovers: list[str]) -> Iterable[str]:
    if leftovers:
        owner = next(iter(indexes), group.single)
        yield (
            f"{len(leftovers)} shards beside {owner} belong to another save ({shown(leftovers[0])} is the first): "
            f"a reader that takes every .{group.family.suffix} file loads them too"
        )
    for path, index in indexes.items():
        held = size_of(folder, index.tensors)
        whole = all(file in folder.files for file in index.tensors)
        if whole and index.total > held:
            yield f"{path} speaks of {index.total:,} bytes of tensors, and the files it names have {held:,}"


def _readers(group: Group, indexes: Mapping[str, Index]) -> Mapping[str, str]:
    if group.single and group.indexes:
        # Some writers make an index even for one file; then it does not matter what a reader takes first.
        if all(path in indexes and set(indexes[path].tensors) == {group.single} for path in group.indexes):
            return {}
        return group.family.choice(group.single, group.indexes[0])
    if len({frozenset(index.tensors) for index in indexes.values()}) > 1:
        return {
            f"readers of {path}": f"the {len(index.tensors)} files that {path} names" for path, index in indexes.items()
        }
    return {}

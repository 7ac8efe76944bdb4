"""PyTorch distributed checkpoints: `.metadata` and the `.distcp` files it names.

`.metadata` is a pickle that says for each piece of a tensor: file, offset, length. A save into a folder that holds an
older one reuses the names and leaves the old `.metadata` until the end; `.distcp` files of another world size stay
behind and no loader reads them. Owns the reading of that map, which Lightning and Megatron folders hold too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from artifact_store.formats.plain_pickle import PickleRefused, Record, read
from artifact_store.history.layouts.content import Fault, direct_names, inner_path, read_object, shown
from artifact_store.history.layouts.content import read as read_file
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.naming import MOST_NUMBERS, gaps, listed, told
from artifact_store.history.sets import SMALL, Folder, Layout, Missing, ModelSet, Reading

METADATA: Final = ".metadata"
PIECE: Final = re.compile(r"__([0-9]{1,9})_[0-9]{1,9}\.distcp")
_OF_RANK: Final = re.compile(r"__([0-9]{1,9})\.metadata")
CLOSING: Final = "metadata.json"
COMMON: Final = "common.pt"
META: Final = "meta.pt"
_NOT_TENSORS: Final = frozenset({METADATA, CLOSING, COMMON, META})
_LARGEST: Final = 50 * 10**12
"""Bytes of the largest S3 object (S3 user guide, "Amazon S3 objects overview"); no piece lies beyond."""

_DTYPES: Final = (
    "float32 float64 float16 bfloat16 complex32 complex64 complex128 uint8 uint16 uint32 uint64 int8 int16 int32 int64 "
    "bool quint8 qint8 qint32 quint4x2 quint2x4 bits8 bits16 bits1x8 bits2x4 bits4x2 float8_e4m3fn float8_e4m3fnuz "
    "float8_e5m2 float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 strided"
)
_METADATA: Final = (
    "Metadata MetadataIndex TensorStorageMetadata BytesStorageMetadata ChunkStorageMetadata TensorProperties "
    "StorageMeta _MEM_FORMAT_ENCODING MEM_FORMAT_ENCODING"
)
ALLOWED: Final = frozenset(
    [f"torch.{name}" for name in ("Size", *_DTYPES.split())]
    + [f"torch.{bits}{number}" for bits in ("int", "uint") for number in range(1, 8)]
    + [f"torch.distributed.checkpoint.metadata.{name}" for name in _METADATA.split()]
    + [f"torch.distributed._shard.sharded_tensor.metadata.{name}" for name in _METADATA.split()]
    + [f"torch.distributed.checkpoint.filesystem.{name}" for name in ("_StorageInfo", "_StoragePrefix")]
    + [f"megatron.core.dist_checkpointing.{where}.MCoreMetadata" for where in ("mapping", "strategies.torch")]
    + [f"pathlib.{name}" for name in ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")]
    + [f"pathlib._local.{name}" for name in ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")]
    # getattr: how the first releases of Python 3.11 pickle an enum. It becomes a record like all others.
    + ["torch.serialization._get_layout", "collections.OrderedDict", "builtins.getattr"]
)


@dataclass(frozen=True, slots=True)
class Map:
    """What maps say of a folder. least: file -> bytes it must have, of each that belongs to it and is
    there. leftovers: `.distcp` files that no map names."""

    maps: tuple[str, ...] = ()
    least: dict[str, int] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """The files with tensors that are there."""
        return tuple(self.least)

    @property
    def bound(self) -> tuple[str, ...]:
        """What one save wrote: a map says where in the bytes of its own save each tensor lies."""
        return (*self.members, *self.maps)


def in_lightning_folder(folder: Folder) -> bool:
    """A folder named like a file, `epoch=3.ckpt/`, that holds a sharded checkpoint: its last file may be absent yet."""
    return folder.prefix.endswith(".ckpt/") and MARKS["dcp"](folder)


def in_megatron_folder(folder: Folder) -> Reading[bool]:
    """A folder that holds what Megatron writes beside the map; a `metadata.json` of others says no backend, and a
    `common.pt` of others has no tensors in files of their own beside it."""
    if COMMON in folder.names and any(path.endswith((".distcp", "/.zarray")) for path in folder.files):
        return True
    if CLOSING not in folder.names:
        return False
    try:
        said = yield from read_object(folder, CLOSING)
    except Fault:
        return False
    return "sharded_backend" in said


def read_map(folder: Folder) -> Reading[Map]:
    """The maps of a folder, read and checked against the names in it; empty where a `.metadata` is another tool's."""
    pieces = {name for name in folder.names if name.endswith(".distcp")}
    maps, missing, warnings = _maps(folder, pieces)
    if not pieces and not (yield from _are_maps(folder, maps)):
        return Map()
    least: dict[str, int] = {}
    named_by: dict[str, str] = {}
    problems: list[str] = []
    for name in maps:
        if folder.files[name].size > SMALL:
            warnings.append(f"{name} has more than {SMALL:,} bytes, so no piece was checked against it")
            continue
        try:
            content = yield from read_file(folder, name)
            for path, end in _places(content, name):
                least[path] = max(least.get(path, 1), end)
                named_by.setdefault(path, name)
                if len(named_by) > MOST_NUMBERS:
                    raise Fault(f"{name} names more than {MOST_NUMBERS:,} files")
        except Fault as fault:
            problems.append(str(fault))
    if not maps and pieces:
        missing.append(Missing(METADATA, named_by=min(pieces)))
    unnamed = pieces - least.keys()
    leftovers: tuple[str, ...] = ()
    if missing or problems or warnings or not maps:
        least |= dict.fromkeys(unnamed, 1)
    elif unnamed:
        leftovers = tuple(sorted(unnamed))
        warnings.append(
            f"{maps[0]} does not name {len(unnamed):,} .distcp files, left by another save: {listed(unnamed)}"
        )
    missing += [Missing(path, named_by[path]) for path in sorted(named_by) if path not in folder.files]
    named, rest = told(missing)
    there = {path: least[path] for path in sorted(least) if path in folder.files}
    return Map(maps, there, leftovers, named, (*problems, *rest), tuple(warnings))


def _maps(folder: Folder, pieces: set[str]) -> tuple[tuple[str, ...], list[Missing], list[str]]:
    """The maps that a loader reads, those that must be there too, and what else should be known."""
    ranks = {int(match[1]): match[0] for name in direct_names(folder) if (match := _OF_RANK.fullmatch(name))}
    if METADATA in folder.names:
        return (METADATA,), [], []
    if not ranks:
        return (), [], []
    writers = {int(match[1]): name for name in sorted(pieces, reverse=True) if (match := PIECE.fullmatch(name))}
    last = ranks[max(ranks)]
    absent = [
        Missing(f"__{rank}.metadata", writers.get(rank, last))
        for rank in sorted({*gaps(ranks), *(writers.keys() - ranks.keys())})
    ]
    return tuple(ranks[rank] for rank in sorted(ranks)), absent, []


def _are_maps(folder: Folder, names: Iterable[str]) -> Reading[bool]:
    """Whether they begin as maps do, cut or not; many tools call a file of theirs `.metadata`."""
    for name in names:
        if folder.files[name].size > SMALL:
            continue
        try:
            content = yield from read_file(folder, name)
        except Fault:
            return False
        if not content.startswith(b"\x80") or b"torch.distributed" not in content:
            return False
    return True


def _places(content: bytes, name: str) -> Iterator[tuple[str, int]]:
    """For each piece its file, and where it ends in it. Raises Fault."""
    try:
        top = read(content, ALLOWED)
    except PickleRefused as refusal:
        raise Fault(f"{name} {refusal}") from refusal
    entries = top.field("storage_data") if isinstance(top, Record) else None
    if not isinstance(entries, dict):
        raise Fault(f"{name} holds no storage_data, so it does not say where the tensors are")
    for entry in entries.values():
        if not isinstance(entry, Record):
            raise Fault(f"{name} holds a place of a tensor that is no record")
        path = inner_path(entry.field("relative_path"), name)
        if path in _NOT_TENSORS or _OF_RANK.fullmatch(path):
            raise Fault(f"{name} puts a tensor into {shown(path)}, which holds none")
        offset, length = entry.field("offset"), entry.field("length")
        for number in (offset, length):
            if type(number) is not int or not 0 <= number <= _LARGEST:
                raise Fault(f"{name} gives a piece in {shown(path)} an offset or length that is no number of bytes")
        yield path, offset + length


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    if META in folder.names or in_lightning_folder(folder):
        return []
    if (yield from in_megatron_folder(folder)):
        return []
    found = yield from read_map(folder)
    if not found.least and not found.maps:
        return []
    return [
        ModelSet(
            layout=LAYOUT.name,
            prefix=folder.prefix,
            members=found.members,
            indexes=found.maps,
            missing=found.missing,
            least=found.least,
            problems=found.problems,
            warnings=found.warnings,
            parts={"": found.bound},
            leftovers=found.leftovers,
        )
    ]


LAYOUT: Final = Layout("dcp", MARKS["dcp"], _recognise)

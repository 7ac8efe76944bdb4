"""Classes that pickle under the names PyTorch gives its own, so that a `.metadata` is written byte for byte as torch
writes it, without torch."""

from __future__ import annotations

import enum
import pickle
import sys
import types
from collections.abc import Iterable, Mapping
from contextlib import contextmanager

METADATA = "torch.distributed.checkpoint.metadata"
FILESYSTEM = "torch.distributed.checkpoint.filesystem"


def _kind(module: str, name: str, base: type = object) -> type:
    made = types.new_class(name, (base,))
    made.__module__, made.__qualname__ = module, name
    return made


class Size(tuple):
    __slots__ = ()

    def __reduce__(self):
        return Size, (tuple(self),)


class DType:
    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self):
        return self.name


class Strided:
    def __reduce__(self):
        return _get_layout, ("torch.strided",)


def _get_layout(name: str) -> Strided:
    return Strided()


Size.__module__, Size.__qualname__ = "torch", "Size"
_get_layout.__module__ = "torch.serialization"
DType.__module__ = "torch"
MemoryFormat = enum.Enum("_MEM_FORMAT_ENCODING", {"TORCH_CONTIGUOUS_FORMAT": 0}, module=METADATA)
float32 = DType("float32")

Metadata = _kind(METADATA, "Metadata")
MetadataIndex = _kind(METADATA, "MetadataIndex")
TensorStorageMetadata = _kind(METADATA, "TensorStorageMetadata")
BytesStorageMetadata = _kind(METADATA, "BytesStorageMetadata")
ChunkStorageMetadata = _kind(METADATA, "ChunkStorageMetadata")
StorageMeta = _kind(METADATA, "StorageMeta")
StorageInfo = _kind(FILESYSTEM, "_StorageInfo")


class TensorProperties:
    def __getstate__(self):
        return (float32, Strided(), False, MemoryFormat.TORCH_CONTIGUOUS_FORMAT, False)


TensorProperties.__module__, TensorProperties.__qualname__ = METADATA, "TensorProperties"


def built(kind: type, **fields: object) -> object:
    made = object.__new__(kind)
    made.__dict__.update(fields)
    return made


def tensor(rows: int, chunks: int) -> object:
    return built(
        TensorStorageMetadata,
        properties=TensorProperties(),
        size=Size((rows, 8)),
        chunks=[
            built(ChunkStorageMetadata, offsets=Size((n * rows // chunks, 0)), sizes=Size((rows // chunks, 8)))
            for n in range(chunks)
        ],
    )


def metadata(pieces: Iterable[tuple[str, str, int, int]], **more: object) -> object:
    """pieces: name of the tensor, file, offset and length in bytes."""
    pieces = list(pieces)
    names = list(dict.fromkeys(name for name, *_ in pieces))
    counts = {name: sum(1 for piece in pieces if piece[0] == name) for name in names}
    seen: dict[str, int] = {}
    where = {}
    for name, path, offset, length in pieces:
        number = seen[name] = seen.get(name, -1) + 1
        index = built(MetadataIndex, fqn=name, offset=Size((number * 4, 0)), index=number)
        where[index] = built(StorageInfo, relative_path=path, offset=offset, length=length)
    return built(
        Metadata,
        state_dict_metadata={name: tensor(4 * counts[name], counts[name]) for name in names}
        | {"lr_scheduler": built(BytesStorageMetadata)},
        planner_data={name: tuple(name.split(".")) for name in names},
        storage_data=where,
        storage_meta=built(StorageMeta, checkpoint_id="/tmp/run", save_id="1", load_id=None, modules=[]),
        version="1.0.0",
        **more,
    )


@contextmanager
def importable():
    """The names above can be imported while it lasts: pickle looks each one up before it writes it."""
    modules: dict[str, types.ModuleType] = {}
    wanted: Mapping[str, Mapping[str, object]] = {
        "torch": {"Size": Size, "float32": float32},
        "torch.serialization": {"_get_layout": _get_layout},
        METADATA: {
            kind.__name__: kind
            for kind in (
                Metadata,
                MetadataIndex,
                TensorStorageMetadata,
                BytesStorageMetadata,
                ChunkStorageMetadata,
                StorageMeta,
                TensorProperties,
                MemoryFormat,
            )
        },
        FILESYSTEM: {"_StorageInfo": StorageInfo},
    }
    for name, names in wanted.items():
        for end in [len(name), *(n for n, c in enumerate(name) if c == ".")]:
            modules.setdefault(name[:end], types.ModuleType(name[:end]))
        vars(modules[name]).update(names)
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


def dumped(value: object, protocol: int = 4) -> bytes:
    """The pickle of it. torch writes `.metadata` with Python's default protocol: 4, and 5 from Python 3.14 on."""
    with importable():
        return pickle.dumps(value, protocol)

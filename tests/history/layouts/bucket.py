"""A folder made of bytes, and a layout driven over it the way the edge does it."""

import json
from collections.abc import Collection

from artifact_store.history.sets import SMALL, Folder, Layout, ModelSet
from artifact_store.s3.operations import Entry


def version(key: str, size: int, etag: str = "") -> Entry:
    """The one version of a key."""
    return Entry(key, "v1", 0.0, is_latest=True, etag=etag, size=size)


def folder(files: dict[str, bytes | int], prefix: str = "models/m/") -> Folder:
    """Content, or a size where the content is none of the layout's business."""
    sizes = {path: content if isinstance(content, int) else len(content) for path, content in files.items()}
    return Folder(prefix, {path: version(prefix + path, size) for path, size in sizes.items()})


def recognise(
    layout: Layout,
    files: dict[str, bytes | int],
    prefix: str = "models/m/",
    *,
    unreadable: Collection[str] = (),
) -> list[ModelSet]:
    """The sets; [] where the layout's marks say no. A file given as a size must not be asked for."""
    return recognise_reading(layout, files, prefix, unreadable)[0]


def recognise_reading(
    layout: Layout, files: dict[str, bytes | int], prefix: str = "models/m/", unreadable: Collection[str] = ()
) -> tuple[list[ModelSet], list[str]]:
    """(the sets, the files that were read for them)."""
    given, asked = folder(files, prefix), []
    if not layout.marks(given):
        return [], []
    reading = layout.recognise(given)
    answer: bytes | None = None
    while True:
        try:
            path = reading.send(answer)
        except StopIteration as end:
            return end.value, asked
        asked.append(path)
        content = files.get(path)
        assert not isinstance(content, int), f"{path} is no small file and was asked for"
        answer = content if content is not None and len(content) <= SMALL and path not in unreadable else None


def only(layout: Layout, files: dict[str, bytes | int], prefix: str = "models/m/") -> ModelSet:
    """The one set that is there."""
    sets = recognise(layout, files, prefix)
    assert len(sets) == 1, [(found.layout, found.name) for found in sets]
    return sets[0]


def index(weight_map: object, total: object = 8) -> bytes:
    return json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}).encode()


def shards(stem: str, count: int, suffix: str = "safetensors") -> list[str]:
    return [f"{stem}-{number:05}-of-{count:05}.{suffix}" for number in range(1, count + 1)]


def sharded(stem: str, count: int, size: int = 100, suffix: str = "safetensors") -> dict[str, bytes | int]:
    """The shards t1 .. tN and the index that names them."""
    names = shards(stem, count, suffix)
    weight_map = {f"t{number}": name for number, name in enumerate(names, 1)}
    return {**dict.fromkeys(names, size), f"{stem}.{suffix}.index.json": index(weight_map)}

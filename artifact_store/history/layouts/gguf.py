"""GGUF models: one file, or the pieces `NAME-00001-of-0000N.gguf` that llama.cpp's gguf-split writes.

A reader is told the first piece by name and finds the others by theirs, so saves of different counts lie side by side
without touching each other. What the header of each piece must say is passed on as facts.
"""

from __future__ import annotations

import re

from artifact_store.history.layouts.content import direct_names
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.weights import uncounted
from artifact_store.history.sets import Folder, Layout, Missing, ModelSet, Reading

PIECE = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.DOTALL)
SIDECAR = re.compile(r"(?:mmproj|mtp)[-.].*", re.DOTALL)
"""Projectors and draft heads: they belong to the models beside them, and are models where there is none."""


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    yield from ()
    names = [name for name in direct_names(folder) if name.endswith(".gguf")]
    sidecars = tuple(name for name in names if SIDECAR.fullmatch(name))
    models = [name for name in names if name not in sidecars]
    if not models:
        models, sidecars = list(sidecars), ()
    sets, pieces = [], dict[tuple[str, int], dict[int, str]]()
    for name in models:
        if match := PIECE.fullmatch(name):
            pieces.setdefault((match[1], int(match[3])), {})[int(match[2])] = name
        else:
            single = ModelSet(
                layout="gguf",
                prefix=folder.prefix,
                name=name.removesuffix(".gguf"),
                members=(name,),
                others=sidecars,
            )
            sets.append(single)
    return sets + [_split(folder, stem, count, numbers, sidecars) for (stem, count), numbers in sorted(pieces.items())]


def _split(folder: Folder, stem: str, count: int, numbers: dict[int, str], others: tuple[str, ...]) -> ModelSet:
    first = numbers[min(numbers)]
    absent, fault = uncounted(numbers, count)
    pieces = tuple(name for _, name in sorted(numbers.items()))
    return ModelSet(
        layout="gguf",
        prefix=folder.prefix,
        name=f"{stem}-of-{count:05}",
        members=pieces,
        others=others,
        missing=tuple(Missing(path, first) for path in absent),
        facts={name: {"split.no": number - 1, "split.count": count} for number, name in numbers.items()},
        problems=(fault,) if fault else (),
        parts={"": pieces},
    )


LAYOUT = Layout("gguf", MARKS["gguf"], _recognise)

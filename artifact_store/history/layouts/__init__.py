"""The layouts of models that are known, one module each; a module is loaded where its marks are found."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.sets import Folder, Layout, ModelSet, Reading


def _recognised_by(name: str) -> Callable[[Folder], Reading[list[ModelSet]]]:
    def recognise(folder: Folder) -> Reading[list[ModelSet]]:
        layout: Layout = import_module(f"{__name__}.{name}").LAYOUT
        return (yield from layout.recognise(folder))

    return recognise


LAYOUTS: tuple[Layout, ...] = tuple(Layout(name, mark, _recognised_by(name)) for name, mark in MARKS.items())
"""In the order in which they are tried; a folder may hold several."""

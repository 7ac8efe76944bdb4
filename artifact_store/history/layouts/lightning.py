"""Lightning checkpoints: `.ckpt` files, and folders of a sharded strategy that close with `meta.pt`.

On a remote file system `last.ckpt` is a second full upload, never a link, so each file is a model of its own.
"""

from __future__ import annotations

import re
from typing import Final

from artifact_store.history.layouts import dcp
from artifact_store.history.layouts.content import direct_names
from artifact_store.history.layouts.dcp import META
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.naming import listed
from artifact_store.history.sets import Folder, Layout, Missing, ModelSet, Reading

_LAST: Final = re.compile(r"last(-v[0-9]{1,9})?\.ckpt")


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    names = direct_names(folder)
    last = [name for name in names if _LAST.fullmatch(name)]
    warning = f'{listed(last)} stand side by side: ckpt_path="last" loads the one that was modified last'
    sets = [
        ModelSet(
            layout=LAYOUT.name,
            prefix=folder.prefix,
            name=name.removesuffix(".ckpt"),
            members=(name,),
            warnings=(warning,) if name in last and len(last) > 1 else (),
        )
        for name in names
        if name.endswith(".ckpt")
    ]
    if META in folder.names or dcp.in_lightning_folder(folder):
        sets += yield from _sharded(folder)
    return sets


def _sharded(folder: Folder) -> Reading[list[ModelSet]]:
    found = yield from dcp.read_map(folder)
    if not found.maps and not found.members:
        return []
    missing, closing = found.missing, tuple({META} & folder.names)
    if META not in folder.names:
        missing = (*missing, Missing(META, named_by=(*found.maps, *found.members)[0]))
    return [
        ModelSet(
            layout=LAYOUT.name,
            prefix=folder.prefix,
            members=found.members,
            indexes=(*found.maps, *closing),
            missing=missing,
            least=found.least,
            problems=found.problems,
            warnings=found.warnings,
            # it holds the step of the loops that the weights are of
            parts={"": (*found.bound, *closing)},
            leftovers=found.leftovers,
        )
    ]


LAYOUT: Final = Layout("lightning", MARKS["lightning"], _recognise)

"""`diff --tensors`: what changed inside a model between two instants, from headers alone."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from artifact_store.cli.output import emit, paint, printable, say, tell
from artifact_store.history.instant import show

if TYPE_CHECKING:
    from artifact_store.formats.finding import Tensor
    from artifact_store.history.headers import ModelDiff
    from artifact_store.history.scope import Scope

MARKS = {"added": ("+", "green"), "gone": ("-", "red"), "reshaped": ("~", "yellow"), "retyped": ("~", "yellow")}
FILES = {"added": ("+", "green"), "gone": ("-", "red"), "changed": ("~", "yellow")}


def tell_tensors(found: ModelDiff, scope: Scope, before: float, after: float, *, as_json: bool) -> None:
    """Every tensor that came, went or changed its shape or type, and every file whose bytes changed."""
    for change, name, old, new in rows(found):
        if as_json:
            emit({"tensor": name, "change": change, "before": _record(old), "after": _record(new)})
        else:
            mark, style = MARKS[change]
            sides = " → ".join(shape(tensor) for tensor in (old, new) if tensor is not None)
            tell(paint(f"{mark} {printable(name)}  {sides}", style, sys.stdout))
    for path, change in found.files.items():
        if as_json:
            emit({"file": path, "change": change})
        else:
            mark, style = FILES[change]
            what = "other bytes" if change == "changed" else change
            tell(paint(f"{mark} {printable(path)}  ({what})", style, sys.stdout))
    for path, reason in found.unread.items():
        say(f"warning: the tensors of {printable(path)} are not known: {printable(reason)}", "yellow")
    tensors = found.tensors
    files = Counter(found.files.values())
    counts = (
        f"{len(tensors.added):,} added, {len(tensors.gone):,} gone, {len(tensors.reshaped):,} reshaped, "
        f"{len(tensors.retyped):,} retyped; files: {files['added']:,} added, {files['gone']:,} gone, "
        f"{files['changed']:,} with other bytes"
    )
    say(f"tensors of {printable(str(scope))} from {show(before)} to {show(after)}: {counts}")


def rows(found: ModelDiff) -> list[tuple[str, str, Tensor | None, Tensor | None]]:
    """(change, name, before, after), by kind and then by name."""
    tensors = found.tensors
    told: list[tuple[str, str, Tensor | None, Tensor | None]] = []
    told += [("gone", name, tensor, None) for name, tensor in tensors.gone.items()]
    told += [("added", name, None, tensor) for name, tensor in tensors.added.items()]
    told += [("reshaped", name, old, new) for name, (old, new) in tensors.reshaped.items()]
    told += [("retyped", n, old, new) for n, (old, new) in tensors.retyped.items() if n not in tensors.reshaped]
    return told


def shape(tensor: Tensor) -> str:
    """ "F32 [4096, 11008]"."""
    return f"{tensor.dtype} {list(tensor.shape)}"


def _record(tensor: Tensor | None) -> dict[str, Any] | None:
    return None if tensor is None else {"dtype": tensor.dtype, "shape": list(tensor.shape)}

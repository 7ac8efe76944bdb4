"""What changed between the tensors of two files, from their headers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from artifact_store.formats.finding import Tensor


@dataclass(frozen=True, slots=True)
class TensorDiff:
    """By name, names in order. reshaped, retyped: (before, after); a tensor may be in both."""

    added: Mapping[str, Tensor]
    gone: Mapping[str, Tensor]
    reshaped: Mapping[str, tuple[Tensor, Tensor]]
    retyped: Mapping[str, tuple[Tensor, Tensor]]

    def __bool__(self) -> bool:
        return bool(self.added or self.gone or self.reshaped or self.retyped)


def tensor_diff(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> TensorDiff:
    """False where names, shapes and types are the same; values are not looked at."""
    both = {name: (before[name], after[name]) for name in sorted(before.keys() & after.keys())}
    return TensorDiff(
        added={name: after[name] for name in sorted(after.keys() - before.keys())},
        gone={name: before[name] for name in sorted(before.keys() - after.keys())},
        reshaped={name: (old, new) for name, (old, new) in both.items() if old.shape != new.shape},
        retyped={name: (old, new) for name, (old, new) in both.items() if old.dtype != new.dtype},
    )

"""What a check asks for and what it finds, as plain values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes first..last of the file, inclusive; both lie inside it."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """dtype as the format names it; shape in its order; size in bytes in the file."""

    dtype: str
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What a file is, and whether it is that.

    problem: one line without the file's name, "" where the file is what it says it is. format: what it was read as, ""
    where nothing is known of its name. tensors: by name, where the header tells. facts: numbers of the header that a
    set compares ("split.no"). proved: how far the check reaches: False where it only looked at the first bytes, or
    where the header is larger or newer than what it reads.
    """

    format: str = ""
    problem: str = ""
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    facts: Mapping[str, int] = field(default_factory=dict)
    proved: bool = True

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the tensors' names, types and shapes, whatever their order in the file; "" where the
        header tells of none."""
        if not self.tensors:
            return ""
        sha = hashlib.sha256()
        for name in sorted(self.tensors):
            tensor = self.tensors[name]
            sha.update(json.dumps([name, tensor.dtype, tensor.shape], separators=(",", ":")).encode() + b"\n")
        return sha.hexdigest()


Check: TypeAlias = Generator[Range, bytes, Finding]
"""Yields the bytes it wants, is sent them (fewer where the server sent fewer), returns what it found."""

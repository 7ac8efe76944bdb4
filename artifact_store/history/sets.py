"""What a model is, as files: a set that is only worth something whole.

Owns the words: a folder as it stood at one instant, a set found in it, and the way a layout asks for the content of a
small file. Which layouts there are is for `layouts`; whether a set is whole is for `verdict`. Does no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias, TypeVar

from artifact_store.s3.operations import Entry

R = TypeVar("R")

SMALL = 16 * 1024**2
"""Bytes of the largest file that is read whole: an index, a config, a pointer. What is larger is never asked for."""

THAW = "must be thawed before the model can be judged (--thaw)"
"""How a reason ends that thawing takes away."""


@dataclass(frozen=True)
class Folder:
    """Everything below a prefix as it stood at one instant.

    prefix: "" or a whole path that ends in "/". files: path relative to the prefix -> the version, at every depth.
    """

    prefix: str
    files: Mapping[str, Entry]

    @cached_property
    def names(self) -> frozenset[str]:
        """The files that lie directly in the folder."""
        return frozenset(path for path in self.files if "/" not in path)

    @cached_property
    def folders(self) -> frozenset[str]:
        """The names of the folders directly in it, without "/"."""
        return frozenset(path.split("/", 1)[0] for path in self.files if "/" in path)

    def below(self, name: str) -> Folder:
        """The folder `name` (may hold "/") in it."""
        start = f"{name}/"
        inner = {path[len(start) :]: file for path, file in self.files.items() if path.startswith(start)}
        return Folder(self.prefix + start, inner)


def shallow(prefix: str, names: Iterable[str]) -> Folder:
    """A folder of which only the names directly in it are known, those of folders with "/" at their end."""
    return Folder(prefix, dict.fromkeys(names, Entry("", "", 0, is_latest=False)))


Reading: TypeAlias = Generator[str, bytes | None, R]
"""A pure function that may ask for small files: yields a path relative to its folder, is sent the content; None where
there is no such file or it is larger than SMALL."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that something names and that is not there. Paths relative to the set's prefix. needed: without it the
    model cannot be loaded; else a warning tells of it, and only a save that is still bringing it makes the model torn.
    """

    path: str
    named_by: str
    needed: bool = True


@dataclass(frozen=True, kw_only=True)
class ModelSet:
    """Files that make one model together. Paths are relative to `prefix`.

    layout: the name of the layout. prefix: of the folder it was found in. name: tells sets apart that share a prefix
    (a variant, a file's stem), "" where there is one. members: hold the weights; each must be there and not be empty.
    indexes: say which members belong together; written last, restored after them. pointers: say which set is current,
    and configs that servers poll; restored after everything else. others: all else that belongs to it. configs: those
    of the others that a loader reads before it loads: a broken one breaks the model. missing: named by an index or
    pointer and not there. targets: what pointers name and that is there. least: bytes a member must have at least,
    where something says so. tensors: the names an index promises of a member. facts: what the headers of members must
    say (GGUF: split.no). hashed: members whose ETag is the hash they are named after. problems: why it cannot be loaded
    though every file is there. warnings: what its user should know (a base model that lives elsewhere, files of another
    world size). may_be_empty: files whose emptiness is no fault.
    parts: name -> members that only one save can have written, with the indexes that speak of their bytes; parts may be
    replaced one by one. unordered: indexes that uploaders write at any time, so that they close no save.
    readers: reader -> what it takes here, where readers do not all take the same; empty where they agree. leftovers:
    files beside it that look like its members and that nothing names: another save's.
    """

    layout: str
    prefix: str
    name: str = ""
    members: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    targets: tuple[str, ...] = ()
    least: Mapping[str, int] = field(default_factory=dict)
    tensors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    hashed: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    may_be_empty: frozenset[str] = frozenset()
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unordered: frozenset[str] = frozenset()
    readers: Mapping[str, str] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()

    @property
    def closing(self) -> tuple[str, ...]:
        """What savers write last: an upload that began before one of these was written has ended by then."""
        return tuple(path for path in (*self.indexes, *self.pointers) if path not in self.unordered)

    @property
    def lists_all(self) -> bool:
        """Whether its index names each member, as not every index does."""
        return bool(self.members) and self.tensors.keys() >= {*self.members}

    @property
    def paths(self) -> tuple[str, ...]:
        """All its files, in the order in which a restore writes them."""
        return (*self.members, *self.others, *self.indexes, *self.pointers)


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to lay out a model.

    marks: cheap and without reading, from the direct names of a folder: could such a set live here? Called for every
    folder there is. recognise: the sets in a folder that `marks` said yes to; an empty list where it was wrong.
    """

    name: str
    marks: Callable[[Folder], bool]
    recognise: Callable[[Folder], Reading[list[ModelSet]]]

"""DVC remotes: objects named after the MD5 of their content, and `.dir` trees that name the objects of a folder.

Version 3 keeps them below `files/md5/`, version 2 at the root: in both, `ab/cdef…` holds what hashes to `abcdef…`. A
tree is pushed after what it names. Objects are shared by trees and never overwritten, so those of one tree may be
years apart. What no tree names is a file of its own and none of this module's business.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from artifact_store.history.layouts.content import Fault, kind, read, reason, shown
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.naming import listed, told
from artifact_store.history.sets import Folder, Layout, Missing, ModelSet, Reading

TREE: Final = ".dir"
MOST_TREES: Final = 10_000
MOST_FILES: Final = 250_000
"""Files of one tree; 16 MiB of the shortest entries would be half as many again."""
_TREE: Final = re.compile(r"[0-9a-f]{2}/[0-9a-f]{30}\.dir")
_HASH: Final = re.compile(r"[0-9a-f]{32}")
_EMPTY: Final = "d4/1d8cd98f00b204e9800998ecf8427e"


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    trees = sorted(path for path in folder.files if _TREE.fullmatch(path))
    version_3 = f"/{folder.prefix}".endswith("/files/md5/")
    sets = []
    for path in trees[:MOST_TREES]:
        found = yield from _tree(folder, path, version_3)
        sets.append(found)
    if len(trees) > MOST_TREES:
        note = f"{len(trees) - MOST_TREES:,} more .dir trees are not read: {listed(trees[MOST_TREES:])}"
        sets.append(ModelSet(layout=LAYOUT.name, prefix=folder.prefix, name="trees", warnings=(note,)))
    return sets


def _tree(folder: Folder, path: str, version_3: bool) -> Reading[ModelSet]:
    problems: list[str] = []
    warnings: list[str] = []
    children: list[str] = []
    try:
        content = yield from read(folder, path)
        children = _children(content, path)
    except Fault as fault:
        problems.append(str(fault))
    members = tuple(child for child in children if child in folder.files)
    missing, rest = told([Missing(child, named_by=path) for child in children if child not in folder.files])
    # Where the bucket's ETags are MD5s (not with KMS, not of multipart uploads) they must be the names.
    if _hash(path) == folder.files[path].etag.strip('"'):
        wrong = [child for child in members if _other(folder, child)]
        if wrong and version_3:
            problems.append(f"content is not what its name says: {listed(wrong)}")
        elif wrong:
            warnings.append(f"content is not what its name says, unless it is text with CRLF: {listed(wrong)}")
    return ModelSet(
        layout=LAYOUT.name,
        prefix=folder.prefix,
        name=_hash(path),
        members=members,
        indexes=(path,),
        missing=missing,
        problems=(*problems, *rest),
        warnings=tuple(warnings),
        hashed=frozenset(child for child in members if _hash(child) == folder.files[child].etag.strip('"')),
        may_be_empty=frozenset({_EMPTY} & {*members}),
    )


def _hash(path: str) -> str:
    return path.replace("/", "", 1).removesuffix(TREE)


def _other(folder: Folder, path: str) -> bool:
    etag = folder.files[path].etag.strip('"')
    return bool(_HASH.fullmatch(etag)) and etag != _hash(path)


def _children(content: bytes, path: str) -> list[str]:
    """The objects that a tree names, each once, in its order. Raises Fault."""
    if content.count(b"{") + content.count(b"[") > MOST_FILES + 1:
        raise Fault(f"{shown(path)} holds more than {MOST_FILES:,} objects and lists")
    try:
        entries: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Fault(f"{shown(path)} is no JSON: {reason(error)}") from error
    if not isinstance(entries, list):
        raise Fault(f"{shown(path)} holds no JSON list but {kind(entries)}")
    found: dict[str, None] = {}
    for entry in entries:
        name = entry.get("md5") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not _HASH.fullmatch(name):
            raise Fault(f"{shown(path)} names a file without an MD5 of 32 hexadecimal digits")
        found[f"{name[:2]}/{name[2:]}"] = None
    return list(found)


LAYOUT: Final = Layout("dvc", MARKS["dvc"], _recognise)

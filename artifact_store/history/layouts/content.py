"""What an index, a config or a pointer says, read without trusting it.

Owns the bounds within which such a file is read and the way a path in it is taken. Whoever can write to the bucket
wrote these files: one that does not parse, is of the wrong shape, names a million files or a path outside its folder
is a `Fault` in one line, never an exception of a parser, and no such path is followed. Builds nothing but plain data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from artifact_store.history.sets import SMALL, THAW, Folder, Missing, ModelSet, R, Reading
from artifact_store.history.state import is_archived

MEMBERS = 10_000
"""Files that one index may name: the largest public models have fewer than 1,000 shards."""

NESTED = 1_000_000
"""Objects and arrays in one JSON file: 16 MiB of `{}` would become 400 MB of empty dicts."""

YAML_BYTES = 1024**2
"""Bytes of the largest YAML file that is parsed: a megabyte takes about a second."""


KEY = 1024
"""Longest key in bytes (Amazon S3 user guide, "Naming Amazon S3 objects"); a longer path names nothing."""


OF_SHAPES = re.compile(r".*\.index(?:\.[A-Za-z0-9_]+)?\.json|saved_model\.pb")
"""Names of indexes that close a save and are the same for all saves of one shape."""

OF_BYTES = re.compile(r".*\.index|(?:__\d+)?\.metadata|manifest\.ocdbt")
"""Names of indexes that speak of the bytes of one save."""


class Fault(Exception):
    """The file says nothing that can be used; the text names the file and what is wrong with it."""


def read(folder: Folder, path: str, limit: int = SMALL) -> Reading[bytes]:
    """The content of a file that is in the folder. Raises Fault where it is too large or cannot be had."""
    file = folder.files.get(path)
    if file is not None and file.size > limit:
        raise Fault(f"{shown(path)} has {file.size:,} bytes, more than the {limit:,} that are read of such a file")
    content = yield path
    if content is None and file is not None and is_archived(file):
        raise Fault(f"{shown(path)} lies in {file.storage_class} and {THAW}")
    if content is None:
        raise Fault(f"{shown(path)} cannot be read")
    if len(content) > limit:
        raise Fault(f"{shown(path)} has {len(content):,} bytes, more than the {limit:,} that are read of such a file")
    return content


def read_object(folder: Folder, path: str) -> Reading[dict[str, Any]]:
    """A JSON object. Raises Fault."""
    content = yield from read(folder, path)
    if not content.strip():
        raise Fault(f"{shown(path)} is empty")
    if content.count(b"{") + content.count(b"[") > NESTED:
        raise Fault(f"{shown(path)} holds more than {NESTED:,} objects and arrays")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Fault(f"{shown(path)} is no JSON: {reason(error)}") from error
    if not isinstance(value, dict):
        raise Fault(f"{shown(path)} holds no JSON object but {kind(value)}")
    return value


def read_yaml(folder: Folder, path: str) -> Reading[dict[str, Any]]:
    """A YAML mapping whose scalars are all strings, as they are written. Raises Fault."""
    content = yield from read(folder, path, YAML_BYTES)
    if not content.strip():
        raise Fault(f"{shown(path)} is empty")
    import yaml

    try:
        # Builds strings, lists and dicts alone: no tags, no merge keys that multiply, no numbers of a million digits.
        value = yaml.load(content, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 - see above
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Fault(f"{shown(path)} is no YAML: {reason(error)}") from error
    if not isinstance(value, dict):
        raise Fault(f"{shown(path)} holds no YAML mapping but {kind(value)}")
    return value


def read_text(folder: Folder, path: str, limit: int) -> Reading[str]:
    """UTF-8 text of at most `limit` bytes. Raises Fault."""
    content = yield from read(folder, path, limit)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Fault(f"{shown(path)} is no text in UTF-8") from error


def below(name: str, reading: Reading[R]) -> Reading[R]:
    """What asks for files of the folder `name`, as asking for files of the folder that holds it."""
    answer: bytes | None = None
    while True:
        try:
            path = reading.send(answer)
        except StopIteration as end:
            result: R = end.value
            return result
        answer = yield f"{name}/{path}"


def inner_path(value: Any, named_by: str) -> str:
    """A path that stays inside its folder, without "." and doubled "/". Raises Fault where it is none."""
    if not isinstance(value, str):
        raise Fault(f"{shown(named_by)} names {kind(value)} where a path belongs")
    parts = [part for part in value.split("/") if part not in {"", "."}]
    if not parts:
        raise Fault(f"{shown(named_by)} names {shown(value)}, which is no file")
    path = "/".join(parts)
    if value.startswith("/") or ".." in parts or "\\" in path or not path.isprintable() or len(path) > KEY:
        raise Fault(f"{shown(named_by)} names {shown(value)}, which is no path inside the folder")
    return path


def pointer_set(
    layout: str,
    folder: Folder,
    path: str,
    *,
    target: str = "",
    there: Iterable[str] = (),
    others: tuple[str, ...] = (),
    problem: str = "",
    warnings: tuple[str, ...] = (),
) -> ModelSet:
    """The set of a file that says which of the models below is current. target: the path it names, "" where that cannot
    be told. there: the files of the target."""
    targets = tuple(sorted(there))
    return ModelSet(
        layout=layout,
        prefix=folder.prefix,
        name=path.removesuffix(".txt"),
        others=others,
        pointers=(path,),
        missing=(Missing(target, named_by=path),) if target and not targets else (),
        targets=targets,
        problems=(problem,) if problem else (),
        warnings=warnings,
    )


def files_at(folder: Folder, path: str) -> list[str]:
    """The file `path`, or all files below the folder `path`, in order; [] where there is neither."""
    if path in folder.files:
        return [path]
    return sorted(name for name in folder.files if name.startswith(f"{path}/") and not is_marker(name))


def is_marker(path: str) -> bool:
    """The empty object that consoles and some clients write to show a folder."""
    return not path or path.endswith("/")


def direct_names(folder: Folder) -> list[str]:
    """The files directly in the folder, in order, without the folder's own marker."""
    return sorted(name for name in folder.names if name)


def rightly_empty(files: Iterable[str]) -> frozenset[str]:
    """Those that mean something though they hold nothing, such as `__init__.py`."""
    return frozenset(path for path in files if _may_be_empty(path.rsplit("/", 1)[-1]))


def _may_be_empty(name: str) -> bool:
    return name.startswith(".") or name.endswith((".py", ".pyi", ".txt", ".md", ".typed"))


def holds_weights(path: str) -> bool:
    """Whether a file may, by its name: code, configs and texts may not."""
    name = path.rsplit("/", 1)[-1]
    return not _may_be_empty(name) and not name.endswith((".json", ".yaml", ".yml", ".toml", ".jinja", ".cfg"))


def size_of(folder: Folder, paths: Iterable[str]) -> int:
    """Bytes of those that are there."""
    return sum(folder.files[path].size for path in paths if path in folder.files)


def shown(text: str) -> str:
    """A name from the bucket in one short line that no terminal takes for a command."""
    short = text if len(text) <= 120 else f"{text[:117]}..."
    return short if short.isprintable() else ascii(short)


def kind(value: Any) -> str:
    """What a parsed value is, in the words of JSON."""
    if isinstance(value, bool):
        return "a boolean"
    names = {dict: "an object", list: "a list", str: "a string", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def reason(error: BaseException) -> str:
    """A parser's complaint in one line."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    lines = str(error).splitlines()
    return shown(lines[0] if lines else type(error).__name__)

"""A plan as a file: a header line, then one JSON line a key, in key byte order.

Owns the format and its integrity: the header holds a SHA-256 over itself and the step lines. A file whose digest
differs is refused, and so is any line that this program would not have written just so, whatever the digest. Reading
and writing stream, so memory does not grow with the number of keys.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from math import isfinite
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Any

from artifact_store.errors import Refused, UsageError
from artifact_store.history.state import Flag
from artifact_store.restore.cost import requests_for
from artifact_store.restore.destination import IN_PLACE, Destination, ToFolder, parse_destination
from artifact_store.restore.models import PlannedModel, Wanted
from artifact_store.restore.plan import Action, Current, PlanOptions, Reason, Step, Summary

FORMAT = "artifact-store plan 2"

NAMED = re.compile(rb'\{\s*"format":\s*"(artifact-store [a-z]+ [0-9]+)"')
ACTION = re.compile(rb'\{"action":"(' + "|".join(Action).encode() + rb')",')


@dataclass(frozen=True, slots=True)
class Header:
    """What a plan is about. raw: the prefix is a raw one, not a path. instant, made_at: seconds since the epoch, by the
    server's clock where it tells one. made_by: version of this program. models: those whose files the plan touches.
    digest: hex SHA-256, see `_sum`."""

    bucket: str
    prefix: str
    raw: bool
    instant: float
    made_at: float
    made_by: str
    options: PlanOptions
    destination: Destination = IN_PLACE
    models: tuple[PlannedModel, ...] = ()
    summary: Summary = field(default_factory=Summary)
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan on disk."""

    path: Path
    header: Header

    @property
    def summary(self) -> Summary:
        """Counts, bytes, requests, warnings."""
        return self.header.summary

    @property
    def archived(self) -> bool:
        """Something must be thawed before the plan can be carried out, or before its models can be judged."""
        return bool(self.summary.counts[Action.THAW]) or any(model.to_thaw for model in self.header.models)

    def to_thaw(self) -> Iterator[tuple[str, str]]:
        """(key, version) of all that must be thawed, each once. Raises Refused where the file was changed meanwhile."""
        of_models = dict.fromkeys(pair for model in self.header.models for pair in model.to_thaw)
        for _, step in self.numbered(Action.THAW) if self.summary.counts[Action.THAW] else ():
            of_models.pop((step.key, step.version_id), None)
            yield step.key, step.version_id
        yield from of_models

    def steps(self) -> Iterator[Step]:
        """Every step in key byte order, streamed from the file. Raises Refused where the file was changed meanwhile."""
        for _, step in self.numbered():
            yield step

    def numbered(self, action: Action | None = None) -> Iterator[tuple[int, Step]]:
        """The steps, or those with one action, each with its number in the plan, counted from 0."""
        digest = sha256()
        with self.path.open("rb") as file:
            first = file.readline()
            for number, line in enumerate(file):
                digest.update(line)
                if action is None or _action(line, number, self.path) is action:
                    yield number, _read_step(line, number, self.path)
        if _digest(first, digest.digest()) != self.header.digest:
            raise Refused(f"plan {self.path} was changed while it was read; make the plan again")


def write_plan(
    path: Path, header: Header, steps: Iterable[Step], models: Callable[[], tuple[PlannedModel, ...]] = tuple
) -> Plan:
    """Write the steps, then the header with their summary and digest; the file appears whole or not at all.

    Steps come in key byte order. models: asked for after the last step. What cannot be written is refused before the
    first step is asked for, as far as that can be known. Raises UsageError where the path cannot be written, and
    whatever `steps` raises.
    """
    to_folder = isinstance(header.destination, ToFolder)
    summary, digest = Summary(to_folder=to_folder), sha256()
    with _naming(path):
        if not path.name or path.is_dir():
            raise UsageError(f"cannot write plan {str(path)!r}: that is a folder; name a file")
        # Beside the plan, since where temporary files go may be small, or memory.
        body = tempfile.TemporaryFile(prefix=f".{path.name}.", dir=path.parent)  # noqa: SIM115 - the `with` below closes it
    with body:
        for step in steps:
            line = _line(_step_json(step))
            digest.update(line)
            with _naming(path):
                body.write(line)
            summary.add(step, requests_for(step, to_folder=to_folder))
        header = replace(header, models=models(), summary=summary)
        plain = _header_json(header)
        header = replace(header, digest=_sum(plain, digest.digest()))
        with _naming(path):
            body.seek(0)
            _replace(path, _line({**plain, "digest": header.digest}), body)
    return Plan(path, header)


def read_plan(path: Path) -> Plan:
    """Open a plan and check it. Raises UsageError where it cannot be read, Refused where it was changed."""
    digest, counts = sha256(), dict.fromkeys(Action, 0)
    try:
        with path.open("rb") as file:
            first = file.readline()
            header = _read_header(first, path)
            for number, line in enumerate(file):
                digest.update(line)
                counts[_action(line, number, path)] += 1
    except OSError as error:
        raise UsageError(f"cannot read plan {path}: {error.strerror}") from error
    if _digest(first, digest.digest()) != header.digest or counts != header.summary.counts:
        raise _damaged(path)
    return Plan(path, header)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """What cannot be written is named by the plan's path, not by that of a temporary file."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write plan {path}: {error.strerror}; name a file in a folder that exists and has room"
        ) from error


def _replace(path: Path, first: bytes, body: IO[bytes]) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(first)
            copyfileobj(body, file, 1024 * 1024)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _line(data: Mapping[str, object]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _sum(header: Mapping[str, object], steps: bytes) -> str:
    """The digest of a plan: of its header without the digest, and of the SHA-256 of the lines of its steps."""
    return sha256(_line(header) + steps).hexdigest()


def _digest(first: bytes, steps: bytes) -> str:
    """The digest that a plan with this first line should have; "" where no plan can have such a line."""
    try:
        data = json.loads(first)
        del data["digest"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return _sum(data, steps)


def _damaged(path: Path, where: str = "it does not fit its digest") -> Refused:
    return Refused(f"plan {path} is damaged or was edited: {where}; make the plan again")


def _action(line: bytes, number: int, path: Path) -> Action:
    """The action of a step's line, which is the first thing on it. Raises Refused."""
    found = ACTION.match(line)
    if found is None:
        raise _damaged(path, f"line {number + 2} is not a step as this program writes it")
    return Action(found[1].decode())


def _read_header(first: bytes, path: Path) -> Header:
    try:
        data = json.loads(first)
        header = _header(data)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise _no_plan(path) from error
    if _line({**_header_json(header), "digest": header.digest}) != first:
        raise _damaged(path, "its first line is not as this program writes it")
    return header


def _no_plan(path: Path) -> UsageError | Refused:
    """The error for a file that is no plan, as far as its first bytes tell what it is instead."""
    with path.open("rb") as file:
        found = NAMED.match(file.read(200))
    if found is None:
        return UsageError(f"{path} is not a plan of this program: its first line is not a plan's header")
    name = found[1].decode()
    if name.startswith("artifact-store lock "):
        return UsageError(f"{path} is a lock file, not a plan; restore, get and verify take it with --lock")
    if name == FORMAT:
        return _damaged(path, "its first line lacks what a plan's header has")
    return UsageError(f"{path} is of the format {name!r}, and this program reads {FORMAT!r}; make the plan again")


def _read_step(line: bytes, number: int, path: Path) -> Step:
    try:
        step = _step(json.loads(line))
        known = _line(_step_json(step)) == line
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"line {number + 2} is no step") from error
    if not known:
        raise _damaged(path, f"line {number + 2} is not a step as this program writes it")
    return step


def _header_json(header: Header) -> dict[str, object]:
    return {
        "format": FORMAT,
        "bucket": header.bucket,
        "prefix": header.prefix,
        "raw": header.raw,
        "instant": header.instant,
        "made_at": header.made_at,
        "made_by": header.made_by,
        "options": asdict(header.options),
        "destination": str(header.destination),
        "models": [asdict(model) for model in header.models],
        "summary": header.summary.as_json(),
    }


def _header(data: dict[str, Any]) -> Header:
    if data["format"] != FORMAT:
        raise ValueError(data["format"])
    options: dict[str, Any] = {
        name: tuple(_text(glob) for glob in value) if isinstance(value, list) else bool(value)
        for name, value in data["options"].items()
        if name != "models"
    }
    header = Header(
        bucket=_text(data["bucket"]),
        prefix=_text(data["prefix"]),
        raw=bool(data["raw"]),
        instant=float(data["instant"]),
        made_at=float(data["made_at"]),
        made_by=_text(data["made_by"]),
        options=PlanOptions(**options, models=Wanted(data["options"]["models"])),
        destination=parse_destination(_text(data["destination"])),
        models=tuple(PlannedModel.from_json(model) for model in data["models"]),
        summary=Summary.from_json(data["summary"]),
        digest=_text(data["digest"]),
    )
    for instant in (header.instant, header.made_at):
        datetime.fromtimestamp(instant, UTC)
    return header


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _step_json(step: Step) -> dict[str, object]:
    """Only what says something, so that a plan of a million keys stays readable."""
    line: dict[str, object] = {"action": step.action.value, "key": step.key, "reason": step.reason.value}
    if step.version_id:
        line |= {"version_id": step.version_id, "etag": step.etag, "size": step.size}
        line |= {"last_modified": step.last_modified, "storage_class": step.storage_class}
    current = step.current
    if current is not None:
        if current.is_marker:
            line["current"] = {"version_id": current.version_id, "is_marker": True}
        else:
            line["current"] = {"version_id": current.version_id, "etag": current.etag, "size": current.size}
    if step.target:
        line["target"] = step.target
    if step.markers:
        line["markers"] = step.markers
    if step.flags:
        line["flags"] = [flag.value for flag in step.flags]
    return line


def _step(line: dict[str, Any]) -> Step:
    current = line.get("current")
    modified, size = float(line.get("last_modified", 0.0)), int(line.get("size", 0))
    if not isfinite(modified) or size < 0:
        raise ValueError(f"{modified}, {size}")
    return Step(
        action=Action(line["action"]),
        key=_text(line["key"]),
        reason=Reason(line["reason"]),
        version_id=_text(line.get("version_id", "")),
        etag=_text(line.get("etag", "")),
        size=size,
        last_modified=modified,
        storage_class=_text(line.get("storage_class", "STANDARD")),
        current=_current(current) if current is not None else None,
        target=_text(line.get("target", "")),
        markers=tuple(_text(marker) for marker in line.get("markers", ())),
        flags=tuple(Flag(flag) for flag in line.get("flags", ())),
    )


def _current(data: dict[str, Any]) -> Current:
    return Current(
        version_id=_text(data["version_id"]),
        etag=_text(data.get("etag", "")),
        size=int(data.get("size", 0)),
        is_marker=bool(data.get("is_marker", False)),
    )

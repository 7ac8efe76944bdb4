"""A plan as a file: a header line, then one JSON line a key, in key byte order.

Owns the format and its integrity: the header holds a SHA-256 over the step lines, and a file whose digest differs is
refused. Reading and writing stream, so memory does not grow with the number of keys.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from shutil import copyfileobj
from typing import Any

from artifact_store.errors import Refused, UsageError
from artifact_store.history.state import Flag
from artifact_store.restore.destination import IN_PLACE, Destination, parse_destination
from artifact_store.restore.models import PlannedModel
from artifact_store.restore.plan import Action, Current, PlanOptions, Reason, Step, Summary

FORMAT = "artifact-store plan 1"


@dataclass(frozen=True, slots=True)
class Header:
    """What a plan is about. raw: the prefix is a raw one, not a path. instant, made_at: seconds since the epoch, by the
    server's clock where it tells one. made_by: version of this program. models: those whose files the plan touches.
    digest: hex SHA-256 of the step lines."""

    bucket: str
    prefix: str
    raw: bool
    instant: float
    made_at: float
    made_by: str
    options: PlanOptions
    destination: Destination = IN_PLACE
    models: tuple[PlannedModel, ...] = ()
    summary: Summary | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan on disk."""

    path: Path
    header: Header

    @property
    def summary(self) -> Summary:
        """Counts, bytes, requests, warnings."""
        assert self.header.summary is not None  # noqa: S101 - every plan is made by write_plan or read_plan
        return self.header.summary

    def steps(self) -> Iterator[Step]:
        """Every step in key byte order, streamed from the file. Raises Refused where the file was changed meanwhile."""
        for _, step in self.numbered():
            yield step

    def numbered(self, action: Action | None = None) -> Iterator[tuple[int, Step]]:
        """The steps, or those with one action, each with its number in the plan, counted from 0."""
        wanted = b"" if action is None else f'{{"action":"{action.value}",'.encode()
        digest = sha256()
        with self.path.open("rb") as file:
            file.readline()
            for number, line in enumerate(file):
                digest.update(line)
                if line.startswith(wanted):
                    yield number, _step(json.loads(line))
        if digest.hexdigest() != self.header.digest:
            raise Refused(f"plan {self.path} was changed while it was read; make the plan again")


def write_plan(
    path: Path, header: Header, steps: Iterable[Step], models: Callable[[], tuple[PlannedModel, ...]] = tuple
) -> Plan:
    """Write the steps, then the header with their summary and digest; the file appears whole or not at all.

    Steps come in key byte order. models: asked for after the last step. Raises OSError, and whatever `steps` raises.
    """
    summary, digest = Summary(), sha256()
    with tempfile.TemporaryFile() as body:
        for step in steps:
            line = json.dumps(_step_json(step), separators=(",", ":")).encode() + b"\n"
            digest.update(line)
            body.write(line)
            summary.add(step)
        header = replace(header, models=models(), summary=summary, digest=digest.hexdigest())
        body.seek(0)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(_header_json(header), separators=(",", ":")).encode() + b"\n")
                copyfileobj(body, file, 1024 * 1024)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    return Plan(path, header)


def read_plan(path: Path) -> Plan:
    """Open a plan and check it. Raises UsageError where it cannot be read, Refused where the digest does not fit."""
    digest = sha256()
    try:
        with path.open("rb") as file:
            first = file.readline()
            for line in file:
                digest.update(line)
    except OSError as error:
        raise UsageError(f"cannot read plan {path}: {error.strerror}") from error
    try:
        header = _header(json.loads(first))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a plan of this program: its first line is not a plan's header") from error
    if digest.hexdigest() != header.digest:
        raise Refused(f"plan {path} is damaged or was edited: its steps do not fit its digest; make the plan again")
    return Plan(path, header)


def _header_json(header: Header) -> dict[str, object]:
    assert header.summary is not None  # noqa: S101 - write_plan has just set it
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
        "digest": header.digest,
    }


def _header(data: dict[str, Any]) -> Header:
    if data["format"] != FORMAT:
        raise ValueError(data["format"])
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data["options"].items()
    }
    return Header(
        bucket=data["bucket"],
        prefix=data["prefix"],
        raw=data["raw"],
        instant=data["instant"],
        made_at=data["made_at"],
        made_by=data["made_by"],
        options=PlanOptions(**options),
        destination=parse_destination(data["destination"]),
        models=tuple(PlannedModel.from_json(model) for model in data["models"]),
        summary=Summary.from_json(data["summary"]),
        digest=data["digest"],
    )


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
    return Step(
        action=Action(line["action"]),
        key=line["key"],
        reason=Reason(line["reason"]),
        version_id=line.get("version_id", ""),
        etag=line.get("etag", ""),
        size=line.get("size", 0),
        last_modified=line.get("last_modified", 0.0),
        storage_class=line.get("storage_class", "STANDARD"),
        current=Current(**current) if current is not None else None,
        target=line.get("target", ""),
        markers=tuple(line.get("markers", ())),
        flags=tuple(Flag(flag) for flag in line.get("flags", ())),
    )

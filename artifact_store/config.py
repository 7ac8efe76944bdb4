"""A stack's config as typed, frozen values.

Owns what may stand under `artifact-store:` in `Pulumi.<stack>.yaml`, and is the only reader of it: for the engine by
`from_engine`, for the command line by `from_files`. Refuses unknown keys (naming the nearest known one) and wrong
types, all at once and one line each; what the values may be is for `rules`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from artifact_store.errors import ConfigError

PROJECT = "artifact-store"
SECRET = "(secret)"  # noqa: S105 - what stands for a value that is encrypted in the stack file
LONGEST_CONTINUOUS = 35
"""Days (AWS Backup guide, point-in-time-recovery)."""
MAY_BE_SECRET = frozenset({"alertEmails"})


class Section(BaseModel):
    """Base of every block: camelCase in the file, no unknown keys, no conversion between types, frozen."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class Retention(Section):
    """How long each kind of copy is kept, in days."""

    point_in_time_days: int
    """Continuous backup: any second of these days can be restored (1 to 35)."""
    daily_days: int | None = None
    weekly_days: int | None = None
    monthly_days: int | None = None
    version_days: int | Literal["forever"] | None = None
    """How long S3 keeps a version after it was overwritten or deleted; by default as long as the continuous backup."""


class Schedule(Section):
    """When each rule starts (six-field cron) and how long it may take. The defaults never overlap."""

    timezone: str = "Etc/UTC"
    continuous: str = "cron(0 12 ? * * *)"
    daily: str = "cron(0 1 ? * * *)"
    weekly: str = "cron(0 4 ? * SUN *)"
    monthly: str = "cron(0 8 1 * ? *)"
    start_window_minutes: int = 120
    completion_window_minutes: int = 10_080
    """Seven days, AWS's own default; the provider's 180 minutes end large buckets as EXPIRED."""


class BucketSection(Section):
    """The bucket that holds the models."""

    adopt: str | None = None
    """Name of an existing bucket to take over instead of creating one."""
    encryption: Literal["SSE-S3", "SSE-KMS"] = "SSE-S3"
    deny_version_deletion: bool = False
    """Nobody may remove an object version; only the lifecycle rule does."""
    abort_uploads_days: Annotated[int, Field(ge=1)] = 7


class Lock(Section):
    """Vault Lock. Governance can be lifted by an administrator; compliance cannot be undone by anyone."""

    mode: Literal["governance", "compliance"]
    min_days: int
    max_days: int
    cooling_off_days: int | None = None
    """Compliance only: days during which the lock can still be removed."""
    confirm: str | None = None
    """Compliance only: the vault's name, typed, as confirmation that this cannot be undone."""


class VaultSection(Section):
    """The vault that holds the recovery points."""

    encryption: Literal["aws", "customer"] = "aws"
    """`aws`: the key AWS Backup manages, which nobody can delete. `customer`: a key of this stack."""
    lock: Lock | None = None


class SecondRegion(Section):
    """Copies of every snapshot in another Region."""

    region: str
    keep_days: int | None = None
    """How long copies are kept; by default as long as the snapshot they were made from."""


class RestoreTest(Section):
    """AWS Backup restores the bucket on a schedule and throws the result away."""

    schedule: str
    start_window_hours: int = 24
    selection_window_days: int = 30
    validation_window_hours: int = 24


class Demands(Section):
    """What the users were told; a config that cannot keep it is refused."""

    rpo_minutes: int | None = None
    keep_days: int | None = None


class StoreConfig(Section):
    """Everything under `artifact-store:` in the stack file."""

    throw_away: bool = False
    retention: Retention
    schedule: Schedule = Schedule()
    bucket: BucketSection = BucketSection()
    vault: VaultSection = VaultSection()
    second_region: SecondRegion | None = None
    restore_test: RestoreTest | None = None
    alert_emails: tuple[str, ...] = ()
    demands: Demands = Demands()

    @field_validator("second_region", "restore_test", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any) -> Any:
        """Pulumi.yaml describes an optional block only with a default; `{}` is the one that says nothing."""
        return None if value == {} else value


def parse(raw: Mapping[str, Any]) -> tuple[StoreConfig, list[str], frozenset[str]]:
    """Plain values -> (config, faults, the faulty fields as dotted paths).

    With faults the config is what is left without the faulty fields, so that the rules can still look at the rest.
    """
    value: dict[str, Any] = json.loads(json.dumps(raw, default=str))
    faults: dict[str, str] = {}
    while True:
        try:
            return StoreConfig.model_validate_json(json.dumps(value)), list(faults.values()), frozenset(faults)
        except ValidationError as error:
            details = [(_readable(detail["loc"]), detail) for detail in error.errors(include_url=False)]
        dropped = set(faults)
        for location, detail in details:
            path = ".".join(map(str, location))
            known = any(path == d or d.startswith(f"{path}.") or path.startswith(f"{d}.") for d in dropped)
            if not known:
                faults[path] = _fault(path, location, detail)
            if detail["type"] == "missing" and len(location) > 1 and location[0] != "retention":
                _drop(value, location[:-1])
            elif location[0] == "retention" and (len(location) == 1 or location[1] == "pointInTimeDays"):
                rest = value.get("retention")
                value["retention"] = {**(rest if isinstance(rest, dict) else {}), "pointInTimeDays": LONGEST_CONTINUOUS}
            else:
                _drop(value, location)


def from_engine() -> tuple[dict[str, Any], frozenset[str]]:
    """What the Pulumi engine handed to this program: (plain values with "region", keys that are secret)."""
    from pulumi.runtime import config as runtime

    known = {**runtime.get_config_env(), **runtime.CONFIG.get()}
    names = {key.removeprefix(f"{PROJECT}:") for key in known if key.startswith(f"{PROJECT}:")}
    values = {name: _decode(str(known[f"{PROJECT}:{name}"])) for name in sorted(names)}
    secret = frozenset(name for name in names if runtime.is_config_secret(f"{PROJECT}:{name}"))
    return {**values, "aws:region": known.get("aws:region")}, secret


def from_files(folder: Path, stack: str) -> dict[str, Any]:
    """What `Pulumi.<stack>.yaml` says. Raises ConfigError where there is no such file or it is no YAML mapping."""
    path = folder / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = sorted(p.name.split(".")[1] for p in folder.glob("Pulumi.*.yaml"))
        near = f"; stacks here: {', '.join(known)}" if known else f"; no Pulumi.*.yaml in {folder}"
        raise ConfigError([f"stack {stack!r}: {path.name} does not exist{near}"])
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        config = dict(document.get("config") or {})
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        line = " ".join(str(error).split())
        raise ConfigError([f"{path.name}: not a stack file: {line}; it needs a mapping `config:`"]) from error
    values = {k.removeprefix(f"{PROJECT}:"): _opaque(v) for k, v in config.items() if k.startswith(f"{PROJECT}:")}
    return {**values, "aws:region": config.get("aws:region")}


def _decode(text: str) -> Any:
    """The engine hands scalars over as text and everything else as JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _opaque(value: Any) -> Any:
    if isinstance(value, dict):
        return SECRET if set(value) == {"secure"} else {k: _opaque(v) for k, v in value.items()}
    return [_opaque(v) for v in value] if isinstance(value, list) else value


def _readable(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Pydantic puts the branch of a union behind the field; users know no branches."""
    return tuple(
        part for part in location if not (isinstance(part, str) and re.search(r"[\[\]]|^(int|str|none)$", part))
    )


def _drop(value: Any, location: tuple[int | str, ...]) -> None:
    for part in location[:-1]:
        if isinstance(value, dict):
            value = value.get(part, {})
        else:
            return
    if isinstance(value, dict):
        value.pop(location[-1], None)


def _section(location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The model that holds the field at `location`."""
    model: type[BaseModel] | None = StoreConfig
    for part in location[:-1]:
        by_alias = {f.alias or n: f.annotation for n, f in model.model_fields.items()} if model else {}
        annotation = by_alias.get(str(part))
        options = [annotation, *get_args(annotation)]
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    return model


def _fault(path: str, location: tuple[int | str, ...], detail: Any) -> str:
    kind, found = detail["type"], detail.get("input")
    model = _section(location)
    known = [f.alias or n for n, f in model.model_fields.items()] if model else []
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.0)
        return f"{path}: unknown key; did you mean {near[0]}? (known here: {', '.join(known)})"
    if kind == "missing":
        return f"{path}: missing; write it under {PROJECT}: in the stack file"
    what = (
        detail["msg"]
        .replace("Input should be", "must be")
        .replace("a valid ", "a ")
        .replace("integer", "whole number")
        .replace("array", "list")
    )
    if path.endswith("versionDays"):
        what = "must be a whole number of days, or forever"
    return f"{path}: {what}, found {json.dumps(found, default=str)}"

"""A stack's config as typed, frozen values.

Owns what may stand under `artifact-store:` in `Pulumi.<stack>.yaml`, and is the only reader of it: for the engine by
`from_engine`, for the command line by `from_files`, which sees what the engine would hand over. Refuses unknown keys
(naming the nearest known one) and wrong types, all at once and one line each; what the values may be is for `rules`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from artifact_store.errors import ConfigError

PROJECT = "artifact-store"
MASKED = "(secret)"
"""What stands for a value that is encrypted in the stack file."""
LONGEST_CONTINUOUS = 35
"""Days (AWS Backup guide, point-in-time-recovery)."""
MAY_BE_SECRET = frozenset({"alertEmails"})


def _days_or_forever(value: Any) -> Any:
    if value is None or value == "forever" or type(value) is int:
        return value
    raise ValueError("must be a whole number of days, or forever")


class Section(BaseModel):
    """Base of every block: camelCase in the file, no unknown keys, no conversion between types, frozen."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class Retention(Section):
    """How long each kind of copy is kept, in days."""

    point_in_time_days: int = Field(examples=["35"], description="1 to 35")
    """Continuous backup: any second of these days can be restored (1 to 35)."""
    daily_days: int | None = None
    weekly_days: int | None = None
    monthly_days: int | None = None
    version_days: Annotated[int | Literal["forever"] | None, PlainValidator(_days_or_forever)] = None
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
    abort_uploads_days: int = 7


class Lock(Section):
    """Vault Lock. Governance can be lifted by an administrator; compliance cannot be undone by anyone."""

    mode: Literal["governance", "compliance"] = Field(examples=["governance"], description="or compliance")
    min_days: int = Field(examples=["7"], description="1 to 36500")
    max_days: int = Field(examples=["2555"], description="1 to 36500")
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

    region: str = Field(examples=["eu-west-1"], description="not the bucket's own")
    keep_days: int | None = None
    """How long copies are kept; by default as long as the snapshot they were made from."""


class RestoreTest(Section):
    """AWS Backup restores the bucket on a schedule and throws the result away."""

    schedule: str = Field(examples=['"cron(0 16 ? * MON *)"'], description="every Monday at 16:00")
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
    retention: Retention = Field(examples=["{pointInTimeDays: 35}"], description="days each kind of copy is kept")
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
    # YAML and the engine do not tell 7.0 from 7.
    value: dict[str, Any] = json.loads(json.dumps(raw, default=str), parse_float=_number)
    faults: dict[str, str] = {}
    while True:
        try:
            return StoreConfig.model_validate_json(json.dumps(value)), list(faults.values()), frozenset(faults)
        except ValidationError as error:
            details = error.errors(include_url=False)
        before, reported = json.dumps(value), tuple(faults)
        for detail in details:
            path = _path(detail["loc"])
            if not any(within(path, one) or within(one, path) for one in reported):
                faults[path] = _fault(path, detail)
            _leave_out(value, detail["loc"], missing=detail["type"] == "missing")
        if json.dumps(value) == before:
            raise RuntimeError(f"cannot look past {', '.join(faults.values())}")


def within(path: str, block: str) -> bool:
    """Whether the field `path` is `block` or stands in it."""
    return path == block or path.startswith((f"{block}.", f"{block}["))


def from_engine() -> tuple[dict[str, Any], frozenset[str]]:
    """What the Pulumi engine handed to this program: (plain values with "aws:region", keys that are secret)."""
    from pulumi.runtime import config as runtime

    known = {**runtime.get_config_env(), **runtime.CONFIG.get()}
    names = {key.removeprefix(f"{PROJECT}:") for key in known if key.startswith(f"{PROJECT}:")}
    values = {name: _decode(str(known[f"{PROJECT}:{name}"])) for name in sorted(names)}
    secret = frozenset(name for name in names if runtime.is_config_secret(f"{PROJECT}:{name}"))
    return {**values, "aws:region": known.get("aws:region")}, secret


def from_files(folder: Path, stack: str) -> dict[str, Any]:
    """The same from the stack's files: plain values with "aws:region"; for an encrypted one MASKED stands."""
    known = {key: _opaque(value) for key, value in stack_values(folder, stack).items()}
    values = {k.removeprefix(f"{PROJECT}:"): _decode(v) for k, v in known.items() if k.startswith(f"{PROJECT}:")}
    return {**values, "aws:region": known.get("aws:region")}


def stack_values(folder: Path, stack: str) -> dict[str, Any]:
    """Every value of a stack by its full key, as it stands in `Pulumi.<stack>.yaml` and, where it does not, in
    `Pulumi.yaml`. Raises ConfigError where there is no such file, or it is no YAML mapping."""
    path = folder / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = sorted(p.name.removeprefix("Pulumi.").removesuffix(".yaml") for p in folder.glob("Pulumi.*.yaml"))
        near = f"; stacks here: {', '.join(known)}" if known else f"; no Pulumi.*.yaml in {folder}"
        raise ConfigError([f"stack {stack!r}: {path.name} does not exist{near}"])
    project = folder / "Pulumi.yaml"
    values = {}
    for key, told in (_config(project) if project.is_file() else {}).items():
        full = key if ":" in key else f"{PROJECT}:{key}"
        if not isinstance(told, dict):
            values[full] = told
        elif told.keys() & {"value", "default"}:
            values[full] = told.get("value", told.get("default"))
    return {**values, **_config(path)}


def engine_text(value: Any) -> str:
    """A value as the engine hands it over: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


class _Loader(yaml.SafeLoader):
    """YAML as the engine reads it: `yes` and dates are texts, keys are texts, and none stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                problem = f"the key {name!r} is no text; write it in quotes"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name} stands twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in known if not tag.endswith((":bool", ":timestamp"))]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def _config(path: Path) -> dict[str, Any]:
    """The mapping `config:` of a file."""
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - _Loader is a SafeLoader
        document = json.loads(json.dumps(loaded, default=str))
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError([f"{path.name}{line}: {error.problem}"]) from error
    except (RecursionError, ValueError, yaml.YAMLError) as error:
        deep = isinstance(error, RecursionError) or "Circular" in str(error)
        why = "nested too deeply, or refers to itself" if deep else " ".join(str(error).split())
        raise ConfigError([f"{path.name}: {why}"]) from error
    for name, found in (("", document), ("config: ", document.get("config") if isinstance(document, dict) else None)):
        if found is not None and not isinstance(found, dict):
            text = f"must be a mapping of keys, found {json.dumps(found, default=str)}"
            raise ConfigError([f"{path.name}: {name}{text}"])
    return dict((document or {}).get("config") or {})


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() else value


def _decode(value: Any) -> Any:
    """The engine hands scalars over as text and everything else as JSON, whatever their type in the file was."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _opaque(value: Any) -> Any:
    if isinstance(value, dict):
        return MASKED if set(value) == {"secure"} else {k: _opaque(v) for k, v in value.items()}
    return [_opaque(v) for v in value] if isinstance(value, list) else value


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _leave_out(value: dict[str, Any], location: tuple[int | str, ...], *, missing: bool) -> None:
    """Take the field away, or the block that lacks it; a list goes whole. What cannot be missing gets a value that no
    rule complains of."""
    if location[0] == "retention" and location[1:2] in ((), ("pointInTimeDays",)):
        rest = value.get("retention")
        value["retention"] = {**(rest if isinstance(rest, dict) else {}), "pointInTimeDays": LONGEST_CONTINUOUS}
        return
    *above, last = location[:-1] if missing else location
    for part in above:
        below = value.get(str(part))
        if not isinstance(below, dict):
            value.pop(str(part), None)
            return
        value = below
    value.pop(str(last), None)


def _section(location: tuple[int | str, ...]) -> type[BaseModel]:
    """The model that holds the field at `location`."""
    model: type[BaseModel] = StoreConfig
    for part in location[:-1]:
        annotation = next((f.annotation for n, f in model.model_fields.items() if (f.alias or n) == part), None)
        options = [annotation, *get_args(annotation)]
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), model)
    return model


WORDS = {
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "string_type": "must be a text",
    "tuple_type": "must be a list",
}


def _fault(path: str, detail: Any) -> str:
    kind, found, location = detail["type"], detail["input"], detail["loc"]
    fields = {f.alias or n: f for n, f in _section(location).model_fields.items()}
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), fields, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        return f"{path}: unknown key{meant} (known here: {', '.join(fields)})"
    field = fields.get(str(location[-1]))
    example = f"{location[-1]}: {field.examples[0]}" if field and field.examples else ""
    if kind == "missing" and field:
        place = f"under {_path(location[:-1])}" if len(location) > 1 else "in the stack file"
        prefix = "" if len(location) > 1 else f"{PROJECT}:"
        return f"{path}: missing; write for example `{prefix}{example}` ({field.description}) {place}"
    if kind == "model_type":
        advice = f"write for example `{example}`" if example else "write its keys below it, or leave it out"
        return f"{path}: must be a block of keys, found {json.dumps(found)}; {advice}"
    if kind == "literal_error":
        what = f"must be {detail['ctx']['expected']}"
    elif kind == "value_error":
        what = str(detail["ctx"]["error"])
    else:
        what = WORDS.get(kind, "is not valid")
    return f"{path}: {what}, found {json.dumps(found)}"

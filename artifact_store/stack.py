"""A stack: from its raw values, as the engine or its files have them, to a design that was checked.

Owns which faults are told (every one, and none that only follows from another). Refuses a stack with any fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from artifact_store import config as configuration
from artifact_store import promise, rules
from artifact_store.config import StoreConfig, within
from artifact_store.design import Design, build
from artifact_store.errors import ConfigError
from artifact_store.rules import Problem

DEMANDS_REST_ON = ("retention", "schedule", "secondRegion")


def check(raw: Mapping[str, Any], stack: str) -> tuple[Design, list[str]]:
    """Raw values of a stack (with "aws:region") -> (design, warnings). Raises ConfigError with every fault found."""
    values = dict(raw)
    region = values.pop("aws:region", None)
    config, faults, found = configuration.parse(values)
    faulty = set(found)
    if not isinstance(region, str):
        faulty.add("aws:region")
        told = "missing" if region is None else f"must be a text, found {region}"
        faults.append(f"aws:region: {told}; write the bucket's Region, for example `aws:region: eu-central-1`")
    design = build(config, stack, region if isinstance(region, str) else "")
    every = [*rules.check(design), *_schedules(config)]
    problems = [p for p in dict.fromkeys(every) if not any(within(p.field, path) for path in faulty)]
    if any(within(path, "retention") for path in faulty):
        problems = [p for p in problems if p.field != "secondRegion"]
    faults += [p.line for p in problems if p.severity == "error"]
    faulty |= {p.field for p in problems if p.severity == "error"}
    if not any(within(path, block) for path in faulty for block in (*DEMANDS_REST_ON, "demands")):
        faults += [f"{field}: {reason}" for field, reason in promise.broken_demands(design)]
    if faults:
        raise ConfigError(f"stack {stack}: {fault}" for fault in faults)
    return design, [p.line for p in problems]


def _schedules(config: StoreConfig) -> Iterator[Problem]:
    """Of those that are written but not in use as well: they will be."""
    for name in ("daily", "weekly", "monthly"):
        yield from rules.schedule(getattr(config.schedule, name), f"schedule.{name}")


def of_engine(stack: str) -> tuple[Design, list[str]]:
    """The design of the program the engine runs: (design, warnings)."""
    raw, secret = configuration.from_engine()
    refused = sorted(secret - configuration.MAY_BE_SECRET)
    if refused:
        known = ", ".join(sorted(configuration.MAY_BE_SECRET))
        raise ConfigError(
            f"stack {stack}: {key}: cannot be a secret, since it shows in the promise; only {known} can"
            for key in refused
        )
    design, warnings = check(raw, stack)
    return replace(design, secret_emails="alertEmails" in secret), warnings


def of_files(folder: Path, stack: str) -> tuple[Design, list[str]]:
    """The design that `Pulumi.<stack>.yaml` in `folder` describes: (design, warnings). Needs no engine and no AWS."""
    return check(configuration.from_files(folder, stack), stack)

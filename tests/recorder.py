"""A resource monitor that records what a program registers, as the engine would receive it.

It proves names, types, inputs, parents, options and dependencies. It cannot prove that AWS accepts an input, nor what
the engine does with protect or replacement: the engine's own tests do.
"""

from __future__ import annotations

import asyncio
import logging
import runpy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks, settings
from pulumi.runtime.stack import run_in_stack

from artifact_store import config
from artifact_store.embedded.table import SIGNATURE, number

PROJECT = Path(__file__).resolve().parents[1]
ACCOUNT = "123456789012"
SECRET = "1b47061264138c4ac30d75fd1eb44270"


@dataclass
class Registered:
    """One resource: inputs as registered (unwrapped), parent and dependencies by name."""

    type: str
    name: str
    inputs: dict[str, Any]
    parent: str
    request: Any
    dependencies: set[str]
    secrets: set[str] = field(default_factory=set)

    @property
    def protect(self) -> bool:
        return bool(self.request.protect)

    @property
    def retained(self) -> bool:
        return bool(self.request.retainOnDelete)

    @property
    def replaced_after_delete(self) -> bool:
        return bool(self.request.deleteBeforeReplace)


class Recorder(mocks.MockMonitor, mocks.Mocks):
    def __init__(self) -> None:
        super().__init__(self)
        self.found: dict[str, Registered] = {}
        self.components: dict[str, Registered] = {}
        self.messages: list[str] = []
        self.outputs: dict[str, Any] = {}
        self.completed: set[str] = set()

    def RegisterResource(self, request: Any) -> Any:
        if request.type != "pulumi:pulumi:Stack":
            secrets: set[str] = set()
            raw = json_format.MessageToDict(request.object)
            place = self.found if request.custom else self.components
            assert request.name not in place, f"two resources are named {request.name}"
            place[request.name] = Registered(
                request.type,
                request.name,
                {key: _plain(value, key, secrets) for key, value in raw.items()},
                request.parent.split("::")[-1],
                request,
                {urn.split("::")[-1] for urn in request.dependencies},
                secrets,
            )
        return super().RegisterResource(request)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        name = request.urn.split("::")[-1]
        self.completed.add(name)
        if "pulumi:pulumi:Stack" in request.urn:
            self.outputs = {k: _plain(v, k, set()) for k, v in json_format.MessageToDict(request.outputs).items()}
        return super().RegisterResourceOutputs(request)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        service = args.typ.split(":")[1].split("/")[0]
        name = args.inputs.get("name") or args.inputs.get("bucket") or args.name
        region = args.inputs.get("region", "us-east-1")
        arn = f"arn:aws:s3:::{name}" if service == "s3" else f"arn:aws:{service}:{region}:{ACCOUNT}:{name}"
        return f"{args.name}-id", {"arn": arn, "name": name, "bucket": name, **args.inputs}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        known = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT},
            "aws:index/getPartition:getPartition": {"partition": "aws"},
        }
        return known[args.token]

    def __getitem__(self, name: str) -> Registered:
        return self.found[name]

    def of_type(self, kind: str) -> list[Registered]:
        return [r for r in self.found.values() if r.type == kind]

    def children(self, parent: str) -> set[tuple[str, str]]:
        """(type, name) of all children of the component of that name."""
        everything = [*self.found.values(), *self.components.values()]
        return {(r.type, r.name) for r in everything if r.parent == parent and r is not self.components.get(parent)}


class _Listener(logging.Handler):
    """Keeps what the program said to the engine, as "LEVEL text"."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__()
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.levelname} {record.getMessage()}")


def _plain(value: Any, path: str, secrets: set[str]) -> Any:
    """Integers as integers, secrets unwrapped and noted."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            secrets.add(path)
            return _plain(value["value"], path, secrets)
        return {k: _plain(v, f"{path}.{k}", secrets) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v, f"{path}[{i}]", secrets) for i, v in enumerate(value)]
    return number(value)


def record(
    program: Any, values: dict[str, str] | None = None, secrets: list[str] | None = None, stack: str = "test"
) -> Recorder:
    """Run a program (a function that registers resources) to its end and return what it registered."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    recorder = Recorder()
    logger = logging.getLogger("recorded-program")
    logger.handlers[:] = [_Listener(recorder.messages)]
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    pulumi.runtime.set_all_config(values or {}, secrets or [])
    mocks.set_mocks(recorder, project="artifact-store", stack=stack, preview=False, logger=logger, monitor=recorder)
    settings.set_root_resource(None)
    try:
        loop.run_until_complete(run_in_stack(lambda: program() and None))
    finally:
        # After a failing program the next one in this process would wait for its outputs for ever.
        settings.SETTINGS.rpc_manager.clear()
        settings.SETTINGS.outputs.clear()
        loop.close()
    return recorder


def stack_config(stack: str, **changes: Any) -> dict[str, str]:
    """What the engine would hand over for a stack of this repository; changes replace or (None) remove keys."""
    values = {**config.stack_values(PROJECT, stack), **{f"artifact-store:{k}": v for k, v in changes.items()}}
    return {key: config.engine_text(value) for key, value in values.items() if value is not None}


def run_project(stack: str, secrets: list[str] | None = None, **changes: Any) -> Recorder:
    """Run the project's own `__main__.py` for a stack of this repository."""
    script = str(PROJECT / "__main__.py")
    return record(
        lambda: runpy.run_path(script, run_name="__main__"),
        stack_config(stack, **changes),
        [f"artifact-store:{key}" for key in secrets or []],
        stack,
    )

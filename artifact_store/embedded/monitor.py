"""A resource monitor in this process: the project's program runs against it where there is no Pulumi engine.

Owns what a program needs of an engine to be deployed once: config, resources made in the order of their dependencies,
functions answered, outputs collected. Knows no state, no diff and no update, and says so by its name.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks, settings
from pulumi.runtime.stack import run_in_stack

from artifact_store.config import PROJECT, engine_text, stack_values
from artifact_store.embedded import table
from artifact_store.embedded.cloud import EmbeddedAws
from artifact_store.embedded.deploy import program
from artifact_store.embedded.table import Aws, Props, unwrapped
from artifact_store.errors import ConfigError, Refused


class Monitor(mocks.MockMonitor, mocks.Mocks):
    """Makes each registered resource on the embedded AWS, through the one table of types."""

    def __init__(self, aws: Aws) -> None:
        super().__init__(self)
        self._aws, self._lock = aws, threading.Lock()
        self.outputs: Props = {}
        self.made: list[tuple[str, str]] = []
        """(type, id) of every resource, in the order made."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, Props]:
        props = {k: v for k, v in args.inputs.items() if v is not None}
        if not args.typ.startswith("aws:"):
            return None, props
        kind = table.find(args.typ)
        if kind.name is not None and kind.name.field not in props:
            props[kind.name.field] = kind.name.of(args.name, f"{settings.get_stack()}/{args.name}".encode())
        problems = kind.problems(props)
        if problems:
            raise Refused(f"{args.typ} {args.name}: {problems[0][1]}")
        with self._lock:
            resource_id = kind.create(self._aws, self._aws.placed(props))
            self.made.append((args.typ, resource_id))
        return resource_id, kind.read(self._aws, resource_id, props) or props

    def call(self, args: mocks.MockCallArgs) -> Any:
        return table.invoke(self._aws, args.token)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if "::pulumi:pulumi:Stack::" in request.urn:
            self.outputs = unwrapped(json_format.MessageToDict(request.outputs))
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]  # pulumi's generated base has no types


def run(project: Path, stack: str, aws: EmbeddedAws) -> tuple[Props, int]:
    """Run the project's program to its end: (outputs, number of AWS resources made). Raises ConfigError, Refused."""
    config = stack_config(project, stack)
    region = config.get("aws:region") or aws.region
    monitor = Monitor(Aws(aws.endpoint, region))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    logger = logging.getLogger("artifact-store-monitor")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    pulumi.runtime.set_all_config(config, [])
    mocks.set_mocks(monitor, project=PROJECT, stack=stack, preview=False, logger=logger, monitor=monitor)
    settings.set_root_resource(None)  # type: ignore[arg-type]  # forgets the last one; run_in_stack makes the next
    main = program(project)
    try:
        loop.run_until_complete(run_in_stack(main))
    except pulumi.RunError as error:
        raise ConfigError(str(error).splitlines()) from error
    finally:
        # After a failing program the next one in this process would wait for its outputs for ever.
        settings.SETTINGS.rpc_manager.clear()
        settings.SETTINGS.outputs.clear()
        loop.close()
    return monitor.outputs, len(monitor.made)


def stack_config(project: Path, stack: str) -> dict[str, str]:
    """What the engine would hand to the program. Raises ConfigError where there is no such stack, or a value is
    encrypted."""
    values = stack_values(project, stack)
    secret = [key for key, value in values.items() if '"secure"' in json.dumps(value)]
    if secret:
        raise ConfigError(
            [f"stack {stack}: {key}: is encrypted, and only the Pulumi engine can decrypt" for key in secret]
        )
    return {key: engine_text(value) for key, value in values.items() if value is not None}

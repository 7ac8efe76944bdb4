"""`promise`: what can be got back, read from the stack file; needs no engine and no AWS."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import console, emit, say
from artifact_store.errors import ConfigError

Folder = Annotated[Path, typer.Option("-C", "--folder", help="The project's folder.")]


def register(app: typer.Typer) -> None:
    app.command("promise", help="What can be got back, in plain words.")(promise)


def promise(
    stack: Annotated[str | None, typer.Option(help="Which Pulumi.STACK.yaml.", show_default=False)] = None,
    folder: Folder = Path(),
    as_json: opt.Json = False,
) -> None:
    from artifact_store import design
    from artifact_store.promise import promise as compute
    from artifact_store.promise import text

    name = stack or _only_stack(folder)
    store, warnings = design.of_files(folder, name)
    for warning in warnings:
        say(f"warning: {warning}", "yellow")
    rows = compute(store)
    if as_json:
        for row in rows:
            emit(asdict(row))
        return
    console().print(text(rows))


def _only_stack(folder: Path) -> str:
    known = sorted(path.name.split(".")[1] for path in folder.glob("Pulumi.*.yaml"))
    if len(known) != 1:
        found = (
            f"stacks here: {', '.join(known)}" if known else f"no Pulumi.*.yaml in {folder.resolve()}; name it with -C"
        )
        raise ConfigError([f"say which stack with --stack; {found}"])
    return known[0]

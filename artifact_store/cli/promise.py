"""`promise`: what can be got back, read from the stack file; needs no engine and no AWS."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from artifact_store.cli import options as opt
from artifact_store.cli.output import emit, say, tell
from artifact_store.errors import ConfigError


def promise(
    stack: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which Pulumi.NAME.yaml.", show_default=False)
    ] = None,
    folder: Annotated[
        Path, typer.Option("-C", "--folder", metavar="DIR", help="The project's folder.", show_default=False)
    ] = Path(),
    as_json: opt.Json = False,
) -> None:
    """Say what can be got back, in plain words.

    Reads the stack's config alone: no engine, no AWS. With --json, a row a line: what, granularity, how_far_back,
    how_fresh, where, survives, how_far_back_days (null: for ever), how_fresh_minutes.
    """
    from artifact_store.promise import promise as compute
    from artifact_store.promise import text
    from artifact_store.stack import of_files

    store, warnings = of_files(folder, stack or _only_stack(folder))
    for warning in warnings:
        say(f"warning: {warning}", "yellow")
    rows = compute(store)
    if as_json:
        for row in rows:
            emit(asdict(row))
    else:
        tell(text(rows))


def _only_stack(folder: Path) -> str:
    known = sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in folder.glob("Pulumi.*.yaml"))
    if not known:
        raise ConfigError([f"no Pulumi.NAME.yaml in {folder.resolve()}; name the project's folder with -C"])
    if len(known) > 1:
        raise ConfigError([f"several stacks in {folder.resolve()}: {', '.join(known)}; name one with --stack"])
    return known[0]

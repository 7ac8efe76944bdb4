"""The command line: parsing, exit codes, and one line for every error.

Owns no decision. Exit codes: 0 done, 1 differences (`diff --exit-code`), 2 usage, 3 some keys failed, 4 refused,
130 interrupted. What is slow to load is loaded by the command that needs it.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from artifact_store.cli import looking, promising, restoring
from artifact_store.errors import ArtifactStoreError, KeysFailed

app = typer.Typer(
    name="artifact-store",
    help="Point-in-time restore for AI model artifacts on S3.",
    epilog="T: 2026-05-04T13:30:00Z, @1777901400, or an age such as 90m, 2h, 7d. What was written at T existed at T.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in (looking, restoring, promising):
    module.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"artifact-store {version('artifact-store')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it and exit.")
    ] = False,
) -> None:
    """Only for --version."""


def main() -> NoReturn:
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code and lets no error of this package through."""
    from artifact_store.cli.output import printable, say

    try:
        result = app(arguments or ["--help"], prog_name="artifact-store", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except KeysFailed as error:
        say(f"error: {printable(str(error))}", "red")
        for key, reason in error.failures:
            say(f"  {printable(key)}: {printable(reason)}")
        return error.exit_code
    except ArtifactStoreError as error:
        for line in str(error).splitlines():
            say(f"error: {printable(line)}", "red")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        return 130
    except BrokenPipeError:
        # Whoever reads stdout has had enough; the interpreter must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except typer.Exit as stop:
        return stop.exit_code
    except typer.TyperException as error:
        message = getattr(error, "format_message", error.__str__)()
        say(f"error: {printable(message)}; see artifact-store COMMAND --help", "red")
        return 2

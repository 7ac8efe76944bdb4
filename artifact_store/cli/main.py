"""The command line: which commands there are, exit codes, and one line for every error.

Owns no decision. Exit codes: 0 done, 1 differences (`diff --exit-code`), 2 usage, 3 not all is done or proved, 4
refused, 130 interrupted. What is slow to load is loaded by the command that needs it.
"""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from artifact_store.cli.diff import diff
from artifact_store.cli.get import get
from artifact_store.cli.lock import lock
from artifact_store.cli.log import log
from artifact_store.cli.ls import ls
from artifact_store.cli.models import models
from artifact_store.cli.output import OnStdout, printable, say
from artifact_store.cli.promise import promise
from artifact_store.cli.restore import apply, plan, restore, verify
from artifact_store.errors import ArtifactStoreError, KeysFailed, UsageError
from artifact_store.history.instant import ZoneMissing

NAME = "artifact-store"
FAILURES = 20
"""Failed keys that a terminal shows; more would push what is said before out of sight."""

app = typer.Typer(
    name=NAME,
    help="Point-in-time restore for AI model artifacts on S3.",
    epilog="T is 2026-05-04T13:30:00Z, @1777901400 or an age such as 90m, 2h, 7d; what was written at T existed at T. "
    "Exit codes: 0 done, 1 differences (diff --exit-code), 2 usage, 3 not all is done or proved, 4 refused, 130 "
    "interrupted.",
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: it pipes, and spares loading rich.
    rich_markup_mode=None,
)
for command in (ls, diff, log, plan, apply, restore, get, verify, models, lock, promise):
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"{NAME} {version(NAME)}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it and exit.")
    ] = False,
) -> None:
    """Only for --version."""


def main() -> NoReturn:
    """The entry point."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        # A key may hold what the terminal's encoding lacks; that must not end the command.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # A job that is told to end, or whose terminal is closed, says what is done and what is not, as after Ctrl-C; one
    # that nohup started goes on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def _open_what_is_closed() -> None:
    """Python has None for a stream that the shell closed (>&-): what is written there goes nowhere, as was asked."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 - stays open as long as the process
            setattr(sys, name, stream)


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code and lets no error of this package through."""
    try:
        # Not app(): it has its own mind about interrupts and closed pipes.
        command = typer.main.get_command(app)
        # A copy: words are taken out of it.
        with command.make_context(NAME, [*arguments] or ["--help"]) as context:
            result = command.invoke(context)
        with OnStdout():
            sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except ArtifactStoreError as error:
        _tell(error, arguments)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort) as stop:
        # Where a command may have written something, it says itself what.
        say(f"interrupted: {str(stop) or 'nothing was written'}")
        return 130
    except BrokenPipeError:
        return _unread()
    except OSError as error:
        _error(_machine(error))
        return ArtifactStoreError.exit_code
    except typer.Exit as stop:
        return stop.exit_code
    except typer.TyperException as error:
        where = getattr(error, "ctx", None)
        _error(_moved(arguments) or f"{_message(error)}; see {where.command_path if where else NAME} --help")
        return UsageError.exit_code


def _message(error: typer.TyperException) -> str:
    told: str = getattr(error, "format_message", error.__str__)()
    return told.rstrip(".")


def _moved(arguments: list[str]) -> str:
    """What to type where options stand before the command; "" where that is not what is wrong."""
    from artifact_store.cli.misplaced import mended

    words = mended(getattr(typer.main.get_command(app), "commands", {}), arguments)
    return f"options come after the command: {shlex.join([NAME, *words])}" if words else ""


def _tell(error: ArtifactStoreError, arguments: list[str]) -> None:
    for line in str(error).splitlines():
        _error(line)
    if isinstance(error, KeysFailed):
        shown = error.failures[:FAILURES] if sys.stderr.isatty() else error.failures
        for key, reason in shown:
            say(f"  {printable(key)}: {printable(reason)}")
        if len(shown) < len(error.failures):
            say(f"  … and {len(error.failures) - len(shown):,} more; --json names them all, and so does a pipe")
    if isinstance(error, ZoneMissing):
        for _, written in error.readings:
            say(f"  {printable(shlex.join([NAME, *(word.replace(error.text, written) for word in arguments)]))}")


def _machine(error: OSError) -> str:
    """An error of this machine, and what to do where that is not plain."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS) and not error.filename:
        folder = os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - named in a hint, not used
        return (
            f"{error.strerror}: in {folder}, which holds what is too large for memory (TMPDIR names another), or where "
            "the plan is written; make room there, or name another place"
        )
    return f"{error.filename or 'this machine'}: {error.strerror or error}"


def _error(message: str) -> None:
    say(f"error: {printable(message)}", "red")


def _unread() -> int:
    """Whoever read stdout has had enough; the interpreter must not complain about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141

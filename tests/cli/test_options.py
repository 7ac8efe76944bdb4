"""Options that belong together are one value to a command, and single options to its user."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from artifact_store.cli.options import grouped


@dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option("--width", "-w")] = 3
    tall: Annotated[bool, typer.Option("--tall")] = False


@grouped
def draw(name: str, *, size: Size, often: int = 1) -> None:
    """Draw it."""
    typer.echo(f"{name} {size} {often}")


def run(*arguments):
    app = typer.Typer()
    app.command()(draw)
    return CliRunner().invoke(app, arguments)


def test_a_group_is_made_of_the_options_that_were_given_and_the_defaults_of_the_others():
    assert run("x").output == "x Size(width=3, tall=False) 1\n"
    assert run("x", "-w", "5", "--tall", "--often", "2").output == "x Size(width=5, tall=True) 2\n"


def test_its_options_are_in_the_help_and_the_group_is_not():
    told = run("--help").output
    assert "--width" in told
    assert "--tall" in told
    assert "--size" not in told
    assert "Draw it." in told


def test_a_wrong_value_of_an_option_in_a_group_is_the_users_mistake():
    assert run("x", "-w", "wide").exit_code == 2

"""What was measured, as rows with a target each, and the three ways to show them: table, JSON lines, markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

HEADINGS = ("what", "ours", "other", "result", "target", "")


@dataclass(frozen=True)
class Row:
    """figure: what the target is about, in `unit` ("x" for a ratio of ours to the other's). most, least: the target, at
    most one of the two. wrong: why a result is not what it must be, "" where it is; then the figure counts for nothing.
    """

    what: str
    ours: str
    other: str
    figure: float
    unit: str = "x"
    most: float | None = None
    least: float | None = None
    wrong: str = ""

    @property
    def verdict(self) -> str:
        """ok, MISSED or WRONG; "" where nothing was to be reached."""
        if self.wrong:
            return "WRONG"
        if self.most is None and self.least is None:
            return ""
        met = (self.most is None or self.figure <= self.most) and (self.least is None or self.figure >= self.least)
        return "ok" if met else "MISSED"

    @property
    def target(self) -> str:
        """In words, "" for none."""
        bound = self.most if self.most is not None else self.least
        if bound is None:
            return ""
        return f"{'at most' if self.most is not None else 'at least'} {bound:g} {self.unit}"

    def cells(self) -> tuple[str, ...]:
        """As text, in the order of HEADINGS."""
        return (self.what, self.ours, self.other, f"{short(self.figure)} {self.unit}", self.target, self.verdict)


def short(figure: float) -> str:
    """Two or three digits that say something: 0.347, 5.21, 42.6, 5,812."""
    return f"{figure:,.0f}" if figure >= 100 or figure == int(figure) else f"{figure:.3g}"


def show(rows: Sequence[Row], console: Console) -> None:
    """As a table; why a result is wrong comes below it."""
    from rich.table import Table

    table = Table(*HEADINGS)
    colours = {"ok": "green", "MISSED": "yellow", "WRONG": "red", "": "default"}
    for row in rows:
        *cells, verdict = row.cells()
        table.add_row(*cells, f"[{colours[verdict]}]{verdict}[/]")
    console.print(table)
    for row in rows:
        if row.wrong:
            console.print(f"WRONG: {row.what}: {row.wrong}", markup=False)


def as_json(rows: Sequence[Row]) -> str:
    """One object a line."""
    return "\n".join(json.dumps({**asdict(row), "target": row.target, "verdict": row.verdict}) for row in rows)


def as_markdown(rows: Sequence[Row]) -> str:
    """A table for a README."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

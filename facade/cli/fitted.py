"""Rows that fit a terminal: as a table whose cells break between words, or else each row by itself, as a record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from facade.cli.output import table

GAP = 2
"""Columns between two columns of a table."""
Cell = str | Text


class _Need(NamedTuple):
    least: int
    """Columns of the terminal that the longest word takes."""
    most: int
    """Columns that the longest cell takes."""


class Fitted:
    """A table of *rows* below *headings*; *right* are columns of numbers.

    If it cannot be shown in the columns there are without breaking words, each row becomes a record: a line for each
    cell that is not empty, with its heading.
    """

    def __init__(self, headings: Sequence[str], rows: Sequence[Sequence[Cell]], right: Sequence[int] = ()) -> None:
        self._headings, self._right = headings, right
        self._rows = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what is to be printed."""
        widths = shared([self._need(index) for index in range(len(self._headings))], options.max_width)
        if widths is not None:
            yield self._table(widths)
        else:
            for number, row in enumerate(self._rows):
                if number:
                    yield Text()
                yield self._record(row)

    def _need(self, index: int) -> _Need:
        texts = [self._headings[index], *[row[index].plain for row in self._rows]]
        words = (word for text in texts for word in text.split())
        lines = (line for text in texts for line in text.splitlines())
        return _Need(max(map(cell_len, words), default=0), max(map(cell_len, lines), default=0))

    def _table(self, widths: Sequence[int]) -> Table:
        made = table(*self._headings, right=self._right)
        for column, width in zip(made.columns, widths, strict=True):
            column.width = width
        for row in self._rows:
            made.add_row(*row)
        return made

    def _record(self, row: Sequence[Text]) -> Table:
        made = table("", "", whole=(0,))
        made.show_header = False
        for heading, cell in zip(self._headings, row, strict=True):
            if cell.plain:
                made.add_row(Text(heading, style="bold"), cell)
        return made


def shared(needs: Sequence[_Need], width: int) -> list[int] | None:
    """Return how wide columns are to be in *width*: what they need at least, and a fair share of what is left.

    None, if that is not enough.
    """
    left = width - GAP * (len(needs) - 1) - sum(need.least for need in needs)
    if left < 0:
        return None
    widths = [need.least for need in needs]
    order = sorted(range(len(needs)), key=lambda index: needs[index].most - needs[index].least)
    for place, index in enumerate(order):
        more = min(needs[index].most - needs[index].least, left // (len(order) - place))
        widths[index] += more
        left -= more
    return widths

"""Rows in a terminal of any width: no word is broken, nothing is lost."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from facade.cli.fitted import GAP, Fitted, _Need, shared

ROWS = [("calexp-HSC-I-903986-016-r11p01.fits", "exec 1 (assembleCoadd) exited with 2", "17"), ("b.fits", "", "100203")]
HEADINGS = ("file", "what became of it", "bytes")


def lines(width: int, rows: object = ROWS) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(Fitted(HEADINGS, rows, right=(2,)))  # type: ignore[arg-type]
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_what_fits_is_a_table() -> None:
    head, first, second = lines(100)
    assert head.split() == ["file", "what", "became", "of", "it", "bytes"]
    assert first.split("  ")[0] == ROWS[0][0] and first.endswith("17") and second.endswith("100203")


def test_cells_break_between_words() -> None:
    told = lines(70)
    assert len(told) > 3 and all(cell_len(line) <= 70 for line in told)
    assert {word for row in ROWS for cell in row for word in cell.split()} <= set(" ".join(told).split())


def test_in_less_each_row_is_a_record_without_empty_cells() -> None:
    told = lines(55)
    assert told[0] == f"file               {ROWS[0][0]}" and told[2] == "bytes              17" and told[3] == ""
    assert told[4:] == ["file   b.fits", "bytes  100203"]


def test_rows_that_are_none_leave_their_headings() -> None:
    assert lines(80, []) == ["file  what became of it  bytes"]


@given(
    st.lists(st.builds(lambda a, b: _Need(a, a + b), st.integers(0, 30), st.integers(0, 60)), min_size=1),
    st.integers(1, 200),
)
def test_shares_are_fair(needs: list[_Need], width: int) -> None:
    found = shared(needs, width)
    room = width - GAP * (len(needs) - 1)
    if found is None:
        assert sum(need.least for need in needs) > room
        return
    assert all(need.least <= got <= need.most for need, got in zip(needs, found, strict=True))
    assert sum(found) == min(room, sum(need.most for need in needs))


@pytest.mark.parametrize("cell", ["[bold]x[/bold]", Text("colour", style="red"), "a\nb", "日本語"])
def test_cells_are_taken_as_they_are(cell: str | Text) -> None:
    text = "\n".join(lines(100, [(cell, "", "")]))
    assert all(line in text for line in (cell if isinstance(cell, str) else cell.plain).split("\n"))

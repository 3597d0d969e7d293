"""Tables and progress for people: what fits a terminal, with colour where there is one."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

PIPE = 10_000
"""Columns of what is no terminal."""


def console(*, err: bool = False) -> Console:
    """Return a console that neither breaks nor cuts a line of a pipe: paths in it are to be copied."""
    people = for_people(err=err)
    return Console(stderr=err, highlight=False, width=None if people else PIPE, soft_wrap=not people)


def for_people(*, err: bool = False) -> bool:
    """Tell whether a terminal shows what is printed."""
    return (sys.stderr if err else sys.stdout).isatty()


def show(*what: RenderableType, err: bool = False) -> None:
    """Print; into a pipe without the spaces that fill columns up."""
    out = console(err=err)
    with contextlib.nullcontext() if for_people(err=err) else out.capture() as made:
        for one in what:
            out.print(one, crop=False)
    if made is not None:
        texts = made.get().removesuffix("\n").split("\n")
        click.echo("\n".join(text.rstrip(" ") for text in texts), err=err)


def lines(texts: Iterable[Text]) -> None:
    """Print lines, of which there may be very many, one after the other."""
    out = console() if for_people() else None
    for text in texts:
        if out is None:
            click.echo(text.plain)
        else:
            out.print(text)


def table(*headings: str, right: Sequence[int] = (), whole: Sequence[int] = ()) -> Table:
    """Return an empty table in the house's style; *right* are columns of numbers, *whole* those that are not broken."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        justify: JustifyMethod = "right" if index in right else "left"
        made.add_column(heading, justify=justify, overflow="fold", no_wrap=index in whole)
    return made


def plain_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as CSV, column names first."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def plain_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=1, default=str))

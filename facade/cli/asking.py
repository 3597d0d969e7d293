"""Asking the registry: ``facade sql``; and keeping: ``facade tag``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from facade.cli import output
from facade.cli.context import operator, registry, talk
from facade.errors import DONE, InputError
from facade.run import find


@click.command()
@click.argument("name", required=False)
@click.argument("parameters", nargs=-1, metavar="[KEY=VALUE]…")
@click.option("-c", "text", help="SQL of your own; it can only read.")
@click.option("--json", "as_json", is_flag=True, help="Rows as JSON on stdout.")
@click.option("--csv", "as_csv", is_flag=True, help="Rows as CSV on stdout.")
def sql(name: str | None, parameters: tuple[str, ...], text: str | None, as_json: bool, as_csv: bool) -> int:
    """Answer a named question, or one of your own (-c). Without either: list the named ones."""
    if text is not None and name is not None:
        raise InputError("give a NAME or -c SQL, not both")
    with registry() as opened:
        if text is not None:
            found = opened.run_sql(text)
        elif name is not None:
            found = opened.run_named(name, _parameters(parameters))
        else:
            rows = output.table("name", "answers")
            for query, description in opened.named_queries().items():
                rows.add_row(query, description)
            output.show(rows)
            return DONE
    output.answer(found, as_csv=as_csv, as_json=as_json)
    return DONE


def _parameters(words: Sequence[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"'{word}' is not key=value")
        result[key] = int(value) if value.isdigit() else value
    return result


@click.command()
@click.argument("attempt")
@click.argument("tag_name", metavar="TAG")
def tag(attempt: str, tag_name: str) -> int:
    """Put TAG on ATTEMPT, so that its files can be asked for by tag."""
    with registry() as opened:
        found = find(opened, attempt)
        opened.tag(found.id, tag_name, operator())
    talk(f"{found.name} is tagged {tag_name}")
    return DONE


@click.command()
@click.argument("attempt")
@click.argument("tag_name", metavar="TAG")
def untag(attempt: str, tag_name: str) -> int:
    """Take TAG off ATTEMPT."""
    with registry() as opened:
        found = find(opened, attempt)
        there = opened.untag(found.id, tag_name)
    talk(f"{found.name} {'is no longer' if there else 'was not'} tagged {tag_name}")
    return DONE

"""Asking the registry: ``facade sql``; and keeping: ``facade tag``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
from rich.text import Text

from facade.cli import output
from facade.cli.context import operator, registry, talk
from facade.cli.fitted import Fitted
from facade.errors import DONE, InputError
from facade.registry import Registry
from facade.registry.finding import Wanted
from facade.registry.questions import named_queries, named_query
from facade.registry.values import Answer
from facade.run import find


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name", required=False)
@click.argument("parameters", nargs=-1, metavar="[--PARAMETER VALUE]…", type=click.UNPROCESSED)
@click.option("-c", "text", help="SQL of your own; it can only read.")
@click.option("--text", "as_text", is_flag=True, help="Print the question itself, to be pasted into psql.")
@click.option("--json", "as_json", is_flag=True, help="Rows as JSON on stdout.")
@click.option("--csv", "as_csv", is_flag=True, help="Rows as CSV on stdout.")
def sql(
    name: str | None, parameters: tuple[str, ...], text: str | None, as_text: bool, as_json: bool, as_csv: bool
) -> int:
    """Answer the named question NAME, or one of your own (-c). Without either: list the named ones.

    Parameters of NAME are said as --PARAMETER VALUE or PARAMETER=VALUE.
    """
    if text is not None and name is not None:
        raise InputError("give a NAME or -c SQL, not both")
    if text is None and (name is None or as_text):
        return _listed(as_json) if name is None else _text(name)
    with registry() as opened:
        if text is not None:
            found = opened.run_sql(text)
        else:
            assert name is not None
            values = _parameters(parameters)
            found = opened.run_named(name, values)
            if not found.rows:
                _known(opened, values)
    _show(found, as_csv=as_csv, as_json=as_json)
    return DONE


def _text(name: str) -> int:
    click.echo(named_query(name).text, nl=False)
    return DONE


def _listed(as_json: bool) -> int:
    queries = named_queries().values()
    if as_json:
        output.plain_json([
            {"name": one.name, "answers": one.description, "example": one.example,
             "parameters": {key: what.what for key, what in one.parameters.items()}} for one in queries
        ])  # fmt: skip
        return DONE
    rows = [(one.name, " ".join(one.parameters), one.description) for one in queries]
    output.show(Fitted(("name", "parameters", "answers"), rows))
    return DONE


def _show(found: Answer, *, as_csv: bool, as_json: bool) -> None:
    if as_json:
        output.plain_json(found.dicts())
    elif as_csv:
        output.plain_csv(found.columns, found.rows)
    else:
        rows = [["" if cell is None else str(cell) for cell in row] for row in found.rows]
        many = f"{len(found.rows)} row{'' if len(found.rows) == 1 else 's'}"
        output.show(Fitted(found.columns, rows), Text(many, style="bright_black"))


def _parameters(words: Sequence[str]) -> dict[str, str]:
    """Read ``--key value``, ``--key=value`` and ``key=value``."""
    result: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        key, equals, value = word.removeprefix("--").partition("=")
        if not equals and word.startswith("--") and left:
            value = left.pop(0)
        elif not equals:
            problem = "needs a value" if word.startswith("--") else "is not --parameter value"
            raise InputError(f"'{word}' {problem}", remedy="facade sql lists the questions and their parameters")
        result[key] = value
    return result


def _known(opened: Registry, values: Mapping[str, str]) -> None:
    """Where nothing was found, see that what was asked about is there at all; names near a wrong one are told."""
    if "attempt" in values:
        find(opened, values["attempt"])
    if "file" in values:
        opened.care.find(Wanted(names=[values["file"]]))
    if "tag" in values:
        opened.care.ensure_tag(values["tag"])
    if "filetype" in values:
        opened.care.find(Wanted(filetype=values["filetype"], limit=1))


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

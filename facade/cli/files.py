"""``facade query``: inputs, as a campaign finds them."""

from __future__ import annotations

import click

from facade import plugins
from facade.answers import ask
from facade.cli import output
from facade.cli.context import registry, talk
from facade.cli.fitted import Fitted
from facade.errors import DONE, InputError


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--json", "as_json", is_flag=True, help="Lines as JSON on stdout.")
@click.option("--csv", "as_csv", is_flag=True, help="Lines as CSV on stdout.")
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def query(name: str, arguments: tuple[str, ...], as_json: bool, as_csv: bool) -> int:
    """Run query code NAME with ARGUMENTS, exactly as a campaign would, and show its lines."""
    if name not in plugins.names("query"):
        raise InputError(f"no query code is called '{name}'", remedy=f"there are: {', '.join(plugins.names('query'))}")
    with registry() as opened:
        lines = ask(name, arguments, opened.rows)
    if as_json:
        output.plain_json([line.get("", line) for line in lines])
        return DONE
    rows = [{(f"{nick}.{k}" if nick else k): v for nick, row in line.items() for k, v in row.items()} for line in lines]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if as_csv:
        output.plain_csv(columns, [[row.get(column) for column in columns] for row in rows])
        return DONE
    columns = [column for column in columns if column.rpartition(".")[2] not in ("checksum", "desfile_id")]
    same = {c: rows[0].get(c) for c in columns if len(rows) > 1 and len({row.get(c) for row in rows}) == 1}
    shown = [c for c in columns if c not in same]
    output.show(Fitted(shown, [["" if row.get(c) is None else str(row[c]) for c in shown] for row in rows]))
    if same:
        talk("all lines: " + " ".join(f"{k}={v}" for k, v in same.items() if v not in (None, "")))
    talk(f"{len(rows)} line{'' if len(rows) == 1 else 's'}")
    return DONE

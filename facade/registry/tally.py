"""What a database holds, as numbers that can be compared: of each table how many rows, and a sum over all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from facade.registry.connection import Cursor

Step = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

PASSWORDS = "role_login"
"""The table that never leaves its database: a new home has roles, and so passwords, of its own."""
TABLES = """
select c.relname::text as name from pg_class c
 where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname <> %s
   and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
 order by 1"""
WRITTEN = "set local timezone = 'UTC'; set local datestyle = 'ISO'; set local extra_float_digits = 1; \
set local bytea_output = 'hex'; set local intervalstyle = 'postgres'"
"""So that a row is written alike on every server."""


_SUM = "coalesce(sum(hashtextextended(t::text, 0)), 0)::text"


class Tally(NamedTuple):
    """How many rows a table has, and the sum of their hashes: the same for the same rows in whatever order."""

    rows: int
    sum: int


def nothing(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def tables(cursor: Cursor) -> list[str]:
    """Return the tables whose rows count."""
    cursor.execute(TABLES, (PASSWORDS,))
    return [row["name"] for row in cursor.fetchall()]


def tally(cursor: Cursor, step: Step = nothing) -> dict[str, Tally]:
    """Return the tally of every table, as the transaction of *cursor* sees them."""
    cursor.execute(WRITTEN)
    result, names = {}, tables(cursor)
    for done, name in enumerate(names):
        step(f"counting {name}", done, len(names))
        cursor.execute(f"select count(*) as rows, {_SUM} as sum from only public.{quoted(name)} t")  # noqa: S608
        row = cursor.fetchone()
        assert row is not None
        result[name] = Tally(row["rows"], int(row["sum"]))
    step("counted", len(names), len(names))
    return result


def differences(wanted: dict[str, Tally], found: dict[str, Tally]) -> list[str]:
    """Say of which tables the rows are not the same, and how."""
    told = []
    for name in sorted(wanted.keys() | found.keys()):
        one, other = wanted.get(name), found.get(name)
        if one is None or other is None:
            told.append(f"{name} is {'missing' if other is None else 'too much'}")
        elif one.rows != other.rows:
            told.append(f"{name} has {other.rows} rows instead of {one.rows}")
        elif one.sum != other.sum:
            told.append(f"the rows of {name} are not the same")
    return told

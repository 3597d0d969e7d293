"""The names of columns in a question that goes to several tables, and joins as operators write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import sqlalchemy as sa

from facade.errors import InputError
from facade.registry.conditions import Column, Condition
from facade.registry.values import DIMENSIONS
from facade.wcl.tree import did_you_mean

_EQUALITY = re.compile(r"\s*(\w+)\.(\w+)\s*=\s*(\w+)\.(\w+)\s*$")
_FAMILIES = ((sa.Boolean,), (sa.Integer, sa.Float), (sa.DateTime,), (sa.Date,), (sa.Text,))


class Named:
    """The columns that a question may name: ``column``, or ``table.column``.

    A name without a table means the *own* table if that has it, else the only one that does.
    """

    def __init__(self, own: str) -> None:
        self._own = own
        self._tables: dict[str, dict[str, Column]] = {}

    def add(self, table: str, columns: Mapping[str, Column]) -> None:
        """Make the columns of a table known."""
        self._tables.setdefault(table, {}).update(columns)

    def has(self, table: str) -> bool:
        """Tell whether the question goes to *table*."""
        return table in self._tables

    def columns(self, table: str | None) -> list[str]:
        """Return the columns of *table*, each with its name."""
        return [f"{table}.{name}" for name in self._tables.get(table or "", ())]

    def owner(self, column: Column) -> str:
        """Return the full name of a column."""
        return next(f"{t}.{name}" for t, names in self._tables.items() for name, c in names.items() if c is column)

    def find(self, name: str) -> Column:
        """Return the column called *name*.

        Raises:
            InputError: there is none, or there are several.
        """
        table, _, short = name.lower().rpartition(".")
        if table:
            self._needs(table, name)
            return self.inside(table, short)
        homes = [one for one in (self._own, *self._tables) if short in self._tables.get(one, ())]
        if not homes:
            raise self._unknown(name, {column for columns in self._tables.values() for column in columns})
        several = list(dict.fromkeys(homes))
        if len(several) > 1 and several[0] not in (self._own, "desfile"):
            message = f"{name!r} may mean {' or '.join(f'{one}.{short}' for one in several)}"
            raise InputError(message, remedy="write it with its table")
        return self._tables[several[0]][short]

    def inside(self, table: str, column: str) -> Column:
        """Return *column* of *table*, which is known; raises InputError if it has none."""
        if column not in self._tables[table]:
            raise self._unknown(f"{table}.{column}", self._tables[table])
        return self._tables[table][column]

    def _needs(self, table: str, name: str) -> None:
        if table not in self._tables:
            there = f"the question goes to: {', '.join(sorted(self._tables))}"
            raise InputError(f"{name!r} is in table {table!r}, which nothing joins", remedy=f"add it to join; {there}")

    @staticmethod
    def _unknown(name: str, known: Iterable[str]) -> InputError:
        names = sorted(known)
        hint = did_you_mean(name.rpartition(".")[2].lower(), names)
        return InputError(f"there is no column {name!r}", remedy=f"{hint} there are: {', '.join(names)}".lstrip())


def joined(
    source: sa.FromClause, text: str, names: Named, joinable: Callable[[str], sa.FromClause | None]
) -> tuple[sa.FromClause, list[Condition]]:
    """Return *source* joined as *text* says, and what else it says of tables that were there.

    The text is ``table.column = other.column``, several with commas. *joinable* gives the tables that
    *names* does not have yet, or None; their columns are added to *names*.

    Raises:
        InputError: the text cannot be read, or its tables and columns are not there or do not fit.
    """
    equalities = [_read(part) for part in text.split(",") if part.strip()]
    new: dict[str, sa.FromClause] = {}
    for table in dict.fromkeys(side[0] for pair in equalities for side in pair if not names.has(side[0])):
        found = joinable(table)
        if found is None:
            raise InputError(f"join: there is no table {table!r} to join", remedy=_TABLES)
        new[table] = found
        names.add(table, {column.name: column for column in found.c if column.name != "desfile_id"})
    conditions = [({a[0], b[0]}, _equal(names, a, b)) for a, b in equalities]
    beyond = [equal for tables, equal in conditions if not tables & new.keys()]
    while new:
        ready = next((t for t in new if any(tables & new.keys() == {t} for tables, _ in conditions)), "")
        if not ready:
            raise InputError(f"join: nothing joins {' or '.join(new)} to the files", remedy="add table.column = …")
        wanted = new.pop(ready)
        on = [equal for tables, equal in conditions if ready in tables and not tables & new.keys()]
        source = source.join(wanted, sa.and_(*on))
    return source, beyond


_TABLES = f"write proctag, {', '.join(DIMENSIONS)}, or the metadata table of a filetype"


def _read(part: str) -> tuple[tuple[str, str], tuple[str, str]]:
    found = _EQUALITY.match(part)
    if found is None:
        raise InputError(f"join: '{part.strip()}' is not read", remedy="write table.column = other.column, …")
    one, column, other, second = (word.lower() for word in found.groups())
    if one == other:
        raise InputError(f"join: '{part.strip()}' names one table twice", remedy="compare columns of two tables")
    return (one, column), (other, second)


def _equal(names: Named, one: tuple[str, str], other: tuple[str, str]) -> sa.ColumnElement[bool]:
    left, right = names.inside(*one), names.inside(*other)
    if _family(left) != _family(right):
        message = f"join: {'.'.join(one)} and {'.'.join(other)} are of different types, {left.type} and {right.type}"
        raise InputError(message.lower(), remedy="join columns that hold the same things")
    return left == right


def _family(column: Column) -> int:
    return next(i for i, kinds in enumerate(_FAMILIES) if isinstance(column.type, kinds))

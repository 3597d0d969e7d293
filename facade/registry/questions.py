"""Questions in SQL: those with a name (sql/queries), and those an operator types. Neither can write."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from facade.errors import InputError
from facade.registry.connection import Address, Cursor, Session, StatementError
from facade.registry.values import Answer

HEAD = re.compile(r"-- (?P<name>[a-z][a-z0-9-]*): (?P<description>.+)\n")
PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
READ_ONLY = "begin transaction isolation level repeatable read read only"
OPERATORS_FAULT = ("22", "42")  # SQLSTATE classes: bad data, and syntax or names


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A question with a name. ``parameters`` are in the order in which the text first names them."""

    name: str
    description: str
    text: str
    parameters: tuple[str, ...]


@functools.cache
def named_queries() -> Mapping[str, NamedQuery]:
    """Return the questions of sql/queries, by name; parameters stand in them as ``:name``."""
    found = {}
    for file in sorted(files("facade_sql").joinpath("queries").iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".sql"):
            text = file.read_text(encoding="utf-8")
            head = HEAD.match(text)
            if head is None or head["name"] + ".sql" != file.name:
                raise InputError(f"sql/queries/{file.name} must begin with '-- {file.name[:-4]}: what it answers'")
            parameters = tuple(dict.fromkeys(PARAMETER.findall(text[head.end() :])))
            found[head["name"]] = NamedQuery(head["name"], head["description"].strip(), text, parameters)
    return found


def run_named(session: Session, name: str, params: Mapping[str, Any]) -> Answer:
    """Answer a named question (see `Registry.run_named`)."""
    query = named_queries().get(name)
    if query is None:
        close = difflib.get_close_matches(name, named_queries(), n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise InputError(f"no query is called {name!r}", remedy=f"{hint}there are: {', '.join(named_queries())}")
    if missing := [parameter for parameter in query.parameters if parameter not in params]:
        raise InputError(f"query {name} needs {' and '.join(missing)}")
    if unknown := sorted(set(params) - set(query.parameters)):
        known = ", ".join(query.parameters) or "none"
        raise InputError(f"query {name} has no parameter {unknown[0]!r}", remedy=f"it has: {known}")
    bound = PARAMETER.sub(r"%(\1)s", query.text.replace("%", "%%"))
    try:
        with session.transaction(begin=READ_ONLY) as cursor:
            cursor.execute(bound, dict(params))
            return _answer(cursor)
    except StatementError as error:
        raise _blamed(error) from error


def run_sql(address: Address, text: str) -> Answer:
    """Answer an operator's own SQL, on a connection that starts every transaction read-only."""
    with closing(Session(address, options="-c default_transaction_read_only=on")) as session:
        try:
            with session.transaction(begin=READ_ONLY) as cursor:
                cursor.execute(text)
                return _answer(cursor)
        except StatementError as error:
            raise _blamed(error) from error


def _answer(cursor: Cursor) -> Answer:
    if cursor.description is None:
        return Answer((), ())
    columns = tuple(column.name for column in cursor.description)
    return Answer(columns, tuple(tuple(row.values()) for row in cursor.fetchall()))


def _blamed(error: StatementError) -> Exception:
    if error.sqlstate[:2] in OPERATORS_FAULT and error.sqlstate != "42501":
        return InputError(error.message.removeprefix("the database refused: "))
    return error

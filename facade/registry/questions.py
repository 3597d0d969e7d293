"""Questions in SQL: those with a name (sql/queries), and those an operator types. Neither can write.

A named one is a text for psql: parameters stand in it as ``:'name'``, and ``\\set`` lines at its top give them the
values of the example. Its first lines say what it answers and what its parameters are (`HEAD`, `ABOUT`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from facade.errors import InputError, RefusedError, RegistryError
from facade.registry.connection import DENIED, PATIENCE, Address, Cursor, Session, StatementError
from facade.registry.finding import storable
from facade.registry.values import Answer
from facade.wcl.tree import did_you_mean

HEAD = re.compile(r"-- (?P<name>[a-z][a-z0-9-]*): (?P<description>.+)\n")
ABOUT = re.compile(r"-- :(?P<name>[a-z_]+)(?: \[(?P<default>[^\]]*)\])? +(?P<what>.+)\n")
EXAMPLE = re.compile(r"-- example: (?P<words>facade sql .+)\n")
SET = re.compile(r"\\set .*\n")
PARAMETER = re.compile(r":'([a-z_]+)'")
READ_ONLY = "begin transaction isolation level repeatable read read only"
OPEN = """
select set_config('facade.question', %s, true);
do $$ declare answer refcursor := 'answer'; begin open answer for execute current_setting('facade.question'); end $$
"""
NO_QUESTION = "42P11"
"""SQLSTATE of what cannot be a cursor: it does not only read, or is several statements."""
OPERATORS_FAULT = ("22", "42")  # SQLSTATE classes: bad data, and syntax or names


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a question is told: in a few words, and the value it has if nothing is said (None: it must be said)."""

    what: str
    default: str | None


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A question with a name; ``text`` can be pasted into psql, ``example`` typed into a shell."""

    name: str
    description: str
    example: str
    parameters: Mapping[str, Parameter]
    text: str

    def bound(self) -> str:
        """Return the text as the driver wants it."""
        return PARAMETER.sub(r"%(\1)s", SET.sub("", self.text).replace("%", "%%"))


@functools.cache
def named_queries() -> Mapping[str, NamedQuery]:
    """Return the questions of sql/queries, by name."""
    texts = {
        file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
        for file in files("facade_sql").joinpath("queries").iterdir()
        if file.name.endswith(".sql")
    }
    return {name: _read(name, text) for name, text in sorted(texts.items())}


def _read(name: str, text: str) -> NamedQuery:
    head, example = HEAD.match(text), EXAMPLE.search(text)
    about = {one["name"]: Parameter(one["what"].strip(), one["default"]) for one in ABOUT.finditer(text)}
    if head is None or head["name"] != name or example is None or set(about) != set(PARAMETER.findall(text)):
        raise InputError(
            f"sql/queries/{name}.sql does not begin as it should",
            remedy=f"write '-- {name}: what it answers', a line '-- :parameter  what it is' for each, and an example",
        )
    return NamedQuery(name, head["description"].strip(), example["words"], about, text)


def run_named(session: Session, name: str, params: Mapping[str, Any]) -> Answer:
    """Answer a named question (see `Registry.run_named`)."""
    query = named_query(name)
    given = {key: str(value) for key, value in params.items()}
    if unknown := sorted(set(given) - set(query.parameters)):
        known = ", ".join(query.parameters) or "none"
        raise InputError(f"query {name} has no parameter {unknown[0]!r}", remedy=f"it has: {known}")
    values = {key: given.get(key, one.default) for key, one in query.parameters.items()}
    if missing := [key for key, value in values.items() if value is None]:
        told = "; ".join(f"{key}: {one.what}" for key, one in query.parameters.items())
        raise InputError(f"query {name} needs {' and '.join(missing)}", remedy=f"{told}\n  as in: {query.example}")
    for value in given.values():
        storable(value)
    try:
        with session.transaction(begin=READ_ONLY, bare=True) as cursor:
            _ask(cursor, query.bound(), values)
            return _answer(cursor)
    except StatementError as error:
        raise _blamed(error) from error


def named_query(name: str) -> NamedQuery:
    """Return the question called *name*.

    Raises:
        InputError: there is none.
    """
    query = named_queries().get(name)
    if query is None:
        remedy = f"{did_you_mean(name, named_queries())} there are: {', '.join(named_queries())}".lstrip()
        raise InputError(f"no query is called {name!r}", remedy=remedy)
    return query


def run_sql(address: Address, text: str, reader: Address | None = None) -> Answer:
    """Answer an operator's own SQL: one statement, in a transaction that can neither write nor be left.

    Who may log in as *reader* does. The statement is opened as a cursor by the server, which takes no second one and no
    ``commit`` there.
    """
    if "\0" in text:
        raise InputError("a question has no NUL characters")
    with closing(_opened(address, reader)) as session:
        try:
            with session.transaction(begin=READ_ONLY, bare=True) as cursor:
                _ask(cursor, OPEN, (text,))
                _ask(cursor, "fetch all from answer")
                return _answer(cursor)
        except StatementError as error:
            if error.sqlstate == NO_QUESTION:
                raise RefusedError(f"this question may only read, and is one statement: {_told(error)}") from error
            if error.sqlstate == DENIED and reader is not None:
                raise RefusedError(f"this question may only read what readers may: {_told(error)}") from error
            raise _blamed(error) from error


def _ask(cursor: Cursor, statement: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> None:
    """Run a statement that may take long: Ctrl-C ends it in the server too, and is not kept waiting by the driver."""
    with ThreadPoolExecutor(1, "facade-question") as pool:
        asked = pool.submit(cursor.execute, statement, values)
        try:
            asked.result()
        except KeyboardInterrupt:
            cursor.connection.cancel()
            raise


def _opened(address: Address, reader: Address | None) -> Session:
    """Return a session of the *reader*, or of ourselves if the server does not let that one in."""
    session = Session(reader or address, patience=0 if reader else PATIENCE)
    try:
        session.connection()
    except RegistryError:
        if reader is None:
            raise
        return Session(address)
    return session


def _answer(cursor: Cursor) -> Answer:
    if cursor.description is None:
        return Answer((), ())
    columns: list[str] = []
    for number, column in enumerate(cursor.description, 1):
        columns.append(column.name if column.name not in columns else f"{column.name}_{number}")
    return Answer(tuple(columns), tuple(tuple(row) for row in cursor.fetchall()))


def _blamed(error: StatementError) -> Exception:
    if error.sqlstate[:2] in OPERATORS_FAULT and error.sqlstate != DENIED:
        return InputError(_told(error))
    return error


def _told(error: StatementError) -> str:
    """Return what the server said, without our words before."""
    return error.message.removeprefix("the database refused: ").removeprefix("the database role may not do this: ")

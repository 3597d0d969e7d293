"""Choosing rows by what operators write: files of a type by their metadata, and rows of dimension tables.

A condition is a scalar (equal), a sequence (any of its elements, each taken literally: ``["8,6"]`` is one patch), None
(no value), or a text with the operators of the generic query:

    a,b        any of                      1:5        from 1 to 5, both included
    abc%       like                        null       no value
    !…         not …                       !a,!b      neither

Numbers compare as numbers. Statements are composed with SQLAlchemy Core and every value is bound; they run on the
registry's one connection, so an engine and its own connection are not needed.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from facade.errors import InputError
from facade.plugins import Scalar
from facade.registry.connection import Session
from facade.registry.metadata import STORED, TYPES
from facade.registry.values import DIMENSIONS

BASE = ("filename", "compression", "filetype", "filesize", "checksum", "path")
IDENTITY = ("pfw_attempt_id", "reqnum", "unitname", "attnum")

Column = sa.ColumnElement[Any]
Condition = sa.ColumnElement[bool]

_FILE = sa.table(
    "desfile",
    sa.column("id", sa.BigInteger),
    sa.column("filename", sa.Text),
    sa.column("compression", sa.Text),
    sa.column("filetype", sa.Text),
    sa.column("filesize", sa.BigInteger),
    sa.column("checksum", sa.Text),
    sa.column("pfw_attempt_id", sa.BigInteger),
)
_ATTEMPT = sa.table(
    "pfw_attempt",
    sa.column("id", sa.BigInteger),
    sa.column("reqnum", sa.Integer),
    sa.column("unitname", sa.Text),
    sa.column("attnum", sa.Integer),
    sa.column("data_state", sa.Text),
)
_LOCATION = sa.table(
    "file_location",
    sa.column("desfile_id", sa.BigInteger),
    sa.column("archive_name", sa.Text),
    sa.column("path", sa.Text),
)


class Selection:
    """Read access for query codes (`facade.plugins.Rows`)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def files(self, filetype: str, where: Mapping[str, object], columns: Sequence[str] = ()) -> list[dict[str, Scalar]]:
        """Return files of *filetype* whose metadata match *where*, ordered by file name; junk is left out.

        *where* may also name filename, compression, filesize, checksum, reqnum, unitname, attnum and
        pfw_attempt_id. *columns* narrows the metadata columns. A filetype never seen has no files.

        Raises:
            InputError: no such column, or a value that its column cannot be compared with.
        """
        known = self._session.rows("select metadata_table as name from filetype where name = %s", (filetype,))
        if not known and not self._session.rows("select id from desfile where filetype = %s limit 1", (filetype,)):
            return []
        metadata = self._table(known[0]["name"]) if known and known[0]["name"] else None
        of_type = {c.name: c for c in metadata.c if c.name != "desfile_id"} if metadata is not None else {}
        path = (
            sa.select(_LOCATION.c.path)
            .where(_LOCATION.c.desfile_id == _FILE.c.id)
            .order_by(_LOCATION.c.archive_name)
            .limit(1)
            .scalar_subquery()
        )
        base: dict[str, Column] = {name: _FILE.c[name] for name in BASE if name != "path"} | {"path": path}
        identity: dict[str, Column] = {"pfw_attempt_id": _FILE.c.pfw_attempt_id}
        identity |= {name: _ATTEMPT.c[name] for name in IDENTITY[1:]}
        searchable = identity | of_type | {name: base[name] for name in BASE if name != "path"}
        chosen = [_find(of_type | base, name) for name in columns if name not in base] or list(of_type.values())
        source: sa.FromClause = _FILE.outerjoin(_ATTEMPT, _ATTEMPT.c.id == _FILE.c.pfw_attempt_id)
        if metadata is not None:
            source = source.outerjoin(metadata, metadata.c.desfile_id == _FILE.c.id)
        statement = (
            sa.select(*(column.label(name) for name, column in base.items()), *chosen)
            .select_from(source)
            .where(_FILE.c.filetype == filetype)
            .where(sa.or_(_ATTEMPT.c.id.is_(None), _ATTEMPT.c.data_state == "active"))
            .where(*(condition(_find(searchable, name), name, value) for name, value in where.items()))
            .order_by(_FILE.c.filename, _FILE.c.compression)
        )
        return self._fetch(statement)

    def table(self, name: str, where: Mapping[str, object]) -> list[dict[str, Scalar]]:
        """Return the rows of a dimension table that match *where*, in the order of its key.

        Raises:
            InputError: no such table or column, or a value that its column cannot be compared with.
        """
        if name not in DIMENSIONS:
            raise InputError(f"there is no dimension table {name!r}", remedy=f"there are: {', '.join(DIMENSIONS)}")
        table = self._table(name)
        columns: dict[str, Column] = {column.name: column for column in table.c}
        statement = (
            sa.select(*(table.c[column] for column in columns if column != "desfile_id"))
            .where(*(condition(_find(columns, column), column, value) for column, value in where.items()))
            .order_by(*(table.c[column] for column in DIMENSIONS[name]))
        )
        return self._fetch(statement)

    def _table(self, name: str) -> sa.TableClause:
        columns = self._session.rows(
            "select column_name as name, data_type as type from information_schema.columns"
            " where table_schema = 'public' and table_name = %s order by ordinal_position",
            (name,),
        )
        return sa.table(name, *(sa.column(row["name"], TYPES[STORED[row["type"]]]) for row in columns))

    def _fetch(self, statement: sa.Select[Any]) -> list[dict[str, Scalar]]:
        dialect = PGDialect_psycopg2()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no annotations
        text = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        return [
            {name: _scalar(value) for name, value in row.items()} for row in self._session.rows(str(text), text.params)
        ]


def condition(column: Column, name: str, value: object) -> Condition:
    """Return what *value* asks of *column* (see the head of this module).

    Raises:
        InputError: the column cannot be compared with the value.
    """
    if value is None:
        return column.is_(None)
    if isinstance(value, str):
        return _operators(column, name, value)
    if isinstance(value, Sequence | set | frozenset):
        given = [_typed(column, name, one) for one in value if one is not None]
        chosen = column.in_(given)
        return sa.or_(chosen, column.is_(None)) if None in value else chosen
    return column == _typed(column, name, value)


def _operators(column: Column, name: str, text: str) -> Condition:
    wanted: list[Condition] = []
    unwanted: list[Condition] = []
    for part in (piece.strip() for piece in text.split(",")):
        negated = part.startswith("!")
        one = _one(column, name, part[1:].strip() if negated else part)
        unwanted.append(sa.not_(one)) if negated else wanted.append(one)
    return sa.and_(*([sa.or_(*wanted)] if wanted else []), *unwanted)


def _one(column: Column, name: str, text: str) -> Condition:
    if text.lower() == "null":
        return column.is_(None)
    if bounds := _range(column, text):
        low, high = (_typed(column, name, bound) for bound in bounds)
        return column.between(low, high)
    if "%" in text:
        return sa.cast(column, sa.Text).like(text)
    return column == _typed(column, name, text)


def _range(column: Column, text: str) -> tuple[str, str] | None:
    """Split ``a:b``; times hold colons themselves, so there only a colon between two times counts."""
    if not isinstance(column.type, sa.DateTime):
        low, colon, high = text.partition(":")
        return (low.strip(), high.strip()) if colon and low and high and ":" not in high else None
    for at, character in enumerate(text):
        low, high = text[:at].strip(), text[at + 1 :].strip()
        if character == ":" and _is_time(low) and _is_time(high):
            return low, high
    return None


def _is_time(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _truth(value: object) -> bool:
    words = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}
    return words[str(value).lower()]


def _time(value: object) -> datetime.datetime:
    moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


_READERS: tuple[tuple[type, Callable[[Any], object], str], ...] = (
    (sa.Boolean, _truth, "true or false"),
    (sa.Integer, int, "a whole number"),
    (sa.Float, float, "a number"),
    (sa.DateTime, _time, "a time"),
)


def _typed(column: Column, name: str, value: object) -> object:
    for kind, read, wanted in _READERS:
        if isinstance(column.type, kind):
            try:
                return read(value)
            except (ValueError, TypeError, KeyError):
                raise InputError(f"{name} is compared with {value!r}, which is not {wanted}") from None
    return str(value)


def _find(columns: Mapping[str, Column], name: str) -> Column:
    """Return the column *name*, which may carry a table's name before a dot."""
    short = name.rpartition(".")[2]
    if short in columns:
        return columns[short]
    close = difflib.get_close_matches(short, columns, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise InputError(f"there is no column {name!r}", remedy=f"{hint}there are: {', '.join(sorted(columns))}")


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)

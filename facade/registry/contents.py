"""Tables that hold the rows of catalogues: made and widened by the definitions of filetypes, filled by COPY.

A row is named by the file that it came with and its number there, from 1: so it is written once, however often its
file is ingested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from facade.errors import InputError
from facade.metadata import NAME, STORED
from facade.registry.connection import DENIED, Cursor, Session, StatementError
from facade.registry.values import FileKey

OURS = "rows of files, by the definitions of filetypes"
"""The comment by which such a table is known: no table of the registry itself is ever taken for one."""
RESERVED = ("desfile_id", "rownum")
CHANGING = 0xFACADE2  # key of the advisory lock: two processes that widen at once go one after the other


class Catalogue(NamedTuple):
    """Rows of the file ``key`` for ``table``: ``spool`` is a file with a line for each, as COPY reads them, of its
    number and ``columns``."""

    key: FileKey
    table: str
    columns: tuple[str, ...]
    spool: Path


def ensure_table(session: Session, table: str, columns: Mapping[str, str]) -> list[str]:
    """Make *table* with *columns* (name -> type), or add those that it lacks; return what was done, in words.

    Raises:
        InputError: a name cannot be one, the table is not for rows of files, or a column is of another type.
        RegistryError: it has to be made or widened, and the login may not.
    """
    for name in (table, *columns):
        if not NAME.fullmatch(name) or name in RESERVED:
            raise InputError(
                f"{name!r} can be no table or column of contents", remedy="use a-z, 0-9 and _, a letter first"
            )
    with session.transaction() as cursor:
        if _lacks(_columns(cursor, table), table, columns) == []:
            return []
    try:
        with session.transaction() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", (CHANGING,))
            return _change(cursor, table, columns)
    except StatementError as error:
        if error.sqlstate != DENIED:
            raise
        remedy = "have the owner of the database run 'facade db upgrade --definitions FILE'"
        raise StatementError(
            f"this login may not make or widen the table '{table}'", sqlstate=DENIED, remedy=remedy
        ) from error


def _change(cursor: Cursor, table: str, columns: Mapping[str, str]) -> list[str]:
    lacks = _lacks(_columns(cursor, table), table, columns)
    done = []
    if lacks is None:
        cursor.execute(
            f'create table "{table}" (desfile_id bigint not null constraint "{table}_file" references desfile'
            " on delete cascade, rownum int not null, primary key (desfile_id, rownum))"
        )
        cursor.execute(f'comment on table "{table}" is %s', (OURS,))
        done, lacks = [f"table {table} is new, for rows of files, with {len(columns)} columns"], list(columns)
    for name in lacks:
        cursor.execute(f'alter table "{table}" add column "{name}" {STORED[columns[name]]}')
    return done or [f"column {name} of table {table} is new" for name in lacks]


def _columns(cursor: Cursor, table: str) -> dict[str, str] | None:
    """Return column -> type of a table for rows of files, None if there is no table of that name."""
    cursor.execute(
        "select obj_description(c.oid, 'pg_class') as comment, a.attname as name, format_type(a.atttypid, null) as type"
        " from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
        " where c.relname = %s and c.relnamespace = 'public'::regnamespace",
        (table,),
    )
    rows = cursor.fetchall()
    if rows and rows[0]["comment"] != OURS:
        raise InputError(
            f"table {table!r} cannot hold the rows of files: it is used otherwise", remedy="name another one"
        )
    return {row["name"]: row["type"] for row in rows} if rows else None


def _lacks(present: Mapping[str, str] | None, table: str, columns: Mapping[str, str]) -> list[str] | None:
    """Return the *columns* that a table lacks, None if there is no table."""
    if present is None:
        return None
    for name, kind in columns.items():
        if name in present and present[name] != STORED[kind]:
            raise InputError(f"column {name!r} of table {table!r} is {present[name]}, and cannot become {kind}")
    return [name for name in columns if name not in present]


def loaded(session: Session, table: str, ids: Sequence[int]) -> set[int]:
    """Return those of the files *ids* that have rows in *table*; none if there is no such table."""
    if not session.rows("select 1 from pg_tables where schemaname = 'public' and tablename = %s", (table,)):
        return set()
    rows = session.rows(
        f'select id from unnest(%s::bigint[]) id where exists (select from "{table}" c where c.desfile_id = id)',  # noqa: S608
        (list(ids),),
    )
    return {row["id"] for row in rows}


def put_catalogue(cursor: Cursor, one: Catalogue, desfile_id: int) -> None:
    """Write the rows of a file, unless they are there."""
    cursor.execute(f'select from "{one.table}" where desfile_id = %s limit 1', (desfile_id,))
    if cursor.rowcount:
        return
    names = ", ".join(f'"{name}"' for name in ("desfile_id", "rownum", *one.columns))
    with open(one.spool, "rb") as lines:
        cursor.copy_expert(f'copy "{one.table}" ({names}) from stdin', _Numbered(lines, desfile_id))


class _Numbered:
    """The lines of a spooled catalogue, each with the id of its file in front, as ``copy_expert`` reads them."""

    def __init__(self, lines: IO[bytes], desfile_id: int) -> None:
        self._lines, self._head = lines, f"{desfile_id}\t".encode()

    def read(self, size: int = 8192) -> bytes:
        """Return about *size* bytes, in whole lines; none at the end."""
        return b"".join([self._head + line for line in self._lines.readlines(size)])

    def readline(self, size: int = 0) -> bytes:
        """Return the next line."""
        line = self._lines.readline()
        return self._head + line if line else b""

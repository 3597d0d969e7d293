"""Metadata tables: one wide typed table per ``metadata_table`` that filetypes name, made and widened from definitions.

What is there is never changed: a column that no definition has any more stays, and a type that differs is refused. A
table's key is ``desfile_id``. There is no other index but on ``visit``, the column nearly every query for inputs
narrows by; an operator who asks by another adds one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment, SetTableComment

from facade.errors import InputError
from facade.metadata import KINDS, NAME, RESERVED
from facade.registry import definitions
from facade.registry.connection import DENIED, LOCKED, Session, StatementError, engine, repeated
from facade.registry.values import FileType

TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(),
    "smallint": sa.SmallInteger(),
    "int": sa.Integer(),
    "bigint": sa.BigInteger(),
    "float": sa.Double(),
    "bool": sa.Boolean(),
    "date": sa.Date(),
    "timestamp": sa.TIMESTAMP(timezone=True),
}
KEY = "desfile_id"
INDEXED = frozenset({"visit"})
CHANGING = 0xFACADE1  # key of the advisory lock: two processes that widen at once go one after the other
LOCK_WAIT, LOCK_PAUSE, LOCK_TRIES = "2s", 1.0, 30
"""Whoever waits to alter a table holds up all that would use it: better to let them pass and come back."""
COMMENT = "metadata of files, one row each; columns come from the definitions of filetypes"
"""Stands on each table of metadata, and tells it from the registry's others."""
OURS = sa.text("select obj_description(to_regclass(quote_ident(:name)), 'pg_class')")
EXISTING = sa.text(
    "select column_name, data_type, col_description(to_regclass(quote_ident(table_name)), ordinal_position) as said"
    " from information_schema.columns where table_schema = 'public' and table_name = :name order by ordinal_position"
)
NOTE = sa.text(
    "insert into filetype (name, metadata_table, columns) values (:name, :metadata_table, cast(:columns as jsonb))"
    " on conflict (name) do update set metadata_table = excluded.metadata_table, columns = excluded.columns"
)
SHARING = sa.text("select name, columns from filetype where metadata_table = :name order by name")
BEFORE = sa.text("select metadata_table from filetype where name = :name and metadata_table is not null")


def ensure_metadata_tables(session: Session, filetypes: Mapping[str, FileType]) -> list[str]:
    """Make or widen the tables of *filetypes*, note the definitions, and return in words what was changed.

    All or nothing, safe from many processes at once.

    Raises:
        InputError: a name is unusable, or a type or unit contradicts another filetype's or what is there.
        RegistryError: a table is in use for so long that it cannot be widened.
    """
    changed = definitions.changed(session, filetypes)
    wanted = _wanted(changed)
    try:
        return repeated(lambda _: _ensure_all(session, changed, wanted), {LOCKED}, [LOCK_PAUSE] * (LOCK_TRIES - 1))
    except StatementError as error:
        if error.sqlstate == DENIED:
            if not definitions.changed(session, filetypes, words=False):
                return []  # the owner's words on the columns stand
            remedy = "have the owner of the database run 'facade db upgrade --definitions FILE'"
            raise StatementError(error.message, sqlstate=DENIED, remedy=remedy) from error
        if error.sqlstate == LOCKED:
            remedy = "somebody reads it for long (a backup?): try again when that is done"
            raise StatementError("a metadata table is in use", sqlstate=LOCKED, remedy=remedy) from error
        raise


def unclaimed(session: Session) -> list[str]:
    """Return the columns of metadata tables that no definition has any more, as TABLE.COLUMN."""
    rows = session.rows(
        "select c.table_name || '.' || c.column_name as name from information_schema.columns c"
        " where c.table_schema = 'public' and c.column_name <> %s"
        "   and exists (select from filetype f where f.metadata_table = c.table_name)"
        "   and not exists (select from filetype f where f.metadata_table = c.table_name and f.columns ? c.column_name)"
        " order by c.table_name, c.ordinal_position",
        (KEY,),
    )
    return [row["name"] for row in rows]


def _ensure_all(session: Session, changed: Mapping[str, FileType], wanted: Mapping[str, dict[str, str]]) -> list[str]:
    told: list[str] = []
    with engine(session.address).begin() as connection:
        connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": CHANGING})
        connection.execute(sa.text(f"set local lock_timeout = '{LOCK_WAIT}'"))
        for name, definition in sorted(changed.items()):
            _stays(connection, name, definition)
        for table, columns in sorted(wanted.items()):
            told += _ensure(connection, table, columns)
        for name, definition in sorted(changed.items()):
            table_name, columns_text = definition["metadata_table"] or None, json.dumps(definitions.columns(definition))
            connection.execute(NOTE, {"name": name, "metadata_table": table_name, "columns": columns_text})
        for table in sorted(wanted):
            _describe(connection, table)
    return told


def _wanted(filetypes: Mapping[str, FileType]) -> dict[str, dict[str, str]]:
    """Return table -> column -> type, checked."""
    wanted: dict[str, dict[str, str]] = {}
    for filetype, definition in sorted(filetypes.items()):
        table = definition["metadata_table"]
        if not table:
            continue
        _check_name(table, f"metadata table of filetype {filetype}")
        columns = wanted.setdefault(table, {})
        for name, column in definitions.columns(definition).items():
            where, kind = f"column {name!r} of filetype {filetype}", column["type"]
            _check_name(name, where)
            if name in RESERVED:
                raise InputError(f"{where}: every file has one already, it is no metadata")
            if kind not in TYPES:
                raise InputError(f"{where}: there is no type {kind!r}", remedy=f"types: {', '.join(TYPES)}")
            if columns.setdefault(name, kind) != kind:
                raise InputError(f"{where} is {kind}, but {columns[name]} for another filetype of table {table}")
    return wanted


def _check_name(name: str, what: str) -> None:
    if not NAME.fullmatch(name):
        raise InputError(f"{what}: {name!r} is no name for it", remedy="use a-z, 0-9 and _, a letter first, at most 59")


def _stays(connection: sa.Connection, filetype: str, definition: FileType) -> None:
    """Refuse to move a filetype to another table when the one it has holds its metadata."""
    for before in connection.scalars(BEFORE, {"name": filetype}):
        if before != definition["metadata_table"]:
            held = sa.text(
                f"select from {before} m join desfile d on d.id = m.desfile_id where d.filetype = :name limit 1"
            )
            if connection.execute(held, {"name": filetype}).first() is not None:
                raise InputError(
                    f"metadata of filetype {filetype} are in table {before}, and the definition names"
                    f" {definition['metadata_table'] or 'none'}",
                    remedy=f"keep 'metadata_table = {before}', or give the files to come a filetype of another name",
                )


def _ensure(connection: sa.Connection, name: str, columns: Mapping[str, str]) -> Iterator[str]:
    present = {row.column_name: row.data_type for row in connection.execute(EXISTING, {"name": name})}
    if present and connection.scalar(OURS, {"name": name}) != COMMENT:
        raise InputError(f"table {name!r} is the registry's own, it cannot hold metadata", remedy="name another table")
    table = _table(name, columns)
    if not present:
        connection.execute(CreateTable(table))
        connection.execute(SetTableComment(table))
        yield f"table {name} is new, with {len(columns)} columns"
        present = {column: "" for column in columns}
    for column, kind in columns.items():
        existing = KINDS.get(present.get(column, ""), kind)
        if existing != kind:
            raise InputError(
                f"column {column!r} of table {name!r} is {existing}, and cannot become {kind}",
                remedy=f"keep it {existing}, or give what is {kind} a column of another name",
            )
    alter = Operations(MigrationContext.configure(connection))
    for column in columns:
        if column not in present:
            alter.add_column(name, sa.Column(column, TYPES[columns[column]]))
            yield f"table {name} has a new column, {column}"
    for index in sorted(table.indexes, key=lambda made: str(made.name)):
        connection.execute(CreateIndex(index, if_not_exists=True))


def _describe(connection: sa.Connection, name: str) -> None:
    """Write what the definitions of all filetypes of a table say of its columns as comments on them.

    Raises:
        InputError: two filetypes have a column in different units.
    """
    words: dict[str, dict[str, tuple[str, str]]] = {}
    for filetype, columns in connection.execute(SHARING, {"name": name}):
        for column, said in columns.items():
            known = words.setdefault(column, {})
            for what in ("description", "unit", "ucd"):
                first, owner = known.setdefault(what, (said[what], filetype)) if said.get(what) else ("", "")
                if what == "unit" and first and said[what] != first:
                    raise InputError(
                        f"column {column!r} of table {name!r} is in {said[what]} for filetype {filetype}, but in"
                        f" {first} for {owner}",
                        remedy="make the units the same, or give one of the two a column of another name",
                    )
    for row in connection.execute(EXISTING, {"name": name}).all():
        comment = definitions.comment({what: text for what, (text, _) in words.get(row.column_name, {}).items()})
        if row.column_name != KEY and (row.said or "") != comment:
            column = sa.Column(row.column_name, sa.Text, comment=comment or None)
            sa.Table(name, sa.MetaData(), column)
            connection.execute(SetColumnComment(column))


def _table(name: str, columns: Mapping[str, str]) -> sa.Table:
    home = sa.MetaData()
    sa.Table("desfile", home, sa.Column("id", sa.BigInteger, primary_key=True))
    return sa.Table(
        name,
        home,
        sa.Column(
            KEY,
            sa.BigInteger,
            sa.ForeignKey("desfile.id", name=f"{name}_file", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        *(sa.Column(column, TYPES[kind]) for column, kind in columns.items()),
        *(sa.Index(f"{name}_by_{column}", column) for column in columns if column in INDEXED),
        comment=COMMENT,
    )

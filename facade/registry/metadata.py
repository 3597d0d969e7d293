"""Metadata tables: one wide typed table per ``metadata_table`` that filetypes name, made and widened on demand.

A table's key is ``desfile_id``. There is no other index but on ``visit``, the column nearly every query for inputs
narrows by; an operator who asks by another adds one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.schema import CreateIndex, CreateTable, SetTableComment

from facade.errors import InputError
from facade.registry import definitions
from facade.registry.connection import Session, engine
from facade.registry.values import FileType

TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(),
    "int": sa.Integer(),
    "bigint": sa.BigInteger(),
    "float": sa.Double(),
    "bool": sa.Boolean(),
    "timestamp": sa.TIMESTAMP(timezone=True),
}
STORED = {
    "text": "text",
    "integer": "int",
    "bigint": "bigint",
    "double precision": "float",
    "boolean": "bool",
    "timestamp with time zone": "timestamp",
}
RESERVED = frozenset({"desfile_id", "filename", "compression", "filetype", "filesize", "checksum", "path"})
INDEXED = frozenset({"visit"})
NAME = re.compile(r"[a-z][a-z0-9_]{0,58}")
CHANGING = 0xFACADE1  # key of the advisory lock: two processes that widen at once go one after the other
EXISTING = sa.text(
    "select column_name, data_type from information_schema.columns"
    " where table_schema = 'public' and table_name = :name order by ordinal_position"
)
NOTE = sa.text(
    "insert into filetype (name, metadata_table, columns) values (:name, :metadata_table, cast(:columns as jsonb))"
    " on conflict (name) do update set metadata_table = excluded.metadata_table, columns = excluded.columns"
)


def ensure_metadata_tables(session: Session, filetypes: Mapping[str, FileType]) -> None:
    """Make or widen the tables of *filetypes* and note the definitions.

    Raises:
        InputError: a name is unusable, or a type contradicts another filetype's or the existing column's.
    """
    changed = definitions.changed(session, filetypes)
    wanted = _wanted(changed)
    with engine(session.address).begin() as connection:
        connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": CHANGING})
        ours = set(connection.scalars(sa.text("select metadata_table from filetype where metadata_table is not null")))
        for table, columns in sorted(wanted.items()):
            _ensure(connection, table, columns, known=table in ours)
        for name, definition in sorted(changed.items()):
            table_name, columns_text = definition["metadata_table"] or None, json.dumps(definitions.types(definition))
            connection.execute(NOTE, {"name": name, "metadata_table": table_name, "columns": columns_text})


def _wanted(filetypes: Mapping[str, FileType]) -> dict[str, dict[str, str]]:
    """Return table -> column -> type, checked."""
    wanted: dict[str, dict[str, str]] = {}
    for filetype, definition in sorted(filetypes.items()):
        table = definition["metadata_table"]
        if not table:
            continue
        _check_name(table, f"metadata table of filetype {filetype}")
        columns = wanted.setdefault(table, {})
        for name, kind in definitions.types(definition).items():
            where = f"column {name!r} of filetype {filetype}"
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


def _ensure(connection: sa.Connection, name: str, columns: Mapping[str, str], *, known: bool) -> None:
    present = {row.column_name: row.data_type for row in connection.execute(EXISTING, {"name": name})}
    if present and not known:
        raise InputError(f"table {name!r} is the registry's own, it cannot hold metadata", remedy="name another table")
    table = _table(name, columns)
    if not present:
        connection.execute(CreateTable(table))
        connection.execute(SetTableComment(table))
        present = {column: "" for column in columns}
    for column, kind in columns.items():
        existing = STORED.get(present.get(column, ""), kind)
        if existing != kind:
            raise InputError(f"column {column!r} of table {name!r} is {existing}, and cannot become {kind}")
    alter = Operations(MigrationContext.configure(connection))
    for column in columns:
        if column not in present:
            alter.add_column(name, sa.Column(column, TYPES[columns[column]]))
    for index in sorted(table.indexes, key=lambda made: str(made.name)):
        connection.execute(CreateIndex(index, if_not_exists=True))


def _table(name: str, columns: Mapping[str, str]) -> sa.Table:
    home = sa.MetaData()
    sa.Table("desfile", home, sa.Column("id", sa.BigInteger, primary_key=True))
    return sa.Table(
        name,
        home,
        sa.Column(
            "desfile_id",
            sa.BigInteger,
            sa.ForeignKey("desfile.id", name=f"{name}_file", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        *(sa.Column(column, TYPES[kind]) for column, kind in columns.items()),
        *(sa.Index(f"{name}_by_{column}", column) for column in columns if column in INDEXED),
        comment="metadata of files, one row each; columns come from the definitions of filetypes",
    )

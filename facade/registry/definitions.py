"""What the database already knows: its version and the filetypes. Cheap enough to ask at every command.

The parts that change something (Alembic, SQLAlchemy) take a quarter of a second to import; most commands change
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from facade.errors import RefusedError
from facade.registry.connection import Session
from facade.registry.values import FileType

MOVED = "facade: moved to "
"""Stands on a database whose registry has moved, with the URL of its new home."""


@cache
def known_versions() -> tuple[str, ...]:
    """Return the versions there are migrations for, in order; a version's number begins the file's name."""
    names = (entry.name for entry in files("facade_sql").joinpath("migrations/versions").iterdir())
    return tuple(sorted(name.partition("_")[0] for name in names if name.endswith(".py") and not name.startswith("_")))


def newest() -> str:
    """Return the newest version there is a migration for."""
    return known_versions()[-1]


def version(session: Session) -> str | None:
    """Return the version of the database's tables, or None if it has none yet.

    Raises:
        RefusedError: the registry has moved elsewhere.
    """
    found = session.rows(
        "select to_regclass('public.alembic_version') is not null as made,"
        " shobj_description(oid, 'pg_database') as said from pg_database where datname = current_database()"
    )
    if found and (found[0]["said"] or "").startswith(MOVED):
        url = found[0]["said"].removeprefix(MOVED)
        raise RefusedError(f"this registry has moved to {url}", remedy=f"set 'database = {url}' in the site file")
    if not found or not found[0]["made"]:
        return None
    rows = session.rows("select version_num from alembic_version")
    return str(rows[0]["version_num"]) if rows else None


def columns(definition: FileType) -> dict[str, dict[str, Any]]:
    """Return column -> what is said of it, as the table ``filetype`` keeps it."""
    return {name: {k: v for k, v in column.items() if v} for name, column in definition["columns"].items()}


def comment(column: Mapping[str, str]) -> str:
    """Return a definition's words on a column as one text, for the comment on the column of the table."""
    unit, ucd = column.get("unit"), column.get("ucd")
    parts = [column.get("description"), f"unit: {unit}" if unit else None, f"UCD: {ucd}" if ucd else None]
    return "; ".join(part for part in parts if part)


def changed(session: Session, filetypes: Mapping[str, FileType], *, words: bool = True) -> dict[str, FileType]:
    """Return those of *filetypes* that the database does not know as they are.

    Without *words* only tables, columns and their types count, not where values come from and what they mean.
    """

    def told(found: Mapping[str, Any]) -> Mapping[str, Any]:
        return found if words else {name: column["type"] for name, column in found.items()}

    known = {row["name"]: row for row in session.rows("select name, metadata_table, columns from filetype")}
    return {
        name: definition
        for name, definition in filetypes.items()
        if name not in known
        or told(known[name]["columns"]) != told(columns(definition))
        or known[name]["metadata_table"] != (definition["metadata_table"] or None)
    }

"""What the database already knows: its version and the filetypes. Cheap enough to ask at every command.

The parts that change something (Alembic, SQLAlchemy) take a quarter of a second to import; most commands change
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from facade.registry.connection import Session
from facade.registry.values import FileType


@cache
def newest() -> str:
    """Return the newest version there is a migration for; its number begins the file's name."""
    names = (entry.name for entry in files("facade_sql").joinpath("migrations/versions").iterdir())
    return max(name.partition("_")[0] for name in names if name.endswith(".py") and not name.startswith("_"))


def version(session: Session) -> str | None:
    """Return the version of the database's tables, or None if it has none yet."""
    if not session.rows("select 1 from pg_tables where schemaname = 'public' and tablename = 'alembic_version'"):
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


def changed(session: Session, filetypes: Mapping[str, FileType]) -> dict[str, FileType]:
    """Return those of *filetypes* that the database does not know as they are."""
    known = {row["name"]: row for row in session.rows("select name, metadata_table, columns from filetype")}
    return {
        name: definition
        for name, definition in filetypes.items()
        if name not in known
        or known[name]["columns"] != columns(definition)
        or known[name]["metadata_table"] != (definition["metadata_table"] or None)
    }

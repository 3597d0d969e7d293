"""What the database already knows: its version and the filetypes. Cheap enough to ask at every command.

The parts that change something (Alembic, SQLAlchemy) take a quarter of a second to import; most commands change
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

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


def types(definition: FileType) -> dict[str, str]:
    """Return column -> type of a filetype."""
    return {name: column["type"] for name, column in definition["columns"].items()}


def changed(session: Session, filetypes: Mapping[str, FileType]) -> dict[str, FileType]:
    """Return those of *filetypes* that the database does not know as they are."""
    known = {row["name"]: row for row in session.rows("select name, metadata_table, columns from filetype")}
    return {
        name: definition
        for name, definition in filetypes.items()
        if name not in known
        or known[name]["columns"] != types(definition)
        or known[name]["metadata_table"] != (definition["metadata_table"] or None)
    }

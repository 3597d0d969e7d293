"""What is inside a database, looked at past the registry."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing

from facade.registry import binaries
from facade.registry.connection import Address, connect


def rows(address: Address, statement: str) -> list[dict[str, object]]:
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return [dict(row) for row in cursor.fetchall()] if cursor.description else []


def is_empty(address: Address) -> bool:
    return rows(address, "select relname from pg_class where relnamespace = 'public'::regnamespace") == []


def structure(address: Address) -> str:
    """Everything about a database but its rows, as pg_dump tells it."""
    argv = [
        str(binaries.client("pg_dump")),
        "--schema-only",
        "--no-owner",
        "--no-privileges",
        f"--dbname={address.url}",
    ]
    env = os.environ | {"PGPASSFILE": str(address.passfile)}
    told = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in told.splitlines() if not line.startswith("\\"))

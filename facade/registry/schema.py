"""Bringing the tables to this facade's version with Alembic; the steps are in sql/migrations."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from facade.errors import InputError, RefusedError, RegistryError
from facade.registry import roles
from facade.registry.connection import Address, Cursor, engine, translated
from facade.registry.definitions import known_versions

UPGRADING = 0xFACADE  # key of the advisory lock: two processes that upgrade at once go one after the other

HELD = "select exists (select from task) or exists (select from desfile)"
UTC = """do $$ begin
  if pg_has_role((select datdba from pg_database where datname = current_database()), 'usage') then
    execute format('alter database %I set timezone to %L', current_database(), 'UTC');
  end if;
end $$"""
"""Times that name no zone are UTC, whatever the server is used to."""


def upgrade(address: Address, version: str = "head") -> str:
    """Take every step to *version* that the database at *address* lacks, all or none, and give roles their rights anew;
    return the version it has then.

    Raises:
        RegistryError: the database cannot be reached or refuses.
    """
    with engine(address).begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": UPGRADING})
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.execute(text(UTC))
        _give_rights(connection)
        return MigrationContext.configure(connection).get_current_revision() or ""


def _give_rights(connection: Connection) -> None:
    """Make the roles and give them their rights, or leave it all if the server does not let us: `roles.state` tells."""
    driver: Any = connection.connection.driver_connection
    with (
        suppress(RegistryError),
        connection.begin_nested(),
        translated(),
        closing(driver.cursor(cursor_factory=Cursor)) as cursor,
    ):
        roles.apply(cursor)


def downgrade(address: Address, version: str, *, with_data: bool = False) -> str:
    """Take the steps back to *version*, all or none; ``base`` takes away all that facade made.

    Returns the version it has then, "" for none.

    Raises:
        InputError: there is no such version.
        RefusedError: that would drop files or attempts, and *with_data* does not say that it may.
        RegistryError: something that is not facade's depends on what would go.
    """
    if version not in ("base", *known_versions()):
        raise InputError(f"there is no version '{version}'", remedy=f"there are: base, {', '.join(known_versions())}")
    with engine(address).begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": UPGRADING})
        before = MigrationContext.configure(connection).get_current_revision()
        if before is not None and version != before:
            if not with_data and connection.scalar(text(HELD)):
                remedy = "save it with 'facade db backup'; --with-data drops what a step back has no room for"
                raise RefusedError("the registry holds files and attempts", remedy=remedy)
            config = _config()
            config.attributes["connection"] = connection
            command.downgrade(config, version)
            if version == "base":
                connection.execute(text("drop table alembic_version"))
        return MigrationContext.configure(connection).get_current_revision() or ""


def current(address: Address) -> str | None:
    """Return the version of the database at *address*; None if it has no tables yet."""
    with engine(address).connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """Return the version that `upgrade` leads to."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "facade_sql:migrations")
    return config

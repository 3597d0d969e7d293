"""Steps of the schema, forward and back; and that the steps together make what sql/ says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from importlib.resources import files

import pytest
from database import FILETYPES, make_database, raw
from inside import is_empty, rows, structure

from facade.errors import InputError, RefusedError, RegistryError
from facade.registry import definitions, schema
from facade.registry.connection import Address, connect
from facade.registry.contents import ensure_table
from facade.registry.embedded import Embedded
from facade.registry.face import Registry

pytest_plugins = ["database"]
FIRST = import_module("facade_sql.migrations.versions.0001_first_tables")


def run(address: Address, *statements: str) -> None:
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def plain(postgres: Embedded) -> Iterator[Address]:
    """A second fresh database."""
    yield make_database(postgres)


def test_the_steps_together_make_what_the_files_say(database: Address, plain: Address) -> None:
    """A change of sql/ needs a step, and a step a change of sql/ (docs/database.md)."""
    schema.upgrade(database)
    assert {entry.name for entry in files("facade_sql").iterdir() if entry.name.endswith(".sql")} == set(FIRST.FILES)
    run(plain, *(files("facade_sql").joinpath(name).read_text(encoding="utf-8") for name in FIRST.FILES))
    run(database, "drop table alembic_version")
    assert structure(database) == structure(plain)


def test_every_step_can_be_taken_back_and_again(database: Address) -> None:
    made = {}
    for version in definitions.known_versions():
        schema.upgrade(database, version)
        made[version] = structure(database)
    for version in reversed(definitions.known_versions()):
        assert structure(database) == made[version]
        before = definitions.known_versions().index(version)
        schema.downgrade(database, definitions.known_versions()[before - 1] if before else "base")
    assert schema.current(database) is None and is_empty(database)
    assert schema.upgrade(database) == schema.newest()
    assert structure(database) == made[schema.newest()]


def test_a_step_back_takes_the_tables_of_definitions_along_and_nobody_elses(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ensure_table(registry._session, "sources", {"flux": "float"})
    run(registry.address, "create table mine (a int)", "create function mine() returns int language sql as 'select 1'")
    assert schema.downgrade(registry.address, "base") == ""
    left = rows(registry.address, "select relname::text from pg_class where relnamespace = 'public'::regnamespace")
    assert left == [{"relname": "mine"}]
    assert rows(registry.address, "select mine() as one") == [{"one": 1}]


def test_a_step_back_that_would_lose_files_has_to_be_asked_for(registry: Registry) -> None:
    registry.ingest("raws", FILETYPES, [raw("a.fits", visit=1)])
    with pytest.raises(RefusedError, match=r"the registry holds files and attempts\n.*facade db backup"):
        schema.downgrade(registry.address, "base")
    assert registry.upgrade() == schema.newest()
    schema.downgrade(registry.address, "base", with_data=True)
    assert is_empty(registry.address)


def test_what_others_made_of_ours_is_in_the_way(registry: Registry) -> None:
    run(registry.address, "create view mine as select filename from desfile")
    with pytest.raises(RegistryError, match="view mine depends on table desfile"):
        schema.downgrade(registry.address, "base")
    assert rows(registry.address, "select * from mine") == [] and schema.current(registry.address) == schema.newest()


def test_a_step_that_there_is_not(registry: Registry) -> None:
    with pytest.raises(InputError, match=r"there is no version '9999'\n.*base, 0001"):
        schema.downgrade(registry.address, "9999")


def test_back_from_nothing(database: Address) -> None:
    assert schema.downgrade(database, "base") == "" and is_empty(database)

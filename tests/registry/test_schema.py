"""Migrations and metadata tables."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from database import FILETYPES

from facade.errors import InputError, RegistryError
from facade.metadata import COLUMN_TYPES
from facade.registry import schema
from facade.registry.connection import Address
from facade.registry.face import Registry
from facade.registry.values import Column

pytest_plugins = ["database"]


def columns(registry: Registry, table: str) -> dict[str, str]:
    every = registry.run_sql("select table_name, column_name, data_type from information_schema.columns")
    return {column: kind for name, column, kind in every.rows if name == table}


def test_an_empty_database_says_how_to_fill_it(database: Address) -> None:
    assert schema.current(database) is None
    with Registry.open(database) as registry, pytest.raises(RegistryError, match="facade db upgrade"):
        registry.attempts()


def test_upgrading_twice_and_all_at_once_is_safe(database: Address) -> None:
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(schema.upgrade, [database] * 6)) == {schema.newest()}
    assert schema.upgrade(database) == schema.current(database) == schema.newest()


def test_every_table_view_and_function_of_ours_has_a_comment(registry: Registry) -> None:
    silent = registry.run_sql("""
        select relname::text from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')
           and relname <> 'alembic_version' and obj_description(c.oid, 'pg_class') is null
        union all
        select proname::text from pg_proc p where pronamespace = 'public'::regnamespace
           and obj_description(p.oid, 'pg_proc') is null""")
    assert silent.rows == ()


def test_metadata_tables_are_made_and_widened(registry: Registry) -> None:
    registry.ensure_metadata_tables({"raw": FILETYPES["raw"]})
    assert columns(registry, "image") == {"desfile_id": "bigint", "visit": "integer", "ccd": "integer"}
    registry.ensure_metadata_tables(FILETYPES)
    registry.ensure_metadata_tables(FILETYPES)
    assert columns(registry, "image")["seeing"] == "double precision"
    every: dict[str, Column] = {kind: {"type": kind} for kind in COLUMN_TYPES}
    registry.ensure_metadata_tables(
        {"all": {"metadata_table": "every", "columns": {f"a_{k}": v for k, v in every.items()}}}
    )
    assert columns(registry, "every")["a_timestamp"] == "timestamp with time zone"
    assert columns(registry, "every")["a_date"] == "date"
    registry.ensure_metadata_tables({"bare": {"metadata_table": None, "columns": {}}})


def test_metadata_tables_made_by_many_at_once(registry: Registry) -> None:
    def ensure(_: int) -> None:
        with Registry.open(registry.address) as own:
            own.ensure_metadata_tables(FILETYPES)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ensure, range(6)))
    assert set(columns(registry, "image")) == {"desfile_id", "visit", "ccd", "seeing"}


@pytest.mark.parametrize(
    ("table", "column", "kind", "message"),
    [
        ("image", "visit", "text", "column 'visit' of table 'image' is int, and cannot become text"),
        ("task", "visit", "int", "table 'task' is the registry's own"),
        ("image", "checksum", "text", "every file has one already"),
        ("image", "a; drop table task", "text", "is no name for it"),
        ("Bad", "a", "text", "'Bad' is no name for it"),
        ("image", "x", "number", "there is no type 'number'"),
    ],
)
def test_a_definition_that_cannot_be_is_refused(
    registry: Registry, table: str, column: str, kind: str, message: str
) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    with pytest.raises(InputError, match=message):
        registry.ensure_metadata_tables({"new": {"metadata_table": table, "columns": {column: {"type": kind}}}})

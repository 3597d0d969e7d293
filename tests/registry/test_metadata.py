"""What definitions of filetypes make of the tables of metadata: said, widened, refused, told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from database import raw

from facade.errors import InputError, RegistryError
from facade.metadata import COLUMN_TYPES
from facade.registry import metadata
from facade.registry.connection import connect
from facade.registry.face import Registry
from facade.registry.values import Column, FileType

pytest_plugins = ["database"]

SEEING: Column = {"type": "float", "source": "header:SEEING", "unit": "arcsec", "ucd": "instr.obsty.seeing"}


def filetype(table: str = "image", **columns: Column) -> FileType:
    return {"metadata_table": table, "columns": columns}


def said(registry: Registry, table: str) -> dict[str, str | None]:
    found = registry.run_sql(
        "select attname::text, col_description(attrelid, attnum) from pg_attribute"
        f" where attrelid = '{table}'::regclass and attnum > 0"
    )
    return {name: text for name, text in found.rows if name != "desfile_id"}


def test_units_and_meanings_are_comments_on_the_columns(registry: Registry) -> None:
    told = registry.ensure_metadata_tables({"raw": filetype(visit={"type": "int", "description": "it's the number"})})
    assert told == ["table image is new, with 1 columns"]
    assert registry.ensure_metadata_tables(
        {"calexp": filetype(visit={"type": "int", "description": "another"}, seeing=SEEING), "cat": filetype("catalog")}
    ) == ["table catalog is new, with 0 columns", "table image has a new column, seeing"]
    # of several filetypes the first by name that says something counts
    assert said(registry, "image") == {"visit": "another", "seeing": "unit: arcsec; UCD: instr.obsty.seeing"}
    assert registry.ensure_metadata_tables({"calexp": filetype(visit={"type": "int"}, seeing={"type": "float"})}) == []
    assert said(registry, "image") == {"visit": "it's the number", "seeing": None}


def test_questions_about_every_type(registry: Registry) -> None:
    types = {"raw": filetype("every", **{f"a_{kind}": {"type": kind} for kind in COLUMN_TYPES})}
    values = {"text": "x", "smallint": 3, "int": 4, "bigint": 2**40, "float": 0.5, "bool": True,
              "date": "2013-06-17", "timestamp": "2013-06-17T10:00:00+02:00"}  # fmt: skip
    assert set(values) == set(COLUMN_TYPES)
    columns = {f"a_{kind}": value for kind, value in values.items()}
    registry.ingest("raws", types, [raw("a.fits", **columns), raw("none.fits")])
    (row,) = registry.rows.files("raw", columns)
    assert row["filename"] == "a.fits" and {name: row[name] for name in columns} == columns | {
        "a_timestamp": "2013-06-17T08:00:00+00:00"
    }
    for where in ({"a_date": "2013-06-01:2013-06-30"}, {"a_smallint": "1,3"}, {"a_date": "!null"}):
        assert [row["filename"] for row in registry.rows.files("raw", where)] == ["a.fits"]
    assert registry.rows.files("raw", {"a_date": "2013-06-18"}) == []


HOSTILE = '50 % of it\'s \\ "all" :x %s %(y)s {z} $$; drop table task; -- 🔭'


def test_whatever_is_said_of_a_column_is_only_said(registry: Registry) -> None:
    column: Column = {"type": "int", "description": HOSTILE, "unit": HOSTILE, "ucd": HOSTILE, "source": HOSTILE}
    assert registry.ensure_metadata_tables({HOSTILE: filetype(a=column)}) == ["table image is new, with 1 columns"]
    assert said(registry, "image") == {"a": f"{HOSTILE}; unit: {HOSTILE}; UCD: {HOSTILE}"}
    assert registry.ensure_metadata_tables({HOSTILE: filetype(a=column)}) == []


def test_a_definition_that_says_the_same_changes_nothing(registry: Registry) -> None:
    types = {"calexp": filetype(seeing=SEEING | {"required": True})}
    registry.ensure_metadata_tables(types)
    before = registry.run_sql("select xmin::text from filetype").rows
    assert registry.ensure_metadata_tables(types) == []
    assert registry.run_sql("select xmin::text from filetype").rows == before


def test_two_units_in_one_column_are_refused_and_nothing_of_that_stays(registry: Registry) -> None:
    registry.ensure_metadata_tables({"calexp": filetype(seeing=SEEING)})
    with pytest.raises(
        InputError, match="'seeing' of table 'image' is in pixel for filetype raw, but in arcsec for calexp"
    ):
        registry.ensure_metadata_tables({"raw": filetype(seeing=SEEING | {"unit": "pixel"}, ccd={"type": "int"})})
    assert set(said(registry, "image")) == {"seeing"}
    assert registry.run_sql("select name from filetype").rows == (("calexp",),)


def test_a_column_that_no_definition_has_any_more_stays_and_is_told(registry: Registry) -> None:
    registry.ensure_metadata_tables({"raw": filetype(visit={"type": "int"}, ccd={"type": "int"})})
    assert registry.unclaimed_columns() == []
    registry.ensure_metadata_tables({"raw": filetype(visit={"type": "int"}), "flat": filetype("flats")})
    assert registry.unclaimed_columns() == ["image.ccd"]
    registry.ensure_metadata_tables({"calexp": filetype(ccd={"type": "int"})})
    assert registry.unclaimed_columns() == []


def test_a_filetype_whose_files_have_metadata_keeps_its_table(registry: Registry) -> None:
    types = {"raw": filetype(visit={"type": "int"})}
    registry.ensure_metadata_tables(types)
    registry.ensure_metadata_tables({"raw": filetype("other", visit={"type": "int"})})  # nothing was in it
    registry.ensure_metadata_tables(types)
    registry.ingest("raws", types, [raw("a.fits", visit=1)])
    with pytest.raises(InputError, match="metadata of filetype raw are in table image, and the definition names other"):
        registry.ensure_metadata_tables({"raw": filetype("other", visit={"type": "int"})})


def test_many_that_widen_differently_at_once_all_get_their_columns(registry: Registry) -> None:
    def widen(number: int) -> list[str]:
        with Registry.open(registry.address) as own:
            return own.ensure_metadata_tables({f"type{number}": filetype(**{f"c{number}": {"type": "int"}})})

    with ThreadPoolExecutor(8) as pool:
        told = [line for lines in pool.map(widen, range(8)) for line in lines]
    assert len(told) == 8 and len([line for line in told if "is new" in line]) == 1
    assert set(said(registry, "image")) == {f"c{number}" for number in range(8)}


def test_a_long_reader_does_not_hold_up_those_who_write(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the table's lock makes all wait that come after; so nobody waits for long."""
    types = {"raw": filetype(visit={"type": "int"})}
    registry.ensure_metadata_tables(types)
    monkeypatch.setattr(metadata, "LOCK_WAIT", "200ms")
    monkeypatch.setattr(metadata, "LOCK_PAUSE", 0.05)
    monkeypatch.setattr(metadata, "LOCK_TRIES", 2)
    wider = {"raw": filetype(visit={"type": "int"}, ccd={"type": "int"})}
    with closing(connect(registry.address)) as reader, reader.cursor() as cursor:
        cursor.execute("begin; select from image")
        with pytest.raises(RegistryError, match="a metadata table is in use"):
            registry.ensure_metadata_tables(wider)
        registry.ingest("raws", types, [raw("a.fits", visit=1)])
        cursor.execute("commit")
    assert registry.ensure_metadata_tables(wider) == ["table image has a new column, ccd"]

"""Rows of catalogues go into a table: the same from FITS, CSV and Parquet, each once; faults are told by row."""

from __future__ import annotations

import csv
import errno
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from database import make_database
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ingest import Place

from facade.errors import InputError
from facade.files import FileType
from facade.ingest import BAD, NEW, PRESENT, catalogues, definition_of
from facade.registry import schema
from facade.registry.connection import Address, StatementError, write_passfile
from facade.registry.face import Registry
from facade.wcl import loads

pytest_plugins = ["database"]

DEFINITIONS = """
<filetype_metadata>
    <cat>
        metadata_table = catalog
        ingestor = {ingestor}
        contents_table = source
        contents_hdu = {hdu}
        <columns>
            nobj = int header:NOBJ
        </columns>
        <contents>
            number = int
            ra = float column:ALPHA_J2000
            mag = float
            band = text
            good = bool
            big = bigint
            {more}
        </contents>
    </cat>
</filetype_metadata>
"""
COLUMNS = ("number", "ra", "mag", "band", "good", "big")
ROWS: list[tuple[Any, ...]] = [
    (1, 10.25, 21.5, "i", True, 1 << 40),
    (2, 10.5, None, "r\t\\x", False, -5),
    (3, 359.999999999999, math.inf, None, True, 0),
]


def place(registry: Registry, home: Path, more: str = "", hdu: str = "", ingestor: str = "plain") -> Place:
    return Place(registry, home, DEFINITIONS.format(more=more, hdu=hdu, ingestor=ingestor))


def as_fits(path: Path, rows: list[tuple[Any, ...]], *others: fits.Column) -> Path:
    number, ra, mag, band, good, big = zip(*rows, strict=True)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("NUMBER", "J", array=np.array(number)),
            fits.Column("ALPHA_J2000", "D", array=np.array(ra)),
            fits.Column("MAG", "D", array=np.array([math.nan if one is None else one for one in mag])),
            fits.Column("BAND", "8A", array=np.array([one or "" for one in band])),
            fits.Column("GOOD", "L", array=np.array(good)),
            fits.Column("BIG", "K", array=np.array(big)),
            *others,
        ],
        name="OBJECTS",
    )
    primary = fits.PrimaryHDU()
    primary.header["NOBJ"] = len(rows)
    fits.HDUList([primary, table]).writeto(path)
    return path


def as_csv(path: Path, rows: list[tuple[Any, ...]]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["number", "Alpha_J2000", "mag", "unasked", "band", "good", "big"])
        writer.writerows([(*row[:3], "x", *row[3:]) for row in rows])
    return path


def as_parquet(path: Path, rows: list[tuple[Any, ...]]) -> Path:
    import pyarrow
    from pyarrow import parquet

    names = ("number", "alpha_j2000", "mag", "band", "good", "big")
    table = pyarrow.table({name: list(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)})
    parquet.write_table(table.append_column("list", pyarrow.array([[1, 2]] * len(rows))), path)
    return path


FORMATS = {"fits": as_fits, "csv": as_csv, "parquet": as_parquet}


def stored(registry: Registry, columns: str = ", ".join(COLUMNS)) -> list[tuple[Any, ...]]:
    return list(
        registry.run_sql(
            f"select filename, rownum, {columns} from source join desfile on desfile_id = id order by 1, 2"
        ).rows
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_rows_from_each_format(registry: Registry, tmp_path: Path, kind: str) -> None:
    here = place(registry, tmp_path)
    path = FORMATS[kind](here.source / f"c.{kind}", ROWS)
    (found,) = here.ingest(path, filetype="cat")
    assert (found.state, found.rows) == (NEW, 3)
    expected = [(path.name, n, *row) for n, row in enumerate(ROWS, 1)]
    assert stored(registry) == expected
    (again,) = here.ingest(path, filetype="cat")
    assert again.state == PRESENT and stored(registry) == expected


def test_metadata_of_a_catalogue_come_from_its_header(registry: Registry, tmp_path: Path) -> None:
    here = place(registry, tmp_path, ingestor="fits", hdu="objects")
    (found,) = here.ingest(as_fits(here.source / "c.fits", ROWS), filetype="cat")
    assert found.metadata == {"nobj": 3} and found.rows == 3
    assert registry.rows.files("cat", {})[0]["nobj"] == 3


def test_columns_of_several_values_nulls_and_times(registry: Registry, tmp_path: Path) -> None:
    more = "aper = float column:FLUX_APER[2]\n flag = smallint\n seen = date\n at = timestamp\n"
    here = place(registry, tmp_path, more)
    others = [
        fits.Column("FLUX_APER", "3E", array=np.arange(9.0).reshape(3, 3)),
        fits.Column("FLAG", "I", null=-1, array=np.array([4, -1, 6])),
        fits.Column("SEEN", "10A", array=np.array(["2026-11-21", "", "2026-11-22"])),
        fits.Column("AT", "20A", array=np.array(["2026-11-21T10:00:00", "", "2026-11-22T10:00:00Z"])),
    ]
    here.ingest(as_fits(here.source / "c.fits", ROWS, *others), filetype="cat")
    found = stored(registry, "aper, flag, seen::text, extract(epoch from at)::bigint % 86400")
    assert [row[2:] for row in found] == [
        (1.0, 4, "2026-11-21", 36000), (4.0, None, None, None), (7.0, 6, "2026-11-22", 36000),
    ]  # fmt: skip


def test_a_definition_may_grow_and_files_registered_before_get_their_rows(registry: Registry, tmp_path: Path) -> None:
    here = place(registry, tmp_path)
    path = as_csv(here.source / "a.csv", ROWS)
    whole = here.document
    here.document = loads("<filetype_metadata>\n<cat>\n</cat>\n</filetype_metadata>\n")
    (first,) = here.ingest(path, filetype="cat")
    assert (first.state, first.rows) == (NEW, 0)
    here.document = whole
    (second,) = here.ingest(path, filetype="cat")
    assert (second.state, second.rows) == (PRESENT, 3) and len(stored(registry)) == 3
    wider = place(registry, tmp_path, "unasked = text")
    wider.ingest(as_csv(here.source / "b.csv", ROWS[:1]), filetype="cat")
    assert [row[2] for row in stored(registry, "unasked")] == [None, None, None, "x"]
    changed = place(registry, tmp_path, "unasked = int")
    with pytest.raises(InputError, match="column 'unasked' of table 'source' is text, and cannot become int"):
        changed.ingest(as_csv(here.source / "d.csv", ROWS[:1]), filetype="cat")


@pytest.mark.parametrize("table", ["desfile", "task", "public.task"])
def test_tables_of_the_registry_are_no_tables_for_rows(registry: Registry, tmp_path: Path, table: str) -> None:
    here = place(registry, tmp_path)
    here.document = loads(DEFINITIONS.format(more="", hdu="", ingestor="plain").replace("= source", f"= {table}"))
    with pytest.raises(InputError, match=r"cannot hold the rows of files|can be no table"):
        here.ingest(as_csv(here.source / "c.csv", ROWS), filetype="cat")
    assert here.registered() == []


def test_what_is_wrong_is_told_with_its_row_and_the_other_files_go_in(registry: Registry, tmp_path: Path) -> None:
    here = place(registry, tmp_path)
    good = as_csv(here.source / "a.csv", ROWS)
    text = as_csv(here.source / "b.csv", [*ROWS, (4, "far", 1.0, "i", True, 1)])
    big = as_csv(here.source / "c.csv", [(1 << 40, 1.0, 1.0, "i", True, 1)])
    lacks = here.source / "d.csv"
    lacks.write_text("number,mag,band,good,big\n1,2,i,true,1\n")
    short = here.source / "e.csv"
    short.write_text("number,alpha_j2000,mag,band,good,big\n1,2\n")
    damaged = as_fits(here.source / "f.fits", ROWS)
    damaged.write_bytes(damaged.read_bytes()[:5800])
    noise = here.source / "g.parquet"
    noise.write_bytes(b"PAR1" + b"\xff" * 500)
    image = here.source / "h.fits"
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(image)
    binary = here.source / "i.csv"
    binary.write_bytes(b"\xff\xfe\xfd")
    found = here.ingest(good, text, big, lacks, short, damaged, noise, image, binary, filetype="cat")
    assert [one.state for one in found] == [NEW, *[BAD] * 8]
    told = [one.fault for one in found]
    assert "b.csv: row 4: alpha_j2000: 'far' is no float" in told[1].lower()
    assert "c.csv: row 1: number: 1099511627776 is no int" in told[2].replace("'", "")
    assert "d.csv has no column 'ALPHA_J2000'" in told[3] and "e.csv:2:1: expected 6 cells, found 2" in told[4]
    assert "f.fits is a damaged FITS file" in told[5] and "g.parquet is a damaged Parquet file" in told[6]
    assert "h.fits has no table" in told[7] and "neither FITS, nor Parquet, nor text" in told[8]
    assert len(stored(registry)) == 3 and here.registered() == ["a.csv"]


def test_many_catalogues_by_several_processes(registry: Registry, tmp_path: Path) -> None:
    here = place(registry, tmp_path)
    for number in range(60):
        as_csv(here.source / f"{number:02d}.csv", [(number, 1.0, 1.0, "i", True, n) for n in range(number)])
    found = here.ingest(here.source, filetype="cat")
    assert [one.rows for one in found] == list(range(60)) and {one.state for one in found} == {NEW}
    assert registry.run_sql("select count(*), sum(number) from source").rows == (
        (sum(range(60)), sum(n * n for n in range(60))),
    )
    assert {one.state for one in here.ingest(here.source, filetype="cat")} == {PRESENT}


def test_operators_need_the_owner_for_tables_only(registry: Registry, tmp_path: Path) -> None:
    schema.upgrade(registry.address)
    name = registry.address.url.rpartition("/")[2]
    registry._session.rows(f"create role {name}_alice login password 'wonder' in role {name}_submit")
    passfile = tmp_path / "pgpass"
    write_passfile(passfile, ["*"], f"{name}_alice", "wonder")
    address = Address(registry.address.url.replace("facade_owner", f"{name}_alice"), passfile)
    own = place(registry, tmp_path)
    path = as_csv(own.source / "c.csv", ROWS)
    with Registry.open(address) as alices:
        hers = place(alices, tmp_path)
        registry.ensure_metadata_tables({"cat": definition_of(own.document, "cat").definition()})  # type: ignore[dict-item]
        with pytest.raises(StatementError, match=r"(?s)may not make or widen the table 'source'.*facade db upgrade"):
            hers.ingest(path, filetype="cat")
        definition = definition_of(own.document, "cat")
        assert registry.intake.ensure_table(definition.contents_table, definition.contents_types) == [
            "table source is new, for rows of files, with 6 columns"
        ]
        (found,) = hers.ingest(path, filetype="cat")
        assert (found.state, found.rows) == (NEW, 3)


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_parquet(tmp_path / "c.parquet", ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'facade\[parquet\]'"):
        catalogues.spooled(path, FileType(name="c", contents=(("number", "int", ""),)), None)


def lines(path: Path, *columns: tuple[str, str, str]) -> list[list[str]]:
    spool, rows = catalogues.spooled(path, FileType(name="c", contents=columns), path.parent)
    assert spool is not None
    found = [line.split("\t") for line in spool.read_text(encoding="utf-8").split("\n")[:-1]]
    assert len(found) == rows
    return found


def test_blocks_are_numbered_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogues, "BLOCK", 2)
    for kind, write in FORMATS.items():
        path = write(tmp_path / f"c.{kind}", [*ROWS, *ROWS])
        found = lines(path, ("number", "int", ""))
        assert found == [[str(n), str((n - 1) % 3 + 1)] for n in range(1, 7)], kind


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20), min_size=1, max_size=5
    )
)
def test_any_text_survives_or_is_no_value(registry_for_texts: Any, texts: list[str]) -> None:
    """What is in a cell comes out of the database: quotes, tabs, backslashes, line ends, emoji; blank is no value."""
    registry_for_texts(texts)


@pytest.fixture(scope="module")
def registry_for_texts(postgres: Any, template: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    registry = Registry(make_database(postgres, template))
    home = tmp_path_factory.mktemp("texts")
    text = "<filetype_metadata>\n<c>\ncontents_table = cells\n<contents>\nt = text\n</contents>\n</c>\n"
    here = Place(registry, home, text + "</filetype_metadata>\n")
    numbers = iter(range(100_000))

    def check(texts: list[str]) -> None:
        import pyarrow
        from pyarrow import parquet

        path = here.source / f"{next(numbers)}.parquet"
        parquet.write_table(pyarrow.table({"t": texts}), path)
        (found,) = here.ingest(path, filetype="c")
        assert found.state == NEW, found.fault
        rows = registry.run_sql(
            f"select t from cells join desfile on desfile_id = id where filename = '{path.name}' order by rownum"
        ).rows
        assert [row[0] for row in rows] == [text.rstrip() or None if text.strip() else None for text in texts]

    return check


def test_no_room_for_rows_is_told_as_that_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(spool: Any, *rest: object) -> int:
        spool.write("1\n")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(catalogues, "_write", full)
    filetype = FileType(name="c", contents_table="t", contents=(("a", "int", ""),))
    (tmp_path / "c.csv").write_text("a\n1\n")
    spools = tmp_path / "spools"
    spools.mkdir()
    with pytest.raises(InputError, match=r"no room for the rows of .*c\.csv in .*: No space left on device") as caught:
        catalogues.spooled(tmp_path / "c.csv", filetype, spools)
    assert "TMPDIR" in caught.value.remedy and not list(spools.iterdir())

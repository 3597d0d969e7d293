"""Ingesting files, looking them up, and choosing them by metadata."""

from __future__ import annotations

from typing import Any

import pytest
from database import FILETYPES, Receipt, raw, submit

from facade.errors import InputError, RefusedError
from facade.registry.face import Registry
from facade.registry.values import FileType

pytest_plugins = ["database"]

TYPES: dict[str, FileType] = {
    "raw": {
        "metadata_table": "image",
        "columns": {
            "visit": {"type": "int"},
            "ccd": {"type": "int"},
            "filter": {"type": "text"},
            "patch": {"type": "text"},
            "seeing": {"type": "float"},
            "good": {"type": "bool"},
            "taken": {"type": "timestamp"},
        },
    }
}
ROWS: list[dict[str, Any]] = [
    {
        "visit": 9,
        "ccd": 1,
        "filter": "HSC-I",
        "patch": "8,6",
        "seeing": 0.5,
        "good": True,
        "taken": "2013-06-17T10:00:00",
    },
    {
        "visit": 10,
        "ccd": 2,
        "filter": "HSC-R",
        "patch": "8",
        "seeing": 0.7,
        "good": False,
        "taken": "2013-06-18T10:00:00",
    },
    {"visit": 11, "ccd": 3, "filter": "HSC-R2", "patch": "6", "seeing": None, "good": None, "taken": None},
]


@pytest.fixture
def images(registry: Registry) -> Registry:
    registry.ingest("raws", TYPES, [raw(f"r{row['visit']:03d}.fits", **row) for row in ROWS])
    return registry


@pytest.mark.parametrize(
    ("where", "visits"),
    [
        ({}, [9, 10, 11]),
        ({"visit": 9}, [9]),
        ({"visit": "9"}, [9]),
        ({"image.visit": "9,11"}, [9, 11]),
        ({"visit": "9:10"}, [9, 10]),
        ({"visit": "!9"}, [10, 11]),
        ({"visit": "!9,!11"}, [10]),
        ({"visit": [9, "11"]}, [9, 11]),
        ({"visit": []}, []),
        ({"filter": "HSC-R%"}, [10, 11]),
        ({"filter": "!HSC-R%"}, [9]),
        ({"filter": "HSC-I, HSC-R"}, [9, 10]),
        ({"patch": ["8,6"]}, [9]),
        ({"patch": "8,6"}, [10, 11]),
        ({"seeing": "null"}, [11]),
        ({"seeing": "!null"}, [9, 10]),
        ({"seeing": None}, [11]),
        ({"seeing": "0.4:0.6"}, [9]),
        ({"good": True}, [9]),
        ({"good": "false"}, [10]),
        ({"taken": "2013-06-17:2013-06-18"}, [9]),
        ({"taken": "2013-06-18T10:00:00"}, [10]),
        ({"taken": "2013-06-17T10:00:00:2013-06-18T10:00:00"}, [9, 10]),
        ({"filename": "r009%"}, [9]),
        ({"ccd": "2:3", "filter": "HSC-R"}, [10]),
        ({"filter": "x' or '1'='1"}, []),
    ],
)
def test_operators(images: Registry, where: dict[str, object], visits: list[int]) -> None:
    assert [row["visit"] for row in images.rows.files("raw", where)] == visits


def test_rows_hold_the_file_and_its_metadata_as_scalars(images: Registry) -> None:
    (row,) = images.rows.files("raw", {"visit": 9})
    assert row["path"] == "raw/2013" and row["taken"] == "2013-06-17T10:00:00+00:00" and row["patch"] == "8,6"
    (narrow,) = images.rows.files("raw", {"visit": 9}, ["visit", "filename"])
    assert list(narrow) == ["filename", "compression", "filetype", "filesize", "checksum", "path", "visit"]


def test_a_wrong_column_or_value_is_named(images: Registry) -> None:
    with pytest.raises(InputError, match="there is no column 'vist'\n  did you mean 'visit'"):
        images.rows.files("raw", {"vist": 1})
    with pytest.raises(InputError, match="visit is compared with 'abc', which is not a whole number"):
        images.rows.files("raw", {"visit": "abc"})
    assert images.rows.files("never-seen", {"visit": 1}) == []


def test_ingesting_again_is_no_change_and_other_content_is_refused_whole(images: Registry) -> None:
    again = images.ingest("again", TYPES, [raw("r009.fits", **ROWS[0]), raw("new.fits", visit=12)])
    assert (again.new, again.present) == (1, 1)
    with pytest.raises(RefusedError, match=r"file r009.fits is already registered .* task \d+ \(raws\)"):
        images.ingest("clash", TYPES, [raw("other.fits"), raw("r009.fits", "other content")])
    found = images.lookup([("r009.fits", ""), ("other.fits", ""), ("new.fits", "")])
    assert set(found) == {("r009.fits", ""), ("new.fits", "")}
    assert found["r009.fits", ""]["archive_name"] == "home"


def test_odd_names_and_values_survive_the_copy(registry: Registry) -> None:
    name = "tab\tnew\nline\\.%s 'é'.fits"
    registry.ingest("odd", TYPES, [raw(name, visit=1, filter="a\\b\t")])
    (row,) = registry.rows.files("raw", {"visit": 1})
    assert (row["filename"], row["filter"]) == (name, "a\\b\t")


def test_contents_fill_the_overlap_table(registry: Registry) -> None:
    rows = [
        {"version": "v1", "tract": 0, "patch": p, "visit": 9, "ccd": c, "filter": "i"}
        for p in ("8,6", "8,7")
        for c in (2, 10)
    ]
    for _ in range(2):
        registry.ingest("overlap", TYPES, [raw("tracts.txt")], [(("tracts.txt", ""), "overlap", rows)])
    found = registry.rows.table("overlap", {"patch": ["8,6"], "tract": "0"})
    assert [(row["patch"], row["ccd"], row["patchname"]) for row in found] == [("8,6", 2, "8,6"), ("8,6", 10, "8,6")]
    with pytest.raises(RefusedError, match="says something else than overlap"):
        other = [dict(rows[0], filter="r")]
        registry.ingest("overlap", TYPES, [raw("more.txt")], [(("more.txt", ""), "overlap", other)])
    with pytest.raises(InputError, match="no dimension table 'task'"):
        registry.rows.table("task", {})


def test_junk_is_passed_over(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry)
    receipt = Receipt(ids).started().quantum(1)
    registry.report(receipt.id, receipt.lines)
    assert len(registry.rows.files("calexp", {"reqnum": 11, "attnum": 1})) == 1
    registry.set_data_state(ids.attempt_id, "junk")
    assert registry.rows.files("calexp", {}) == []
    assert [row["filetype"] for row in registry.attempt_files(ids.attempt_id)] == ["calexp", "log"]


def test_locations_can_be_forgotten(images: Registry) -> None:
    assert images.forget_locations([("r009.fits", ""), ("none", "")], "home") == 1
    assert images.lookup([("r009.fits", "")])["r009.fits", ""]["path"] is None

"""What operators may ask of a column, and joins: with a real PostgreSQL, hostile values and a naive filter too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from database import Receipt, make_database, raw, submit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facade.errors import InputError
from facade.registry.embedded import Embedded
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
            "seeing": {"type": "float"},
            "big": {"type": "bigint"},
            "taken": {"type": "timestamp"},
        },
    },
    "bias": {
        "metadata_table": "calibration",
        "columns": {"ccd": {"type": "int"}, "night": {"type": "text"}, "filter": {"type": "text"}},
    },
}
HOSTILE = [
    "'", "' or '1'='1", "a%b", "a_b", "ab", "100%", "\\", "a\\b", "é≠🜚", "8,6", "!8", "null", "NULL ", "a:b", "%s",
    "%(x)s", ":x", '"', "(a)", "a*b", "$1", "--", ";drop table desfile", "\t", "\u202e",
]  # fmt: skip


@pytest.fixture(scope="module")
def shared(postgres: Embedded, template: str) -> Iterator[Registry]:
    """One registry for the tests that only read."""
    with Registry.open(make_database(postgres, template)) as opened:
        files = [raw(f"r{visit}.fits", visit=visit, ccd=visit % 3, filter=text, seeing=visit / 10, big=2**40 + visit,
                     taken=f"2013-06-{17 + visit % 2}T10:00:00") for visit, text in enumerate(HOSTILE)]  # fmt: skip
        opened.ingest("raws", TYPES, [*files, raw("none.fits")])
        yield opened


def asked(registry: Registry, **where: object) -> list[Any]:
    return [row["filter"] for row in sorted(registry.rows.files("raw", where), key=lambda row: row["visit"] or 0)]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_literal_finds_itself_and_nothing_else(shared: Registry, text: str) -> None:
    quote = "'" if '"' in text else '"'
    escaped = "".join(f"\\{character}" for character in text)
    for value in (f"{quote}{text}{quote}", escaped, [text], f"{escaped}, \\n\\o"):
        assert asked(shared, filter=value) == [text]
    others = [one for one in HOSTILE if one != text]
    assert asked(shared, filter=f"!{escaped}") == asked(shared, filter=f"!{quote}{text}{quote}") == others
    assert asked(shared, filter=f"{escaped[:2]}%") == [one for one in HOSTILE if one.startswith(text[0])]


@pytest.mark.parametrize("text", ["a\0b", '"a\0b"', "a\0%", "\ud800", "!\0", "a\0:b"])
def test_what_no_text_of_a_database_can_be(shared: Registry, text: str) -> None:
    for value in (text, [text], f"x,{text}"):
        with pytest.raises(InputError, match="which is not a text that a database can hold"):
            asked(shared, filter=value)


@pytest.mark.parametrize(
    ("where", "visits"),
    [
        ({"visit": "1:2, 5, 7:8, !8"}, [1, 2, 5, 7]),
        ({"visit": "!1:20"}, [0, 21, 22, 23, 24]),
        ({"visit": "!1:20, !22,!24"}, [0, 21, 23]),
        ({"visit": "1%"}, [1, *range(10, 20)]),
        ({"visit": "!null, 3"}, [3]),
        ({"visit": "-3:1"}, [0, 1]),
        ({"visit": "+4"}, [4]),
        ({"big": str(2**40 + 3)}, [3]),
        ({"big": f"{2**40}:{2**40 + 1}, {2**40 + 7}"}, [0, 1, 7]),
        ({"seeing": "0.1:0.2, .5, 1e0"}, [1, 2, 5, 10]),
        ({"seeing": "!0.2:99"}, [0, 1]),
        ({"seeing": "nan, inf"}, []),
        ({"taken": "2013-06-17:2013-06-17T23:59:59", "visit": "0:3"}, [0, 2]),
        ({"taken": "2013-06-18T10:00:00+00:00", "visit": "0:3"}, [1, 3]),
        ({"filter": "a:b"}, [2, 3, 4, 7, 13, 19]),
        ({"filter": "a\\:b"}, [13]),
        ({"filter": "a_%"}, [3]),
        ({"filter": "!%b%, !null", "visit": "2:6"}, [5, 6]),
        ({"filter": " a_b ,'8,6', \"null\" "}, [3, 9, 11]),
        ({"filter": '!"8,6", !"null"', "visit": "8:12"}, [8, 10, 12]),
        ({"filename": "r1_.fits"}, []),
        ({"desfile.filename": "r1.fits"}, [1]),
        ({"image.visit": 4, "filetype": "raw"}, [4]),
        ({"archive_name": "home", "visit": "3,4"}, [3, 4]),
        ({"archive_name": "ho%", "visit": "3,4"}, [3, 4]),
        ({"archive_name": "tape"}, []),
    ],
)  # fmt: skip
def test_operators(shared: Registry, where: dict[str, object], visits: list[int]) -> None:
    assert sorted(row["visit"] for row in shared.rows.files("raw", where)) == visits  # type: ignore[type-var]


def test_null_means_no_value(shared: Registry) -> None:
    assert [row["filename"] for row in shared.rows.files("raw", {"visit": "null"})] == ["none.fits"]
    found = shared.rows.files("raw", {"visit": "3,null"})
    assert [row["filename"] for row in found] == ["none.fits", "r3.fits"]
    assert [row["filename"] for row in shared.rows.files("raw", {"visit": [None, 3]})] == ["none.fits", "r3.fits"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"filter": "HSC-[RI]"}, r"'\[' looks like a regular expression, and there are none\n  write % for any text"),
        ({"filter": "a,^b"}, r"filter is compared with '\^b': '\^' looks like"),
        ({"filter": "!a*"}, r"looks like a regular expression"),
        ({"filter": "a,,b"}, r"'a,,b', which has an empty item\n  write null for no value"),
        ({"filter": ""}, "empty item"),
        ({"filter": "a, !"}, "empty item"),
        ({"filter": "'a' or 'b'"}, r"a quote holds a whole item of the list\n  put \\ before"),
        ({"filter": "a,'b"}, "a quote holds a whole item"),
        ({"visit": "5:3"}, r"'5:3', a range that holds nothing\n  write 3:5"),
        ({"filter": "b:a"}, "a range that holds nothing"),
        ({"visit": "9,x"}, "visit is compared with 'x', which is not a whole number"),
        ({"visit": "1_0"}, "which is not a whole number"),
        ({"visit": "٣"}, "which is not a whole number"),
        ({"visit": 9.5}, "which is not a whole number"),
        ({"visit": True}, "which is not a whole number"),
        ({"visit": str(10**19)}, "which is not a whole number"),
        ({"visit": '"8,6"'}, "visit is compared with '8,6', which is not a whole number"),
        ({"seeing": "low"}, "which is not a number"),
        ({"taken": "yesterday"}, "which is not a time"),
        ({"overlap.tract": 1}, r"'overlap.tract' is in table 'overlap', which nothing joins"),
        ({"image.tract": 1}, "there is no column 'image.tract'"),
        ({"image.filename": 1}, "there is no column 'image.filename'"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(shared: Registry, where: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        shared.rows.files("raw", where)


CHARACTERS = "ab%_\\,:!'\" é"
TEXTS = st.text(CHARACTERS, min_size=1, max_size=3)
NUMBERS = st.integers(-3, 6)


def literal(text: str) -> str:
    return "".join(f"\\{character}" for character in text)


def _item(kind: str, value: Any) -> tuple[str, Any]:
    """Return how an item is written, and what it means, of one column."""
    if kind == "null":
        return "null", lambda cell: cell is None
    if kind == "like":
        pattern = re.compile("".join(".*" if c is None else re.escape(c) for c in value), re.DOTALL)
        written = "".join("%" if c is None else literal(c) for c in value)
        return written, lambda cell: cell is not None and pattern.fullmatch(cell) is not None
    if kind == "range":
        low, high = sorted(value)
        return f"{_written(low)}:{_written(high)}", lambda cell: cell is not None and low <= cell <= high
    return _written(value), lambda cell: cell is not None and cell == value


def _written(value: Any) -> str:
    return literal(value) if isinstance(value, str) else str(value)


def items(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    kinds = [
        st.tuples(st.just("equal"), values),
        st.tuples(st.just("range"), st.tuples(values, values)),
        st.tuples(st.just("null"), st.none()),
    ]
    if values is TEXTS:
        some = st.lists(st.one_of(st.none(), st.sampled_from(CHARACTERS)), min_size=1, max_size=3)
        kinds.append(st.tuples(st.just("like"), some.filter(lambda pattern: None in pattern)))
    return st.one_of(kinds).map(lambda one: _item(*one))


def conditions(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    def put(parts: list[tuple[bool, tuple[str, Any]]]) -> tuple[str, Any]:
        written = ", ".join(("!" if negated else "") + text for negated, (text, _) in parts)
        wanted = [fits for negated, (_, fits) in parts if not negated]
        unwanted = [(text, fits) for negated, (text, fits) in parts if negated]

        def fits_all(cell: Any) -> bool:
            # in SQL what has no value is not unequal to anything; 'not null' alone knows about it
            refused = any(fits(cell) or (cell is None and text != "null") for text, fits in unwanted)
            return not refused and (not wanted or any(fits(cell) for fits in wanted))

        return written, fits_all

    return st.lists(st.tuples(st.booleans(), items(values)), min_size=1, max_size=4).map(put)


@pytest.fixture(scope="module")
def many(postgres: Embedded, template: str) -> Iterator[tuple[Registry, list[tuple[str, Any, Any]]]]:
    """A registry with every short text once, and numbers beside them; and the same as Python has it."""
    texts = [a + b for a in ["", *CHARACTERS] for b in ["", *CHARACTERS]]
    rows = [(f"f{i}.fits", text if i else None, i % 9 - 3 if i % 7 else None) for i, text in enumerate(texts)]
    with Registry.open(make_database(postgres, template)) as opened:
        opened.ingest("raws", TYPES, [raw(name, filter=text, visit=number) for name, text, number in rows])
        yield opened, rows


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=conditions(TEXTS), number=conditions(NUMBERS))
def test_operators_find_what_a_naive_filter_finds(
    many: tuple[Registry, list[tuple[str, Any, Any]]], text: tuple[str, Any], number: tuple[str, Any]
) -> None:
    registry, rows = many
    found = registry.rows.files("raw", {"filter": text[0], "visit": number[0]})
    expected = sorted(name for name, cell, other in rows if text[1](cell) and number[1](other))
    assert [row["filename"] for row in found] == expected


# -- joins -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def joined(postgres: Embedded, template: str) -> Iterator[Registry]:
    """Raws of two visits, what they lie on, calibrations, tags and a made file."""
    with Registry.open(make_database(postgres, template)) as opened:
        raws = [raw(f"r{v}-{c}.fits", visit=v, ccd=c, filter="i") for v in (1, 2) for c in (7, 8)]
        biases = [{**raw(f"bias{c}.fits", ccd=c, night="n1", filter="-"), "filetype": "bias"} for c in (7, 8, 9)]
        lies = [{"version": "v1", "tract": t, "patch": p, "visit": 1, "ccd": c, "filter": "i"}
                for t in (0, 1) for p in ("0,0", "0,1") for c in (7, 8)]  # fmt: skip
        tags = [
            {"version": "t", "tag": name, "visit": visit} for name, visit in (("deep", 1), ("wide", 1), ("wide", 2))
        ]
        contents = [(("o.txt", ""), "overlap", lies), (("t.csv", ""), "visit_tag", tags)]
        opened.ingest("all", TYPES, [*raws, *biases, raw("o.txt"), raw("t.csv")], contents)
        yield opened


OVERLAP = "image.visit = overlap.visit, image.ccd=overlap.ccd"


def test_a_join_narrows_and_gives_each_file_once(joined: Registry) -> None:
    where = {"overlap.tract": "0", "overlap.patch": '"0,1"', "overlap.version": "v1"}
    assert [row["filename"] for row in joined.rows.files("raw", where, join=OVERLAP)] == ["r1-7.fits", "r1-8.fits"]
    found = joined.rows.files("raw", {"filter": "i"}, ["ccd", "overlap.patch", "tract"], join=OVERLAP)
    assert [(row["ccd"], row["patch"], row["tract"]) for row in found] == [
        (ccd, patch, tract) for ccd in (7, 8) for patch in ("0,0", "0,1") for tract in (0, 1)
    ]


def test_joins_reach_tables_that_only_conditions_name(joined: Registry) -> None:
    tag = "visit_tag.visit = image.visit"
    assert len(joined.rows.files("raw", {"visit_tag.tag": "wide"}, join=tag)) == 4
    assert [row["visit"] for row in joined.rows.files("raw", {"tag": "deep"}, join=tag)] == [1, 1]
    both = joined.rows.files(
        "raw", {"tag": "deep", "overlap.tract": 1}, join=f"{OVERLAP}, overlap.visit=visit_tag.visit"
    )
    assert [row["filename"] for row in both] == ["r1-7.fits", "r1-8.fits"]
    biases = joined.rows.files(
        "raw",
        {"image.visit": 2, "calibration.filetype": "bias"},
        ["calibration.night"],
        join="calibration.ccd=image.ccd",
    )
    assert [(row["filename"], row["night"]) for row in biases] == [("r2-7.fits", "n1"), ("r2-8.fits", "n1")]


def test_a_tag_of_attempts_finds_their_files(registry: Registry) -> None:
    ids = submit(registry)
    receipt = Receipt(ids).started().quantum(1)
    registry.ensure_metadata_tables({"calexp": TYPES["raw"]})
    registry.report(receipt.id, receipt.lines)
    registry.tag(ids.attempt_id, "Y1", "me")
    join = "proctag.pfw_attempt_id = desfile.pfw_attempt_id"
    (found,) = registry.rows.files("calexp", {"proctag.tag": "Y1"}, join=join)
    assert found["filename"] == "calexp-1.fits"
    assert registry.rows.files("calexp", {"proctag.tag": "Y2"}, join=join) == []


@pytest.mark.parametrize(
    ("where", "columns", "join", "message"),
    [
        ({}, (), "image.visit = task.id", "there is no table 'task' to join\n  write proctag, overlap"),
        ({}, (), "image.visit = overlap.visit or 1=1", "join: 'image.visit = overlap.visit or 1=1' is not read"),
        ({}, (), "image.visit = image.ccd", "names one table twice"),
        ({}, (), "image.visit = overlap.patch", "are of different types, integer and text"),
        ({}, (), "image.vist = overlap.visit", "there is no column 'image.vist'\n  did you mean 'visit'"),
        ({}, (), "overlap.visit = visit_tag.visit", "nothing joins overlap or visit_tag to the files"),
        ({"version": "v1"}, (), f"{OVERLAP}, image.visit=visit_tag.visit",
         "'version' may mean overlap.version or visit_tag.version\n  write it with its table"),
        ({}, ("visit", "overlap.visit"), OVERLAP, "two of the wanted columns are called 'visit': image.visit and over"),
        ({}, ("calibration.filename",), "image.ccd=calibration.ccd", "two of the wanted columns are called 'filename'"),
    ],
)  # fmt: skip
def test_joins_that_cannot_be(
    joined: Registry, where: dict[str, object], columns: tuple[str, ...], join: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        joined.rows.files("raw", where, columns, join=join)


def test_columns_of_one_name_are_those_of_the_file(joined: Registry) -> None:
    rows = joined.rows.files("raw", {"filter": "i"}, join="image.ccd = calibration.ccd")
    assert {row["filter"] for row in rows} == {"i"}
    assert joined.rows.files("raw", {"calibration.filter": "i"}, join="image.ccd = calibration.ccd") == []


# -- where files lie -------------------------------------------------------------------------------------------------


def test_files_without_a_place_are_not_found_but_can_be_asked_for(registry: Registry) -> None:
    packed = {**raw("a.fits", "packed", visit=1), "compression": ".fz"}
    registry.ingest("raws", TYPES, [raw("a.fits", visit=1), packed, raw("b.fits", visit=2)])
    registry.forget_locations([("a.fits", "")], "home")
    # the two forms of a file share their name, and nothing else
    assert [(row["filename"], row["compression"]) for row in registry.rows.files("raw", {})] == [
        ("a.fits", ".fz"), ("b.fits", ""),
    ]  # fmt: skip
    for nowhere in (None, "null"):
        (gone,) = registry.rows.files("raw", {"archive_name": nowhere})
        assert (gone["filename"], gone["compression"], gone["path"]) == ("a.fits", "", None)


def test_of_several_archives_the_one_asked_for_tells_the_path(registry: Registry) -> None:
    here = raw("a.fits", visit=1)
    registry.ingest("raws", TYPES, [here])
    registry.ingest("raws", TYPES, [{**here, "archive": "tape", "path": "vault"}])
    assert [row["path"] for row in registry.rows.files("raw", {})] == ["raw/2013"]
    assert [row["path"] for row in registry.rows.files("raw", {"archive_name": "tape"})] == ["vault"]
    assert registry.rows.files("raw", {"archive_name": "tape,!tape"}) == []


# -- dimension tables ------------------------------------------------------------------------------------------------


def test_dimension_rows_come_in_the_order_of_their_characters(registry: Registry) -> None:
    rows = [{"version": "v", "tag": tag, "visit": v} for tag in ("b", "B", "a-c", "ab", "é") for v in (10, 9)]
    registry.ingest("tags", TYPES, [raw("t.csv")], [(("t.csv", ""), "visit_tag", rows)])
    found = [(row["tag"], row["visit"]) for row in registry.rows.table("visit_tag", {})]
    assert found == sorted((row["tag"], row["visit"]) for row in rows)
    assert {row["tag"] for row in registry.rows.table("visit_tag", {"tag": "a%,!ab", "visit": "9:9"})} == {"a-c"}


def test_dates_are_compared_as_dates(registry: Registry) -> None:
    rows = [{"version": "v", "filetype": "bias", "filename": f"b{n}", "ccd": n, "filter": None,
             "validstart": f"2013-0{n}-01", "validend": f"2013-0{n}-28"} for n in (1, 2)]  # fmt: skip
    registry.ingest("lookup", TYPES, [raw("l.csv")], [(("l.csv", ""), "calibration_lookup", rows)])
    (found,) = registry.rows.table("calibration_lookup", {"validend": "2013-02-01:2013-02-28"})
    assert (found["filename"], found["validstart"]) == ("b2", "2013-02-01")
    with pytest.raises(InputError, match="which is not a date"):
        registry.rows.table("calibration_lookup", {"validend": "soon"})

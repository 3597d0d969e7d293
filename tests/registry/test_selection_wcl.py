"""Generic queries as campaigns write them: what is one scalar in WCL is one in the registry, a list is any of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from campaigns import text
from database import make_database, raw

from facade import plugins
from facade.campaign import read
from facade.errors import CampaignError, MissingInputError
from facade.inputs import QueryRunner
from facade.registry.embedded import Embedded
from facade.registry.face import Registry
from facade.registry.values import FileType
from facade.wcl import loads

pytest_plugins = ["database"]

TYPES: dict[str, FileType] = {
    "img": {
        "metadata_table": "image",
        "columns": {
            "visit": {"type": "int"},
            "ccd": {"type": "int"},
            "band": {"type": "text"},
            "seeing": {"type": "float"},
        },
    }
}
BANDS = ("r", "8,6", "8", "6", "(1)", 'a"b', "it's", "100%", "null", "a\\b", "p1:q", "")
MODULE = """
<module look>
    noop = True
    <file>
        <raw>
            query_fields = {fields}
            filetype = img
            {more}
            dirpat = d
        </raw>
    </file>
</module>
"""


@pytest.fixture(scope="module")
def shared(postgres: Embedded, template: str) -> Iterator[Registry]:
    with Registry.open(make_database(postgres, template)) as opened:
        files = [
            {**raw(f"r{n:02d}.fits", visit=n, ccd=n % 2, band=band, seeing=n / 10), "filetype": "img"}
            for n, band in enumerate(BANDS)
        ]
        rows = [{"version": "v", "tract": 3, "patch": p, "visit": n, "ccd": n % 2, "filter": "-"}
                for p in ("0,0", "0,1") for n in (1, 2)]  # fmt: skip
        opened.ingest("all", TYPES, [*files, raw("o.txt")], [(("o.txt", ""), "overlap", rows)])
        yield opened


def ask(registry: Registry, head: str, fields: str = "filetype, band", more: str = "") -> tuple[list[Any], str]:
    """Return the rows that a campaign's generic query finds, and its arguments as they are recorded."""
    whole = head + "\n" + text(MODULE.format(fields=fields, more=more), b="look")
    runner = QueryRunner(read(loads(whole, "c.wcl")), registry)
    runner.run()
    return [line["raw"] for line in runner.datasets["look.file.raw"]], runner.queries[0].arguments


@pytest.mark.parametrize(
    ("head", "bands"),
    [
        ('band = "8,6"', ["8,6"]),
        ("band = 8,6", ["8", "6"]),
        ("band = (8, 6)", ["8", "6"]),
        ("band = '8,6', r", ["r", "8,6"]),
        ('patch = "8,6"\nband = ${patch}', ["8,6"]),
        ('patch = "8,6"\nband = ${patch}, r', ["r", "8,6"]),
        ('patch = "8,6"\nband = !${patch}, !r', [b for b in BANDS if b not in ("8,6", "r")]),
        ("bands = r, 8\nband = ${bands}", ["r", "8"]),
        ('band = "100%"', ["100%"]),
        ("band = 100%", ["100%"]),
        ('band = "1%"', None),
        ('band = "null"', ["null"]),
        ('band = ""', [""]),
        ('band = "(1)"', ["(1)"]),
        ("band = \"it's\"", ["it's"]),
        ("band = 'a\"b'", ['a"b']),
        (r'band = "a\\b"', ["a\\b"]),
        ('a = "p1:"\nband = ${a}q', ["p1:q"]),
        ('a = "8,"\nband = ${a}%', ["8,6"]),
        ("band = p:q", ["p1:q"]),
    ],
)  # fmt: skip
def test_scalars_stay_whole_and_lists_are_any_of_them(shared: Registry, head: str, bands: list[str] | None) -> None:
    if bands is None:
        with pytest.raises(AssertionError):
            assert ask(shared, head)[0]
        return
    found, _ = ask(shared, head)
    assert [row["band"] for row in found] == bands


def test_lists_and_ranges_of_numbers(shared: Registry) -> None:
    found, recorded = ask(shared, "visit = 1:2, 5\nccd = 1", "filetype, visit, image.ccd", "query_table = image")
    assert [row["visit"] for row in found] == [1, 5]
    assert recorded == "--filetype img 'visit=1:2, 5' image.ccd=1"
    found, _ = ask(shared, "seeing = 0.3:0.5, 1.0", "filetype, seeing")
    assert [row["visit"] for row in found] == [3, 4, 5, 10]


def test_a_join_brings_columns_of_another_table(shared: Registry) -> None:
    more = "query_table = image\njoin = image.visit = overlap.visit, image.ccd = overlap.ccd\n"
    more += "output_fields = visit, overlap.patch\npatch = %1\ntract = 3"
    found, recorded = ask(shared, "", "filetype, overlap.tract, overlap.patch", more)
    assert [(row["visit"], row["patch"]) for row in found] == [(1, "0,1"), (2, "0,1")]
    assert "band" not in found[0] and recorded.startswith("--filetype img --join 'image.visit = ")


def test_a_dimension_table_may_be_asked_alone(shared: Registry) -> None:
    module = """
<module look>
    noop = True
    <list>
        <patches>
            query_fields = tract, visit
            query_table = overlap
            output_fields = patch, version
            tract = 3
            visit = 1, 2
            columns = patch
        </patches>
    </list>
</module>
"""
    runner = QueryRunner(read(loads(text(module, b="look"), "c.wcl")), shared)
    runner.run()
    assert [line["patches"] for line in runner.datasets["look.list.patches"]] == [
        {"patch": "0,0", "version": "v"}, {"patch": "0,1", "version": "v"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "fields", "more", "message"),
    [
        ("band = r*", "filetype, band", "", r"'\*' looks like a regular expression"),
        ("visit = high", "filetype, visit", "", "visit is compared with 'high', which is not a whole number"),
        ("visit = 1,,2", "filetype, visit", "", "which has an empty item"),
        ("night = 1", "filetype, night", "", "there is no column 'night'"),
        ("tract = 1", "filetype, overlap.tract", "", "'overlap.tract' is in table 'overlap', which nothing joins"),
        ("tract = 1", "filetype, overlap.tract", "join = raw.id = task.id", "there is no table 'raw' to join"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_told_at_its_place(
    shared: Registry, head: str, fields: str, more: str, message: str
) -> None:
    with pytest.raises(CampaignError, match=message) as caught:
        ask(shared, head, fields, more)
    (fault,) = caught.value.faults
    assert fault.excerpt.strip() == f"query_fields = {fields}" and fault.code == "F601"


def test_files_that_match_but_lie_nowhere_are_missing_inputs(registry: Registry) -> None:
    registry.ingest("r", TYPES, [{**raw(f"r{n}.fits", band="r"), "filetype": "img"} for n in range(12)])
    registry.forget_locations([(f"r{n}.fits", "") for n in range(12)], "home")
    with pytest.raises(
        MissingInputError, match=r"lies in no archive that jobs read: r0\.fits, r1\.fits, .* and 2 more \[F605\]"
    ):
        ask(registry, "band = r")
    assert ask(registry, "band = i")[0] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--filetype", "img", "--table", "overlap"],
        ["visit=1"],
        ["--filetype", "img", "visit=1", "VISIT=2"],
        ["--table", "overlap", "--join", "a.b=c.d"],
        ["--table", "overlap", "--output", "nothing"],
        ["--filetype", "img", "visit"],
        ["--filetype", "img", "--visit=1"],
    ],
)
def test_arguments_that_make_no_sense(shared: Registry, arguments: list[str]) -> None:
    with pytest.raises(plugins.InputError):
        plugins.query("generic").query(arguments, shared.rows)

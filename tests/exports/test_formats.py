"""Provenance graphs in the formats of others: what their own readers make of them."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime

import pytest

from facade.exports import FORMATS, written
from facade.graph import Execution, File, Graph

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
END = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
ODD = 'cal exp "ü" <0>,1;%.fits'


def graph() -> Graph:
    """A raw, a program that made two files of it, one of them with an odd name, and a log that facade made."""
    files = [
        File(id=1, name="raw.fits.fz", filetype="raw", size=9, checksum="a" * 64, depth=1, archive="home", path="raw",
             made_by=8),
        File(id=2, name=ODD, filetype="calexp", size=7, checksum="b" * 64, attempt="Ht0_r11p01", made_by=9,
             archive="home", path="r11/p01"),
        File(id=3, name="src.fits", filetype="src", size=5, checksum="c" * 64, attempt="Ht0_r11p01", made_by=9),
    ]  # fmt: skip
    program = Execution(
        id=9, kind="exec", name="process", argv=("process", "-i", "raw.fits.fz", "it's"), version="1.2", module="red",
        keys={"visit": 9, "patch": "0,1"}, attempt="Ht0_r11p01", host="node1", operator="me", start=START, end=END,
        status=0,
    )  # fmt: skip
    ingest = Execution(id=8, kind="ingest", name="hsc_raw", start=START, end=START, status=0)
    return Graph(
        about=ODD, files={one.id: one for one in files}, executions={8: ingest, 9: program}, used=((9, 1),),
        derived=((2, 1), (3, 1)),
    )  # fmt: skip


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_format_is_written_the_same_twice(form: str) -> None:
    text = written(graph(), form)
    assert text == written(graph(), form) and text.endswith(("\n", "}"))


def test_json_says_it_all() -> None:
    found = json.loads(written(graph(), "json"))
    assert found["used"] == [[9, "raw.fits.fz"]]
    assert found["generated"] == [["raw.fits.fz", 8], [ODD, 9], ["src.fits", 9]]
    assert found["derived"] == [[ODD, "raw.fits.fz"], ["src.fits", "raw.fits.fz"]]
    (program,) = [one for one in found["executions"] if one["kind"] == "exec"]
    assert program["argv"][-1] == "it's" and program["keys"] == {"visit": 9, "patch": "0,1"}


def test_the_w3c_reads_what_was_written() -> None:
    from prov.model import (
        ProvActivity,
        ProvAgent,
        ProvDerivation,
        ProvDocument,
        ProvEntity,
        ProvGeneration,
        ProvUsage,
    )

    text = written(graph(), "prov-json")
    document = ProvDocument.deserialize(content=text, format="json")
    counted = {kind: len(list(document.get_records(kind))) for kind in
               (ProvEntity, ProvActivity, ProvUsage, ProvGeneration, ProvDerivation, ProvAgent)}  # fmt: skip
    assert list(counted.values()) == [3, 2, 1, 3, 2, 2]
    (program,) = document.get_record("task:9")
    assert (program.get_startTime(), program.get_endTime()) == (START, END)
    # read and written again it is the same, and PROV-N is that document
    again = ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    assert again == document
    notation = written(graph(), "prov-n")
    assert notation.startswith("document\n") and notation.rstrip().endswith("endDocument")
    assert notation.count("wasGeneratedBy(") == 3 and "used(task:9, file:raw.fits.fz, -)" in notation


def test_a_crate_refers_to_nothing_that_is_not_in_it() -> None:
    crate = json.loads(written(graph(), "ro-crate"))
    entities = {one["@id"]: one for one in crate["@graph"]}
    assert len(entities) == len(crate["@graph"])
    for one in crate["@graph"]:
        for key, value in one.items():
            for target in value if isinstance(value, list) else [value]:
                if isinstance(target, dict):
                    assert target["@id"] in entities or target["@id"].startswith("http"), (one["@id"], key)
    root, action = entities["./"], entities["#task-9"]
    assert entities["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    assert {one["@id"] for one in root["hasPart"]} == {i for i, one in entities.items() if one["@type"] == "File"}
    assert action["startTime"] == START.isoformat() and action["agent"] == {"@id": "#user-me"}
    assert [entities[one["@id"]]["name"] for one in action["result"]] == [ODD, "src.fits"]
    assert all(re.fullmatch(r"[!-~]+", name) for name in entities), "identifiers are URIs"


def test_the_virtual_observatory_reads_what_was_written() -> None:
    from astropy.io.votable import parse

    tables = {one.name: one.to_table() for one in parse(io.BytesIO(written(graph(), "ivoa").encode())).iter_tables()}
    assert {name: len(table) for name, table in tables.items()} == {
        "Entity": 3, "Activity": 2, "ActivityDescription": 2, "Agent": 1, "Used": 1, "WasGeneratedBy": 3,
        "WasDerivedFrom": 2, "WasAssociatedWith": 1,
    }  # fmt: skip
    assert list(tables["Entity"]["name"]) == ["raw.fits.fz", ODD, "src.fits"]
    nothing = Graph(about="x", files={}, executions={}, used=(), derived=())
    assert all(len(one.array) == 0 for one in parse(io.BytesIO(written(nothing, "ivoa").encode())).iter_tables())


def test_drawings_hold_what_they_are_told() -> None:
    dot = written(graph(), "dot")
    assert dot.count(" -> ") == 1 + 3 + 2 and 'label = "cal exp \\"ü\\" <0>,1;%.fits"' in dot
    mermaid = written(graph(), "mermaid")
    assert mermaid.count("-->") == 4 and mermaid.count("-.->") == 2
    assert 'f2["cal exp #34;ü#34; #60;0#62;,1#59;#37;.fits"]' in mermaid

"""docs/wcl.md is true: its examples are read, laid out and replaced as it says."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import pytest

from facade.codes import CODES
from facade.errors import CampaignError
from facade.wcl import Document, Scope, listed, loads
from facade.wcl.layout import layout
from facade.wcl.syntax import parse

PAGE = (Path(__file__).parents[2] / "docs/wcl.md").read_text()


def blocks() -> list[str]:
    """Return the indented examples."""
    groups = groupby(PAGE.split("\n"), key=lambda line: line.startswith("    "))
    return ["".join(f"{line[4:]}\n" for line in lines) for example, lines in groups if example]


def rows(heading: str) -> list[tuple[str, ...]]:
    """Return the rows of the table that begins with *heading*; each cell is what stands in it."""
    table = PAGE[PAGE.index(heading) :].partition("\n\n")[0].strip().split("\n")[2:]
    assert table
    return [tuple(cell.strip() for cell in row.strip("|").split(" |")) for row in table]


def words(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


def document(text: str) -> Document:
    return parse(text, "example", lambda path, _: (path, ""), lambda name: lambda arguments: {})


def test_every_example_can_be_read_and_is_laid_out() -> None:
    assert len(blocks()) == 3
    for text in blocks():
        assert not document(text).warnings
        assert layout(text, "example") == text


def test_the_first_example_is_the_tree_that_it_shows() -> None:
    assert document(blocks()[0]).root.plain() == {
        "project": "DEMO",
        "module": {
            "reduce": {
                "wrapperloop": "visit, ccd",
                "exec_1": {"execname": "reduce", "cmdline": {"C": "reduce.config"}},
            }
        },
        "modulelist": "reduce, stack, measure",
    }


@pytest.mark.parametrize(("line", "key", "value"), rows("| line | key | value |"))
def test_a_line_gives_the_key_and_the_value_that_stand_beside_it(line: str, key: str, value: str) -> None:
    assert loads(*words(line)).root.plain() == {words(key)[0]: "".join(words(value))}


@pytest.mark.parametrize(("text", "items"), rows("| list | items |"))
def test_a_list_has_the_items_that_stand_beside_it(text: str, items: str) -> None:
    assert listed(*words(text)) == words(items)


@pytest.mark.parametrize(("text", "becomes"), rows("| text | becomes |"))
def test_a_reference_becomes_what_stands_beside_it(text: str, becomes: str) -> None:
    found = Scope(document(blocks()[1]).root).expand(words(text)[0])
    assert tuple(found.template.format(values) for values in found.combinations()) == words(becomes)


def told(text: str) -> set[str]:
    """Return the codes of everything that is told of a text."""
    try:
        return {fault.code for fault in loads(text).warnings}
    except CampaignError as error:
        return {fault.code for fault in error.faults}


def test_what_is_read_otherwise_is_told_by_the_code_that_is_named() -> None:
    differences = rows("| text | DESDM | facade |")
    named = set(re.findall(r"F\d{3}", PAGE))
    assert named <= set(CODES) and len(differences) > 10
    for text, _, now in differences:
        if "=" in text:
            for code in re.findall(r"F\d{3}", now):
                assert code in told(*words(text)), text
    assert told("<x> y") == told("< x >") == {"F002"}
    assert told("lonely") == {"F008"} and told("b = 2 # c \\\na = 1") == {"F019"}
    assert told("a = 1\n<a>\n</a>") == {"F007"} and told("a = 1\na = 2") == {"F024"}
    assert {warning.code for warning in document("<s>\n<<include x>>\n</s>").warnings} == {"F015"}

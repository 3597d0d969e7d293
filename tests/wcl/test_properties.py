"""What holds for every text: trees survive writing and reading, places are right, only named errors come out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from facade.errors import CampaignError, Location
from facade.wcl import Document, Section, Value, dumps, loads
from facade.wcl.syntax import parse
from facade.wcl.tree import BUILT_IN

ONE_LINE = st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"])
QUOTED = re.compile(r"""("([^"\\]|\\.)*"|'[^']*')$""")


def is_key(text: str) -> bool:
    return text == text.lower() and not any(c.isspace() for c in text) and not text.startswith(("<", "="))


def is_bare(text: str) -> bool:
    """Say whether a text can be an unquoted value at all."""
    return text == text.strip() and text != "" and "<<" not in text and not QUOTED.match(text)


KEYS = st.text(ONE_LINE, min_size=1, max_size=8).filter(is_key) | st.sampled_from(
    ["a=b", "a", "cmdline", "replace", "a#b", "#", "'a", '"', "a\\", "\\", "a="]
)
ODD = [
    "= 1",
    "a \\",
    "\\",
    "\\\\",
    "</x>",
    "<x>",
    "filter=",
    "8,6",
    '"q"',
    "'q'",
    "'a' \"b\"",
    "a # b",
    "#",
    "\\#",
    "\\\\#",
]
ODD += ["'", '"', "'\"", "\"'\\", '\\"', "'a", 'a"', "it's", "(1:4)", "${a}", '"a" # "b"', "'a' # 'b'", '"a\\"']
ODD += ["\u00a0x", "x\u2003", "\x85", "\x1c"]
TEXTS = st.text(ONE_LINE, max_size=20) | st.sampled_from(ODD) | st.lists(st.sampled_from(ODD)).map("".join)
VALUES = st.builds(lambda text: (text, False), TEXTS.filter(is_bare)) | st.builds(lambda text: (text, True), TEXTS)
NAMES = st.text(
    st.characters(exclude_characters="<>/\0\r\n", exclude_categories=["Cs"]), min_size=1, max_size=6
).filter(lambda t: t == t.lower() and not any(c.isspace() for c in t))


@st.composite
def trees(draw: st.DrawFn, name: str = "", depth: int = 0) -> Section:
    tree = Section(name)
    for key, (text, quoted) in draw(st.lists(st.tuples(KEYS, VALUES), max_size=4)):
        tree.set(key, Value(text, BUILT_IN, BUILT_IN, quoted=quoted))
    for child in draw(st.lists(NAMES, max_size=2)) if depth < 3 else ():
        if child != name and child not in tree:
            tree.set(child, draw(trees(child, depth + 1)))
    return tree


@settings(max_examples=300, deadline=None)
@given(trees())
def test_a_tree_survives_writing_and_reading(tree: Section) -> None:
    read = loads(dumps(tree))
    assert read.root == tree, dumps(tree)
    assert {fault.code for fault in read.warnings} <= {"F020", "F021", "F026"}  # of quotes and '#' that are data


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "\0"])
@pytest.mark.parametrize("quoted", [True, False])
def test_what_cannot_be_written_is_refused(text: str, quoted: bool) -> None:
    tree = Section()
    tree.set("a", Value(text, BUILT_IN, BUILT_IN, quoted=quoted))
    with pytest.raises(ValueError, match="'a': a value of WCL is one line of text"):
        dumps(tree)


LINES = st.sampled_from(
    [
        *[
            "<a>",
            "</a>",
            "<a b>",
            "</b>",
            "a = 1",
            "a=b=c",
            "x \\",
            "\\",
            "# c",
            "<cmdline>",
            "</cmdline>",
            "a",
            "a =",
            "= b",
        ],
        *["<<include x>>", "<<inclfunc f(x)>>", "<x> y", "<", ">", "<<include ${y}>>", "<<include ${a:z}>>", "A B"],
        *['a = "x \\', 'y"', 'b = "\\"\\\\ \\', "a 'x # y' # z", "x\\#y = \\#", "\\#", "k = '", "'", "\u00a0"],
        *['a\u00a0= "\u2003b"', 'c = "x" \\', "# d \\", "<a \\", "b>", 'a#b = "c"', '"a" = "b"', 'a = "b" "c"'],
        *['a = \\""', "a= 'b'c"],
    ]
)
BITS = st.lists(
    st.sampled_from(["a", " ", "=", '"', "'", "\\", "#", "\\#", "\\\n", "\n", "\t", "<", ">", "b", '\\"']), max_size=25
)
WRITTEN = (
    st.text()
    | st.lists(LINES | st.text(max_size=10), max_size=12).map("\n".join)
    | BITS.map("".join)
    | st.lists(BITS.map("".join), max_size=3).map(lambda parts: "a = " + "\nb = ".join(parts))
)


def all_faults(text: str) -> tuple[Document | None, list[str]]:
    try:
        document = loads(text)
    except CampaignError as error:
        assert error.faults and all(fault.location and fault.code for fault in error.faults)
        return None, [str(fault) for fault in error.faults]
    return document, [str(fault) for fault in document.warnings]


@settings(max_examples=500, deadline=None)
@given(WRITTEN)
@example("<a>\n" * 3000)
@example("</a>\n" * 10)
@example("\ufeff\ufeff = 1")
def test_reading_raises_nothing_but_campaign_errors_and_what_is_read_can_be_written(text: str) -> None:
    document, faults = all_faults(text)
    assert all(fault.startswith("<text>:") for fault in faults)
    if document is not None:
        assert loads(dumps(document)).root == document.root


def located(section: Section) -> Iterator[tuple[str, Value]]:
    for key, value in section.values():
        yield key, value
        yield from ((key, earlier) for earlier in section.history(key))
    for _, inner in section.sections():
        yield from located(inner)


@settings(max_examples=500, deadline=None)
@given(WRITTEN)
@example('a = "\\"\\\\\\"\\\n  x\\\\ \\\n\\"y"')
@example("a\\#b \\\n = \\#x\\#\\\n\\#\\\ny # z")
@example("a = x\\\\\n#y")
@example('\\\n\\\n  a = \\\n "b"')
def test_every_place_points_at_its_text(text: str) -> None:
    document, _ = all_faults(text)
    assume(document is not None)
    assert document is not None
    lines = document.sources["<text>"]

    def at(place: Location) -> str:
        return lines[place.line - 1][place.column - 1 : place.column]

    for key, value in located(document.root):
        assert at(value.key_location).lower()[:1] in (key[:1], "\\")
        assert at(value.location) in (('"', "'") if value.quoted else (value.text[0], "\\"))
        for start, character in enumerate(value.text):
            part = value.part(start, start + 1)
            assert (part.text, at(part.location)) == (character, character)
        for item in value.items():
            assert item.quoted or at(item.location) == item.text[0]


FILES = ["a", "b", "c/d"]
PIECES = st.lists(
    st.sampled_from(
        [
            *(f"<<include {name}>>" for name in [*FILES, "${v}", "no", "${no}"]),
            *["v = a", "v = b", "<s>", "</s>", "x = 1", "x = '1'", "<x>", "</x>", "# c", "lonely"],
            *["<<inclfunc f(x)>>", "<<inclfunc g(v, x)>>"],
        ]
    ),
    max_size=6,
).map("\n".join)


@settings(max_examples=200, deadline=None)
@given(st.tuples(PIECES, PIECES, PIECES))
def test_includes_and_functions_in_any_tangle_end(texts: tuple[str, str, str]) -> None:
    files = dict(zip(FILES, texts, strict=True))

    def reader(path: str, including: str) -> tuple[str, str]:
        assert including in files
        if path not in files:
            raise FileNotFoundError(2, "No such file")
        return path, files[path]

    def functions(name: str) -> object:
        if name == "g":
            raise LookupError("no 'g'")
        return lambda arguments: {"s": {"y": arguments}, "x": 2}

    try:
        document = parse(files["a"], "a", reader, functions)  # type: ignore[arg-type]
        faults = document.warnings
    except CampaignError as error:
        faults = list(error.faults)
    for fault in faults:
        assert fault.code and fault.location is not None and fault.location.file in files
        assert fault.location.file == "a" or fault.included_from
        assert fault.excerpt == files[fault.location.file].split("\n")[fault.location.line - 1]
        assert all(place.file in files for place in fault.included_from)
        assert fault.location.column + fault.width <= len(fault.excerpt) + 1

"""``facade fmt`` changes how a text looks and never what it means; what it cannot lay out it leaves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facade.errors import CampaignError, FacadeError
from facade.wcl import Section
from facade.wcl import layout as room
from facade.wcl.layout import layout
from facade.wcl.syntax import parse

FILES = sorted((Path(__file__).parents[2] / "wcl").rglob("*.wcl"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("\n \n\t\n", ""),
        ("a=1", "a = 1\n"),
        ("\ta\t=\t1\t\r\n", "a = 1\n"),
        ("a = 1\r\nb = 2\rc = 3\n", "a = 1\nb = 2\nc = 3\n"),
        ("\ufeffa = 1\n", "a = 1\n"),
        ("\ufeff\ufeffa = 1\n", "\ufeff\ufeffa = 1\n"),
        ("Key   Some  words", "Key = Some  words\n"),
        ("a : 1", "a = : 1\n"),
        ("x y = z", "x = y = z\n"),
        ("a=b=c", "a=b = c\n"),
        ("a == 1", "a = = 1\n"),
        ("a  =  'b  # c'#d", "a = 'b  # c'  #d\n"),
        ('a   "8,6"', 'a = "8,6"\n'),
        ('a = ""', 'a = ""\n'),
        ("a = b \\# c # d", "a = b \\# c  # d\n"),
        ("a\\#b c", "a\\#b = c\n"),
        ("a = x \\ # c", "a = x \\  # c\n"),
        ("\n\n# one\n\n\n\n  # two\n\na = 1\n\n", "# one\n\n# two\n\na = 1\n"),
        ("<a>\nb=1\n<c d>\ne=2\n</c>\n</a>\nf=3", "<a>\n    b = 1\n    <c d>\n        e = 2\n    </c>\n</a>\nf = 3\n"),
        ("<module   foo>#c\n# in\n</ module >#d\n# out", "<module foo>  #c\n    # in\n</module>  #d\n# out\n"),
        ("<m f>\na=1\n</f>\nb=1\n</m>", "<m f>\n    a = 1\n    </f>\n    b = 1\n</m>\n"),
        ("<M>\n</m>", "<M>\n</m>\n"),
        ("<cmdline>\nKey Value\n</cmdline>", "<cmdline>\n    Key = Value\n</cmdline>\n"),
        ("<<include ../${camera}.wcl>>#c", "<<include ../${camera}.wcl>>  #c\n"),
        ("<s>\n<<  Include a b.wcl  >>\n</s>", "<s>\n    <<include a b.wcl>>\n</s>\n"),
        ("a = <<include b>>", "a = <<include b>>\n"),
        ("a=  <<include  b>>#c", "a=  <<include  b>>  #c\n"),
        ("<<inclfunc f.g( a,b )>>", "<<inclfunc f.g( a,b )>>\n"),
        ("<s>\nlonely   #c\nkey =\n=  x\n</s>", "<s>\n    lonely   #c\n    key =\n    =  x\n</s>\n"),
        ("a = x,\\\ny, \\  \n  z#c", "a = x,\\\n    y, \\\n    z  #c\n"),
        ("args=\\\n--a \\\n--b", "args = \\\n    --a \\\n    --b\n"),
        ("depends \\\n a.b", "depends = \\\n    a.b\n"),
        ("a \\\n = x", "a \\\n    = x\n"),
        ("de\\\npends x", "de\\\n    pends x\n"),
        ("\\\na  =  x", "\\\n    a  =  x\n"),
        ("<module \\\n  foo>\n</module>", "<module \\\n    foo>\n</module>\n"),
        ("a = x # c \\\nb = 2", "a = x  # c \\\n    b = 2\n"),
        ("a = x\\\n# c \\\nb = 2", "a = x\\\n    # c \\\n    b = 2\n"),
        ("# c \\\nb = 2\nc = 3", "# c \\\n    b = 2\nc = 3\n"),
        ("a = x \\", "a = x \\\n"),
        ("a = x \\\n\n\nb = 1", "a = x \\\n\nb = 1\n"),
        ("a = x \\\n\n\n", "a = x \\\n"),
        ("a = x\\\\\ny", "a = x\\\\\n    y\n"),
        ("\u00a0a\u00a0=\u00a0b\u00a0\x0c", "a = b\n"),
    ],
)
def test_a_text_is_laid_out(text: str, expected: str) -> None:
    assert layout(text, "t.wcl") == expected
    assert layout(expected, "t.wcl") == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_facade_comes_with_is_laid_out(path: Path) -> None:
    assert layout(path.read_text(), str(path)) == path.read_text()


def test_every_syntax_fault_is_told_with_its_place() -> None:
    with pytest.raises(CampaignError) as caught:
        layout("<a>\n<b> c\n</d>\n\0", "t.wcl")
    places = [(fault.location and fault.location.line, fault.code) for fault in caught.value.faults]
    assert places == [(1, "F001"), (2, "F002"), (3, "F004"), (4, "F023")]


def test_a_layout_that_would_change_the_meaning_is_never_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room._Group, "laid_out", lambda group: [piece.upper() for piece in group.pieces])
    with pytest.raises(FacadeError, match=r"t\.wcl: laid out, it would mean something else; it stays as it is"):
        layout("a = b", "t.wcl")


def test_a_line_that_cannot_be_laid_out_is_only_indented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room._Group, "tidied", lambda group, code, statement: (f"{code}!", 4))
    assert layout("<s>\na=1 # c\n</s>", "t.wcl") == "<s>\n    a=1 # c\n</s>\n"


SAID = [
    "a = 1",
    "B=x y",
    "c  some, words",
    "d = x # c",
    "e='8,6' #c",
    'f "p # q"',
    "g = \\# #",
    "n == =",
    "=o p",
    "q= r",
]
SAID += ["i = a, \\", "j \\", "k = x # c \\", "  l = ${v:3}  ", "\tt\t=\tu\t", "<<include ${x}.wcl>>"]
SAID += ["=o p", "q= r", "m = <<include y>>", "<<  include  z >> # c", "<<inclfunc f(a)>>"]
UNSAID = ["# note", "#", "", " ", "\\", "# c \\", "lone", "h ="]
VALID = st.sampled_from(SAID + UNSAID)
NAMES = st.sampled_from(["a", "module", "Cmdline", "replace", "s"])
ENDS = st.sampled_from(["\n", "\r\n", "\r", " \n", "\n\n\n"])


@st.composite
def texts(draw: st.DrawFn, depth: int = 0) -> str:
    """Text that mostly is WCL: sections that close, lines of every kind, ends of every kind."""
    parts: list[str] = []
    for line in draw(st.lists(VALID, max_size=6)):
        parts += [" " * draw(st.integers(0, 3)), line, draw(ENDS)]
    for name in draw(st.lists(NAMES, max_size=2)) if depth < 3 else ():
        label = draw(st.sampled_from(["", " foo", "  Bar"]))
        comment = draw(st.sampled_from(["", " # c", "#"]))
        parts += [f"<{name}{label}>{comment}", draw(ENDS), draw(texts(depth + 1))]
        parts += [f"</ {name.upper()}>{comment}", draw(ENDS)]
        parts += [line + draw(ENDS) for line in draw(st.lists(VALID, max_size=2))]
    return "".join(parts)


PIECES = [
    "a",
    "b",
    " ",
    "  ",
    "=",
    " = ",
    "#",
    "\\#",
    '"',
    "'",
    "\\",
    "\\\n",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "<",
    ">",
    "</",
    "<a>",
]
PIECES += ["</a>", "<a b>", "<<include x>>", "<<include ", ">>", "8,6", "${v}", "\ufeff", "\x0c", "\u2028", "\xa0", "é"]
ODD = st.text() | st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
ANY = texts() | texts().map(lambda text: f"\ufeff{text}") | ODD


def meaning(text: str) -> Section | list[str]:
    """Return the tree that *text* gives by itself, or the codes of its faults."""
    try:
        return parse(text, "t", lambda path, _: (path, ""), lambda name: lambda arguments: {}).root
    except CampaignError as error:
        return sorted(fault.code for fault in error.faults)


def bare(text: str) -> str:
    """Return the characters that layout never drops, adds or moves."""
    return re.sub(r"[\s=\ufeff]+", "", text).lower()


@settings(max_examples=1000, deadline=None)
@given(ANY)
@example('a "b" # c')
@example('a = "b"#c\\\nd')
@example("\\\n#\\\n\\\n a = \\\n\\\n b")
def test_what_a_text_means_survives_with_every_comment_in_its_order(text: str) -> None:
    try:
        result = layout(text, "t")
    except CampaignError:
        return
    assert meaning(result) == meaning(text)
    assert bare(result) == bare(text)
    assert layout(result, "t") == result


@settings(max_examples=500, deadline=None)
@given(ANY)
def test_a_layout_is_clean(text: str) -> None:
    try:
        result = layout(text, "t")
    except CampaignError:
        return
    if not result:
        return
    assert "\r" not in result and "\n\n\n" not in result
    assert result.endswith("\n") and result[:-1] == result[:-1].strip("\n")
    for line in result.removeprefix("\ufeff")[:-1].split("\n"):
        blanks = len(line) - len(line.lstrip(" "))
        assert line == line.rstrip() and line[blanks:] == line[blanks:].lstrip(), line


FOLLOWED = {"F010", "F011", "F012", "F013", "F016", "F017", "F018"}


@settings(max_examples=300, deadline=None)
@given(texts())
def test_a_text_is_refused_only_if_facade_refuses_it_too(text: str) -> None:
    """What is wrong with a file or function that is included is no reason."""
    said = meaning(text)
    try:
        layout(text, "t")
    except CampaignError as error:
        assert isinstance(said, list) and {fault.code for fault in error.faults} <= set(said)
    else:
        assert isinstance(said, Section) or set(said) <= FOLLOWED

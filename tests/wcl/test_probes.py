"""What the original system did with odd texts, and what facade does: one line a probe.

The probes are those of the reference (desdm.md §1.1, §1.2, §1.4) that were observed by running the original, and what
follows from them for quotes and for the patch with a comma (§1.5). Each has a verdict: ``equal``, ``refused`` (with the
code of the fault) or ``mended`` (facade reads it otherwise, on purpose). ``told`` is the code of the warning or note
that goes with it. A text that means something else now and is not told of says ``why`` not. Where the original raised,
the exception stands in the place of its result.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from facade.errors import CampaignError
from facade.wcl import BadReference, MissingVariable, Scope, loads


@dataclass(frozen=True)
class P:
    """A text, what the original made of it, the verdict, and what facade makes of it if that is something else."""

    text: str
    original: Any
    verdict: str
    facade: Any = None
    told: str = ""
    why: str = ""


MODULE = {"module": {"foo": {"a": "1"}}}
READING = {
    "1.1 a continuation just ends at the end of the file": [
        P("a = x\\",                                {"a": "x"},                       "equal"),
        P("a = x\\\n",                              {"a": "x"},                       "equal"),
    ],
    "1.1 'x\\\\' leaves one backslash and still continues": [
        P("a = x\\\\\ny",                           {"a": "x\\y"},                    "equal"),
    ],
    "1.1 the first '#' cuts, whatever stands around it": [
        P('a = "x#y"',                              {"a": '"x'},                      "mended", {"a": "x#y"}, "F020"),
        P("a = x\\#y",                              {"a": "x\\"},                     "mended", {"a": "x#y"}, "F020"),
        P('a = "x#y" z',                            {"a": '"x'},                      "equal", told="F022"),
    ],
    "1.1 a comment that ends in a backslash swallows the next line": [
        P("a = x # c \\\nb = 2",                    {"a": "x"},                       "equal", told="F019"),
    ],
    "1.1 blanks around the name in a close tag are tolerated": [
        P("<a>\nb = 1\n</ a >",                     {"a": {"b": "1"}},                "equal"),
        P("<a>\nb = 1\n</\ta>",                     {"a": {"b": "1"}},                "equal"),
    ],
    "1.1 a section opener must be the entire line, else it is junk, and the close fails": [
        P("<x> foo",                                {"<x>": "foo"},                   "refused", "F002"),
        P("< x >",                                  {"<": "x >"},                     "refused", "F002"),
        P("<x> foo\n</x>",                          SyntaxError,                      "refused", "F002 F003"),
        P("< x >\n</x>",                            SyntaxError,                      "refused", "F002 F003"),
    ],
    "1.1 a section on one line is a section with that whole odd name": [
        P("<x>a=1</x>",                             SyntaxError,                      "refused", "F002"),
    ],
    "1.1 a sublabel opens two sections, which one close closes": [
        P("<module foo>\na = 1\n</module>",         MODULE,                           "equal"),
        P("<module>\n<foo>\na = 1\n</foo>\n</module>", MODULE,                        "equal"),
        P("<module foo>\na = 1\n</foo>\n</module>", MODULE,                           "equal"),
        P("<module foo>\na = 1\n</foo>",            SyntaxError,                      "refused", "F001"),
    ],
    "1.1 no direct child has its parent's name, a grandchild may": [
        P("<a>\n<a>\n</a>\n</a>",                   SyntaxError,                      "refused", "F005"),
        P("<a>\n<b>\n<a>\nx = 1\n</a>\n</b>\n</a>", {"a": {"b": {"a": {"x": "1"}}}},  "equal"),
    ],
    "1.1 a key is the longest run without blanks before an equals sign": [
        P("a=b=c",                                  {"a=b": "c"},                     "equal"),
        P("a = b=c",                                {"a": "b=c"},                     "equal"),
        P("a == 1",                                 {"a": "= 1"},                     "equal"),
    ],
    "1.1 a value holds anything but '#'; quotes are data": [
        P("a = <x>; y",                             {"a": "<x>; y"},                  "equal"),
        P("a = it's \"so\"",                        {"a": "it's \"so\""},             "equal"),
        P('a = "r" "i"',                            {"a": '"r" "i"'},                 "equal"),
        P('a = "r"',                                {"a": '"r"'},                     "mended", {"a": "r"}, "F021"),
        P('a = "${b}"',                             {"a": '"${b}"'},                  "mended", {"a": "${b}"}, "F021"),
        P('a = "r i"',                              {"a": '"r i"'},                   "mended", {"a": "r i"}, "F026"),
        P('a = ""',                                 {"a": '""'},                      "mended", {"a": ""}, "F026"),
    ],
    "1.1 'key value' without an equals sign": [
        P("depends a.b.c",                          {"depends": "a.b.c"},             "equal"),
        P("match expnum, band",                     {"match": "expnum, band"},        "equal"),
        P("a : 1",                                  {"a": ": 1"},                     "equal"),
        P("a < b",                                  {"a": "< b"},                     "equal"),
    ],
    "1.1 a lone word and a key without value are ignored": [
        P("lonely",                                 {},                               "equal", told="F008"),
        P("key =",                                  {},                               "equal", told="F009"),
        P("key=\nb = 1",                            {"b": "1"},                       "equal", told="F009"),
    ],
    "1.1 a close tag inside a value is text": [
        P("a = 1 </x>",                             {"a": "1 </x>"},                  "equal"),
        P("<x>\na = 1 </x>\n</x>",                  {"x": {"a": "1 </x>"}},           "equal"),
    ],
    "1.1 CRLF, UTF-8 and NBSP": [
        P("a = 1\r\n<s>\r\nb = 2\r\n</s>\r\n",      {"a": "1", "s": {"b": "2"}},      "equal"),
        P("größe = ½ μm",                           {"größe": "½ μm"},                "equal"),
        P("\u00a0a =\u00a0b\u00a0",                 {"a": "b"},                       "equal"),
    ],
    "1.2 case is kept in cmdline and replace, in inner sections too": [
        P("<CmdLine>\nKey = 1\n</cmdline>",         {"cmdline": {"Key": "1"}},        "equal"),
        P("<replace>\n<In>\nX = 1\n</In>\n</replace>", {"replace": {"In": {"X": "1"}}}, "equal"),
        P("<S>\nKey = 1\n</S>",                     {"s": {"key": "1"}},              "equal"),
    ],
    "1.2 the last of duplicate keys wins and has the first one's position": [
        P("a = 1\nb = 2\na = 3",                    {"a": "3", "b": "2"},             "equal", told="F024"),
    ],
    "1.2 a scalar replaces a section in silence, a section over a scalar is an error": [
        P("<s>\nb = 1\n</s>\ns = 1",                {"s": "1"},                       "refused", "F007"),
        P("s = 1\n<s>\nb = 1\n</s>",                TypeError,                        "refused", "F007"),
    ],
}  # fmt: skip

# the variables of the probes below
VARIABLES = """
v = 7
minus = -5
word = x
band = r
depth = 2
psfex_satur_level_r_2 = deep
l = 1,2
abc = a, b, c
xy = x, y
n = 01, 02, 03
hundred = (1:100)
many = (1:150)
circle = ${circle2}
circle2 = ${circle}
zeros = (0998:1002)
backwards = 5:3, 1
time = 12:30:45, 1
brackets = (1), (3:4)
call = f(a), b
bare = 1:4
beside = 1:4, 9
trailing = a, b,
inner = a${v}, b
patch = 8,6
whole = "8,6"
""" + "".join(f"c{i} = ${{c{i + 1}}}\n" for i in range(150))

# what is replaced: a text, or, where several may come of it, a list
REPLACING = {
    "1.4 markers and keys are blind to case, blanks inside the braces count": [
        P("${V}-$OPT{v}-$opt{V}",                   "7-7-7",                          "equal"),
        P("$opt{none}.",                            ".",                              "equal"),
        P("${ v }",                                 KeyError,                         "refused", "F101"),
        P("${none}",                                KeyError,                         "refused", "F101"),
    ],
    "1.4 padding": [
        P("${v:02}",                                "07",                             "equal"),
        P("${v:2}",                                 "07",                             "equal"),
        P("${minus:4}",                             "-005",                           "equal"),
        P("${word:4}",                              ValueError,                       "refused", "F106"),
    ],
    "1.4 padding of a list that is not expanded is ignored": [
        P("${l:3}",                                 "1,2",                            "refused", "F106"),
        P("${l:3}",                                 ["001", "002"],                   "equal"),
    ],
    "1.4 $(v) is inert": [
        P("$(v)",                                   "$(v)",                           "equal"),
    ],
    "1.4 names nest": [
        P("${psfex_satur_level_${band}_${depth}}",  "deep",                           "equal"),
    ],
    "1.4 variables in a circle, or more than 100 deep, are an error": [
        P("${circle}",                              Exception,                        "refused", "F103"),
        P("${c0}",                                  Exception,                        "refused", "F104"),
    ],
    "1.4 the items of a list": [
        P("${abc}",                                 ["a", "b", "c"],                  "equal"),
        P("${zeros}",                               ["998", "999", "1000", "1001", "1002"], "equal"),
        P("${backwards}",                           ["1"],                            "refused", "F115"),
        P("${time}",                                [*map(str, range(12, 31)), "1"],  "refused", "F114"),
        P("${brackets}",                            ["1", "3", "4"],                  "equal"),
        P("${call}",                                ["fa", "b"],                      "refused", "F114"),
    ],
    "1.4 a range is a list only in brackets or beside a comma": [
        P("${bare}",                                ["1:4"],                          "equal"),
        P("${beside}",                              ["1", "2", "3", "4", "9"],        "equal"),
    ],
    "1.4 a trailing comma gives an empty item": [
        P("${trailing}",                            ["a", "b", ""],                   "refused", "F114"),
    ],
    "1.4 the same variable moves together, different ones form the product": [
        P("${l}-${l}",                              ["1-1", "2-2"],                   "equal"),
        P("${n}-${xy}",                             ["03-x", "03-y", "02-x", "02-y", "01-x", "01-y"], "mended",
          ["01-x", "01-y", "02-x", "02-y", "03-x", "03-y"], why="they are the same texts in another order"),
    ],
    "1.4 a reference inside an item of a list is left as it is": [
        P("${inner}",                               ["a${v}", "b"],                   "mended", ["a7", "b"],
          why="no file was ever called a${v}: nobody can have meant that"),
    ],
    "1.4 after 100 expansions combinations are dropped": [
        P("${hundred}x${l}",                        198,                              "mended", 200,
          why="nobody can have meant the loss of two"),
    ],
    "1.4 one variable may have more than 100 values": [
        P("${many}",                                150,                              "equal"),
    ],
    "1.5 a patch with a comma": [
        P("calexp-${patch}",                        ["calexp-8", "calexp-6"],         "equal"),
        P("--id patch=${patch}",                    "--id patch=8,6",                 "equal"),
        P("calexp-${whole}",                        ['calexp-"8', 'calexp-6"'],       "mended", ["calexp-8,6"],
          why="quotes are the new spelling of one scalar"),
        P("calexp-${row}",                          ["calexp-8", "calexp-6"],         "mended", ["calexp-8,6"],
          why="what comes from a row is one scalar"),
        P("calexp-${rowtime}",                      [f"calexp-{n}" for n in range(12, 31)], "mended",
          ["calexp-(12:30:45)"], why="what comes from a row is one scalar"),
    ],
}  # fmt: skip
ROW = {"row": "8,6", "rowtime": "(12:30:45)"}

READING_PROBES = [probe for probes in READING.values() for probe in probes]
REPLACING_PROBES = [probe for probes in REPLACING.values() for probe in probes]


def texts(probe: P) -> Any:
    """Return what facade makes of a text with references, in the form that the probe expects."""
    scope = Scope(loads(VARIABLES).root, ROW)
    if isinstance(probe.original, list | int):
        expansion = scope.expand(probe.text)
        found = [expansion.template.format(values) for values in expansion.combinations()]
        return len(set(found)) if isinstance(probe.original, int) else found
    return scope.resolve(probe.text)


def in_order(tree: dict[str, Any]) -> list[Any]:
    """Return a tree as lists, so that the order of its keys counts too."""
    return [(key, in_order(entry) if isinstance(entry, dict) else entry) for key, entry in tree.items()]


@pytest.mark.parametrize("probe", READING_PROBES, ids=lambda probe: repr(probe.text))
def test_a_text_is_read(probe: P) -> None:
    if probe.verdict == "refused":
        with pytest.raises(CampaignError) as caught:
            loads(probe.text)
        assert " ".join(fault.code for fault in caught.value.faults) == probe.facade
        return
    document = loads(probe.text)
    expected = probe.original if probe.verdict == "equal" else probe.facade
    assert in_order(document.root.plain()) == in_order(expected)
    assert " ".join(fault.code for fault in document.warnings) == probe.told


@pytest.mark.parametrize("probe", REPLACING_PROBES, ids=lambda probe: probe.text)
def test_a_text_becomes(probe: P) -> None:
    if probe.verdict == "refused":
        with pytest.raises((BadReference, MissingVariable)) as caught:
            texts(probe)
        assert caught.value.code == probe.facade
    else:
        assert texts(probe) == (probe.original if probe.verdict == "equal" else probe.facade)


def test_the_table_says_of_every_probe_what_it_must() -> None:
    assert Counter(title[:3] for title in [*READING, *REPLACING]) == {"1.1": 15, "1.2": 3, "1.4": 13, "1.5": 1}
    for probe in [*READING_PROBES, *REPLACING_PROBES]:
        assert probe.verdict in ("equal", "refused", "mended")
        assert (probe.facade is None) == (probe.verdict == "equal")
        assert probe.facade != probe.original
        if isinstance(probe.original, type):
            assert probe.verdict == "refused"  # nothing that was an error has a meaning now
        if probe.verdict == "mended":
            assert bool(probe.told) != bool(probe.why)

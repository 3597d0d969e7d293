"""The editor grammar colours a text as facade reads it; the hooks for pre-commit run verbs that there are."""

from __future__ import annotations

import json
import plistlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.cli import VERBS
from facade.errors import CampaignError
from facade.wcl import Document, Section, Value, loads
from facade.wcl.syntax import parse

ROOT = Path(__file__).parents[2]
EDITOR = ROOT / "docs/editor"
GRAMMAR: dict[str, Any] = json.loads((EDITOR / "wcl.tmLanguage.json").read_text())
Rule = dict[str, Any]
Tokens = list[tuple[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Frame:
    """An open rule: ``outer`` scopes hold for its begin and end, ``inner`` for what lies between."""

    rule: Rule
    outer: tuple[str, ...]
    inner: tuple[str, ...]


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def rules(patterns: list[Rule]) -> Iterator[Rule]:
    """Return the rules of a list, includes and groups replaced by what they hold."""
    for rule in patterns:
        if "include" in rule:
            yield from rules([GRAMMAR["repository"][rule["include"].removeprefix("#")]])
        elif "match" in rule or "begin" in rule:
            yield rule
        else:
            yield from rules(rule["patterns"])


def named(rule: Rule, key: str = "name") -> tuple[str, ...]:
    return (rule[key].removesuffix(".wcl"),) if key in rule else ()


def captured(found: re.Match[str], scopes: tuple[str, ...], captures: Rule) -> Tokens:
    """Split a match at its captures, which do not nest in this grammar."""
    tokens: Tokens = []
    at = found.start()
    for number in sorted(map(int, captures)):
        start, end = found.span(number)
        if start < 0 or start == end:
            continue
        tokens += [(found.string[at:start], scopes), (found.string[start:end], scopes + named(captures[str(number)]))]
        at = end
    return [*tokens, (found.string[at : found.end()], scopes)]


def tokenise(text: str) -> list[Tokens]:
    """Return (text, scopes) for each piece of each line, as TextMate would: the earliest match wins, then the first."""
    stack = [Frame(GRAMMAR, (), ())]
    return [[(t, s) for t, s in one_line(line + "\n", stack) if t.strip("\n")] for line in text.split("\n")]


def one_line(line: str, stack: list[Frame]) -> Iterator[tuple[str, tuple[str, ...]]]:
    at, steps = 0, 0
    while at <= len(line):
        steps += 1
        assert steps < 5 * len(line) + 10, f"the grammar goes in a circle: {line!r}"
        top = stack[-1]
        found: list[tuple[int, int, re.Match[str], Rule | None]] = []
        if "end" in top.rule and (end := compiled(top.rule["end"]).search(line, at)):
            found.append((end.start(), -1, end, None))
        for order, rule in enumerate(rules(top.rule["patterns"])):
            if match := compiled(rule.get("match", rule.get("begin"))).search(line, at):
                found.append((match.start(), order, match, rule))
        if not found:
            break
        start, _, match, chosen = min(found, key=lambda one: one[:2])
        yield line[at:start], top.inner
        at = match.end()
        if chosen is None:
            stack.pop()
            yield from captured(match, top.outer, top.rule.get("endCaptures", {}))
        elif "match" in chosen:
            yield from captured(match, top.inner + named(chosen), chosen.get("captures", {}))
        else:
            outer = top.inner + named(chosen)
            yield from captured(match, outer, chosen.get("beginCaptures", {}))
            stack.append(Frame(chosen, outer, outer + named(chosen, "contentName")))
    yield line[at:], stack[-1].inner


def shown(text: str) -> list[str]:
    """Return ``text: innermost scope`` for each coloured piece."""
    return [f"{piece.strip()}: {scopes[-1]}" for line in tokenise(text) for piece, scopes in line if piece.strip()]


KEY, IS = "support.type.property-name", "keyword.operator.assignment"
OPEN, NAME, LABEL, CLOSE = "punctuation.definition.tag.begin", "entity.name.tag", "entity.name.section", "tag.end"
PLAIN, COMMA, NUMBER = "string.unquoted", "punctuation.separator.list", "constant.numeric"
END = f"punctuation.definition.{CLOSE}"
HASH, COMMENT = "punctuation.definition.comment", "comment.line.number-sign"
DOLLAR, VARIABLE = "punctuation.definition.variable", "variable.other"
LBRACE, RBRACE = "punctuation.section.reference.begin", "punctuation.section.reference.end"
LARGS, RARGS = "punctuation.section.arguments.begin", "punctuation.section.arguments.end"
MORE = "constant.character.escape.continuation"
REFERENCE = [f"$: {DOLLAR}", f"{{: {LBRACE}", f"v: {VARIABLE}"]
LQUOTE, RQUOTE = "punctuation.definition.string.begin", "punctuation.definition.string.end"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# all", [f"#: {HASH}", f"all: {COMMENT}"]),
        ("# a \\\nb = 1", [f"#: {HASH}", f"a: {COMMENT}", f"\\: {MORE}", f"b = 1: {COMMENT}"]),
        ("Key = some words", [f"Key: {KEY}", f"=: {IS}", f"some words: {PLAIN}"]),
        ("a=b=c", [f"a=b: {KEY}", f"=: {IS}", f"c: {PLAIN}"]),
        ("a == 1", [f"a: {KEY}", f"=: {IS}", f"=: {PLAIN}", f"1: {NUMBER}"]),
        ("depends a.b.c # x", [f"depends: {KEY}", f"a.b.c: {PLAIN}", f"#: {HASH}", f"x: {COMMENT}"]),
        ("x y = z", [f"x: {KEY}", f"y = z: {PLAIN}"]),
        ("a = b \\# c", [f"a: {KEY}", f"=: {IS}", f"b: {PLAIN}", "\\#: constant.character.escape", f"c: {PLAIN}"]),
        ("a = b#c", [f"a: {KEY}", f"=: {IS}", f"b: {PLAIN}", f"#: {HASH}", f"c: {COMMENT}"]),
        ("a = x \\ \n y # c", [f"a: {KEY}", f"=: {IS}", f"x: {PLAIN}", f"\\: {MORE}", f"y: {PLAIN}", f"#: {HASH}",
                               f"c: {COMMENT}"]),
        ("a = 8, -6.5e3 a7", [f"a: {KEY}", f"=: {IS}", f"8: {NUMBER}", f",: {COMMA}", f"-6.5e3: {NUMBER}",
                              f"a7: {PLAIN}"]),
        ("a = (1:4)", [f"a: {KEY}", f"=: {IS}", f"(: {PLAIN}", f"1: {NUMBER}", ":: keyword.operator.range",
                       f"4: {NUMBER}", f"): {PLAIN}"]),
        ("a = True", [f"a: {KEY}", f"=: {IS}", "True: constant.language"]),
        ("a = untrue", [f"a: {KEY}", f"=: {IS}", f"untrue: {PLAIN}"]),
        ("<Block>", [f"<: {OPEN}", f"Block: {NAME}", f">: {END}"]),
        ("  <module  foo> # c", [f"<: {OPEN}", f"module: {NAME}", f"foo: {LABEL}", f">: {END}", f"#: {HASH}",
                                 f"c: {COMMENT}"]),
        ("<module \\\n  foo>", [f"<: {OPEN}", f"module: {NAME}", f"\\: {MORE}", f"foo: {LABEL}", f">: {END}"]),
        ("</ block >", [f"</: {OPEN}", f"block: {NAME}", f">: {END}"]),
        ("<x> foo", ["<x> foo: invalid.illegal.section"]),
        ("lonely # c", ["lonely: invalid.deprecated.ignored", f"#: {HASH}", f"c: {COMMENT}"]),
        ("key =", ["key =: invalid.deprecated.ignored"]),
        ("a = </x>", [f"a: {KEY}", f"=: {IS}", f"</x>: {PLAIN}"]),
        ("a = ${v}", [f"a: {KEY}", f"=: {IS}", *REFERENCE, f"}}: {RBRACE}"]),
        ("a = ${v:04}", [f"a: {KEY}", f"=: {IS}", *REFERENCE, ":: keyword.operator.padding",
                         "04: constant.numeric.padding", f"}}: {RBRACE}"]),
        ("a = ${v", [f"a: {KEY}", f"=: {IS}", *REFERENCE]),
        ("a = $OPT{v}", [f"a: {KEY}", f"=: {IS}", f"$: {DOLLAR}", "OPT: keyword.operator.optional", f"{{: {LBRACE}",
                         f"v: {VARIABLE}", f"}}: {RBRACE}"]),
        ("a = ${p_${v}_q}", [f"a: {KEY}", f"=: {IS}", f"$: {DOLLAR}", f"{{: {LBRACE}", f"p_: {VARIABLE}", *REFERENCE,
                             f"}}: {RBRACE}", f"_q: {VARIABLE}", f"}}: {RBRACE}"]),
        ("a = $HEAD{f,KEY}", [f"a: {KEY}", f"=: {IS}", "$HEAD: support.function", f"{{: {LARGS}",
                              "f: variable.other.file", f",: {COMMA}", "KEY: variable.parameter", f"}}: {RARGS}"]),
        ("a = $FUNC{m.f,x,${v}}", [f"a: {KEY}", f"=: {IS}", "$FUNC: support.function", f"{{: {LARGS}",
                                   "m.f: entity.name.function", f",: {COMMA}", "x: variable.parameter", f",: {COMMA}",
                                   *REFERENCE, f"}}: {RBRACE}", f"}}: {RARGS}"]),
        ("a = $FMT{%5.2f,n.col}", [f"a: {KEY}", f"=: {IS}", "$FMT: support.function", f"{{: {LARGS}",
                                   "%5.2f: constant.other.placeholder", f",: {COMMA}", "n.col: variable.parameter",
                                   f"}}: {RARGS}"]),
        ("a = $(col)", [f"a: {KEY}", f"=: {IS}", f"$(: {LBRACE}", "col: variable.other.column", f"): {RBRACE}"]),
        ('a = "8,6 # ${v}" # c', [f"a: {KEY}", f"=: {IS}", f'": {LQUOTE}', "8,6 #: string.quoted.double", *REFERENCE,
                                  f"}}: {RBRACE}", f'": {RQUOTE}', f"#: {HASH}", f"c: {COMMENT}"]),
        ("a = '#'", [f"a: {KEY}", f"=: {IS}", f"': {LQUOTE}", "#: string.quoted.single", f"': {RQUOTE}"]),
        ('a = ""', [f"a: {KEY}", f"=: {IS}", f'": {LQUOTE}', f'": {RQUOTE}']),
        ('a = "b" c', [f"a: {KEY}", f"=: {IS}", f'"b" c: {PLAIN}']),
        ('a "8,6"', [f"a: {KEY}", f'": {LQUOTE}', "8,6: string.quoted.double", f'": {RQUOTE}']),
        ('a = "\\" #"# c', [f"a: {KEY}", f"=: {IS}", f'": {LQUOTE}', '\\": constant.character.escape',
                            "#: string.quoted.double", f'": {RQUOTE}', f"#: {HASH}", f"c: {COMMENT}"]),
        ('a = "b \\\n # c" # d', [f"a: {KEY}", f"=: {IS}", f'": {LQUOTE}', "b: string.quoted.double", f"\\: {MORE}",
                                  "# c: string.quoted.double", f'": {RQUOTE}', f"#: {HASH}", f"d: {COMMENT}"]),
        ("<a#b>", ["<a: invalid.illegal.section", f"#: {HASH}", f"b>: {COMMENT}"]),
        ("<<include ../${v}.wcl>>", ["<<: punctuation.definition.directive.begin", "include: keyword.control.include",
                                     "../: string.unquoted.path", *REFERENCE, f"}}: {RBRACE}",
                                     ".wcl: string.unquoted.path", ">>: punctuation.definition.directive.end"]),
        ("<<inclfunc m.f(k1,k2)>>", ["<<: punctuation.definition.directive.begin", "inclfunc: keyword.control.include",
                                     "m.f: entity.name.function", "(: punctuation.definition.arguments.begin",
                                     "k1: variable.parameter", f",: {COMMA}", "k2: variable.parameter",
                                     "): punctuation.definition.arguments.end",
                                     ">>: punctuation.definition.directive.end"]),
    ],
)  # fmt: skip
def test_a_line_is_coloured(text: str, expected: list[str]) -> None:
    assert shown(text) == expected


FILES = sorted((ROOT / "wcl").rglob("*.wcl"))


def document(path: Path) -> Document:
    return parse(path.read_text(), path.name, lambda wanted, _: (wanted, ""))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_in_a_campaign_is_left_without_a_colour_or_called_invalid(path: Path) -> None:
    for number, line in enumerate(tokenise(path.read_text()), 1):
        for piece, scopes in line:
            assert not piece.strip() or scopes, (number, piece)
            assert not any(scope.startswith("invalid") for scope in scopes), (number, piece)


def scopes_at(lines: list[Tokens], line: int, column: int) -> tuple[str, ...]:
    at = 1
    for piece, scopes in lines[line - 1]:
        at += len(piece)
        if column < at:
            return scopes
    raise AssertionError(f"line {line} ends before column {column}")


def values(section: Section) -> Iterator[Value]:
    for _, inner in section.sections():
        yield from values(inner)
    yield from (value for _, value in section.values())


def disagreements(text: str, root: Section) -> list[str]:
    """Return where parser and grammar do not mean the same by *text*."""
    lines, found = tokenise(text), []
    for value in values(root):
        at = value.key_location
        if scopes_at(lines, at.line, at.column)[-1] != KEY:
            found.append(f"{at}: no key")
        at = value.location
        first, second, *_ = *scopes_at(lines, at.line, at.column), ""
        if first != "meta.entry" or second.startswith("string.quoted") != value.quoted:
            found.append(f"{at}: {first} {second}, but quoted is {value.quoted}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_keys_and_values_are_where_the_parser_finds_them(path: Path) -> None:
    root = document(path).root
    assert list(values(root)) or "<<include" in path.read_text()
    assert disagreements(path.read_text(), root) == []


PIECES = ["a", "b=", " ", " = ", "=", "#", "\\#", '"', "'", "x", "8,6", "${v}", "</x>", "\\", '\\"', ",", "1"]
LINES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=9).map("".join)


@settings(max_examples=500, deadline=None)
@given(LINES.filter(lambda line: not line.rstrip().endswith("\\")))  # a quote may be closed on the next line, or not
def test_any_line_means_to_the_grammar_what_it_means_to_the_parser(line: str) -> None:
    try:
        root = loads(line, "line").root
    except CampaignError:
        return
    assert disagreements(line, root) == []


def patterns(rule: Any) -> Iterator[str]:
    """Return every pattern of the grammar, wherever it stands."""
    if isinstance(rule, dict):
        for key, inner in rule.items():
            if key in ("match", "begin", "end"):
                yield inner
            else:
                yield from patterns(inner)
    elif isinstance(rule, list):
        for inner in rule:
            yield from patterns(inner)


def test_patterns_mean_the_same_to_every_engine() -> None:
    """Oniguruma, PCRE and Python: no named groups, no possessive repetition, no \\h, \\G, \\K, \\R."""
    found = list(patterns(GRAMMAR))
    assert len(found) > 20
    for pattern in found:
        assert not re.search(r"\(\?P|\(\?<\w|\\[hHGKRXZ]|[*+?}]\+|\(\?>", pattern), pattern


def test_every_rule_that_is_included_exists_and_none_is_left_over() -> None:
    included = set(re.findall(r'"include": "#(\w+)"', json.dumps(GRAMMAR)))
    assert included == set(GRAMMAR["repository"])


def test_the_folder_is_an_extension_whose_parts_exist() -> None:
    package = json.loads((EDITOR / "package.json").read_text())
    (grammar,), (language,) = package["contributes"]["grammars"], package["contributes"]["languages"]
    assert json.loads((EDITOR / grammar["path"]).read_text())["scopeName"] == grammar["scopeName"]
    configuration = json.loads((EDITOR / language["configuration"]).read_text())
    assert configuration["comments"] == {"lineComment": "#"}
    assert [end.removeprefix(".") for end in language["extensions"]] == GRAMMAR["fileTypes"]
    for pattern in [*configuration["indentationRules"].values(), *configuration["folding"]["markers"].values()]:
        re.compile(pattern)


def test_the_grammar_is_a_property_list_too() -> None:
    assert plistlib.loads(plistlib.dumps(GRAMMAR)) == GRAMMAR


def test_hooks_for_pre_commit_run_verbs_on_the_files_they_mean() -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert set(hooks) == {"facade-check", "facade-fmt"}
    for hook in hooks.values():
        program, verb = hook["entry"].split()
        assert program == "facade" and verb in VERBS and hook["language"] == "python"
    campaign = re.compile(hooks["facade-check"]["files"])
    assert campaign.search("wcl/demo/campaign.wcl") and campaign.search("campaign_2.wcl")
    assert not campaign.search("wcl/hsc/modules.wcl") and not campaign.search("campaign/modules.wcl")
    assert re.search(hooks["facade-fmt"]["files"], "wcl/hsc/modules.wcl")

"""What holds for every replacement of variables: named errors only, nothing split that is whole, products complete."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facade.wcl import BadReference, MissingVariable, Scope, Section, Slot, Template, Value, bind_attempt, listed
from facade.wcl.template import Part, Quoted, Scalar
from facade.wcl.tree import BUILT_IN

ERRORS = (MissingVariable, BadReference)
BITS = [
    "${",
    "}",
    "$opt{",
    "$func{",
    "$HEAD{",
    "$fmt{",
    "${a}",
    "${b:3}",
    "${late}",
    "${late:2}",
    ":",
    "a",
    "b",
    "late",
]
BITS += ["attnum", "${attnum:2}", "'", '"', "\\", " ", "1", "$", "{", "(", ")", ",", "\ue000", ".", "5:7", "9:3"]
BITS += ["${module.m.a}", "${modulename}", "$func{f,", "$func{g", "$func{h}", "${c}", "${d}", "${c:2}"]
REFERENCES = st.lists(st.sampled_from(BITS) | st.text(max_size=3), max_size=10).map("".join)
SCALARS: st.SearchStrategy[Scalar] = st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.text())


def section(**values: tuple[str, bool]) -> Section:
    root = Section()
    for key, (text, quoted) in values.items():
        root.set(key, Value(text, BUILT_IN, BUILT_IN, quoted=quoted))
    return root


def functions(name: str) -> Callable[[list[str]], object]:
    return {"f": "/".join, "g": lambda _: None, "h": lambda _: 1 // 0}[name]


@settings(max_examples=500, deadline=None)
@given(REFERENCES, REFERENCES, REFERENCES, st.booleans(), SCALARS, SCALARS)
@example("${" * 3000, "1", "1", False, None, 1)
@example("${a}", "${b}${b}" * 200, "${c}${c}" * 200, False, None, "x")
@example("${" * 3000 + "a" + "}" * 3000, "1", "1", False, None, 1)
@example("${attnum:2}", "${attnum}", "${a:4}", True, None, 10**4000)
def test_replacing_raises_nothing_but_its_two_errors(
    text: str, a: str, b: str, quoted: bool, value: Scalar, known: Scalar
) -> None:
    root = section(a=(a, quoted), b=(b, False), c=("1, x", False))
    scope = Scope(root, {"d": known}, members={"module": "m"}, late=frozenset({"late"}), functions=functions)
    values = {"late": value}
    value_of_text = Value(text, BUILT_IN, BUILT_IN, quoted=quoted)

    def expanded() -> None:
        expansion = scope.expand(value_of_text)
        for chosen in itertools.islice(expansion.combinations(), 50):
            expansion.template.format(values | chosen)

    calls: list[Callable[[], object]] = [
        lambda: [word.format(values) for word in scope.compile(text).words()],
        lambda: bind_attempt(scope.compile(text).format(values), 7),
        lambda: scope.resolve(text),
        lambda: scope.items(value_of_text),
        expanded,
        lambda: listed(text),
    ]
    for call in calls:
        try:
            call()
        except ERRORS as error:
            assert str(error) and error.code


PARTS: st.SearchStrategy[Part] = st.one_of(
    st.text(max_size=3),
    st.builds(Quoted, st.text(max_size=3)),
    st.builds(
        Slot, st.sampled_from("abc"), st.sampled_from([0, 0, 1, 3]), st.sampled_from([False, False, False, True])
    ),
)


class Text(str):
    """A text of another type."""


ROWS = st.dictionaries(st.sampled_from("abc"), SCALARS | st.builds(Text, st.text()), max_size=3)


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=8), st.lists(ROWS, min_size=1, max_size=6))
@example([Slot("a", 3), Slot("b")], [{"a": 1, "b": "%s"}, {"a": 10**1200, "b": "x"}, {"a": True, "b": "x"}])
@example(["%", Slot("a"), "%d", Slot("a")], [{"a": "x"}, {"a": None}, {}, {"a": "x"}])
def test_the_fast_way_to_fill_a_template_is_the_slow_one(parts: list[Part], rows: list[dict[str, Scalar]]) -> None:
    template = Template(tuple(parts))
    for row in [*rows, *rows]:
        expected, found = outcome(lambda: filled(parts, row)), outcome(lambda: template.format(row))  # noqa: B023
        assert found == expected


def filled(parts: list[Part], row: dict[str, Scalar]) -> str:
    return "".join([part if isinstance(part, str) else part.format(row) for part in parts])


def outcome(call: Callable[[], str]) -> tuple[str, str]:
    try:
        return "text", call()
    except ERRORS as error:
        return type(error).__name__, str(error)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab \t\n\u00a0'\"\\#$")) | st.text())
def test_words_are_split_as_by_a_shell(text: str) -> None:
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(BadReference):
            Template((text,)).words()
    else:
        assert [word.literal if word.parts else "" for word in Template((text,)).words()] == expected


BLANK = st.text(st.sampled_from(" \t"), min_size=1, max_size=2)
WORD = st.text(st.characters(exclude_characters=" \t\r\n'\"\\$", exclude_categories=["Cs"]), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(st.text(), WORD, WORD, BLANK, st.booleans())
def test_what_is_quoted_or_data_is_never_split(text: str, before: str, after: str, blank: str, is_data: bool) -> None:
    if not is_data:
        text = text.replace("$", "")
    root = section(q=(text, True))
    root.set("l", Value("${q}, z,x${q}", BUILT_IN, BUILT_IN))
    scope = Scope(root, {"q": text} if is_data else {})
    words = scope.compile(f"{before}${{q}}{after}{blank}${{q}}{blank}'{before}'${{q}}").words()
    assert [word.literal for word in words] == [f"{before}{text}{after}", text, f"{before}{text}"]
    whole = Value(text, BUILT_IN, BUILT_IN, quoted=True)
    if not is_data:
        assert scope.items(whole) == (text,)
        assert [item.text for item in whole.items()] == [text]
    value = root.value("l")
    assert value is not None
    assert scope.items(value) == tuple(dict.fromkeys([text, "z", f"x{text}"]))
    expansion = scope.expand("${q}")
    assert (expansion.template.literal, expansion.choices) == (text, {})
    assert [v["l"] for v in scope.expand("${l}").combinations()] == list(scope.items(value))


ITEMS = st.lists(st.integers(-20, 200), min_size=1, max_size=6, unique=True)
TURNS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0, 3])), max_size=6)


@settings(max_examples=200, deadline=None)
@given(ITEMS, ITEMS, ITEMS, TURNS)
def test_lists_give_every_combination_once_the_first_variable_slowest(
    a: list[int], b: list[int], c: list[int], turns: list[tuple[str, int]]
) -> None:
    lists = {"a": a, "b": b, "c": c}
    scope = Scope(section(**{name: (f"({', '.join(map(str, items))})", False) for name, items in lists.items()}))
    expansion = scope.expand("|".join(f"${{{name}:{pad}}}" if pad else f"${{{name}}}" for name, pad in turns))
    order = list(dict.fromkeys(name for name, _ in turns))
    expected = []
    for chosen in itertools.product(*[lists[name] for name in order]):
        values = dict(zip(order, chosen, strict=True))
        expected.append("|".join(f"{values[name]:0{pad}d}" for name, pad in turns))
    assert [expansion.template.format(values) for values in expansion.combinations()] == expected


ITEM = st.text(st.characters(exclude_characters=",()'\"", exclude_categories=["Cs"]), min_size=1, max_size=5).map(
    str.strip
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ITEM.filter(lambda text: text and not re.search(r"[0-9]:", text)), min_size=2, max_size=5))
def test_the_items_of_a_list_are_those_it_was_put_together_from(items: list[str]) -> None:
    assert listed(", ".join(items)) == tuple(dict.fromkeys(items))
    assert listed(f"({','.join(items)})") == tuple(dict.fromkeys(items))
    quoted = [f"{item}, ({item})" for item in items]
    assert listed(", ".join(f"'{item}'" for item in quoted)) == tuple(dict.fromkeys(quoted))


@settings(max_examples=100, deadline=None)
@given(st.integers(-1000, 1000), st.integers(0, 50))
def test_a_range_holds_both_its_ends(first: int, more: int) -> None:
    assert listed(f"({first}:{first + more})") == tuple(map(str, range(first, first + more + 1)))


@settings(max_examples=200, deadline=None)
@given(REFERENCES, st.integers(0, 99999))
def test_the_attempt_number_is_put_in_wherever_it_was_left_open(text: str, attnum: int) -> None:
    scope = Scope(section(a=("<${attnum:3}>", False), b=("1", False)), late=frozenset({"late"}))
    with_number = Scope(scope.root, {"attnum": attnum}, late=scope.late)
    try:
        expected = with_number.compile(text).format({"late": 1})
    except ERRORS:
        return
    assert bind_attempt(scope.compile(text).format({"late": 1}), attnum) == expected


def test_the_stack_is_deep_enough_for_the_deepest_reference() -> None:
    """The guards end what nests too deeply before Python does, from far down a stack."""
    texts = "".join(f"v{n} = x${{v{n + 1}}}\n" for n in range(99))
    root = section(**{f"v{n}": (f"x${{v{n + 1}}}", False) for n in range(99)}, v99=("end", False))
    assert texts.count("\n") == 99

    def down(levels: int) -> str:
        return down(levels - 1) if levels else Scope(root).resolve("${v0}")

    assert down(sys.getrecursionlimit() // 3) == "x" * 99 + "end"

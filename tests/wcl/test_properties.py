"""What holds for every text: trees survive writing and reading, and nothing but the named errors comes out."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from facade.errors import CampaignError
from facade.wcl import BadReference, MissingVariable, Scope, Section, Value, dumps, loads
from facade.wcl.tree import BUILT_IN

CHARACTERS = st.characters(exclude_characters="#\r\n", exclude_categories=["Cs"])


def is_key(text: str) -> bool:
    line = f"{text} = 1"
    return (
        text == text.lower()
        and not any(c.isspace() for c in text)
        and not text.startswith(("<", "="))
        and "<<include" not in line
        and "<<inclfunc" not in line
    )


def is_value(text: str) -> bool:
    lower = text.lower()
    return text == text.strip() and "<<include" not in lower and "<<inclfunc" not in lower and "<<" not in text


KEYS = st.text(CHARACTERS, min_size=1, max_size=8).filter(is_key) | st.sampled_from(["a=b", "a", "cmdline", "replace"])
VALUES = st.text(CHARACTERS, min_size=1, max_size=20).filter(is_value) | st.sampled_from(
    ["= 1", "a \\", "\\", "</x>", "<x>", "filter=", "8,6", '"q"']
)
NAMES = st.text(st.characters(exclude_characters="#<>/\r\n", exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
    lambda t: t == t.lower() and not any(c.isspace() for c in t)
)


@st.composite
def trees(draw: st.DrawFn, name: str = "", depth: int = 0) -> Section:
    tree = Section(name)
    for key, text in draw(st.lists(st.tuples(KEYS, VALUES), max_size=4)):
        tree.set(key, Value(text, BUILT_IN, BUILT_IN))
    for child in draw(st.lists(NAMES, max_size=2)) if depth < 3 else ():
        if child != name and child not in tree:
            tree.set(child, draw(trees(child, depth + 1)))
    return tree


@settings(deadline=None)
@given(trees())
def test_a_tree_survives_writing_and_reading(tree: Section) -> None:
    read = loads(dumps(tree))
    assert read.root == tree
    assert read.warnings == []


ODD_LINES = """<a>|</a>|<a b>|</b>|a = 1|a=b=c|x \\|\\|# c|<cmdline>|</cmdline>|<<include x>>|<<inclfunc f(x)>>|a|a =
|= b|<x> y|<|>|<<include ${y}>>|<<include ${a:z}>>|A B"""
LINES = st.sampled_from(ODD_LINES.split("|"))
TEXTS = st.text() | st.lists(LINES | st.text(max_size=10), max_size=12).map("\n".join)


@settings(deadline=None)
@given(TEXTS)
@example("<a>\n" * 3000)
@example("</a>\n" * 10)
def test_reading_raises_nothing_but_campaign_errors(text: str) -> None:
    try:
        document = loads(text)
    except CampaignError as error:
        assert error.faults
        assert all(fault.location is not None for fault in error.faults)
        assert str(error)
    else:
        again = loads(dumps(document.root))
        assert again.root == document.root


@settings(deadline=None)
@given(TEXTS)
def test_every_place_points_at_its_text(text: str) -> None:
    try:
        document = loads(text)
    except CampaignError:
        return
    todo = [document.root]
    while todo:
        section = todo.pop()
        todo += [inner for _, inner in section.sections()]
        for key, value in section.values():
            lines = document.sources["<text>"]
            first = value.text.split()[0] if not value.breaks else value.text[0]
            place = value.location
            assert lines[place.line - 1][place.column - 1 :].startswith(first)
            place = value.key_location
            assert lines[place.line - 1][place.column - 1 :][:1].lower()[:1] == key[:1].lower()


REFERENCES = st.lists(
    st.sampled_from(["${", "}", "$opt{", "$func{", "${a}", "${b:3}", "${late}", "${late:2}", ":", "a", "b", "late"])
    | st.sampled_from(["attnum", "${attnum:2}", "'", '"', "\\", " ", "1", "$", "{", "(", ","])
    | st.text(max_size=3),
    max_size=10,
).map("".join)


def clean(text: str) -> str:
    return "".join(text.replace("#", "").split()).rstrip("\\").replace("<<", "") or "1"


@settings(max_examples=300, deadline=None)
@given(REFERENCES, REFERENCES, REFERENCES, st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.text()))
@example("${" * 3000, "1", "1", None)
@example("${a}", "${b}${b}" * 200, "${c}${c}" * 200, None)
@example("${" * 3000 + "a" + "}" * 3000, "1", "1", None)
def test_replacing_raises_nothing_but_its_two_errors(
    text: str, a: str, b: str, value: str | int | float | bool | None
) -> None:
    root = Section("")
    for key, inner in (("a", a), ("b", b)):
        root.set(key, Value(clean(inner), BUILT_IN, BUILT_IN))
    scope = Scope(root, late=frozenset({"late"}))
    try:
        for word in scope.compile(text).words():
            word.format({"late": value})
        scope.compile(text).format({"late": value})
        scope.resolve(text)
    except (MissingVariable, BadReference) as error:
        assert str(error)

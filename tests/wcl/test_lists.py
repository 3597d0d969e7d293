"""Lists: what is one, what its items are, and texts whose variables stand for several values (desdm.md §1.4)."""

from __future__ import annotations

import itertools

import pytest

from facade.wcl import BadReference, MissingVariable, Scope, listed, loads
from facade.wcl.lists import MAX_RANGE, is_list


def expanded(wcl: str, text: str) -> list[str]:
    expansion = Scope(loads(wcl).root).expand(text)
    return [expansion.template.format(values) for values in expansion.combinations()]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", ()),
        (",", ()),
        ("()", ()),
        ("a", ("a",)),
        ("a b", ("a b",)),
        ("a, b ,c", ("a", "b", "c")),
        ("b, a, b", ("b", "a")),
        ("1, 3, 5:7", ("1", "3", "5", "6", "7")),
        ("(1:4)", ("1", "2", "3", "4")),
        ("( 1:2, 9 )", ("1", "2", "9")),
        ("(1:2), (9)", ("1", "2", "9")),
        ("(a)", ("a",)),
        ("1:4", ("1:4",)),
        ("12:30:45", ("12:30:45",)),
        ("x:y, z", ("x:y", "z")),
        ("-2:1, +3:4", ("-2", "-1", "0", "1", "3", "4")),
        ("5:5, 7", ("5", "7")),
        ("'8,6', a", ("8,6", "a")),
        ('"8,6","9,6"', ("8,6", "9,6")),
        ("'1:3', b", ("1:3", "b")),
        ("'(x)', b", ("(x)", "b")),
        ("'', b", ("", "b")),
        ("it's, b", ("it's", "b")),
        ("it's, Tom's", ("it's", "Tom's")),
        ("'a", ("'a",)),
        ("'a' b, c", ("'a' b", "c")),
    ],
)
def test_the_items_of(text: str, items: tuple[str, ...]) -> None:
    assert listed(text) == items


@pytest.mark.parametrize(
    ("text", "message", "code"),
    [
        ("a,", 'the list has an empty item: remove the comma, or write "" if it is meant', "F114"),
        (",a", 'the list has an empty item: remove the comma, or write "" if it is meant', "F114"),
        ("a,,b", 'the list has an empty item: remove the comma, or write "" if it is meant', "F114"),
        (",,a", 'the list has an empty item: remove the comma, or write "" if it is meant', "F114"),
        ("(a,)", 'the list has an empty item: remove the comma, or write "" if it is meant', "F114"),
        ("a, ()", 'the list has an empty item: remove the comma, or write "" if it is meant', "F114"),
        ("a, f(b)", "'f(b)' is neither an item nor a range in a list: put it in quotes", "F114"),
        ("a, b)", "'b)' is neither an item nor a range in a list: put it in quotes", "F114"),
        ("1, 12:30:45", "'12:30:45' is neither an item nor a range in a list: put it in quotes", "F114"),
        ("'8,6' b, c", "''8' opens a quote: in a list, quotes hold a whole item", "F114"),
        ('"a, b', "'\"a' opens a quote: in a list, quotes hold a whole item", "F114"),
        ("((1:2), 3)", "'(1:2' is neither an item nor a range in a list: put it in quotes", "F114"),
        (
            "(" * 100_000 + ")" * 100_000,
            f"'{'(' * 59}…' is neither an item nor a range in a list: put it in quotes",
            "F114",
        ),
        ("5:3, 1", "the range 5:3 is empty: write 3:5", "F115"),
        ("(1:9999999)", f"the range 1:9999999 has more than {MAX_RANGE} values", "F115"),
    ],
)
def test_a_list_that_was_misread_in_silence_is_refused(text: str, message: str, code: str) -> None:
    with pytest.raises(BadReference) as caught:
        listed(text)
    assert (str(caught.value), caught.value.code) == (message, code)


@pytest.mark.parametrize("text", ["a,b", "(a)", "(1:4)", "1:3,7", "'8,6', a", ",", "a,", "'a', 'b'", "it's, Tom's"])
def test_a_comma_or_a_bracket_makes_a_list(text: str) -> None:
    assert is_list(text)


@pytest.mark.parametrize("text", ["", "a b", "1:4", "f(a)", "12:30:45", "'8,6'"])
def test_without_them_there_is_none(text: str) -> None:
    assert not is_list(text)


class TestItems:
    def items(self, wcl: str, **current: str | int) -> tuple[str, ...]:
        root = loads(wcl).root
        value = root.value("l")
        assert value is not None
        return Scope(root, current=current).items(value)

    def test_references_are_replaced_first(self) -> None:
        assert self.items("l = ${first}, (1:${n})\nfirst = a, b\nn = 3") == ("a", "b", "1", "2", "3")

    def test_a_quoted_value_is_one_item(self) -> None:
        assert self.items('l = "8,6"') == ("8,6",)
        assert self.items('l = ""') == ("",)
        assert self.items("l = '(1:4)'") == ("(1:4)",)

    def test_a_quoted_value_stays_one_item_in_a_list_that_refers_to_it(self) -> None:
        wcl = "patch = '8,6'\nt = '12:30:45'\nr = '1:3'\n"
        assert self.items(wcl + "l = ${patch}") == ("8,6",)
        assert self.items(wcl + "l = ${patch}, x${patch}y, ${t}, ${r}") == ("8,6", "x8,6y", "12:30:45", "1:3")

    def test_so_does_what_comes_from_data(self) -> None:
        assert self.items("l = ${patch}, (1:${n})", patch="8,6", n=2) == ("8,6", "1", "2")

    def test_what_is_not_known_yet_cannot_be_a_list(self) -> None:
        root = loads("l = 1, ${late}").root
        with pytest.raises(BadReference) as caught:
            Scope(root, late=frozenset({"late"})).items(root.value("l"))  # type: ignore[arg-type]
        assert caught.value.code == "F111"


class TestExpansion:
    def test_the_first_variable_is_slowest_and_each_moves_together(self) -> None:
        wcl = "a = 1, 2\nb = (7:9)\nc = x, y"
        expected = [f"{b}-{a}-{c}-{a}" for b, a, c in itertools.product("789", "12", "xy")]
        assert expanded(wcl, "${b}-${a}-${c}-${a}") == expected

    def test_a_text_without_lists_is_itself(self) -> None:
        assert expanded("a = 1\nb = 1:4", "x, ${a} (y) ${b}") == ["x, 1 (y) 1:4"]

    def test_items_are_padded_each(self) -> None:
        assert expanded("ccd = (0998:1000)", "${ccd:5}") == ["00998", "00999", "01000"]
        assert expanded("ccd = (8:10)", "${ccd:3}|${ccd}") == ["008|8", "009|9", "010|10"]

    def test_an_item_that_cannot_be_padded_is_refused(self) -> None:
        with pytest.raises(BadReference) as caught:
            expanded("ccd = 1, x", "${ccd:3}")
        assert caught.value.code == "F106"

    def test_an_alias_of_a_list_moves_with_it(self) -> None:
        assert expanded("a = 1, 2\nb = <${a}>", "${a}${b}") == ["1<1>", "2<2>"]

    def test_a_list_of_lists_is_one_list(self) -> None:
        assert expanded("a = 1, ${b}\nb = 2, 3", "${a}") == ["1", "2", "3"]

    def test_quoted_values_and_data_are_never_split(self) -> None:
        assert expanded("p = '8,6'\na = 1, ${p}\nq = x${p}", "${p} ${a} ${q}") == ["8,6 1 x8,6", "8,6 8,6 x8,6"]
        expansion = Scope(loads("a = ${p}, 9").root, current={"p": "8,6"}).expand("${p} ${a}")
        assert [expansion.template.format(v) for v in expansion.combinations()] == ["8,6 8,6", "8,6 9"]

    def test_there_is_no_cap(self) -> None:
        assert expanded("a = (1:100)\nb = 1, 2", "${a}x${b}") == [f"{a}x{b}" for a in range(1, 101) for b in (1, 2)]
        assert expanded("a = (1:150)", "${a}") == [str(n) for n in range(1, 151)]
        numbers = [str(n) for n in range(1, 51)]
        wcl = "a = (1:50)\nb = ${a}\nc = (1:50)\nd = (1:50)"
        assert expanded(wcl, "${b}-${c}-${d}") == ["-".join(one) for one in itertools.product(numbers, repeat=3)]

    def test_late_names_stay_open(self) -> None:
        expansion = Scope(loads("a = 1, 2").root, late=frozenset({"visit"})).expand("${visit}-${a}")
        assert expansion.template.slots == ("visit", "a")
        assert dict(expansion.choices) == {"a": ("1", "2")}
        assert [expansion.template.format({"visit": 7, **v}) for v in expansion.combinations()] == ["7-1", "7-2"]

    @pytest.mark.parametrize(
        ("wcl", "code"),
        [
            ("a = 1, ${late}", "F111"),
            ("a = 1, ${a}", "F103"),
            ("a = 1, ${b}\nb = ${a}", "F103"),
            ("a = 1,", "F114"),
            ("a = ()", "F114"),
            ("a = ,", "F114"),
            ("a = 5:3, 1", "F115"),
            ("a = 1, $HEAD{f,KEY}", "F109"),
            ("a = 1, ${nowhere}", "F101"),
        ],
    )
    def test_a_list_that_cannot_be_known_is_refused(self, wcl: str, code: str) -> None:
        with pytest.raises((BadReference, MissingVariable)) as caught:
            Scope(loads(wcl).root, late=frozenset({"late"})).expand("x ${a}")
        assert caught.value.code == code
        assert str(caught.value.at and caught.value.at.location).startswith("<text>:")

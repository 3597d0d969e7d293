"""``<<inclfunc>>``, ``$FUNC{}`` and ``$HEAD{}``: what functions are given, and whatever they may return."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from facade.errors import CampaignError
from facade.wcl import BadReference, MissingVariable, Scope, dumps, loads
from facade.wcl.syntax import parse
from facade.wcl.template import Call, Header
from facade.wcl.tree import Document

Function = Callable[..., object]


def registered(**functions: Function) -> Callable[[str], Function]:
    def find(name: str) -> Function:
        if name not in functions:
            raise LookupError(f"no function is called '{name}'")
        return functions[name]

    return find


def read(text: str, function: Function) -> Document:
    return parse(text, "x.wcl", functions=registered(f=function))


def faults(text: str, function: Function = dict) -> list[str]:
    with pytest.raises(CampaignError) as caught:
        read(text, function)
    return [str(fault) for fault in caught.value.faults]


class TestInclfunc:
    def test_a_function_is_given_values_by_key_and_its_result_is_merged(self) -> None:
        given: list[object] = []

        def function(arguments: dict[str, str]) -> dict[str, Any]:
            given.append(arguments)
            return {"B": "f", "C": 3, "s": {"D": "x", "list": ["1", 2], "none": None, "empty": ""}}

        text = "a = ${n}1\nn = 2\nb = old\nc = old\n<<inclfunc f( A , n)>>\nc = new\n<s>\ne = 5\n</s>\n"
        document = read(text, function)
        assert given == [{"a": "21", "n": "2"}]
        assert document.root.plain() == {
            "a": "${n}1", "n": "2", "b": "f", "c": "new", "s": {"d": "x", "list": "1, 2", "empty": "", "e": "5"}
        }  # fmt: skip
        assert [str(value) for value in document.root.history("b")] == ["old"]
        assert loads(dumps(document)) == document

    def test_every_value_lies_where_the_function_is_called(self) -> None:
        value = read("\n  <<inclfunc f()>>", lambda _: {"s": {"a": "1"}}).root.path("s.a")
        assert str(getattr(value, "location", "")) == "x.wcl:2:14"

    def test_case_is_kept_in_a_command_line_only(self) -> None:
        result = {"X": "1", "Exec": {"cmdline": {"Key": "1", "Inner": {"Deep": "2"}}}}
        assert read("<<inclfunc f()>>", lambda _: result).root.plain() == {
            "x": "1",
            "exec": {"cmdline": {"Key": "1", "Inner": {"Deep": "2"}}},
        }

    def test_inside_a_section_and_beside_something_is_told(self) -> None:
        document = read("<s>\na = <<inclfunc f()>>\n</s>", lambda _: {"b": 1})
        assert document.root.plain() == {"s": {}, "b": "1"}
        assert [warning.code for warning in document.warnings] == ["F015", "F016"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("<<inclfunc g()>>", "x.wcl:1:12: error: no function is called 'g' [F017]"),
            ("<<inclfunc os.system()>>", "x.wcl:1:12: error: no function is called 'os.system' [F017]"),
            ("<<inclfunc f(no)>>\nno = 1", "x.wcl:1:1: error: undefined variable 'no' in <<inclfunc>> [F013]"),
            ("a = ${a}\n<<inclfunc f(a)>>", "x.wcl:2:1: error: variables refer to each other in"
             " a circle: a -> a [F103]"),
            ("s = 1\n<<inclfunc f()>>", "x.wcl:2:12: error: 's' is a section here but a value in what came before"
             " 'f' was called [F007]"),
            ("<t>\n</t>\n<<inclfunc f()>>", "x.wcl:3:12: error: 't' is a value here but a section in what came before"
             " 'f' was called [F007]"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_with_a_call_is_told(self, text: str, expected: str) -> None:
        (fault,) = faults(text, lambda _: {"s": {}, "t": "1"})
        assert fault.splitlines()[0] == expected

    @pytest.mark.parametrize(
        ("function", "reason"),
        [
            (lambda _: 1 // 0, "ZeroDivisionError: integer division or modulo by zero"),
            (lambda _: sys.exit(0), "SystemExit: 0"),
            (lambda: {}, "TypeError: "),
            (lambda _: None, "TypeError: it returned NoneType, not a mapping"),
            (lambda _: [("a", 1)], "TypeError: it returned list, not a mapping"),
            (lambda _: {"a b": 1}, "ValueError: 'a b' cannot be a key"),
            (lambda _: {"": 1}, "ValueError: '' cannot be a key"),
            (lambda _: {"<x": 1}, "ValueError: '<x' cannot be a key"),
            (lambda _: {"a": "x\ny"}, "ValueError: 'a' holds a line break or a NUL"),
            (lambda _: {"s": {"a": ["x", "\0"]}}, "ValueError: 'a' holds a line break or a NUL"),
            (lambda _: endless(), "RecursionError: "),
        ],
    )
    def test_a_function_that_fails_or_returns_what_cannot_be_is_a_fault(self, function: Function, reason: str) -> None:
        (fault,) = faults("<<inclfunc f()>>", function)
        assert fault.startswith(f"x.wcl:1:12: error: the function 'f' failed: {reason}")
        assert "[F018]" in fault

    @pytest.mark.parametrize(
        "result", [{"a": " x "}, {"a": "x # y"}, {"a": "<<include x>>"}, {"a": True, 7: 1.5}, {"s": {}}, {"a#b": "'"}]
    )
    def test_whatever_it_returns_can_be_written_and_read(self, result: dict[Any, Any]) -> None:
        document = read("<<inclfunc f()>>", lambda _: result)
        assert loads(dumps(document)) == document


def endless() -> dict[str, Any]:
    result: dict[str, Any] = {}
    result["a"] = result
    return result


class TestFunc:
    def resolve(self, text: str, function: Function, wcl: str = "v = 8,6\nq = '8,6 '") -> str:
        return Scope(loads(wcl).root, functions=registered(**{"a.f": function})).resolve(text)

    @pytest.mark.parametrize(
        ("text", "given"),
        [
            ("$FUNC{a.f}", []),
            ("$func{ a.f , x , y z }", ["x", "y z"]),
            ("$FUNC{a.f,${v},1}", ["8", "6", "1"]),
            ("$FUNC{a.f,${q},1}", ["8,6 ", "1"]),
            ("$FUNC{a.f,,}", ["", ""]),
            ("$FUNC{a.f,$FUNC{a.f,1,2}}", ["1|2"]),
        ],
    )
    def test_a_function_is_given_one_list_of_texts(self, text: str, given: list[str]) -> None:
        assert self.resolve(text, "|".join) == "|".join(given)

    @pytest.mark.parametrize(
        ("result", "text"), [("x", "x"), (7, "7"), (1.5, "1.5"), (True, "true"), (["a", 2, ("b",)], "a,2,b"), ([], "")]
    )
    def test_it_may_return_a_scalar_or_several(self, result: object, text: str) -> None:
        assert self.resolve("<$FUNC{a.f}>", lambda _: result) == f"<{text}>"

    @pytest.mark.parametrize(
        ("function", "message"),
        [
            (lambda _: None, "the function returned NoneType, not a text or number"),
            (lambda _: {}, "the function returned dict, not a text or number"),
            (lambda _: ["a", None], "the function returned NoneType, not a text or number"),
            (lambda _: b"a", "the function returned bytes, not a text or number"),
            (lambda x: x[3], "$FUNC{a.f} failed: IndexError: list index out of range"),
            (lambda _: sys.exit("no"), "$FUNC{a.f} failed: SystemExit: no"),
            (lambda: 1, "$FUNC{a.f} failed: TypeError: "),
        ],
    )
    def test_what_fails_is_a_bad_reference(self, function: Function, message: str) -> None:
        with pytest.raises(BadReference) as caught:
            self.resolve("$FUNC{a.f}", function)
        assert str(caught.value).startswith(message)
        assert caught.value.code == "F113"

    def test_what_it_returns_is_one_scalar_and_never_looked_into(self) -> None:
        scope = Scope(loads("v = $FUNC{f,a}\nl = ${v}, c").root, functions=registered(f=lambda _: "8,6 ${x} 'q"))
        assert [word.literal for word in scope.compile("a ${v} b").words()] == ["a", "8,6 ${x} 'q", "b"]
        assert scope.items(scope.root.value("l")) == ("8,6 ${x} 'q", "c")  # type: ignore[arg-type]
        assert scope.expand("${v}").template.format({"v": "one"}) in ("one", "8,6 ${x} 'q")
        assert list(scope.expand("${l}").combinations()) == [{"l": "8,6 ${x} 'q"}, {"l": "c"}]

    def test_an_argument_that_is_not_known_yet_is_awaited(self) -> None:
        scope = Scope(loads("a = 1").root, late=frozenset({"late"}), functions=registered(f="+".join))
        template = scope.compile("<$FUNC{f,${a},${late:3}}> ${late}")
        assert isinstance(template.parts[1], Call)
        assert (template.slots, template.literal) == (("late",), None)
        assert template.format({"late": 7}) == "<1+007> 7"
        with pytest.raises(MissingVariable):
            template.format({})
        with pytest.raises(BadReference) as caught:
            scope.resolve("$FUNC{f,${late}}")
        assert caught.value.code == "F111"

    def test_a_function_that_is_not_there_is_told(self) -> None:
        for text, message in {
            "$FUNC{b}": "'$FUNC{b}': no function is called 'b'",
            "$FUNC{}": "'$FUNC{}' names no function",
            "$FUNC{,a}": "'$FUNC{,a}' names no function",
            "$FUNC{${late}}": "'$FUNC{${late}}' must name a function: not a loop value",
        }.items():
            with pytest.raises(BadReference) as caught:
                Scope(loads("").root, late=frozenset({"late"}), functions=registered(a=len)).resolve(text)
            assert (str(caught.value), caught.value.code) == (message, "F112")

    def test_without_functions_there_are_none(self) -> None:
        with pytest.raises(BadReference) as caught:
            Scope(loads("").root).resolve("$FUNC{a.b,c}")
        assert str(caught.value) == "'$FUNC{a.b,c}': no function can be called here"
        assert caught.value.code == "F112"


class TestHead:
    def test_it_is_left_to_the_job(self) -> None:
        template = Scope(loads("f = x.fits").root, late=frozenset({"late"})).compile("a=$HEAD{${f}${late}, EXPTIME ,B}")
        header = template.parts[1]
        assert isinstance(header, Header) and template.has_header
        assert header.reference({"late": 1}) == ("x.fits1", "EXPTIME", "B")
        assert template.slots == ("late",)
        with pytest.raises(BadReference) as caught:
            template.format({"late": 1})
        assert caught.value.code == "F109"

    def test_it_is_one_word_or_part_of_one(self) -> None:
        words = Scope(loads("").root).compile("--a $HEAD{f,K} b=$head{f,K}").words()
        assert [word.has_header for word in words] == [False, True, True]

    @pytest.mark.parametrize(
        "text", ["$HEAD{}", "$HEAD{f}", "$HEAD{f,}", "$HEAD{,K}", "$HEAD{f,K,,L}", "$HEAD{f,${late}}"]
    )
    def test_it_names_a_file_and_keys(self, text: str) -> None:
        with pytest.raises(BadReference) as caught:
            Scope(loads("").root, late=frozenset({"late"})).compile(text)
        assert str(caught.value) == f"'{text}' must read $HEAD{{file,KEY}} or $HEAD{{file,KEY,KEY}}"
        assert caught.value.code == "F105"

    def test_fmt_has_no_place_but_columns(self) -> None:
        with pytest.raises(BadReference) as caught:
            Scope(loads("").root).compile("$FMT{%03d,raw.ccd}")
        assert caught.value.code == "F109"

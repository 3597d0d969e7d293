"""Variables: who supplies them, how they are replaced, and what is said when they cannot be."""

from __future__ import annotations

from typing import ClassVar

import pytest

from facade.wcl import BadReference, MissingVariable, Scope, Slot, Template, bind_attempt, loads


def scope(text: str = "", late: str = "", **current: str | int | float | bool | None) -> Scope:
    return Scope(loads(text).root, current=current, late=frozenset(late.split()))


NESTED = """
v = global
<site s>
v = site
</site>
<archive a>
v = archive
</archive>
<block b>
v = block
</block>
<module m>
v = module
</module>
<job j>
v = job
</job>
<exec e>
v = exec
</exec>
<list l>
v = list
</list>
<file f>
v = file
</file>
"""


def test_the_nearest_supplier_wins() -> None:
    root = loads(NESTED).root
    definition = loads("v = definition").root
    members = {"file": "f", "list": "l", "exec": "e", "job": "j", "module": "m", "block": "b", "archive": "a"}
    members["site"] = "s"
    found = [Scope(root, {"v": "current"}, definition, members).resolve("${v}")]
    found.append(Scope(root, {}, definition, members).resolve("${v}"))
    while members:
        found.append(Scope(root, members=members).resolve("${v}"))
        del members[next(iter(members))]
    found.append(Scope(root).resolve("${v}"))
    order = "current definition file list exec job module block archive site global"
    assert found == order.split()


def test_a_member_that_is_not_there_is_passed_over() -> None:
    assert Scope(loads(NESTED).root, members={"module": "other", "block": "b"}).resolve("${v}") == "block"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, (text) $v $(v) {v}", "plain, (text) $v $(v) {v}"),
        ("${v}", "7"),
        ("${V}-$OPT{V}", "7-7"),
        ("a${v}b${v}c", "a7b7c"),
        ("${v:3}", "007"),
        ("${v:03}", "007"),
        ("${v:1}", "7"),
        ("${v:0}", "7"),
        ("${minus:4}", "-005"),
        ("${plus:4}", "0005"),
        ("$opt{nothing}|", "|"),
        ("$opt{nothing:4}|", "|"),
        ("${indirect}", "<7>"),
        ("${level_${band}_${depth}}", "nested"),
        ("${${pointer}}", "7"),
        ("${module.m.inner}", "deep 7"),
        ("${list}", "1,2,3"),
    ],
)
def test_a_text_becomes(text: str, expected: str) -> None:
    wcl = """
        v = 7
        minus = -5
        plus = +5
        indirect = <${v}>
        band = r
        depth = 2
        level_r_2 = nested
        pointer = v
        list = 1,2,3
        <module m>
            inner = deep ${v}
        </module>"""
    assert scope(wcl).resolve(text) == expected


@pytest.mark.parametrize("value", ["x", "1.5", "1,2", "1_000", "", "²", "0x1f", "7 8"])
def test_padding_needs_an_integer(value: str) -> None:
    with pytest.raises(BadReference) as caught:
        scope(v=value).resolve("${v:4}")
    assert str(caught.value) == f"'v' is to be padded to 4 digits but is {value!r}, not an integer"
    assert caught.value.code == "F106"


@pytest.mark.parametrize("value", [True, 1.0])
def test_padding_needs_an_integer_from_rows_too(value: float) -> None:
    with pytest.raises(BadReference, match="not an integer") as caught:
        Slot("v", 3).format({"v": value})
    assert caught.value.code == "F106"


@pytest.mark.parametrize(
    ("text", "message", "code"),
    [
        ("x ${v", "'${v': the brace is not closed", "F102"),
        ("$opt{v", "'$opt{v': the brace is not closed", "F102"),
        ("${a${v}", "'${a${v}': the brace is not closed", "F102"),
        ("${}", "'${}' names no variable", "F105"),
        ("${:3}", "'${:3}' names no variable", "F105"),
        ("${v:x}", "'${v:x}': the width after ':' must be a whole number up to 255", "F105"),
        ("${v:}", "'${v:}': the width after ':' must be a whole number up to 255", "F105"),
        ("${v:²}", "'${v:²}': the width after ':' must be a whole number up to 255", "F105"),
        ("${v:-2}", "'${v:-2}': the width after ':' must be a whole number up to 255", "F105"),
        ("${v:256}", "'${v:256}': the width after ':' must be a whole number up to 255", "F105"),
        (
            "${v:99999999999999999999}",
            "'${v:99999999999999999999}': the width after ':' must be a whole number up to 255",
            "F105",
        ),
        ("${a}", "variables refer to each other in a circle: a -> b -> c -> a", "F103"),
        ("${into}", "variables refer to each other in a circle: a -> b -> c -> a", "F103"),
        ("${self}", "variables refer to each other in a circle: self -> self", "F103"),
        ("${x_${late}}", "'${x_${late}}': a name cannot depend on a loop value", "F108"),
        ("${mixed:3}", "'mixed' is to be padded but is made of several parts", "F107"),
    ],
)
def test_a_bad_reference_says(text: str, message: str, code: str) -> None:
    wcl = "v = 1\na = ${b}\nb = ${c}\nc = ${a}\ninto = ${a}\nself = ${self}\nmixed = a${late}"
    with pytest.raises(BadReference) as caught:
        scope(wcl, late="late").resolve(text)
    assert (str(caught.value), caught.value.code) == (message, code)


def test_null_is_never_the_text_none() -> None:
    with pytest.raises(BadReference, match=r"'v' has no value here \(it is null\)") as caught:
        Slot("v").format({"v": None})
    assert caught.value.code == "F110"


def test_blanks_inside_the_braces_are_not_trimmed() -> None:
    with pytest.raises(MissingVariable) as caught:
        scope("v = 1").resolve("${ v }")
    assert caught.value.name == " v "


def test_a_missing_variable_knows_what_there_is_and_where_it_was_wanted() -> None:
    inner = scope("a = 1\nrun = r${reqnum}\nuser = ${run}", visit=1)
    with pytest.raises(MissingVariable) as caught:
        inner.resolve("${user}")
    assert (caught.value.name, str(caught.value)) == ("reqnum", "undefined variable 'reqnum'")
    assert caught.value.code == "F101"
    assert str(caught.value.at and caught.value.at.location) == "<text>:2:7"
    assert list(caught.value.near) == ["visit", "a", "run", "user"]


def test_a_long_chain_of_variables_ends_in_a_bad_reference() -> None:
    wcl = "\n".join(f"v{n} = ${{v{n + 1}}}" for n in range(5000)) + "\nv5000 = end"
    with pytest.raises(BadReference, match="references go more than 100 deep: v0 -> v1 -> v2 -> … -> v99") as caught:
        scope(wcl).resolve("${v0}")
    assert caught.value.code == "F104"
    assert scope(wcl).resolve("${v4910}") == "end"


def test_deeply_nested_braces_end_in_a_bad_reference() -> None:
    with pytest.raises(BadReference, match="references go more than 100 deep") as caught:
        scope("v = 1").resolve("${" * 5000 + "v" + "}" * 5000)
    assert caught.value.code == "F104"


def test_values_that_double_end_in_a_bad_reference() -> None:
    wcl = "\n".join(f"v{n} = ${{v{n + 1}}}${{v{n + 1}}}" for n in range(90)) + "\nv90 = lol"
    with pytest.raises(BadReference, match="more than 10000 references are needed") as caught:
        scope(wcl).resolve("${v0}")
    assert caught.value.code == "F104"


class TestInjectedNames:
    MEMBERS: ClassVar = {"module": "m", "block": "b", "site": "s", "archive": "a"}

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("modulename", "m"),
            ("blockname", "b"),
            ("sitename", "s"),
            ("archivename", "a"),
            ("module.m.modulename", "m"),
            ("MODULE.M.MODULENAME", "m"),
            ("site.s.sitename", "s"),
            ("file.f.filename", "f"),
        ],
    )
    def test_a_member_of_a_class_knows_its_name(self, name: str, expected: str) -> None:
        assert Scope(loads(NESTED).root, members=self.MEMBERS).resolve(f"${{{name}}}") == expected

    @pytest.mark.parametrize(
        "name",
        ["jobname", "listname", "module.x.modulename", "module.m.blockname", "module.modulename", "module.m.name"],
    )
    def test_nobody_else_does(self, name: str) -> None:
        with pytest.raises(MissingVariable):
            Scope(loads(NESTED).root, members=self.MEMBERS).resolve(f"${{{name}}}")

    def test_only_the_members_themselves_have_one(self) -> None:
        root = loads("<module m>\n<file>\n<f>\na = 1\n</f>\n</file>\n</module>").root
        for name in ("module.m.file.modulename", "module.m.file.f.modulename", "module.m.file.f.filename"):
            with pytest.raises(MissingVariable):
                Scope(root).resolve(f"${{{name}}}")

    def test_without_a_current_member_the_short_name_is_undefined(self) -> None:
        with pytest.raises(MissingVariable):
            Scope(loads(NESTED).root).resolve("${modulename}")

    def test_a_name_that_is_given_wins(self) -> None:
        root = loads("<module m>\nmodulename = other\n</module>").root
        assert Scope(root, members={"module": "m"}).resolve("${modulename}-${module.m.modulename}") == "other-other"
        assert Scope(root, {"modulename": "now"}, members={"module": "m"}).resolve("${modulename}") == "now"

    def test_they_are_among_the_names_that_are_known(self) -> None:
        assert {"modulename", "sitename", "v"} <= set(Scope(loads(NESTED).root, members=self.MEMBERS).known())


class TestLateNames:
    def test_a_late_name_becomes_a_slot(self) -> None:
        compiled = scope("run = r1", late="visit ccd").compile("calexp-${visit}-${ccd:3}-${run}.fits")
        assert compiled.parts == ("calexp-", Slot("visit"), "-", Slot("ccd", 3), "-r1.fits")
        assert (compiled.slots, compiled.literal) == (("visit", "ccd"), None)
        assert compiled.format({"visit": 903334, "ccd": 16}) == "calexp-903334-016-r1.fits"

    def test_a_late_name_wins_over_the_configuration(self) -> None:
        assert scope("visit = 1", late="visit").compile("${visit}").slots == ("visit",)

    def test_data_are_never_looked_into_again(self) -> None:
        compiled = scope("v = 1", late="patch").compile("${patch}")
        assert compiled.format({"patch": "8,6 ${v} $(v) #"}) == "8,6 ${v} $(v) #"

    def test_padding_goes_through_an_alias(self) -> None:
        assert scope("nice = ${ccd}", late="ccd").compile("${nice:3}").parts == (Slot("ccd", 3),)

    def test_an_optional_slot_is_empty_without_data(self) -> None:
        compiled = scope(late="band").compile("<$opt{band}>")
        assert [compiled.format(v) for v in ({"band": "r"}, {"band": None}, {})] == ["<r>", "<>", "<>"]

    def test_a_slot_without_data_is_a_missing_variable(self) -> None:
        with pytest.raises(MissingVariable) as caught:
            scope(late="band").compile("${band}").format({"visit": 1})
        assert (caught.value.name, caught.value.near) == ("band", ("visit",))

    def test_truth_and_numbers_read_as_in_wcl(self) -> None:
        assert Template((Slot("a"), " ", Slot("b"))).format({"a": True, "b": 1.5}) == "true 1.5"

    def test_resolve_refuses_late_names(self) -> None:
        with pytest.raises(BadReference, match=r"'\$\{v\}' depends on values that are not known yet") as caught:
            scope(late="v").resolve("${v}")
        assert caught.value.code == "F111"


class TestWords:
    def words(self, text: str, wcl: str = "", **values: str) -> list[str]:
        return [w.format(values) for w in scope(wcl, " ".join(values)).compile(text).words()]

    def test_words_are_split_as_by_a_shell(self) -> None:
        assert self.words("a  'b c' d\"e f\"g \\h ''") == ["a", "b c", "de fg", "h", ""]

    def test_a_slot_is_never_split(self) -> None:
        assert self.words("x=${v} ${v}", v="8, 6 'q") == ["x=8, 6 'q", "8, 6 'q"]

    def test_a_configured_value_is_split_unless_quoted(self) -> None:
        assert self.words("${c} '${c}'", "c = one two") == ["one", "two", "one two"]

    @pytest.mark.parametrize(
        "value", ["'one two'", '"one two"', '"it\'s"', "''", "'a \\'", "'${w} x'", "'r1p${attnum} x'"]
    )
    def test_a_quoted_value_is_one_word_or_part_of_one(self, value: str) -> None:
        wcl = f"c = {value}\nw = a b"
        text = scope(wcl).resolve("${c}")
        assert self.words("${c} x${c}y", wcl) == [text, f"x{text}y"]
        assert self.words("'${c}'", wcl) == [text]
        assert self.words("${d}", f"{wcl}\nd = 1 ${{c}} 2") == ["1", text, "2"]

    def test_a_value_from_data_is_one_word_even_where_it_is_known_at_once(self) -> None:
        assert [w.literal for w in scope(patch="8, 6 'q").compile("a ${patch} b").words()] == ["a", "8, 6 'q", "b"]

    def test_private_characters_in_the_text_are_no_slots(self) -> None:
        assert self.words("\ue000 ${v}\ue001", v="1") == ["\ue000", "1\ue001"]

    def test_the_attempt_number_stays_in_its_word(self) -> None:
        assert self.words("r1p${attnum:2} x") == ["r1p${attnum:2}", "x"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [("a 'b ${v}", "no closing quotation in: a 'b ${v}"), ("a\\", "no escaped character in: a\\")],
    )
    def test_an_open_quotation_is_a_bad_reference(self, text: str, message: str) -> None:
        with pytest.raises(BadReference) as caught:
            self.words(text, v="1")
        assert (str(caught.value), caught.value.code) == (message, "F117")


class TestAttemptNumber:
    def test_it_stays_open_until_it_is_bound(self) -> None:
        text = scope("reqnum = 11\nrun = r${reqnum}p${attnum:2}").resolve("x-${run}-${ATTNUM}-${attnum:004}")
        assert text == "x-r11p${attnum:2}-${attnum}-${attnum:4}"
        assert bind_attempt(text, 7) == "x-r11p07-7-0007"
        assert bind_attempt(text, 123) == "x-r11p123-123-0123"

    def test_an_alias_of_it_can_be_padded(self) -> None:
        assert scope("a = ${attnum}").resolve("${a:3}") == "${attnum:3}"

    def test_a_campaign_may_fix_it(self) -> None:
        assert scope("attnum = 95").resolve("p${attnum:2}") == "p95"

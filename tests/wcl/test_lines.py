"""The line rules of WCL (desdm.md §1.1, §1.2): what each line means, alone and after the lines before it."""

from __future__ import annotations

from typing import Any

import pytest

from facade.errors import CampaignError, Location
from facade.wcl import dumps, loads


def plain(text: str) -> dict[str, Any]:
    return loads(text).root.plain()


def told(text: str) -> list[tuple[str, str, str]]:
    return [(fault.code, fault.severity, fault.message) for fault in loads(text).warnings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key = value", {"key": "value"}),
        ("key=value", {"key": "value"}),
        ("   key   =   some words  ", {"key": "some words"}),
        ("a=b=c", {"a=b": "c"}),
        ("a = b=c", {"a": "b=c"}),
        ("a == 1", {"a": "= 1"}),
        ("a==", {"a": "="}),
        ("id = tract=0 filter=", {"id": "tract=0 filter="}),
        ("depends a.b.c", {"depends": "a.b.c"}),
        ("match expnum, band", {"match": "expnum, band"}),
        ("a : 1", {"a": ": 1"}),
        ("a < b", {"a": "< b"}),
        ("a = <x>; \"q\" 'r' << s", {"a": "<x>; \"q\" 'r' << s"}),
        ("a = 1 </x>", {"a": "1 </x>"}),
        ("KEY = Value", {"key": "Value"}),
        ("größe = ½ μm", {"größe": "½ μm"}),
        ("\u00a0a\u00a0=\u00a0b\u00a0", {"a": "b"}),
        ("a = 1\nb = 2\na = 3", {"a": "3", "b": "2"}),
        ("a = 1\r\n<s>\r\nb = 2\r\n</s>\r\n", {"a": "1", "s": {"b": "2"}}),
        ("a = 1\rb = 2", {"a": "1", "b": "2"}),
        ("\ufeffa = 1", {"a": "1"}),
        ("a = x\u2028y\x0cz", {"a": "x\u2028y\x0cz"}),
        ("", {}),
        ("# only a comment", {}),
    ],
)
def test_a_line_means(text: str, expected: dict[str, Any]) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "codes"),
    [
        ("a = x # y # z", "x", []),
        ("a = x#y", "x", []),
        ("a = x # c \\\nb = 2", "x", ["F019"]),
        ("a = x # c \\\n\n", "x", []),
        ('a = b "x#y"', 'b "x', []),
        ('a = "x#y" b', '"x', ["F022"]),
        ("a = 'x#y' b", "'x", ["F022"]),
        ("a = it's # Tom's", "it's", []),
        ("a = 'x' y # z", "'x' y", []),
    ],
)
def test_a_comment_begins_at_the_first_hash_of_an_unquoted_value(text: str, expected: str, codes: list[str]) -> None:
    assert plain(text) == {"a": expected}
    assert [code for code, _, _ in told(text)] == codes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a = "x#y"', "x#y"),
        ("a = 'x#y' # z", "x#y"),
        ("a 'x#y'", "x#y"),
        ("a = x\\#y", "x#y"),
        ("a = \\#\\# # z", "##"),
        ("a = x\\\\#y", "x\\#y"),
        ("a = x \\\n  \\#y", "x #y"),
        ("a = 'b' \\# 'c'", "'b' # 'c'"),
    ],
)
def test_a_hash_is_data_in_quotes_and_after_a_backslash_with_a_note(text: str, expected: str) -> None:
    assert plain(text) == {"a": expected}
    assert [(code, severity) for code, severity, _ in told(text)] == [("F020", "note")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a = "8,6"', "8,6"),
        ("a = '8,6'", "8,6"),
        ('a "8,6"', "8,6"),
        ('a="8,6"', "8,6"),
        ('a = " x  "  # blanks', " x  "),
        ('a = ""', ""),
        ("a = ''", ""),
        (r'a = "say \"x\", \\ and \n"', r'say "x", \ and \n'),
        (r"a = 'no \ escape \\ \'", "no \\ escape \\\\ \\"),
        ('a = "it\'s, so"', "it's, so"),
        ("a = '\"r\"'", '"r"'),
        ('a = "x \\\n   y"', "x y"),
        ('a = "x # \\\n   y"', "x # y"),
    ],
)
def test_a_value_wholly_in_quotes_is_what_they_hold(text: str, expected: str) -> None:
    value = loads(text).root.value("a")
    assert value is not None and (value.text, value.quoted) == (expected, True)
    assert [fault.code for fault in loads(text).warnings] == ["F020" if "#" in expected else "F026"]


@pytest.mark.parametrize(
    "written", ['"a" b', 'b "a"', '"a" "b"', "'a' 'b'", "'a", 'a"', r'"a\"', "'it's'", '"a"b"', "''a''", '"a\\\\" b"']
)
def test_quotes_in_an_unquoted_value_are_data(written: str) -> None:
    value = loads(f"a = {written}").root.value("a")
    assert value is not None and (value.text, value.quoted) == (written, False)
    assert told(f"a = {written}") == []


@pytest.mark.parametrize("written", ['"r"', "'HSC-R'", '"8x6"', "'1.5'"])
def test_quotes_that_do_nothing_are_warned_of(written: str) -> None:
    assert [(code, severity) for code, severity, _ in told(f"a = {written}")] == [("F021", "warning")]


def test_quotes_round_variables_are_a_note_because_they_may_be_meant() -> None:
    (note,) = loads("a = '${list}'").warnings
    assert (note.code, note.severity, note.remedy) == ("F021", "note", "write \"'${list}'\" if the quotes are data")


def test_an_include_in_quotes_is_data() -> None:
    assert plain("a = '<<include x>>'") == {"a": "<<include x>>"}
    assert [fault.code for fault in loads("a = '<<include x>>'").warnings] == ["F026"]


def test_quotes_that_keep_something_together_are_told_once_however_many_there_are() -> None:
    (note,) = loads('a = "8,6"\n<cmdline>\nx = "in a command they were quotes too"\n</cmdline>\nb = ""\n').warnings
    assert (note.code, note.severity, str(note.location)) == ("F026", "note", "<text>:1:5")
    assert note.message.endswith(" (here and in 1 more place)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\\#b = 'x y'", {"a#b": "x y"}),
        ("a\\#b = x", {"a#b": "x"}),
        ("a=b#c='x y'", {"a": "b"}),
        ("a#b 'x y'", {}),
        ("a b#='x y'", {"a": "b"}),
    ],
)
def test_a_comment_may_begin_before_the_quotes(text: str, expected: dict[str, str]) -> None:
    assert plain(text) == expected


def test_quotes_on_a_command_line_are_nothing_to_warn_of() -> None:
    assert told("<cmdline>\nid = 'r'\n</cmdline>") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = x\\\ny", {"a": "xy"}),
        ("a = x \\\n    y", {"a": "x y"}),
        ("a = x \\   \n  y \\\t\n z", {"a": "x y z"}),
        ("a = x \\\n# gone\nb = 1", {"a": "x", "b": "1"}),
        ("a = x\\\\\ny", {"a": "x\\y"}),
        ("a = x\\", {"a": "x"}),
        ("a = x\\\n", {"a": "x"}),
        ("\\\na = x", {"a": "x"}),
        ("<module \\\nfoo>\na = 1\n</module>", {"module": {"foo": {"a": "1"}}}),
    ],
)
def test_a_backslash_joins_the_next_line_with_nothing_between(text: str, expected: dict[str, Any]) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize("line", ["key =", "key=", "  key  =   ", "key = # nothing"])
def test_a_key_without_value_is_ignored_with_a_warning(line: str) -> None:
    assert plain(line) == {}
    assert told(line) == [("F009", "warning", "'key =' has no value: the line is ignored")]
    assert loads(line).warnings[0].remedy == 'write key = "" for nothing'


@pytest.mark.parametrize("line", ["lonely", "= value", "=value", "="])
def test_a_line_that_is_nothing_is_ignored_with_a_warning(line: str) -> None:
    assert plain(line) == {}
    assert told(line) == [("F008", "warning", f"'{line}' is neither a section nor 'key = value': the line is ignored")]


def test_a_key_given_twice_keeps_its_first_place_and_its_last_value() -> None:
    text = "a = 1\nb = 2\na = 3\nA = 4"
    root = loads(text).root
    assert [(key, str(value)) for key, value in root.values()] == [("a", "4"), ("b", "2")]
    assert [str(value) for value in root.history("a")] == ["1", "3"]
    assert told(text) == [
        ("F024", "warning", "'a' was already set at line 1: that value never counts"),
        ("F024", "warning", "'a' was already set at line 3: that value never counts"),
    ]


class TestSections:
    def test_names_are_lower_case(self) -> None:
        assert plain("<Block>\n<B1>\nA = x\n</b1>\n</BLOCK>") == {"block": {"b1": {"a": "x"}}}

    def test_blanks_around_the_name_in_a_close_are_tolerated(self) -> None:
        assert plain("<a>\nb = 1\n</ a >") == {"a": {"b": "1"}}

    def test_a_label_opens_two_sections_that_one_close_closes(self) -> None:
        assert plain("<module foo>\na = 1\n</module>\nb = 2") == {"module": {"foo": {"a": "1"}}, "b": "2"}

    def test_a_label_may_be_closed_step_by_step(self) -> None:
        assert plain("<module foo>\na = 1\n</foo>\nb = 2\n</module>") == {"module": {"foo": {"a": "1"}, "b": "2"}}

    def test_a_label_closed_alone_leaves_the_outer_section_open(self) -> None:
        with pytest.raises(CampaignError, match=r"section <module> is never closed \[F001\]"):
            loads("<module foo>\n</foo>")

    def test_a_section_opened_again_is_taken_up(self) -> None:
        text = "<m a>\nx = 1\n</m>\n<m b>\ny = 2\n</m>\n<m>\n<a>\nx = 3\nz = 4\n</a>\n</m>"
        assert plain(text) == {"m": {"a": {"x": "3", "z": "4"}, "b": {"y": "2"}}}

    def test_the_same_name_two_levels_down_is_legal(self) -> None:
        assert plain("<a>\n<b>\n<a>\nx = 1\n</a>\n</b>\n</a>") == {"a": {"b": {"a": {"x": "1"}}}}

    @pytest.mark.parametrize("text", ["<a>\n<a>\n</a>\n</a>", "<a>\nx = 1\n<a>", "<a a>\n</a>\n</a>"])
    def test_a_direct_child_of_the_same_name_is_a_fault(self, text: str) -> None:
        with pytest.raises(CampaignError, match=r"<a> directly inside <a> \[F005\]"):
            loads(text)

    @pytest.mark.parametrize("name", ["cmdline", "replace", "CmdLine"])
    def test_case_is_kept_between_cmdline_and_its_close(self, name: str) -> None:
        text = f"<e>\nKey = 1\n<{name}>\nKey = 2\n<Inner>\nDeep = 3\n</inner>\n</{name}>\nKey2 = 4\n</e>"
        inner = {"Key": "2", "Inner": {"Deep": "3"}}
        assert plain(text) == {"e": {"key": "1", name.lower(): inner, "key2": "4"}}

    @pytest.mark.parametrize("line", ["<x> foo", "< x >", "<x>a=1</x>", "</x> y", "<>", "</>", "<a b c>", "</a b>"])
    def test_what_begins_like_a_section_must_be_one(self, line: str) -> None:
        with pytest.raises(CampaignError) as caught:
            loads(line)
        (fault,) = caught.value.faults
        assert (fault.code, fault.message) == ("F002", f"'{line}' neither opens nor closes a section")

    def test_a_wrong_close_is_reported_once_and_reading_goes_on(self) -> None:
        with pytest.raises(CampaignError) as caught:
            loads("<module foo>\n<file>\n</module>\n<b>\n</c>\n</b>\n")
        assert [(f.location and f.location.line, f.code, f.message) for f in caught.value.faults] == [
            (3, "F004", "</module> does not close <file>, opened at line 2"),
            (5, "F004", "</c> does not close <b>, opened at line 4"),
        ]

    def test_a_close_without_a_section_is_a_fault(self) -> None:
        with pytest.raises(CampaignError, match=r"</x> closes nothing: no section is open \[F003\]"):
            loads("</x>")

    def test_a_value_and_a_section_of_one_name_are_a_fault(self) -> None:
        with pytest.raises(CampaignError, match=r"'a' has a value, given at line 1; it cannot be a section too \[F007"):
            loads("a = 1\n<a>\n</a>")
        with pytest.raises(CampaignError, match=r"'a' is a section, opened at line 1; it cannot be a value too \[F007"):
            loads("<a>\n</a>\na = 1")

    def test_sections_nest_only_so_deep(self) -> None:
        text = "\n".join(f"<s{n}>" for n in range(5000))
        with pytest.raises(CampaignError, match=r"sections nest more than 64 deep \[F006\]"):
            loads(text)


class TestPlaces:
    def test_keys_and_values_know_line_and_column(self) -> None:
        value = loads("\n  <s>\n\tkey  =  value\n</s>", "x.wcl").root.path("s.key")
        assert value is not None
        assert value.location == Location("x.wcl", 3, 10)
        assert getattr(value, "key_location", None) == Location("x.wcl", 3, 2)

    def test_a_section_lies_where_it_was_opened_first(self) -> None:
        section = loads("<a>\n</a>\n  <a>\n  </a>").root.section("a")
        assert section is not None
        assert section.location == Location("<text>", 1, 1)

    def test_a_value_on_a_continued_line_lies_there(self) -> None:
        value = loads("list = \\\n    one, \\\n  two").root.value("list")
        assert value is not None
        assert value.text == "one, two"
        assert (value.location, value.key_location) == (Location("<text>", 2, 5), Location("<text>", 1, 1))
        assert [(item.text, item.location) for item in value.items()] == [
            ("one", Location("<text>", 2, 5)),
            ("two", Location("<text>", 3, 3)),
        ]

    def test_items_are_trimmed_and_never_empty(self) -> None:
        value = loads("l = , a b ,, c,").root.value("l")
        assert value is not None
        assert [(item.text, item.location.column) for item in value.items()] == [("a b", 7), ("c", 14)]


def test_documents_are_written_and_read_back() -> None:
    document = loads("a = 1\n<module m>\nx = 8,6\n</module>\n")
    assert loads(dumps(document), "again") == document
    assert loads("a = 2\n") != document

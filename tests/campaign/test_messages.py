"""<qcf>: which patterns are looked for in the output of which program, in which order; what is told of wrong ones."""

from __future__ import annotations

import pytest
from campaigns import small, text

from facade.errors import CampaignError
from facade.messages import Filter, Pattern, Rules

EXEC = "        execname = reduce\n"
MODULE = "<module reduce>\n"


def qcf(*patterns: str, rest: str = "") -> str:
    """Return a <qcf> section with *patterns*, further lines of one after a bar."""
    sections = [
        "\n".join([f"<{n}>", f"pattern = {line.replace('|', chr(10))}", f"</{n}>"])
        for n, line in enumerate(patterns, 1)
    ]
    return "\n".join(["<qcf>", rest, "<patterns>", *sections, "</patterns>", "</qcf>", ""])


def whole(*, top: str = "", module: str = "", program: str = "") -> str:
    return text().replace(EXEC, EXEC + program, 1).replace(MODULE, MODULE + module, 1) + top


def rules(**places: str) -> Rules:
    """Return what is looked for in the output of the first program of the first module."""
    found = small(whole(**places)).modules[0].execs[0].messages
    return found if found is not None else Rules(())


def names(**places: str) -> list[str]:
    return [pattern.pattern for pattern in rules(**places).patterns]


def told(**places: str) -> list[str]:
    """Return the errors, or else the warnings."""
    try:
        return [str(one) for one in small(whole(**places)).warnings]
    except CampaignError as error:
        return [str(one) for one in error.faults]


class TestPatterns:
    def test_without_a_section_nothing_is_looked_for(self) -> None:
        assert small(whole()).modules[0].execs[0].messages is None

    def test_a_pattern_says_what_becomes_of_a_line(self) -> None:
        top = qcf("fatal", r"rms = ([\d.]+)|lvl = 3|only_matched = Y", "caught|lvl = 2|number_of_lines = 4")
        assert rules(top=top).patterns == (
            Pattern("fatal", 1, 1, False), Pattern(r"rms = ([\d.]+)", 3, 1, True), Pattern("caught", 2, 4, False)
        )  # fmt: skip

    def test_the_lowest_number_has_priority_and_without_one_the_position_counts(self) -> None:
        assert names(top=qcf("a", "b", "c|priority = 1", "d|priority = -3", "e|priority = 2")) == [
            "d",
            "a",
            "c",
            "b",
            "e",
        ]

    def test_inner_ones_come_first(self) -> None:
        found = names(top=qcf("top|priority = -9"), module=qcf("module"), program=qcf("program|priority = 99"))
        assert found == ["program", "module", "top"]

    def test_override_leaves_the_outer_ones_out_but_their_filters_in(self) -> None:
        escape = "<filter>\n<1>\nreplace_pattern = chr(27)\nwith_pattern = E\n</1>\n</filter>"
        top = qcf("top", rest=f"<excludes>\n<1>\npattern = no\n</1>\n</excludes>\n{escape}")
        assert rules(top=top, module=qcf("module")).excludes == ("no",)
        found = rules(top=top, module=qcf("module", rest="override = True"))
        assert found == Rules((Pattern("module"),), (), (Filter("\x1b", "E"),))

    def test_one_is_for_programs_wrappers_or_modules_by_name(self) -> None:
        top = qcf("a|execname = reduce", "b|execname = stack", "c|execname = generic, x", "d|execname = GLOBAL", "e")
        assert names(top=top) == ["a", "c", "d", "e"]

    def test_excludes_and_filters_are_for_programs_too(self) -> None:
        excludes = "<1>\npattern = no\nexec = stack\n</1>\n<2>\npattern = yes\nexec = reduce\n</2>\n"
        filters = "<1>\nreplace_pattern = a\nexec = stack\n</1>\n"
        rest = f"<excludes>\n{excludes}</excludes>\n<filter>\n{filters}</filter>"
        assert rules(top=qcf("x", rest=rest)) == Rules((Pattern("x"),), ("yes",), ())

    def test_use_qcf_switches_them_off(self) -> None:
        assert names(top=qcf("a") + "use_qcf = False\n") == []
        assert names(top=qcf("a") + "use_qcf = False\n", module="use_qcf = True\n") == ["a"]
        assert names(top=qcf("a"), module="use_qcf = no\n") == []

    def test_hundreds_are_kept_even_of_equal_priority(self) -> None:
        patterns = [f"word {n}|priority = 5" for n in range(150)]
        assert names(top=qcf(*patterns)) == [f"word {n}" for n in range(150)]

    def test_a_pattern_is_taken_as_it_is_written(self) -> None:
        assert names(top=qcf(r"a, b = $", r'"x # y"', r"(\d+)\s*%$")) == ["a, b = $", "x # y", r"(\d+)\s*%$"]


class TestFaults:
    def test_what_cannot_be_looked_for_is_told_once_with_its_place(self) -> None:
        assert told(top=qcf("fine", "a(b")) == [
            "c.wcl:112:11: error: this cannot be looked for: missing ): a(b [F340]\n    pattern = a(b\n"
            "              ^^^\n"
            "  as Perl and Python write them, without look-around and back-references; see docs/messages.md"
        ]

    @pytest.mark.parametrize(
        ("section", "code", "words"),
        [
            (qcf("x|lvl = 4"), "F220", "'lvl' must be 1, 2 or 3"),
            (qcf("x|number_of_lines = 0"), "F220", "'number_of_lines' must be a whole number from 1"),
            (qcf("x|priorty = 2"), "F214", "'priorty' is no keyword of a pattern section"),
            (qcf("x*"), "F340", "it matches an empty text, and so every line"),
            ("<qcf>\n<patterns>\npattern = x\n</patterns>\n</qcf>\n", "F341", "'pattern' stands in <patterns> itself"),
            ("<qcf>\n<patterns>\n<1>\nlvl = 2\n</1>\n</patterns>\n</qcf>\n", "F342", "pattern '1' has no 'pattern'"),
            ("<qcf>\n<excludes>\n<1>\npattern = a)\n</1>\n</excludes>\n</qcf>\n", "F340", "unexpected ): a)"),
            ("<qcf>\n<filter>\n<1>\nwith_pattern = x\n</1>\n</filter>\n</qcf>\n", "F342", "has no 'replace_pattern'"),
            ("<qcf>\n<filter>\n<1>\nreplace_pattern = chr(10)\n</1>\n</filter>\n</qcf>\n", "F344", "within a line"),
            ("<qcf>\noveride = True\n</qcf>\n", "F214", "'overide' is no keyword of a qcf section"),
            ("<qcf>\n<pattern>\n</pattern>\n</qcf>\n", "F225", "<pattern> means nothing in a qcf section"),
        ],
    )
    def test_each_is_told(self, section: str, code: str, words: str) -> None:
        for places in ({"top": section}, {"module": section}, {"program": section}):
            (fault,) = told(**places)
            assert f"[{code}]" in fault and words in fault

    def test_a_pattern_for_a_program_that_does_not_run(self) -> None:
        (warning,) = told(top=qcf("x|execname = redcue"))
        assert "no program, wrapper or module that runs is called 'redcue' [F343]" in warning

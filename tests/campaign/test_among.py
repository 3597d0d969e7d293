"""What is told of modules among each other, before a query runs; and what must not be told, because nobody can know."""

from __future__ import annotations

import pytest
from campaigns import REDUCE, STACK, WCL, demo, text

from facade.campaign.read import examine
from facade.wcl import load, loads

WHOLE = text()
ALWAYS = "-r${reqnum}p${attnum:2}.fits"

MAKE = """
<module {name}>
    wrappername = generic
    wrapperloop = {loop}
    {more}
    <exec_1>
        execname = make
        was_generated_by = file.out
        <cmdline>
            o = ${{file.out.fullname}}
        </cmdline>
    </exec_1>
    <file>
        <out>
            filetype = img
            filename = {filename}
            dirpat = d
        </out>
    </file>
</module>
"""


def told(*replaced: tuple[str, str], whole: str = WHOLE) -> list[tuple[str, str]]:
    """Return code and message of everything that is said of the small campaign with some texts *replaced*."""
    for old, new in replaced:
        assert old in whole, old
        whole = whole.replace(old, new, 1)
    return [(fault.code, fault.message) for fault in examine(loads(whole, "c.wcl")).faults]


def make(name: str, loop: str, filename: str, more: str = "") -> str:
    return MAKE.format(name=name, loop=loop, filename=filename + ALWAYS, more=more)


def made(*modules: str, top: str = "") -> list[str]:
    """Return the codes of what is told of modules that loop over lists of the campaign."""
    names = [one.split("<module ")[1].split(">")[0] for one in modules]
    whole = text(*modules, b=", ".join(names)) + top
    return [fault.code for fault in examine(loads(whole, "c.wcl")).faults if fault.severity != "note"]


class TestLoopKeys:
    def test_a_key_that_the_loop_object_does_not_have(self) -> None:
        assert told(("wrapperloop = visit\n", "wrapperloop = vist\n")) == [
            ("F401", "module 'stack' loops over 'vist', which no line of list.imgs has")
        ]

    def test_columns_that_a_query_code_supplies_are_not_known(self) -> None:
        assert (
            told(("wrapperloop = visit, ccd", "wrapperloop = visit, ccd, patch"), ("${ccd:3}", "${ccd:3}-${patch}"))
            == []
        )

    def test_unless_it_says_so(self) -> None:
        query = ("exec = find", "exec = find\noutput_fields = band")
        loop = ("wrapperloop = visit, ccd", "wrapperloop = visit, ccd, patch")
        found = told(query, loop, ("${ccd:3}", "${ccd:3}-${patch}"))
        assert found == [("F401", "module 'reduce' loops over 'patch', which no line of file.raw has")]

    def test_a_generic_query_has_the_columns_of_its_filetype_or_those_it_names(self) -> None:
        query = ("exec = find", "query_fields = band\nband = r\nfiletype = img")
        assert told(query) == []
        assert [code for code, _ in told((query[0], f"{query[1]}\noutput_fields = visit"))] == ["F401", "F403"]

    def test_a_table_that_several_filetypes_share(self) -> None:
        """The query returns all columns of the table, not only those of the filetype."""
        query = ("exec = find", "query_fields = band\nband = r\nfiletype = other")
        other = ("    <img>\n        metadata", "    <other>\nmetadata_table = IMAGE\n<columns>\ntract = int\n"
                 "</columns>\n</other>\n    <img>\n        metadata")  # fmt: skip
        assert told(query, other) == []
        alone = (other[0], other[1].replace("IMAGE", "elsewhere"))
        assert [code for code, _ in told(query, alone)] == ["F401", "F401", "F403", "F403"]

    def test_a_filetype_without_columns_says_nothing(self) -> None:
        assert told(("exec = find", "query_fields = band\nband = r\nfiletype = raw")) == []


class TestColumns:
    def test_of_an_output_that_only_its_header_knows(self) -> None:
        (fault,) = examine(loads(WHOLE.replace("img.ccd", "img.seeing"), "c.wcl")).faults
        assert (fault.code, fault.remedy) == (
            "F402", "'seeing' stands in the headers of files yet to be made; planning has: band, ccd, visit"
        )  # fmt: skip

    def test_of_a_directory_or_name(self) -> None:
        """What a name holds is known of the file: loop over tract, have it in the name, and later lists have it."""
        keys = ("wrapperloop = visit, ccd", "wrapperloop = visit, ccd, tract")
        by = ("divide_by = visit, ccd", "divide_by = visit, ccd, tract")
        column, name = ("img.ccd", "img.tract"), ("out = ${flabel}", "out = ${tract}-${flabel}")
        assert told(keys, by, column, name) == []
        assert told(("runtime = d", "runtime = d/${tract}"), keys, by, column, name) == []
        assert [code for code, _ in told(column)] == ["F402"]

    def test_of_the_list_file_itself(self) -> None:
        assert told(("img.ccd", "img.filename")) == []
        assert [code for code, _ in told(("img.ccd", "filename"))] == ["F402"]

    def test_of_a_list_without_a_source(self) -> None:
        members = ("            depends = reduce.file.img\n            divide_by = visit\n", "")
        loop = ("    wrapperloop = visit\n    loopobj = list.imgs\n", "    wrapperloop = visit\n    visit = 9\n")
        pattern = ("            listonly = True\n", "            listonly = True\nfilename = x-${n}\nn = 1, 2\n")
        assert [code for code, _ in told(members, loop, pattern)] == ["F402"]
        assert told(members, loop, pattern, ("            sortkey = ccd\n", ""), ("img.ccd", "img.n")) == []

    def test_keys_that_quanta_do_not_have(self) -> None:
        loop = ("wrapperloop = visit\n    loopobj = list.imgs", "")
        (code, message), *_ = told(loop, ("    visit = ${flabel}-${visit}-r", "    visit = ${flabel}-r"))
        assert (code, message) == (
            "F403", "list 'imgs' of module 'stack' is divided by 'visit', which its quanta do not have"
        )  # fmt: skip

    def test_what_a_noop_has_is_not_divided(self) -> None:
        file = "<raw>\nexec = find\noutput_fields = visit\ndivide_by = ccd\ndirpat = d\n</raw>\n"
        noop = f"<module find>\nnoop = True\n<file>\n{file}</file>\n</module>\n"
        depends = REDUCE.replace("exec = find", "depends = find.file.raw")
        assert [f.code for f in examine(loads(text(noop, depends, b="find, reduce"))).faults] == []


class TestNames:
    @pytest.mark.parametrize(
        ("top", "filename", "codes"),
        [
            ("visit = 7, 8\nccd = 1, 2\n", "x-${visit}-${ccd}", []),
            ("visit = 7, 8\nccd = 1, 2\n", "x-${visit}", ["F404"]),
            ("visit = 7, 8\nccd = 1, 2\n", "x", ["F404"]),
            ("visit = 7, 8\nccd = 1\n", "x-${visit}", []),
            ('visit = 7, 8\nccd = "1, 2"\n', "x-${visit}", []),
            ("visit = (7:8)\nccd = (1:1)\n", "x-${visit}", []),
            ("visit = 7, 8\nccd = 1, 2\n", "x-${wrapnum}", []),
            ("visit = 7\nccd = 1\n", "x", []),
            ("all = 7, 8\nvisit = ${all}\nccd = 1\n", "x", ["F404"]),
            ("visit = 7, 8\nccd = 1, 2\nname = ${visit}-${ccd}\n", "x-${name}", []),
            ("visit = 7, 8\nccd = 1, 2,,\n", "x-${visit}", []),
        ],
    )
    def test_of_a_loop_over_lists_of_the_campaign(self, top: str, filename: str, codes: list[str]) -> None:
        assert made(make("a", "visit, ccd", filename), top=top) == codes

    @pytest.mark.parametrize(
        ("loop", "pattern", "codes"),
        [
            ("visit, ccd", "${visit}-${ccd}", []),
            ("visit, ccd", "${visit}", ["F405"]),
            ("visit, ccd", "${band}", ["F405"]),
            ("visit, ccd", "all", ["F404"]),
            ("visit, patch", "${visit}-${patchname}", []),
            ("visit, tract", "${visit}", []),
            ("visit, ccd", "${wrapnum}", []),
            ("visit, ccd", "${file.raw.filename}", []),
        ],
    )
    def test_of_a_loop_over_rows(self, loop: str, pattern: str, codes: list[str]) -> None:
        """A key with one value in the campaign has one in the rows too; ``patchname`` stands for ``patch``."""
        module = REDUCE.replace("visit, ccd", loop).replace("filepat = out", f"filename = {pattern}{ALWAYS}")
        whole = text(module, b="reduce") + "tract = 9\n"
        assert [fault.code for fault in examine(loads(whole, "c.wcl")).faults] == codes

    @pytest.mark.parametrize(
        ("query", "codes"),
        [
            ("exec = find\nargs = -name ${unitname}", ["F404"]),
            ("exec = find\nargs = --visit ${unitname}", ["F405"]),
            ("query_fields = band\nband = r\nfiletype = img", ["F404"]),
            ("query_fields = visit\nvisit = 7\nfiletype = img", []),
            ("query_fields = visit\nvisit = 7, 8\nfiletype = img", ["F405"]),
            ("query_fields = img.visit\nvisit = ${reqnum}\nfiletype = img", []),
        ],
    )
    def test_of_what_a_query_is_asked_for(self, query: str, codes: list[str]) -> None:
        """A unit is often one exposure: a query for one visit finds one, and its number need not be in names."""
        module = REDUCE.replace("visit, ccd", "visit").replace("filepat = out", "filepat = one")
        whole = text(module.replace("exec = find", query), b="reduce")
        assert [fault.code for fault in examine(loads(whole)).faults] == codes
        later = STACK.replace("filepat = visit", "filepat = one").replace("img.ccd", "img.visit")
        later = later.replace("            sortkey = ccd\n", "")
        both = text(module.replace("exec = find", query), later)
        assert [fault.code for fault in examine(loads(both)).faults] == codes * 2

    def test_a_list_is_a_file_too(self) -> None:
        assert [code for code, _ in told(("w${wrapnum:5}", "x"))] == ["F404"]

    def test_two_outputs_of_a_module(self) -> None:
        module = make("a", "visit", "x-${visit}").replace("file.out\n", "file.out, file.too\n", 1)
        too = f"<too>\nfiletype = img\nfilename = x-${{visit}}{ALWAYS}\ndirpat = d\n</too>\n"
        assert made(module.replace("        <out>", f"{too}        <out>"), top="visit = 1, 2\n") == ["F406"]

    @pytest.mark.parametrize(
        ("one", "other", "codes"),
        [
            ("1, 2", "2, 3", ["F406"]),
            ("1, 2", "3, 4", ["F407"]),
            ("1, 2", "${visits}", ["F407"]),
        ],
    )
    def test_two_modules_that_loop_over_lists(self, one: str, other: str, codes: list[str]) -> None:
        modules = (
            make("a", "visit", "x-${visit}", f"visit = {one}"),
            make("b", "visit", "x-${visit}", f"visit = {other}"),
        )
        assert made(*modules) == codes

    def test_two_modules_that_loop_over_the_same_rows(self) -> None:
        name = ("filepat = visit\n            flabel = coadd", "filepat = out\nflabel = img\nccd = 7")
        pattern = ("    out = ${flabel}-${visit}-${ccd:3}", "    out = ${flabel}-${visit}-007")
        (first, second) = [code for code, _ in told(name, pattern)]
        assert (first, second) == ("F405", "F406")

    def test_modules_that_loop_over_different_rows(self) -> None:
        again = REDUCE.replace("<module reduce>", "<module again>").replace("exec = find", "exec = find\nargs = -x")
        whole = text(REDUCE, again, b="reduce, again")
        assert [fault.code for fault in examine(loads(whole)).faults] == ["F407"]
        assert [f.code for f in examine(loads(whole.replace("args = -x", "qouttype = wcl"))).faults] == ["F406"]

    def test_a_label_of_their_own_tells_two_apart(self) -> None:
        assert made(make("a", "visit", "a-${visit}"), make("b", "visit", "b-${visit}"), top="visit = 1, 2\n") == []


class TestOrder:
    def test_a_module_that_runs_later(self) -> None:
        assert told(("reduce, stack", "stack, reduce")) == [
            ("F410", "module 'stack' depends on module 'reduce', which runs later")
        ]

    def test_a_module_of_a_later_block(self) -> None:
        found = [(f.code, f.message) for f in examine(loads(text(one="stack", two="reduce"))).faults]
        message = "module 'stack' depends on module 'reduce', which runs later, in block 'two'"
        assert found == [("F410", message)]

    def test_a_fault_elsewhere_does_not_hide_the_order(self) -> None:
        assert [code for code, _ in told(("reduce, stack", "stack, reduce"), ("unitname = u", "unitname = a b"))] == [
            "F220", "F410"
        ]  # fmt: skip

    def test_a_module_that_runs_nowhere(self) -> None:
        # told where it is missed, not a second time where it is defined
        assert [code for code, _ in told(("modulelist = reduce, stack", "modulelist = stack"))] == ["F409"]
        # if a name in the list is wrong, that is the cause
        assert [code for code, _ in told(("modulelist = reduce, stack", "modulelist = redduce, stack"))] == ["F209"]

    def test_a_module_that_depends_on_itself(self) -> None:
        assert [code for code, _ in told(("depends = reduce.file.img", "depends = stack.file.coadd"))][:1] == ["F411"]

    def test_a_long_way_the_wrong_way_round(self) -> None:
        """Each of two hundred modules needs the next one: told for each, without looking at all for each."""
        first = MAKE.format(name="m0", loop="visit", more="visit = 7", filename=f"m0-${{visit}}{ALWAYS}")
        step = first.replace("<file>", "<file>\n<in>\ndepends = m0.file.out\ndirpat = d\ndivide_by = visit\n</in>", 1)
        step = step.replace("execname = make", "execname = make\nused = file.in\nancestry = file.in:file.out")
        steps = [step.replace("m0", f"m{n}").replace(f"m{n}.file", f"m{n - 1}.file") for n in range(1, 200)]
        names = ", ".join(f"m{n}" for n in reversed(range(200)))
        found = examine(loads(text(first, *steps, b=names))).faults
        assert [fault.code for fault in found] == ["F410"] * 199

    def test_a_circle(self) -> None:
        circle = ("exec = find", "depends = stack.file.coadd")
        assert told(circle)[:1] == [("F413", "modules need each other in a circle: reduce -> stack -> reduce")]

    def test_a_file_that_a_later_module_makes(self) -> None:
        early = STACK.replace("stack>", "early>").replace("depends = reduce.file.img", "exec = find")
        early = early.replace("listonly = True", "listonly = True\nfilepat = out\nflabel = img").replace(
            "= coadd", "= e"
        )
        assert [f.code for f in examine(loads(text(early, REDUCE, b="early, reduce"))).faults] == ["F414"]
        assert [f.code for f in examine(loads(text(early, REDUCE, b="reduce, early"))).faults] == []

    def test_an_optional_file_may_be_made_later(self) -> None:
        late = make("late", "visit", "x-${visit}", "visit = 1")
        early = make("early", "visit", "y-${visit}", "visit = 1").replace(
            "<file>", f"<file>\n<x>\nfilename = x-${{visit}}{ALWAYS}\ndirpat = d\nMORE</x>"
        ).replace("execname", "used = file.x\nancestry = file.x:file.out\nexecname")  # fmt: skip
        assert made(early.replace("MORE", ""), late) == ["F414"]
        assert made(early.replace("MORE", "optional = True\n"), late) == []


class TestWhatNeverCounts:
    def test_blocks_and_modules_beside_the_lists(self) -> None:
        spare = (
            "<block>\n<c>\nmodulelist = other\n</c>\n</block>\n<module other>\n</module>\n<module lone>\n</module>\n"
        )
        assert told(whole=WHOLE + spare) == [
            ("F418", "block 'c' never runs: blocklist does not name it"),
            ("F417", "module 'lone' never runs: no modulelist names it"),
        ]

    def test_those_of_a_library_are_for_others(self) -> None:
        assert [f.code for f in examine(load(WCL / "demo/campaign.wcl")).faults] == []
        assert len(demo().modules) == 9

    def test_a_variable_that_every_user_of_it_overrides(self) -> None:
        assert told(("project = P", "project = P\nflabel = top")) == [
            ("F419", "'flabel' never counts: whatever uses it finds a nearer definition, at c.wcl:63:13 and 1 more")
        ]
        assert told(("project = P", "project = P\nflabel = top"), ("            flabel = img\n", "")) == []

    def test_a_variable_of_a_block(self) -> None:
        block = ("<b>\n", "<b>\nflabel = block\n")
        assert [code for code, _ in told(block)] == ["F419"]
        assert told(block, ("            flabel = img\n", "")) == []
        two = text(one="reduce", two="stack").replace("<one>\n", "<one>\nflabel = block\n")
        assert [f.code for f in examine(loads(two.replace("            flabel = img\n", ""))).faults] == []

    def test_other_uses_of_a_variable(self) -> None:
        top = ("project = P", "project = P\nflabel = top")
        for use in (
            ("unitname = u", "unitname = u\npipeline = ${flabel}"),
            ("ops_run_dir = ", "ops_run_dir = ${flabel}/"),
            ("band = text", "flabel = text"),
            ("divide_by = visit, ccd", "divide_by = visit, ccd, flabel"),
        ):
            assert [code for code, _ in told(top, use) if code == "F419"] == [], use

    def test_a_variable_called_as_a_loop_key(self) -> None:
        own = ("wrapperloop = visit\n", "wrapperloop = visit\n    visit = 7\n")
        assert told(own) == [("F420", "'visit' has no effect here: its values come from list.imgs, the loop object")]
        # a query runs before there are loop values
        query = ("depends = reduce.file.img", "exec = find\nargs = -v ${visit}")
        assert (
            told(own, query)
            == [("F327", "'imgs' has both a query and 'depends': a file takes 'depends', a list takes the query")][:0]
        )

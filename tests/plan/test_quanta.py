"""Rows become quanta: loops, matching, lists, and what is said when rows and campaign do not fit."""

from __future__ import annotations

import pytest
from campaigns import RAWS, REDUCE, STACK, lines, planned, raw, small, text, told

from facade.errors import CampaignError, MissingInputError
from facade.plan import Inputs, MissingFiles, plan
from facade.wcl import BadReference, listed

ONCE = """
<module once>
    wrappername = generic
    wrapperloop = visit, ccd
    <exec_1>
        execname = once
        was_generated_by = file.img
    </exec_1>
    <file>
        <img>
            filetype = img
            filepat = out
            flabel = once
            dirpat = d
        </img>
    </file>
</module>
"""


def keys(whole: str, rows: tuple[object, ...] = RAWS) -> list[dict[str, object]]:
    return [dict(q.keys) for q in planned(whole, rows).quanta]  # type: ignore[arg-type]  # rows of the test itself


def fault(whole: str | None = None, rows: object = RAWS) -> str:
    with pytest.raises(CampaignError) as caught:
        planned(whole, rows)  # type: ignore[arg-type]  # rows of the test itself
    return told(caught.value)


def first(message: str) -> str:
    return message.splitlines()[0]


class TestLoops:
    def test_rows_are_taken_in_natural_order(self) -> None:
        rows = [raw(v, c) for v in (10, 9, 100) for c in ("b10", "b9", "a2")]
        found = planned(text(b="reduce").replace("${ccd:3}", "${ccd}").replace("ccd = int", "ccd = text"), rows).quanta
        assert [tuple(q.keys.values()) for q in found] == [(v, c) for v in (9, 10, 100) for c in ("a2", "b9", "b10")]

    def test_values_of_the_campaign_form_a_cartesian_product(self) -> None:
        found = planned(text(ONCE, b="once") + "visit = 10, 9\nccd = (1:3)\n").quanta
        assert [tuple(q.keys.values()) for q in found] == [(v, c) for v in ("9", "10") for c in ("1", "2", "3")]

    def test_one_value_is_a_loop_of_one(self) -> None:
        assert len(planned(text(ONCE, b="once") + "visit = 7\nccd = 1\n").quanta) == 1

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("a", ("a",)),
            ("a, b,c", ("a", "b", "c")),
            ("(a)", ("a",)),
            ("1:3", ("1:3",)),
            ("(1:3)", ("1", "2", "3")),
            ("1:3, 7", ("1", "2", "3", "7")),
            ("0998:1001, 5", ("998", "999", "1000", "1001", "5")),
            ("'12:30:45', x", ("12:30:45", "x")),
            ("(1:2),(5:6)", ("1", "2", "5", "6")),
            ('"8,6"', ("8,6",)),
            ("'8,6', 1", ("8,6", "1")),
            ("1, 1, 2", ("1", "2")),
            (",", ()),
        ],
    )
    def test_a_list_of_values_reads(self, value: str, expected: tuple[str, ...]) -> None:
        assert listed(value) == expected

    @pytest.mark.parametrize("value", ["a, b,", "a,,b", "5:3, 1", "12:30:45, x", "f(1), g", "(1, 2"])
    def test_what_the_original_misread_in_silence_is_refused(self, value: str) -> None:
        with pytest.raises(BadReference):
            listed(value)

    def test_a_range_has_an_end(self) -> None:
        with pytest.raises(BadReference, match="more than 1000000 values"):
            listed("(0:99999999)")

    def test_a_loop_key_without_values_is_told(self) -> None:
        message = fault(text(ONCE, b="once") + "visit = 7\n")
        assert message == (
            "c.wcl:41:26: error: loop key 'ccd' of module 'once' has no values\n"
            "        wrapperloop = visit, ccd\n"
            "                             ^^^\n"
            "  define 'ccd = …' or name a loopobj that has that column"
        )

    def test_a_loop_value_that_cannot_be_resolved_is_told(self) -> None:
        message = fault(text(ONCE, b="once") + "visit = ${visits}\nccd = ,\n")
        assert [line for line in message.splitlines() if "error" in line] == [
            "c.wcl:55:9: error: loop key 'visit' of module 'once': undefined variable 'visits'",
            "c.wcl:56:7: error: loop key 'ccd' of module 'once' has no values",
        ]

    def test_a_loop_object_without_a_query_leaves_the_loop_to_the_campaign(self) -> None:
        module = ONCE.replace("wrapperloop = visit, ccd", "wrapperloop = visit, ccd\nloopobj = file.img")
        assert len(planned(text(module, b="once") + "visit = 1,2\nccd = 1\n").quanta) == 2

    def test_a_loop_over_a_column_that_rows_lack_is_told(self) -> None:
        message = fault(text(b="reduce"), [raw(9, 1), {**raw(9, 2), "ccd": None}])
        assert first(message) == (
            "c.wcl:41:19: error: wrapperloop of module 'reduce': a line of file 'raw' of module 'reduce' has no single"
            " value of 'ccd'; its columns: visit"
        )

    def test_without_a_loop_there_is_one_quantum(self) -> None:
        whole = text(
            REDUCE.replace("    wrapperloop = visit, ccd\n    loopobj = file.raw\n", "")
            .replace("            divide_by = visit, ccd\n", "")
            .replace("filepat = out", "filepat = one"),
            b="reduce",
        )
        (only,) = planned(whole, [raw(9, 1)]).quanta
        assert (dict(only.keys), only.label) == ({}, "reduce")


class TestMatching:
    def test_a_number_matches_the_same_number_as_text(self) -> None:
        module = REDUCE.replace(
            "    <file>",
            """    <file>
        <cal>
            exec = findcal
            match = ccd
            dirpat = d
        </cal>""",
        )
        data = {
            "reduce.file.raw": lines("raw", [raw(9, 1), raw(9, 2)]),
            "reduce.file.cal": lines("cal", [{"filename": f"cal{c}.fits", "ccd": c} for c in ("2", "1", "3")]),
        }
        found = plan(small(text(module, b="reduce")), Inputs(data))
        names = [[found.files[u.file].name for u in q.inputs if u.section == "file.cal"] for q in found.quanta]
        assert names == [["cal1.fits"], ["cal2.fits"]]
        assert "cal3.fits" not in [f.name for f in found.files]

    def test_two_lines_for_one_file_are_a_fault(self) -> None:
        rows = [raw(9, 1), {**raw(9, 1), "filename": "again.fits"}, raw(10, 1), {**raw(10, 1), "filename": "x.fits"}]
        assert fault(text(b="reduce"), rows) == (
            "c.wcl:56:25: error: quantum reduce visit=9 ccd=1: 2 lines of file 'raw' have visit=9 ccd=1 (and 1 more"
            " like it)\n"
            "                divide_by = visit, ccd\n"
            "                            ^^^^^^^^^^\n"
            "  divide_by (or match) more keys, or set ignore_multiple_error"
        )

    def test_ignore_multiple_error_takes_them_all(self) -> None:
        whole = text(
            REDUCE.replace("divide_by = visit, ccd", "divide_by = visit, ccd\nignore_multiple_error = yes"), b="reduce"
        )
        (only,) = planned(whole, [raw(9, 1), {**raw(9, 1), "filename": "again.fits"}]).quanta
        assert len(only.inputs) == 2

    def test_a_key_that_the_quantum_does_not_have_is_told(self) -> None:
        message = fault(
            text(REDUCE.replace("divide_by = visit, ccd", "divide_by = visit, band"), b="reduce"), [raw(9, 1)]
        )
        assert first(message) == (
            "c.wcl:39:1: error: quantum reduce visit=9 ccd=1: file 'raw' of module 'reduce' is divided by 'band',"
            " of which the quantum has no single value; it has: visit, ccd, wrapnum"
        )

    def test_a_query_without_rows_is_missing_input(self) -> None:
        with pytest.raises(MissingInputError) as caught:
            planned(rows=[])
        assert told(caught.value) == (
            "c.wcl:55:20: error: the query of file 'raw' of module 'reduce' found nothing\n"
            "                exec = find\n"
            "                       ^^^^\n"
            "  ingest the inputs (facade ingest), or widen the query; try it with: facade query"
        )
        assert caught.value.exit_code == 3

    def test_a_row_may_name_several_files_of_which_one_serves_the_section(self) -> None:
        line = {"raw": raw(9, 1), "cal": {"filename": "c.fits", "kind": "x"}}
        found = plan(small(text(b="reduce")), Inputs({"reduce.file.raw": [line]}))
        assert [found.files[u.file].name for u in found.quanta[0].inputs] == ["raw-9-1.fits"]

    def test_columns_that_the_files_of_a_line_contradict_are_no_columns_of_it(self) -> None:
        line = {"raw": raw(9, 1), "cal": {"filename": "c.fits", "visit": 1}}
        with pytest.raises(CampaignError, match="has no single value of 'visit'; its columns: ccd"):
            plan(small(text(b="reduce")), Inputs({"reduce.file.raw": [line]}))

    def test_a_null_in_the_first_row_does_not_hide_the_column(self) -> None:
        module = REDUCE.replace("i = ${file.raw.fullname}", "b = $opt{band}")
        found = planned(text(module, b="reduce"), [raw(9, 1, band=None), raw(9, 2, band="r")])
        assert [q.execs[0].argv[1:3] for q in found.quanta] == [("-b", "-o"), ("-b", "r")]

    def test_the_configuration_wins_over_a_column_that_is_not_the_quantums(self) -> None:
        module = REDUCE.replace("i = ${file.raw.fullname}", "i = ${kind}").replace(
            "    <file>",
            """    <list>
        <all>
            exec = findall
            columns = kind
        </all>
    </list>
    <file>""",
        )
        data = {"reduce.file.raw": lines("raw", [raw(9, 1)]), "reduce.list.all": lines("x", [{"kind": "row"}])}
        found = plan(small(text(module, b="reduce") + "kind = configured\n"), Inputs(data))
        assert found.quanta[0].execs[0].argv[2] == "configured"


class TestFiles:
    def test_two_writers_of_a_file_are_a_fault(self) -> None:
        message = fault(text(REDUCE.replace("filepat = out", "filepat = visit"), b="reduce"))
        assert message == (
            "c.wcl:61:23: error: 'img-9-r7p${attnum:2}.fits' is written by reduce visit=9 ccd=1 and by reduce visit=9"
            " ccd=2 (and 1 more like it)\n"
            "                filepat = visit\n"
            "                          ^^^^^\n"
            "  let the pattern use every loop key of its module, and something of the module's own such as flabel"
        )

    def test_two_outputs_of_one_quantum_with_one_name_are_a_fault(self) -> None:
        module = REDUCE.replace("was_generated_by = file.img", "was_generated_by = file.img, file.cat").replace(
            "        <img>",
            """        <cat>
            filetype = img
            filename = img-${visit}-00${ccd}-r${reqnum}p${attnum:2}.fits
            dirpat = d
        </cat>
        <img>""",
        )
        assert "is written twice by reduce visit=9 ccd=1 (and 3 more like it)" in fault(text(module, b="reduce"))

    def test_a_registered_input_is_never_overwritten(self) -> None:
        whole = text(b="reduce").replace("-r7p${attnum:2}", "").replace("-r${reqnum}p${attnum:2}", "")
        rows = [{**raw(9, 1), "filename": "img-9-001.fits"}]
        assert fault(whole, rows) == (
            "c.wcl:61:23: error: 'img-9-001.fits' is to be written by reduce visit=9 ccd=1, but a registered input is"
            " called so\n"
            "                filepat = out\n"
            "                          ^^^\n"
            "  let the pattern use ${reqnum} and ${attnum}"
        )
        assert fault(whole, [raw(9, 1), {**raw(9, 2), "filename": "img-9-001.fits"}]) == (
            "c.wcl:61:23: error: 'img-9-001.fits' is registered as an input, and reduce visit=9 ccd=1 makes it anew\n"
            "                filepat = out\n"
            "                          ^^^\n"
            "  let its pattern use ${reqnum} and ${attnum}, or keep the query from finding it"
        )

    def test_an_input_that_is_made_later_is_told(self) -> None:
        early = STACK.replace("depends = reduce.file.img", "exec = find").replace("<module stack>", "<module early>")
        early = early.replace(
            "            listonly = True\n",
            "            listonly = True\n            filename = img-${visit}-00${ccd}-r7p${attnum:2}.fits\n",
        )
        whole = text(early, REDUCE, b="early, reduce")
        data = {"early.list.imgs": [{"img": {"visit": 9, "ccd": 1}}], "reduce.file.raw": lines("raw", [raw(9, 1)])}
        with pytest.raises(CampaignError) as caught:
            plan(small(whole), Inputs(data))
        assert told(caught.value) == (
            "c.wcl:100:23: error: 'img-9-001-r7p${attnum:2}.fits' is made by reduce visit=9 ccd=1, but early visit=9"
            " needs it earlier\n"
            "                filepat = out\n"
            "                          ^^^\n"
            "  c.wcl:66:24: early visit=9 needs it\n"
            "  put the module that makes it earlier in modulelist or blocklist"
        )

    def test_a_quantum_that_reads_its_own_output_is_told(self) -> None:
        module = REDUCE.replace(
            "    <file>",
            """    <file>
        <self>
            filename = img-${visit}-00${ccd}-r7p${attnum:2}.fits
            dirpat = d
        </self>""",
        )
        assert "reduce visit=9 ccd=1 needs 'img-9-001-r7p${attnum:2}.fits' as input and makes it as well" in fault(
            text(module, b="reduce"), [raw(9, 1)]
        )

    def test_a_named_file_is_asked_for_once_whoever_needs_it(self) -> None:
        module = REDUCE.replace("    <file>", "    <file>\n<cat>\nfilename = ref.cat.gz\ndirpat = d\n</cat>")
        with pytest.raises(MissingFiles) as caught:
            planned(text(module, b="reduce"))
        assert caught.value.names == ("ref.cat.gz",)
        assert len(told(caught.value).splitlines()) == 4
        found = planned(text(module, b="reduce"), RAWS, **{"ref.cat": "cat"}, **{"ref.cat.gz": "cat"})
        assert [f.producer for f in found.files if f.name == "ref.cat.gz"] == [0]

    def test_an_optional_input_may_be_missing(self) -> None:
        module = REDUCE.replace(
            "    <file>", "    <file>\n<cat>\nfilename = ref.cat\noptional = True\ndirpat = d\n</cat>"
        )
        module = module.replace("i = ${file.raw.fullname}", "i = a$opt{file.cat.fullname}")
        assert planned(text(module, b="reduce")).quanta[0].execs[0].argv[:3] == ("reduce", "-i", "a")

    def test_a_fullname_says_where_the_file_lies_in_the_job(self) -> None:
        module = REDUCE.replace("    <file>", "    <file>\n<cat>\nfullname = ref/v${reqnum}/ref.cat\n</cat>").replace(
            "i = ${file.raw.fullname}", "i = ${file.cat.fullname}"
        )
        found = planned(text(module, b="reduce"), RAWS, **{"ref.cat": "cat"})
        assert found.quanta[0].execs[0].argv[2] == "ref/v7/ref.cat"
        assert found.quanta[0].inputs[0].path == "ref/v7"

    @pytest.mark.parametrize(
        ("ops", "runtime", "message"),
        [
            ("${ops_run_dir}", "${up}/d", "the directory of file.raw leaves the job: '../d'"),
            ("${up}/${ops_run_dir}", "d", "the archive directory of 'img' leaves the archive"),
        ],
    )
    def test_no_file_lies_outside(self, ops: str, runtime: str, message: str) -> None:
        whole = (
            text(b="reduce")
            .replace("ops = ${ops_run_dir}/d", f"ops = {ops}")
            .replace("runtime = d", f"runtime = {runtime}")
        )
        assert message in fault(f"{whole}up = ..\n")

    def test_ops_run_dir_is_relative(self) -> None:
        whole = text(b="reduce").replace("ops_run_dir = ${project}", "ops_run_dir = ${top}") + "top = /data\n"
        assert fault(whole).startswith(
            "c.wcl:6:15: error: 'ops_run_dir' leaves the archive: it must be a relative path without '..'\n"
        )

    def test_a_name_with_a_slash_is_no_file_name(self) -> None:
        assert "the name of 'img' holds a slash or a control character: 'a/b" in fault(
            text(b="reduce").replace("out = ${flabel}", "out = a/b${flabel}")
        )

    def test_what_rows_of_one_file_contradict_does_not_describe_it(self) -> None:
        whole = text(
            REDUCE.replace("wrapperloop = visit, ccd", "wrapperloop = visit, patch")
            .replace("divide_by = visit, ccd", "divide_by = visit, patch")
            .replace("out = ", "")
            .replace("flabel = img", "flabel = ${patch}")
            .replace("filepat = out", "filepat = visit"),
            b="reduce",
        )
        rows = [raw(9, 1, patch=p) for p in ("8,6", "8,7")]
        file = next(f for f in planned(whole, rows).files if f.filetype == "raw")
        assert file.metadata == {"visit": 9, "ccd": 1}


class TestLists:
    def stack(self, module: str = STACK, rows: object = RAWS) -> list[str]:
        found = planned(text(REDUCE, module), rows)  # type: ignore[arg-type]  # rows of the test itself
        return [q.lists[0].content for q in found.quanta if q.module == "stack"]

    def test_lines_are_sorted_by_number(self) -> None:
        (content,) = self.stack(rows=[raw(9, ccd) for ccd in (10, 9, 100)])
        assert [line.split()[1] for line in content.splitlines()] == ["9", "10", "100"]

    @pytest.mark.parametrize("sortkey", ["(ccd, int, reverse)", "(ccd,,True)", "( img.ccd , 1, yes )"])
    def test_lines_can_be_sorted_backwards(self, sortkey: str) -> None:
        (content,) = self.stack(
            STACK.replace("sortkey = ccd", f"sortkey = {sortkey}"), [raw(9, c) for c in (10, 9, 100)]
        )
        assert [line.split()[1] for line in content.splitlines()] == ["100", "10", "9"]

    def test_a_sortkey_that_lines_lack_is_told(self) -> None:
        whole = text(REDUCE, STACK.replace("sortkey = ccd", "sortkey = wave"))
        message = fault(whole.replace("band = text", "band = text\n            wave = text"))
        assert "sortkey: a line of list 'imgs' has no column 'wave'; its columns: visit, ccd, band" in message

    @pytest.mark.parametrize(
        ("form", "line"),
        [
            ("textsp", "d/img-9-001-r7p${attnum:2}.fits 1\n"),
            ("textcsv", "d/img-9-001-r7p${attnum:2}.fits, 1\n"),
            ("texttab", "d/img-9-001-r7p${attnum:2}.fits\t1\n"),
        ],
    )
    def test_formats(self, form: str, line: str) -> None:
        assert self.stack(STACK.replace("sortkey = ccd", f"format = {form}"), [raw(9, 1)]) == [line]

    def test_a_header_names_the_columns(self) -> None:
        (content,) = self.stack(STACK.replace("sortkey = ccd", "header = True\nformat = textcsv"), [raw(9, 1)])
        assert content.splitlines()[0] == "# fullname, ccd"

    def test_a_comma_in_a_value_is_quoted_in_a_textcsv(self) -> None:
        module = STACK.replace("sortkey = ccd", "format = textcsv").replace("img.fullname, img.ccd", "img.band, ccd")
        assert self.stack(module, [raw(9, 1, band='8,6 "x"')]) == ['"8,6 ""x""", 1\n']

    def test_a_blank_in_a_value_does_not_become_two_columns(self) -> None:
        message = fault(text(REDUCE, STACK.replace("img.fullname, img.ccd", "img.band, ccd")), [raw(9, 1, band="a b")])
        assert "'a b' would not be one word in list 'imgs': write 'format = textcsv'" in message

    def test_each_file_of_a_line_has_its_own_columns(self) -> None:
        module = (
            STACK.replace("depends = reduce.file.img", "exec = find")
            .replace("img.fullname, img.ccd", "img.fullname, img.date, cal.fullname, cal.date")
            .replace(
                "        <coadd>",
                "        <cal>\n            listonly = True\n            dirpat = d\n        </cal>\n        <coadd>",
            )
        )
        line = {
            "img": {"filename": "i.fits", "visit": 9, "ccd": 1, "date": "d1"},
            "cal": {"filename": "c.fits", "ccd": 1, "date": "d2"},
        }
        found = plan(small(text(module, b="stack")), Inputs({"stack.list.imgs": [line]}))
        assert found.quanta[0].lists[0].content == "d/i.fits d1 d/c.fits d2\n"

    def test_a_column_that_lines_lack_is_told(self) -> None:
        whole = text(REDUCE, STACK.replace("img.fullname, img.ccd", "img.fullname, img.wave"))
        message = fault(whole.replace("band = text", "band = text\n            wave = text"))
        assert "a line of list 'imgs' has no column 'wave'; its columns: visit, ccd, band" in message

    def test_a_quantum_for_which_a_list_has_no_lines_is_missing_input(self) -> None:
        module = REDUCE.replace(
            "    <file>",
            """    <list>
        <all>
            exec = findall
            divide_by = visit
            columns = kind
            filepat = list
            dirpat = d
        </all>
    </list>
    <wrapper>
        per_file_cmdline = list.all:$(kind)
    </wrapper>
    <file>""",
        )
        data = {"reduce.file.raw": lines("raw", RAWS), "reduce.list.all": lines("x", [{"kind": "row", "visit": 10}])}
        with pytest.raises(MissingFiles) as caught:
            plan(small(text(module, b="reduce")), Inputs(data))
        assert caught.value.names == ()
        message = "quantum reduce visit=9 ccd=1: no line of list 'all' of module 'reduce' has visit=9"
        assert message in told(caught.value)


class TestDepends:
    def test_the_files_of_an_earlier_block_can_be_depended_on(self) -> None:
        found = planned(text(REDUCE, STACK, one="reduce", two="stack"))
        assert [(j.block, j.parents) for j in found.jobs] == [(0, ()), (1, ())]
        assert [len(q.inputs) for q in found.quanta] == [1, 1, 1, 1, 2, 2]

    def test_a_module_that_fails_is_reported_once_not_by_all_who_depend_on_it(self) -> None:
        message = fault(text(REDUCE.replace("filepat = out", "filepat = visit"), STACK))
        assert message.count("error:") == 1

    def test_new_names_for_old_rows(self) -> None:
        module = (
            REDUCE.replace("<module reduce>", "<module again>")
            .replace(
                "exec = find",
                """depends-newname = reduce.file.raw
            filepat = out
            flabel = img""",
            )
            .replace(
                "flabel = img\n            dirpat = d\n        </img>",
                "flabel = again\n            dirpat = d\n        </img>",
            )
        )
        found = planned(text(REDUCE, module, b="reduce, again"))
        again = [q for q in found.quanta if q.module == "again"]
        assert [found.files[q.inputs[0].file].producer for q in again] == [1, 2, 3, 4]

    def test_one_file_of_the_lines_of_a_list(self) -> None:
        first_module = REDUCE.replace(
            "    <file>",
            """    <list>
        <pairs>
            exec = findpairs
            columns = a.fullname, b.fullname
        </pairs>
    </list>
    <file>
        <a>
            listonly = True
            dirpat = d
        </a>
        <b>
            listonly = True
            dirpat = d
        </b>""",
        )
        second = (
            REDUCE.replace("<module reduce>", "<module after>")
            .replace("exec = find", "depends = reduce.list.pairs.b")
            .replace("flabel = img", "flabel = after")
        )
        pair = {"a": {"filename": "a.fits", "visit": 9, "ccd": 1}, "b": {"filename": "b.fits", "visit": 9, "ccd": 2}}
        data = {"reduce.file.raw": lines("raw", [raw(9, 1)]), "reduce.list.pairs": [pair]}
        found = plan(small(text(first_module, second, b="reduce, after")), Inputs(data))
        assert [found.files[u.file].name for u in found.quanta[-1].inputs] == ["b.fits"]
        assert dict(found.quanta[-1].keys) == {"visit": 9, "ccd": 2}
        with pytest.raises(CampaignError) as caught:
            plan(small(text(first_module, second.replace("pairs.b", "pairs"), b="reduce, after")), Inputs(data))
        assert "the lines of reduce.list.pairs hold several files: a, b" in told(caught.value)
        assert "name one of them: reduce.list.pairs.FILE" in told(caught.value)

    def test_a_module_that_only_publishes(self) -> None:
        module = """
<module data>
    noop = True
    <file>
        <raw>
            exec = find
            dirpat = d
        </raw>
    </file>
</module>
"""
        reduce = REDUCE.replace("exec = find", "depends = data.file.raw")
        found = plan(small(text(module, reduce, b="data, reduce")), Inputs({"data.file.raw": lines("raw", RAWS)}))
        assert [q.module for q in found.quanta] == ["reduce"] * 4
        assert dict(found.wrappers) == {"reduce": "generic"}


class TestJobs:
    def test_one_job_per_value_of_the_keys(self) -> None:
        found = planned(text(REDUCE, STACK).replace("<b>", "<b>\ndivide_jobs_by = visit"))
        assert [(dict(j.keys), j.quanta, j.parents) for j in found.jobs] == [
            ({"visit": "9"}, (1, 2, 5), ()),
            ({"visit": "10"}, (3, 4, 6), ()),
        ]

    def test_a_job_waits_for_the_jobs_it_reads_from(self) -> None:
        found = planned(text(REDUCE.replace("    loopobj", "    divide_jobs_by = visit, ccd\n    loopobj"), STACK))
        assert [j.parents for j in found.jobs] == [(), (), (), (), (1, 2, 3, 4)]

    def test_the_order_of_the_keys_makes_no_difference(self) -> None:
        again = REDUCE.replace("<module reduce>", "<module again>").replace("exec = find", "depends = reduce.file.img")
        again = again.replace("flabel = img", "flabel = again").replace(
            "    loopobj", "    divide_jobs_by = ccd, visit\n    loopobj"
        )
        first_module = REDUCE.replace("    loopobj", "    divide_jobs_by = visit, ccd\n    loopobj")
        found = planned(text(first_module, again, b="reduce, again"))
        assert [j.quanta for j in found.jobs] == [(1, 5), (2, 6), (3, 7), (4, 8)]

    def test_jobs_that_wait_for_each_other_are_told(self) -> None:
        last = (
            STACK.replace("<module stack>", "<module last>")
            .replace("reduce.file.img", "stack.file.coadd")
            .replace("flabel = coadd", "flabel = last")
            .replace("    loopobj", "    divide_jobs_by = reqnum\n    loopobj")
            .replace("sortkey = ccd", "sortkey = visit")
            .replace("img.ccd", "img.visit")
        )
        first_module = REDUCE.replace("    loopobj", "    divide_jobs_by = reqnum\n    loopobj")
        whole = text(
            first_module,
            STACK.replace("    loopobj", "    divide_jobs_by = visit\n    loopobj"),
            last,
            b="reduce, stack, last",
        )
        message = fault(whole, [raw(9, 1)])
        assert message == (
            "c.wcl:42:22: error: jobs of block 'b' wait for each other in a circle: job 2 (visit=9) needs"
            " 'img-9-001-r7p${attnum:2}.fits' (reduce visit=9 ccd=1) of job 1 (reqnum=7); job 1 (reqnum=7) needs"
            " 'coadd-9-r7p${attnum:2}.fits' (stack visit=9) of job 2 (visit=9)\n"
            "        divide_jobs_by = reqnum\n"
            "                         ^^^^^^\n"
            "  c.wcl:72:22: the jobs are divided here\n"
            "  c.wcl:111:22: the jobs are divided here\n"
            "  choose divide_jobs_by keys that keep these modules in one job, or split the block"
        )

    def test_a_key_without_value_is_told(self) -> None:
        message = fault(text(REDUCE.replace("    loopobj", "    divide_jobs_by = tile\n    loopobj"), b="reduce"))
        assert first(message) == "c.wcl:42:22: error: undefined variable 'tile'"


def test_inputs_that_are_registered_but_lie_nowhere_are_missing() -> None:
    rows = [raw(9, 1), raw(9, 2, path=None), raw(10, 1, path=None)]
    with pytest.raises(MissingInputError) as caught:
        planned(text(REDUCE, b="reduce"), rows)
    assert caught.value.message == "registered, but in no archive that jobs read: raw-9-2.fits, raw-10-1.fits"

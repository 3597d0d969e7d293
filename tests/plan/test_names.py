"""Names: variables that are lists stand for several files; quoted values and data never do (desdm.md §1.4, §1.5)."""

from __future__ import annotations

import pytest
from campaigns import REDUCE, lines, planned, raw, small, text, told

from facade.errors import CampaignError
from facade.plan import Inputs, Plan, plan

SPLIT = """
<module split>
    wrappername = generic
    wrapperloop = visit
    visit = 7
    <exec_1>
        execname = split
        was_generated_by = file.parts
        <cmdline>
            o = ${file.parts.fullname}
        </cmdline>
    </exec_1>
    <file>
        <parts>
            filetype = img
            filepat = PATTERN
            flabel = part
            dirpat = d
        </parts>
    </file>
</module>
"""
GATHER = """
<module gather>
    wrappername = generic
    <exec_1>
        execname = gather
        used = list.all.parts
        <cmdline>
            l = ${list.all.fullname}
        </cmdline>
    </exec_1>
    <list>
        <all>
            columns = parts.fullname, parts.ccd
            filepat = list
            dirpat = d
        </all>
    </list>
    <file>
        <parts>
            filepat = PATTERN
            flabel = part
            visit = 7
            dirpat = d
            listonly = True
        </parts>
    </file>
</module>
"""


def plan_of(extra: str, *modules: str, pattern: str = "out") -> Plan:
    whole = text(*(m.replace("PATTERN", pattern) for m in modules), b=", ".join(m.split()[1][:-1] for m in modules))
    return planned(whole + extra, [])


def outputs(plan: Plan) -> list[str]:
    return [plan.files[use.file].filename for q in plan.quanta for use in q.outputs]


@pytest.mark.parametrize(
    ("ccd", "expected"),
    [
        ("(9:11)", ["009", "010", "011"]),
        ("3, 1, 5:6", ["003", "001", "005", "006"]),
        ("4", ["004"]),
        ("${those}\nthose = 2, 1", ["002", "001"]),
    ],
)
def test_a_list_in_a_pattern_is_a_file_for_each_item_with_its_metadata(ccd: str, expected: list[str]) -> None:
    plan = plan_of(f"ccd = {ccd}\n", SPLIT)
    assert outputs(plan) == [f"part-7-{ccd}-r7p${{attnum:2}}.fits" for ccd in expected]
    assert [int(str(plan.files[u.file].metadata["ccd"])) for u in plan.quanta[0].outputs] == [int(c) for c in expected]
    assert plan.quanta[0].execs[0].argv[2] == ",".join(f"d/{name}" for name in outputs(plan))
    assert plan.quanta[0].execs[0].generated == tuple(u.file for u in plan.quanta[0].outputs)


def test_several_lists_multiply_the_first_slowest() -> None:
    plan = plan_of("a = x, y\nccd = (1:2)\n<filename_pattern>\ntwo = ${a}-${ccd}-${a}.fits\n</filename_pattern>\n",
                   SPLIT, pattern="two")  # fmt: skip
    assert outputs(plan) == ["x-1-x.fits", "x-2-x.fits", "y-1-y.fits", "y-2-y.fits"]


def test_no_combination_is_dropped() -> None:
    """The original gave up after 100 partial expansions and dropped the rest (desdm.md §1.4)."""
    plan = plan_of("a = (1:100)\nccd = (1:30)\n<filename_pattern>\nm = ${a}-${ccd}.fits\n</filename_pattern>\n",
                   SPLIT, pattern="m")  # fmt: skip
    assert len(set(outputs(plan))) == 3000


def test_a_quoted_value_is_one_value() -> None:
    plan = plan_of('a = "8,6"\nccd = 1\n<filename_pattern>\nq = ${a}-${ccd}.fits\n</filename_pattern>\n',
                   SPLIT, pattern="q")  # fmt: skip
    assert outputs(plan) == ["8,6-1.fits"]


def test_a_directory_may_vary_with_the_name_but_not_on_its_own() -> None:
    patterns = "<directory_pattern>\n<d>\nops = x/${ccd}\nruntime = d/${WHICH}\n</d>\n</directory_pattern>\n"
    plan = plan_of("ccd = 1, 2\n" + patterns.replace("WHICH", "ccd"), SPLIT)
    assert [u.path for u in plan.quanta[0].outputs] == ["d/1", "d/2"]
    with pytest.raises(CampaignError) as caught:
        plan_of("ccd = 1\nother = 1, 2\n" + patterns.replace("WHICH", "other"), SPLIT)
    assert "'other' is a list of 2 values, but one is needed here [F116]" in str(caught.value)


def test_a_list_without_a_source_is_made_of_the_files_that_its_columns_name() -> None:
    plan = plan_of("ccd = (1:3)\n", SPLIT, GATHER)
    (listing,) = plan.quanta[1].lists
    assert listing.content == "".join(f"d/part-7-{n:03d}-r7p${{attnum:2}}.fits {n}\n" for n in (1, 2, 3))
    assert len(plan.quanta[1].inputs) == 3


def test_a_list_with_a_bad_item_is_told_at_its_place() -> None:
    with pytest.raises(CampaignError) as caught:
        plan_of("ccd = 1, 5:3\n", SPLIT)
    assert told(caught.value).splitlines()[:2] == [
        "c.wcl:59:7: error: the range 5:3 is empty: write 3:5", "    ccd = 1, 5:3",
    ]  # fmt: skip


def test_a_header_value_is_left_to_the_job() -> None:
    module = REDUCE.replace("i = ${file.raw.fullname}", "x = t=$HEAD{${file.raw.fullname},EXPTIME,FILTER}s")
    plan = planned(text(module, b="reduce"), [raw(9, 1)])
    assert plan.quanta[0].execs[0].argv[1:3] == ("-x", ("t=", ("d/raw-9-1.fits", "EXPTIME", "FILTER"), "s"))


def test_a_header_value_elsewhere_is_refused() -> None:
    with pytest.raises(CampaignError, match="use it in <cmdline>"):
        plan_of("ccd = $HEAD{a,b}\n", SPLIT)


@pytest.mark.parametrize(
    ("form", "seeing", "cell"),
    [("%5.2f", 0.7123, " 0.71"), ("%.1e", "1234", "1.2e+03"), ("%04d", 7, "0007"), ("%s", "x y", "x y")],
)
def test_a_column_of_a_list_may_be_formatted(form: str, seeing: str | int | float, cell: str) -> None:
    section = f"<l>\nexec = find\nfilepat = list\ndirpat = d\ncolumns = raw.ccd, $FMT{{{form}, raw.seeing}}\n"
    module = REDUCE.replace("<file>", f"<list>\n{section}format = textcsv\n</l>\n</list>\n<file>")
    rows = [raw(9, 1, seeing=seeing)]
    found = {"reduce.file.raw": lines("raw", rows), "reduce.list.l": lines("raw", rows)}
    (listing,) = plan(small(text(module, b="reduce")), Inputs(found)).quanta[0].lists
    assert listing.content == f"1, {cell}\n"


def test_a_value_that_does_not_fit_its_format_is_told() -> None:
    module = REDUCE.replace("<file>", "<list>\n<l>\nexec = find\nfilepat = list\ndirpat = d\n"
                            "columns = raw.ccd, $FMT{%d, raw.band}\n</l>\n</list>\n<file>")  # fmt: skip
    rows = [raw(9, 1, band="r")]
    found = {"reduce.file.raw": lines("raw", rows), "reduce.list.l": lines("raw", rows)}
    with pytest.raises(CampaignError, match=r"\$FMT\{%d,…\}: 'r' is not a number of that kind \[F523\]"):
        plan(small(text(module, b="reduce")), Inputs(found))


def test_a_malformed_format_is_told() -> None:
    module = REDUCE.replace("<file>", "<list>\n<l>\nexec = find\ncolumns = $FMT{%q, raw.band}\n</l>\n</list>\n<file>")
    with pytest.raises(CampaignError, match=r"'\$FMT\{%q, raw.band\}' is no column of list 'l' \[F336\]"):
        small(text(module, b="reduce"))

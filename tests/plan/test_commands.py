"""Command lines: words, options, positions, and what lists add to them."""

from __future__ import annotations

import pytest
from campaigns import RAWS, REDUCE, STACK, planned, raw, text, told

from facade.errors import CampaignError

CMDLINE = """        <cmdline>
            i = ${file.raw.fullname}
            o = ${file.img.fullname}
        </cmdline>
"""


def argv(cmdline: str, *, hyphen: str = "", top: str = "", **columns: str) -> list[str]:
    assert CMDLINE in REDUCE
    style = f"        cmd_hyphen = {hyphen}\n" if hyphen else ""
    module = REDUCE.replace(CMDLINE, f"{style}<cmdline>\n{cmdline}\n</cmdline>\n")
    whole = text(module, b="reduce") + top
    return list(planned(whole, [raw(9, 1, **columns)]).quanta[0].execs[0].argv)


def fault(cmdline: str) -> str:
    with pytest.raises(CampaignError) as caught:
        argv(cmdline)
    return told(caught.value)


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("", ["-l", "-long", "x"]),
        ("allsingle", ["-l", "-long", "x"]),
        ("alldouble", ["--l", "--long", "x"]),
        ("mixed_gnu", ["-l", "--long", "x"]),
        ("Mixed_GNU", ["-l", "--long", "x"]),
    ],
)
def test_hyphens(style: str, expected: list[str]) -> None:
    assert argv("l = _flag\nlong = x", hyphen=style) == ["reduce", *expected]


def test_options_come_in_the_order_of_the_text_and_keep_their_case() -> None:
    assert argv("B = 1\na = 2\nC = _flag") == ["reduce", "-B", "1", "-a", "2", "-C"]


@pytest.mark.parametrize(
    ("cmdline", "expected"),
    [
        ("_01 = a\nx = 1", "reduce a -x 1"),
        ("x = 1\n_01_in = a", "reduce a -x 1"),
        ("_02 = b\n_01 = a", "reduce a b"),
        ("_2 = b\n_10 = j\n_1 = a", "reduce a b j"),
        # an option and its value are one item of the list that positions count
        ("x = 1\n_02 = a\ny = 2", "reduce -x 1 a -y 2"),
        ("x = 1\ny = _flag\n_99 = last", "reduce -x 1 -y last"),
        ("_01 = a b\n_02 = c", "reduce a b c"),
    ],
)
def test_positions(cmdline: str, expected: str) -> None:
    assert argv(cmdline) == expected.split()


def test_two_arguments_at_one_position_are_a_fault() -> None:
    assert fault("_01 = a\n_1_again = b").splitlines()[0].endswith("error: '_1_again' has the same position as '_01'")


@pytest.mark.parametrize("key", ["_00", "_x", "_"])
def test_what_is_no_position_is_a_fault(key: str) -> None:
    assert f"error: '{key}' is no position on the command line" in fault(f"{key} = a")


def test_a_value_from_a_row_stays_one_word() -> None:
    assert argv("f = x=${band} '${band}'", band="a b,c 'd") == ["reduce", "-f", "x=a b,c 'd", "a b,c 'd"]


def test_quotes_in_the_campaign_keep_words_together() -> None:
    assert argv("f = 'a b' \"c  d\" e\\ f", top="") == ["reduce", "-f", "a b", "c  d", "e f"]


def test_a_configured_value_is_split_unless_it_is_quoted() -> None:
    assert argv("f = ${mode} '${mode}'", top="mode = a b\n") == ["reduce", "-f", "a", "b", "a b"]


def test_numbers_are_padded_where_asked() -> None:
    assert argv("f = ${visit:4}-${ccd}") == ["reduce", "-f", "0009-1"]


def test_an_open_quotation_is_told_with_its_place() -> None:
    message = fault("f = 'a ${visit}")
    assert "error: no closing quotation in: 'a ${visit}" in message
    assert "\n    f = 'a ${visit}\n        ^^^^^^^^^^^\n" in message + "\n"


def test_a_value_that_differs_within_the_quantum_is_told() -> None:
    whole = text(
        REDUCE.replace("wrapperloop = visit, ccd", "wrapperloop = visit")
        .replace("divide_by = visit, ccd", "divide_by = visit\nignore_multiple_error = True")
        .replace("filepat = out", "filepat = visit")
        .replace("o = ${file.img.fullname}", "o = ${ccd}"),
        b="reduce",
    )
    with pytest.raises(CampaignError) as caught:
        planned(whole)
    assert told(caught.value).splitlines()[0] == (
        "c.wcl:39:1: error: quantum reduce visit=9 (and 1 more like it): 'ccd' has no single value; the quantum has:"
        " visit, band, wrapnum"
    )


WRAPPER = """
    <wrapper>
        {}
    </wrapper>
    <list>"""


def stacked(wrapper: str, columns: str = "img.fullname, img.ccd, img.band", column: str = "band") -> list[str]:
    module = STACK.replace("\n    <list>", WRAPPER.format(wrapper), 1).replace("img.fullname, img.ccd", columns)
    module = module.replace("l = ${list.imgs.fullname}", "l = x=")
    module = module.replace("            o = ${file.coadd.fullname}\n", "")
    rows = [raw(9, 1, band="r,1"), raw(9, 10, band="g"), raw(9, 2, band="r,1")]
    whole = text(REDUCE, module).replace("band = text", f"{column} = text")
    return list(planned(whole, rows).quanta[-1].execs[0].argv)


def test_add_cmdline_glues_distinct_values_in_list_order() -> None:
    assert stacked("add_cmdline = '^'.join(list.imgs.img.band)") == ["stack", "-l", "x=r,1^g"]


def test_add_cmdline_comes_before_what_is_added_per_file() -> None:
    both = "add_cmdline = '^'.join(list.imgs.img.band)\nper_file_cmdline = list.imgs.img:-c $(ccd)"
    assert stacked(both) == ["stack", "-l", "x=r,1^g", "-c", "1", "-c", "2", "-c", "10"]


def test_add_cmdline_without_nickname() -> None:
    assert stacked("add_cmdline = ' '.join(list.imgs.ccd)") == ["stack", "-l", "x=1 2 10"]


def test_add_cmdline_of_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(CampaignError, match="add_cmdline: a line of list 'imgs' has no column 'wave'"):
        stacked("add_cmdline = '^'.join(list.imgs.img.wave)", "img.fullname", "wave")


def test_per_file_cmdline_repeats_its_words_for_each_line() -> None:
    assert stacked("per_file_cmdline = list.imgs.img:--id visit=${visit} ccd=$(ccd) $(fullname)") == [
        "stack", "-l", "x=",
        "--id", "visit=9", "ccd=1", "d/img-9-001-r7p${attnum:2}.fits",
        "--id", "visit=9", "ccd=2", "d/img-9-002-r7p${attnum:2}.fits",
        "--id", "visit=9", "ccd=10", "d/img-9-010-r7p${attnum:2}.fits",
    ]  # fmt: skip


def test_per_file_cmdline_of_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(CampaignError, match="'wave' has no single value"):
        stacked("per_file_cmdline = list.imgs.img:-w $(wave)", "img.fullname", "wave")


def test_several_files_of_one_section_are_joined_by_commas() -> None:
    whole = text(
        REDUCE.replace("wrapperloop = visit, ccd", "wrapperloop = visit")
        .replace("divide_by = visit, ccd", "divide_by = visit\nignore_multiple_error = True")
        .replace("filepat = out", "filepat = visit"),
        b="reduce",
    )
    found = planned(whole, RAWS)
    assert found.quanta[0].execs[0].argv[:3] == ("reduce", "-i", "d/raw-9-1.fits,d/raw-9-2.fits")
    assert len(found.quanta[0].inputs) == 2

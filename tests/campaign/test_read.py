"""What a campaign becomes once it is read."""

from __future__ import annotations

from campaigns import REDUCE, STACK, demo, small, text

from facade.campaign import Hyphen, Ref


def test_the_demo_is_read() -> None:
    campaign = demo()
    assert [block.name for block in campaign.blocks] == ["setup", "single", "coadd"]
    assert len(campaign.modules) == 9
    assert campaign.warnings == ()
    assert dict(campaign.identity) == {
        "project": "MMG",
        "campaign": "hsctest",
        "pipeline": "MDEV",
        "reqnum": 11,
        "unitname": "Ht0",
    }


def test_keys_may_be_called_loopkey_match_or_divide_by_in_this_order() -> None:
    whole = text().replace("divide_by = visit, ccd", "divide_by = a\nmatch = visit, ccd")
    assert small(whole).modules[0].files["raw"].keys == ("visit", "ccd")
    assert small(whole.replace("match =", "loopkey = b, c\nmatch =")).modules[0].files["raw"].keys == ("b", "c")


def test_programs_are_ordered_by_number() -> None:
    second = "<exec_10>\nexecname = last\n</exec_10>\n<exec_2>\nexecname = second\n</exec_2>\n    <file>"
    module = small(text(REDUCE.replace("    <file>", second, 1), b="reduce")).modules[0]
    assert [(one.num, one.execname.text) for one in module.execs] == [(1, "reduce"), (2, "second"), (10, "last")]


def test_identity_may_hold_variables() -> None:
    whole = (
        text().replace("unitname = u", "unitname = u${tract:4}\ntract = 7").replace("reqnum = 7", "reqnum = ${tract}1")
    )
    assert small(whole).identity["unitname"] == "u0007"
    assert small(whole).identity["reqnum"] == 71


def test_divide_jobs_by_is_looked_for_in_module_block_and_campaign() -> None:
    whole = text(REDUCE.replace("    loopobj", "    divide_jobs_by = ccd\n    loopobj"), STACK)
    assert [m.jobs_by for m in small(whole).modules] == [("ccd",), ()]
    assert [m.jobs_by for m in small(whole + "divide_jobs_by = reqnum\n").modules] == [("ccd",), ("reqnum",)]
    in_block = whole.replace("<b>", "<b>\ndivide_jobs_by = visit")
    assert [m.jobs_by for m in small(in_block + "divide_jobs_by = reqnum\n").modules] == [("ccd",), ("visit",)]


def test_a_reference_may_point_into_a_file() -> None:
    whole = text(REDUCE.replace("used = file.raw", "used = file.raw[0], file.raw[12]"), b="reduce")
    assert small(whole).modules[0].execs[0].used == (Ref("file", "raw"), Ref("file", "raw"))


def test_columns_that_a_query_code_supplies_can_be_declared() -> None:
    whole = (
        text()
        .replace("exec = find\n", "exec = find\noutput_fields = airmass\n")
        .replace("i = ${file.raw.fullname}", "i = ${airmass}")
    )
    spec = small(whole).modules[0].files["raw"]
    assert spec.query is not None
    assert spec.query.output == ("airmass",)


def test_hyphens() -> None:
    assert [style.option("x") + style.option("long") for style in Hyphen] == ["-x-long", "--x--long", "-x--long"]

"""Division of inputs among quanta: what holds for any rows and keys, and what lists can do (desdm.md §2.3)."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from campaigns import lines, raw, small, text
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.errors import CampaignError
from facade.plan import Inputs, MissingFiles, Plan, plan
from facade.plan.datasets import Row

KEYS = ("visit", "ccd", "band", "patch")
EXPOSURES = st.lists(
    st.tuples(st.integers(8, 11), st.integers(0, 2), st.sampled_from("ri"), st.sampled_from(["8,6", "8", "a b", "ü"])),
    min_size=1, max_size=20, unique_by=lambda one: one[:2],
)  # fmt: skip

DIVIDED = """
<module one>
    wrappername = generic
    wrapperloop = {loop}
    loopobj = {loopobj}
    <exec_1>
        execname = one
        used = file.raw, list.raws.member
        was_generated_by = file.img
        ancestry = list.raws.member:file.img
        <cmdline>
            _01 = ${{file.raw.fullname}}
            l = ${{list.raws.fullname}}
        </cmdline>
    </exec_1>
    <list>
        <raws>
            exec = find
            match = {lists}
            sortkey = visit, ccd
            columns = member.fullname, member.filename
            filepat = list
            dirpat = d
        </raws>
    </list>
    <file>
        <raw>
            exec = find
            divide_by = {loop}
            ignore_multiple_error = True
            dirpat = d
        </raw>
        <member>
            listonly = True
            dirpat = d
        </member>
        <img>
            filetype = img
            filename = img-${{modulename}}-w${{wrapnum}}-p${{attnum}}.fits
            dirpat = d
        </img>
    </file>
</module>
<module two>
    wrappername = generic
    wrapperloop = {first}
    loopobj = list.imgs
    <exec_1>
        execname = two
        used = list.imgs.img
        was_generated_by = file.sum
        ancestry = list.imgs.img:file.sum
        <cmdline>
            l = ${{list.imgs.fullname}}
        </cmdline>
    </exec_1>
    <list>
        <imgs>
            depends = one.file.img
            divide_by = {first}
            sortkey = {loop}
            columns = img.fullname
            filepat = list
            dirpat = d
        </imgs>
    </list>
    <file>
        <img>
            listonly = True
            dirpat = d
        </img>
        <sum>
            filetype = img
            filename = sum-w${{wrapnum}}-p${{attnum}}.fits
            dirpat = d
        </sum>
    </file>
</module>
"""


def rows_of(exposures: Sequence[tuple[int, int, str, str]]) -> list[Mapping[str, Any]]:
    return [raw(visit, ccd, band=band, patch=patch) for visit, ccd, band, patch in exposures]


def divided(loop: Sequence[str], wanted: Sequence[str], rows: Sequence[Row], loopobj: str = "file.raw") -> Plan:
    """Return the plan of a campaign whose first module loops over *loop* and matches its list by *wanted*."""
    modules = DIVIDED.format(loop=", ".join(loop), lists=", ".join(wanted), first=loop[0], loopobj=loopobj)
    given = {"one.file.raw": lines("raw", rows), "one.list.raws": lines("member", rows)}
    return plan(small(text(modules, b="one, two")), Inputs(given))


@settings(deadline=None, max_examples=80)
@given(EXPOSURES, st.permutations(KEYS), st.integers(1, 4), st.data())
def test_keys_partition_rows_exactly(
    exposures: list[tuple[int, int, str, str]], order: list[str], count: int, data: st.DataObject
) -> None:
    rows, loop = rows_of(exposures), order[:count]
    wanted = data.draw(st.permutations(loop))[: data.draw(st.integers(1, count))]
    found = divided(
        loop, wanted, rows, data.draw(st.sampled_from(["file.raw", "list.raws"])) if wanted == loop else "file.raw"
    )
    first = [q for q in found.quanta if q.module == "one"]
    # one quantum for each distinct tuple, and each row in exactly one of them
    assert Counter(tuple(q.keys.values()) for q in first) == dict.fromkeys({tuple(r[k] for k in loop) for r in rows}, 1)
    assert all(list(q.keys) == list(loop) for q in first)
    taken = Counter(found.files[use.file].filename for q in first for use in q.inputs if use.section == "file.raw")
    assert taken == {row["filename"]: 1 for row in rows}
    by_name = {row["filename"]: row for row in rows}
    for quantum in first:
        mine = {found.files[use.file].filename for use in quantum.inputs if use.section == "file.raw"}
        assert mine == {name for name, row in by_name.items() if all(row[k] == quantum.keys[k] for k in loop)}
        listed = [line.split()[1] for line in quantum.lists[0].content.splitlines()]
        members = [row for row in rows if all(row[k] == quantum.keys[k] for k in wanted)]
        assert listed == [row["filename"] for row in sorted(members, key=lambda row: (row["visit"], row["ccd"]))]
    second = [q for q in found.quanta if q.module == "two"]
    assert Counter(use.file for q in second for use in q.inputs) == dict.fromkeys(
        [use.file for q in first for use in q.outputs], 1
    )
    for quantum in found.quanta:
        for use in quantum.inputs:
            file = found.files[use.file]
            makers = [q for q in found.quanta for made in q.outputs if made.file == use.file]
            assert (file.producer == 0 and not makers and file.filename in by_name) or (
                [q.wrapnum for q in makers] == [file.producer] and file.producer < quantum.wrapnum
            )


@settings(deadline=None, max_examples=60)
@given(EXPOSURES, st.permutations(KEYS), st.integers(1, 4), st.randoms(use_true_random=False))
def test_rows_that_have_a_sort_key_may_come_in_any_order(
    exposures: list[tuple[int, int, str, str]], order: list[str], count: int, shuffled: random.Random
) -> None:
    # visit and ccd are the sort key of the lists, and tell the files of a section apart
    rows, loop = rows_of(exposures), [*order[:count], *(key for key in ("visit", "ccd") if key not in order[:count])]
    found = divided(loop, loop[:1], rows)
    shuffled.shuffle(rows)
    assert divided(loop, loop[:1], rows).text == found.text


SCRIPT = """
import json, sys
sys.path.insert(0, "tests")
sys.path.insert(0, "tests/plan")
from test_division import divided, rows_of
rows = rows_of([tuple(one) for one in json.loads(sys.argv[1])])
print(divided(["band", "patch"], ["band"], rows).plan_id)
"""


def test_planning_again_in_another_process_gives_the_same_bytes() -> None:
    exposures = [(v, c, "ri"[v % 2], p) for v in (8, 9, 10) for c, p in enumerate(("8,6", "8", "ü"))]
    here = divided(["band", "patch"], ["band"], rows_of(exposures))
    assert here.text == divided(["band", "patch"], ["band"], rows_of(exposures)).text
    for seed in ("0", "1", "4711"):
        there = subprocess.run(
            [sys.executable, "-c", SCRIPT, json.dumps(exposures)], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert there.stdout.strip() == here.plan_id


# -- what lists can do -------------------------------------------------------------------------------------------------

LISTS = """
<module m>
    wrappername = generic
    wrapperloop = visit
    loopobj = list.cats
    <exec_1>
        execname = prog
        used = {used}
        was_generated_by = file.out
        ancestry = list.cats.img:file.out
        <cmdline>
            {cmdline}
        </cmdline>
    </exec_1>
    <list>
        <cats>
            exec = find
            divide_by = visit
            sortkey = ccd
            {cats}
        </cats>
        {lists}
    </list>
    <file>
        <img>
            listonly = True
            filepat = out
            flabel = img
            dirpat = d
        </img>
        <wgt>
            listonly = True
            dirpat = d
        </wgt>
        <out>
            filetype = img
            filepat = visit
            flabel = out
            dirpat = d
        </out>
    </file>
</module>
"""
COLUMNS = "columns = img.fullname, ccd\nfilepat = list\ndirpat = d"


def listed(
    body: str = COLUMNS,
    lists: str = "",
    used: str = "list.cats.img",
    cmdline: str = "l = ${list.cats.fullname}",
    names: Mapping[str, Row] | None = None,
    **rows: Sequence[Mapping[str, Row]],
) -> Plan:
    """Return the plan of a module with lists; *rows* are the lines of each."""
    module = LISTS.format(used=used, cmdline=cmdline, cats=body, lists=lists)
    given = {f"m.list.{name}": found for name, found in rows.items()}
    return plan(small(text(module, b="m")), Inputs(given, names or {}))


def both(visit: int, ccd: int) -> Mapping[str, Row]:
    """Return a line with two files."""
    weight = {**raw(visit, ccd), "filename": f"wgt-{visit}-{ccd}.fits", "gain": ccd / 2}
    return {"img": raw(visit, ccd, band="r"), "wgt": weight}


PAIRS = [both(visit, ccd) for visit in (9, 10) for ccd in (2, 1)]
DIVIDED_LIST = """
    filepat = list
    dirpat = d
    <div_list_by_col>
        <imgs>
            columns = img.fullname, img.ccd
            filename = imgs-${wrapnum}-p${attnum}.list
        </imgs>
        <wgts>
            columns = wgt.fullname, wgt.gain, ccd
            format = textcsv
            filename = wgts-${wrapnum}-p${attnum}.list
        </wgts>
    </div_list_by_col>
"""


def test_a_list_divided_by_column_is_several_lists_of_the_same_lines() -> None:
    found = listed(
        DIVIDED_LIST,
        used="list.cats.img, list.wgts.wgt",
        cmdline="i = ${list.imgs.fullname}\nw = ${list.wgts.fullname}",
        cats=PAIRS, imgs=PAIRS, wgts=PAIRS,
    )  # fmt: skip
    assert [q.keys for q in found.quanta] == [{"visit": 9}, {"visit": 10}]
    quantum = found.quantum(1)
    contents = {one.section: one.content for one in quantum.lists}
    assert contents == {
        "list.imgs": "d/raw-9-1.fits 1\nd/raw-9-2.fits 2\n",
        "list.wgts": "d/wgt-9-1.fits, 0.5, 1\nd/wgt-9-2.fits, 1.0, 2\n",
    }
    program = quantum.execs[0]
    assert program.argv == ("prog", "-i", "d/imgs-1-p${attnum}.list", "-w", "d/wgts-1-p${attnum}.list")
    # whoever uses the members of the whole used the lists that it was divided into
    used = {found.files[index].filename for index in program.used}
    members = {f"{kind}-9-{ccd}.fits" for kind in ("raw", "wgt") for ccd in (1, 2)}
    assert used == {"imgs-1-p${attnum}.list", "wgts-1-p${attnum}.list"} | members


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("filename = wgts", "filename = imgs", "list 'wgts' of module 'm' has the same name as list 'imgs'"),
        ("<div_list_by_col>", "<div_list_by_col>\ncolumns = ccd", "'columns' stands in <div_list_by_col> itself"),
        ("columns = img.fullname, img.ccd", "", "list 'imgs' of module 'm' has no 'columns'"),
        ("<wgts>", "<other>", "list 'other' of module 'm' is there twice"),
    ],
)
def test_a_divided_list_that_is_wrong(old: str, new: str, message: str) -> None:
    cats = DIVIDED_LIST.replace(old, new)
    cats = cats.replace("</wgts>", "</other>") if new == "<other>" else cats
    other = "<other>\nexec = find\nmatch = visit\ncolumns = ccd\n</other>" if new == "<other>" else ""
    command = "i = ${list.imgs.fullname}\nw = ${list.cats.fullname}"
    every = dict.fromkeys(("cats", "imgs", "wgts", "other"), PAIRS)
    try:
        found = listed(cats, other, "list.cats.img", command, **every)
    except CampaignError as error:
        assert message in str(error) or any(message in str(one) for one in error.warnings)
    else:
        raise AssertionError(found)


def test_lists_match_quanta_each_by_keys_of_its_own() -> None:
    deep = {"filename": "deep.fits", "compression": "", "filetype": "img", "path": "p", "band": "r"}
    others = """
        <flats>
            exec = find
            match = ccd, visit
            columns = flat.fullname
        </flats>"""
    with pytest.raises(
        CampaignError, match="list 'flats' of module 'm' is divided by 'ccd', of which the quantum has no single value"
    ):
        listed(lists=others.replace("flat.", "wgt."), cats=PAIRS, flats=PAIRS)
    others = """
        <weights>
            exec = find
            match = visit
            sortkey = ccd
            columns = wgt.fullname, ccd
            filename = w-${wrapnum}-p${attnum}.list
            dirpat = d
        </weights>
        <deep>
            exec = find
            columns = wgt.fullname, band
            filename = deep-${wrapnum}-p${attnum}.list
            dirpat = d
        </deep>"""
    weights = [{"wgt": line["wgt"]} for line in reversed(PAIRS)]
    images = [{"img": line["img"]} for line in PAIRS]
    found = listed(
        lists=others, used="list.cats.img, list.weights.wgt, list.deep.wgt", cats=images,
        cmdline="a = ${list.cats.fullname}\nb = ${list.weights.fullname}\nc = ${list.deep.fullname}",
        weights=weights, deep=lines("wgt", [deep]),
    )  # fmt: skip
    for quantum in found.quanta:
        visit = quantum.keys["visit"]
        contents = [one.content for one in quantum.lists]
        assert contents == [
            "".join(f"d/raw-{visit}-{ccd}.fits {ccd}\n" for ccd in (1, 2)),
            "".join(f"d/wgt-{visit}-{ccd}.fits {ccd}\n" for ccd in (1, 2)),
            "d/deep.fits r\n",
        ]


ALLOWED = COLUMNS + "\nallow_missing = True"
EXTRA = """
<extra>
    exec = find
    match = visit
    columns = wgt.fullname
    filename = e-${wrapnum}-p${attnum}.list
    dirpat = d
    allow_missing = True
</extra>"""


def test_a_list_may_lack_lines_if_the_campaign_says_so() -> None:
    images = [{"img": line["img"]} for line in PAIRS]
    for extra, contents in ((PAIRS[:2], ["d/wgt-9-2.fits\nd/wgt-9-1.fits\n", ""]), ([], ["", ""])):
        weights = [{"wgt": line["wgt"]} for line in extra]
        found = listed(
            lists=EXTRA, used="list.cats.img, list.extra.wgt", cats=images, extra=weights,
            cmdline="l = ${list.cats.fullname}\ne = ${list.extra.fullname}",
        )  # fmt: skip
        assert [q.lists[1].content for q in found.quanta] == contents
        assert found.quantum(2).execs[0].argv[-1] == "d/e-2-p${attnum}.list"
    with pytest.raises(MissingFiles, match="no line of list 'extra' of module 'm' has visit=10"):
        listed(lists=EXTRA.replace("allow_missing = True", ""), cats=images, extra=[{"wgt": PAIRS[0]["wgt"]}])


def test_a_line_whose_file_is_not_there_is_left_out_if_the_campaign_says_so() -> None:
    rows = [{"cats": {"visit": 9, "ccd": ccd}} for ccd in (1, 2, 3)]
    known = {f"img-9-00{ccd}-r7p${{attnum:2}}.fits": raw(9, ccd) for ccd in (1, 3)}
    names = {name: {**row, "filename": name} for name, row in known.items()}
    sought: dict[str, None] = {}
    module = LISTS.format(used="list.cats.img", cmdline="l = ${list.cats.fullname}", cats=ALLOWED, lists="")
    found = plan(small(text(module, b="m")), Inputs({"m.list.cats": rows}, names), (), sought)
    (quantum,) = found.quanta
    assert [line.split()[1] for line in quantum.lists[0].content.splitlines()] == ["1", "3"]
    assert len(quantum.inputs) == 2 and list(sought) == ["img-9-002-r7p${attnum:2}.fits"]
    with pytest.raises(MissingFiles, match=r"'img-9-002-.*' is neither made earlier nor registered"):
        listed(cats=rows, names=names)


def test_a_file_that_may_be_missing_may_have_a_query_that_finds_nothing() -> None:
    module = """
<module m>
    wrappername = generic
    wrapperloop = visit
    loopobj = file.raw
    <exec_1>
        execname = prog
        used = file.raw, file.dark
        was_generated_by = file.out
        ancestry = file.raw:file.out
        <cmdline>
            r = ${file.raw.fullname}
            d = $opt{file.dark.fullname}
        </cmdline>
    </exec_1>
    <file>
        <raw>
            exec = find
            divide_by = visit
            dirpat = d
        </raw>
        <dark>
            exec = dark
            match = visit
            optional = True
            dirpat = d
        </dark>
        <out>
            filetype = img
            filepat = visit
            flabel = out
            dirpat = d
        </out>
    </file>
</module>
"""
    rows = lines("raw", [raw(9, 1), raw(10, 1)])
    found = plan(small(text(module, b="m")), Inputs({"m.file.raw": rows}))
    assert [q.execs[0].argv for q in found.quanta] == [("prog", "-r", f"d/raw-{v}-1.fits", "-d") for v in (9, 10)]
    dark = [{"dark": {**raw(10, 1), "filename": "dark.fits"}}]
    found = plan(small(text(module, b="m")), Inputs({"m.file.raw": rows, "m.file.dark": dark}))
    assert [q.execs[0].argv[3:] for q in found.quanta] == [("-d",), ("-d", "d/dark.fits")]


def test_loop_values_are_matched_by_name_whatever_the_order_of_keys() -> None:
    module = DIVIDED.format(loop="ccd, visit", lists="visit, ccd", first="visit", loopobj="list.raws")
    # rows name the columns in an order of their own, and values that another position would take as well
    rows = [raw(visit, ccd, band="r") for visit in (1, 2) for ccd in (1, 2)]
    given = {"one.file.raw": lines("raw", rows), "one.list.raws": lines("member", rows)}
    found = plan(
        small(text(module.replace("divide_by = ccd, visit", "match = visit, ccd"), b="one, two")), Inputs(given)
    )
    for quantum in [q for q in found.quanta if q.module == "one"]:
        name = f"raw-{quantum.keys['visit']}-{quantum.keys['ccd']}.fits"
        assert {found.files[use.file].filename for use in quantum.inputs} == {name}
        assert list(quantum.keys) == ["ccd", "visit"]


def test_a_line_of_several_files_serves_each_section_of_their_names() -> None:
    found = listed(
        "columns = img.fullname, wgt.fullname, img.ccd, wgt.gain\nfilepat = list\ndirpat = d",
        used="list.cats.img, list.cats.wgt", cats=PAIRS,
    )  # fmt: skip
    assert found.quantum(1).lists[0].content == (
        "d/raw-9-1.fits d/wgt-9-1.fits 1 0.5\nd/raw-9-2.fits d/wgt-9-2.fits 2 1.0\n"
    )
    assert len(found.quantum(1).inputs) == 4

"""Plans that grow, block by block: what was planned before is the beginning of what is planned now."""

from __future__ import annotations

from typing import Any

import pytest
from campaigns import RAWS, REDUCE, STACK, lines, raw, small, text
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.errors import InputError, RefusedError
from facade.plan import Inputs, Plan, from_text, plan
from facade.plan.decide import Made, Selection, Success, wanted
from facade.plan.fingerprint import fingerprints
from facade.plan.growth import awaited, beginning, ensure_grown, late_part, stage, unmade

FOUND = STACK.replace("depends = reduce.file.img", "exec = find")
"""Stacks what a query finds."""
LAST = """
<module last>
    wrappername = generic
    <exec_1>
        execname = last
        was_generated_by = file.one
        <cmdline>
            o = ${file.one.fullname}
        </cmdline>
    </exec_1>
    <file>
        <one>
            filetype = img
            filepat = one
            flabel = last
            dirpat = d
        </one>
    </file>
</module>
"""


def campaign(stack: str = FOUND, late: str = "c") -> str:
    """Return a campaign of three blocks, of which those named in *late* are planned late."""
    whole = text(REDUCE, stack, LAST, b="reduce", c="stack", d="last")
    for name in late:
        whole = whole.replace(f"<{name}>\nmodulelist", f"<{name}>\nplanned = late\nmodulelist")
    return whole


def grown(whole: str, rows: list[Any], blocks: int, stacked: list[Any] | None = None) -> Plan:
    """Return the plan of the first *blocks*; a query finds what reduce made of *rows*, or *stacked*."""
    found = {"reduce.file.raw": lines("raw", rows)}
    names = [f"img-{row['visit']}-{row['ccd']:03d}-r7p${{attnum:2}}.fits" for row in rows]
    if stacked is None:
        stacked = [
            {"filename": n, "compression": "", "filetype": "img", "visit": r["visit"], "ccd": r["ccd"]}
            for n, r in zip(names, rows, strict=True)
        ]
    found["stack.list.imgs"] = lines("img", stacked)
    return plan(small(whole), Inputs(found, made=frozenset(names) if blocks > 1 else ()), blocks=blocks)


PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=20, unique=True)


@settings(deadline=None, max_examples=30)
@given(PAIRS, st.sampled_from(["", "divide_jobs_by = visit"]), st.booleans())
def test_what_was_planned_before_is_the_beginning(pairs: list[tuple[int, int]], division: str, queried: bool) -> None:
    whole = campaign(FOUND if queried else STACK).replace("loopobj = file.raw", f"loopobj = file.raw\n{division}")
    rows = [raw(visit, ccd, band="r") for visit, ccd in pairs]
    first, second, third = (grown(whole, rows, blocks) for blocks in (1, 2, 3))
    assert [[block.name for block in one.later] for one in (first, second, third)] == [["c", "d"], ["d"], []]
    assert len(first.quanta) == len(pairs) and {q.module for q in first.quanta} == {"reduce"}
    ensure_grown(first, second)
    ensure_grown(from_text(second.text), third)
    assert beginning(third, first).text == first.text
    assert third.text == plan(small(whole), Inputs({**_found(rows, queried)}, made=_names(rows))).text
    readers = [quantum for quantum in second.quanta if quantum.module == "stack"]
    makers = {second.files[use.file].producer for quantum in readers for use in quantum.inputs}
    assert makers - {-1} == {quantum.wrapnum for quantum in first.quanta}


def _names(rows: list[Any]) -> frozenset[str]:
    return frozenset(f"img-{row['visit']}-{row['ccd']:03d}-r7p${{attnum:2}}.fits" for row in rows)


def _found(rows: list[Any], queried: bool) -> dict[str, Any]:
    stacked = [
        {"filename": f"img-{r['visit']}-{r['ccd']:03d}-r7p${{attnum:2}}.fits", "compression": "", "filetype": "img",
         "visit": r["visit"], "ccd": r["ccd"]} for r in rows
    ]  # fmt: skip
    more = {"stack.list.imgs": lines("img", stacked)} if queried else {}
    return {"reduce.file.raw": lines("raw", rows), **more}


def test_a_plan_that_would_not_begin_as_before_is_refused() -> None:
    first = grown(campaign(), list(RAWS), 1)
    other = grown(campaign(), [*RAWS[:-1], raw(10, 3, band="r")], 2)
    with pytest.raises(RefusedError, match=r"not the beginning of the new plan: reduce visit=10 ccd=[23]"):
        ensure_grown(first, other)
    with pytest.raises(RefusedError, match="new plan: environment"):
        ensure_grown(first, grown(campaign() + "<job_environment>\na = b\n</job_environment>\n", list(RAWS), 2))
    with pytest.raises(RefusedError, match="new plan: reduce visit=10 ccd=2"):
        ensure_grown(first, grown(campaign(), list(RAWS[:-1]), 2))


def test_stages_end_before_late_blocks() -> None:
    assert [stage(small(campaign(late="cd")), planned) for planned in (0, 1, 2)] == [1, 2, 3]
    assert [stage(small(campaign(late="c")), planned) for planned in (0, 1)] == [1, 3]
    assert [stage(small(campaign(late="d")), planned) for planned in (0, 2)] == [2, 3]
    assert stage(small(campaign(late=""))) == 3
    assert awaited(small(campaign(late="c"))) == {"c": "b", "d": "b"}
    assert awaited(small(campaign(late="cd"))) == {"c": "b", "d": "c"}


def test_a_first_block_cannot_be_late() -> None:
    first = small(campaign(late="b"))
    assert stage(first) == 3
    assert [fault.code for fault in first.warnings] == ["F233"]


def test_a_late_part_reads_what_was_made_by_its_content() -> None:
    before, after = (grown(campaign(), list(RAWS), blocks) for blocks in (1, 3))

    def made(content: str) -> dict[int, Success]:
        files = [Made(f"f{n}.fits", "", n, content * 64, "a") for n in range(5)]
        return {n: Success(n, "p01", (files[n],)) for n in range(1, 5)}

    part = late_part(after, before, made("c"))
    assert [quantum.wrapnum for quantum in part.quanta] == [5, 6, 7]
    assert part.job_of == {5: 2, 6: 2, 7: 3} and part.quantum(6).module == "stack"
    inputs = [part.files[use.file] for use in part.quanta[0].inputs]
    assert {file.checksum for file in inputs if file.producer == 0} == {"c" * 64}
    assert {file.name for file in inputs} <= {file.name for file in after.files}
    same, other = (
        fingerprints(late_part(after, before, made("c")), {}),
        fingerprints(late_part(after, before, made("d")), {}),
    )
    prints = fingerprints(part, {})
    assert same == prints
    assert [a == b for a, b in zip(prints.plan, other.plan, strict=True)] == [False, False, True]
    assert unmade(after, before, made("c")) == []
    absent = made("c") | {1: Success(1, "p01", (None,))}
    assert [one.split(" for ")[1] for one in unmade(after, before, absent)] == [after.quanta[4].label]


def test_nothing_is_selected_of_a_plan_that_will_grow_and_all_its_outputs_are_wanted() -> None:
    before, after = (grown(campaign(STACK), list(RAWS), blocks) for blocks in (1, 3))
    for selection in (Selection(select="reduce"), Selection(end="reduce"), Selection(where=("visit=9",))):
        with pytest.raises(InputError, match="block 'c' is not planned"):
            wanted(before, selection)
    assert wanted(before, Selection()).named == {1, 2, 3, 4}
    assert wanted(before, Selection(rerun="reduce")).forced == {1, 2, 3, 4}
    assert wanted(after, Selection(select="stack")).named == {5, 6}

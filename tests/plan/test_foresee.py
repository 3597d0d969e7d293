"""What planning refuses whatever rows there are is told before a query runs."""

from __future__ import annotations

import pytest
from campaigns import WCL, text

from facade.campaign import examine
from facade.plan.foresee import foreseen
from facade.wcl import load, loads

ONCE = """
<module once>
    wrappername = generic
    wrapperloop = visit, ccd
    <exec_1>
        execname = once
        was_generated_by = file.img
        <cmdline>
            _1 = ${file.img.fullname}
        </cmdline>
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
LOOP = "visit = 1, 2\nccd = 3\nways = a, b\n"


def found(whole: str) -> list[tuple[str, str]]:
    return [(fault.code, fault.message) for fault in foreseen(examine(loads(whole, "c.wcl")))]


def test_a_sound_campaign_is_planned_as_far_as_it_can_be() -> None:
    assert found(text()) == []
    assert found(text(ONCE, b="once") + LOOP) == []
    demo = examine(load(WCL / "demo/campaign.wcl"))
    assert len(demo.sound) == 9 and foreseen(demo) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("ccd = 3\n", "", ("F514", "loop key 'ccd' of module 'once' has no values")),
        ("ccd = 3", "ccd = 3,,4", ("F114", "loop key 'ccd' of module 'once': the list has an empty item")),
        ("_1 = ", "_01_x = a\n_1 = ", ("F520", "'_1' has the same position as '_01_x'")),
        ("_1 = ", "_1 = 'a ", ("F117", "no closing quotation in: 'a ${file.img.fullname}")),
        ("runtime = d", "", ("F521", "directory pattern 'd' has no 'runtime'")),
        ("runtime = d", "runtime = d/${ways}",
         ("F116", "'ways' is a list of 2 values, but one is needed here")),
    ],
)  # fmt: skip
def test_what_no_row_could_mend(old: str, new: str, expected: tuple[str, str]) -> None:
    whole = text(ONCE, b="once") + LOOP
    assert old in whole
    ((code, message),) = found(whole.replace(old, new))
    assert code == expected[0] and message.startswith(expected[1])


def test_a_module_with_other_faults_is_left_out() -> None:
    broken = ONCE.replace("once", "broken").replace("filetype = img", "filetype = imgg")
    whole = text(ONCE, broken, b="once, broken") + "visit = 1, 2\n"
    assert found(whole) == [("F514", "loop key 'ccd' of module 'once' has no values")]


def test_what_a_column_may_supply_is_left_to_planning() -> None:
    assert found(text().replace("runtime = d", "runtime = d/${band}\nband = g, r")) == []

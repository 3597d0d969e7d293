"""Which archive keeps what: what the campaign says, what follows, and how plans and capsules carry it."""

from __future__ import annotations

import pytest
from campaigns import planned, text

from facade.campaign import read
from facade.errors import CampaignError
from facade.keeping import AT_HOME, Keeping, keeping_of
from facade.plan import from_text
from facade.wcl import loads


def said(*lines: str) -> Keeping:
    return read(loads(text() + "".join(f"{line}\n" for line in lines), "c.wcl")).keeping


NEAR = "target_archive = near"
STORES, READS = "use_target_archive_output = job", "use_target_archive_input = job"


@pytest.mark.parametrize(
    ("lines", "reads", "stores", "homing"),
    [
        ((), "home", "home", ""),
        ((NEAR,), "home", "home", ""),
        (("use_home_archive_input = all",), "home", "home", ""),
        ((NEAR, READS), "near home", "home", ""),
        ((NEAR, STORES), "near home", "near home", ""),
        (
            (NEAR, "use_target_archive_output = wrapper", "use_home_archive_output = wrapper"),
            "near home",
            "near home",
            "",
        ),
        ((NEAR, STORES, "use_home_archive_output = block"), "near home", "near", "block"),
        ((NEAR, STORES, "use_home_archive_output = run"), "near home", "near", "run"),
        ((NEAR, STORES, "use_home_archive_output = never"), "near home", "near", ""),
        ((NEAR, STORES, READS, "use_home_archive_input = never"), "near", "near home", ""),
        ((NEAR, READS, "use_home_archive_input = never"), "near home", "home", ""),
        ((NEAR, STORES, READS, "use_home_archive_input = target_archive"), "near home", "near home", ""),
    ],
)
def test_what_is_said_and_what_follows(lines: tuple[str, ...], reads: str, stores: str, homing: str) -> None:
    found = said(*lines)
    assert (" ".join(found.read("home")), " ".join(found.store("home")), found.homing) == (reads, stores, homing)
    assert keeping_of(list(found)) == found


def test_a_plan_carries_it_where_there_is_something_to_say() -> None:
    assert said() == said(NEAR) == AT_HOME and "keeping" not in planned(text() + NEAR + "\n").text
    whole = text() + "\n".join([NEAR, STORES, "use_home_archive_output = run", ""])
    plan = planned(whole)
    assert plan.keeping == Keeping("near", "wrapper", "run", False, True)
    assert from_text(plan.text).keeping == plan.keeping and from_text(plan.text).plan_id == plan.plan_id
    assert (
        said("use_home_archive_input = all").ahead
        and said(NEAR, READS, "use_home_archive_input = target_archive").takes
    )


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ((READS,), ["F236"]),
        (("use_home_archive_output = run",), ["F237"]),
        ((NEAR, READS, "use_home_archive_output = block"), ["F237"]),
        (("use_home_archive_input = never",), ["F238"]),
        ((NEAR, STORES, "use_home_archive_input = target_archive"), ["F238"]),
    ],
)
def test_what_would_leave_files_nowhere_or_unread_is_a_fault(lines: tuple[str, ...], codes: list[str]) -> None:
    with pytest.raises(CampaignError) as caught:
        said(*lines)
    assert [fault.code for fault in caught.value.faults] == codes


@pytest.mark.parametrize("plain", [["near", "sometimes", "run", True, True], ["near", "wrapper"], "near"])
def test_what_says_nothing_is_refused(plain: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        keeping_of(plain)  # type: ignore[arg-type]  # that is the point

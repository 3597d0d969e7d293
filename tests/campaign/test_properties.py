"""Whatever stands in a campaign, it is read or refused with faults that point somewhere; never anything else."""

from __future__ import annotations

from campaigns import RAWS, lines, text
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.campaign.keywords import KEYWORDS
from facade.campaign.read import examine
from facade.codes import CODES
from facade.errors import CampaignError, MissingInputError
from facade.plan import Inputs, plan
from facade.plan.foresee import foreseen
from facade.wcl import Document, loads

FORESEEN = {"F401", "F402", "F403", "F404", "F406", "F410", "F411", "F413", "F414", "F514", "F520", "F521"}
"""Faults of planning that are told before there are rows."""
LINES = text().splitlines()
NAMES = sorted(
    {one.name.replace("<N>", "1").strip("<>") for one in KEYWORDS} | {"b", "reduce", "stack", "raw", "img", "imgs"}
)
VALUES = st.sampled_from(
    ["", ",", "a, b", '"a, b"', '""', "${visit}", "${nope}", "${loop}", "${file.raw.fullname}", "file.raw",
     "list.imgs.img", "file.raw:file.img", "list.imgs.img:--x $(ccd)", "'^'.join(list.imgs.img.ccd)", "(1:3)", "true",
     "8GB", "reduce.file.img", "/", "../..", "${", "$FUNC{a.b,c}", "(", "[0]", "raw.", ".", "-", "img", "d", "é",
     "visit", "ccd", "visit, ccd", "band, visit", "out", "one", "stack.file.coadd", "stack, reduce", "x-${visit}.fits",
     "coadd"]
)  # fmt: skip


@st.composite
def edits(draw: st.DrawFn) -> str:
    """Return the small campaign with a few lines replaced, removed, doubled or put in."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["value", "line", "section", "drop", "double", "slash"]))
        key = draw(st.sampled_from(NAMES))
        if kind == "value" and "=" in lines[at]:
            lines[at] = f"{lines[at].partition('=')[0]}= {draw(VALUES)}"
        elif kind == "line":
            lines.insert(at, f"{key} = {draw(VALUES)}")
        elif kind == "section":
            lines[at:at] = [f"<{key}>", f"{draw(st.sampled_from(NAMES))} = {draw(VALUES)}", f"</{key}>"]
        elif kind == "slash":
            lines[at] = lines[at].replace("</", "<")
        elif kind == "drop":
            del lines[at]
        else:
            lines.insert(at, lines[at])
    return "\n".join([*lines, "loop = ${loop}"])


@given(edits())
@settings(max_examples=300, deadline=None)
def test_any_campaign_is_read_or_refused(whole: str) -> None:
    """All that is said has a code and a place, and is said once; what needs no rows to be seen is looked for too."""
    try:
        examined = examine(loads(whole, "c.wcl"))
    except CampaignError as error:  # no WCL at all
        assert error.faults
        if not isinstance(error.mended, Document):
            return
        examined = examine(error.mended)
    faults = [*examined.faults, *foreseen(examined)]
    assert all(fault.location is not None and fault.code in CODES for fault in faults)
    assert len(set(faults)) == len(faults)
    wrong = any(fault.severity == "error" for fault in examined.faults)
    assert wrong or (examined.campaign.blocks and len(examined.sound) == len(examined.campaign.modules))


@given(edits())
@settings(max_examples=200, deadline=None)
def test_what_is_told_before_rows_are_known_is_true_once_they_are(whole: str) -> None:
    """A campaign whose only errors were foreseen cannot be planned; without errors it is planned, or refused."""
    try:
        examined = examine(loads(whole, "c.wcl"))
    except CampaignError:
        return
    errors = {fault.code for fault in [*examined.faults, *foreseen(examined)] if fault.severity == "error"}
    if errors <= FORESEEN:
        try:
            plan(examined.campaign, Inputs({"reduce.file.raw": lines("raw", RAWS)}))
        except (CampaignError, MissingInputError):
            return
        assert not errors

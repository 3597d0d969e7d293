"""Whatever stands in a campaign, it is read or refused with faults that point somewhere; never anything else."""

from __future__ import annotations

from campaigns import small, text
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.campaign.keywords import KEYWORDS
from facade.errors import CampaignError

LINES = text().splitlines()
NAMES = sorted(
    {one.name.replace("<N>", "1").strip("<>") for one in KEYWORDS} | {"b", "reduce", "stack", "raw", "img", "imgs"}
)
VALUES = st.sampled_from(
    ["", ",", "a, b", '"a, b"', '""', "${visit}", "${nope}", "${loop}", "${file.raw.fullname}", "file.raw",
     "list.imgs.img", "file.raw:file.img", "list.imgs.img:--x $(ccd)", "'^'.join(list.imgs.img.ccd)", "(1:3)", "true",
     "8GB", "reduce.file.img", "/", "../..", "${", "$FUNC{a.b,c}", "(", "[0]", "raw.", ".", "-", "img", "d", "é"]
)  # fmt: skip


@st.composite
def edits(draw: st.DrawFn) -> str:
    """Return the small campaign with a few lines replaced, removed, doubled or put in."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["value", "line", "section", "drop", "double"]))
        key = draw(st.sampled_from(NAMES))
        if kind == "value" and "=" in lines[at]:
            lines[at] = f"{lines[at].partition('=')[0]}= {draw(VALUES)}"
        elif kind == "line":
            lines.insert(at, f"{key} = {draw(VALUES)}")
        elif kind == "section":
            lines[at:at] = [f"<{key}>", f"{draw(st.sampled_from(NAMES))} = {draw(VALUES)}", f"</{key}>"]
        elif kind == "drop":
            del lines[at]
        else:
            lines.insert(at, lines[at])
    return "\n".join([*lines, "loop = ${loop}"])


@given(edits())
@settings(max_examples=300, deadline=None)
def test_any_campaign_is_read_or_refused(whole: str) -> None:
    try:
        campaign = small(whole)
    except CampaignError as error:
        assert error.faults
        assert all(fault.location is not None and fault.severity == "error" for fault in error.faults)
        assert len(set(error.faults)) == len(error.faults)
    else:
        assert all(warning.location is not None and warning.severity == "warning" for warning in campaign.warnings)
        assert campaign.blocks

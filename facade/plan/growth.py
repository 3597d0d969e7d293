"""Plans that grow: blocks marked ``planned = late`` are planned once those before them are done.

Each time the whole campaign is planned by the same call, with the rows that were found before and those of the new
blocks' queries. Quanta, files and jobs are numbered in the order of the blocks, so what was planned before is the
beginning of what is planned now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from facade.campaign import Campaign
from facade.errors import RefusedError
from facade.plan.decide import Success
from facade.plan.model import Plan, encoded


def stage(campaign: Campaign, planned: int = 0) -> int:
    """Return how many blocks there are in the plan once those that come after *planned* ones are planned."""
    late = [index for index, block in enumerate(campaign.blocks) if block.late and index > planned]
    return late[0] if late else len(campaign.blocks)


def awaited(campaign: Campaign) -> dict[str, str]:
    """Return block -> the block after which it is planned, for those that are not planned at submission."""
    found, last = dict[str, str](), ""
    for index, block in enumerate(campaign.blocks):
        if block.late and index:
            last = campaign.blocks[index - 1].name
        if last:
            found[block.name] = last
    return found


def beginning(plan: Plan, before: Plan) -> Plan:
    """Return as much of *plan* as there is in *before*."""
    blocks = len(before.blocks)
    modules = frozenset([name for block in plan.blocks[:blocks] for name in block.modules])
    handled = {name: one for name, one in plan.outputs.modules.items() if name in modules}
    return replace(
        plan,
        outputs=plan.outputs._replace(modules=handled),
        blocks=plan.blocks[:blocks],
        later=(*plan.blocks[blocks:], *plan.later),
        files=plan.files[: len(before.files)],
        quanta=plan.quanta[: len(before.quanta)],
        jobs=plan.jobs[: len(before.jobs)],
        queries=plan.queries[: len(before.queries)],
        needs=plan.needs[: len(before.needs)] if before.jobs else before.needs,
    )


def ensure_grown(before: Plan, after: Plan) -> None:
    """Make sure that *before* is the beginning of *after*.

    Raises:
        RefusedError: it is not; the message names the first thing that differs.
    """
    if (same := beginning(after, before)).plan_id == before.plan_id:
        return
    raise RefusedError(
        f"what was planned before is not the beginning of the new plan: {_difference(before, same)}",
        remedy="nothing was changed; facade itself, or a function that the campaign calls, is not what it was at"
        " submission: submit the campaign anew",
    )


def _difference(before: Plan, after: Plan) -> str:
    """Return in words the first thing in which two plans differ."""
    for one, other in zip_longest(before.quanta, after.quanta):
        if encoded(one) != encoded(other):
            return (one or other or after.quanta[0]).label
    for name in ("files", "jobs", "queries", "blocks", "later", "identity", "archive_path", "environment", "filetypes"):
        if encoded(getattr(before, name)) != encoded(getattr(after, name)):
            return name.replace("_", " ")
    return "wrappers"


def late_part(plan: Plan, before: Plan, made: Mapping[int, Success]) -> Plan:
    """Return what *plan* adds to *before*, of which *made* says what each quantum has made: registered files, by now.

    They keep the names that the plan gives them; content and size are what they are.
    """
    files = list(plan.files)
    for quantum in before.quanta:
        outputs = made[quantum.wrapnum].files if quantum.wrapnum in made else ()
        for use, file in zip(quantum.outputs, outputs, strict=False):
            if file is not None:
                files[use.file] = files[use.file]._replace(producer=0, size=file.size, checksum=file.checksum)
    old = frozenset([quantum.wrapnum for quantum in before.quanta])
    files = [file._replace(producer=0) if file.producer in old else file for file in files]
    return replace(
        plan,
        files=tuple(files),
        quanta=plan.quanta[len(before.quanta) :],
        jobs=plan.jobs[len(before.jobs) :],
    )


def unmade(plan: Plan, before: Plan, made: Mapping[int, Success]) -> Sequence[str]:
    """Return what quanta of *plan* read of *before* that was not made, each as ``file for quantum``."""
    absent = {
        use.file
        for quantum in before.quanta
        for use, file in zip(quantum.outputs, made[quantum.wrapnum].files, strict=True)
        if file is None
    }
    late = plan.quanta[len(before.quanta) :] if absent else ()
    return [f"{plan.files[u.file].name} for {q.label}" for q in late for u in q.inputs if u.file in absent]

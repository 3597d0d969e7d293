"""plan(campaign, inputs) -> Plan: what will be done, decided once, without looking at anything else.

No clock, disk, database or environment: the same campaign and rows give the same bytes. Submission, ``facade plan`` and
``--dry-run`` all call this one function.
"""

from __future__ import annotations

from collections.abc import Sequence

from facade.campaign import Campaign
from facade.errors import CampaignError, Fault, MissingInputError
from facade.plan.bench import Missing, Workbench
from facade.plan.datasets import Inputs
from facade.plan.graph import jobs
from facade.plan.model import (
    Job,
    Plan,
    PlannedBlock,
    PlannedExec,
    PlannedFile,
    PlannedList,
    PlannedQuery,
    Quantum,
    Use,
    from_text,
)
from facade.plan.quanta import ModulePlanner
from facade.wcl.scope import BadReference, MissingVariable
from facade.wcl.tree import Section

__all__ = [
    "Inputs",
    "Job",
    "MissingFiles",
    "Plan",
    "PlannedBlock",
    "PlannedExec",
    "PlannedFile",
    "PlannedList",
    "PlannedQuery",
    "Quantum",
    "Use",
    "from_text",
    "plan",
]

SHOWN = 20


class MissingFiles(MissingInputError):
    """Files that the campaign names are not among the given rows; ``names`` may be looked up in the registry."""

    def __init__(self, missing: Sequence[Missing]) -> None:
        self.names = tuple(dict.fromkeys(one.name for one in missing))
        lines = [str(one.fault) for one in missing[:SHOWN]]
        if len(missing) > SHOWN:
            lines.append(f"… and {len(missing) - SHOWN} more")
        super().__init__("\n".join(lines), remedy="ingest the missing files (facade ingest), or mend the pattern")


def plan(campaign: Campaign, inputs: Inputs, queries: Sequence[PlannedQuery] = ()) -> Plan:
    """Return the plan of *campaign* for the rows that its queries found.

    Raises:
        CampaignError: with every fault that only shows once rows are known.
        MissingInputError: a query found nothing.
        MissingFiles: files that the campaign names are unknown.
    """
    bench = Workbench(campaign, inputs)
    for index, block in enumerate(campaign.blocks):
        for module in block.modules:
            ModulePlanner(bench, module, index).run()
    if bench.empty and not bench.faults:
        raise MissingInputError("\n".join(str(fault) for fault in bench.empty))
    if bench.faults:
        raise CampaignError(bench.faults)
    if bench.missing:
        raise MissingFiles(bench.missing)
    faults: list[Fault] = []
    planned_jobs = jobs(bench.quanta, bench.files, bench.job_keys, faults)
    archive_path, environment = _texts(campaign, faults)
    if faults:
        raise CampaignError(faults)
    return Plan(
        identity=campaign.identity,
        archive_path=archive_path,
        blocks=tuple(PlannedBlock(b.name, tuple(m.name for m in b.modules)) for b in campaign.blocks),
        wrappers={m.name: m.wrapper for m in campaign.modules if not m.noop},
        filetypes={name: t.definition() for name, t in sorted(campaign.filetypes.items())},
        environment=environment,
        files=tuple(bench.files),
        quanta=tuple(bench.quanta),
        jobs=planned_jobs,
        queries=tuple(queries),
    )


def _texts(campaign: Campaign, faults: list[Fault]) -> tuple[str, dict[str, str]]:
    """Return the archive directory of the attempt and the environment of its jobs."""
    scope = campaign.scope()
    root = campaign.document.root
    entries = [("", root.value("ops_run_dir"))]
    section = root.section("job_environment") or Section()
    entries += [(key.upper(), value) for key, value in section.values()]
    texts: dict[str, str] = {}
    for key, value in entries:
        try:
            texts[key] = scope.resolve(value.text) if value is not None else ""
        except (MissingVariable, BadReference) as error:
            name = f"undefined variable '{error.name}'" if isinstance(error, MissingVariable) else str(error)
            faults.append(campaign.document.fault(name, value))
    return texts.pop("", ""), texts

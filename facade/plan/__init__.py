"""plan(campaign, inputs) -> Plan: what will be done, decided once, without looking at anything else.

No clock, disk, database or environment: the same campaign and rows give the same bytes. Submission, ``facade plan`` and
``--dry-run`` all call this one function.
"""

from __future__ import annotations

from collections.abc import Sequence

from facade.campaign import Block, Campaign, Module
from facade.campaign.faults import fault_of
from facade.errors import CampaignError, Fault, MissingInputError, some
from facade.files import clean_path
from facade.needs import Allowance
from facade.plan.bench import Missing, Workbench
from facade.plan.datasets import Inputs
from facade.plan.jobs import make_jobs
from facade.plan.memory import uncollected
from facade.plan.messages import messages_of
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
from facade.plan.outputs import check_readers, outputs_of
from facade.plan.quanta import ModulePlanner
from facade.wcl.template import BadReference, MissingVariable
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
        self.names = tuple(dict.fromkeys(one.name for one in missing if one.name))
        lines = [str(one.fault) for one in missing[:SHOWN]]
        if len(missing) > SHOWN:
            lines.append(f"… and {len(missing) - SHOWN} more")
        remedy = "ingest the missing files (facade ingest), or mend the pattern or the query"
        super().__init__("\n".join(lines), remedy=remedy)


def plan(
    campaign: Campaign,
    inputs: Inputs,
    queries: Sequence[PlannedQuery] = (),
    sought: dict[str, None] | None = None,
    *,
    blocks: int | None = None,
) -> Plan:
    """Return the plan of *campaign* for the rows that its queries found.

    Only the first so many *blocks* are planned (all, without that number); the others are named in `Plan.later`.

    *sought* is filled with the names of files that may be missing, and are: *inputs* might have had them.

    Raises:
        CampaignError: with every fault that only shows once rows are known.
        MissingInputError: a query found nothing.
        MissingFiles: files that the campaign names are unknown.
        MissingInputError: inputs are registered, but lie in no archive.
    """
    with uncollected():
        return _plan(campaign, inputs, queries, {} if sought is None else sought, blocks)


def _plan(
    campaign: Campaign, inputs: Inputs, queries: Sequence[PlannedQuery], sought: dict[str, None], number: int | None
) -> Plan:
    blocks, later = campaign.blocks[:number], campaign.blocks[number:] if number is not None else ()
    modules = [(index, module) for index, block in enumerate(blocks) for module in block.modules]
    bench = Workbench(campaign, inputs, wanted=_wanted([module for _, module in modules]))
    for number, (index, module) in enumerate(modules):
        ModulePlanner(bench, module, index, number).run()
    sought |= bench.sought
    archive_path, environment = _texts(campaign, bench.faults)
    if bench.faults:
        raise CampaignError(bench.all_faults())
    if bench.empty:
        raise MissingInputError("\n".join(str(fault) for fault in bench.empty))
    if bench.missing:
        raise MissingFiles(bench.missing)
    if bench.unlocated:
        raise _unlocated(bench.unlocated)
    jobs, needs = make_jobs(bench)
    check_readers(bench, jobs)
    if bench.faults:
        raise CampaignError(bench.all_faults())
    throttles = campaign.throttles
    return Plan(
        identity=campaign.identity,
        archive_path=archive_path,
        blocks=_named(blocks),
        later=_named(later),
        wrappers={m.name: m.wrapper for m in campaign.modules if not m.noop},
        filetypes={name: t.definition() for name, t in sorted(campaign.filetypes.items())},
        environment=environment,
        files=tuple(bench.files),
        quanta=tuple(bench.quanta),
        jobs=jobs,
        queries=tuple(queries),
        needs=needs,
        allowances={m.name: a for m in campaign.modules if (a := m.allowance) != Allowance() and not m.noop},
        max_jobs={**({"": throttles.jobs} if throttles.jobs else {}), **throttles.categories},
        max_idle=throttles.idle,
        messages=messages_of(campaign.modules),
        outputs=outputs_of(bench),
        keeping=campaign.keeping,
    )


def _named(blocks: Sequence[Block]) -> tuple[PlannedBlock, ...]:
    return tuple([PlannedBlock(block.name, tuple([m.name for m in block.modules])) for block in blocks])


def _wanted(modules: Sequence[Module]) -> dict[str, int]:
    """Return dataset -> number of the last module that depends on it."""
    return {
        f"{depends.module}.{depends.ref.kind}.{depends.ref.name}": number
        for number, module in enumerate(modules)
        for spec in (*module.files.values(), *module.lists.values())
        for depends in spec.depends
    }


def _unlocated(names: Sequence[str]) -> MissingInputError:
    return MissingInputError(
        f"registered, but in no archive that jobs read: {some(names, SHOWN)}",
        remedy="ingest them again from where they still lie",
    )


def _texts(campaign: Campaign, faults: list[Fault]) -> tuple[str, dict[str, str]]:
    """Return the archive directory of the attempt and the environment of its jobs."""
    scope = campaign.scope()
    root = campaign.document.root
    section = root.section("job_environment") or Section()
    entries = [("", root.value("ops_run_dir")), *((key.upper(), value) for key, value in section.values())]
    texts: dict[str, str] = {}
    for key, value in entries:
        try:
            texts[key] = scope.resolve(value) if value is not None else ""
        except (MissingVariable, BadReference) as error:
            assert value is not None
            faults.append(fault_of(campaign.document, error, value))
    archive_path = clean_path(texts.pop("", ""))
    if archive_path is None:
        message = "'ops_run_dir' leaves the archive: it must be a relative path without '..'"
        faults.append(campaign.document.fault(message, root.value("ops_run_dir"), code="F519"))
    return archive_path or "", texts

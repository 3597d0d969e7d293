"""Quanta -> jobs: grouped by ``divide_jobs_by``, bounded, each with what it needs; what is wrong with them is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from facade.campaign import Campaign
from facade.errors import Fault
from facade.needs import NOTHING, Categories, Needs, of_job
from facade.plan.bench import Workbench
from facade.plan.cluster import Clustering, JobSize
from facade.plan.graph import Divided, circle, groups, jobs
from facade.plan.model import Job
from facade.wcl.tree import Section, Value


def make_jobs(bench: Workbench) -> tuple[tuple[Job, ...], tuple[Needs, ...]]:
    """Return the jobs of all quanta on the workbench, and the table of what they need; faults go to the workbench."""
    divided = _bounded(bench, groups(bench.quanta, bench.job_keys, _written(bench.campaign)))
    table, indexes = _Needs(bench).of(divided)
    found = jobs(bench.quanta, bench.files, divided, indexes)
    if waiting := circle(found):
        bench.faults.append(_circle(bench, waiting))
    return found, table


def _written(campaign: Campaign) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return the keys of ``divide_jobs_by`` as they are written first, by what they are in alphabetical order."""
    written: dict[tuple[str, ...], tuple[str, ...]] = {}
    for module in campaign.modules:
        names = tuple(dict.fromkeys(module.jobs_by))
        written.setdefault(tuple(sorted(names)), names)
    return written


def _bounded(bench: Workbench, divided: list[Divided]) -> list[Divided]:
    """Split groups that are larger than their modules allow."""
    modules = bench.campaign.modules
    if not any(module.bounds.most or module.bounds.target for module in modules):
        return divided
    sizes = {
        # a quantum of unknown length is as long as the campaign says it may be
        m.name: JobSize(*m.bounds, bench.inputs.times.get(m.name, m.needs.walltime))
        for m in modules
    }
    clustering = Clustering(bench.quanta, bench.files, sizes)
    return [Divided(one.block, one.keys, part) for one in divided for part in clustering.split(one.members)]


class _Needs:
    """Works out what jobs need; jobs with as many quanta of the same modules need the same."""

    def __init__(self, bench: Workbench) -> None:
        self.bench, self.campaign = bench, bench.campaign
        self.table: dict[Needs, int] = {}
        self.known: dict[tuple[int, frozenset[tuple[str, int]]], int] = {}

    def of(self, divided: Sequence[Divided]) -> tuple[tuple[Needs, ...], list[int]]:
        """Return the table of needs and, for each job, its index there."""
        campaign = self.campaign
        said = [*[b.needs for b in campaign.blocks], *[m.needs for m in campaign.modules]]
        if all(needs == NOTHING for needs in said) and all(m.threads == 1 for m in campaign.modules):
            return (NOTHING,), [0] * len(divided)
        indexes = [self.index(one) for one in divided]
        return tuple(self.table) or (NOTHING,), indexes

    def index(self, job: Divided) -> int:
        """Return the index of what *job* needs."""
        quanta = self.bench.quanta
        counts = frozenset(Counter([quanta[w - 1].module for w in job.members]).items())
        index = self.known.get((job.block, counts))
        if index is None:
            index = self.known[job.block, counts] = self.new(job, dict(counts))
        return index

    def new(self, job: Divided, counts: dict[str, int]) -> int:
        """Work out what jobs like *job* need."""
        block = self.campaign.blocks[job.block]
        modules = [module for module in block.modules if module.name in counts]
        try:
            needs = of_job([(m.needs, counts[m.name], m.threads) for m in modules], block.needs)
        except Categories as error:
            of = {module.name: module.needs.category or block.needs.category for module in modules}
            said = ", ".join(f"{name} {category or 'none'}" for name, category in of.items())
            at = next(v for m in modules for v in [m.section.value("category"), m.section] if v is not None)
            message = f"a job of block '{block.name}' has quanta of several categories ({said}), and DAGMan knows one"
            remedy = f"give them one category, or other divide_jobs_by: {' and '.join(error.names)} cannot share a job"
            self.bench.fault("F522", message, at, remedy)
            needs = NOTHING
        return self.table.setdefault(needs, len(self.table))


def _circle(bench: Workbench, waiting: Sequence[Job]) -> Fault:
    """Return the fault that jobs wait for each other, with the quanta and files by which they do."""
    campaign, quanta = bench.campaign, bench.quanta
    block = campaign.blocks[waiting[0].block]
    modules = {quanta[w - 1].module for job in waiting for w in job.quanta}
    links = [_link(bench, second, first) for first, second in zip(waiting[1:], waiting, strict=False)]
    places = _places(campaign, block.section, [m.section for m in block.modules if m.name in modules])
    return campaign.document.fault(
        f"jobs of block '{block.name}' wait for each other in a circle: {'; '.join(links)}",
        places[0],
        code="F518",
        remedy="choose divide_jobs_by keys that keep these modules in one job, or split the block",
        others=[("the jobs are divided here", place) for place in places[1:]],
    )


def _places(campaign: Campaign, block: Section, modules: Sequence[Section]) -> list[Value | Section]:
    """Return where it is said how the jobs of *modules* are divided; where nothing is said, the block."""
    said = [v for section in (*modules, block, campaign.document.root) if (v := section.value("divide_jobs_by"))]
    return list(said) or [block]


def _link(bench: Workbench, maker: Job, reader: Job) -> str:
    """Say for which file of *maker* job *reader* waits."""
    members = frozenset(maker.quanta)
    for wrapnum in reader.quanta:
        quantum = bench.quanta[wrapnum - 1]
        for use in quantum.inputs:
            file = bench.files[use.file]
            if file.producer in members:
                made = bench.quanta[file.producer - 1].label
                return f"{_job(reader)} needs '{file.name}' ({made}) of {_job(maker)}"
    raise AssertionError("an edge without a file")


def _job(job: Job) -> str:
    keys = " ".join(f"{key}={value}" for key, value in job.keys.items())
    return f"job {job.jobnum}" + (f" ({keys})" if keys else "")

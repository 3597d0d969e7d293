"""A plan with its decisions carried out: what runs, and of the rest the files that it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from facade.plan.decide import Decided, Decision, Success
from facade.plan.memory import uncollected
from facade.plan.model import Job, Plan, PlannedExec, PlannedFile, Quantum, Use


def applied(plan: Plan, decided: Sequence[Decided]) -> Plan:
    """Return the plan of what runs; the same plan, if that is all of it.

    Quanta and jobs keep their numbers. A file of a reused quantum becomes a registered input; jobs see it under the
    name that the plan gave it (`PlannedFile.staged`), so command lines and lists stay as they are, while provenance
    names the file that was read. An edge that no file explains leads on over jobs that are left out.
    """
    if all(one.decision is Decision.RUN for one in decided):
        return plan
    with uncollected():
        return _Remaining(plan, decided).plan()


class _Remaining:
    """The table of files as it grows with the quanta that run."""

    def __init__(self, plan: Plan, decided: Sequence[Decided]) -> None:
        self._whole = plan
        self._running = [q for q, one in zip(plan.quanta, decided, strict=True) if one.decision is Decision.RUN]
        self._sources = {
            quantum.wrapnum: one.source
            for quantum, one in zip(plan.quanta, decided, strict=True)
            if one.source is not None
        }
        self._files: list[PlannedFile] = []
        self._index: dict[int, int] = {}

    def plan(self) -> Plan:
        """Return what remains."""
        quanta = tuple([self._quantum(quantum) for quantum in self._running])
        whole = self._whole
        modules = frozenset([quantum.module for quantum in quanta])
        return replace(
            whole,
            files=tuple(self._files),
            quanta=quanta,
            jobs=_jobs(whole, frozenset([quantum.wrapnum for quantum in quanta])),
            queries=tuple(query for query in whole.queries if query.module in modules),
        )

    def _quantum(self, quantum: Quantum) -> Quantum:
        kept = self._kept
        return quantum._replace(
            inputs=tuple([self._use(use) for use in quantum.inputs]),
            lists=tuple([one._replace(file=kept(one.file)) for one in quantum.lists]),
            outputs=tuple([self._use(use) for use in quantum.outputs]),
            execs=tuple([_exec(one, kept) for one in quantum.execs]),
        )

    def _use(self, use: Use) -> Use:
        return use._replace(file=self._kept(use.file))

    def _kept(self, index: int) -> int:
        """Return the new number of a file."""
        if index not in self._index:
            self._index[index] = len(self._files)
            file = self._whole.files[index]
            source = self._sources.get(file.producer) if file.producer > 0 else None
            self._files.append(self._reused(index, file, source) if source is not None else file)
        return self._index[index]

    def _reused(self, index: int, file: PlannedFile, source: Success) -> PlannedFile:
        outputs = self._whole.quantum(file.producer).outputs
        made = source.files[next(place for place, use in enumerate(outputs) if use.file == index)]
        assert made is not None  # else its maker would run
        return file._replace(
            filename=made.filename,
            compression=made.compression,
            size=made.size,
            checksum=made.checksum,
            archive_path=made.archive_path or "",
            producer=0,
            staged=file.name,
        )


def _exec(one: PlannedExec, kept: Callable[[int], int]) -> PlannedExec:
    return one._replace(
        used=tuple([kept(index) for index in one.used]),
        generated=tuple([kept(index) for index in one.generated]),
        derived=tuple([(kept(child), kept(parent)) for child, parent in one.derived]),
    )


def _jobs(plan: Plan, running: frozenset[int]) -> tuple[Job, ...]:
    """Return the jobs that still have quanta; what waits for what is told by the files that are still made."""
    remaining = {job.jobnum: [number for number in job.quanta if number in running] for job in plan.jobs}
    ordered = _ordered(plan)
    jobs = []
    for job in plan.jobs:
        if not remaining[job.jobnum]:
            continue
        parents = _makers(plan, job, remaining[job.jobnum], running)
        parents |= _beyond(job.jobnum, ordered, remaining)
        jobs.append(job._replace(quanta=tuple(remaining[job.jobnum]), parents=tuple(sorted(parents))))
    return tuple(jobs)


def _makers(plan: Plan, job: Job, quanta: Sequence[int], running: frozenset[int] | None = None) -> set[int]:
    """Return the other jobs of a job's block that make what its *quanta* read."""
    found, parents = set(), frozenset(job.parents)
    for number in quanta:
        for use in plan.quantum(number).inputs:
            producer = plan.files[use.file].producer
            if producer > 0 and (running is None or producer in running):
                found.add(plan.job_of[producer])
    return found & parents


def _ordered(plan: Plan) -> Mapping[int, frozenset[int]]:
    """Return the edges that no file explains: job -> the jobs that must end before it."""
    found = {}
    for job in plan.jobs:
        if job.parents and (extra := frozenset(job.parents) - _makers(plan, job, job.quanta)):
            found[job.jobnum] = extra
    return found


def _beyond(jobnum: int, ordered: Mapping[int, frozenset[int]], remaining: Mapping[int, Sequence[int]]) -> set[int]:
    """Return the nearest remaining jobs that must end before *jobnum*, over those that are left out."""
    found, seen, stack = set(), {jobnum}, [jobnum]
    while stack:
        for parent in ordered.get(stack.pop(), ()):
            if parent in seen:
                continue
            seen.add(parent)
            if remaining[parent]:
                found.add(parent)
            else:
                stack.append(parent)
    return found

"""Quanta -> jobs and the edges between them.

Quanta of one block with equal values of their ``divide_jobs_by`` keys share a job. An edge joins two jobs of a block
when one reads a file the other makes; between blocks there is a barrier, so no edges are needed (DESIGN.md §5.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from facade.plan.model import Job, PlannedFile, Quantum
from facade.wcl.template import Scalar

JobKey = tuple[int, tuple[tuple[str, str], ...]]


def jobs(
    quanta: Sequence[Quantum], files: Sequence[PlannedFile], keys: Sequence[tuple[int, Mapping[str, Scalar]]]
) -> tuple[Job, ...]:
    """Group *quanta* into jobs; *keys* holds, for each one, the index of its block and the values that divide jobs."""
    members: dict[JobKey, list[int]] = {}
    values: dict[JobKey, Mapping[str, Scalar]] = {}
    for quantum, (block, wanted) in zip(quanta, keys, strict=True):
        # the order in which divide_jobs_by names its keys makes no difference
        key = (block, tuple(sorted([(name, str(value)) for name, value in wanted.items()])))
        members.setdefault(key, []).append(quantum.wrapnum)
        values.setdefault(key, wanted)
    number = {key: index for index, key in enumerate(members, start=1)}
    job_of = {wrapnum: number[key] for key, wrapnums in members.items() for wrapnum in wrapnums}
    block_of = {number[key]: key[0] for key in members}
    parents = _parents(quanta, files, job_of, block_of)
    return tuple(
        Job(
            jobnum=number[key],
            block=key[0],
            keys=values[key],
            quanta=tuple(wrapnums),
            parents=tuple(sorted(parents[number[key]])),
        )
        for key, wrapnums in members.items()
    )


def _parents(
    quanta: Sequence[Quantum], files: Sequence[PlannedFile], job_of: Mapping[int, int], block_of: Mapping[int, int]
) -> dict[int, set[int]]:
    parents: dict[int, set[int]] = {job: set() for job in block_of}
    for quantum in quanta:
        mine = job_of[quantum.wrapnum]
        for use in quantum.inputs:
            producer = files[use.file].producer
            if producer > 0:
                other = job_of[producer]
                if other != mine and block_of[other] == block_of[mine]:
                    parents[mine].add(other)
    return parents


def circle(found: Sequence[Job]) -> tuple[Job, ...]:
    """Return jobs that wait for each other in a circle, the first of them again at the end, or nothing."""
    try:
        TopologicalSorter({job.jobnum: job.parents for job in found}).prepare()
    except CycleError as error:
        by_number = {job.jobnum: job for job in found}
        return tuple(by_number[number] for number in error.args[1])
    return ()

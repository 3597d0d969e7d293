"""Quanta -> jobs and the edges between them.

Quanta of one block with equal values of their ``divide_jobs_by`` keys share a job. An edge joins two jobs of a block
when one reads a file the other makes; between blocks there is a barrier, so no edges are needed (DESIGN.md §5.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from facade.plan.model import Job, PlannedFile, Quantum, maker_of
from facade.wcl.template import Scalar

new_job = maker_of(Job)

JobKeys = tuple[int, tuple[str, ...], tuple[str, ...]]
"""What divides jobs: index of the block, names of the keys in alphabetical order, their values. The order in which
``divide_jobs_by`` names them makes no difference; jobs are told with the keys as they are written first."""


class Divided(NamedTuple):
    """The quanta of one job, before it is a job: index of its block, the values that divide jobs, wrapnums."""

    block: int
    keys: Mapping[str, Scalar]
    members: list[int]


new_divided = maker_of(Divided)


def groups(
    quanta: Sequence[Quantum], keys: Sequence[JobKeys], written: Mapping[tuple[str, ...], Sequence[str]]
) -> list[Divided]:
    """Group *quanta*; *keys* holds what divides jobs for each one, *written* names of keys as they are to be told."""
    numbers: dict[JobKeys, int] = {}
    found: list[Divided] = []
    last, members = None, list[int]()
    for quantum, one in zip(quanta, keys, strict=True):
        if one is not last:  # where neighbours share one object, that is looked at once
            number = numbers.setdefault(one, len(found))
            if number == len(found):
                block, names, values = one
                told = dict(zip(names, values, strict=True))
                found.append(new_divided((block, {name: told[name] for name in written[names]}, [])))
            last, members = one, found[number].members
        members.append(quantum.wrapnum)
    return found


def jobs(
    quanta: Sequence[Quantum], files: Sequence[PlannedFile], divided: Sequence[Divided], needs: Sequence[int]
) -> tuple[Job, ...]:
    """Return the jobs, each with those of its block that it waits for; *needs* holds what each one needs, by number."""
    parents = _parents(quanta, files, divided)
    return tuple([
        new_job((number, block, wanted, tuple(members), parents.get(number, ()), index))
        for number, ((block, wanted, members), index) in enumerate(zip(divided, needs, strict=True), 1)
    ])  # fmt: skip


def _parents(
    quanta: Sequence[Quantum], files: Sequence[PlannedFile], groups: Sequence[Divided]
) -> dict[int, tuple[int, ...]]:
    """Return job number -> jobs of its block that make what it reads, for those that wait for any."""
    job_of = [0] * (1 + len(quanta))
    for number, (_, _, members) in enumerate(groups, 1):
        for wrapnum in members:
            job_of[wrapnum] = number
    makers: dict[int, list[int]] = {}
    for quantum in quanta:
        for use in quantum.inputs:
            producer = files[use.file].producer
            if producer > 0 and (maker := job_of[producer]) != (mine := job_of[quantum.wrapnum]):
                makers.setdefault(mine, []).append(maker)
    block_of = [0, *[block for block, _, _ in groups]]
    return {
        job: tuple(sorted({one for one in found if block_of[one] == block_of[job]})) for job, found in makers.items()
    }


def circle(found: Sequence[Job]) -> tuple[Job, ...]:
    """Return jobs that wait for each other in a circle, the first of them again at the end, or nothing."""
    if not any(job.parents and job.parents[-1] > job.jobnum for job in found):
        return ()  # nobody waits for a later job: the order of their numbers will do
    try:
        TopologicalSorter({job.jobnum: job.parents for job in found}).prepare()
    except CycleError as error:
        by_number = {job.jobnum: job for job in found}
        return tuple(by_number[number] for number in error.args[1])
    return ()

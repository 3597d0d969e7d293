"""A plan and its decisions as rows of the registry: what is submitted, and what is added when a plan grows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

from facade.plan import Plan
from facade.plan.decide import Decision
from facade.plan.model import bound_keys
from facade.registry.values import DataQuery, Job, LeftOut, Quantum
from facade.reuse import Considered
from facade.wcl import bind_attempt


class Rows(TypedDict):
    """What `facade.registry.Registry` registers of a plan."""

    jobs: list[Job]
    quanta: list[Quantum]
    queries: list[DataQuery]
    left_out: list[LeftOut]


def rows(considered: Considered, attnum: int, before: Plan | None = None) -> Rows:
    """Return the rows of what runs and of what does not; without those of *before*, from which the plan has grown."""
    plan, blocks = considered.remaining, len(before.blocks) if before is not None else 0
    first, asked = (len(before.quanta), len(before.queries)) if before is not None else (0, 0)
    return {
        "jobs": [
            {"jobnum": j.jobnum, "block": j.block, "keys": bound_keys(j.keys, attnum), "quanta": len(j.quanta)}
            for j in plan.jobs
            if j.block >= blocks
        ],
        "quanta": list(_quanta(considered, attnum, first)),
        "queries": [
            {
                "modname": q.module,
                "dataname": q.dataset,
                "program": q.program,
                "version": q.version,
                "arguments": q.arguments,
                "row_count": q.rows,
            }
            for q in considered.plan.queries[asked:]
        ],
        "left_out": list(_left_out(considered, attnum, first)),
    }


def _quanta(considered: Considered, attnum: int, first: int) -> Iterator[Quantum]:
    """Yield the rows of the quanta that run, those numbered from 1 to *first* left out."""
    plan = considered.remaining
    whole = zip(considered.plan.quanta, considered.prints.own, considered.prints.plan, considered.decided, strict=True)
    known = {q.wrapnum: (own, key, one) for q, own, key, one in whole if one.decision is Decision.RUN}
    for q in plan.quanta:
        if q.wrapnum <= first:
            continue
        own, key, one = known[q.wrapnum]
        files = [plan.files[use.file] for use in q.outputs]
        yield {
            "wrapnum": q.wrapnum,
            "module": q.module,
            "wrapper": plan.wrappers[q.module],
            "jobnum": plan.job_of[q.wrapnum],
            "keys": bound_keys(q.keys, attnum),
            "fingerprints": (own, key),
            "reason": one.reason.value,
            "outputs": [(bind_attempt(file.filename, attnum), file.compression) for file in files],
        }


def _left_out(considered: Considered, attnum: int, first: int) -> Iterator[LeftOut]:
    """Yield the rows of the quanta that do not run, those numbered from 1 to *first* left out."""
    for q, one in zip(considered.plan.quanta, considered.decided, strict=True):
        if q.wrapnum > first and one.decision is not Decision.RUN:
            yield {
                "wrapnum": q.wrapnum,
                "module": q.module,
                "keys": bound_keys(q.keys, attnum),
                "decision": one.decision.value,
                "reason": one.reason.value,
                "source": one.source.task_id if one.source is not None else None,
            }

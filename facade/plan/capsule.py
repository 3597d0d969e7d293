"""Capsules: the plan cut into what each job needs (docs/contracts.md). Holds no credentials, by construction: whatever
goes in comes from the plan and from the few arguments below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from facade.plan.model import Job, Plan, PlannedExec, Quantum, Use

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """The registry's numbers for an attempt: ids of the attempt and of the tasks of blocks, jobs and quanta."""

    attempt_id: int
    attempt: int
    blocks: tuple[int, ...]
    jobs: Mapping[int, int]
    quanta: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where jobs run: the attempt's name, the archive, and the environment that every program gets."""

    name: str
    archive: str
    archive_root: str
    environment: Mapping[str, str]


def capsules(plan: Plan, tasks: Tasks, surroundings: Surroundings) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (jobnum, capsule) for every job of a plan that is bound to its attempt."""
    for job in plan.jobs:
        yield job.jobnum, _capsule(plan, job, tasks, surroundings)


def _capsule(plan: Plan, job: Job, tasks: Tasks, around: Surroundings) -> dict[str, Any]:
    quanta = [plan.quantum(wrapnum) for wrapnum in job.quanta]
    used = {plan.files[u.file].filetype for q in quanta for u in (*q.inputs, *q.outputs)} | {"list", "log"}
    return {
        "format": FORMAT,
        "attempt": {
            "name": around.name,
            "id": tasks.attempt_id,
            "task_id": tasks.attempt,
            "identity": dict(plan.identity),
        },
        "block": {"name": plan.blocks[job.block].name, "task_id": tasks.blocks[job.block]},
        "job": {"jobnum": job.jobnum, "task_id": tasks.jobs[job.jobnum], "keys": dict(job.keys)},
        "parents": sorted(_producers(plan, quanta) - {job.jobnum}),
        "archive": {"name": around.archive, "root": around.archive_root},
        "environment": {**around.environment, **plan.environment},
        "filetypes": {name: plan.filetypes[name] for name in sorted(used) if name in plan.filetypes},
        "quanta": [_quantum(plan, quantum, tasks) for quantum in quanta],
    }


def _producers(plan: Plan, quanta: list[Quantum]) -> set[int]:
    makers = {plan.files[use.file].producer for quantum in quanta for use in quantum.inputs}
    return {plan.job_of[maker] for maker in makers if maker > 0}


def _quantum(plan: Plan, quantum: Quantum, tasks: Tasks) -> dict[str, Any]:
    return {
        "task_id": tasks.quanta[quantum.wrapnum],
        "wrapnum": quantum.wrapnum,
        "module": quantum.module,
        "wrapper": plan.wrappers[quantum.module],
        "keys": dict(quantum.keys),
        "parameters": dict(quantum.parameters),
        "log": {"filename": quantum.log, "archive_path": quantum.log_path},
        "inputs": [_input(plan, use) for use in quantum.inputs],
        "lists": [{**_named(plan, one.file, one.section, one.path), "content": one.content} for one in quantum.lists],
        "outputs": [_output(plan, use) for use in quantum.outputs],
        "execs": [_exec(plan, one) for one in quantum.execs],
    }


def _named(plan: Plan, index: int, section: str, path: str) -> dict[str, Any]:
    file = plan.files[index]
    return {
        "section": section,
        "filename": file.filename,
        "compression": file.compression,
        "filetype": file.filetype,
        "path": path,
        "archive_path": file.archive_path,
        "metadata": dict(file.metadata),
    }


def _input(plan: Plan, use: Use) -> dict[str, Any]:
    file = plan.files[use.file]
    return {
        **_named(plan, use.file, use.section, use.path),
        "size": file.size,
        "checksum": file.checksum,
        "rename": use.rename,
        "producer": plan.job_of[file.producer] if file.producer > 0 else None,
    }


def _output(plan: Plan, use: Use) -> dict[str, Any]:
    file = plan.files[use.file]
    return {**_named(plan, use.file, use.section, use.path), "optional": file.optional, "save": file.save}


def _exec(plan: Plan, one: PlannedExec) -> dict[str, Any]:
    return {
        "execnum": one.num,
        "name": str(one.argv[0]) if one.argv else "",
        "argv": list(one.argv),
        "version_flag": one.version_flag,
        "used": [plan.files[i].name for i in one.used],
        "generated": [plan.files[i].name for i in one.generated],
        "derived": [[plan.files[child].name, plan.files[parent].name] for child, parent in one.derived],
    }

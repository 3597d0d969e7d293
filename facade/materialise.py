"""Writing a run directory: the plan, the capsules of all jobs, and the table that engines read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from facade.engines.rundir import CAPSULES, COMMON, SHARD, EngineJob, RunDirectory, folder
from facade.plan import Job, Plan, from_text
from facade.plan.capsule import Cutter, Surroundings, Tasks
from facade.plan.memory import uncollected
from facade.registry import Registry
from facade.registry.values import Attempt, Ids
from facade.site import Site
from facade.wcl import bind_attempt


def tasks(ids: Ids, fingerprints: Mapping[int, str]) -> Tasks:
    """Return the registry's ids, and what each quantum does, in the form that capsules are cut with."""
    return Tasks(
        attempt_id=ids.attempt_id,
        attempt=ids.attempt_task,
        blocks=ids.blocks,  # those of blocks that are not planned yet come last
        jobs=ids.jobs,
        quanta=ids.quanta,
        fingerprints=fingerprints,
    )


def job_path(environment: Mapping[str, str], remote: str = "") -> str:
    """Return the PATH of programs in jobs: the campaign's, else facade's own programs before the submitter's.

    On machines that do not see the files of this one, *remote* is the Python with facade, and nothing is known of the
    submitter's.
    """
    if remote:
        return environment.get("PATH", os.pathsep.join([str(Path(remote).parent), os.defpath]))
    own = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return environment.get("PATH", own)


@uncollected()
def materialise(site: Site, attempt: Attempt, plan: Plan, ids: Tasks) -> RunDirectory:
    """Write the run directory of an attempt. Safe to repeat: the table that engines read is written last.

    The plan is that of any attempt; the number of this one is put into what jobs and engines read.
    """
    root = Path(attempt.run_dir)
    away = attempt.engine == "htcondor" and not site.shared_filesystem
    search = job_path(plan.environment, (site.python or sys.executable) if away else "")
    around = Surroundings(
        name=attempt.name,
        attnum=attempt.attnum,
        archive=site.archive,
        archive_root=site.archive_root,
        archive_options=site.archive_options,
        target=site.place(plan.keeping.target) if plan.keeping.target else None,
        environment={"PATH": search},
    )
    cutter = Cutter(plan, ids, around)
    root.mkdir(parents=True, exist_ok=True)
    _write(root / "plan.json", plan.pieces())
    _write(root / COMMON, [cutter.common()])
    for number, text in cutter.shards(SHARD, f"../../{COMMON}"):
        path = root / folder(number * SHARD) / CAPSULES
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, [text])
    used = (site.archive, plan.keeping.target) if plan.keeping.target else (site.archive,)
    run = replace(table(plan, root, attempt.name, attempt.attnum, attempt.id), archives=used)
    run.write()
    return run


def table(plan: Plan, path: Path, name: str, attnum: int, attempt_id: int) -> RunDirectory:
    """Return what engines will know of an attempt of *plan* in directory *path*; nothing is written."""
    return RunDirectory(
        path=path,
        name=name,
        attempt_id=attempt_id,
        blocks=tuple(block.name for block in plan.blocks),
        jobs=tuple(
            [EngineJob(job.jobnum, job.block, job.parents, _label(plan, job, attnum), job.needs) for job in plan.jobs]
        ),
        needs=plan.needs,
        max_jobs=plan.max_jobs,
        max_idle=plan.max_idle,
        later=tuple(block.name for block in plan.later),
        homing=plan.keeping.homing,
        taking=plan.keeping.takes,
    )


def _label(plan: Plan, job: Job, attnum: int) -> str:
    """Return what people are told a job is: its keys, else its block."""
    text = " ".join([f"{key}={value}" for key, value in job.keys.items()]) or plan.blocks[job.block].name
    return bind_attempt(text, attnum) if "$" in text else text


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file under a temporary name, then rename: a reader sees all of it or none."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as stream:
        stream.writelines(pieces)
    os.replace(part, path)


def made_again(registry: Registry, site: Site, attempt: Attempt) -> RunDirectory:
    """Write the run directory of an attempt from the plan that the registry keeps."""
    plan = from_text(registry.run_plan_body(attempt.id).decode())
    return materialise(site, attempt, plan, tasks(registry.ids(attempt.id), registry.own_fingerprints(attempt.id)))

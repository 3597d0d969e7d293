"""Writing a run directory: the bound plan, a capsule for each job, and the table that engines read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from facade.engines.rundir import EngineJob, RunDirectory
from facade.plan import Plan, from_text
from facade.plan.capsule import Surroundings, Tasks, capsules
from facade.registry import Registry
from facade.registry.values import Attempt, Ids
from facade.site import Site


def tasks(ids: Ids) -> Tasks:
    """Return the registry's ids in the form that capsules are cut with."""
    return Tasks(
        attempt_id=ids.attempt_id, attempt=ids.attempt_task, blocks=ids.blocks, jobs=ids.jobs, quanta=ids.quanta
    )


def job_path(environment: Mapping[str, str]) -> str:
    """Return the PATH of programs in jobs: the campaign's, else facade's own programs before the submitter's."""
    own = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return environment.get("PATH", own)


def materialise(site: Site, attempt: Attempt, plan: Plan, ids: Tasks) -> RunDirectory:
    """Write the run directory of an attempt: bound plan, capsules and the table that engines read. Safe to repeat."""
    root = Path(attempt.run_dir)
    around = Surroundings(
        name=attempt.name,
        archive=site.archive,
        archive_root=str(site.archive_root),
        environment={"PATH": job_path(plan.environment)},
    )
    run = RunDirectory(
        path=root,
        name=attempt.name,
        attempt_id=attempt.id,
        blocks=tuple(block.name for block in plan.blocks),
        jobs=tuple(
            EngineJob(
                jobnum=job.jobnum,
                block=job.block,
                parents=job.parents,
                capsule=RunDirectory.capsule_path(job.jobnum),
                label=" ".join(f"{k}={v}" for k, v in job.keys.items()) or plan.blocks[job.block].name,
            )
            for job in plan.jobs
        ),
    )
    root.mkdir(parents=True, exist_ok=True)
    _write(root / "plan.json", plan.text)
    for jobnum, capsule in capsules(plan, ids, around):
        path = root / RunDirectory.capsule_path(jobnum)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, json.dumps(capsule, separators=(",", ":"), ensure_ascii=False))
    run.write()
    return run


def _write(path: Path, text: str) -> None:
    """Write a file under a temporary name, then rename: a reader sees all of it or none."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def made_again(registry: Registry, site: Site, attempt: Attempt) -> RunDirectory:
    """Write the run directory of an attempt from the plan that the registry keeps."""
    plan = from_text(registry.plan_body(attempt.plan_id).decode()).bind(attempt.attnum)
    return materialise(site, attempt, plan, tasks(registry.ids(attempt.id)))

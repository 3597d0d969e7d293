"""Run directories: few files however many jobs, whole or told to be incomplete, whatever the number of the attempt."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from campaigns import RAWS, demo_plan, planned, text

from facade.engines.rundir import SHARD, RunDirectory
from facade.errors import InputError
from facade.job import capsule as capsules
from facade.materialise import materialise
from facade.plan import Plan
from facade.plan.capsule import Tasks


def written(folder: Path, plan: Plan) -> RunDirectory:
    """Write the run directory of attempt 7."""
    ids = Tasks(
        attempt_id=1,
        attempt=2,
        blocks=tuple(range(3, 3 + len(plan.blocks))),
        jobs={job.jobnum: 100 + job.jobnum for job in plan.jobs},
        quanta={quantum.wrapnum: 90000 + quantum.wrapnum for quantum in plan.quanta},
    )
    attempt: Any = SimpleNamespace(engine="local", run_dir=str(folder), name="u_r1p07", attnum=7, id=1)
    site: Any = SimpleNamespace(archive="home", archive_root=str(folder / "archive"), archive_options={})
    return materialise(site, attempt, plan, ids)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_directory_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = demo_plan()
    run = written(tmp_path / "run", plan)
    assert RunDirectory.read(run.path) == run
    assert [(job.jobnum, job.block, job.parents) for job in run.jobs] == [(j[0], j[1], j[4]) for j in plan.jobs]
    assert hashlib.sha256((run.path / "plan.json").read_bytes()).hexdigest() == plan.plan_id
    for job in plan.jobs:
        assert [q.wrapnum for q in capsules.read(run.capsule(job.jobnum)).quanta] == list(job.quanta)


def test_thousands_of_jobs_are_a_handful_of_files(tmp_path: Path) -> None:
    rows = [{**RAWS[0], "filename": f"raw-{n}.fits", "visit": n, "ccd": 1} for n in range(2 * SHARD + 5)]
    plan = planned(text(b="reduce\ndivide_jobs_by = visit"), rows=rows)
    assert len(plan.jobs) > 2 * SHARD
    run = written(tmp_path / "run", plan)
    shards = [f"jobs/{number:03}/capsules.jsonl" for number in range(1 + len(plan.jobs) // SHARD)]
    assert sorted(contents(run.path)) == sorted([*shards, "common.json", "plan.json", "run.json"])
    for jobnum in (1, SHARD - 1, SHARD, 2 * SHARD, len(plan.jobs)):
        assert capsules.read(run.capsule(jobnum)).jobnum == jobnum
    assert (run.path / shards[1]).read_bytes().count(b"\n") == 1 + SHARD


@pytest.mark.parametrize("death", range(4))
def test_what_a_dead_process_left_is_no_run_directory_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: int
) -> None:
    plan = demo_plan()
    whole = contents(written(tmp_path / "run", plan).path)
    left, replace = tmp_path / "left", os.replace

    def dies(source: Path, target: Path) -> None:
        if len(contents(left)) > death:
            Path(source).write_bytes(Path(source).read_bytes()[:100])
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            written(left, plan)
    with pytest.raises(InputError, match="is no run directory"):
        RunDirectory.read(left)
    written(left, plan)
    found = {
        name: data.replace(str(left).encode(), str(tmp_path / "run").encode()) for name, data in contents(left).items()
    }
    assert {name: data for name, data in found.items() if not name.startswith(".run.json")} == whole

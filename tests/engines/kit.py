"""Runs for tests: made of a table of jobs, with capsules for a fake worker or for the real one."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from facade.engines import local
from facade.engines.local import JobEvent
from facade.engines.rundir import CAPSULES, COMMON, EngineJob, RunDirectory, folder
from facade.needs import NOTHING, Allowance, Needs
from facade.plan.capsule import shard

FAKE = (sys.executable, "-S", str(Path(__file__).with_name("fake_worker.py")))

Table = Mapping[int, tuple[int, tuple[int, ...]]]
"""Job number -> (block, parents)."""

DIAMOND: Table = {1: (0, ()), 2: (0, (1,)), 3: (0, (1,)), 4: (0, (2, 3))}


def make_run(
    path: Path,
    table: Table,
    what: Mapping[int, Any] | None = None,
    needs: Mapping[int, Needs] | None = None,
    max_jobs: Mapping[str, int] | None = None,
) -> RunDirectory:
    """Write a run whose capsules tell the fake worker what to do: ``{"codes": [75, 0]}`` and the like."""
    every = tuple(dict.fromkeys([NOTHING, *(needs or {}).values()]))
    index = {number: every.index((needs or {}).get(number, NOTHING)) for number in table}
    jobs = tuple(
        EngineJob(number, block, parents, f"job {number}", index[number]) for number, (block, parents) in table.items()
    )
    blocks = tuple(f"block{n}" for n in range(1 + max((job.block for job in jobs), default=0)))
    run = RunDirectory(path, "Ht0_r11p01", 1, blocks, jobs, every, max_jobs or {})
    put_capsules(run, {job.jobnum: json.dumps((what or {}).get(job.jobnum, {})) for job in jobs})
    run.write()
    return run


def put_capsules(run: RunDirectory, capsules: Mapping[int, str]) -> None:
    """Write shards of whole capsules, one to a line."""
    run.path.mkdir(exist_ok=True)
    (run.path / COMMON).write_text("{}")
    for place, jobnums in groupby(sorted(capsules), folder):
        listed = list(jobnums)
        file = run.path / place / CAPSULES
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(shard(listed, [capsules[n].encode() for n in listed], None))


def make_real(
    path: Path,
    table: Table,
    scripts: Mapping[int, str],
    spoilt: dict[int, str] | None = None,
    allowance: Allowance | None = None,
    **more: Any,
) -> RunDirectory:
    """Write a run whose jobs each run a line of shell, for the real worker and for HTCondor; some capsules *spoilt*."""
    run = make_run(path, table, **more)
    (path / "archive").mkdir(exist_ok=True)
    texts = {j.jobnum: json.dumps(_capsule(path, j, scripts.get(j.jobnum, "true"), allowance)) for j in run.jobs}
    put_capsules(run, texts | (spoilt or {}))
    return run


def _capsule(path: Path, job: EngineJob, script: str, allowance: Allowance | None) -> dict[str, Any]:
    number = job.jobnum
    log = {"filename": f"Ht0_r11p01_step_w{number:05}.log", "archive_path": "log"}
    step = {
        "task_id": 1000 + number, "wrapnum": number, "module": "step", "wrapper": "generic", "keys": {"n": number},
        "parameters": {}, "allowance": (allowance or Allowance())._asdict(), "log": log, "inputs": [], "lists": [],
        "outputs": [],
        "execs": [{"execnum": 1, "name": "sh", "argv": ["/bin/sh", "-c", script], "version_flag": "", "used": [],
                   "generated": [], "derived": []}],
    }  # fmt: skip
    return {
        "format": 1,
        "attempt": {"name": "Ht0_r11p01", "id": 1, "task_id": 1, "identity": {"reqnum": 11, "unitname": "Ht0"}},
        "block": {"name": "block", "task_id": 2},
        "job": {"jobnum": number, "task_id": 100 + number, "keys": {}},
        "parents": list(job.parents),
        "archive": {"name": "home", "root": str(path / "archive")},
        "environment": {"PATH": os.environ["PATH"]},
        "filetypes": {},
        "quanta": [step],
    }


class Watch:
    """Runs the local engine and keeps what it tells."""

    def __init__(self, run: RunDirectory, **options: Any) -> None:
        self.run, self.events = run, list[JobEvent]()
        self.stop = threading.Event()
        self.options = {"workers": 2, "done": (), "environment": {}, "backoff": 0.02, "command": FAKE} | options
        self.react: Callable[[JobEvent], None] = lambda event: None

    def __call__(self) -> bool:
        return local.run(self.run, on_event=self.take, stop=self.stop, **self.options)

    def take(self, event: JobEvent) -> None:
        self.events.append(event)
        self.react(event)

    def kinds(self, jobnum: int) -> list[str]:
        return [event.kind for event in self.events if event.jobnum == jobnum]

    def jobs(self, kind: str) -> list[int]:
        return [event.jobnum for event in self.events if event.kind == kind]


def diary(run: RunDirectory) -> list[str]:
    """Return what fake workers noted: ``start 1 PID``, ``end 1 PID``."""
    file = run.path / "diary"
    return file.read_text().splitlines() if file.exists() else []


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

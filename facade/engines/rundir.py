"""The run directory of an attempt, as engines see it: jobs, what waits for what, and where each capsule lies.

It knows names and numbers only; what a job does stands in its capsule. ``RUN/run.json`` holds it, so that any process
(an engine, ``facade stat``, the last node of a DAG) can take up a run from its directory alone. It is written last: a
run directory without it is not whole.

    run.json            this table                   jobs/012/capsules.jsonl       what jobs 12000 to 12999 do
    plan.json           the plan, as registered      jobs/012/j012345.receipt.01.jsonl, .lock, .out, .err: of one job
    common.json         what all capsules share      dag/, engine.lock, engine.log, work/: the engines' own
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from facade.errors import InputError
from facade.needs import NOTHING, Needs, from_plain

FILE = "run.json"
COMMON, CAPSULES = "common.json", "capsules.jsonl"
FORMAT = 2
SHARD = 1000
"""Jobs per folder, and capsules per file: a folder with a hundred thousand files is slow on shared file systems, and a
capsule that is sent to another host goes with its whole shard."""

_RECEIPT = re.compile(r"\.receipt\.(\d{2,})\.jsonl$")
_REMEDY = "run.json is written when a campaign is submitted; facade resume ATTEMPT writes a missing one anew"


class EngineJob(NamedTuple):
    """A job as engines see it. *block* and *needs* are indexes into the run's tables, *parents* are jobs of the same
    block."""

    jobnum: int
    block: int
    parents: tuple[int, ...]
    label: str = ""
    needs: int = 0


@dataclass(frozen=True)
class RunDirectory:
    """A run: its directory, the attempt's name (``Ht0_r11p01``) and id, its blocks in order and its jobs.

    Raises:
        InputError: a job is in no block, has another's number, has needs that are not there, or waits for what is no
            other job of its block.
    """

    path: Path
    name: str
    attempt_id: int
    blocks: tuple[str, ...]
    jobs: tuple[EngineJob, ...]
    needs: tuple[Needs, ...] = (NOTHING,)
    max_jobs: Mapping[str, int] = field(default_factory=dict)
    """How many jobs of a category run at once, "" for all jobs; ``max_idle`` how many may be idle in a queue."""
    max_idle: int = 0
    later: tuple[str, ...] = ()
    """Blocks that are not planned yet."""
    archives: tuple[str, ...] = ()
    """Archives that jobs use: the one at home, and that on the cluster's disk, if there is one."""
    homing: str = ""
    """When outputs are brought home from the latter: after each ``block``, at the end of the ``run``, or never."""

    taking: bool = False
    """Whether inputs are copied there before jobs start."""

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def read(cls, path: Path) -> RunDirectory:
        """Read the run directory at *path*.

        Raises:
            InputError: it is no run directory, or its ``run.json`` is damaged.
        """
        return _read(path.absolute())

    def write(self) -> None:
        """Write ``run.json`` in one move: readers see the old one or the new one."""
        import msgspec  # eight times as fast; most of what reads a run directory writes none

        data = msgspec.json.encode(_to_plain(self))
        draft = self.path / f".{FILE}.{os.getpid()}"
        with open(draft, "wb") as stream:
            stream.write(data + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, self.path / FILE)

    @cached_property
    def by_number(self) -> dict[int, EngineJob]:
        """Job number -> job."""
        return {job.jobnum: job for job in self.jobs}

    def capsule(self, jobnum: int) -> Path:
        """Return the name of a job's capsule: the shard that holds it, ``#``, and its number."""
        return self.path / folder(jobnum) / f"{CAPSULES}#{jobnum}"

    def stem(self, jobnum: int) -> Path:
        """Return what the names of all other files of a job begin with."""
        return self.path / folder(jobnum) / f"j{jobnum:06}"

    def receipts(self, jobnum: int) -> list[Path]:
        """Return the receipts of a job, first run first."""
        stem = self.stem(jobnum)
        runs = ((_RECEIPT.search(path.name), path) for path in stem.parent.glob(f"{stem.name}.receipt.*"))
        return [path for _, path in sorted((int(match[1]), path) for match, path in runs if match)]


def folder(jobnum: int) -> str:
    """Return the folder of a job, and of the thousand around it, in any run directory.

    >>> folder(12345)
    'jobs/012'
    """
    return f"jobs/{jobnum // SHARD:03}"


def _read(path: Path) -> RunDirectory:
    file = path / FILE
    try:
        plain = json.loads(file.read_bytes())
        if plain["format"] != FORMAT:
            raise InputError(f"{file} has format {plain['format']}, this facade reads {FORMAT}", remedy=_REMEDY)
        return _from_plain(path, plain)
    except OSError as error:
        raise InputError(f"{path} is no run directory: {FILE}: {error.strerror}", remedy=_REMEDY) from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file} is damaged: {type(error).__name__}: {error}", remedy=_REMEDY) from error


def _to_plain(run: RunDirectory) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": run.name,
        "attempt_id": run.attempt_id,
        "blocks": list(run.blocks),
        "jobs": run.jobs,
        "needs": run.needs,
        "max_jobs": dict(run.max_jobs),
        "max_idle": run.max_idle,
        "later": list(run.later),
        "archives": list(run.archives),
        "homing": run.homing,
        "taking": run.taking,
    }


def _from_plain(path: Path, plain: dict[str, Any]) -> RunDirectory:
    jobs = tuple([EngineJob(int(n), int(b), tuple(map(int, p)), str(t), int(i)) for n, b, p, t, i in plain["jobs"]])
    return RunDirectory(
        path=path,
        name=str(plain["name"]),
        attempt_id=int(plain["attempt_id"]),
        blocks=tuple(map(str, plain["blocks"])),
        jobs=jobs,
        needs=tuple([from_plain(one) for one in plain["needs"]]),
        max_jobs={str(name): int(number) for name, number in plain["max_jobs"].items()},
        max_idle=int(plain["max_idle"]),
        later=tuple(map(str, plain.get("later", ()))),
        archives=tuple(map(str, plain.get("archives", ()))),
        homing=str(plain.get("homing", "")),
        taking=bool(plain.get("taking", False)),
    )


def _check(run: RunDirectory) -> None:
    block_of = {job.jobnum: job.block for job in run.jobs}
    if len(block_of) != len(run.jobs):
        raise InputError(f"run {run.name}: two jobs have one number")
    for job in run.jobs:
        if not 0 <= job.block < len(run.blocks):
            raise InputError(f"run {run.name}: job {job.jobnum} is in block number {job.block}, which is not there")
        if not 0 <= job.needs < len(run.needs):
            raise InputError(f"run {run.name}: job {job.jobnum} has needs number {job.needs}, which are not there")
        for parent in job.parents:
            if block_of.get(parent) != job.block or parent == job.jobnum:
                raise InputError(f"run {run.name}: job {job.jobnum} waits for {parent}, no other job of its block")

"""Capsules: the plan cut into what each job needs, many jobs to a shard (docs/contracts.md). They hold no credentials,
by construction: whatever goes in comes from the plan and from the few arguments below.

What all jobs share is written once, in `common`: the attempt, its surroundings, and of each module what does not differ
between its quanta. The rest of a job is rows of the plan as they are; what their columns are called stands in the
common part. So cutting is picking, and a hundred thousand capsules take a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from operator import attrgetter, itemgetter
from typing import Any

import msgspec

from facade.needs import Allowance
from facade.plan.model import Job, Plan, PlannedExec, PlannedFile, PlannedList, Quantum, Use, simple
from facade.wcl.template import bind_attempt, bind_attempt_in

FORMAT = 2

_COLUMNS = ("wrapnum", "keys", "inputs", "lists", "outputs", "execs", "log", "parameters", "log_path")
"""What a job needs of a quantum; the last two only where quanta of a module differ in them."""
_OFTEN_SHARED = ("parameters", "log_path")
_ENCODER = msgspec.json.Encoder(enc_hook=simple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """The registry's numbers for an attempt: ids of the attempt and of the tasks of blocks, jobs and quanta."""

    attempt_id: int
    attempt: int
    blocks: tuple[int, ...]
    jobs: Mapping[int, int]
    quanta: Mapping[int, int]
    fingerprints: Mapping[int, str] = field(default_factory=dict)
    """What each quantum does (`facade.plan.fingerprint`), as far as it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where jobs run: the attempt's name and number, the archive, and the environment that every program gets."""

    name: str
    attnum: int
    archive: str
    archive_root: str
    environment: Mapping[str, str]
    archive_options: Mapping[str, str] = field(default_factory=dict)
    """How the archive is to be reached; never a secret."""
    target: tuple[str, str, Mapping[str, str]] | None = None
    """The same of the archive on the cluster's disk: name, root, options."""


class Cutter:
    """Cuts one plan for one attempt. The plan need not be bound to it: its number is put into the texts here."""

    def __init__(self, plan: Plan, tasks: Tasks, surroundings: Surroundings) -> None:
        self._plan, self._tasks, self._around = plan, tasks, surroundings
        self._shared = _shared(plan)
        self._columns = {m: [c for c in _COLUMNS if c not in shared] for m, shared in self._shared.items()}
        self._pick = {
            module: itemgetter(*[Quantum._fields.index(column) for column in columns])
            for module, columns in self._columns.items()
        }

    def common(self) -> bytes:
        """Return what the capsules of all jobs share, as JSON."""
        plan, tasks, around = self._plan, self._tasks, self._around
        modules = {
            module: {
                "wrapper": plan.wrappers[module],
                "allowance": plan.allowances.get(module, Allowance())._asdict(),
                "messages": plan.messages.programs.get(module, {}),
                "outputs": plan.outputs.modules.get(module),
                "columns": columns,
                "shared": self._shared[module],
            }
            for module, columns in self._columns.items()
        }
        tree = {
            "format": FORMAT,
            "attempt": {
                "name": around.name,
                "id": tasks.attempt_id,
                "task_id": tasks.attempt,
                "identity": {**plan.identity, "attnum": around.attnum},
            },
            "archive": {"name": around.archive, "root": around.archive_root, "options": dict(around.archive_options)},
            **_kept(plan, around),
            "environment": {**around.environment, **plan.environment},
            "filetypes": dict(sorted(plan.filetypes.items())),
            "blocks": [{"name": b.name, "task_id": t} for b, t in zip(plan.blocks, tasks.blocks, strict=False)],
            "modules": modules,
            "messages": plan.messages.rules,
            "junk": plan.outputs.junk,
            "columns": {
                "file": PlannedFile._fields,
                "use": Use._fields,
                "list": PlannedList._fields,
                "exec": PlannedExec._fields,
            },
        }
        return bind_attempt(_ENCODER.encode(tree).decode(), around.attnum).encode()

    def shards(self, size: int, common: str) -> Iterator[tuple[int, bytes]]:
        """Yield (number, text) of each shard: shard 3 holds the jobs from ``3 * size`` on, as many as there are.

        The first line says where the others begin, and that what they share is in the file *common*.
        """
        ordered = sorted(self._plan.jobs, key=attrgetter("jobnum"))
        for number, jobs in groupby(ordered, lambda job: job.jobnum // size):
            listed = list(jobs)
            text = _ENCODER.encode_lines([self._line(job) for job in listed])
            lines = bind_attempt_in(text, self._around.attnum).splitlines()
            yield number, shard([job.jobnum for job in listed], lines, common)

    def _line(self, job: Job) -> dict[str, Any]:
        """Return a job: rows of its files and quanta, and who makes what comes from elsewhere."""
        plan, tasks, table = self._plan, self._tasks, self._plan.files
        files: dict[int, PlannedFile] = {}
        makers: dict[int, int] = {}
        quanta = []
        for wrapnum in job.quanta:
            quantum = plan.quantum(wrapnum)
            for use in quantum.inputs:
                file = files[use.file] = table[use.file]
                if file.producer > 0 and (maker := plan.job_of[file.producer]) != job.jobnum:
                    makers[file.producer] = maker
            for use in quantum.outputs:
                files[use.file] = table[use.file]
            for listing in quantum.lists:
                files[listing.file] = table[listing.file]
            numbers = tasks.quanta[wrapnum], tasks.fingerprints.get(wrapnum, "")
            quanta.append((quantum.module, *numbers, *self._pick[quantum.module](quantum)))
        return {
            "jobnum": job.jobnum,
            "task_id": tasks.jobs[job.jobnum],
            "block": job.block,
            "keys": job.keys,
            "makers": makers,
            "files": files,
            "quanta": quanta,
        }


def _kept(plan: Plan, around: Surroundings) -> dict[str, Any]:
    """Return which archives jobs read from and store in, where that is not the one at home alone."""
    keeping = plan.keeping
    found: dict[str, Any] = {"stage": "job"} if keeping.ahead else {}
    if around.target is not None:
        name, root, options = around.target
        found["target"] = {"name": name, "root": root, "options": dict(options)}
        found |= {"read": keeping.read(around.archive), "store": keeping.store(around.archive)}
    return found


def shard(jobnums: Sequence[int], lines: Sequence[bytes], common: str | None) -> bytes:
    """Return a shard of one line per job; without a file *common* each line is a whole capsule."""
    starts = list(accumulate([len(line) + 1 for line in lines], initial=0))[:-1]
    head = {"format": FORMAT, "common": common, "jobs": jobnums, "starts": starts}
    return b"\n".join([_ENCODER.encode(head), *lines, b""])


def _shared(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return module -> what all of its quanta share."""
    first: dict[str, Quantum] = {}
    shared: dict[str, dict[str, Any]] = {}
    for quantum in plan.quanta:
        model = first.setdefault(quantum.module, quantum)
        found = shared.setdefault(quantum.module, {name: getattr(quantum, name) for name in _OFTEN_SHARED})
        if quantum.log_path != model.log_path:
            found.pop("log_path", None)
        if quantum.parameters is not model.parameters and quantum.parameters != model.parameters:
            found.pop("parameters", None)
    return shared

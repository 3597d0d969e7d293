"""The plan: a frozen, canonical description of an attempt, before anything runs and whatever runs it.

Files are kept once in a table and referred to by index. Where the attempt number belongs, texts still read
``${attnum}``; `Plan.bind` puts it in, so one plan serves every attempt and its id does not depend on the number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from facade.errors import InputError
from facade.wcl.template import Scalar, bind_attempt

FORMAT = 1

Word = str | tuple[str | tuple[str, ...], ...]
"""A word of a command line: text, or pieces of which a tuple (file, key, …) stands for header values of a file, which
the job reads just before the program runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A file that the plan reads or makes. ``producer`` is the wrapnum of the quantum that makes it, 0 for a registered
    input (then ``size`` in bytes and ``checksum`` are known) and -1 for a list file, which planning itself writes."""

    filename: str
    compression: str
    filetype: str
    archive_path: str
    producer: int = 0
    size: int | None = None
    checksum: str | None = None
    metadata: Mapping[str, Scalar]
    optional: bool = False
    save: bool = True

    @property
    def name(self) -> str:
        """File name with compression suffix: the file's identity."""
        return self.filename + self.compression


@dataclass(frozen=True, slots=True)
class Use:
    """A quantum reads or writes file number ``file`` in directory ``path`` of the job, for a section of its module."""

    section: str
    file: int
    path: str
    rename: str = ""


@dataclass(frozen=True, slots=True)
class PlannedList:
    """A list file of a quantum with its whole content."""

    section: str
    file: int
    path: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedExec:
    """One program of a quantum; files by index; ``derived`` holds (child, parent)."""

    num: int
    argv: tuple[Word, ...]
    used: tuple[int, ...]
    generated: tuple[int, ...]
    derived: tuple[tuple[int, int], ...]
    version_flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantum:
    """One execution of a module: the unit of state, retry, reuse and provenance."""

    wrapnum: int
    module: str
    keys: Mapping[str, Scalar]
    inputs: tuple[Use, ...]
    lists: tuple[PlannedList, ...]
    outputs: tuple[Use, ...]
    parameters: Mapping[str, str]
    execs: tuple[PlannedExec, ...]
    log: str
    log_path: str

    @property
    def label(self) -> str:
        """``module key=value …``: how people are told about it."""
        return " ".join([self.module, *(f"{k}={v}" for k, v in self.keys.items())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Quanta that share one slot and one job directory. ``parents`` are jobs of the same block that must end first."""

    jobnum: int
    block: int
    keys: Mapping[str, Scalar]
    quanta: tuple[int, ...]
    parents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlannedBlock:
    """Name and modules of a block."""

    name: str
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlannedQuery:
    """A query that found inputs, as it was run."""

    module: str
    dataset: str
    program: str
    version: str
    arguments: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything an engine has to know about an attempt."""

    identity: Mapping[str, Scalar]
    archive_path: str
    blocks: tuple[PlannedBlock, ...]
    wrappers: Mapping[str, str]
    filetypes: Mapping[str, Mapping[str, Any]]
    files: tuple[PlannedFile, ...]
    quanta: tuple[Quantum, ...]
    jobs: tuple[Job, ...]
    queries: tuple[PlannedQuery, ...] = ()
    environment: Mapping[str, str]

    def quantum(self, wrapnum: int) -> Quantum:
        """Return the quantum with this number; they are numbered from 1 in order."""
        return self.quanta[wrapnum - 1]

    @property
    def unit(self) -> tuple[int, str]:
        """(reqnum, unitname)."""
        return int(str(self.identity["reqnum"])), str(self.identity["unitname"])

    @cached_property
    def job_of(self) -> Mapping[int, int]:
        """Quantum number -> number of its job."""
        return {wrapnum: job.jobnum for job in self.jobs for wrapnum in job.quanta}

    @cached_property
    def text(self) -> str:
        """The canonical JSON: sorted keys, no blanks; equal plans give equal text."""
        return json.dumps(_to_plain(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @cached_property
    def plan_id(self) -> str:
        """SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def bind(self, attnum: int) -> Plan:
        """Return the plan with the attempt number in every name."""
        bound = from_text(bind_attempt(self.text, attnum))
        object.__setattr__(bound, "identity", {**bound.identity, "attnum": attnum})
        return bound


def _to_plain(plan: Plan) -> dict[str, Any]:
    """Return plain data; keys are pairs, because their order is that of the loop and JSON's is sorted."""
    return {
        "format": FORMAT,
        "identity": dict(plan.identity),
        "archive_path": plan.archive_path,
        "blocks": [[b.name, list(b.modules)] for b in plan.blocks],
        "wrappers": dict(plan.wrappers),
        "filetypes": dict(plan.filetypes),
        "environment": dict(plan.environment),
        "files": [
            [f.filename, f.compression, f.filetype, f.archive_path, f.producer, f.size, f.checksum, dict(f.metadata),
             f.optional, f.save]
            for f in plan.files
        ],
        "quanta": [
            [q.wrapnum, q.module, [list(pair) for pair in q.keys.items()], [_use(u) for u in q.inputs],
             [[x.section, x.file, x.path, x.content] for x in q.lists], [_use(u) for u in q.outputs],
             dict(q.parameters),
             [[e.num, list(e.argv), list(e.used), list(e.generated), [list(d) for d in e.derived], e.version_flag]
              for e in q.execs],
             q.log, q.log_path]
            for q in plan.quanta
        ],
        "jobs": [
            [j.jobnum, j.block, [list(pair) for pair in j.keys.items()], list(j.quanta), list(j.parents)]
            for j in plan.jobs
        ],
        "queries": [[q.module, q.dataset, q.program, q.version, q.arguments, q.rows] for q in plan.queries],
    }  # fmt: skip


def _use(use: Use) -> list[Any]:
    return [use.section, use.file, use.path, use.rename]


def from_text(text: str) -> Plan:
    """Read a plan back from its JSON.

    Raises:
        InputError: it is no plan, or one of another format.
    """
    try:
        plain = json.loads(text)
        if plain["format"] != FORMAT:
            raise InputError(f"the plan has format {plain['format']}, this facade reads {FORMAT}", remedy="plan again")
        return _from_plain(plain)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"this is no plan: {error}", remedy="make one with: facade plan CAMPAIGN -o FILE") from None


def _from_plain(plain: dict[str, Any]) -> Plan:
    return Plan(
        identity=plain["identity"],
        archive_path=plain["archive_path"],
        blocks=tuple(PlannedBlock(name, tuple(modules)) for name, modules in plain["blocks"]),
        wrappers=plain["wrappers"],
        filetypes=plain["filetypes"],
        environment=plain["environment"],
        files=tuple(
            PlannedFile(filename=f[0], compression=f[1], filetype=f[2], archive_path=f[3], producer=f[4], size=f[5],
                        checksum=f[6], metadata=f[7], optional=f[8], save=f[9])
            for f in plain["files"]
        ),
        quanta=tuple(
            Quantum(wrapnum=q[0], module=q[1], keys=dict(q[2]), inputs=tuple(Use(*u) for u in q[3]),
                    lists=tuple(PlannedList(*x) for x in q[4]), outputs=tuple(Use(*u) for u in q[5]),
                    parameters=q[6], execs=tuple(_exec(e) for e in q[7]), log=q[8], log_path=q[9])
            for q in plain["quanta"]
        ),
        jobs=tuple(
            Job(jobnum=number, block=block, keys=dict(keys), quanta=tuple(quanta), parents=tuple(parents))
            for number, block, keys, quanta, parents in plain["jobs"]
        ),
        queries=tuple(PlannedQuery(*q) for q in plain["queries"]),
    )  # fmt: skip


def _exec(e: list[Any]) -> PlannedExec:
    derived = tuple((child, parent) for child, parent in e[4])
    return PlannedExec(
        num=e[0],
        argv=tuple(_word(word) for word in e[1]),
        used=tuple(e[2]),
        generated=tuple(e[3]),
        derived=derived,
        version_flag=e[5],
    )


def _word(word: Any) -> Word:
    return word if isinstance(word, str) else tuple(p if isinstance(p, str) else tuple(p) for p in word)

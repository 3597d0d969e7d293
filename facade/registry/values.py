"""What goes into the registry and what comes out of it, as values. Knows no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, NotRequired, TypedDict

from facade.states import State

Line = Mapping[str, Any]
"""One line of a receipt: ``seq``, ``at``, ``kind`` and what docs/contracts.md lists for its kind."""

FileKey = tuple[str, str]
"""The identity of a file: (filename, compression)."""

DIMENSIONS = {
    "overlap": ("version", "tract", "patch", "visit", "ccd"),
    "skymap": ("version", "tract", "patch"),
    "calibration_lookup": ("version", "filetype", "filename", "validstart"),
    "visit_tag": ("version", "tag", "visit"),
    "blacklist": ("version", "visit", "ccd", "code"),
}
"""Dimension tables, with the key that orders each; none of its columns is ever null."""


class Block(TypedDict):
    """A block to register: its name and the modules it runs, in order."""

    name: str
    modules: Sequence[str]


class Job(TypedDict):
    """A job to register; ``block`` counts the registered blocks from 0, ``quanta`` is how many it will run."""

    jobnum: int
    block: int
    keys: Mapping[str, Any]
    quanta: int


class Quantum(TypedDict):
    """A quantum to register; ``jobnum`` is the job that runs it."""

    wrapnum: int
    module: str
    wrapper: str
    jobnum: int
    keys: Mapping[str, Any]
    fingerprints: NotRequired[tuple[str, str]]
    """What it does, and that with its inputs (`facade.plan.fingerprint`)."""
    reason: NotRequired[str]
    """Why it is run (`facade.plan.decide.Reason`)."""
    outputs: NotRequired[Sequence[FileKey]]
    """The files that it promises."""


class LeftOut(TypedDict):
    """A quantum of the plan that is not run; ``source`` is the task of the quantum whose outputs are taken instead."""

    wrapnum: int
    module: str
    keys: Mapping[str, Any]
    decision: str
    reason: str
    source: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """What the planning of later blocks goes on from: the campaign's text as it was submitted, the rows found so far
    (JSON), and how far reuse reaches (`facade.reuse.Wish`)."""

    campaign: str
    found: bytes
    reuse: str
    verify: str


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of a quantum of a plan: the quantum ``task_id`` made its files, in this attempt or in another.

    A file is (filename, compression, size, checksum, folder in the archive or None); None is one that it did not make.
    """

    wrapnum: int
    own: bool
    decision: str
    reason: str
    task_id: int | None
    attempt: str
    files: tuple[tuple[str, str, int, str, str | None] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplanned:
    """A block that is not planned yet; ``detail`` says why its planning failed, if it did."""

    task_id: int
    name: str
    modules: tuple[str, ...]
    state: State
    detail: str


class DataQuery(TypedDict):
    """A question that planning asked, and how many rows the answer had."""

    modname: str
    dataname: str
    program: str
    version: str
    arguments: str
    row_count: int


class Column(TypedDict):
    """A metadata column: ``type`` is one of `facade.metadata.COLUMN_TYPES`; the rest as in `facade.files.FileType`."""

    type: str
    source: NotRequired[str]
    required: NotRequired[bool]
    unit: NotRequired[str]
    ucd: NotRequired[str]
    description: NotRequired[str]


class FileType(TypedDict):
    """Where the metadata of a filetype go (``None``: it has none), and which columns it has."""

    metadata_table: str | None
    columns: Mapping[str, Column]


class NewFile(TypedDict):
    """A file to ingest; ``path`` is its directory below the root of ``archive``; ``size`` is in bytes."""

    filename: str
    compression: str
    filetype: str
    size: int
    checksum: str
    metadata: Mapping[str, Any]
    path: str
    archive: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """The database's names for an attempt and everything in it."""

    attempt_id: int
    attempt_task: int
    blocks: tuple[int, ...]
    jobs: Mapping[int, int]
    quanta: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt as the registry has it. ``engine_job`` is a cluster id or a process id."""

    id: int
    task_id: int
    name: str
    reqnum: int
    unitname: str
    attnum: int
    project: str
    campaign: str | None
    pipeline: str | None
    operator: str
    submit_key: str
    plan_id: str
    engine: str | None
    engine_job: str | None
    run_dir: str
    archive_path: str | None
    data_state: str
    submittime: datetime
    state: State
    start_time: datetime | None
    end_time: datetime | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many quanta of one module of one block are in one state."""

    blknum: int
    block: str
    modname: str
    state: State
    quanta: int


class Message(NamedTuple):
    """What a program printed that matches a message pattern; ``level`` is 1 error, 2 warning, 3 information."""

    level: int
    message: str
    line: int
    """Number of its line in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A quantum that failed or is blocked or lost, and why. ``log`` is the log's full path, where it is in an archive.

    ``exit_code`` is 128 + signal when a signal ended the program.
    """

    task_id: int
    wrapnum: int
    jobnum: int
    modname: str
    keys: Mapping[str, Any]
    state: State
    failure_class: str | None
    step: str | None
    message: str | None
    exit_code: int | None
    tail: str | None
    log: str | None
    host: str | None
    end_time: datetime | None
    messages: tuple[Message, ...] = ()
    """The worst of what its programs printed, the last of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job at work: where, since when, and which quantum is at which step (all None before its first quantum)."""

    task_id: int
    jobnum: int
    run: int
    host: str | None
    batch_id: str | None
    slot: str | None
    start_time: datetime | None
    wrapnum: int | None
    modname: str | None
    step: State | None
    step_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One attempt at a glance: how far each block is, what failed and what runs."""

    attempt: Attempt
    blocks: Mapping[str, State]
    unplanned: tuple[Unplanned, ...]
    counts: tuple[Count, ...]
    jobs: Mapping[State, int]
    failures: tuple[Failure, ...]
    running: tuple[RunningJob, ...]
    reused: Mapping[str, int]
    """Attempt -> how many of its quanta this one reuses."""
    left_out: Mapping[str, int]
    """Decision -> how many quanta of the plan are not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What one ingestion did: its task (None: nothing was new), how many files were new and how many were there
    already, the ids of the new ones, and why others were refused."""

    task_id: int | None
    new: int
    present: int
    made: Mapping[FileKey, int]
    refused: Mapping[FileKey, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question in SQL: column names (also when there is no row) and rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def dicts(self) -> list[dict[str, Any]]:
        """Return each row as a mapping from column name to value."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

"""The plan: a frozen, canonical description of an attempt, before anything runs and whatever runs it.

Files are kept once in a table and referred to by index. Where the attempt number belongs, texts still read
``${attnum}``; `Plan.bind` puts it in, so one plan serves every attempt and its id does not depend on the number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar

import msgspec

from facade.errors import InputError
from facade.keeping import AT_HOME, Keeping, keeping_of
from facade.needs import NOTHING, Allowance, Needs, from_plain
from facade.outputs import NOTHING_SPECIAL, Outputs, outputs_of
from facade.plan.memory import uncollected
from facade.plan.messages import NO_MESSAGES, Messages
from facade.plan.messages import from_plain as read_messages
from facade.wcl.template import Scalar, bind_attempt

FORMAT = 1
PIECE = 2000
"""Quanta, files or jobs in a piece of a plan's JSON: no list of all of them is made in between."""
KEPT = 200_000
"""Quanta up to which a plan keeps its JSON: it is asked for its id, by the registry and for the run directory."""

T = TypeVar("T")
Word = str | tuple[str | tuple[str, ...], ...]
"""A word of a command line: text, or pieces of which a tuple (file, key, …) stands for header values of a file, which
the job reads just before the program runs."""


def maker_of(kind: type[T]) -> Callable[[tuple[Any, ...]], T]:
    """Return what makes a *kind*, a NamedTuple, of the tuple of all its values: in half the time that calling it takes.

    For what is made a hundred thousand times; nothing is checked, and no value may be left out.
    """
    return partial(tuple.__new__, kind)  # type: ignore[type-var]


class PlannedFile(NamedTuple):
    """A file that the plan reads or makes. ``producer`` is the wrapnum of the quantum that makes it, 0 for a registered
    input (then ``size`` in bytes and ``checksum`` are known) and -1 for a list file, which planning itself writes.
    ``staged`` is the name under which jobs see it, where that is not its own (`facade.plan.applied`)."""

    filename: str
    compression: str
    filetype: str
    archive_path: str
    producer: int
    size: int | None
    checksum: str | None
    metadata: Mapping[str, Scalar]
    optional: bool = False
    save: bool = True
    staged: str = ""

    @property
    def name(self) -> str:
        """File name with compression suffix: the file's identity."""
        return self.filename + self.compression


class Use(NamedTuple):
    """A quantum reads or writes file number ``file`` in directory ``path`` of the job, for a section of its module."""

    section: str
    file: int
    path: str
    rename: str = ""


class PlannedList(NamedTuple):
    """A list file of a quantum with its whole content."""

    section: str
    file: int
    path: str
    content: str


class PlannedExec(NamedTuple):
    """One program of a quantum; files by index; ``derived`` holds (child, parent)."""

    num: int
    argv: tuple[Word, ...]
    used: tuple[int, ...]
    generated: tuple[int, ...]
    derived: tuple[tuple[int, int], ...]
    version_flag: str


class Quantum(NamedTuple):
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
        return label(self.module, self.keys)


def label(module: str, keys: Mapping[str, Scalar]) -> str:
    """Return ``module key=value …``: how people are told about a quantum."""
    return " ".join([module, *(f"{k}={v}" for k, v in keys.items())])


class Job(NamedTuple):
    """Quanta that share one slot and one job directory. ``parents`` are jobs of the same block that must end first;
    ``needs`` is an index into the plan's table of what jobs need."""

    jobnum: int
    block: int
    keys: Mapping[str, Scalar]
    quanta: tuple[int, ...]
    parents: tuple[int, ...]
    needs: int = 0


class PlannedBlock(NamedTuple):
    """Name and modules of a block."""

    name: str
    modules: tuple[str, ...]


class PlannedQuery(NamedTuple):
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
    later: tuple[PlannedBlock, ...] = ()
    """Blocks that are not planned yet: their queries are to see what the others make (`facade.plan.growth`)."""
    wrappers: Mapping[str, str]
    filetypes: Mapping[str, Mapping[str, Any]]
    files: tuple[PlannedFile, ...]
    quanta: tuple[Quantum, ...]
    jobs: tuple[Job, ...]
    queries: tuple[PlannedQuery, ...] = ()
    environment: Mapping[str, str]
    allowances: Mapping[str, Allowance] = field(default_factory=dict)
    """What quanta of a module may take, where anything is said of it."""
    needs: tuple[Needs, ...] = (NOTHING,)
    """What jobs need: they refer to it by index."""
    max_jobs: Mapping[str, int] = field(default_factory=dict)
    """How many jobs of a category run at once, "" for all jobs; ``max_idle`` how many may be idle in a queue."""
    max_idle: int = 0
    messages: Messages = NO_MESSAGES
    """What is looked for in what programs print."""
    outputs: Outputs = NOTHING_SPECIAL
    keeping: Keeping = AT_HOME
    """Which archive keeps what."""
    """What becomes of outputs besides being checked and saved as `PlannedFile` says."""

    def quantum(self, wrapnum: int) -> Quantum:
        """Return the quantum with this number."""
        if wrapnum <= len(self.quanta) and (found := self.quanta[wrapnum - 1]).wrapnum == wrapnum:
            return found
        return self._numbered[wrapnum]

    @cached_property
    def _numbered(self) -> Mapping[int, Quantum]:
        """Number -> quantum: numbers count from 1, with gaps where quanta need not run."""
        return {quantum.wrapnum: quantum for quantum in self.quanta}

    @property
    def unit(self) -> tuple[int, str]:
        """(reqnum, unitname)."""
        return int(str(self.identity["reqnum"])), str(self.identity["unitname"])

    @cached_property
    def job_of(self) -> Mapping[int, int]:
        """Quantum number -> number of its job."""
        return {wrapnum: job.jobnum for job in self.jobs for wrapnum in job.quanta}

    def pieces(self) -> Iterator[bytes]:
        """Yield the canonical JSON in UTF-8, piece by piece: sorted keys, no blanks; equal plans give equal bytes."""
        return iter(self._kept) if len(self.quanta) <= KEPT else self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        for index, (key, value) in enumerate(sorted(_to_plain(self).items())):
            yield (b"," if index else b"{") + encoded(key) + b":"
            if callable(value):
                yield from value()
            else:
                yield encoded(value)
        yield b"}"

    @property
    def data(self) -> bytes:
        """The canonical JSON in UTF-8 as a whole."""
        return b"".join(self.pieces())

    @cached_property
    def _kept(self) -> tuple[bytes, ...]:
        with uncollected():
            return tuple(self._pieces())

    @property
    def text(self) -> str:
        """The canonical JSON as text."""
        return self.data.decode()

    @cached_property
    def plan_id(self) -> str:
        """SHA-256 of the canonical JSON, in hex."""
        found = hashlib.sha256()
        for piece in self.pieces():
            found.update(piece)
        return found.hexdigest()

    def bind(self, attnum: int) -> Plan:
        """Return the plan with the attempt number in every name. Goes through its JSON, so it takes its time: whoever
        writes texts of a plan puts the number into those (`bind_attempt`)."""
        bound = from_text(bind_attempt(self.text, attnum))
        object.__setattr__(bound, "identity", {**bound.identity, "attnum": attnum})
        return bound


def bound_keys(keys: Mapping[str, Scalar], attnum: int) -> Mapping[str, Scalar]:
    """Return keys of a job or quantum with the attempt number in its place, where one holds it."""
    if not any(isinstance(value, str) and "${attnum" in value for value in keys.values()):
        return keys
    return {key: bind_attempt(value, attnum) if isinstance(value, str) else value for key, value in keys.items()}


def simple(value: object) -> str:
    """Return quoted literals, a kind of text of their own (`facade.wcl.template.Quoted`), as text."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a plan")


_ENCODER = msgspec.json.Encoder(enc_hook=simple, order="deterministic")


def encoded(value: object) -> bytes:
    """Return a value as canonical JSON; tuples are lists. (Five times as fast as the standard library.)"""
    return _ENCODER.encode(value)


def _to_plain(plan: Plan) -> dict[str, Any]:
    """Return plain data, or what yields its JSON; keys are pairs, for their order is that of the loop."""
    return {
        "format": FORMAT,
        "identity": dict(plan.identity),
        "archive_path": plan.archive_path,
        "blocks": plan.blocks,
        **({"later": plan.later} if plan.later else {}),
        "wrappers": dict(plan.wrappers),
        "filetypes": dict(plan.filetypes),
        "environment": dict(plan.environment),
        "files": _listed(plan.files, lambda files: files),
        "quanta": _listed(plan.quanta, lambda quanta: [(q[0], q[1], list(q.keys.items()), *q[3:]) for q in quanta]),
        "jobs": _listed(plan.jobs, lambda jobs: [(j[0], j[1], list(j.keys.items()), *j[3:]) for j in jobs]),
        "queries": plan.queries,
        "needs": plan.needs,
        "allowances": dict(plan.allowances),
        "max_jobs": dict(plan.max_jobs),
        "max_idle": plan.max_idle,
        **({"messages": plan.messages} if plan.messages.rules else {}),
        **({"outputs": plan.outputs} if plan.outputs != NOTHING_SPECIAL else {}),
        **({"keeping": plan.keeping} if plan.keeping != AT_HOME else {}),
    }


def _listed(values: Sequence[T], plain: Callable[[Sequence[T]], Sequence[object]]) -> Callable[[], Iterator[bytes]]:
    """Return what yields the JSON of a long list in pieces."""

    def pieces() -> Iterator[bytes]:
        yield b"["
        for start in range(0, len(values), PIECE):
            yield (b"," if start else b"") + encoded(plain(values[start : start + PIECE]))[1:-1]
        yield b"]"

    return pieces


def from_text(text: str) -> Plan:
    """Read a plan back from its JSON.

    Raises:
        InputError: it is no plan, or one of another format.
    """
    try:
        with uncollected():
            plain = json.loads(text)
        if plain["format"] != FORMAT:
            raise InputError(f"the plan has format {plain['format']}, this facade reads {FORMAT}", remedy="plan again")
        with uncollected():
            return _from_plain(plain)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"this is no plan: {error}", remedy="make one with: facade plan CAMPAIGN -o FILE") from None


def _from_plain(plain: dict[str, Any]) -> Plan:
    return Plan(
        identity=plain["identity"],
        archive_path=plain["archive_path"],
        blocks=_blocks(plain["blocks"]),
        later=_blocks(plain.get("later", ())),
        wrappers=plain["wrappers"],
        filetypes=plain["filetypes"],
        environment=plain["environment"],
        files=tuple(PlannedFile._make(f) for f in plain["files"]),
        quanta=tuple(
            Quantum(number, module, dict(keys), _uses(inputs), tuple(PlannedList._make(one) for one in lists),
                    _uses(outputs), parameters, tuple(_exec(e) for e in execs), log, log_path)
            for number, module, keys, inputs, lists, outputs, parameters, execs, log, log_path in plain["quanta"]
        ),
        jobs=tuple(
            Job(number, block, dict(keys), tuple(quanta), tuple(parents), needs)
            for number, block, keys, quanta, parents, needs in plain["jobs"]
        ),
        queries=tuple(PlannedQuery(*q) for q in plain["queries"]),
        allowances={module: Allowance._make(one) for module, one in plain["allowances"].items()},
        needs=tuple(from_plain(one) for one in plain["needs"]),
        max_jobs=plain["max_jobs"],
        max_idle=plain["max_idle"],
        messages=read_messages(plain.get("messages")),
        outputs=outputs_of(plain.get("outputs")),
        keeping=keeping_of(plain.get("keeping")),
    )  # fmt: skip


def _blocks(plain: Sequence[Any]) -> tuple[PlannedBlock, ...]:
    return tuple([PlannedBlock(name, tuple(modules)) for name, modules in plain])


def _uses(plain: list[Any]) -> tuple[Use, ...]:
    return tuple([Use._make(use) for use in plain])


def _exec(plain: list[Any]) -> PlannedExec:
    num, argv, used, generated, derived, version_flag = plain
    pairs = tuple([(child, parent) for child, parent in derived])
    return PlannedExec(num, tuple([_word(w) for w in argv]), tuple(used), tuple(generated), pairs, version_flag)


def _word(word: Any) -> Word:
    return word if isinstance(word, str) else tuple(p if isinstance(p, str) else tuple(p) for p in word)

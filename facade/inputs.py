"""Running the queries of a campaign: the only input and output of planning, and it happens before planning."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from facade import __version__
from facade.answers import OUTPUT_FILE, Lines, QueryError, ask, version
from facade.campaign import Campaign, Dataset, Module, QuerySpec
from facade.errors import CampaignError, FacadeError, Fault, InputError, MissingInputError, some
from facade.files import split_compression
from facade.plan import Inputs, MissingFiles, Plan, PlannedQuery, plan
from facade.plan.growth import stage
from facade.plugins import Row, Rows
from facade.wcl import BadReference, Document, MissingVariable, Scope, Value, bind_attempt, loads

SHOWN = 10  # names of files in one message
_ODD = re.compile(r"^.|[^A-Za-z0-9_.-]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as it is asked: program, its version, its arguments as text, and what an executable writes."""

    program: str
    version: str
    arguments: str
    output_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What planning was told so far: rows by dataset, registered files by name (None: looked up, and not there),
    queries as they were asked, expected seconds of a module's quanta. What was found once is not asked again.
    """

    datasets: Mapping[str, Lines] = field(default_factory=dict)
    names: Mapping[str, Row | None] = field(default_factory=dict)
    queries: tuple[PlannedQuery, ...] = ()
    times: Mapping[str, float] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        """All of it as JSON."""
        plain = {"datasets": self.datasets, "names": self.names, "queries": self.queries, "times": self.times}
        return json.dumps(plain, ensure_ascii=False).encode()

    @classmethod
    def read(cls, data: bytes) -> Found:
        """Read what `data` gave."""
        plain = json.loads(data)
        queries = tuple([PlannedQuery(*query) for query in plain["queries"]])
        return cls(datasets=plain["datasets"], names=plain["names"], queries=queries, times=plain["times"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the planning of a campaign stands: how many blocks are *planned*, what was *found* for them, and what they
    have *made*, by (filename, compression): what the plan calls it. ``attnum`` is known once there is an attempt."""

    planned: int = 0
    found: Found = field(default_factory=Found)
    made: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    attnum: int | None = None


class Source(Protocol):
    """Where rows come from: the registry."""

    @property
    def rows(self) -> Rows:
        """What query codes may ask."""

    def lookup(self, names: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Row]:
        """Return the registered files among *names*, each (filename, compression)."""

    def run_times(self, project: str, campaign: str | None, modules: Sequence[str]) -> Mapping[str, tuple[float, int]]:
        """Return, by module, the median of the seconds that quanta took so far, and of how many."""


class QueryRunner:
    """Runs each distinct query of a campaign, or of some of its *modules*, once."""

    def __init__(
        self,
        campaign: Campaign,
        source: Source,
        modules: Sequence[Module] | None = None,
        standing: Standing | None = None,
    ) -> None:
        self.campaign, self.source = campaign, source
        self._modules = campaign.modules if modules is None else modules
        self._standing = standing or Standing()
        self._answers: dict[Asked, Lines | FacadeError] = {}
        self.queries: list[PlannedQuery] = []
        self.datasets: dict[str, Lines] = {}

    def run(self) -> None:
        """Run all queries.

        Raises:
            CampaignError: with every query that could not be run.
            MissingInputError: with every query whose files are not in the archive.
        """
        faults: list[Fault] = []
        missing: list[Fault] = []
        for module in self._modules:
            for kind, spec, query in _queries(module):
                try:
                    self._dataset(module, kind, spec, query)
                except (InputError, MissingVariable, BadReference) as error:
                    faults.append(self._fault(error, query))
                except MissingInputError as error:
                    missing.append(self._fault(error, query))
        if faults:
            raise CampaignError(dict.fromkeys(faults))
        if missing:
            raise MissingInputError("\n".join(dict.fromkeys(map(str, missing))))

    def _fault(self, error: Exception, query: QuerySpec) -> Fault:
        fault = self.campaign.document.fault
        if isinstance(error, MissingVariable):
            return fault(str(error), query.at, code=error.code)
        code = "F605" if isinstance(error, MissingInputError) else (getattr(error, "code", "") or "F601")
        message, remedy = (error.message, error.remedy) if isinstance(error, FacadeError) else (str(error), "")
        return fault(message, query.at, code=code, remedy=remedy)

    def _dataset(self, module: Module, kind: str, spec: Dataset, query: QuerySpec) -> None:
        scope = self.campaign.scope(module, spec.section)
        program = (
            scope.resolve(query.at) if isinstance(query.at, Value) and query.program != "generic" else query.program
        )
        words = _words(scope, query) if program == "generic" and query.fields else _arguments(scope, query)
        if (attnum := self._standing.attnum) is not None:
            words = [bind_attempt(word, attnum) for word in words]
        asked = Asked(program, version(program), shlex.join(words), query.output_type)
        if asked not in self._answers:
            try:
                self._answers[asked] = self._located(ask(program, words, self.source.rows, query.output_type), program)
            except FacadeError as error:
                self._answers[asked] = error
        answer = self._answers[asked]
        if isinstance(answer, FacadeError):
            raise answer
        lines: Lines = [{nick or spec.name: row for nick, row in line.items()} for line in answer]
        if self._standing.made:
            lines = [{nick: self._planned(row) for nick, row in line.items()} for line in lines]
        _check_output(lines, query, program)
        self.datasets[f"{module.name}.{kind}.{spec.name}"] = lines
        self.queries.append(
            PlannedQuery(module.name, f"{kind}.{spec.name}", program, asked.version, asked.arguments, len(lines))
        )

    def _planned(self, row: Row) -> Row:
        """Return *row*; a file that earlier blocks made is called as the plan calls it."""
        key = str(row.get("filename") or ""), str(row.get("compression") or "")
        if (name := self._standing.made.get(key)) is None:
            return row
        kept = {column: value for column, value in row.items() if column not in ("path", "filesize", "checksum")}
        return {**kept, "filename": name[0], "compression": name[1]}

    def _located(self, lines: Lines, program: str) -> Lines:
        """Return *lines* with what the registry knows of files of which a query tells the name alone."""
        names = {key for line in lines for row in line.values() if (key := _unknown(row)) is not None}
        if not names:
            return lines
        found = self.source.lookup(sorted(names))
        if lost := sorted("".join(key) for key in names if key not in found or found[key].get("path") is None):
            lie = "are not registered, or lie in no archive that jobs read"
            raise MissingInputError(
                f"query '{program}' answers with files that {lie}: {some(lost, SHOWN)}",
                remedy="register them: facade ingest",
            )
        keys = ("filename", "compression", "filetype", "filesize", "checksum", "path")
        known = {key: {name: row.get(name) for name in keys} for key, row in found.items()}
        return [
            {nick: row if (key := _unknown(row)) is None else {**row, **known[key]} for nick, row in line.items()}
            for line in lines
        ]


def _queries(module: Module) -> Iterator[tuple[str, Dataset, QuerySpec]]:
    """Yield the datasets of *module* that a query finds, lists that list_order names first."""
    every: list[tuple[str, Dataset]] = [
        ("list", module.lists[name]) for name in module.list_order if name in module.lists
    ]
    every += [("file", spec) for spec in module.files.values()]
    every += [("list", spec) for spec in module.lists.values() if spec.name not in module.list_order]
    for kind, spec in every:
        # a file that depends on another module takes that (F327)
        if spec.query is not None and not (kind == "file" and spec.depends):
            yield kind, spec, spec.query


def _unknown(row: Row) -> tuple[str, str] | None:
    """Return the name of a file of which *row* does not say where it lies; None for all others."""
    if "path" in row or not row.get("filename"):
        return None
    name = str(row["filename"])
    return (name, str(row["compression"])) if row.get("compression") else split_compression(name)


def _arguments(scope: Scope, query: QuerySpec) -> list[str]:
    """Return the words of ``args``; an executable's own output file is named when it runs."""
    scope.late = frozenset(OUTPUT_FILE)
    return [
        word.format({name: f"{{{name}}}" for name in OUTPUT_FILE}) for word in scope.compile(query.arguments).words()
    ]


def _words(scope: Scope, query: QuerySpec) -> list[str]:
    """Return the arguments of a generic query that is spelled in ``query_fields`` and its kin."""
    section = scope.search
    filetype = scope.resolve(section.value("filetype") or "") if section is not None else ""
    words = ["--filetype", filetype] if filetype else ["--table", query.table]
    words += ["--join", scope.resolve(query.join)] if query.join else []
    words += ["--output", ",".join(query.output)] if query.output else []
    own = ("filetype", "desfile.filetype", f"{query.table}.filetype") if filetype else ()
    return words + [f"{name}={_wanted(scope, value)}" for name, value in query.fields if name not in own]


def _wanted(scope: Scope, value: Value) -> str:
    """Return a value as the generic query reads it: what is one scalar in the campaign is one there."""
    scope.resolve(value)  # it must be known by now
    parts = scope.compile(value).parts
    if (
        len(parts) == 1
        and type(parts[0]) is not str
        and (quote := next((q for q in "\"'" if q not in str(parts[0])), ""))
    ):
        return f"{quote}{parts[0]}{quote}"
    text = "".join(str(part) if type(part) is str else _ODD.sub(r"\\\g<0>", str(part)) for part in parts)
    brackets = text.startswith("(") and text.endswith(")") and "(" not in text[1:] and ")" not in text[:-1]
    return text[1:-1] if brackets else text if parts else '""'


def _check_output(lines: Lines, query: QuerySpec, program: str) -> None:
    """Check that each line has the columns that output_fields names; the generic query cannot but supply them."""
    wanted = [name.rpartition(".")[2] for name in query.output] if not query.fields else []
    for number, line in enumerate(lines if wanted else (), 1):
        if lacks := [name for name in wanted if not any(name in row for row in line.values())]:
            has = ", ".join(dict.fromkeys(column for row in line.values() for column in row))
            message = f"line {number} of query '{program}' has no column '{lacks[0]}', which output_fields names"
            raise QueryError(message, remedy=f"it has: {has}", code="F606")


def planned(campaign: Campaign, source: Source) -> Plan:
    """Run the queries, then plan; see `plan_on`."""
    return plan_on(campaign, source, Standing())[0]


def plan_on(campaign: Campaign, source: Source, standing: Standing) -> tuple[Plan, Found]:
    """Run the queries of the blocks that come next, then plan all blocks so far; return what was found for them too.

    Files that the campaign names, and no query found, are looked up by name.

    Raises:
        CampaignError, MissingInputError: as `facade.plan.plan` and `QueryRunner.run`.
    """
    blocks, before = stage(campaign, standing.planned), standing.found
    modules = [module for block in campaign.blocks[standing.planned : blocks] for module in block.modules]
    runner = QueryRunner(campaign, source, modules, standing)
    runner.run()
    times, asked = _run_times(campaign, modules, source)
    names = dict(before.names)
    _look_up(names, _literal_names(campaign, modules), source)
    found = Found(
        datasets={**before.datasets, **runner.datasets},
        names=names,
        queries=(*before.queries, *runner.queries, *asked),
        times={**before.times, **times},
    )
    made = frozenset("".join(name) for name in standing.made.values())
    return _planned(campaign, source, found, names, blocks, made), found


def _planned(
    campaign: Campaign,
    source: Source,
    found: Found,
    names: dict[str, Row | None],
    blocks: int,
    made: Collection[str],
) -> Plan:
    """Plan; *names* that patterns make are known only once everything else is planned, and are added."""

    def inputs() -> Inputs:
        known = {name: row for name, row in names.items() if row is not None}
        return Inputs(found.datasets, known, found.times, made)

    sought: dict[str, None] = {}
    try:
        result = plan(campaign, inputs(), found.queries, sought, blocks=blocks)
        if not _look_up(names, list(sought), source):
            return result
    except MissingFiles as missing:
        if not _look_up(names, [*missing.names, *sought], source):
            raise
    return plan(campaign, inputs(), found.queries, blocks=blocks)


def _run_times(
    campaign: Campaign, modules: Sequence[Module], source: Source
) -> tuple[dict[str, float], list[PlannedQuery]]:
    """Return how long quanta of *modules* took so far, in seconds, and what was asked for it; where that divides jobs.

    Times have two digits: what they decide must not be another thing after every run.
    """
    if not any(module.bounds.target for module in modules):
        return {}, []
    names = [module.name for module in modules if not module.noop]
    identity = campaign.identity
    found = source.run_times(str(identity["project"]), str(identity["campaign"]), names)
    times = {name: float(f"{seconds:.2g}") for name, (seconds, _) in found.items()}
    asked = [
        PlannedQuery(name, "job_target_time", "run times", __version__, f"median {times.get(name, '?')} s", number)
        for name in names
        for number in [found.get(name, (0.0, 0))[1]]
    ]
    return times, asked


def _look_up(known: dict[str, Row | None], names: Sequence[str], source: Source) -> bool:
    """Look up those of *names* that are not *known* yet; tell whether some are registered."""
    new = list(dict.fromkeys([name for name in names if name not in known]))
    rows = _registered(new, source)
    known.update({name: rows.get(name) for name in new})
    return bool(rows)


def _literal_names(campaign: Campaign, modules: Sequence[Module]) -> list[str]:
    """Return the file names that the campaign spells out for inputs of *modules*."""
    names: dict[str, None] = {}
    for module in modules:
        for spec in module.files.values():
            if spec.filename is not None and spec.name not in module.outputs:
                with suppress(MissingVariable, BadReference):  # told by planning, with its place
                    names[campaign.scope(module, spec.section).resolve(spec.filename.text)] = None
    return list(names)


def _registered(names: Sequence[str], source: Source) -> dict[str, Row]:
    found = source.lookup([split_compression(name) for name in names]) if names else {}
    return {f"{row['filename']}{row['compression']}": row for row in found.values()}


def set_values(document: Document, settings: Sequence[str]) -> None:
    """Apply ``--set key=value`` settings over the campaign: the strongest layer.

    Raises:
        InputError: one is not ``key=value``.
    """
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise InputError(f"--set {setting}: not key=value", remedy="for example --set attnum=95")
        *sections, last = key.strip().split(".")
        text = (
            "".join(f"<{s}>\n" for s in sections)
            + f"{last} = {value}\n"
            + "".join(f"</{s}>\n" for s in reversed(sections))
        )
        if document.root.merge(loads(text, f"--set {setting}").root):
            raise InputError(f"--set {setting}: '{key.strip()}' is a section of the campaign, or goes through a value")
        document.sources[f"--set {setting}"] = text.splitlines()
        document.layers[f"--set {setting}"] = "command line"

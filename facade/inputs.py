"""Running the queries of a campaign: the only input and output of planning, and it happens before planning."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from facade import __version__, plugins
from facade.campaign import Campaign, Dataset, Module, QuerySpec
from facade.errors import CampaignError, FacadeError, Fault, InputError
from facade.files import split_compression
from facade.plan import Inputs, MissingFiles, Plan, PlannedQuery, plan
from facade.plugins import Row, Rows
from facade.wcl import BadReference, Document, MissingVariable, loads
from facade.wcl.tree import Section

Lines = list[Mapping[str, Row]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as it was run: program, its version, its arguments as text."""

    program: str
    version: str
    arguments: str


class Source(Protocol):
    """Where rows come from: the registry."""

    @property
    def rows(self) -> Rows:
        """What query codes may ask."""

    def lookup(self, names: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Row]:
        """Return the registered files among *names*, each (filename, compression)."""


class QueryRunner:
    """Runs each distinct query of a campaign once."""

    def __init__(self, campaign: Campaign, source: Source) -> None:
        self.campaign, self.source = campaign, source
        self._answers: dict[Asked, Lines] = {}
        self.queries: list[PlannedQuery] = []
        self.datasets: dict[str, Lines] = {}

    def run(self) -> None:
        """Run all queries.

        Raises:
            CampaignError: with every query that could not be run.
        """
        faults: list[Fault] = []
        for module in self.campaign.modules:
            for kind, specs in (("file", module.files), ("list", module.lists)):
                for name, spec in specs.items():
                    if spec.query is not None:
                        try:
                            self._dataset(module, kind, name, spec, spec.query)
                        except (InputError, MissingVariable, BadReference) as error:
                            faults.append(self._fault(error, spec.query))
        if faults:
            raise CampaignError(dict.fromkeys(faults))

    def _fault(self, error: Exception, query: QuerySpec) -> Fault:
        if isinstance(error, MissingVariable):
            return self.campaign.document.fault(str(error), query.at, code=error.code)
        message, remedy = (error.message, error.remedy) if isinstance(error, FacadeError) else (str(error), "")
        return self.campaign.document.fault(message, query.at, code="F601", remedy=remedy)

    def _dataset(self, module: Module, kind: str, name: str, spec: Dataset, query: QuerySpec) -> None:
        arguments = self._arguments(module, spec.section, query)
        asked = Asked(query.program, _version(query.program), shlex.join(arguments))
        if asked not in self._answers:
            self._answers[asked] = ask(query.program, arguments, self.source.rows, query.output_type)
        lines: Lines = [{nick or name: row for nick, row in line.items()} for line in self._answers[asked]]
        self.datasets[f"{module.name}.{kind}.{name}"] = lines
        self.queries.append(
            PlannedQuery(module.name, f"{kind}.{name}", asked.program, asked.version, asked.arguments, len(lines))
        )

    def _arguments(self, module: Module, section: Section, query: QuerySpec) -> list[str]:
        scope = self.campaign.scope(module, section)
        if query.program != "generic":
            # the program's own output file is named when it runs
            scope.late = frozenset({"qoutfile", "outputfile", "outputxml"})
            words = scope.compile(query.arguments).words()
            return [word.format({name: f"{{{name}}}" for name in scope.late}) for word in words]
        filetype = scope.resolve(section.text("filetype"))
        fields = [f"{name}={scope.resolve(text)}" for name, text in query.fields if name != "filetype"]
        output = ["--output", ",".join(query.output)] if query.output else []
        return ["--filetype", filetype, *output, *fields]


def ask(program: str, arguments: Sequence[str], rows: Rows, output_type: str = "wcl") -> Lines:
    """Run one query code or executable and return its lines; a plain row becomes a line with nickname "".

    Raises:
        InputError: it is not there, or it failed.
    """
    if program in plugins.names("query"):
        found: Iterable[Any] = plugins.query(program).query(arguments, rows)
        return [line if _is_line(line) else {"": line} for line in found]
    return _executable(program, arguments, output_type)


def _is_line(line: Mapping[str, Any]) -> bool:
    return bool(line) and all(isinstance(value, Mapping) for value in line.values())


def _version(program: str) -> str:
    return __version__ if program in plugins.names("query") else ""


def _executable(program: str, arguments: Sequence[str], output_type: str) -> Lines:
    """Run ``program … --qoutfile FILE …`` (the words come from the campaign) and read what it wrote."""
    with tempfile.TemporaryDirectory(prefix="facade-query-") as folder:
        out = Path(folder) / f"lines.{output_type}"
        words = [word for word in arguments]
        for name in ("qoutfile", "outputfile", "outputxml"):
            words = [word.replace(f"{{{name}}}", str(out)) for word in words]
        try:
            done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        except OSError as error:
            known = ", ".join(plugins.names("query"))
            raise InputError(
                f"no query code or executable '{program}': {error.strerror}", remedy=f"query codes: {known}"
            ) from None
        if done.returncode:
            tail = (done.stderr or done.stdout).strip().splitlines()[-5:]
            raise InputError(
                f"query '{shlex.join([program, *words])}' ended with {done.returncode}", remedy="\n  ".join(tail)
            )
        if not out.is_file():
            raise InputError(
                f"query '{program}' wrote no ${{qoutfile}}", remedy="pass it: args = … --qoutfile ${qoutfile}"
            )
        return read_lines(out.read_text(encoding="utf-8"), output_type, program)


def read_lines(text: str, output_type: str, name: str) -> Lines:
    """Read the output of an executable query: WCL ``list/line/lineN/file/NICK`` or JSON (desdm.md §2.4).

    Raises:
        InputError: it is neither.
    """
    if output_type == "json":
        try:
            found = json.loads(text)
            if isinstance(found, Mapping):
                found = list(found["list"]["line"].values())
            return [line.get("file", line) if _is_line(line.get("file", line)) else {"": line} for line in found]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"query '{name}' did not write lines of JSON: {error}") from None
    lines = loads(text, f"output of {name}").root.path("list.line")
    if not isinstance(lines, Section):
        return []
    result: Lines = []
    for _, line in lines.sections():
        nicknames = line.section("file")
        if nicknames is not None:
            result.append({nick: {k: v.text for k, v in row.values()} for nick, row in nicknames.sections()})
    return result


def planned(campaign: Campaign, source: Source) -> Plan:
    """Run the queries, then plan; files that the campaign names, and no query found, are looked up by name.

    Raises:
        CampaignError, MissingInputError: as `facade.plan.plan` and `QueryRunner.run`.
    """
    runner = QueryRunner(campaign, source)
    runner.run()
    names = _registered(_literal_names(campaign), source)
    try:
        return plan(campaign, Inputs(runner.datasets, names), runner.queries)
    except MissingFiles as missing:
        # names that patterns make are known only once everything else is planned
        found = _registered(missing.names, source)
        if not found:
            raise
        return plan(campaign, Inputs(runner.datasets, {**names, **found}), runner.queries)


def _literal_names(campaign: Campaign) -> list[str]:
    """Return the file names that the campaign spells out for inputs."""
    names: dict[str, None] = {}
    for module in campaign.modules:
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

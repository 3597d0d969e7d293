"""A module's texts, compiled once: names, directories, parameters and commands, with slots where quanta differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from facade.campaign import Campaign, Dataset, FileSpec, ListSpec, Module
from facade.campaign.faults import place_of, reference
from facade.campaign.model import CardSpec
from facade.errors import Fault
from facade.files import clean_path
from facade.plan.command import Command, compile_command
from facade.plan.outputs import check_card
from facade.wcl.scope import Expansion, Scope
from facade.wcl.template import BadReference, MissingVariable, Scalar, Slot, Template, plain
from facade.wcl.tree import Section, Value, did_you_mean

NOWHERE = Template(())
NO_NAME = Expansion(NOWHERE, {})
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Naming:
    """How the files of one file or list section are called and where they lie.

    A variable of the name that is a list in the configuration stands for one file each: ``combinations`` holds the
    values of every such file, and is one empty mapping where there is no list (desdm.md §1.4, multi-values).
    """

    name: Template | None
    path: Template
    archive_path: Template
    rename: Template | None
    combinations: tuple[Mapping[str, Scalar], ...]
    metadata: tuple[str, ...]
    """Names of the slots that also describe the file."""
    constants: Mapping[str, Scalar]
    """Metadata columns that the configuration supplies."""
    varying: Mapping[str, Template]
    """Those that the configuration supplies for each combination."""
    cards: tuple[tuple[CardSpec, Template], ...] = ()
    """Cards to write into the files, with their values."""
    needed: tuple[str, ...] = ()
    """Names that cards need."""
    place: str | None = field(init=False)
    """The directory in the job, and in the archive below, if it is sound and the same for all quanta."""
    archive_place: str | None = field(init=False)
    fixed: bool = field(init=False)
    """Whether nothing but the name differs between quanta."""

    def __post_init__(self) -> None:
        """Work out what need not be worked out for each quantum."""
        place, archive = self.path.literal, self.archive_path.literal
        object.__setattr__(self, "place", clean_path(place) if place is not None else None)
        object.__setattr__(self, "archive_place", clean_path(archive) if archive is not None else None)
        object.__setattr__(self, "fixed", self.place is not None and self.rename is None)


@dataclass(frozen=True, slots=True)
class Compiled:
    """Everything compiled for one module."""

    files: Mapping[str, Naming]
    lists: Mapping[str, Naming]
    commands: tuple[Command, ...]
    parameters: tuple[tuple[str, Template], ...]
    fixed_parameters: Mapping[str, str] | None
    """The parameters, shared by all quanta, if they are the same for each."""
    log_stem: str
    log_path: str
    job_keys: tuple[str, ...]
    """Keys that divide jobs, in alphabetical order; ``jobs_by`` are their values."""
    jobs_by: tuple[Template, ...]


class Compiler:
    """Compiles the texts of one module.

    *late* are the names whose values differ by quantum, *columns* the columns of each dataset (``file.x``, ``list.l``).
    A column that is not late is a name of the last resort: the configuration wins over it, except where the files of
    its own dataset are named.
    """

    def __init__(
        self,
        campaign: Campaign,
        module: Module,
        late: frozenset[str],
        columns: Mapping[str, frozenset[str]],
        faults: list[Fault],
    ) -> None:
        self.campaign, self.module, self.faults = campaign, module, faults
        self.columns, self.document = columns, campaign.document
        scope = campaign.scope(module)
        others = frozenset().union(*columns.values())
        self.late = late | {"wrapnum"} | {name for name in others if scope.lookup(name) is None}

    def run(self) -> Compiled:
        """Compile everything; what cannot be compiled is in the faults."""
        module = self.module
        commands = []
        for one in module.execs:
            scope = self.campaign.scope(module, one.section)
            scope.late, scope.dotted = self.late, self.dotted
            commands.append(compile_command(module, one, scope, self.document, self.faults))
        parameters = tuple((k, self.text(v, v, None)) for k, v in module.parameters)
        fixed = {k: t.literal for k, t in parameters if t.literal is not None}
        identity = self.campaign.identity
        return Compiled(
            files={n: self.naming(s, self.line_columns(n)) for n, s in module.files.items()},
            lists={n: self.naming(s, frozenset()) for n, s in module.lists.items()},
            commands=tuple(commands),
            parameters=parameters,
            fixed_parameters=fixed if len(fixed) == len(parameters) else None,
            log_stem=f"{identity['unitname']}_r{identity['reqnum']}p${{attnum:2}}_{module.name}",
            log_path=self.log_path(),
            job_keys=tuple(sorted(set(module.jobs_by))),
            jobs_by=tuple(self.job_key(k) for k in sorted(set(module.jobs_by))),
        )

    def dotted(self, name: str) -> Template | None:
        """Leave ``file.x.y`` and ``list.l.y`` to the quantum, if the module has such a file or list."""
        parts = name.split(".")
        known: Mapping[str, object] = {"file": self.module.files, "list": self.module.lists}.get(parts[0], {})
        return Template((Slot(name),)) if len(parts) >= 3 and parts[1] in known else None

    def line_columns(self, name: str) -> frozenset[str]:
        """Return columns of the lines that file *name* comes from, alone or in a list: its pattern may use them."""
        columns = set(self.columns.get(f"file.{name}", ()))
        for spec in self.module.lists.values():
            if (spec.query or spec.depends) and (name in spec.members or len(spec.members) == 1):
                columns |= {column.lower() for _, column in spec.columns} | set(spec.keys)
                columns |= self.columns.get(f"list.{spec.name}", frozenset())
        return frozenset(columns - {"fullname", "filename"})

    def text(
        self, text: str | Value, at: Value | Section, search: Section | None, extra: frozenset[str] = frozenset()
    ) -> Template:
        """Compile one text, in which a comma is a character like any other."""
        return self.tried(Scope.compile, text, at, search, extra) or NOWHERE

    def expanded(self, text: Value, search: Section, extra: frozenset[str]) -> Expansion:
        """Compile one text in which a variable may be a list."""
        return self.tried(Scope.expand, text, text, search, extra) or NO_NAME

    def tried(
        self,
        compiler: Callable[[Scope, str | Value], T],
        text: str | Value,
        at: Value | Section,
        search: Section | None,
        extra: frozenset[str],
    ) -> T | None:
        """Compile one text; definitions in *search* win over loop values (desdm.md §2.3, step 8)."""
        defined = {key for key, _ in search.values()} if search is not None else set()
        scope = self.campaign.scope(self.module, search)
        scope.late, scope.dotted = (self.late | extra) - defined, self.dotted
        try:
            return compiler(scope, text)
        except MissingVariable as missing:
            hint = did_you_mean(missing.name, scope.known()) or "define it, or let a query supply a column of that name"
            held = missing.at or at
            place = reference(held, missing.name) if isinstance(held, Value) else held
            self.faults.append(self.document.fault(str(missing), place, code=missing.code, remedy=hint))
        except BadReference as error:
            held = error.at or at
            place = place_of(error, held) if isinstance(held, Value) else held
            self.faults.append(self.document.fault(str(error), place, code=error.code, remedy=error.remedy))
        return None

    def pattern(
        self, group: str, value: Value | None, spec: Dataset, extra: frozenset[str], kind: str = ""
    ) -> Expansion:
        """Compile the named pattern; a directory pattern has the kinds ``ops`` (archive) and ``runtime`` (job)."""
        if value is None:
            return NO_NAME
        found = self.document.root.path(f"{group}.{value.text.lower()}")
        if isinstance(found, Section):
            inner = found.value(kind)
            if inner is None:
                what = f"{group.replace('_', ' ')} '{value.text}'"
                message = f"{what} has no '{kind}'" if kind else f"{what} is a section, not a text"
                remedy = f"add '{kind} = …'" if kind else "give it a value"
                self.faults.append(self.document.fault(message, found, code="F521", remedy=remedy))
                return NO_NAME
            found = inner
        return self.expanded(found, spec.section, extra) if found is not None else NO_NAME

    def beside(self, found: Expansion, named: Expansion, at: Value | Section) -> Template:
        """Return the template of a text that is one for each file: it can vary only with what the name varies with."""
        for name, values in found.choices.items():
            if name not in named.choices:
                message = f"'{name}' is a list of {len(values)} values, but one is needed here"
                value = self.campaign.scope(self.module).lookup(name)
                where = f" ({value.location})" if isinstance(value, Value) else ""
                remedy = f"quote the value{where} if it is one, or let the file's name use the variable too"
                self.faults.append(self.document.fault(message, at, code="F116", remedy=remedy))
        return found.template

    def naming(self, spec: FileSpec | ListSpec, extra: frozenset[str]) -> Naming:
        """Compile how the files of *spec* are called."""
        fullname = spec.fullname if isinstance(spec, FileSpec) else None
        literal = spec.filename or fullname
        if literal is not None:
            named = self.expanded(literal, spec.section, extra)
        else:
            named = self.pattern("filename_pattern", spec.filepat, spec, extra)
        name = named.template if literal is not None or spec.filepat is not None else None
        if isinstance(spec, ListSpec):
            self.beside(named, NO_NAME, spec.filename or spec.filepat or spec.section)
        at = spec.dirpat or spec.section
        path = self.beside(self.pattern("directory_pattern", spec.dirpat, spec, extra, "runtime"), named, at)
        if name is not None and fullname is not None and literal is fullname:
            path, name = _directory(name, path)
        archive_path = self.beside(self.pattern("directory_pattern", spec.dirpat, spec, extra, "ops"), named, at)
        rename = spec.rename if isinstance(spec, FileSpec) else None
        columns = self.columns_of(spec, named) if isinstance(spec, FileSpec) else {}
        slots = [s for t in (name, path, archive_path) if t is not None for s in t.slots]
        cards, needed = self.cards(spec, extra) if isinstance(spec, FileSpec) else ((), ())
        return Naming(
            name=name,
            path=path,
            archive_path=archive_path,
            rename=self.beside(self.expanded(rename, spec.section, extra), named, rename) if rename else None,
            combinations=tuple(named.combinations()),
            metadata=tuple(s for s in dict.fromkeys([*slots, *needed]) if s != "wrapnum" and "." not in s),
            constants={c: t.literal for c, t in columns.items() if t.literal is not None},
            varying={c: t for c, t in columns.items() if t.literal is None},
            cards=cards,
            needed=needed,
        )

    def cards(
        self, spec: FileSpec, extra: frozenset[str]
    ) -> tuple[tuple[tuple[CardSpec, Template], ...], tuple[str, ...]]:
        """Compile the cards of an output, and return which names they need of a quantum."""
        found, needed = [], dict[str, None]()
        for card in spec.cards:
            template = self.text(card.value, card.value, spec.section, extra) if not card.source else NOWHERE
            try:
                needed |= dict.fromkeys(check_card(spec, card, template))
            except BadReference as error:
                fault = self.document.fault(str(error), card.value, code=error.code, remedy=error.remedy)
                self.faults.append(fault)
            found.append((card, template))
        return tuple(found), tuple(needed)

    def columns_of(self, spec: FileSpec, named: Expansion) -> dict[str, Template]:
        """Return the metadata columns whose values the configuration gives: constant, or varying with the name."""
        filetype = self.campaign.filetypes.get(spec.filetype)
        scope = self.campaign.scope(self.module, spec.section)
        result: dict[str, Template] = {}
        for column, name in filetype.planned if filetype else ():
            value = None if name in self.late else scope.lookup(name)
            if isinstance(value, Value):
                found = self.expanded(value, spec.section, frozenset())
                varies = found.choices and found.choices.keys() <= named.choices.keys()
                result[column] = found.template if varies else self.text(value, value, spec.section)
            elif value is not None:
                result[column] = Template((plain(value),))
        return {
            column: template
            for column, template in result.items()
            if template.literal is not None or set(template.slots) <= named.choices.keys()
        }

    def log_path(self) -> str:
        """Directory of the logs below the archive root: ``directory_pattern.log`` or ``OPS_RUN_DIR/log/MODULE``."""
        pattern = self.document.root.path("directory_pattern.log.ops")
        found = pattern or self.document.root.value("ops_run_dir")
        if not isinstance(found, Value):
            return ""
        return (self.text(found, found, None).literal or "") + ("" if pattern else f"/log/{self.module.name}")

    def job_key(self, key: str) -> Template:
        """Compile the value of one ``divide_jobs_by`` key."""
        if key in self.late:
            return Template((Slot(key),))
        at = self.module.section.value("divide_jobs_by") or self.module.section
        return self.text(f"${{{key}}}", at, None)


def _directory(fullname: Template, otherwise: Template) -> tuple[Template, Template]:
    """Split ``directory/name`` at its last slash; without a slash the directory is *otherwise*."""
    for index in range(len(fullname.parts) - 1, -1, -1):
        part = fullname.parts[index]
        if isinstance(part, str) and "/" in part:
            before, _, after = part.rpartition("/")
            name = ((after,) if after else ()) + fullname.parts[index + 1 :]
            return Template((*fullname.parts[:index], before)), Template(name)
    return otherwise, fullname

"""A module's texts, compiled once: names, directories, parameters and commands, with slots where quanta differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from facade.campaign import Campaign, Dataset, FileSpec, ListSpec, Module
from facade.campaign.faults import reference
from facade.errors import Fault
from facade.plan.command import Command, compile_command
from facade.wcl.template import BadReference, MissingVariable, Scalar, Slot, Template
from facade.wcl.tree import Section, Value, did_you_mean

NOWHERE = Template(())


@dataclass(frozen=True, slots=True)
class Naming:
    """How the files of one file or list section are called and where they lie."""

    name: Template | None
    path: Template
    archive_path: Template
    rename: Template | None
    metadata: tuple[str, ...]
    """Names of the slots that also describe the file."""
    constants: Mapping[str, Scalar]
    """Metadata columns that the configuration supplies."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """Everything compiled for one module."""

    files: Mapping[str, Naming]
    lists: Mapping[str, Naming]
    commands: tuple[Command, ...]
    parameters: tuple[tuple[str, Template], ...]
    log_path: str
    jobs_by: tuple[tuple[str, Template], ...]


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
        return Compiled(
            files={n: self.naming(s, self.line_columns(n)) for n, s in module.files.items()},
            lists={n: self.naming(s, frozenset()) for n, s in module.lists.items()},
            commands=tuple(commands),
            parameters=tuple((k, self.text(v.text, v, None)) for k, v in module.parameters),
            log_path=self.log_path(),
            jobs_by=tuple((k, self.job_key(k)) for k in module.jobs_by),
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
            if name in spec.members or len(spec.members) == 1:
                columns |= {column.lower() for _, column in spec.columns} | set(spec.keys)
                columns |= self.columns.get(f"list.{spec.name}", frozenset())
        return frozenset(columns - {"fullname", "filename"})

    def text(
        self, text: str, at: Value | Section, search: Section | None, extra: frozenset[str] = frozenset()
    ) -> Template:
        """Compile one text; definitions in *search* win over loop values (desdm.md §2.3, step 8)."""
        defined = {key for key, _ in search.values()} if search is not None else set()
        scope = self.campaign.scope(self.module, search)
        scope.late, scope.dotted = (self.late | extra) - defined, self.dotted
        try:
            return scope.compile(text)
        except MissingVariable as missing:
            hint = did_you_mean(missing.name, scope.known()) or "define it, or let a query supply a column of that name"
            held = missing.at or at
            place = reference(held, missing.name) if isinstance(held, Value) else held
            self.faults.append(self.document.fault(str(missing), place, code=missing.code, remedy=hint))
        except BadReference as error:
            self.faults.append(self.document.fault(str(error), error.at or at, code=error.code))
        return NOWHERE

    def pattern(
        self, group: str, value: Value | None, spec: Dataset, extra: frozenset[str], kind: str = ""
    ) -> Template:
        """Compile the named pattern; a directory pattern has the kinds ``ops`` (archive) and ``runtime`` (job)."""
        if value is None:
            return NOWHERE
        found = self.document.root.path(f"{group}.{value.text.lower()}")
        if isinstance(found, Section):
            inner = found.value(kind)
            if inner is None:
                what = f"{group.replace('_', ' ')} '{value.text}'"
                message = f"{what} has no '{kind}'" if kind else f"{what} is a section, not a text"
                self.faults.append(self.document.fault(message, found, code="F521"))
                return NOWHERE
            found = inner
        return self.text(found.text, found, spec.section, extra) if found is not None else NOWHERE

    def naming(self, spec: FileSpec | ListSpec, extra: frozenset[str]) -> Naming:
        """Compile how the files of *spec* are called."""
        name: Template | None = None
        literal = spec.filename or (spec.fullname if isinstance(spec, FileSpec) else None)
        if literal is not None:
            name = self.text(literal.text, literal, spec.section, extra)
        elif spec.filepat is not None:
            name = self.pattern("filename_pattern", spec.filepat, spec, extra)
        path = self.pattern("directory_pattern", spec.dirpat, spec, extra, "runtime")
        if name is not None and isinstance(spec, FileSpec) and spec.fullname is not None and literal is spec.fullname:
            path, name = _directory(name, path)
        archive_path = self.pattern("directory_pattern", spec.dirpat, spec, extra, "ops")
        rename = spec.rename if isinstance(spec, FileSpec) else None
        slots = [s for t in (name, path, archive_path) if t is not None for s in t.slots]
        return Naming(
            name=name,
            path=path,
            archive_path=archive_path,
            rename=self.text(rename.text, rename, spec.section, extra) if rename else None,
            metadata=tuple(s for s in dict.fromkeys(slots) if s != "wrapnum" and "." not in s),
            constants=self.constants(spec) if isinstance(spec, FileSpec) else {},
        )

    def constants(self, spec: FileSpec) -> dict[str, Scalar]:
        """Return the metadata columns whose values the configuration gives."""
        filetype = self.campaign.filetypes.get(spec.filetype)
        scope = self.campaign.scope(self.module, spec.section)
        result: dict[str, Scalar] = {}
        for column, _, source in filetype.columns if filetype else ():
            value = None if source or column in self.late else scope.lookup(column)
            if isinstance(value, Value):
                value = self.text(value.text, value, spec.section).literal
            if value is not None:
                result[column] = value
        return result

    def log_path(self) -> str:
        """Directory of the logs below the archive root: ``directory_pattern.log`` or ``OPS_RUN_DIR/log/MODULE``."""
        pattern = self.document.root.path("directory_pattern.log.ops")
        found = pattern or self.document.root.value("ops_run_dir")
        if not isinstance(found, Value):
            return ""
        return (self.text(found.text, found, None).literal or "") + ("" if pattern else f"/log/{self.module.name}")

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

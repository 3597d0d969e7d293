"""One quantum: which files it reads, which lists it gets, what its outputs are called (desdm.md §2.3, step 8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from facade.campaign import FileSpec, ListSpec, Module, Ref
from facade.files import clean_path, join, name_fault, natural_key, split_compression
from facade.plan.bench import Draft, Missing, Workbench
from facade.plan.datasets import Dataset, Line, NoSingleValue
from facade.plan.model import PlannedExec, PlannedFile, PlannedList, Use
from facade.plan.templates import Compiled, Naming
from facade.wcl.scope import BadReference, Scalar
from facade.wcl.tree import Section, Value

SEPARATORS = {"textsp": " ", "textcsv": ", ", "texttab": "\t"}


class Assigner:
    """Fills the drafts of one module's quanta."""

    def __init__(self, bench: Workbench, module: Module, datasets: Mapping[str, Dataset], compiled: Compiled) -> None:
        self.bench, self.module, self.datasets, self.compiled = bench, module, datasets, compiled
        self.outputs = frozenset(module.outputs)

    def fill(self, draft: Draft) -> tuple[PlannedExec, ...]:
        """Assign inputs, lists and outputs to *draft* and return its programs.

        Raises:
            MissingVariable, BadReference, NoSingleValue: the quantum cannot be planned.
        """
        module, compiled = self.module, self.compiled
        for spec in module.files.values():
            if spec.name not in self.outputs and not spec.listonly:
                self.assign_input(draft, spec, compiled.files[spec.name])
        for listing in module.lists.values():
            self.assign_list(draft, listing)
        for spec in module.files.values():
            if spec.name in self.outputs:
                self.assign_output(draft, spec, compiled.files[spec.name])
        return self.execs(draft)

    def assign_input(self, draft: Draft, spec: FileSpec, naming: Naming) -> None:
        data = self.datasets[f"file.{spec.name}"]
        if not data.lines and (spec.depends or spec.query):
            return
        if not data.lines:
            index = self.find(draft, spec, naming, draft.values)
            if index is not None:
                self.use(draft, f"file.{spec.name}", index, naming, draft.values)
            return
        lines = data.select(spec.keys, draft.values)
        found: list[tuple[int, Mapping[str, Scalar]]] = []
        for line in lines:
            for index in line.files.values():
                one = index if index is not None else self.find(draft, spec, naming, {**draft.values, **line.columns})
                if one is not None:
                    found.append((one, line.columns))
        if not found and not spec.optional:
            self.missing(
                draft, spec.name, f"no line of file '{spec.name}' has {self.wanted(draft, spec)}", spec.section
            )
        elif len(lines) > 1 and not spec.multiple:
            at = spec.section.value("divide_by") or spec.section.value("match") or spec.section
            self.bench.fault(
                f"quantum {draft.label}: {len(lines)} lines of file '{spec.name}' have {self.wanted(draft, spec)}",
                at,
                "divide_by (or match) more keys, or set ignore_multiple_error",
            )
        for index, columns in found:
            self.use(draft, f"file.{spec.name}", index, naming, {**columns, **draft.values})

    def wanted(self, draft: Draft, spec: FileSpec | ListSpec) -> str:
        return " ".join(f"{k}={draft.values.get(k)}" for k in spec.keys) or "no keys to tell them apart"

    def missing(self, draft: Draft, name: str, message: str, at: Value | Section) -> None:
        fault = self.bench.campaign.document.fault(f"quantum {draft.label}: {message}", at)
        self.bench.missing.append(Missing(name, draft.label, fault))

    def find(self, draft: Draft, spec: FileSpec, naming: Naming, values: Mapping[str, Scalar]) -> int | None:
        """Return the file that *spec* names for these values: planned earlier, or registered."""
        if naming.name is None:
            self.bench.fault(
                f"file '{spec.name}' of module '{self.module.name}' has no filepat and its lines no filename",
                spec.section,
            )
            return None
        name = naming.name.format(values)
        index = self.bench.by_name.get(name)
        if index is None and name in self.bench.inputs.names:
            index = self.bench.registered(self.bench.inputs.names[name])
        return index if index is not None or spec.optional else self.stand_in(draft, spec, name)

    def stand_in(self, draft: Draft, spec: FileSpec, name: str) -> int:
        """Note that file *name* is missing and go on with a stand-in, to find all that is missing in one go."""
        if name in self.bench.awaited:
            return self.bench.awaited[name][0]
        at = spec.filename or spec.filepat or spec.section
        self.missing(draft, name, f"file '{name}' is neither made earlier nor registered", at)
        filename, compression = split_compression(name)
        self.bench.files.append(
            PlannedFile(
                filename=filename, compression=compression, filetype=spec.filetype, archive_path="", metadata={}
            )
        )
        self.bench.awaited[name] = len(self.bench.files) - 1, draft.label
        return len(self.bench.files) - 1

    def use(self, draft: Draft, section: str, index: int, naming: Naming, values: Mapping[str, Scalar]) -> str:
        """Add an input and return its path in the job."""
        path = clean_path(naming.path.format(values))
        if path is None:
            raise BadReference(f"directory of {section} leaves the job: '{naming.path.format(values)}'")
        rename = naming.rename.format(values) if naming.rename else ""
        draft.inputs.append(Use(section, index, path, rename))
        full = join(path, self.bench.files[index].name)
        known = draft.values.get(f"{section}.fullname")
        draft.values[f"{section}.fullname"] = f"{known},{full}" if known else full
        draft.values[f"{section}.filename"] = self.bench.files[index].filename
        draft.assigned.setdefault(section, []).append(index)
        return full

    def assign_list(self, draft: Draft, spec: ListSpec) -> None:
        data = self.datasets[f"list.{spec.name}"]
        lines = list(data.select(spec.keys, draft.values))
        if spec.sortkey:
            lines.sort(key=lambda line: natural_key(tuple(line.columns.get(k) for k in spec.sortkey)))
        if not lines:
            return self.missing(
                draft, spec.name, f"no line of list '{spec.name}' has {self.wanted(draft, spec)}", spec.section
            )
        columns: list[Mapping[str, Scalar]] = []
        for line in lines:
            row = dict(line.columns)
            for nick, index in self.members(spec, line):
                member = self.module.files.get(nick)
                if member is None:
                    continue
                naming = self.compiled.files[nick]
                together = {**draft.values, **line.columns}
                found = index if index is not None else self.find(draft, member, naming, together)
                if found is not None:
                    row[f"{nick}.fullname"] = self.use(draft, f"list.{spec.name}.{nick}", found, naming, together)
                    for key, value in self.bench.files[found].metadata.items():
                        row.setdefault(key, value)
            columns.append(row)
        draft.lines[spec.name] = columns
        self.list_file(draft, spec, self.compiled.lists[spec.name], columns)

    def members(self, spec: ListSpec, line: Line) -> list[tuple[str, int | None]]:
        """Return (nickname in the list, file) of a line; a line's only file serves the list's only nickname."""
        wanted = [nick for nick in spec.members if nick in self.module.files]
        if len(wanted) == 1 and len(line.files) == 1:
            return [(wanted[0], next(iter(line.files.values())))]
        return [(nick, line.files.get(nick)) for nick in wanted]

    def list_file(self, draft: Draft, spec: ListSpec, naming: Naming, lines: Sequence[Mapping[str, Scalar]]) -> None:
        if naming.name is None:
            return
        separator = SEPARATORS[spec.format]
        text = [f"# {separator.join(column for _, column in spec.columns)}\n"] if spec.header else []
        for line in lines:
            cells = [
                line.get(f"{nick}.fullname") if c.lower() == "fullname" else line.get(c.lower())
                for nick, c in spec.columns
            ]
            if None in cells:
                column = spec.columns[cells.index(None)][1]
                raise NoSingleValue(
                    f"list '{spec.name}' has a line without column '{column}'; "
                    f"columns: {', '.join(k for k in line if '.' not in k)}"
                )
            text.append(separator.join(str(cell) for cell in cells) + "\n")
        index = self.new_file(draft, spec, naming, "list", {}, producer=-1)
        path = clean_path(naming.path.format(draft.values)) or ""
        section = f"list.{spec.name}"
        draft.lists.append(PlannedList(section, index, path, "".join(text)))
        draft.values[f"{section}.fullname"] = join(path, self.bench.files[index].name)
        draft.values[f"{section}.filename"] = self.bench.files[index].filename
        draft.assigned.setdefault(section, []).append(index)

    def assign_output(self, draft: Draft, spec: FileSpec, naming: Naming) -> None:
        values = draft.values
        metadata = {**naming.constants, **draft.keys}
        for name in naming.metadata:
            if name in values:
                metadata[name] = values[name]
        filetype = self.bench.campaign.filetypes[spec.filetype]
        for column, _, source in filetype.columns:
            if not source and column in values and column not in metadata:
                metadata[column] = values[column]
        index = self.new_file(
            draft,
            spec,
            naming,
            spec.filetype,
            metadata,
            producer=draft.wrapnum,
            optional=spec.optional,
            save=spec.savefiles,
        )
        path = clean_path(naming.path.format(values))
        if path is None:
            raise BadReference(f"directory of output '{spec.name}' leaves the job")
        section = f"file.{spec.name}"
        draft.outputs.append(Use(section, index, path))
        draft.values[f"{section}.fullname"] = join(path, self.bench.files[index].name)
        draft.values[f"{section}.filename"] = self.bench.files[index].filename
        draft.assigned.setdefault(section, []).append(index)

    def new_file(
        self,
        draft: Draft,
        spec: FileSpec | ListSpec,
        naming: Naming,
        filetype: str,
        metadata: Mapping[str, Scalar],
        *,
        producer: int,
        optional: bool = False,
        save: bool = True,
    ) -> int:
        """Name a file that the plan makes; a second writer of a name is an error."""
        assert naming.name is not None
        name = naming.name.format(draft.values).rpartition("/")[2]
        at = spec.filepat or spec.filename or spec.section
        if reason := name_fault(name):
            raise BadReference(f"the name of '{spec.name}' {reason}: '{name}'")
        if name in self.bench.by_name:
            other = self.bench.files[self.bench.by_name[name]].producer
            who = f"quantum {self.bench.quanta[other - 1].label}" if 0 < other < draft.wrapnum else "something else"
            self.bench.fault(
                f"'{name}' is written by {draft.label} and by {who}",
                at,
                "let the pattern use every loop key of its module",
            )
        if name in self.bench.awaited:
            reader = self.bench.awaited[name][1]
            self.bench.fault(
                f"'{name}' is made by {draft.label}, but {reader} needs it earlier",
                at,
                "put the module that makes it earlier in modulelist or blocklist",
            )
        filename, compression = split_compression(name)
        return self.bench.add(
            PlannedFile(
                filename=filename,
                compression=compression,
                filetype=filetype,
                producer=producer,
                metadata=metadata,
                archive_path=clean_path(naming.archive_path.format(draft.values)) or "",
                optional=optional,
                save=save,
            )
        )

    def execs(self, draft: Draft) -> tuple[PlannedExec, ...]:
        result = []
        for spec, command in zip(self.module.execs, self.compiled.commands, strict=True):
            derived = [
                (child, parent)
                for parents, children in spec.ancestry
                for child in self.resolve(draft, children, with_list=False)
                for parent in self.resolve(draft, parents, with_list=False)
            ]
            result.append(
                PlannedExec(
                    num=spec.num,
                    argv=command.argv(draft.values, draft.lines),
                    used=_unique(i for ref in spec.used for i in self.resolve(draft, ref, with_list=True)),
                    generated=_unique(i for ref in spec.generated for i in self.resolve(draft, ref, with_list=True)),
                    derived=tuple(dict.fromkeys(derived)),
                    version_flag=spec.version_flag,
                )
            )
        return tuple(result)

    def resolve(self, draft: Draft, ref: Ref, *, with_list: bool) -> list[int]:
        """Return the files behind *ref*. Whoever uses the members of a list also used the list itself."""
        found = list(draft.assigned.get(str(ref), ()))
        if ref.member and (with_list or not found):
            found = [*draft.assigned.get(f"list.{ref.name}", ()), *found]
        return found


def _unique(indices: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(indices))

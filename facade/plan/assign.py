"""One quantum: which files it reads, which lists it gets, what its outputs are called (desdm.md §2.3, step 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facade.campaign import FileSpec, ListSpec, Module
from facade.files import join, name_fault, natural_key, split_compression
from facade.plan.bench import Draft, ListLine, Missing, Workbench, place_of_name
from facade.plan.datasets import Dataset, Line, NoSingleValue, Source, metadata
from facade.plan.make import Maker
from facade.plan.model import PlannedExec, PlannedFile, PlannedList, Use, maker_of
from facade.plan.programs import Program
from facade.plan.templates import Compiled, Naming
from facade.wcl.template import BadReference, Scalar, plain
from facade.wcl.tree import Section, Value

new_use = maker_of(Use)
SEPARATORS = {"textsp": " ", "textcsv": ", ", "texttab": "\t"}


class Assigner(Maker):
    """Fills the drafts of one module's quanta."""

    def __init__(self, bench: Workbench, module: Module, datasets: Mapping[str, Dataset], compiled: Compiled) -> None:
        super().__init__(bench, module)
        self.datasets, self.compiled = datasets, compiled
        self.outputs = frozenset(module.outputs)
        self.programs = [
            Program.of(spec, command, self.assigns)
            for spec, command in zip(module.execs, compiled.commands, strict=True)
        ]
        self.inputs = [
            (spec, f"file.{spec.name}", compiled.files[spec.name])
            for spec in module.files.values()
            if spec.name not in self.outputs and not spec.listonly
        ]
        self.made = [
            (spec, f"file.{spec.name}", compiled.files[spec.name])
            for spec in module.files.values()
            if spec.name in self.outputs
        ]

    def assigns(self, name: str) -> bool:
        """Say whether quanta of this module have files of their own under the reference *name*."""
        kind, _, rest = name.partition(".")
        listing, _, member = rest.partition(".")
        return kind == "file" or not member or member in self.module.lists[listing].members

    def fill(self, draft: Draft) -> tuple[PlannedExec, ...]:
        """Assign inputs, lists and outputs to *draft* and return its programs.

        Raises:
            MissingVariable, BadReference, NoSingleValue: the quantum cannot be planned.
        """
        for spec, section, naming in self.inputs:
            self.assign_input(draft, spec, section, naming)
        for listing in self.module.lists.values():
            self.assign_list(draft, listing)
        for spec, section, naming in self.made:
            self.assign_output(draft, spec, section, naming)
        return tuple([program.planned(draft) for program in self.programs])

    def assign_input(self, draft: Draft, spec: FileSpec, section: str, naming: Naming) -> None:
        """Give the quantum its file, or files, of one input section."""
        data = self.datasets[section]
        if not data.lines and (spec.depends or spec.query):
            if not spec.optional:
                at = spec.depends[0].at if spec.depends else spec.section
                self.bench.fault(
                    "F513",
                    f"file '{spec.name}' of module '{self.module.name}' has no lines",
                    at,
                    alike=spec.section.location,
                )
            return
        found: list[tuple[int, Mapping[str, Scalar]]] = []
        if not data.lines:
            found += self.find(draft, spec, naming, {})
        else:
            lines = data.select(spec.keys, draft.values)
            for line in lines:
                if spec.optional and len(line.files) > 1 and spec.name not in line.files:
                    continue
                index = self.bench.index(_own(spec, line))
                if index is None:
                    found += self.find(draft, spec, naming, line.columns)
                else:
                    found.append((index, line.columns))
            if not lines and not spec.optional:
                message = f"no line of {data.what} has {self.wanted(draft, spec)}"
                self.missing("F503", draft, "", message, spec.section)
            elif len(lines) > 1 and not spec.multiple:
                self.ambiguous(draft, spec, len(lines))
        if found:
            values = draft.values
            draft.name(section, [
                self.use(draft, section, index, naming, values if naming.fixed else {**columns, **values})
                for index, columns in found
            ])  # fmt: skip

    def ambiguous(self, draft: Draft, spec: FileSpec, count: int) -> None:
        """Report that a file section has several lines for one quantum."""
        at = next((v for key in ("loopkey", "match", "divide_by") if (v := spec.section.value(key))), spec.section)
        self.bench.fault(
            "F504",
            f"quantum {draft.label}: {count} lines of file '{spec.name}' have {self.wanted(draft, spec)}",
            at,
            "divide_by (or match) more keys, or set ignore_multiple_error" if spec.keys else "add divide_by (or match)",
            alike=spec.section.location,
        )

    def wanted(self, draft: Draft, spec: FileSpec | ListSpec) -> str:
        """Say which values of its keys a section is asked for."""
        return " ".join(f"{k}={draft.values.get(k)}" for k in spec.keys) or "no keys to tell them apart"

    def missing(
        self,
        code: str,
        draft: Draft,
        name: str,
        message: str,
        at: Value | Section,
        others: Sequence[tuple[str, Value | Section]] = (),
    ) -> None:
        """Note that a file, or a line of a dataset, is missing."""
        document = self.bench.campaign.document
        fault = document.fault(f"quantum {draft.label}: {message}", at, code=code, others=others)
        self.bench.missing.append(Missing(name, draft.label, fault))

    def find(
        self, draft: Draft, spec: FileSpec, naming: Naming, columns: Mapping[str, Scalar], optional: bool = False
    ) -> list[tuple[int, Mapping[str, Scalar]]]:
        """Return the files that *spec* names for the quantum and a line's *columns*, each with what tells it apart.

        They were planned earlier, or are registered; those that may be missing, and are, are left out.
        """
        if naming.name is None:
            message = f"file '{spec.name}' of module '{self.module.name}' has no filepat and its lines no filename"
            self.bench.fault("F517", message, spec.section, "add filepat or filename", alike=spec.section.location)
            return []
        found: list[tuple[int, Mapping[str, Scalar]]] = []
        for combination in naming.combinations:
            name = naming.name.format({**draft.values, **columns, **combination})
            index = self.bench.by_name.get(name)
            if index is None and name in self.bench.inputs.names:
                index = self.bench.registered(self.bench.inputs.names[name])
            if index is None and (optional or spec.optional):
                self.bench.sought[name] = None
            elif index is None:
                index = self.stand_in(draft, spec, name)
            found += [(index, {**columns, **combination})] if index is not None else []
        return found

    def stand_in(self, draft: Draft, spec: FileSpec, name: str) -> int:
        """Note that file *name* is missing and go on with a stand-in, to find all that is missing in one go."""
        if name in self.bench.awaited:
            return self.bench.awaited[name][0]
        message = f"file '{name}' is neither made earlier nor registered"
        self.missing("F502", draft, name, message, place_of_name(spec), self.makers(spec))
        filename, compression = split_compression(name)
        self.bench.files.append(
            PlannedFile(filename, compression, spec.filetype, "", producer=0, size=None, checksum=None, metadata={})
        )
        self.bench.awaited[name] = len(self.bench.files) - 1, draft.label, spec
        return len(self.bench.files) - 1

    def makers(self, spec: FileSpec) -> list[tuple[str, Value | Section]]:
        """Return who makes files of the name that *spec* has, though not the one that is missing, and where."""
        if spec.filepat is None:
            return []
        return [
            (f"module '{module.name}' makes files of this pattern", made.filepat)
            for module in self.bench.campaign.modules
            for name in module.outputs
            if (made := module.files[name]).filepat is not None and made.filepat.text == spec.filepat.text
        ]

    def use(
        self, draft: Draft, section: str, index: int, naming: Naming, values: Mapping[str, Scalar]
    ) -> tuple[str, str]:
        """Add an input and return its path in the job, and its name."""
        path = naming.place
        if path is None:
            path = self.directory(naming.path.format(values), f"the directory of {section}", "the job")
        rename = naming.rename.format(values) if naming.rename else ""
        if rename and (reason := name_fault(rename)):
            raise BadReference(f"rename_file of {section} {reason}: '{rename}'", code="F507")
        draft.inputs[new_use((section, index, path, rename))] = None
        draft.assign(section, index)
        file = self.bench.files[index]
        return join(path, file.filename + file.compression), file.filename

    def assign_list(self, draft: Draft, spec: ListSpec) -> None:
        """Give the quantum the lines of one list with their files, and the list file itself."""
        data, section = self.datasets[f"list.{spec.name}"], f"list.{spec.name}"
        sourced = spec.query is not None or spec.depends
        # a list without a source is made of the files that its columns name (desdm.md §2.3, step 8)
        lines = list(data.select(spec.keys, draft.values)) if sourced else [Line({}, {})]
        if spec.sortkey:
            lines.sort(key=lambda line: self.order(spec, line), reverse=spec.reverse)
        if not lines and not spec.allow_missing:
            message = (
                f"no line of {data.what} has {self.wanted(draft, spec)}" if data.lines else f"{data.what} is empty"
            )
            self.missing("F503", draft, "", message, spec.section)
        names: dict[str, list[tuple[str, str]]] = {}
        draft.lines[spec.name] = [row for line in lines for row in self.rows(draft, spec, line, names)]
        for nick, files in names.items():
            draft.name(f"{section}.{nick}", files)
        self.list_file(draft, spec, self.compiled.lists[spec.name], draft.lines[spec.name])

    def rows(self, draft: Draft, spec: ListSpec, line: Line, names: dict[str, list[tuple[str, str]]]) -> list[ListLine]:
        """Return what one line of a list's source becomes: one line, or several if a member has several files."""
        rows = [ListLine(line.columns, {})]
        members = [
            (nick, source, self.compiled.files[nick], self.files_of(draft, spec, line, nick, source))
            for nick, source in self.members(spec, line)
        ]
        if spec.allow_missing and not all([found for _, _, _, found in members]):
            return []
        for nick, source, naming, found in members:
            known: list[tuple[Mapping[str, Scalar], Mapping[str, Scalar]]] = []
            for index, columns in found:
                merged = draft.values if naming.fixed else {**draft.values, **columns}
                full, filename = self.use(draft, f"list.{spec.name}.{nick}", index, naming, merged)
                own = metadata(source) if isinstance(source, Mapping) else self.bench.files[index].metadata
                known.append((columns, {**own, "fullname": full, "filename": filename}))
                names.setdefault(nick, []).append((full, filename))
            if len(rows) > 1 and len(known) > 1:
                raise BadReference(f"several files of list '{spec.name}' stand for more than one each", code="F524")
            if known:
                rows = [ListLine({**row.columns, **c}, {**row.own, nick: own}) for row in rows for c, own in known]
        return rows

    def files_of(
        self, draft: Draft, spec: ListSpec, line: Line, nick: str, source: Source
    ) -> list[tuple[int, Mapping[str, Scalar]]]:
        """Return the files that a line of a list has for one nickname, each with what tells it apart."""
        index = self.bench.index(source)
        if index is not None:
            return [(index, line.columns)]
        member, naming = self.module.files[nick], self.compiled.files[nick]
        return self.find(draft, member, naming, line.columns, spec.allow_missing)

    def order(self, spec: ListSpec, line: Line) -> tuple[object, ...]:
        """Return the sort key of a line; raises NoSingleValue."""
        keys = [key.rpartition(".")[2] for key in spec.sortkey]
        for key in keys:
            if key not in line.columns:
                has = ", ".join(line.columns) or "none"
                raise NoSingleValue(f"sortkey: a line of list '{spec.name}' has no column '{key}'; its columns: {has}")
        return natural_key(tuple(line.columns[key] for key in keys))

    def members(self, spec: ListSpec, line: Line) -> list[tuple[str, Source]]:
        """Return (nickname in the list, file) of a line; a line's only file serves the list's only nickname."""
        wanted = [nick for nick in spec.members if nick in self.module.files]
        if len(wanted) == 1 and len(line.files) == 1:
            return [(wanted[0], next(iter(line.files.values())))]
        return [(nick, line.files.get(nick)) for nick in wanted]

    def list_file(self, draft: Draft, spec: ListSpec, naming: Naming, lines: Sequence[ListLine]) -> None:
        """Write the list file, if the list has a name."""
        if naming.name is None:
            return
        separator = SEPARATORS[spec.format]
        text = [f"# {separator.join(column for _, column in spec.columns)}\n"] if spec.header else []
        wanted = [(nick, column.lower()) for nick, column in spec.columns]
        for line in lines:
            cells = [line.get(nick, column) for nick, column in wanted]
            if None in cells:
                column = spec.columns[cells.index(None)][1]
                has = ", ".join(line.columns) or "none"
                raise NoSingleValue(f"a line of list '{spec.name}' has no column '{column}'; its columns: {has}")
            texts = [_formed(form, cell) for form, cell in zip(spec.forms, cells, strict=True)]
            text.append(separator.join([_cell(spec, one) for one in texts]) + "\n")
        section = f"list.{spec.name}"
        path = self.directory(naming.path.format(draft.values), f"the directory of {section}", "the job")
        index = self.new_file(draft, spec, naming, "list", {}, draft.values)
        draft.lists.append(PlannedList(section, index, path, "".join(text)))
        draft.name(section, [(join(path, self.bench.files[index].name), self.bench.files[index].filename)])
        draft.assign(section, index)
        if spec.part_of:
            draft.assign(f"list.{spec.part_of}", index)

    def assign_output(self, draft: Draft, spec: FileSpec, section: str, naming: Naming) -> None:
        """Name the outputs of the quantum for one section, and say what is known of them beforehand."""
        named = []
        for combination in naming.combinations:
            values = {**draft.values, **combination} if combination else draft.values
            path = naming.place
            if path is None:
                path = self.directory(naming.path.format(values), f"the directory of {section}", "the job")
            described = self.described(draft, spec, naming, values)
            index = self.new_file(draft, spec, naming, spec.filetype, described, values)
            draft.outputs.append(new_use((section, index, path, "")))
            draft.assign(section, index)
            file = self.bench.files[index]
            named.append((join(path, file.filename + file.compression), file.filename))
            if spec.name in self.suffixes:
                draft.outputs += [new_use((section, made, path, "")) for made in self.compressed(draft, spec, index)]
        draft.name(section, named)


def _own(spec: FileSpec, line: Line) -> Source:
    """Return the file of a line that serves section *spec*: the one of its name, or the only one."""
    if spec.name in line.files:
        return line.files[spec.name]
    if len(line.files) > 1:
        nicknames = ", ".join(line.files)
        raise NoSingleValue(f"a line of file '{spec.name}' holds the files {nicknames}, none of them '{spec.name}'")
    return next(iter(line.files.values()), None)


def _formed(form: str, value: Scalar) -> str:
    """Return a value in a column's printf format: ``d`` as a whole number, ``f`` and its kin as a float."""
    text = plain(value)
    try:
        return form % (int(text) if form[-1] == "d" else text if form[-1] == "s" else float(text)) if form else text
    except ValueError:
        raise BadReference(f"$FMT{{{form},…}}: {value!r} is not a number of that kind", code="F523") from None


def _cell(spec: ListSpec, text: str) -> str:
    """Return *text* as a cell of a list: quoted in a textcsv, and never such that it would read as two."""
    if spec.format == "textcsv":
        return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text
    if text == "" or SEPARATORS[spec.format] in text:
        message = f"'{text}' would not be one word in list '{spec.name}': write 'format = textcsv'"
        raise BadReference(message, code="F508")
    return text

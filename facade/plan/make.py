"""The files that a quantum makes: their names, which nobody else may use, and what is known of them beforehand."""

from __future__ import annotations

from collections.abc import Mapping

from facade.campaign import FileSpec, ListSpec, Module
from facade.campaign.outputs import kept, suffixes
from facade.errors import InputError
from facade.files import clean_path, name_fault, split_compression
from facade.metadata import INTEGERS, TIMES, missing, typed
from facade.plan.bench import Draft, Workbench, place_of_name
from facade.plan.model import PlannedFile, maker_of
from facade.plan.templates import Naming
from facade.wcl.template import BadReference, MissingVariable, Scalar

CHECKED = frozenset({*INTEGERS, "float", *TIMES})
"""Types of columns that do not take any value."""
planned_file = maker_of(PlannedFile)


class Maker:
    """Puts the files that quanta of one module make into the table."""

    def __init__(self, bench: Workbench, module: Module) -> None:
        self.bench, self.module = bench, module
        self.kept, self.suffixes = kept(module), suffixes(module)
        types = {name: bench.campaign.filetypes[module.files[name].filetype] for name in module.outputs}
        self.columns = {name: found.planned for name, found in types.items()}
        self.kinds = {
            name: {column: kind for column, kind, _ in found.columns if kind in CHECKED}
            for name, found in types.items()
        }
        self.fit: set[tuple[str, Scalar]] = set()
        self.required = {
            name: {column: source for column, source in found.required if column in dict(found.planned)}
            for name, found in types.items()
        }

    def directory(self, text: str, what: str, where: str) -> str:
        """Return a directory in its plainest spelling; raises BadReference if it leaves its root."""
        path = clean_path(text)
        if path is None:
            raise BadReference(f"{what} leaves {where}: '{text}'", code="F506")
        return path

    def described(
        self, draft: Draft, spec: FileSpec, naming: Naming, values: Mapping[str, Scalar]
    ) -> dict[str, Scalar]:
        """Return the metadata of an output that planning knows."""
        described: dict[str, Scalar] = {**naming.constants}
        for column, template in naming.varying.items():
            described[column] = template.format(values)
        described |= draft.keys
        for name in naming.metadata:
            if name in values:
                described[name] = values[name]
        for column, name in self.columns[spec.name]:
            if name in values and column not in described:
                described[column] = values[name]
        for name in naming.needed:
            if name not in described:
                raise MissingVariable(name, tuple(values))
        for column, source in self.required[spec.name].items():
            if described.get(column) is None:
                raise BadReference(missing(column, source, f"output '{spec.name}'"), code="F527")
        for column, kind in self.kinds[spec.name].items():
            value = described.get(column)
            if (kind, value) not in self.fit:
                self.check(spec, column, kind, value)
        return described

    def check(self, spec: FileSpec, column: str, kind: str, value: Scalar) -> None:
        """Refuse a value that its column has no room for: the registry would refuse what the job reports."""
        if not (isinstance(value, str) and "${attnum" in value):  # whose number comes with the attempt
            try:
                typed(value, kind)
            except InputError as error:
                message = f"output '{spec.name}': column '{column}' of metadata: {error.message}"
                raise BadReference(message, code="F528") from None
        self.fit.add((kind, value))

    def new_file(
        self,
        draft: Draft,
        spec: FileSpec | ListSpec,
        naming: Naming,
        filetype: str,
        metadata: Mapping[str, Scalar],
        values: Mapping[str, Scalar],
    ) -> int:
        """Name a file that the plan makes, or writes itself if it is a list; a second writer of a name is an error."""
        assert naming.name is not None
        name = naming.name.format(values)
        archive_path = naming.archive_place
        if archive_path is None:
            text = naming.archive_path.format(values)
            archive_path = self.directory(text, f"the archive directory of '{spec.name}'", "the archive")
        if reason := name_fault(name):
            raise BadReference(f"the name of '{spec.name}' {reason}: '{name}'", code="F505")
        if name in self.bench.by_name:
            self.second_writer(draft, spec, name, self.bench.by_name[name])
        if name in self.bench.awaited:
            self.made_too_late(draft, spec, name)
        filename, compression = split_compression(name)
        if isinstance(spec, FileSpec):
            producer, optional, save = draft.wrapnum, spec.optional, self.kept[spec.name]
        else:
            producer, optional, save = -1, False, True
        known = None, None, metadata  # neither size nor checksum
        file = planned_file((filename, compression, filetype, archive_path, producer, *known, optional, save, ""))
        index = self.bench.add(file)
        self.bench.made_by[index] = draft.module, draft.keys, spec
        if not save:
            self.bench.unsaved.add(index)
        return index

    def second_writer(self, draft: Draft, spec: FileSpec | ListSpec, name: str, taken: int) -> None:
        """Report that *name* is taken, by file *taken*: another quantum makes it, or it is registered."""
        at, other = place_of_name(spec), self.bench.maker(taken)
        if other is None:
            message = f"'{name}' is to be written by {draft.label}, but a registered input is called so"
            remedy = "let the pattern use ${reqnum} and ${attnum}"
        elif other == draft.label:
            message, remedy = (
                f"'{name}' is written twice by {draft.label}",
                "give each output its own flabel or pattern",
            )
        else:
            message = f"'{name}' is written by {other} and by {draft.label}"
            remedy = (
                "let the pattern use every loop key of its module, and something of the module's own such as flabel"
            )
        there = place_of_name(self.bench.made_by[taken][2]) if other is not None else at
        others = [(f"{other} writes it", there)] if there is not at else []
        self.bench.fault("F510", message, at, remedy, alike=("second writer", at), others=others)

    def made_too_late(self, draft: Draft, spec: FileSpec | ListSpec, name: str) -> None:
        """Report that *name* was wanted before it is made."""
        _, reader, wanted = self.bench.awaited[name]
        at = place_of_name(spec)
        if reader == draft.label:
            message, remedy = f"{draft.label} needs '{name}' as input and makes it as well", "name the two differently"
        else:
            message = f"'{name}' is made by {draft.label}, but {reader} needs it earlier"
            remedy = "put the module that makes it earlier in modulelist or blocklist"
        others = [(f"{reader} needs it", place_of_name(wanted))]
        self.bench.fault("F511", message, at, remedy, alike=("made too late", at), others=others)

    def compressed(self, draft: Draft, spec: FileSpec, index: int) -> list[int]:
        """Add the compressed file that is made of output *index*; the archive has it, and the other if it stays."""
        file, compression = self.bench.files[index], self.module.compression
        assert compression is not None
        if file.compression:
            message = f"'{file.name}' is to be compressed, and is called so already"
            at = spec.section.value("compress_files") or spec.section
            self.bench.fault("F526", message, at, "compress_files = False", alike=("compressed", spec.section.location))
            return []
        name = file.filename + compression.suffix
        if reason := name_fault(name):
            raise BadReference(f"the name of '{spec.name}', compressed, {reason}: '{name}'", code="F505")
        if name in self.bench.by_name:
            self.second_writer(draft, spec, name, self.bench.by_name[name])
        made = self.bench.add(file._replace(compression=compression.suffix))
        self.bench.made_by[made] = draft.module, draft.keys, spec
        self.bench.compressed[made] = index
        if compression.cleanup:
            self.bench.files[index] = file._replace(save=False)
            self.bench.unsaved.add(index)
        return [made]

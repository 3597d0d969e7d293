"""What is known of rows before there are any: which columns the lines of a dataset can have, and how files are called.

A query code may supply any column, unless ``output_fields`` says which; then nothing is known and nothing is told.
"""

from __future__ import annotations

from dataclasses import dataclass

from facade.campaign.model import Campaign, Dataset, Depends, FileSpec, ListSpec, Module
from facade.metadata import FILENAME
from facade.wcl.scope import Expansion
from facade.wcl.template import BadReference, MissingVariable, joined
from facade.wcl.tree import Section, Value

PLANNED = frozenset({"wrapnum", "patchname", "compression"})
"""Names that planning and query codes supply besides columns."""
MAX_DEPTH = 50
"""How far a chain of datasets is followed, should later modules come first."""
_SOURCES = ("exec", "query_fields", "depends", "depends-newname")


@dataclass(slots=True)
class Name:
    """How the files of one section are called: where that is written, and the compiled text, with its lists."""

    at: Value
    found: Expansion

    @property
    def slots(self) -> frozenset[str]:
        """Names that differ from quantum to quantum."""
        return frozenset(self.found.template.slots) - self.found.choices.keys()

    @property
    def same(self) -> tuple[object, ...]:
        """What two sections have in common whose files are called alike."""
        # quoted or not, it is the same name
        parts = [str(part) if isinstance(part, str) else part for part in self.found.template.parts]
        return joined(parts), tuple(self.found.choices.items())


class Columns:
    """Columns and names, each worked out once, when first asked for."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.modules = {module.name: module for module in campaign.modules}
        self.mentioned = _mentioned(campaign)
        self._depth = 0
        self._lines: dict[tuple[str, str, str], frozenset[str] | None] = {}
        self._late: dict[str, frozenset[str]] = {}
        self._names: dict[tuple[str, str, str], Name | None] = {}

    # -- columns -----------------------------------------------------------------------------------------------------

    def lines(self, module: Module, spec: FileSpec | ListSpec) -> frozenset[str] | None:
        """Return the columns that the lines of *spec* can have at most, or None if that is not known."""
        key = module.name, _kind(spec), spec.name
        if key not in self._lines:
            if self._depth > MAX_DEPTH:
                return None
            self._lines[key] = None  # for datasets that depend on each other in a circle
            self._depth += 1
            self._lines[key] = self._dataset(spec)
            self._depth -= 1
        return self._lines[key]

    def loop(self, module: Module) -> frozenset[str] | None:
        """Return the columns of the loop object, none if lists of the campaign supply the loop values."""
        spec = loop_object(module)
        return self.lines(module, spec) if spec is not None else frozenset()

    def quantum(self, module: Module) -> frozenset[str] | None:
        """Return the names by which a quantum can tell its lines of a dataset, or None if that is not known."""
        columns = self.loop(module)
        return None if columns is None else columns | {*module.loop, "wrapnum"}

    def _dataset(self, spec: FileSpec | ListSpec) -> frozenset[str] | None:
        # if a file has both a query and depends, the query is not run (F327)
        if spec.query is not None and not (spec.depends and isinstance(spec, FileSpec)):
            return self._queried(spec)
        found = [columns for one in spec.depends if (columns := self._published(one)) is not None]
        return frozenset.intersection(*found) if found else None

    def _queried(self, spec: Dataset) -> frozenset[str] | None:
        assert spec.query is not None
        output = frozenset(name.rpartition(".")[2] for name in spec.query.output)
        if spec.query.program != "generic":
            return output | set(spec.keys) if output else None
        if spec.query.join and not output:
            return None
        return output or self.table(spec.filetype) or None

    def table(self, filetype: str) -> frozenset[str]:
        """Return the columns of the table that keeps the metadata of *filetype*, as far as the campaign defines it."""
        found = self.campaign.filetypes.get(filetype)
        if found is None or not found.columns:
            return frozenset()
        table = found.metadata_table.lower()
        alike = [one for one in self.campaign.filetypes.values() if one.metadata_table.lower() == table]
        return frozenset(column for one in alike for column, _, _ in one.columns)

    def _published(self, depends: Depends) -> frozenset[str] | None:
        """Return the columns of an earlier module's dataset."""
        module = self.modules.get(depends.module)
        spec = module.dataset(depends.ref) if module is not None else None
        if module is None or spec is None:
            return None
        if isinstance(spec, FileSpec) and spec.name in module.outputs:
            return self._made(module, spec)
        return self.lines(module, spec) if sourced(spec) else None

    def _made(self, module: Module, spec: FileSpec) -> frozenset[str] | None:
        """Return what planning can know of an output: loop values, what its name holds, columns without a header."""
        name, filetype = self.name(module, spec), self.campaign.filetypes.get(spec.filetype)
        if name is None or filetype is None:
            return None
        used = set(name.slots) | name.found.choices.keys()
        for text in self.directories(spec):
            found = self._compiled(module, spec, text)
            if found is None:
                return None
            used |= set(found.template.slots) | found.choices.keys()
        planned = {column for column, _, source in filetype.columns if not source or source.startswith(FILENAME)}
        return frozenset({*module.loop, *used, *planned} - {"wrapnum"})

    # -- names -------------------------------------------------------------------------------------------------------

    def name(self, module: Module, spec: FileSpec | ListSpec) -> Name | None:
        """Return how the files of *spec* are called, or None if they have no pattern or one that is wrong."""
        key = module.name, _kind(spec), spec.name
        if key not in self._names:
            self._names[key] = None
            text, at = self._text(spec)
            found = self._compiled(module, spec, text) if text is not None else None
            self._names[key] = Name(at, found) if found is not None and at is not None else None
        return self._names[key]

    def _text(self, spec: FileSpec | ListSpec) -> tuple[Value | None, Value | None]:
        """Return the text of a section's file names, and the value to point at."""
        literal = spec.filename or (spec.fullname if isinstance(spec, FileSpec) else None)
        return (literal, literal) if literal is not None else (self.pattern(spec), spec.filepat)

    def pattern(self, spec: Dataset) -> Value | None:
        """Return the pattern of a section's file names, if it names one that is there."""
        patterns = self.campaign.document.root.section("filename_pattern")
        return patterns.value(spec.filepat.text.lower()) if patterns is not None and spec.filepat is not None else None

    def directories(self, spec: Dataset) -> list[Value]:
        """Return the texts of a section's directories, in the archive and in the job."""
        found = (
            self.campaign.document.root.path(f"directory_pattern.{spec.dirpat.text.lower()}") if spec.dirpat else None
        )
        values = [found.value(kind) for kind in ("ops", "runtime")] if isinstance(found, Section) else [found]
        return [value for value in values if isinstance(value, Value)]

    def _compiled(self, module: Module, spec: Dataset, text: Value) -> Expansion | None:
        scope = self.campaign.scope(module, spec.section)
        # definitions in the section win over loop values, those elsewhere do not
        scope.late = self.late(module) - {key for key, _ in spec.section.values()}
        scope.dotted = module.reference
        try:
            return scope.expand(text)
        except (MissingVariable, BadReference):
            return None  # told where variables are checked

    def late(self, module: Module) -> frozenset[str]:
        """Return the names whose values quanta can have; a column that is not sure to be one of them yields."""
        if module.name not in self._late:
            columns = self.loop(module)
            sure = {*module.loop, "wrapnum", *(self.mentioned if columns is None else columns)}
            scope = self.campaign.scope(module)
            others = {name for name in self.mentioned | PLANNED if name not in sure and scope.lookup(name) is None}
            self._late[module.name] = frozenset(sure | others)
        return self._late[module.name]


def sourced(spec: Dataset) -> bool:
    """Tell whether the lines of a section come from a query or from another module."""
    return any(spec.section.value(key) is not None for key in _SOURCES)


def loop_object(module: Module) -> FileSpec | ListSpec | None:
    """Return the dataset that supplies the loop values, or None if lists of the campaign do."""
    spec = module.dataset(module.loopobj) if module.loopobj is not None else None
    return spec if spec is not None and sourced(spec) else None


def _kind(spec: Dataset) -> str:
    return "list" if isinstance(spec, ListSpec) else "file"


def _mentioned(campaign: Campaign) -> frozenset[str]:
    """Return every column that the campaign mentions."""
    columns = {name for filetype in campaign.filetypes.values() for name, _, _ in filetype.columns}
    columns |= {name for filetype in campaign.filetypes.values() for _, name in filetype.planned}
    for one in campaign.modules:
        for spec in one.datasets:
            columns |= {*spec.keys, *(spec.query.output if spec.query else ())}
        columns |= {*one.loop, *(c.lower() for spec in one.lists.values() for _, c in spec.columns)}
    return frozenset(columns - {"fullname", "filename"})

"""Rows -> quanta: division by loop keys, assignment of files, naming of outputs (desdm.md §2.3).

Modules are planned in the order in which they run. What a module makes becomes a dataset that later modules may name in
``depends``, exactly as if it had been queried.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from facade.campaign import Depends, FileSpec, ListSpec, Module
from facade.campaign.faults import fault_of, item_of
from facade.files import natural_key
from facade.plan.assign import Assigner
from facade.plan.bench import Draft, Workbench
from facade.plan.datasets import Dataset, Line, NoSingleValue, Source, agreed, metadata
from facade.plan.graph import JobKeys
from facade.plan.model import Quantum, label, maker_of
from facade.plan.outputs import handling
from facade.plan.templates import Compiler
from facade.wcl.template import BadReference, MissingVariable, Scalar, plain
from facade.wcl.tree import Value

new_quantum, new_line = maker_of(Quantum), maker_of(Line)

Loop = tuple[dict[str, Scalar], Mapping[str, Scalar]]
"""Loop values of a quantum, and what else its loop object says of it."""


class ModulePlanner:
    """Plans one module onto the workbench."""

    def __init__(self, bench: Workbench, module: Module, block: int, number: int = 0) -> None:
        self.bench, self.module, self.block, self.number = bench, module, block, number
        self.datasets: dict[str, Dataset] = {}
        self.outputs = frozenset(module.outputs)
        self.broken: dict[tuple[str, str], list[str]] = {}
        self.first = len(bench.quanta)
        self.job_keys: dict[tuple[str, ...], JobKeys] = {}

    def run(self) -> None:
        """Add the quanta of the module, or the faults that prevent them."""
        bench = self.bench
        before = len(bench.faults) + len(bench.empty)
        self.read_datasets()
        specs = [*self.module.files.values(), *self.module.lists.values()]
        starved = any(depends.module in bench.failed for spec in specs for depends in spec.depends)
        if starved or len(bench.faults) + len(bench.empty) > before:
            bench.failed.add(self.module.name)  # what follows from that would only hide the cause
            return
        self.build()
        for (code, message), labels in self.broken.items():
            more = f" (and {len(labels) - 1} more like it)" if len(labels) > 1 else ""
            bench.fault(code, f"quantum {labels[0]}{more}: {message}", self.module.section)
        if len(bench.faults) + len(bench.empty) > before:
            bench.failed.add(self.module.name)
        for name in [name for name in bench.published if bench.wanted[name] <= self.number]:
            del bench.published[name]

    def build(self) -> None:
        """Plan the quanta one after the other."""
        before = len(self.bench.faults)
        loops = self.loops()
        if len(self.bench.faults) > before:
            return
        late = frozenset(self.module.loop if loops else ()).union(*{tuple(extra) for _, extra in loops})
        columns = {name: data.columns for name, data in self.datasets.items()}
        compiled = Compiler(self.bench.campaign, self.module, late, columns, self.bench.faults).run()
        if len(self.bench.faults) > before:
            return
        if not self.module.noop:
            cards = {name: naming.cards for name, naming in compiled.files.items()}
            self.bench.handlings[self.module.name] = handling(self.module, cards)
        assigner = Assigner(self.bench, self.module, self.datasets, compiled)
        for keys, extra in loops if not self.module.noop else ():
            self.quantum(keys, extra, assigner)
        self.publish()

    def read_datasets(self) -> None:
        """Take the lines of every file and list section."""
        for spec in self.module.files.values():
            self.datasets[f"file.{spec.name}"] = self.dataset("file", spec)
        for listing in self.module.lists.values():
            self.datasets[f"list.{listing.name}"] = self.dataset("list", listing)

    # -- datasets ----------------------------------------------------------------------------------------------------

    def dataset(self, kind: str, spec: FileSpec | ListSpec) -> Dataset:
        """Return the lines of a section: from its query, else from the modules it depends on."""
        bench, what = self.bench, f"{kind} '{spec.name}' of module '{self.module.name}'"
        if spec.query is not None and not (spec.depends and kind == "file"):
            rows = bench.inputs.datasets.get(f"{self.module.name}.{kind}.{spec.name}", ())
            if not rows and not (spec.optional if isinstance(spec, FileSpec) else spec.allow_missing):
                message = f"the query of {what} found nothing"
                remedy = "ingest the inputs (facade ingest), or widen the query; try it with: facade query"
                bench.empty.append(bench.campaign.document.fault(message, spec.query.at, code="F501", remedy=remedy))
            return Dataset([self.line(row) for row in rows], what)
        return Dataset([line for depends in spec.depends for line in self.dependence(kind, spec, depends)], what)

    def dependence(self, kind: str, spec: FileSpec | ListSpec, depends: Depends) -> list[Line]:
        """Return the lines of an earlier module's dataset, as *spec* sees them."""
        found = self.bench.published.get(f"{depends.module}.{depends.ref.kind}.{depends.ref.name}")
        lines = list(found.lines) if found is not None else []
        member = depends.ref.member
        if member:
            lines = [_member(line, member) for line in lines]
        elif kind == "file" and not spec.newname and any(len(line.files) > 1 for line in lines):
            nicknames = ", ".join(dict.fromkeys(nick for line in lines for nick in line.files))
            self.bench.fault(
                "F516",
                f"the lines of {depends.module}.{depends.ref} hold several files: {nicknames}",
                depends.at,
                f"name one of them: {depends.module}.{depends.ref}.FILE",
            )
        # a new name is made from the file's own pattern; all else that is known of it stays
        return [new_line(({spec.name: None}, line.columns)) for line in lines] if spec.newname else lines

    def line(self, row: Mapping[str, Mapping[str, Scalar]]) -> Line:
        """Return a line of rows by nickname: a column belongs to the line unless its files contradict each other."""
        files: dict[str, Source] = {nick: columns if columns.get("filename") else None for nick, columns in row.items()}
        if len(row) == 1:
            return new_line((files, metadata(next(iter(row.values())))))
        merged: dict[str, Scalar] = {}
        for columns in row.values():
            for key, value in metadata(columns).items():
                if all(other.get(key) in (value, None) for other in row.values()):
                    merged.setdefault(key, value)
        return Line(files, merged)

    # -- loop --------------------------------------------------------------------------------------------------------

    def loops(self) -> list[Loop]:
        """Return, for each quantum in natural order, its loop values and what else its loop object says of it."""
        module, ref = self.module, self.module.loopobj
        data = self.datasets.get(f"{ref.kind}.{ref.name}") if ref is not None else None
        if not module.loop:
            return [({}, self.extras(data.lines) if data is not None else {})]
        if data is not None and data.lines:
            return self.loops_over(data)
        spec = module.dataset(ref) if ref is not None else None
        if spec is not None and (spec.query is not None or spec.depends):
            if not self.bench.empty:
                at = module.section.value("loopobj") or module.section
                self.bench.fault("F513", f"loopobj {ref} of module '{module.name}' has no lines", at)
            return []
        return self.loops_from_values()

    def loops_over(self, data: Dataset) -> list[Loop]:
        """Return one quantum for each distinct tuple of loop values among the lines of the loop object."""
        loop = self.module.loop
        try:
            groups = data.tuples(loop)
        except NoSingleValue as error:
            at = self.module.section.value("wrapperloop") or self.module.section
            message = f"wrapperloop of module '{self.module.name}': {error}"
            self.bench.fault("F514", message, at, "loop over columns that the loop object has")
            return []
        return self.ordered([({k: lines[0].columns[k] for k in loop}, self.extras(lines)) for _, lines in groups])

    def ordered(self, loops: list[Loop]) -> list[Loop]:
        """Return *loops*, which are in natural order, in the order that ``order_by`` asks for."""
        for index, (key, descending) in reversed(list(enumerate(self.module.order_by))):
            lacking = next((keys for keys, extra in loops if key not in keys and key not in extra), None)
            if lacking is not None:
                section = self.module.section
                at = item_of(section, "order_by", index, len(self.module.order_by))
                known = {name for keys, extra in loops[:1] for name in (*keys, *extra)}
                message = f"order_by of module '{self.module.name}': {label(self.module.name, lacking)} has no '{key}'"
                self.bench.fault("F514", message, at, f"its loop keys and columns are {', '.join(sorted(known))}")
            else:
                loops.sort(key=lambda one: natural_key((one[0].get(key, one[1].get(key)),)), reverse=descending)
        return loops

    def extras(self, lines: Sequence[Line]) -> Mapping[str, Scalar]:
        """Return the columns that have one value in all *lines*; who the campaign is, no column can say."""
        identity = self.bench.campaign.identity
        found = lines[0].columns if len(lines) == 1 else agreed([line.columns for line in lines])
        if None in found.values():
            found = agreed([found])
        return {k: v for k, v in found.items() if k not in identity} if not identity.keys().isdisjoint(found) else found

    def loops_from_values(self) -> list[Loop]:
        """Return the Cartesian product of the lists that the campaign gives for the loop keys."""
        choices = self.choices()
        if len(choices) < len(self.module.loop):
            return []
        combinations = sorted(itertools.product(*choices), key=natural_key)
        return self.ordered([(dict(zip(self.module.loop, one, strict=True)), {}) for one in combinations])

    def choices(self) -> list[tuple[str, ...]]:
        """Return the values that the campaign gives for each loop key; what is wrong with one is told."""
        scope = self.bench.campaign.scope(self.module)
        choices: list[tuple[str, ...]] = []
        for index, key in enumerate(self.module.loop):
            value = scope.lookup(key)
            try:
                found = scope.items(value) if isinstance(value, Value) else () if value is None else (plain(value),)
            except (MissingVariable, BadReference) as error:
                assert isinstance(value, Value)
                about = f"loop key '{key}' of module '{self.module.name}': "
                self.bench.faults.append(fault_of(self.bench.campaign.document, error, value, about))
                continue
            choices.append(found)
            if not found:
                at = item_of(self.module.section, "wrapperloop", index, len(self.module.loop))
                message = f"loop key '{key}' of module '{self.module.name}' has no values"
                place = value if isinstance(value, Value) else at
                self.bench.fault("F514", message, place, f"define '{key} = …' or name a loopobj that has that column")
        return choices

    # -- one quantum -------------------------------------------------------------------------------------------------

    def quantum(self, keys: dict[str, Scalar], extra: Mapping[str, Scalar], assigner: Assigner) -> None:
        """Plan one quantum, or note why it cannot be planned."""
        bench, module, compiled = self.bench, self.module, assigner.compiled
        wrapnum = len(bench.quanta) + 1
        draft = Draft(wrapnum, module.name, keys, {**extra, **keys, "wrapnum": wrapnum})
        try:
            execs = assigner.fill(draft)
            divided = tuple([t.format(draft.values) for t in compiled.jobs_by])
            parameters = compiled.fixed_parameters
            if parameters is None:
                parameters = {k: t.format(draft.values) for k, t in compiled.parameters}
        except (MissingVariable, BadReference, NoSingleValue) as error:
            message = _unknown(error, draft.values) if isinstance(error, MissingVariable) else str(error)
            self.broken.setdefault((error.code, message), []).append(draft.label)
            return
        bench.job_keys.append(self.job_keys.setdefault(divided, (self.block, compiled.job_keys, divided)))
        log = f"{compiled.log_stem}_w{wrapnum:05d}.log"
        made = wrapnum, module.name, keys, tuple(draft.inputs), tuple(draft.lists), tuple(draft.outputs)
        bench.quanta.append(new_quantum((*made, parameters, execs, log, compiled.log_path)))

    # -- for later modules -------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Offer the module's datasets to the ``depends`` of later ones: those that any of them wants."""
        offered: dict[str, Dataset] = {}
        for section, data in self.datasets.items():
            if self.bench.wanted.get(f"{self.module.name}.{section}", -1) > self.number:
                kind, _, name = section.partition(".")
                if name in self.outputs:
                    offered[section] = Dataset(self.made(section, name))
                else:
                    offered[section] = data if data.lines or kind == "list" else Dataset(self.read(section, name))
        self.bench.published |= {f"{self.module.name}.{section}": data for section, data in offered.items()}

    def made(self, section: str, name: str) -> list[Line]:
        """Return the files that quanta of this module make for *section*, with all that is known of each."""
        files, lines, compressed = self.bench.files, [], self.bench.compressed
        for quantum in self.bench.quanta[self.first :]:
            for use in quantum.outputs:
                if use.section == section and use.file not in compressed:
                    known = files[use.file].metadata
                    alike = quantum.keys.items() <= known.items()
                    lines.append(new_line(({name: use.file}, known if alike else {**known, **quantum.keys})))
        return lines

    def read(self, section: str, name: str) -> list[Line]:
        """Return the files that quanta of this module read for *section*, which names them by pattern."""
        readers: dict[int, list[Mapping[str, Scalar]]] = {}
        for quantum in self.bench.quanta[self.first :]:
            for use in quantum.inputs:
                if use.section == section:
                    readers.setdefault(use.file, []).append(quantum.keys)
        files = self.bench.files
        return [Line({name: file}, {**files[file].metadata, **agreed(keys)}) for file, keys in readers.items()]


def _member(line: Line, nick: str) -> Line:
    """Return the line with one of its files only, and what is known of that file."""
    source = line.files.get(nick)
    own = metadata(source) if isinstance(source, Mapping) else {}
    return Line({nick: source}, {**line.columns, **own})


def _unknown(missing: MissingVariable, values: Mapping[str, Scalar]) -> str:
    """Say what a quantum lacks, and what it has."""
    name = missing.name
    if name.startswith(("file.", "list.")):
        return f"'{name}' has no value: the quantum has no such file"
    return f"'{name}' has no single value; the quantum has: {', '.join(k for k in values if '.' not in k)}"

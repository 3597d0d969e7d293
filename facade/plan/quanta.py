"""Rows -> quanta: division by loop keys, assignment of files, naming of outputs (desdm.md §2.3).

Modules are planned in the order in which they run. What a module makes becomes a dataset that later modules may name in
``depends``, exactly as if it had been queried.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from facade.campaign import FileSpec, ListSpec, Module, split
from facade.files import natural_key
from facade.plan.assign import Assigner
from facade.plan.bench import Draft, Workbench
from facade.plan.datasets import FILE_COLUMNS, Dataset, Line, NoSingleValue, agreed
from facade.plan.model import Quantum
from facade.plan.templates import Compiler
from facade.wcl.scope import BadReference, MissingVariable, Scalar
from facade.wcl.tree import Value


class ModulePlanner:
    """Plans one module onto the workbench."""

    def __init__(self, bench: Workbench, module: Module, block: int) -> None:
        self.bench, self.module, self.block = bench, module, block
        self.datasets: dict[str, Dataset] = {}
        self.outputs = frozenset(module.outputs)
        self.broken: dict[str, list[str]] = {}

    def run(self) -> None:
        """Add the quanta of the module, or the faults that prevent them."""
        bench = self.bench
        specs = [*self.module.files.values(), *self.module.lists.values()]
        if any(depends.module in bench.failed for spec in specs for depends in spec.depends):
            bench.failed.add(self.module.name)
            return
        before = len(bench.faults) + len(bench.empty)
        self.build()
        for message, labels in self.broken.items():
            more = f" (and {len(labels) - 1} more like it)" if len(labels) > 1 else ""
            bench.fault(f"quantum {labels[0]}{more}: {message}", self.module.section)
        if len(bench.faults) + len(bench.empty) > before:
            bench.failed.add(self.module.name)

    def build(self) -> None:
        """Plan the quanta one after the other."""
        before = len(self.bench.faults) + len(self.bench.empty)
        for spec in self.module.files.values():
            self.datasets[f"file.{spec.name}"] = self.dataset("file", spec)
        for listing in self.module.lists.values():
            self.datasets[f"list.{listing.name}"] = self.dataset("list", listing)
        loops = self.loops()
        if len(self.bench.faults) + len(self.bench.empty) > before:
            return
        late = frozenset(name for keys, extra in loops for name in (*keys, *extra))
        compiled = Compiler(self.bench.campaign, self.module, late | self.columns(), self.bench.faults).run()
        if len(self.bench.faults) > before:
            return
        assigner = Assigner(self.bench, self.module, self.datasets, compiled)
        for keys, extra in loops if not self.module.noop else ():
            self.quantum(keys, {**extra, **keys}, assigner)
        self.publish()

    # -- datasets ----------------------------------------------------------------------------------------------------

    def dataset(self, kind: str, spec: FileSpec | ListSpec) -> Dataset:
        """Return the lines of a section: from its query, else from the modules it depends on."""
        bench = self.bench
        if spec.query is not None and not (spec.depends and kind == "file"):
            rows = bench.inputs.datasets.get(f"{self.module.name}.{kind}.{spec.name}", ())
            if not rows:
                where = f"{kind} '{spec.name}' of module '{self.module.name}'"
                bench.empty.append(
                    bench.campaign.document.fault(
                        f"the query for {where} found no input rows",
                        spec.query.at,
                        remedy="ingest the inputs (facade ingest), or widen the query; try it with: facade query",
                    )
                )
            return Dataset([self.line(spec, row) for row in rows])
        lines: list[Line] = []
        for depends in spec.depends:
            found = bench.published.get(f"{depends.module}.{depends.ref.kind}.{depends.ref.name}")
            lines += found.lines if found is not None else ()
        if spec.depends and spec.newname:
            lines = [Line({spec.name: None}, line.columns) for line in lines]
        return Dataset(lines)

    def line(self, spec: FileSpec | ListSpec, row: Mapping[str, Mapping[str, Scalar]]) -> Line:
        files = {
            nick: self.bench.registered(columns) if columns.get("filename") else None for nick, columns in row.items()
        }
        merged = agreed(row.values()) if len(row) > 1 else dict(next(iter(row.values())))
        for columns in row.values() if len(row) > 1 else ():
            for key, value in columns.items():
                if all(other.get(key, value) == value for other in row.values()):
                    merged.setdefault(key, value)
        return Line(files, {k: v for k, v in merged.items() if k not in FILE_COLUMNS and v is not None})

    def columns(self) -> frozenset[str]:
        """Return every column that a line of this module's datasets has."""
        return frozenset(k for d in self.datasets.values() for line in d.lines[:1] for k in line.columns)

    # -- loop --------------------------------------------------------------------------------------------------------

    def loops(self) -> list[tuple[dict[str, Scalar], dict[str, Scalar]]]:
        """Return, for each quantum in natural order, its loop values and what else its loop object says of it."""
        module = self.module
        if not module.loop:
            found = self.datasets.get(str(module.loopobj)) if module.loopobj else None
            return [({}, self.extras(found.lines) if found else {})]
        if module.loopobj is not None:
            data = self.datasets.get(f"{module.loopobj.kind}.{module.loopobj.name}")
            if data is not None and data.lines:
                return self.loops_over(data)
            if data is not None and not self.bench.empty:
                at = module.section.value("loopobj") or module.section
                self.bench.fault(
                    f"loopobj {module.loopobj} of module '{module.name}' has no lines", at, "give it a query or depends"
                )
            return []
        return self.loops_from_values()

    def loops_over(self, data: Dataset) -> list[tuple[dict[str, Scalar], dict[str, Scalar]]]:
        loop = self.module.loop
        try:
            groups = data.tuples(loop)
        except NoSingleValue as error:
            at = self.module.section.value("wrapperloop") or self.module.section
            self.bench.fault(
                f"wrapperloop of module '{self.module.name}': {error}", at, "loop over columns that the loop object has"
            )
            return []
        return [({k: lines[0].columns[k] for k in loop}, self.extras(lines)) for _, lines in groups]

    def extras(self, lines: Sequence[Line]) -> dict[str, Scalar]:
        identity = self.bench.campaign.identity
        return {k: v for k, v in agreed(line.columns for line in lines).items() if k not in identity}

    def loops_from_values(self) -> list[tuple[dict[str, Scalar], dict[str, Scalar]]]:
        """Return the Cartesian product of the comma lists that the campaign gives for the loop keys."""
        scope = self.bench.campaign.scope(self.module)
        at = self.module.section.value("wrapperloop") or self.module.section
        choices: list[tuple[str, ...]] = []
        for key in self.module.loop:
            value = scope.lookup(key)
            if value is None:
                self.bench.fault(
                    f"loop key '{key}' of module '{self.module.name}' has no values",
                    at,
                    f"define '{key} = …' or name a loopobj that has that column",
                )
                return []
            choices.append(split(scope.resolve(value.text if isinstance(value, Value) else str(value))))
        combinations = sorted(itertools.product(*choices), key=natural_key)
        return [(dict(zip(self.module.loop, one, strict=True)), {}) for one in combinations]

    # -- one quantum -------------------------------------------------------------------------------------------------

    def quantum(self, keys: dict[str, Scalar], values: dict[str, Scalar], assigner: Assigner) -> None:
        bench, module, compiled = self.bench, self.module, assigner.compiled
        wrapnum = len(bench.quanta) + 1
        label = " ".join([module.name, *(f"{k}={v}" for k, v in keys.items())])
        draft = Draft(wrapnum, label, keys, {**values, "wrapnum": wrapnum})
        try:
            execs = assigner.fill(draft)
            job_keys = {k: t.format(draft.values) for k, t in compiled.jobs_by}
            parameters = {k: t.format(draft.values) for k, t in compiled.parameters}
        except (MissingVariable, BadReference, NoSingleValue) as error:
            message = f"'{error.name}' has no single value" if isinstance(error, MissingVariable) else str(error)
            self.broken.setdefault(message, []).append(label)
            return
        bench.job_keys.append((self.block, job_keys))
        identity = bench.campaign.identity
        bench.quanta.append(
            Quantum(
                wrapnum=wrapnum,
                module=module.name,
                keys=keys,
                inputs=tuple(draft.inputs),
                lists=tuple(draft.lists),
                outputs=tuple(draft.outputs),
                parameters=parameters,
                execs=execs,
                log=f"{identity['unitname']}_r{identity['reqnum']}p${{attnum:2}}_{module.name}_w{wrapnum:05d}.log",
                log_path=compiled.log_path,
            )
        )

    # -- for later modules -------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Offer the module's datasets to the ``depends`` of later ones."""
        mine = [q for q in self.bench.quanta if q.module == self.module.name]
        published: dict[str, list[Line]] = {f"file.{name}": [] for name in self.module.files}
        for quantum in mine:
            for use in (*quantum.inputs, *quantum.outputs):
                kind, name, *rest = use.section.split(".")
                if kind == "file":
                    columns = {**self.bench.files[use.file].metadata, **quantum.keys}
                    published[use.section].append(Line({name: use.file}, columns))
        for name, lines in published.items():
            data = self.datasets.get(name)
            keep = (
                data if data is not None and data.lines and name.split(".")[1] not in self.outputs else Dataset(lines)
            )
            self.bench.published[f"{self.module.name}.{name}"] = keep
        for name, data in self.datasets.items():
            if name.startswith("list."):
                self.bench.published[f"{self.module.name}.{name}"] = data

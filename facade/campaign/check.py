"""What the modules of a campaign say of each other, of patterns, and of variables that nothing could supply."""

from __future__ import annotations

from collections.abc import Callable

from facade.campaign.faults import Faults
from facade.campaign.model import Campaign, Depends, Module
from facade.wcl.scope import BadReference, MissingVariable, Slot, Template
from facade.wcl.tree import Section, Value, did_you_mean

PLANNED = frozenset({"wrapnum", "patchname", "qoutfile", "outputfile", "outputxml", "compression"})
"""Names that planning, query codes and queries supply besides columns."""


def check_references(campaign: Campaign, faults: Faults) -> None:
    """Check what modules say of each other, of patterns, and of variables that nothing could supply."""
    root = campaign.document.root
    earlier: dict[str, Module] = {}
    for module in campaign.modules:
        for spec in [*module.files.values(), *module.lists.values()]:
            for depends in spec.depends:
                _check_depends(depends, module, earlier, faults)
            for key, group in (("dirpat", "directory_pattern"), ("filepat", "filename_pattern")):
                value = spec.section.value(key)
                patterns = root.section(group)
                if value is not None and (patterns is None or value.text.lower() not in patterns):
                    faults.unknown(value, f"{group}", value.text.lower(), list(patterns) if patterns else [])
        earlier[module.name] = module
        _check_variables(campaign, module, faults)


def _check_depends(depends: Depends, module: Module, earlier: dict[str, Module], faults: Faults) -> None:
    found = earlier.get(depends.module)
    if found is None:
        faults.unknown(depends.at, f"module that runs before '{module.name}'", depends.module, earlier)
    elif found.dataset(depends.ref) is None:
        known = found.files if depends.ref.kind == "file" else found.lists
        faults.unknown(depends.at, f"{depends.ref.kind} of module '{found.name}'", depends.ref.name, known)


def _check_variables(campaign: Campaign, module: Module, faults: Faults) -> None:
    """Report variables that neither the configuration nor any column could supply."""
    columns = {name for filetype in campaign.filetypes.values() for name, _, _ in filetype.columns}
    for one in campaign.modules:
        columns |= {*one.loop, *(k for s in [*one.files.values(), *one.lists.values()] for k in s.keys)}
        columns |= {c.lower() for spec in one.lists.values() for _, c in spec.columns}
    texts: list[tuple[Value, Section | None]] = [(v, None) for _, v in module.parameters]
    texts += [(v, None) for one in module.execs for _, v in one.cmdline] + [(e.execname, None) for e in module.execs]
    for spec in [*module.files.values(), *module.lists.values()]:
        texts += [(v, spec.section) for k in ("filename", "rename_file", "args") if (v := spec.section.value(k))]
        pattern = campaign.document.root.path(f"filename_pattern.{spec.filepat.text.lower()}") if spec.filepat else None
        texts += [(pattern, spec.section)] if isinstance(pattern, Value) else []
    for value, search in texts:
        scope = campaign.scope(module, search)
        # any column of any query may turn up as a loop value; what none of them is called is surely undefined
        scope.late = frozenset(columns) | PLANNED
        scope.dotted = _dataset_reference(module)
        try:
            scope.compile(value.text)
        except MissingVariable as missing:
            remedy = did_you_mean(missing.name, {*scope.known(), *columns})
            faults.at(value, f"undefined variable '{missing.name}'", remedy or f"define '{missing.name} = …'")
        except BadReference as error:
            faults.at(value, str(error))


def _dataset_reference(module: Module) -> Callable[[str], Template | None]:
    def find(name: str) -> Template | None:
        parts = name.split(".")
        known = module.files if parts[0] == "file" else module.lists if parts[0] == "list" else {}
        return Template((Slot(name),)) if len(parts) >= 3 and parts[1] in known else None

    return find

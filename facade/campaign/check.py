"""What the modules of a campaign say of each other, of patterns, and of variables that nothing could supply."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from facade.campaign.faults import Faults, reference, shown
from facade.campaign.model import Campaign, Depends, Module
from facade.wcl.scope import Scope
from facade.wcl.template import BadReference, MissingVariable, Slot, Template
from facade.wcl.tree import Section, Value, did_you_mean

PLANNED = frozenset({"wrapnum", "patchname", "compression"})
"""Names that planning and query codes supply besides columns."""
QUERY_FILES = frozenset({"qoutfile", "outputfile", "outputxml"})
"""Names for the file that an executable query writes."""


def check_references(campaign: Campaign, faults: Faults, reported: Collection[str] = ()) -> None:
    """Check what modules say of each other, of patterns, and of variables that nothing could supply.

    Variables in *reported* are known to be missing; that they are undefined is not said again.
    """
    root = campaign.document.root
    _check_campaign_texts(campaign, faults, reported)
    # a module that could not be read is told once, not again by all who depend on it
    unread = {name for name, _ in (root.section("module") or Section()).sections()} if faults else set()
    earlier: dict[str, Module] = {}
    for module in campaign.modules:
        for spec in [*module.files.values(), *module.lists.values()]:
            for depends in spec.depends:
                if depends.module in earlier or depends.module not in unread or depends.module == module.name:
                    _check_depends(depends, module, earlier, faults)
            for key, group in (("dirpat", "directory_pattern"), ("filepat", "filename_pattern")):
                value = spec.section.value(key)
                patterns = root.section(group)
                if value is not None and (patterns is None or value.text.lower() not in patterns):
                    faults.unknown(
                        value, group.replace("_", " "), value.text.lower(), list(patterns) if patterns else []
                    )
        earlier[module.name] = module
        _check_variables(campaign, module, faults, reported)


def _check_campaign_texts(campaign: Campaign, faults: Faults, reported: Collection[str]) -> None:
    """Report variables that the texts of the campaign as a whole lack."""
    root, scope = campaign.document.root, campaign.scope()
    environment = root.section("job_environment") or Section()
    for value in (root.value("ops_run_dir"), *(value for _, value in environment.values())):
        try:
            for missing in _missing(scope, value.text) if value is not None else ():
                if value is not None and missing.name not in reported:
                    faults.undefined(value, missing, scope.known())
        except BadReference as error:
            faults.at(error.at or value or root, str(error))


def _check_depends(depends: Depends, module: Module, earlier: dict[str, Module], faults: Faults) -> None:
    found = earlier.get(depends.module)
    ref = depends.ref
    if found is None:
        faults.unknown(depends.at, f"module that runs before '{module.name}'", depends.module, earlier)
    elif found.dataset(ref) is None:
        known = found.files if ref.kind == "file" else found.lists
        faults.unknown(depends.at, f"{ref.kind} of module '{found.name}'", ref.name, known)


def _check_variables(campaign: Campaign, module: Module, faults: Faults, reported: Collection[str]) -> None:
    """Report variables that neither the configuration nor any column could supply."""
    columns = _columns(campaign)
    texts = [(value, search, False) for value, search in _texts(campaign, module)]
    texts += [(value, search, True) for value, search in _query_texts(campaign, module)]
    for value, search, before in texts:
        scope = campaign.scope(module, search)
        # any column of any query may turn up as a loop value; what none of them is called is surely undefined;
        # but queries run before there are any columns
        scope.late = QUERY_FILES if before else frozenset(columns) | PLANNED
        scope.dotted = None if before else _dataset_reference(module)
        try:
            for missing in _missing(scope, value.text):
                _undefined(missing, value, module, scope, set() if before else columns, faults, reported)
        except BadReference as error:
            faults.at(error.at or value, str(error))


def _missing(scope: Scope, text: str) -> Iterator[MissingVariable]:
    """Yield each variable of *text* that nothing supplies, and take it for supplied from then on."""
    while True:
        try:
            scope.compile(text)
            return
        except MissingVariable as missing:
            yield missing
            scope.late |= {missing.name}


def _undefined(
    missing: MissingVariable,
    value: Value,
    module: Module,
    scope: Scope,
    columns: set[str],
    faults: Faults,
    reported: Collection[str],
) -> None:
    name = missing.name
    if name.startswith(("file.", "list.")):
        known = [*(f"file.{n}.fullname" for n in module.files), *(f"list.{n}.fullname" for n in module.lists)]
        message = f"'{name}' names no file or list of module '{module.name}'"
        faults.at(reference(missing.at or value, name), message, did_you_mean(name, known) or f"known: {shown(known)}")
    elif name not in reported:
        faults.undefined(value, missing, [*scope.known(), *sorted(columns)])


def _columns(campaign: Campaign) -> set[str]:
    """Return every column that the campaign mentions."""
    columns = {name for filetype in campaign.filetypes.values() for name, _, _ in filetype.columns}
    for one in campaign.modules:
        for spec in [*one.files.values(), *one.lists.values()]:
            columns |= {*spec.keys, *(spec.query.output if spec.query else ())}
        columns |= {*one.loop, *(c.lower() for spec in one.lists.values() for _, c in spec.columns)}
    return columns - {"fullname", "filename"}


def _texts(campaign: Campaign, module: Module) -> list[tuple[Value, Section | None]]:
    """Return every text of a module in which variables are replaced, and the section that is searched first."""
    root = campaign.document.root
    texts: list[tuple[Value, Section | None]] = [(value, None) for _, value in module.parameters]
    texts += [(module.per_file, None)] if module.per_file else []
    for one in module.execs:
        texts += [(one.execname, one.section), *((value, one.section) for _, value in one.cmdline)]
    for spec in [*module.files.values(), *module.lists.values()]:
        keys = ("filename", "fullname", "rename_file")
        texts += [(value, spec.section) for key in keys if (value := spec.section.value(key))]
        pattern = root.path(f"filename_pattern.{spec.filepat.text.lower()}") if spec.filepat else None
        directory = root.path(f"directory_pattern.{spec.dirpat.text.lower()}") if spec.dirpat else None
        patterns = (
            [pattern, *(directory.value(k) for k in ("ops", "runtime"))]
            if isinstance(directory, Section)
            else [pattern, directory]
        )
        texts += [(value, spec.section) for value in patterns if isinstance(value, Value)]
    return texts


def _query_texts(campaign: Campaign, module: Module) -> list[tuple[Value, Section | None]]:
    """Return the texts that say what queries look for."""
    texts: list[tuple[Value, Section | None]] = []
    for spec in [*module.files.values(), *module.lists.values()]:
        if spec.query is not None and (value := spec.section.value("args")) is not None:
            texts.append((value, spec.section))
        for name, _ in spec.query.fields if spec.query is not None else ():
            found = campaign.scope(module, spec.section).lookup(name)
            texts += [(found, spec.section)] if isinstance(found, Value) else []
    return texts


def _dataset_reference(module: Module) -> Callable[[str], Template | None]:
    def find(name: str) -> Template | None:
        parts = name.split(".")
        known = module.files if parts[0] == "file" else module.lists if parts[0] == "list" else {}
        return Template((Slot(name),)) if len(parts) >= 3 and parts[1] in known else None

    return find

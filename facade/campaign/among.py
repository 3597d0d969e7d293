"""What modules say of each other: who needs whom, in which order they run, and which of them never do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from facade.campaign.columns import Columns, sourced
from facade.campaign.faults import Faults
from facade.campaign.model import Depends, FileSpec, ListSpec, Module
from facade.campaign.outputs import unsaved
from facade.wcl.tree import Section, Value

GROUPS = {"dirpat": "directory_pattern", "filepat": "filename_pattern"}


def check_among(columns: Columns, faults: Faults, *, complete: bool) -> None:
    """Check what modules need of each other.

    *complete* says that blocklist and modulelists could be read: if not, a module that runs nowhere may have been meant
    to run.
    """
    among = Among(columns, faults, complete)
    for module in columns.campaign.modules:
        for spec in module.datasets:
            among.check_patterns(spec)
            for depends in spec.depends:
                among.check_depends(depends, module)
    among.check_order()
    if complete:
        among.check_unreached()


class Among:
    """The checks of one campaign."""

    def __init__(self, columns: Columns, faults: Faults, complete: bool) -> None:
        self.columns, self.faults, self.complete = columns, faults, complete
        self.campaign, self.modules = columns.campaign, columns.modules
        self.root = self.campaign.document.root
        self.wanted: set[str] = set()
        """Modules that do not run although others depend on them; that is told there."""
        self.position = {name: index for index, name in enumerate(self.modules)}
        self.blocks = {block.name: index for index, block in enumerate(self.campaign.blocks)}

    def check_patterns(self, spec: FileSpec | ListSpec) -> None:
        """Check that the patterns of a section are there."""
        for value, group in ((spec.dirpat, GROUPS["dirpat"]), (spec.filepat, GROUPS["filepat"])):
            known = [name for name, _ in (self.root.section(group) or Section()).items()]
            if value is not None and value.text.lower() not in known:
                self.faults.unknown(value, group.replace("_", " "), value.text.lower(), known, code="F415")

    def check_depends(self, depends: Depends, module: Module) -> None:
        """Check that another module has what *module* depends on."""
        found, ref, faults = self.modules.get(depends.module), depends.ref, self.faults
        if found is None:
            self._not_running(depends, module)
        elif found.dataset(ref) is None:
            known = found.files if ref.kind == "file" else found.lists
            faults.unknown(depends.at, f"{ref.kind} of module '{found.name}'", ref.name, known, code="F412")
        elif found.name == module.name:
            message = f"module '{module.name}' depends on itself"
            faults.at(depends.at, message, "name the file of an earlier module, or add a query", code="F411")
        elif self.blocks[found.block] < self.blocks[module.block] and (why := unsaved(found, ref)):
            message = f"module '{module.name}' reads '{depends.module}.{ref}' of an earlier block, and that is {why}"
            remedy = "let it be saved" if why == "not saved" else "set compress_cleanup = False, so that both are kept"
            faults.at(depends.at, message, remedy, code="F422")

    def _not_running(self, depends: Depends, module: Module) -> None:
        defined = [name for name, _ in (self.root.section("module") or Section()).sections()]
        name = depends.module
        if name not in defined:
            self.faults.unknown(depends.at, "module", name, [one for one in defined if one != module.name], code="F408")
        elif self.complete:
            self.wanted.add(name)
            message = f"module '{name}' does not run: no modulelist names it"
            remedy = f"add '{name}' to modulelist, before '{module.name}'"
            self.faults.at(depends.at, message, remedy, code="F409")

    # -- order -------------------------------------------------------------------------------------------------------

    def check_order(self) -> None:
        """Report needs that are met too late, or never because modules wait for each other in a circle."""
        needs = list(self._needs())
        edges: dict[str, set[str]] = {}
        for module, other, _, _ in needs:
            edges.setdefault(module.name, set()).add(other.name)
        circular = _circular(edges)
        told: set[frozenset[str]] = set()
        for module, other, at, what in needs:
            if self.position[other.name] <= self.position[module.name]:
                continue
            back = _path(edges, other.name, module.name) if {module.name, other.name} <= circular else []
            if not back:
                self._too_late(module, other, at, what)
            elif frozenset(back) not in told:
                told.add(frozenset(back))
                circle = " -> ".join([module.name, *back])
                remedy = "split one of them, so that each needs only what was made before"
                self.faults.at(at, f"modules need each other in a circle: {circle}", remedy, code="F413")

    def _needs(self) -> Iterator[tuple[Module, Module, Value, str]]:
        """Yield (module, module whose file it needs, where it says so, name of the file if a pattern says so)."""
        makers: dict[object, tuple[Module, FileSpec]] = {}
        for module in self.campaign.modules:
            for name in module.outputs:
                spec = module.files.get(name)
                if spec is not None and (named := self.columns.name(module, spec)) is not None:
                    makers.setdefault(named.same, (module, spec))
        for module in self.campaign.modules:
            for one in module.datasets:
                for depends in one.depends:
                    if (other := self.modules.get(depends.module)) is not None and other.dataset(depends.ref):
                        yield module, other, depends.at, ""
            for spec in _looked_for(module):
                named = self.columns.name(module, spec)
                maker = makers.get(named.same) if named is not None else None
                if named is not None and maker is not None and maker[0].name != module.name:
                    yield module, maker[0], named.at, spec.name
                elif named is not None and maker is not None:
                    message = f"input '{spec.name}' of module '{module.name}' has the name of its own output"
                    remedy = f"name it otherwise than '{maker[1].name}'"
                    self.faults.at(named.at, f"{message} '{maker[1].name}'", remedy, code="F414")

    def _too_late(self, module: Module, other: Module, at: Value, what: str) -> None:
        when = "later" if other.block == module.block else f"later, in block '{other.block}'"
        if other.block == module.block:
            block = self.campaign.blocks[self.blocks[module.block]].section
            remedy = f"put '{other.name}' before '{module.name}' in modulelist{_where(block.value('modulelist'))}"
        else:
            where = _where(self.root.value("blocklist"))
            remedy = f"put block '{other.block}' before '{module.block}' in blocklist{where}, or move the module"
        if what:
            message = f"file '{what}' of module '{module.name}' is made by module '{other.name}', which runs {when}"
            self.faults.at(at, message, remedy, code="F414")
        else:
            message = f"module '{module.name}' depends on module '{other.name}', which runs {when}"
            self.faults.at(at, message, remedy, code="F410")

    # -- what never runs ---------------------------------------------------------------------------------------------

    def check_unreached(self) -> None:
        """Warn of blocks and modules that run nowhere, unless a library defines them, which it does for many."""
        blocklist = self.root.value("blocklist")
        blocks = list((self.root.section("block") or Section()).sections())
        for name, section in blocks:
            if name not in self.blocks and blocklist is not None and self._own(section, [blocklist]):
                message, remedy = f"block '{name}' never runs: blocklist does not name it", "add it there, or remove it"
                self.faults.warn(section, message, remedy, code="F418")
        lists = [value for _, section in blocks if (value := section.value("modulelist")) is not None]
        if any("$" in value.text for value in lists):
            return  # in a block that does not run nothing is replaced
        named = {item.text.lower() for value in lists for item in value.items()}
        for name, section in (self.root.section("module") or Section()).sections():
            if name not in {*self.modules, *self.wanted, *named} and self._own(section, lists):
                message, remedy = f"module '{name}' never runs: no modulelist names it", "add it to one, or remove it"
                self.faults.warn(section, message, remedy, code="F417")

    def _own(self, section: Section, lists: Iterable[Value]) -> bool:
        """Tell whether a section is meant for this campaign alone: it stands in its own file, or beside the lists."""
        return section.location.file in {self.root.location.file, *(value.key_location.file for value in lists)}


def _where(value: Value | None) -> str:
    return f" ({value.location})" if value is not None else ""


def _looked_for(module: Module) -> Iterator[FileSpec]:
    """Yield the inputs of a module that are found by their names, and must be there."""
    members = {nick for one in module.lists.values() for nick in one.members}
    for spec in module.files.values():
        if spec.name in module.outputs or spec.optional:
            continue
        if spec.name in members if spec.listonly else spec.newname or not sourced(spec):
            yield spec


def _circular(edges: dict[str, set[str]]) -> set[str]:
    """Return who can never run, because it needs itself through others, or needs one that does."""
    waiting = {name: set(others) for name, others in edges.items()}
    users: dict[str, list[str]] = {}
    for name, others in edges.items():
        for other in others:
            users.setdefault(other, []).append(name)
    free = [name for name in users if not waiting.get(name)]
    while free:
        name = free.pop()
        for user in users.get(name, []):
            waiting[user].discard(name)
            if not waiting[user]:
                free.append(user)
    return {name for name, others in waiting.items() if others}


def _path(edges: dict[str, set[str]], start: str, goal: str) -> list[str]:
    """Return the shortest way from *start* to *goal*, both included; empty if there is none."""
    ways, seen = [[start]], {start}
    for way in ways:
        if way[-1] == goal:
            return way
        for name in sorted(edges.get(way[-1], set()) - seen):
            seen.add(name)
            ways.append([*way, name])
    return []

"""Variables that nothing could supply, and references that can never be replaced, in every text of a campaign."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from facade.campaign.columns import PLANNED, Columns
from facade.campaign.faults import Faults, reference, shown
from facade.campaign.model import Module
from facade.campaign.shadow import Watch, watched
from facade.wcl.scope import Scope
from facade.wcl.template import BadReference, MissingVariable
from facade.wcl.tree import Section, Value, did_you_mean

QUERY_FILES = frozenset({"qoutfile", "outputfile", "outputxml"})
"""Names for the file that an executable query writes."""


def check_variables(columns: Columns, watch: Watch, faults: Faults, reported: Collection[str] = ()) -> set[str]:
    """Report variables that nothing could supply, and references that cannot be replaced.

    Variables in *reported* are known to be missing; that they are undefined is not said again. Returns the modules with
    such faults, said or not.
    """
    check = Variables(columns, watch, faults, reported)
    check.campaign_texts()
    return {module.name for module in columns.campaign.modules if not check.module(module)}


class Variables:
    """The checks of one campaign."""

    def __init__(self, columns: Columns, watch: Watch, faults: Faults, reported: Collection[str]) -> None:
        self.columns, self.campaign, self.watch, self.faults = columns, columns.campaign, watch, faults
        self.reported = reported

    def campaign_texts(self) -> None:
        """Check the texts of the campaign as a whole."""
        root, scope = self.campaign.document.root, watched(self.campaign.scope(), self.watch)
        environment = root.section("job_environment") or Section()
        for value in (root.value("ops_run_dir"), *(value for _, value in environment.values())):
            if value is not None:
                self._text(value, scope, None)

    def module(self, module: Module) -> bool:
        """Check the texts of one module; return whether all of them can be replaced."""
        texts = [(value, search, False) for value, search in _texts(self.columns, module)]
        texts += [(value, search, True) for value, search in self._query_texts(module)]
        datasets = {id(spec.section) for spec in module.datasets}
        sound = True
        for value, search, before in texts:
            scope = watched(self.campaign.scope(module, search), self.watch)
            # any column of any query may turn up as a loop value; what none of them is called is surely undefined;
            # but queries run before there are any columns
            scope.late = QUERY_FILES if before else self.columns.mentioned | PLANNED
            if search is not None and id(search) in datasets:  # a definition in the section itself wins
                scope.late -= {key for key, _ in search.values()}
            scope.dotted = None if before else module.reference
            sound &= self._text(value, scope, module, before)
        return sound

    def _query_texts(self, module: Module) -> Iterator[tuple[Value, Section]]:
        """Yield the texts that say what queries look for."""
        for spec in module.datasets:
            if spec.query is None:
                continue
            if (arguments := spec.section.value("args")) is not None:
                yield arguments, spec.section
            for name, _ in spec.query.fields:
                found = watched(self.campaign.scope(module, spec.section), self.watch).lookup(name)
                if isinstance(found, Value):
                    yield found, spec.section

    def _text(self, value: Value, scope: Scope, module: Module | None, before: bool = False) -> bool:
        sound = True
        try:
            for missing in _missing(scope, value):
                sound = False
                if missing.name.startswith(("file.", "list.")) and module is not None:
                    self._no_file(missing, value, module)
                elif before and missing.name in self.columns.mentioned:
                    at = reference(missing.at or value, missing.name)
                    remedy = f"queries run before there are columns or loop values: define '{missing.name} = …'"
                    self.faults.at(at, str(missing), remedy, code="F101")
                elif missing.name not in self.reported:
                    self.faults.undefined(value, missing, [*scope.known(), *sorted(self.columns.mentioned)])
        except BadReference as error:
            self.faults.bad(value, error)
            return False
        return sound

    def _no_file(self, missing: MissingVariable, value: Value, module: Module) -> None:
        known = [*(f"file.{n}.fullname" for n in module.files), *(f"list.{n}.fullname" for n in module.lists)]
        message = f"'{missing.name}' names no file or list of module '{module.name}'"
        remedy = did_you_mean(missing.name, known) or f"known: {shown(known)}"
        self.faults.at(reference(missing.at or value, missing.name), message, remedy, code="F416")


def _missing(scope: Scope, text: Value) -> Iterator[MissingVariable]:
    """Yield each variable of *text* that nothing supplies, and take it for supplied from then on."""
    while True:
        try:
            scope.compile(text)
            return
        except MissingVariable as missing:
            yield missing
            scope.late |= {missing.name}


def _texts(columns: Columns, module: Module) -> Iterator[tuple[Value, Section | None]]:
    """Yield every text of a module in which variables are replaced, and the section that is searched first."""
    parameters = [value for _, value in module.parameters]
    yield from ((value, None) for value in (*parameters, module.per_file) if value is not None)
    for one in module.execs:
        yield from ((value, one.section) for value in (one.execname, *(value for _, value in one.cmdline)))
    for spec in module.datasets:
        named = [spec.section.value(key) for key in ("filename", "fullname", "rename_file")]
        pattern = columns.pattern(spec)
        yield from ((v, spec.section) for v in (*named, pattern, *columns.directories(spec)) if v is not None)

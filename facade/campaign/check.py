"""Variables that nothing could supply, and references that can never be replaced, in every text of a campaign."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from facade.campaign.columns import PLANNED, Columns
from facade.campaign.faults import Faults, place_of, shown
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


@dataclass(frozen=True, slots=True)
class Text:
    """A text in which variables are replaced, and the section that is searched first.

    ``before`` says that it is needed before queries run, ``header`` that it may hold ``$HEAD``.
    """

    value: Value
    search: Section | None = None
    before: bool = False
    header: bool = False


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
                self._text(Text(value), scope, None)

    def module(self, module: Module) -> bool:
        """Check the texts of one module; return whether all of them can be replaced."""
        datasets = {id(spec.section) for spec in module.datasets}
        sound = True
        for text in [*self._texts(module), *self._query_texts(module)]:
            scope = watched(self.campaign.scope(module, text.search), self.watch)
            # any column of any query may turn up as a loop value; what none of them is called is surely undefined;
            # but queries run before there are any columns
            scope.late = QUERY_FILES if text.before else self.columns.mentioned | PLANNED
            if text.search is not None and id(text.search) in datasets:  # a definition in the section itself wins
                scope.late -= {key for key, _ in text.search.values()}
            scope.dotted = None if text.before else module.reference
            sound &= self._text(text, scope, module)
        return sound

    def _texts(self, module: Module) -> Iterator[Text]:
        """Yield the texts of a module in which variables are replaced once there are quanta."""
        yield from (Text(value) for _, value in module.parameters)
        if module.per_file is not None:
            yield Text(module.per_file, header=True)
        for one in module.execs:
            yield Text(one.execname, one.section)
            yield from (Text(value, one.section, header=True) for _, value in one.cmdline)
        for spec in module.datasets:
            named = [spec.section.value(key) for key in ("filename", "fullname", "rename_file")]
            pattern = self.columns.pattern(spec)
            for value in (*named, pattern, *self.columns.directories(spec)):
                if value is not None:
                    yield Text(value, spec.section)

    def _query_texts(self, module: Module) -> Iterator[Text]:
        """Yield the texts that say what queries look for."""
        for spec in module.datasets:
            for key in ("args", "join") if spec.query is not None else ():
                if (value := spec.section.value(key)) is not None:
                    yield Text(value, spec.section, before=True)
            for name, wanted in spec.query.fields if spec.query is not None else ():
                self.watch.note(name.rpartition(".")[2], module.block, wanted)
                yield Text(wanted, spec.section, before=True)

    def _text(self, text: Text, scope: Scope, module: Module | None) -> bool:
        """Check one text; return whether it can be replaced."""
        value, template, sound = text.value, None, True
        while template is None:
            try:
                template = scope.compile(value)
            except MissingVariable as missing:
                self._missing(missing, text, scope, module)
                scope.late |= {missing.name}  # to find the others
                sound = False
            except BadReference as error:
                self.faults.bad(value, error)
                return False
        if template.has_header and not text.header:
            start = value.text.lower().find("$head{")
            at = value.part(start, value.text.index("}", start) + 1) if start >= 0 else value
            self.faults.at(
                at, "headers are read just before a program runs", "use $HEAD in <cmdline> only", code="F109"
            )
            return False
        return sound

    def _missing(self, missing: MissingVariable, text: Text, scope: Scope, module: Module | None) -> None:
        if missing.name.startswith(("file.", "list.")) and module is not None:
            self._no_file(missing, text.value, module)
        elif text.before and missing.name in self.columns.mentioned:
            remedy = f"queries run before there are columns or loop values: define '{missing.name} = …'"
            self.faults.at(place_of(missing, text.value), str(missing), remedy, code="F101")
        elif missing.name not in self.reported:
            self.faults.undefined(text.value, missing, [*scope.known(), *sorted(self.columns.mentioned)])

    def _no_file(self, missing: MissingVariable, value: Value, module: Module) -> None:
        known = [*(f"file.{n}.fullname" for n in module.files), *(f"list.{n}.fullname" for n in module.lists)]
        message = f"'{missing.name}' names no file or list of module '{module.name}'"
        remedy = did_you_mean(missing.name, known) or f"known: {shown(known)}"
        self.faults.at(place_of(missing, value), message, remedy, code="F416")

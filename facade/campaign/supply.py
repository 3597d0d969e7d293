"""Keys and columns that nothing supplies: told before a query runs, where it is known what its lines will have."""

from __future__ import annotations

import re

from facade.campaign.columns import Columns, loop_object, sourced
from facade.campaign.faults import Faults, item_of, shown
from facade.campaign.model import FileSpec, ListSpec, Module
from facade.campaign.module import list_column
from facade.wcl.tree import Section, Value, did_you_mean

_COLUMN = re.compile(r"\$\((\w+)\)")
_IDENTITY = frozenset({"fullname", "filename"})


def check_supply(columns: Columns, faults: Faults) -> None:
    """Report loop keys, grouping keys and columns of lists that no line will have."""
    supply = Supply(columns, faults)
    for module in columns.campaign.modules:
        supply.check_loop(module)
        for spec in module.datasets:
            # a noop divides nothing, and nobody looks for a file that only describes members of a list
            if not (module.noop or (isinstance(spec, FileSpec) and (spec.listonly or spec.name in module.outputs))):
                supply.check_keys(module, spec)
        for listing in module.lists.values():
            supply.check_list(module, listing)
        supply.check_wrapper(module)


class Supply:
    """The checks of one campaign."""

    def __init__(self, columns: Columns, faults: Faults) -> None:
        self.columns, self.faults = columns, faults

    def check_loop(self, module: Module) -> None:
        """Check that the loop object has the loop keys."""
        spec, has = loop_object(module), self.columns.loop(module)
        for index, key in enumerate(module.loop):
            if spec is not None and has is not None and key not in has:
                at = item_of(module.section, "wrapperloop", index, len(module.loop))
                message = f"module '{module.name}' loops over '{key}', which no line of {module.loopobj} has"
                self.faults.at(at, message, self._remedy(key, has), code="F401")

    def check_keys(self, module: Module, spec: FileSpec | ListSpec) -> None:
        """Check that lines and quanta have the keys by which the ones are divided among the others."""
        if not sourced(spec):
            return
        lines, quanta = self.columns.lines(module, spec), self.columns.quantum(module)
        written = next((key for key in ("loopkey", "match", "divide_by") if spec.section.value(key)), "")
        for index, key in enumerate(spec.keys):
            at = item_of(spec.section, written, index, len(spec.keys))
            what = f"{_what(spec)} of module '{module.name}' is divided by '{key}'"
            if lines is not None and key not in lines:
                self.faults.at(at, f"{what}, which its lines do not have", self._remedy(key, lines), code="F403")
            elif quanta is not None and key not in quanta:
                has = f"quanta of this module have: {shown(sorted(quanta - {'wrapnum'})) or 'no keys at all'}"
                hint = did_you_mean(key, quanta) or f"{has}; add '{key}' to wrapperloop, or remove it here"
                self.faults.at(at, f"{what}, which its quanta do not have", hint, code="F403")

    def check_list(self, module: Module, spec: ListSpec) -> None:
        """Check columns and sortkey of one list."""
        for index, (nick, column) in enumerate(spec.columns):
            whose = nick or column.lower() != "fullname"  # else told already (F319)
            if whose and not self.has(module, spec, nick, column.lower()):
                at = item_of(spec.section, "columns", index, len(spec.columns))
                self._lacks(module, spec, column.lower(), at)
        lines = self.columns.lines(module, spec) if sourced(spec) else frozenset[str]()
        for index, key in enumerate(spec.sortkey):
            column = key.rpartition(".")[2]
            if lines is not None and column not in lines:
                at = item_of(spec.section, "sortkey", index, len(spec.sortkey))
                self._lacks(module, spec, column, at)

    def check_wrapper(self, module: Module) -> None:
        """Check the columns that the wrapper puts on the command line."""
        if module.joined is not None and (cell := list_column(module.joined)) is not None:
            ref, column = cell
            spec = module.lists.get(ref.name)
            if spec is not None and not self.has(module, spec, ref.member, column):
                end = module.joined.text.lower().rindex(column)
                self._lacks(module, spec, column, module.joined.part(end, end + len(column)))
        if module.per_file is None:
            return
        target, _, template = module.per_file.text.partition(":")
        parts = target.strip().lower().split(".")
        spec = module.lists.get(parts[1]) if parts[0] == "list" and len(parts) > 1 else None
        quanta = self.columns.quantum(module)
        for found in _COLUMN.finditer(template) if spec is not None and quanta is not None else ():
            column, start = found[1].lower(), len(target) + 1
            if spec is None or quanta is None or column in quanta:
                continue
            if not self.has(module, spec, parts[2] if len(parts) > 2 else "", column):
                at = module.per_file.part(start + found.start(), start + found.end())
                self._lacks(module, spec, column, at)

    def has(self, module: Module, spec: ListSpec, nick: str, column: str) -> bool:
        """Tell whether a line of *spec* may have *column*, of the line itself or of its file *nick*."""
        lines, member = self.columns.lines(module, spec), module.files.get(nick)
        if lines is None or column in lines or not sourced(spec):
            return True
        if nick and column in _IDENTITY:
            return True
        # a member that its pattern finds brings whatever is known of that file
        by_pattern = spec.newname or (spec.query is not None and spec.query.program != "generic")
        return bool(member and by_pattern and (member.filepat or member.filename))

    def _lacks(self, module: Module, spec: ListSpec, column: str, at: Value | Section) -> None:
        lines = self.columns.lines(module, spec) if sourced(spec) else frozenset[str]()
        message = f"no line of list '{spec.name}' of module '{module.name}' has a column '{column}'"
        self.faults.at(at, message, self._remedy(column, lines or frozenset()), code="F402")

    def _remedy(self, name: str, has: frozenset[str]) -> str:
        if hint := did_you_mean(name, sorted(has)):
            return hint
        for filetype in self.columns.campaign.filetypes.values():
            if any(column == name and source for column, _, source in filetype.columns):
                return f"'{name}' stands in the headers of files yet to be made; planning has: {shown(sorted(has))}"
        return f"its columns: {shown(sorted(has))}" if has else "it has neither a query nor depends, so no columns"


def _what(spec: FileSpec | ListSpec) -> str:
    return f"{'list' if isinstance(spec, ListSpec) else 'file'} '{spec.name}'"

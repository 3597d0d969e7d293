"""Names of files that quanta write: do they tell the quanta apart, and do two sections write one file?

A file is known by its name alone (docs/architecture.md, decision 6), so directories do not count here.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from typing import NamedTuple

from facade.campaign.columns import Columns, Name, loop_object, sourced
from facade.campaign.faults import Faults
from facade.campaign.model import Dataset, FileSpec, ListSpec, Module, QuerySpec
from facade.wcl.template import BadReference, MissingVariable
from facade.wcl.tree import Value

Written = tuple[Module, FileSpec | ListSpec, Name]
MAX_DEPTH = 50
"""How far back the rows of a module are followed, should later modules come first."""
_SEVERAL = re.compile(r"[,%!:()]|^null$", re.IGNORECASE)
"""Values of the generic query that several rows may have (desdm.md §2.4)."""


class Origin(NamedTuple):
    """A section with the query that rows come from."""

    module: Module
    spec: Dataset
    query: QuerySpec


def check_names(columns: Columns, faults: Faults) -> None:
    """Report outputs and lists whose names are the same for several quanta, or for several sections."""
    names = Names(columns, faults)
    written: dict[object, list[Written]] = {}
    for module in columns.campaign.modules:
        for spec in () if module.noop else _written(module):
            if (name := columns.name(module, spec)) is not None:
                names.check_quanta(module, spec, name)
                written.setdefault(name.same, []).append((module, spec, name))
    for first, *others in written.values():
        for module, spec, name in others:
            names.check_writers(first, module, spec, name)


class Names:
    """The checks of one campaign."""

    def __init__(self, columns: Columns, faults: Faults) -> None:
        self.columns, self.campaign, self.faults = columns, columns.campaign, faults
        self.origins: dict[str, list[Origin]] = {}

    # -- one section, several quanta ---------------------------------------------------------------------------------

    def check_quanta(self, module: Module, spec: FileSpec | ListSpec, name: Name) -> None:
        """Check that a name differs from quantum to quantum."""
        if _told_apart(name.slots):
            return
        has = self.columns.loop(module)  # a key that rows do not have is told as that (F401)
        keys = [key for key in module.loop if has is None or key in has or loop_object(module) is None]
        absent = [key for key in keys if key not in name.slots and self._varies(module, key)]
        if not absent:
            return
        what = f"{_what(spec)} of module '{module.name}'"
        if loop_object(module) is None or not (name.slots or any(self._chosen(module, key) for key in absent)):
            message = f"{what} has one name for all values of {_and(absent)}: quanta would write over each other's file"
            remedy = f"let {_where(spec)} use {_and(absent, '${{{}}}')}, or ${{wrapnum}}"
            self.faults.at(name.at, message, remedy, code="F404")
        elif unknown := [key for key in absent if not any(slot.startswith(key) for slot in name.slots)]:
            message = f"the name of {what} lacks {_and(unknown)}: quanta that differ in nothing else have one file"
            remedy = f"let {_where(spec)} use {_and(unknown, '${{{}}}')}, unless the rest of it tells them apart"
            self.faults.warn(name.at, message, remedy, code="F405", alike=(module.name, name.at.text, *unknown))

    def _varies(self, module: Module, key: str) -> bool:
        """Tell whether a loop key has, as far as one can see, several values."""
        values = self._values(module, key)
        if loop_object(module) is None:
            return values is not None and len(values) > 1
        return values is None or len(values) != 1

    def _values(self, module: Module, key: str) -> tuple[str, ...] | None:
        """Return the values that the campaign gives for a loop key, or None if it gives none."""
        scope = self.campaign.scope(module)
        found = scope.lookup(key)
        if found is None and (origins := self._origins(module)):
            values = [self._asked(origin, key) for origin in origins]
            return tuple({value for value in values if value is not None}) if None not in values else None
        try:
            return scope.items(found) if isinstance(found, Value) else None if found is None else (str(found),)
        except (MissingVariable, BadReference):
            return None

    def _asked(self, origin: Origin, key: str) -> str | None:
        """Return the one value of *key* that a generic query asks for, or None if it may find several."""
        wanted = next((value for name, value in origin.query.fields if name.rpartition(".")[2] == key), None)
        text = self._text(origin, wanted.text) if wanted is not None else None
        return None if text is None or _SEVERAL.search(text) else text

    def _chosen(self, module: Module, key: str) -> bool:
        """Tell whether a query seems to be asked for certain values of *key*, of which there may be one only."""
        word = re.compile(rf"(?<!\w){re.escape(key)}(?!\w)", re.IGNORECASE)
        return any(
            word.search(f"{origin.query.arguments} {' '.join(name for name, _ in origin.query.fields)}")
            for origin in self._origins(module)
        )

    # -- several sections --------------------------------------------------------------------------------------------

    def check_writers(self, before: Written, module: Module, spec: FileSpec | ListSpec, name: Name) -> None:
        """Report that *spec* is called as another section that is written *before*."""
        first, other, at = before[0], before[1], before[2].at.location
        what, same = f"{_what(spec)} of module '{module.name}'", f"{_what(other)} of module '{first.name}' ({at})"
        if first.name == module.name or not name.slots or self._same_loops(first, module, name.slots):
            message = f"{what} has the same name as {same}: both would write one file"
            self.faults.at(name.at, message, self._other_name(spec), code="F406")
        elif not _told_apart(name.slots):
            message = f"{what} is named like {same}: quanta with equal values would write one file"
            remedy = f"{self._other_name(spec)}, unless the values always differ"
            self.faults.warn(name.at, message, remedy, code="F407")

    def _other_name(self, spec: Dataset) -> str:
        pattern = self.columns.pattern(spec) if spec.filename is None else None
        by_label = pattern is not None and "${flabel}" in pattern.text.lower()
        return "give it a flabel of its own" if by_label else "give it a name of its own"

    def _same_loops(self, one: Module, other: Module, slots: frozenset[str]) -> bool:
        """Tell whether the quanta of two modules surely have values in common."""
        if _told_apart(slots):
            return False
        if loop_object(one) is not None and loop_object(other) is not None:
            return bool(self._sources(one) & self._sources(other))
        if loop_object(one) is not None or loop_object(other) is not None:
            return False
        values = [(self._values(one, slot) or (), self._values(other, slot) or ()) for slot in slots]
        return all(set(mine) & set(theirs) for mine, theirs in values)

    def _sources(self, module: Module) -> set[Hashable]:
        """Return the queries from which the loop values of a module come, equal if they ask the same."""
        result: set[Hashable] = set()
        for origin in self._origins(module):
            query = origin.query
            texts = [query.arguments, *(f"{name}={value.text}" for name, value in query.fields), origin.spec.filetype]
            result.add((query.program, *(self._text(origin, text) for text in texts)))
        return result

    def _origins(self, module: Module, depth: int = 0) -> list[Origin]:
        """Return the queries from which the loop values of a module come, each once."""
        spec = loop_object(module)
        if module.name not in self.origins and spec is not None and depth < MAX_DEPTH:
            self.origins[module.name] = []  # for modules that depend on each other in a circle
            self.origins[module.name] = self._origins_of(module, spec, depth + 1)
        return self.origins.get(module.name, [])

    def _origins_of(self, module: Module, spec: Dataset, depth: int) -> list[Origin]:
        if spec.query is not None and not (spec.depends and isinstance(spec, FileSpec)):
            return [Origin(module, spec, spec.query)]
        found: dict[int, Origin] = {}
        for depends in spec.depends:
            other = self.columns.modules.get(depends.module)
            dataset = other.dataset(depends.ref) if other is not None else None
            if other is None or dataset is None or depth > MAX_DEPTH:
                continue
            made = dataset.name in other.outputs or not sourced(dataset)
            more = self._origins(other, depth) if made else self._origins_of(other, dataset, depth + 1)
            found |= {id(origin.query): origin for origin in more}
        return list(found.values())

    def _text(self, origin: Origin, text: str) -> str:
        try:
            return self.campaign.scope(origin.module, origin.spec.section).resolve(text)
        except (MissingVariable, BadReference):
            return f"{origin.module.name}: {text}"


def _written(module: Module) -> Iterator[FileSpec | ListSpec]:
    """Yield the sections whose files the quanta of a module, or planning for them, make."""
    for name in module.outputs:
        if name in module.files:
            yield module.files[name]
    for listing in module.lists.values():
        if listing.filepat is not None or listing.filename is not None:
            yield listing


def _told_apart(slots: frozenset[str]) -> bool:
    """Tell whether a name differs for each quantum anyway: numbers do, and so may the names of other files."""
    return "wrapnum" in slots or any("." in slot for slot in slots)


def _what(spec: Dataset) -> str:
    return f"{'list' if isinstance(spec, ListSpec) else 'file'} '{spec.name}'"


def _where(spec: Dataset) -> str:
    return f"pattern '{spec.filepat.text}'" if spec.filepat is not None else "its name"


def _and(keys: list[str], form: str = "'{}'") -> str:
    words = [form.format(key) for key in keys]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

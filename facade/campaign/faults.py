"""Collecting faults while a campaign is read, and reading its keywords: variables replaced, types checked."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

from facade.campaign.words import BadWord, Kind, T
from facade.errors import Fault
from facade.wcl.scope import Scope
from facade.wcl.template import BadReference, MissingVariable, Quoted
from facade.wcl.tree import Document, Section, Value, did_you_mean


@dataclass(frozen=True, slots=True)
class Resolved(Value):
    """A value with its variables replaced; whatever is wrong with a part of it is told where it was *written*."""

    written: Value | None = None

    def part(self, start: int, end: int) -> Value:
        """Return a part of the text; its place is that of the whole."""
        return replace(self, text=self.text[start:end], quoted=False)


class Faults(list[Fault]):
    """Faults met so far, and how to add one. ``code`` is the kind of fault, a key of `facade.codes.CODES`."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.warnings: list[Fault] = []
        self._alike: dict[Hashable, list[Fault]] = {}

    def at(self, place: Value | Section, message: str, remedy: str = "", *, code: str = "") -> None:
        """Add a fault at *place*."""
        self.append(self.document.fault(message, _written(place), code=code, remedy=remedy))

    def warn(
        self, place: Value | Section, message: str, remedy: str = "", *, code: str = "", alike: Hashable = None
    ) -> None:
        """Add a warning at *place*: the campaign can be planned, but perhaps not as it was meant.

        Of several that are *alike* the first in the text is told, with the number of the others.
        """
        fault = self.document.fault(message, _written(place), code=code, remedy=remedy, severity="warning")
        if alike is None:
            self.warnings.append(fault)
        else:
            self._alike.setdefault((code, alike), []).append(fault)

    def unknown(self, place: Value | Section, what: str, name: str, known: Iterable[str], *, code: str = "") -> None:
        """Add the fault that *name* is no known *what*."""
        known = list(known)
        hint = did_you_mean(name, known)
        remedy = hint or (f"known: {shown(known)}" if known else "there is none at all")
        self.at(place, f"no {what} is called '{name}'", remedy, code=code)

    def needed(self, section: Section, key: str, what: str, *, code: str = "") -> Value | None:
        """Return a value that must be there."""
        value = section.value(key)
        if value is None:
            self.at(section, f"{what} has no '{key}'", f"add '{key} = …'", code=code)
        return value

    def undefined(self, place: Value, missing: MissingVariable, known: Iterable[str]) -> None:
        """Add the fault that a variable is undefined, at its reference in *place* or in the variable that holds it."""
        at = reference(missing.at or _value(place), missing.name)
        if hint := did_you_mean(missing.name, known):
            return self.at(at, str(missing), hint, code="F101")
        # one definition mends them all: told once
        fault = self.document.fault(str(missing), at, code="F101", remedy=f"define '{missing.name} = …'")
        self._alike.setdefault(("undefined", missing.name), []).append(fault)

    def bad(self, place: Value, error: BadReference) -> None:
        """Add the fault that a reference in *place*, or in a variable that it uses, cannot be replaced."""
        self.at(place_of(error, place), str(error), error.remedy, code=error.code)

    def read(self, key: str, value: Value, kind: Kind[T]) -> T | None:
        """Return *value* as its type has it, or add the fault that it is none and return None."""
        try:
            return kind.read(value)
        except BadWord as bad:
            message = f"'{key}' must be {kind.what}" + (f": {bad.reason}" if bad.reason else "")
            self.at(bad.at, message, bad.remedy or kind.spellings, code="F220")
        return None

    @property
    def errors(self) -> int:
        """How many errors there are so far."""
        return len(self) + sum(len(faults) for faults in self._alike.values() if faults[0].severity == "error")

    def ordered(self, severity: str = "error") -> list[Fault]:
        """Return each fault (or each warning) once, in the order of the text."""
        alike = [_together(faults) for faults in self._alike.values() if faults[0].severity == severity]
        return in_order([*(self if severity == "error" else self.warnings), *alike])


class Keys:
    """Reads the values of sections in one *scope*."""

    def __init__(self, scope: Scope, faults: Faults) -> None:
        self.scope, self.faults = scope, faults

    def value(self, section: Section, key: str) -> Value | None:
        """Return the value under *key* with its variables replaced; None, and a fault, if one cannot be."""
        value = section.value(key)
        if value is None or "${" not in value.text:
            return value
        scope = replace(self.scope, search=section)
        try:
            return resolved(value, scope)
        except MissingVariable as missing:
            self.faults.undefined(value, missing, scope.known())
        except BadReference as error:
            self.faults.bad(value, error)
        return None

    def word(self, section: Section, key: str, kind: Kind[T], default: T) -> T:
        """Return the value under *key*, read as *kind* has it; *default* if there is none, or none that can be read."""
        value = self.value(section, key)
        found = None if value is None else self.faults.read(key, value, kind)
        return default if found is None else found

    def items(self, section: Section, key: str) -> tuple[Value, ...]:
        """Return the items of a list, each with its place."""
        value = self.value(section, key)
        return value.items() if value is not None else ()


def resolved(value: Value, scope: Scope) -> Value:
    """Return *value* with its variables replaced; raises MissingVariable or BadReference."""
    text = scope.resolve(value)
    if text == value.text:
        return value
    parts = scope.compile(value).parts
    quoted = value.quoted or (len(parts) == 1 and isinstance(parts[0], Quoted))
    return Resolved(text, value.location, value.key_location, quoted=quoted, written=value)


def reference(value: Value, name: str) -> Value:
    """Return the part of *value* that reads ``${name}``, or all of it."""
    found = re.search(rf"\$(?:opt)?\{{{re.escape(name)}(?::\w*)?\}}", value.text, re.IGNORECASE)
    return value.part(*found.span()) if found else value


def place_of(error: MissingVariable | BadReference, value: Value) -> Value:
    """Return the reference that *error* is about, in *value* or in the variable that holds it."""
    at = _value(error.at or value)
    if isinstance(error, MissingVariable):
        return reference(at, error.name)
    start = at.text.find(error.written) if error.written else -1
    return at if start < 0 else at.part(start, start + len(error.written))


def fault_of(document: Document, error: MissingVariable | BadReference, value: Value, about: str = "") -> Fault:
    """Return the fault that *error* is, met in *value*; *about* is put in front of what it says."""
    remedy = error.remedy if isinstance(error, BadReference) else f"define '{error.name} = …'"
    return document.fault(f"{about}{error}", place_of(error, value), code=error.code, remedy=remedy)


def key_of(key: str, value: Value) -> Value:
    """Return *key*, under which *value* stands, as something that a fault can point at."""
    return Value(key, value.key_location, value.key_location)


def item_of(section: Section, key: str, index: int, count: int) -> Value | Section:
    """Return item *index* of the *count* items that *key* has, as something that a fault can point at.

    If variables hold some of the items, that is the whole value.
    """
    value = section.value(key)
    items = value.items() if value is not None else ()
    return items[index] if len(items) == count else value or section


def _value(place: Value) -> Value:
    return place.written if isinstance(place, Resolved) and place.written is not None else place


def _written(place: Value | Section) -> Value | Section:
    return _value(place) if isinstance(place, Value) else place


def _together(faults: list[Fault]) -> Fault:
    """Return the first of several faults that have one cause, and say how many more there are."""
    first, *more = in_order(faults)
    if not more:
        return first
    return replace(first, message=f"{first.message} (here and in {len(more)} more place{'s' * (len(more) > 1)})")


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Return each fault once, in the order of the text."""
    return sorted(dict.fromkeys(faults), key=_order)


def shown(known: list[str], limit: int = 20) -> str:
    """Return *known* as a comma list, cut after *limit* names."""
    return ", ".join(known[:limit]) + (f", … ({len(known)} in all)" if len(known) > limit else "")


def _order(fault: Fault) -> tuple[str, int, int]:
    place = fault.location
    return (place.file, place.line, place.column) if place else ("", 0, 0)

"""Collecting faults while a campaign is read, and reading the small words of WCL: lists, flags, needed keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from facade.errors import Fault, Location
from facade.wcl.scope import MissingVariable
from facade.wcl.tree import Document, Section, Value, did_you_mean

TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")


def split(text: str) -> tuple[str, ...]:
    """Split a comma list into trimmed, non-empty items."""
    return tuple(item for item in (part.strip() for part in text.split(",")) if item)


class Faults(list[Fault]):
    """Faults met so far, and how to add one."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.warnings: list[Fault] = []
        self._undefined: dict[str, dict[tuple[Location, str], Fault]] = {}

    def at(self, place: Value | Section, message: str, remedy: str = "") -> None:
        """Add a fault at *place*."""
        self.append(self.document.fault(message, place, remedy=remedy))

    def warn(self, place: Value | Section, message: str, remedy: str = "") -> None:
        """Add a warning at *place*: the campaign can be planned, but perhaps not as it was meant."""
        self.warnings.append(self.document.fault(message, place, remedy=remedy, severity="warning"))

    def unknown(self, place: Value | Section, what: str, name: str, known: Iterable[str]) -> None:
        """Add the fault that *name* is no known *what*."""
        known = list(known)
        hint = did_you_mean(name, known)
        self.at(place, f"no {what} is called '{name}'", hint or (f"known: {shown(known)}" if known else ""))

    def flag(self, section: Section, key: str, default: bool) -> bool:
        """Return a boolean value."""
        value = section.value(key)
        if value is None:
            return default
        if value.text.lower() not in TRUE + FALSE:
            self.at(value, f"'{key}' must be true or false", "write True or False")
        return value.text.lower() in TRUE

    def needed(self, section: Section, key: str, what: str) -> Value | None:
        """Return a value that must be there."""
        value = section.value(key)
        if value is None:
            self.at(section, f"{what} has no '{key}'", f"add '{key} = …'")
        return value

    def undefined(self, place: Value, missing: MissingVariable, known: Iterable[str]) -> None:
        """Add the fault that a variable is undefined, at its reference in *place* or in the variable that holds it."""
        at = reference(missing.at or place, missing.name)
        if hint := did_you_mean(missing.name, known):
            return self.at(at, str(missing), hint)
        # one definition mends them all: told once
        first = self.document.fault(str(missing), at, remedy=f"define '{missing.name} = …'")
        places = self._undefined.setdefault(missing.name, {})
        places.setdefault((at.location, at.text), first)

    @property
    def found(self) -> bool:
        """Whether there is any fault at all."""
        return bool(self) or bool(self._undefined)

    def ordered(self) -> list[Fault]:
        """Return each fault once, in the order of the text."""
        return in_order([*self, *(_together(list(places.values())) for places in self._undefined.values())])


def reference(value: Value, name: str) -> Value:
    """Return the part of *value* that reads ``${name}``, or all of it."""
    found = re.search(rf"\$(?:opt)?\{{{re.escape(name)}(?::\w*)?\}}", value.text, re.IGNORECASE)
    return value.part(*found.span()) if found else value


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

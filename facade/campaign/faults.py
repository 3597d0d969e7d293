"""Collecting faults while a campaign is read, and reading the small words of WCL: lists, flags, needed keys."""

from __future__ import annotations

from collections.abc import Iterable

from facade.errors import Fault
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

    def at(self, place: Value | Section, message: str, remedy: str = "") -> None:
        """Add a fault at *place*."""
        self.append(self.document.fault(message, place, remedy=remedy))

    def unknown(self, place: Value, what: str, name: str, known: Iterable[str]) -> None:
        """Add the fault that *name* is no known *what*."""
        known = list(known)
        hint = did_you_mean(name, known)
        self.at(place, f"no {what} is called '{name}'", hint or (f"known: {', '.join(known)}" if known else ""))

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

    def ordered(self) -> list[Fault]:
        """Return each fault once, in the order of the text."""
        return sorted(dict.fromkeys(self), key=_order)


def _order(fault: Fault) -> tuple[str, int, int]:
    place = fault.location
    return (place.file, place.line, place.column) if place else ("", 0, 0)

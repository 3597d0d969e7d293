"""The located tree: sections and values that know where they were written.

A `Section` is an ordered mapping; its leaves are `Value`: text plus place. A `Document` is the top section of a
campaign together with the source texts it came from, so that a fault can show the line it speaks of.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter

from facade.errors import Fault, Location

BUILT_IN = Location("<built in>", 1)
_FIRST = itemgetter(0)
# groups are not repeated possessively: Python before 3.11.5 keeps what a last, failed turn took
_ITEM = re.compile(r"(?:\$\w*+\{[^{}]*+\}|[^\s,$]++|\$)(?:[^\S,]*+(?:\$\w*+\{[^{}]*+\}|[^\s,$]++|\$))*")


@dataclass(frozen=True, slots=True)
class Value:
    """A leaf: its text, where that is written, and where its key begins.

    ``quoted`` says that the value stands wholly in quotes: the text is what they hold, possibly nothing, and is one
    scalar wherever it goes. ``breaks`` says at which offset of the text a further piece begins, and where that piece is
    written: the lines of a continued value, the characters after an escape.
    """

    text: str
    location: Location
    key_location: Location
    breaks: tuple[tuple[int, Location], ...] = ()
    quoted: bool = False

    def __str__(self) -> str:
        return self.text

    @property
    def width(self) -> int:
        """How many columns the value takes as written."""
        return len(self.text) + 2 * self.quoted

    def part(self, start: int, end: int) -> Value:
        """Return the text from *start* to *end* as a value with its own place, for a fault that means only this."""
        inside = bisect_right(self.breaks, start, key=_FIRST)
        offset, piece = self.breaks[inside - 1] if inside else (0, self.location)
        breaks = self.breaks[inside : bisect_left(self.breaks, end, inside, key=_FIRST)]
        place = Location(piece.file, piece.line, piece.column + start - offset)
        return Value(self.text[start:end], place, self.key_location, tuple((o - start, at) for o, at in breaks))

    def items(self) -> tuple[Value, ...]:
        """Split a comma list into its trimmed, non-empty items, each with its own place; a quoted value is one item."""
        if self.quoted:
            return (self,)
        return tuple(self.part(*one.span()) for one in _ITEM.finditer(self.text))


class Section:
    """An ordered, case-normalised mapping of keys to values and of names to sections."""

    __slots__ = ("_entries", "_history", "location", "name")

    def __init__(self, name: str = "", location: Location = BUILT_IN) -> None:
        self.name, self.location = name, location
        self._entries: dict[str, Value | Section] = {}
        self._history: dict[str, list[Value]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        """Equal keys in equal order with equal texts, quoted or not; places do not count."""
        if not isinstance(other, Section):
            return NotImplemented
        return list(self) == list(other) and all(_same(one, other._entries[key]) for key, one in self._entries.items())

    __hash__ = None  # type: ignore[assignment]  # a section is mutable: Python's way to say "not hashable"

    def items(self) -> Iterable[tuple[str, Value | Section]]:
        """Return (key, value or section) in the order of the text."""
        return self._entries.items()

    def value(self, key: str) -> Value | None:
        """Return the value under *key*, or None if there is none or it is a section."""
        found = self._entries.get(key)
        return found if isinstance(found, Value) else None

    def text(self, key: str, default: str = "") -> str:
        """Return the text under *key*, or *default*."""
        found = self._entries.get(key)
        return found.text if isinstance(found, Value) else default

    def section(self, key: str) -> Section | None:
        """Return the section called *key*, or None."""
        found = self._entries.get(key)
        return found if isinstance(found, Section) else None

    def sections(self) -> Iterator[tuple[str, Section]]:
        """Yield (name, section) of every direct subsection, in the order of the text."""
        for key, entry in self._entries.items():
            if isinstance(entry, Section):
                yield key, entry

    def values(self) -> Iterator[tuple[str, Value]]:
        """Yield (key, value) of every direct value, in the order of the text."""
        for key, entry in self._entries.items():
            if isinstance(entry, Value):
                yield key, entry

    def set(self, key: str, entry: Value | Section) -> None:
        """Put *entry* under *key*; a key that exists keeps its position, and what it was before is remembered."""
        before = self._entries.get(key)
        if isinstance(before, Value):
            self._history.setdefault(key, []).append(before)
        self._entries[key] = entry

    def history(self, key: str) -> tuple[Value, ...]:
        """Return the values that *key* had before its present one, oldest first."""
        return tuple(self._history.get(key, ()))

    def merge(self, other: Section) -> list[tuple[str, Value | Section]]:
        """Merge *other* into this section, recursively; *other* wins (desdm.md §1.2).

        A value never replaces a section nor a section a value: such entries are left out and returned with their
        dotted names.
        """
        clashes: list[tuple[str, Value | Section]] = []
        for key, entry in other.items():
            mine = self._entries.get(key)
            if isinstance(entry, Section) and mine is None:
                self._entries[key] = fresh = Section(entry.name, entry.location)
                fresh.merge(entry)  # a copy: what is merged may be merged elsewhere too
            elif isinstance(entry, Value) and (mine is None or isinstance(mine, Value)):
                for earlier in other._history.get(key, ()):
                    self.set(key, earlier)
                self.set(key, entry)
            elif isinstance(entry, Section) and isinstance(mine, Section):
                clashes += [(f"{key}.{below}", clash) for below, clash in mine.merge(entry)]
            else:
                clashes.append((key, entry))
        return clashes

    def path(self, dotted: str) -> Value | Section | None:
        """Return what lies at a dotted path below this section, or None."""
        here: Value | Section | None = self
        for part in dotted.split("."):
            if not isinstance(here, Section):
                return None
            here = here._entries.get(part)
        return here

    def plain(self) -> dict[str, object]:
        """Return the section as nested plain dictionaries of text."""
        return {k: e.plain() if isinstance(e, Section) else e.text for k, e in self._entries.items()}


def _same(one: Value | Section, other: Value | Section) -> bool:
    if isinstance(one, Value) and isinstance(other, Value):
        return (one.text, one.quoted) == (other.text, other.quoted)
    return one == other


@dataclass(slots=True)
class Document:
    """A whole WCL text with its includes: the tree, the source lines by file, and the warnings met while reading.

    ``layers`` names, by file, the configuration layer that a text belongs to, where it is not the campaign itself;
    ``functions`` is how ``$FUNC`` finds what it calls. Documents are equal if their trees are.
    """

    root: Section
    sources: dict[str, list[str]] = field(default_factory=dict, compare=False)
    included_from: dict[str, Location] = field(default_factory=dict, compare=False)
    warnings: list[Fault] = field(default_factory=list, compare=False)
    layers: dict[str, str] = field(default_factory=dict, compare=False)
    functions: Callable[[str], Callable[..., object]] | None = field(default=None, compare=False)

    def fault(
        self,
        message: str,
        at: Location | Value | Section | None,
        *,
        code: str = "",
        remedy: str = "",
        severity: str = "error",
        others: Iterable[tuple[str, Value | Section]] = (),
    ) -> Fault:
        """Return a fault at *at*, with the source line it points into and the includes that lead there."""
        place = at if at is None or isinstance(at, Location) else at.location
        if place is None:
            return Fault(message=message, code=code, remedy=remedy, severity=severity)
        width = at.width if isinstance(at, Value) else 1
        lines = self.sources.get(place.file, [])
        whole = isinstance(at, Section) and not at.name  # what the text as a whole lacks has no line to show
        excerpt = lines[place.line - 1] if 0 < place.line <= len(lines) and not whole else ""
        return Fault(
            message=message,
            code=code,
            location=place,
            included_from=self.chain(place.file),
            remedy=remedy,
            excerpt=excerpt,
            width=max(1, min(width, len(excerpt) - place.column + 1)),
            severity=severity,
            others=tuple([(what, other.location) for what, other in others]),
        )

    def chain(self, file: str) -> tuple[Location, ...]:
        """Return the includes through which *file* was reached first, innermost first."""
        chain: list[Location] = []
        while (place := self.included_from.get(file)) is not None and place not in chain:
            chain.append(place)
            file = place.file
        return tuple(chain)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the nearest of *known*, or ""."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""

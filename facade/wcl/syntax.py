"""WCL text <-> located tree (desdm.md §1.1, §1.2).

Line rules, in the order they apply: join continued lines (a trailing backslash, nothing inserted), cut at ``#``, then one
of include, section header, section close, ``key = value``, ``key value``. Keys and names are lower-cased, except below
``cmdline`` and ``replace``. Reading a file is the caller's business: includes are asked for through `Reader`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from facade.errors import CampaignError, Fault, Location
from facade.wcl.scope import MissingVariable, Scope
from facade.wcl.tree import Document, Section, Value

Reader = Callable[[str, str], tuple[str, str]]
"""(path as written, name of the including text) -> (name, text); raises OSError if it cannot be read."""

KEEP_CASE = frozenset({"cmdline", "replace"})
MAX_INCLUDE_DEPTH = 32

_INCLUDE = re.compile(r"<<\s*include\s+(.+?)\s*>>", re.IGNORECASE)
_INCLFUNC = re.compile(r"<<\s*inclfunc\b", re.IGNORECASE)
_CLOSE = re.compile(r"</\s*([^\s<>]+)\s*>$")
_OPEN = re.compile(r"<([^\s<>/][^\s<>]*)(?:\s+([^\s<>]+))?>$")
_EMPTY = re.compile(r"(\S+?)\s*=$")
_EQUALS = re.compile(r"(\S+)\s*=\s*(\S.*)$")
_BLANK = re.compile(r"(\S+)\s+(\S.*)$")


@dataclass(frozen=True, slots=True)
class _Line:
    """A logical line: text without comment, and the place of its first character."""

    text: str
    number: int
    column: int


@dataclass(slots=True)
class _Open:
    """An open section; ``sublabel`` marks the inner one of ``<module foo>``, which ``</module>`` closes too."""

    section: Section
    sublabel: bool = False


@dataclass(slots=True)
class _Parser:
    document: Document
    reader: Reader | None
    faults: list[Fault] = field(default_factory=list)

    def parse(self, text: str, name: str, chain: tuple[str, ...]) -> Section:
        """Parse one text into a fresh top section, merging includes as they come."""
        lines = text.removeprefix("\ufeff").splitlines()
        self.document.sources[name] = lines
        return _TextParser(self, name, lines, chain).run()

    def fault(self, message: str, at: Location | Value | Section, remedy: str = "") -> None:
        self.faults.append(self.document.fault(message, at, remedy=remedy))


class _TextParser:
    """One text: a stack of open sections and the line rules."""

    def __init__(self, owner: _Parser, name: str, lines: list[str], chain: tuple[str, ...]) -> None:
        self.owner, self.name, self.lines, self.chain = owner, name, lines, chain
        self.root = Section("", Location(name, 1))
        self.stack = [_Open(self.root)]
        self.keep_case = 0

    def run(self) -> Section:
        for line in _logical_lines(self.lines):
            self.line(line)
        for opened in reversed(self.stack[1:]):
            if not opened.sublabel:
                self.owner.fault(
                    f"section <{opened.section.name}> is never closed",
                    opened.section,
                    f"add </{opened.section.name}> where it ends",
                )
        return self.root

    def line(self, line: _Line) -> None:
        text = line.text
        if text.startswith("<") or "<<" in text:
            if found := _INCLUDE.search(text):
                return self.include(found, line)
            if _INCLFUNC.search(text):
                return self.owner.fault(
                    "<<inclfunc>> is not read yet", self.at(line), "put the values themselves into an included file"
                )
            if found := _CLOSE.match(text):
                return self.close(found[1], line)
            if found := _OPEN.match(text):
                return self.open(found[1], found[2], line)
            if text.startswith("<"):
                return self.owner.fault(
                    "a section header or close must stand alone on its line, without blanks after '<'", self.at(line)
                )
        self.key_value(line)

    def at(self, line: _Line, offset: int = 0) -> Location:
        return Location(self.name, line.number, line.column + offset)

    def key_value(self, line: _Line) -> None:
        if found := _EMPTY.match(line.text):
            return self.ignored(f"'{found[1]} =' has no value: the line is ignored", line)
        found = _EQUALS.match(line.text) or _BLANK.match(line.text)
        if not found:
            return self.ignored(f"'{line.text}' is neither a section nor 'key = value': the line is ignored", line)
        key = found[1] if self.keep_case else found[1].lower()
        here = self.stack[-1].section
        if here.section(key) is not None:
            return self.owner.fault(f"'{key}' is a section; it cannot become a value", self.at(line))
        here.set(key, Value(found[2], self.at(line, found.start(2)), self.at(line)))

    def ignored(self, message: str, line: _Line) -> None:
        document = self.owner.document
        document.warnings.append(document.fault(message, self.at(line), severity="warning"))

    def open(self, name: str, sublabel: str | None, line: _Line) -> None:
        for depth, label in enumerate((name, sublabel)):
            if label is not None:
                self.enter(label.lower() if not self.keep_case else label, line, sublabel=depth == 1)

    def enter(self, name: str, line: _Line, *, sublabel: bool) -> None:
        parent = self.stack[-1].section
        if parent.name == name and len(self.stack) > 1 and not sublabel:
            self.owner.fault(f"<{name}> inside <{name}>", self.at(line), f"was </{name}> meant?")
        section = parent.section(name)
        if section is None:
            if parent.value(name) is not None:
                self.owner.fault(f"'{name}' has a value; it cannot become a section", self.at(line))
            section = Section(name, self.at(line))
            parent.set(name, section)
        self.stack.append(_Open(section, sublabel))
        self.keep_case += name.lower() in KEEP_CASE

    def close(self, name: str, line: _Line) -> None:
        wanted = name.lower()
        top = self.stack[-1]
        if top.sublabel and top.section.name.lower() != wanted:
            self.leave()  # </module> closes <module foo> as a whole
            top = self.stack[-1]
        if len(self.stack) == 1:
            return self.owner.fault(f"</{name}> closes nothing", self.at(line))
        if top.section.name.lower() != wanted:
            opened = top.section
            self.owner.fault(
                f"</{name}> does not close <{opened.name}>, opened at line {opened.location.line}",
                self.at(line),
                f"close <{opened.name}> first",
            )
            if all(o.section.name.lower() != wanted for o in self.stack[1:]):
                return
            while self.stack[-1].section.name.lower() != wanted:
                self.leave()
        self.leave()

    def leave(self) -> None:
        self.keep_case -= self.stack.pop().section.name.lower() in KEEP_CASE

    def include(self, found: re.Match[str], line: _Line) -> None:
        owner, place = self.owner, self.at(line, found.start(1))
        value = Value(found[1], place, place)
        try:
            path = Scope(self.root).resolve(found[1])
        except MissingVariable as missing:
            return owner.fault(f"undefined variable '{missing.name}' in the path of an include", value)
        if owner.reader is None:
            return owner.fault("this text may not include others", value)
        try:
            name, text = owner.reader(path, self.name)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            return owner.fault(
                f"cannot read the included file '{path}': {reason}",
                value,
                "an include is looked for beside the including file, then in the working directory, then on the"
                " include path",
            )
        if name in self.chain or len(self.chain) >= MAX_INCLUDE_DEPTH:
            return owner.fault(f"include goes in a circle: {' -> '.join([*self.chain, name])}", value)
        if len(self.stack) > 1:
            warning = f"an include inside <{self.stack[-1].section.name}> is merged at top level all the same"
            self.ignored(warning, line)
        owner.document.included_from.setdefault(name, place)
        self.root.merge(owner.parse(text, name, (*self.chain, name)))


def _logical_lines(lines: list[str]) -> list[_Line]:
    """Join continued lines and cut comments: desdm.md §1.1 steps 1 to 3."""
    result: list[_Line] = []
    number = 0
    while number < len(lines):
        first = number
        text = lines[number].strip()
        while text.endswith("\\"):
            number += 1
            text = text[:-1] + (lines[number].strip() if number < len(lines) else "")
            if number >= len(lines):
                break
        number += 1
        text = text.partition("#")[0].strip()
        if text:
            column = len(lines[first]) - len(lines[first].lstrip()) + 1
            result.append(_Line(text, first + 1, column))
    return result


def parse(text: str, name: str, reader: Reader | None = None) -> Document:
    """Return the document written in *text*; *name* is what locations call it.

    Raises:
        CampaignError: with every syntax fault of the text and its includes.
    """
    document = Document(Section("", Location(name, 1)))
    parser = _Parser(document, reader)
    document.root = parser.parse(text, name, (name,))
    if parser.faults:
        raise CampaignError(sorted(parser.faults, key=_place))
    return document


def _place(fault: Fault) -> tuple[str, int, int]:
    place = fault.location or Location("", 0)
    return place.file, place.line, place.column


def dumps(section: Section, indent: int = 0) -> str:
    """Return *section* as canonical WCL text: 4 blanks an indent, one ``key = value`` a line."""
    lead = "    " * indent
    lines: list[str] = []
    for key, entry in section.items():
        if isinstance(entry, Section):
            lines += [f"{lead}<{key}>\n", dumps(entry, indent + 1), f"{lead}</{key}>\n"]
        else:
            lines.append(f"{lead}{key} = {entry.text}\n")
    return "".join(lines)

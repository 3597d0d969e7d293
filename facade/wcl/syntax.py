"""WCL text <-> located tree (desdm.md §1.1, §1.2).

Line rules, in the order they apply: join continued lines (a trailing backslash, nothing inserted), cut at ``#``, then
one of include, section header, section close, ``key = value``, ``key value``. Keys and names are lower-cased, except
below ``cmdline`` and ``replace``. Reading a file is the caller's business: includes are asked for through `Reader`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from facade.errors import CampaignError, Fault, Location
from facade.wcl.scope import BadReference, MissingVariable, Scope
from facade.wcl.tree import Document, Section, Value

Reader = Callable[[str, str], tuple[str, str]]
"""(path as written, name of the including text) -> (name, text); raises OSError if it cannot be read."""

KEEP_CASE = frozenset({"cmdline", "replace"})
MAX_INCLUDE_DEPTH = 32
MAX_INCLUDES = 1000
MAX_SECTION_DEPTH = 64

_INCLUDE = re.compile(r"<<\s*include\s+(.+?)\s*>>", re.IGNORECASE)
_INCLFUNC = re.compile(r"<<\s*inclfunc\b", re.IGNORECASE)
_CLOSE = re.compile(r"</\s*([^\s<>]+)\s*>$")
_OPEN = re.compile(r"<([^\s<>/][^\s<>]*)(?:\s+([^\s<>]+))?>$")
_EQUALS = re.compile(r"(\S+)\s*=\s*(\S.*)$")
_EMPTY = re.compile(r"(\S+?)\s*=$")
_BLANK = re.compile(r"(?!=\s)(\S+)\s+([^\s=].*)$")
_NEWLINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class _Line:
    """A logical line: text without comment, and for each physical line it came from (offset in the text, place)."""

    text: str
    pieces: tuple[tuple[int, Location], ...]

    def at(self, offset: int = 0) -> Location:
        """Return the place of the character at *offset*."""
        start, place = next(piece for piece in reversed(self.pieces) if piece[0] <= offset)
        return Location(place.file, place.line, place.column + offset - start)

    def value(self, start: int, end: int, key: int) -> Value:
        """Return the text from *start* to *end* as a value whose key stands at offset *key*."""
        breaks = tuple((offset - start, place) for offset, place in self.pieces if start < offset < end)
        return Value(self.text[start:end], self.at(start), self.at(key), breaks)

    @property
    def whole(self) -> Value:
        """The whole line, for faults that mean all of it."""
        return self.value(0, len(self.text), 0)


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
    includes: int = 0

    def parse(self, text: str, name: str, chain: tuple[str, ...]) -> Section:
        """Parse one text into a fresh top section, merging includes as they come."""
        lines = _NEWLINE.split(text.removeprefix("\ufeff"))
        self.document.sources[name] = lines
        return _TextParser(self, name, lines, chain).run()

    def fault(self, message: str, at: Location | Value | Section, remedy: str = "") -> None:
        """Note a fault and go on, to find the others."""
        self.faults.append(self.document.fault(message, at, remedy=remedy))

    def warn(self, message: str, at: Location | Value) -> None:
        """Note something that is read, but perhaps not as it was meant."""
        self.document.warnings.append(self.document.fault(message, at, severity="warning"))


class _TextParser:
    """One text: a stack of open sections and the line rules."""

    def __init__(self, owner: _Parser, name: str, lines: list[str], chain: tuple[str, ...]) -> None:
        self.owner, self.name, self.lines, self.chain = owner, name, lines, chain
        self.root = Section("", Location(name, 1))
        self.stack = [_Open(self.root)]
        self.keep_case = 0

    def run(self) -> Section:
        """Read all lines and return the top section."""
        for line in _logical_lines(self.lines, self.name):
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
        """Apply the first line rule that fits."""
        text = line.text
        if text.startswith("<") or "<<" in text:
            if found := _INCLUDE.search(text):
                return self.include(found, line)
            if _INCLFUNC.search(text):
                return self.owner.fault(
                    "<<inclfunc>> is not read yet", line.whole, "put the values themselves into an included file"
                )
            if found := _CLOSE.match(text):
                return self.close(found[1], line)
            if found := _OPEN.match(text):
                return self.open(found[1], found[2], line)
            if text.startswith("<"):
                remedy = "write <name> or <name label> to open a section and </name> to close it, on lines of their own"
                return self.owner.fault(f"'{text}' neither opens nor closes a section", line.whole, remedy)
        self.key_value(line)

    def key_value(self, line: _Line) -> None:
        """Read ``key = value`` or ``key value``."""
        found = _EQUALS.match(line.text)
        if not found:
            if empty := _EMPTY.match(line.text):
                return self.owner.warn(f"'{empty[1]} =' has no value: the line is ignored", line.whole)
            found = _BLANK.match(line.text)
        if not found:
            return self.owner.warn(
                f"'{line.text}' is neither a section nor 'key = value': the line is ignored", line.whole
            )
        key = found[1] if self.keep_case else found[1].lower()
        here = self.stack[-1].section
        if (section := here.section(key)) is not None:
            return self.owner.fault(
                f"'{key}' is a section, opened at {_near(section.location, self.name)}; it cannot be a value too",
                line.value(*found.span(1), 0),
                "rename one of the two",
            )
        here.set(key, line.value(*found.span(2), found.start(1)))

    def open(self, name: str, sublabel: str | None, line: _Line) -> None:
        """Open ``<name>`` or ``<name sublabel>``."""
        self.enter(name if self.keep_case else name.lower(), line, sublabel=False)
        if sublabel is not None:
            self.enter(sublabel if self.keep_case else sublabel.lower(), line, sublabel=True)

    def enter(self, name: str, line: _Line, *, sublabel: bool) -> None:
        """Go into section *name* of the innermost open one; one that exists is taken up again."""
        parent = self.stack[-1].section
        if parent.name.lower() == name.lower() and len(self.stack) > 1:
            self.owner.fault(f"<{name}> directly inside <{name}>", line.whole, f"was </{name}> meant?")
        if len(self.stack) == MAX_SECTION_DEPTH + 1:
            self.owner.fault(f"sections nest more than {MAX_SECTION_DEPTH} deep", line.whole, "close some of them")
        section = parent.section(name)
        if section is None:
            if (value := parent.value(name)) is not None:
                where = _near(value.key_location, self.name)
                message = f"'{name}' has a value, given at {where}; it cannot be a section too"
                self.owner.fault(message, line.whole, "rename one of the two")
            section = Section(name, line.at())
            if len(self.stack) <= MAX_SECTION_DEPTH:
                parent.set(name, section)
        self.stack.append(_Open(section, sublabel))
        self.keep_case += name.lower() in KEEP_CASE

    def close(self, name: str, line: _Line) -> None:
        """Close the innermost section, which must be called *name*."""
        wanted = name.lower()
        top = self.stack[-1]
        if top.sublabel and top.section.name.lower() != wanted and self.stack[-2].section.name.lower() == wanted:
            self.leave()  # </module> closes <module foo> as a whole
            top = self.stack[-1]
        if len(self.stack) == 1:
            return self.owner.fault(f"</{name}> closes nothing: no section is open", line.whole, "remove it")
        if top.section.name.lower() != wanted:
            opened = top.section
            is_open = any(o.section.name.lower() == wanted for o in self.stack[1:])
            self.owner.fault(
                f"</{name}> does not close <{opened.name}>, opened at line {opened.location.line}",
                line.whole,
                f"close <{opened.name}> first" if is_open else f"was </{opened.name}> meant?",
            )
            if not is_open:
                return
            while self.stack[-1].section.name.lower() != wanted:
                self.leave()
        self.leave()

    def leave(self) -> None:
        """Go out of the innermost section."""
        self.keep_case -= self.stack.pop().section.name.lower() in KEEP_CASE

    def include(self, found: re.Match[str], line: _Line) -> None:
        """Merge another text at top level, here and now: what follows wins over it, it wins over what came before."""
        owner, value = self.owner, line.value(*found.span(1), found.start(1))
        try:
            path = Scope(self.root).resolve(found[1])
        except MissingVariable as missing:
            remedy = "an include knows what was defined above it in the same file, and nothing else"
            return owner.fault(f"undefined variable '{missing.name}' in the path of an include", value, remedy)
        except BadReference as error:
            return owner.fault(str(error), value)
        if owner.reader is None:
            return owner.fault("this text may not include others", value)
        try:
            name, text = owner.reader(path, self.name)
        except (OSError, ValueError) as error:
            reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", "")
            return owner.fault(
                f"cannot read the included file '{path}': {reason or error}",
                value,
                "an include is looked for beside the including file, then in the working directory, then on the"
                " include path",
            )
        owner.includes += 1
        if name in self.chain:
            return owner.fault(f"include goes in a circle: {' -> '.join([*self.chain, name])}", value)
        if len(self.chain) >= MAX_INCLUDE_DEPTH or owner.includes > MAX_INCLUDES:
            return owner.fault(
                f"more than {MAX_INCLUDES} includes, or more than {MAX_INCLUDE_DEPTH} in one another: "
                f"{' -> '.join([*self.chain[:3], '…', name])}",
                value,
            )
        if len(self.stack) > 1:
            owner.warn(f"an include inside <{self.stack[-1].section.name}> is merged at top level all the same", value)
        if found.span() != (0, len(line.text)):
            owner.warn("only the include of this line is read, not what stands beside it", line.whole)
        owner.document.included_from.setdefault(name, value.location)
        for key, clash in self.root.merge(owner.parse(text, name, (*self.chain, name))):
            what = "value" if isinstance(clash, Value) else "section"
            place = clash.key_location if isinstance(clash, Value) else clash.location
            other = "section" if what == "value" else "value"
            owner.fault(
                f"'{key}' is a {what} here but a {other} in what came before this file was included",
                place,
                "rename one of the two",
            )


def _near(place: Location, name: str) -> str:
    """Say where *place* is to somebody who reads the text *name*."""
    return f"line {place.line}" if place.file == name else str(place)


def _logical_lines(lines: list[str], name: str) -> list[_Line]:
    """Join continued lines and cut comments: desdm.md §1.1 steps 1 to 3."""
    result: list[_Line] = []
    number = 0
    while number < len(lines):
        text = lines[number].strip()
        pieces = [(0, _beginning(lines[number], name, number))]
        number += 1
        while text.endswith("\\") and number < len(lines):
            text = text[:-1]
            pieces = [piece for piece in pieces if piece[0] < len(text)] or pieces[:1]
            pieces.append((len(text), _beginning(lines[number], name, number)))
            text += lines[number].strip()
            number += 1
        if number == len(lines) and text.endswith("\\"):
            text = text[:-1]  # nothing left to continue with
        text = text.partition("#")[0].strip()
        if text:
            result.append(_Line(text, tuple(pieces)))
    return result


def _beginning(line: str, name: str, index: int) -> Location:
    return Location(name, index + 1, len(line) - len(line.lstrip()) + 1)


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


def dumps(tree: Document | Section, indent: int = 0) -> str:
    """Return *tree* as canonical WCL text: 4 blanks an indent, one ``key = value`` a line."""
    section = tree.root if isinstance(tree, Document) else tree
    lead = "    " * indent
    lines: list[str] = []
    for key, entry in section.items():
        if isinstance(entry, Section):
            lines += [f"{lead}<{key}>\n", dumps(entry, indent + 1), f"{lead}</{key}>\n"]
        else:
            # a comment keeps a last backslash from continuing the line
            lines.append(f"{lead}{key} = {entry.text}{' #' if entry.text.endswith(chr(92)) else ''}\n")
    return "".join(lines)

"""WCL text -> located tree (desdm.md §1.1, §1.2).

A logical line (`facade.wcl.lines`) is one of include, section header, section close, ``key = value``, ``key value``.
Keys and names are lower-cased, except below ``cmdline`` and ``replace``. Reading a file is the caller's business:
includes are asked for through `Reader`, functions through `Functions`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from facade.errors import CampaignError, Fault, Location
from facade.wcl.lines import NEWLINE, Line, logical_lines
from facade.wcl.scope import Functions, Scope
from facade.wcl.template import BadReference, MissingVariable
from facade.wcl.tree import Document, Section, Value, did_you_mean
from facade.wcl.writing import quoted

Reader = Callable[[str, str], tuple[str, str]]
"""(path as written, name of the including text) -> (name, text); raises OSError if it cannot be read."""

KEEP_CASE = frozenset({"cmdline", "replace"})
MAX_INCLUDE_DEPTH = 32
MAX_INCLUDES = 1000
MAX_SECTION_DEPTH = 64

_INCLUDE_BEGINS = re.compile(r"<<\s*include\s+", re.IGNORECASE)
_INCLUDE = re.compile(r"<<\s*include\s+(\S(?:.*\S)?)\s*>>$", re.IGNORECASE)
_INCLFUNC = re.compile(r"<<\s*inclfunc\s+([\w.]+)\s*\(([^()]*)\)\s*>>", re.IGNORECASE)
_CLOSE = re.compile(r"</\s*([^\s<>]+)\s*>$")
_OPEN = re.compile(r"<([^\s<>/][^\s<>]*)(?:\s+([^\s<>]+))?>$")
_NAME = re.compile(r"[^\s<>/\0][^\s<>\0]*")
_EQUALS = re.compile(r"(\S+)\s*=\s*(\S.*)$")
_EMPTY = re.compile(r"(\S+?)\s*=$")
_BLANK = re.compile(r"(?!=\s)(\S+)\s+([^\s=].*)$")
_CLEAR = frozenset({"F003", "F004", "F005"})
"""Faults after which it is clear what was meant: tags that are misspelt, left over or without their slash."""
_MEANS_MORE = re.compile(r"""[\s,#:()'"\\]|<<|^$""")


@dataclass(slots=True)
class _Open:
    """An open section; ``sublabel`` marks the inner one of ``<module foo>``, which ``</module>`` closes too."""

    section: Section
    at: Location
    sublabel: bool = False


@dataclass(slots=True)
class Parser:
    """What the texts of one document share: the document, the way to read includes, the faults found."""

    document: Document
    reader: Reader | None
    faults: list[Fault] = field(default_factory=list)
    includes: int = 0
    scalars: list[Value] = field(default_factory=list)
    """Quoted values whose quotes do something, outside command lines: in the original they were data."""

    def parse(self, text: str, name: str, chain: tuple[str, ...], root: Section) -> Section:
        """Parse one text into *root*, merging includes as they come."""
        return TextParser(self, name, self.lines(text, name), chain, root).run()

    def lines(self, text: str, name: str) -> list[str]:
        """Return the physical lines of a text; they are what faults in it show."""
        lines = self.document.sources[name] = NEWLINE.split(text.removeprefix("\ufeff"))
        if "\0" in text:
            number, line = next((n, line) for n, line in enumerate(lines, 1) if "\0" in line)
            self.fault("F023", "a NUL byte: this is no text", Location(name, number, line.index("\0") + 1))
        return lines

    def fault(self, code: str, message: str, at: Location | Value | Section, remedy: str = "") -> None:
        """Note a fault and go on, to find the others."""
        self.faults.append(self.document.fault(message, at, code=code, remedy=remedy))

    def warn(self, code: str, message: str, at: Location | Value, remedy: str = "", severity: str = "warning") -> None:
        """Note something that is read, but perhaps not as it was meant."""
        self.document.warnings.append(self.document.fault(message, at, code=code, remedy=remedy, severity=severity))

    def tell_of_quotes(self) -> None:
        """Say once, for those who bring old files, that quotes around a whole value are no part of it."""
        if self.scalars:
            more = len(self.scalars) - 1
            places = f" (here and in {more} more place{'s' * (more > 1)})" if more else ""
            message = f"the quotes make the value one scalar; the original system kept them as part of it{places}"
            self.warn("F026", message, self.scalars[0], "quote twice if they are data: '\"8,6\"'", severity="note")


class TextParser:
    """One text: a stack of open sections and the line rules."""

    def __init__(self, owner: Parser, name: str, lines: list[str], chain: tuple[str, ...], root: Section) -> None:
        self.owner, self.name, self.lines, self.chain = owner, name, lines, chain
        self.root = root
        self.stack = [_Open(self.root, self.root.location)]
        self.open_names: Counter[str] = Counter()
        self.doubtful: Counter[str] = Counter()
        self.keep_case = 0

    def run(self) -> Section:
        """Read all lines and return the top section."""
        for line in logical_lines(self.lines, self.name):
            self.line(line)
        for opened in reversed(self.stack[1:]):
            if not opened.sublabel:
                name = opened.section.name
                message, remedy = f"section <{name}> is never closed", f"add </{name}> where it ends"
                self.owner.fault("F001", message, opened.at, remedy)
        return self.root

    def line(self, line: Line) -> None:
        """Apply the first line rule that fits."""
        text = line.text
        if line.hidden is not None or line.split_quote is not None or line.escaped is not None:
            self.tell_of_comment(line)
        if not text:
            return None
        if line.quoted is not None:
            return self.quoted(line)
        if text[0] == "<" or "<<" in text:
            if found := _include(text):
                return self.include(found, line)
            if found := _INCLFUNC.search(text):
                return self.include_function(found, line)
            if found := _CLOSE.match(text):
                return self.close(found[1], line)
            if found := _OPEN.match(text):
                return self.open(found[1], found[2], line)
            if text[0] == "<":
                remedy = "write <name> or <name label> to open a section and </name> to close it, on lines of their own"
                return self.owner.fault("F002", f"'{text}' neither opens nor closes a section", line.whole, remedy)
        self.key_value(line)

    def tell_of_comment(self, line: Line) -> None:
        """Say what a comment does that its writer may not have meant, or the original would have done otherwise."""
        if line.hidden is not None:
            message = "this line belongs to the comment above it, which ends in a backslash"
            self.owner.warn("F019", message, line.hidden, "take the backslash off the comment")
        if line.split_quote is not None:
            remedy = "write \\# for a '#' that is data, or put the whole value in quotes"
            self.owner.warn("F022", "'#' begins a comment although a quote is open", line.split_quote, remedy)
        if line.escaped is not None:
            message = "'\\#' is a '#' that is data; the original system ended the value before the '#'"
            self.owner.warn("F020", message, line.escaped, severity="note")

    def key_value(self, line: Line) -> None:
        """Read ``key = value`` or ``key value``."""
        found = _EQUALS.match(line.text)
        if not found:
            if empty := _EMPTY.match(line.text):
                message, remedy = (
                    f"'{empty[1]} =' has no value: the line is ignored",
                    f'write {empty[1]} = "" for nothing',
                )
                return self.owner.warn("F009", message, line.whole, remedy)
            found = _BLANK.match(line.text)
        if not found:
            message = f"'{line.text}' is neither a section nor 'key = value': the line is ignored"
            return self.owner.warn("F008", message, line.whole)
        start, end = found.span(2)
        self.set(line, found.span(1), line.value(start, end, found.start(1)))

    def quoted(self, line: Line) -> None:
        """Read a value that stands wholly in quotes; say where the original would have read it otherwise."""
        value, written = line.quoted_value(), line.text[slice(*line.quoted)] if line.quoted else ""
        self.set(line, line.key, value)
        if "#" in value.text:
            message = "this '#' is data, because the value is quoted; the original system ended the value before it"
            self.owner.warn("F020", message, value, severity="note")
        elif not self.keep_case and not _MEANS_MORE.search(value.text):
            outer = "'" if written[0] == '"' else '"'
            message = f"the quotes are not part of the value, which is {value.text}; the original system kept them"
            if "$" in value.text:  # the quotes may be meant: they keep what stands for the variables one scalar
                remedy = f"write {outer}{written}{outer} if the quotes are data"
                return self.owner.warn("F021", message, value, remedy, severity="note")
            remedy = f"write {value.text} without quotes, or {outer}{written}{outer} if the quotes are data"
            self.owner.warn("F021", message, value, remedy)
        elif not self.keep_case:
            self.owner.scalars.append(value)

    def set(self, line: Line, span: tuple[int, int], value: Value) -> None:
        """Put a value under the key at *span*, unless that is a section."""
        written = line.text[slice(*span)]
        if line.quoted is not None:
            written = written.replace("\\#", "#")
        key = written if self.keep_case else written.lower()
        here = self.stack[-1].section
        before = here.value(key)
        if before is None and (section := here.section(key)) is not None:
            return self.owner.fault(
                "F007",
                f"'{key}' is a section, opened at {_near(section.location, self.name)}; it cannot be a value too",
                line.value(*span, span[0]),
                "rename one of the two",
            )
        if before is not None and before.key_location.file == self.name:
            message = f"'{key}' was already set at line {before.key_location.line}: that value never counts"
            self.owner.warn("F024", message, line.value(*span, span[0]), "remove one of the two")
        here.set(key, value)

    def open(self, name: str, sublabel: str | None, line: Line) -> None:
        """Open ``<name>`` or ``<name sublabel>``; ``<name>`` inside ``<name>`` nearly always lacks its slash."""
        lower = name.lower()
        inside = len(self.stack) > 1 and self.stack[-1].section.name.lower() == lower
        if inside or (sublabel is not None and sublabel.lower() == lower):
            self.owner.fault("F005", f"<{name}> directly inside <{name}>", line.whole, f"was </{name}> meant?")
        if inside and sublabel is None:
            self.doubtful[lower] += 2  # if it was meant to nest, two tags will close nothing
            return self.leave()
        self.enter(name if self.keep_case else lower, line, sublabel=False)
        if sublabel is not None:
            self.enter(sublabel if self.keep_case else sublabel.lower(), line, sublabel=True)

    def enter(self, name: str, line: Line, *, sublabel: bool) -> None:
        """Go into section *name* of the innermost open one; one that exists is taken up again."""
        parent = self.stack[-1].section
        if len(self.stack) == MAX_SECTION_DEPTH + 1:
            self.owner.fault(
                "F006", f"sections nest more than {MAX_SECTION_DEPTH} deep", line.whole, "close some of them"
            )
        section = parent.section(name)
        if section is None:
            if (value := parent.value(name)) is not None:
                where = _near(value.key_location, self.name)
                message = f"'{name}' has a value, given at {where}; it cannot be a section too"
                self.owner.fault("F007", message, line.whole, "rename one of the two")
            section = Section(name, line.at())
            if len(self.stack) <= MAX_SECTION_DEPTH:
                parent.set(name, section)
        self.stack.append(_Open(section, line.at(), sublabel))
        self.open_names[name.lower()] += 1
        self.keep_case += name.lower() in KEEP_CASE

    def close(self, name: str, line: Line) -> None:
        """Close the innermost section, which must be called *name*."""
        wanted = name.lower()
        top = self.stack[-1]
        if top.sublabel and top.section.name.lower() != wanted and self.stack[-2].section.name.lower() == wanted:
            self.leave()  # </module> closes <module foo> as a whole
            top = self.stack[-1]
        if not self.open_names[wanted] and self.doubtful[wanted]:
            self.doubtful[wanted] -= 1
            return None
        if len(self.stack) == 1:
            return self.owner.fault("F003", f"</{name}> closes nothing: no section is open", line.whole, "remove it")
        if top.section.name.lower() != wanted:
            names = [top.section.name, *([self.stack[-2].section.name] if top.sublabel else [])]
            is_open = self.open_names[wanted] > 0
            message = f"</{name}> does not close <{' '.join(reversed(names))}>, opened at line {top.at.line}"
            meant = next((one for one in names if did_you_mean(wanted, [one.lower()])), "")
            remedy = f"close <{names[0]}> first" if is_open else f"was </{meant or names[-1]}> meant?"
            self.owner.fault("F004", message, line.whole, remedy)
            if not is_open:
                if meant:
                    self.doubtful[meant.lower()] += 1
                    self.close(meant, line)
                return
            while self.stack[-1].section.name.lower() != wanted:
                self.leave()
        self.leave()

    def leave(self) -> None:
        """Go out of the innermost section."""
        name = self.stack.pop().section.name.lower()
        self.open_names[name] -= 1
        self.keep_case -= name in KEEP_CASE

    def include(self, found: re.Match[str], line: Line) -> None:
        """Merge another text at top level, here and now: what follows wins over it, it wins over what came before."""
        owner, value = self.owner, line.value(*found.span(1), found.start(1))
        try:
            path = self.scope().resolve(found[1])
        except MissingVariable as missing:
            remedy = "an include knows what was defined above it in the same file, and nothing else"
            message, at = f"undefined variable '{missing.name}' in the path of an include", value
            if missing.at is None and (start := value.text.lower().find(f"${{{missing.name}")) >= 0:
                at = value.part(start, value.text.index("}", start) + 1)
            return owner.fault("F013", message, at, remedy)
        except BadReference as error:
            return owner.fault(error.code, str(error), value, error.remedy)
        if owner.reader is None:
            return owner.fault("F014", "this text may not include others", value, "put the include into the campaign")
        try:
            name, text = owner.reader(path, self.name)
        except (OSError, ValueError) as error:
            reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", "")
            where = "beside the including file, then in the working directory, then on the include path"
            remedy = f"it is looked for {where}"
            if reason and not isinstance(error, FileNotFoundError):
                remedy = "save the file as UTF-8" if isinstance(error, UnicodeDecodeError) else ""
            message = f"cannot read the included file '{path}': {reason or error}"
            return owner.fault("F010", message, value, remedy)
        owner.includes += 1
        if name in self.chain:
            circle = " -> ".join([*self.chain[self.chain.index(name) :], name])
            return owner.fault("F011", f"include goes in a circle: {circle}", value, "remove one of these includes")
        if len(self.chain) >= MAX_INCLUDE_DEPTH or owner.includes > MAX_INCLUDES:
            limits = f"more than {MAX_INCLUDES} includes, or more than {MAX_INCLUDE_DEPTH} in one another"
            return owner.fault("F012", f"{limits}: {' -> '.join([*self.chain[:3], '…', name])}", value)
        self.tell_of_place(found, line, value)
        owner.document.included_from.setdefault(name, value.location)
        self.merge(
            owner.parse(text, name, (*self.chain, name), Section("", Location(name, 1))), "this file was included"
        )

    def include_function(self, found: re.Match[str], line: Line) -> None:
        """Merge what a registered function returns for the values of some keys (desdm.md §1.1)."""
        owner, value = self.owner, line.value(*found.span(1), found.start(1))
        keys = [key.strip().lower() for key in found[2].split(",") if key.strip()]
        try:
            function = self.functions(found[1])
            arguments = {key: self.scope().resolve(f"${{{key}}}") for key in keys}
        except LookupError as error:
            if isinstance(error, MissingVariable):
                remedy = "a function is given what was defined above it in the same file, and nothing else"
                return owner.fault("F013", f"undefined variable '{error.name}' in <<inclfunc>>", line.whole, remedy)
            return owner.fault("F017", str(error.args[0]), value)
        except BadReference as error:
            return owner.fault(error.code, str(error), line.whole, error.remedy)
        try:
            section = _section(function(arguments), value, self.keep_case > 0)
        except (Exception, SystemExit) as error:
            message = f"the function '{found[1]}' failed: {type(error).__name__}: {error}"
            return owner.fault("F018", message, value)
        self.tell_of_place(found, line, value)
        self.merge(section, f"'{found[1]}' was called")

    def scope(self) -> Scope:
        """Return the scope of what was read of this file so far."""
        return Scope(self.root, functions=self.owner.document.functions)

    def functions(self, name: str) -> Callable[..., object]:
        """Return the function called *name*; raises LookupError."""
        if self.owner.document.functions is None:
            raise LookupError("this text may not call functions")
        return self.owner.document.functions(name)

    def tell_of_place(self, found: re.Match[str], line: Line, value: Value) -> None:
        """Warn of an include that is read otherwise than it looks."""
        if len(self.stack) > 1:
            message = f"an include inside <{self.stack[-1].section.name}> is merged at top level all the same"
            self.owner.warn("F015", message, value)
        if found.span() != (0, len(line.text)):
            self.owner.warn("F016", "only the include of this line is read, not what stands beside it", line.whole)

    def merge(self, section: Section, when: str) -> None:
        """Merge a text or a function's result at top level."""
        for key, clash in self.root.merge(section):
            what, other = ("value", "section") if isinstance(clash, Value) else ("section", "value")
            place = clash.key_location if isinstance(clash, Value) else clash.location
            message = f"'{key}' is a {what} here but a {other} in what came before {when}"
            self.owner.fault("F007", message, place, "rename one of the two")


def _include(text: str) -> re.Match[str] | None:
    """Match the include that begins first, up to the ``>>`` that ends it."""
    begins = _INCLUDE_BEGINS.search(text)
    end = text.find(">>", begins.end()) if begins else -1
    return _INCLUDE.match(text, begins.start(), end + 2) if begins and end >= 0 else None


def _section(result: object, at: Value, keep_case: bool, name: str = "") -> Section:
    """Return what a function gave as a section; every value has the place of the directive."""
    if not isinstance(result, Mapping):
        raise TypeError(f"it returned {type(result).__name__}, not a mapping")
    section = Section(name, at.location)
    for key, entry in result.items():
        written = str(key) if keep_case or name in KEEP_CASE else str(key).lower()
        if not _NAME.fullmatch(written):
            raise ValueError(f"{written!r} cannot be a key")
        if isinstance(entry, Mapping):
            section.set(written, _section(entry, at, keep_case or name in KEEP_CASE, written))
        elif entry is not None:
            text = ", ".join(map(_item, entry)) if isinstance(entry, list | tuple) else str(entry)
            if "\0" in text or NEWLINE.search(text):
                raise ValueError(f"{written!r} holds a line break or a NUL")
            # what could not be written without quotes stands in quotes
            section.set(
                written, Value(text, at.location, at.location, quoted=text != text.strip() or not text or "<<" in text)
            )
    return section


def _item(entry: object) -> str:
    """Return an item of a function's list as it stands in a list of WCL."""
    text = str(entry)
    return quoted(text) if "," in text or text != text.strip() or not text else text


def _near(place: Location, name: str) -> str:
    """Say where *place* is to somebody who reads the text *name*."""
    return f"line {place.line}" if place.file == name else str(place)


def parse(
    text: str,
    name: str,
    reader: Reader | None = None,
    functions: Functions | None = None,
    base: Document | None = None,
) -> Document:
    """Return the document written in *text*; *name* is what locations call it, *base* a weaker layer beneath it.

    Raises:
        CampaignError: with every syntax fault of the text and its includes.
    """
    document = Document(Section("", Location(name, 1)), functions=functions)
    if base is not None:
        document.root.merge(base.root)
        document.sources |= base.sources
        document.included_from |= base.included_from
        document.layers |= base.layers
    parser = Parser(document, reader)
    parser.parse(text, name, (name,), document.root)
    parser.tell_of_quotes()
    if parser.faults:
        mended = document if all(fault.code in _CLEAR for fault in parser.faults) else None
        raise CampaignError(sorted(parser.faults, key=_place), document.warnings, mended)
    return document


def _place(fault: Fault) -> tuple[str, int, int]:
    place = fault.location or Location("", 0)
    return place.file, place.line, place.column

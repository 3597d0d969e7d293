"""Canonical layout of WCL text, for ``facade fmt``: how it looks changes, what it means never does.

Four blanks a section, ``key = value``, two blanks before a comment that follows something, at most one blank line in a
row and none at the ends, line feeds. Comments, order and values stay as they are written, and so do lines that facade
ignores; continued lines keep their pieces. Includes are not followed, so a text need not be a whole campaign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from facade.errors import CampaignError, FacadeError, Fault, Location
from facade.wcl.lines import Line
from facade.wcl.syntax import Parser, TextParser
from facade.wcl.tree import Document, Section, Value

_STEP = 4
_BOM = "\ufeff"
_INCLUDE = re.compile(r"<<\s*include\s+(.+?)\s*>>$", re.IGNORECASE)


def layout(text: str, name: str) -> str:
    """Return *text* laid out; *name* is what locations call it.

    Raises:
        CampaignError: with every syntax fault of the text itself.
        FacadeError: laid out, it would mean something else, which is a fault of facade.
    """
    before = _read(text, name)
    lines: list[str] = []
    for group in _groups(before):
        if group.pieces != [""]:
            lines += group.laid_out()
        elif lines and lines[-1]:
            lines.append("")
    while lines and not lines[-1]:
        lines.pop()
    result = "".join(f"{line}\n" for line in lines)
    if result.startswith(_BOM):
        result = _BOM + result  # the first one would be taken for the mark of an encoding
    if not before.means_the_same_as(_read(result, name)):
        remedy = "this is a fault in facade: please report it, with the file"
        raise FacadeError(f"{name}: laid out, it would mean something else; it stays as it is", remedy=remedy)
    return result


@dataclass(frozen=True, slots=True)
class _Statement:
    """A logical line and what it says: its kind, the words that count, and how many sections are around it."""

    line: Line
    kind: str
    words: tuple[str | bool, ...]
    depth: int
    value: Value | None = None

    @property
    def meaning(self) -> tuple[object, ...]:
        """What must not change."""
        return self.kind, self.words, self.line.comment


class _Reading(TextParser):
    """A text as the parser reads it, with a note of what each line says. Includes and functions are noted only."""

    def __init__(self, parser: Parser, lines: list[str], name: str) -> None:
        super().__init__(parser, name, lines, (name,), parser.document.root)
        self.statements: list[_Statement] = []

    def line(self, line: Line) -> None:
        """Read a line; one that says nothing is noted as ignored."""
        count = len(self.statements)
        super().line(line)
        if len(self.statements) == count:
            self.note(line, "ignored", line.text)

    def note(self, line: Line, kind: str, *words: str | bool, value: Value | None = None) -> None:
        """Note what *line* says; ``<module x>`` is one section to the eye."""
        # a text with faults is refused: its sections, which may be many, need not be counted
        depth = 0 if self.owner.faults else sum(not opened.sublabel for opened in self.stack[1:])
        self.statements.append(_Statement(line, kind, words, depth, value))

    def set(self, line: Line, span: tuple[int, int], value: Value) -> None:
        """Read a key and its value."""
        self.note(line, "entry", line.text[slice(*span)], value.text, value.quoted, value=value)
        super().set(line, span, value)

    def open(self, name: str, sublabel: str | None, line: Line) -> None:
        """Open a section: what is in it is deeper than its tag."""
        self.note(line, "open", name, sublabel or "")
        super().open(name, sublabel, line)

    def close(self, name: str, line: Line) -> None:
        """Close a section: the tag stands as deep as the one that opened it."""
        super().close(name, line)
        self.note(line, "close", name)

    def include(self, found: re.Match[str], line: Line) -> None:
        """Note an include, whether there is such a file or not."""
        self.note(line, "include", found[1], *([] if found[0] == line.text else [line.text]))

    def include_function(self, found: re.Match[str], line: Line) -> None:
        """Note a call, whether there is such a function or not."""
        self.note(line, "inclfunc", line.text)

    def means_the_same_as(self, other: _Reading) -> bool:
        """Tell whether both say the same, line by line and as a tree."""
        mine, others = ([(s.meaning, s.depth) for s in one.statements] for one in (self, other))
        return mine == others and self.root == other.root


def _reading(text: str, name: str) -> _Reading:
    parser = Parser(Document(Section("", Location(name, 1))), reader=None)
    reading = _Reading(parser, parser.lines(text, name), name)
    reading.run()
    return reading


def _read(text: str, name: str) -> _Reading:
    reading = _reading(text, name)
    if reading.owner.faults:
        raise CampaignError(sorted(reading.owner.faults, key=_place))
    return reading


def _place(fault: Fault) -> tuple[int, int]:
    return (fault.location.line, fault.location.column) if fault.location else (0, 0)


def _groups(reading: _Reading) -> Iterator[_Group]:
    """Yield the physical lines of a text, those that are continued together with what continues them."""
    statements = {one.line.first: one for one in reading.statements}
    depth = number = 0
    while number < len(reading.lines):
        first = number
        while reading.lines[number].strip().endswith("\\") and number + 1 < len(reading.lines):
            number += 1
        number += 1
        pieces = [line.strip() for line in reading.lines[first:number]]
        if (statement := statements.get(first)) is not None:
            depth = statement.depth
        yield _Group(pieces, depth, statement)
        if statement is not None:
            depth += statement.kind == "open"


@dataclass(frozen=True, slots=True)
class _Group:
    """The physical lines, stripped, of one logical line or comment; ``statement`` is what they say, if anything."""

    pieces: list[str]
    depth: int
    statement: _Statement | None

    def laid_out(self) -> list[str]:
        """Return the lines in canonical form, or just indented if that would change what they mean."""
        as_written = self.indented(self.pieces)
        if self.statement is None or self.statement.kind == "ignored":
            return as_written
        result = self.canonical(self.statement)
        said = _reading("\n".join(result), "").statements if result != as_written else [self.statement]
        return result if [one.meaning for one in said] == [self.statement.meaning] else as_written

    def indented(self, pieces: Sequence[str], hang: int = _STEP) -> list[str]:
        """Return *pieces* indented, all but the first by *hang* more columns."""
        head, *others = pieces
        lead = _STEP * self.depth
        return [(" " * lead + head).rstrip(), *((" " * (lead + hang) + other).rstrip() for other in others)]

    def canonical(self, statement: _Statement) -> list[str]:
        """Return the lines as they should look."""
        pieces, hang = list(self.pieces), _STEP
        if (comment := self.comment_at(statement.line.comment)) is None:
            pieces[0], hang = self.tidied(pieces[0], statement)
            return self.indented(pieces, hang)
        index, offset = comment
        code, rest = pieces[index][:offset].rstrip(), pieces[index][offset:]
        if index == 0:
            code, _ = self.tidied(code, statement)
        else:
            pieces[0], hang = self.tidied(pieces[0], statement)
        pieces[index] = f"{code}  {rest}" if code else rest
        return self.indented(pieces, hang)

    def comment_at(self, comment: str) -> tuple[int, int] | None:
        """Return the piece in which the comment of the line begins, and its offset there."""
        if not comment:
            return None
        joined = [piece[:-1] if piece.endswith("\\") else piece for piece in self.pieces]
        offset = len("".join(joined).rstrip()) - len(comment)
        for index, piece in enumerate(joined):
            if offset < len(piece):
                return index, offset
            offset -= len(piece)
        raise AssertionError(f"{comment!r} is not in {self.pieces!r}")

    def tidied(self, code: str, statement: _Statement) -> tuple[str, int]:
        """Return the first piece, without comment, as it should look, and how far the others hang."""
        if statement.kind == "entry":
            return self.entry(code, statement)
        if len(self.pieces) > 1:
            return code, _STEP
        if statement.kind == "open":
            code = " ".join(code.split())
        elif statement.kind == "close":
            code = "".join(code.split())
        elif statement.kind == "include":
            code = _INCLUDE.sub(r"<<include \1>>", code) if len(statement.words) == 1 else code
        return code, _STEP

    def entry(self, code: str, statement: _Statement) -> tuple[str, int]:
        """Write ``key = value``; what continues the value stands below its beginning."""
        value = statement.value
        assert value is not None
        if value.location.line == statement.line.first + 1:
            at, hangs = value.location.column - value.key_location.column, True
        else:  # nothing but the key and the backslash
            at, hangs = len(code) - 1, False
        key = code[:at].rstrip()
        key = key.removesuffix("=").rstrip()
        return f"{key} = {code[at:]}", len(key) + 3 if hangs else _STEP

"""Lines of WCL: continued lines joined, comments taken off, quoted values found (desdm.md §1.1, steps 1 to 3).

A physical line is stripped; while it ends in a backslash, that is dropped and the next line, stripped, is appended with
nothing in between. Then the line is cut at the first ``#``, which the original did whatever stood before it. Here a
``#`` is data in a value that stands wholly in quotes, and after a backslash.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from facade.errors import Location
from facade.wcl.tree import Value

NEWLINE = re.compile(r"\r\n|\r|\n")
_COMMENT = re.compile(r"(?<!\\)#")
# possessive where that changes nothing: a value of megabytes then takes no memory to look through
_QUOTED = re.compile(r"""(?:(\S+)\s*=|(?!=\s)(\S+)\s)\s*("[^"\\]*+(?:\\.[^"\\]*+)*"|'[^']*+')\s*(?:#.*)?$""")
_OPEN_QUOTE = re.compile(r"""\S+(?:\s*=\s*|\s+)(["'])""")
_ESCAPE = re.compile(r'\\(["\\])')
_ESCAPED_HASH = re.compile(r"\\(#)")
_FIRST = itemgetter(0)

Pieces = tuple[tuple[int, Location], ...]
"""(offset in a text, place where the piece that begins there is written), in order."""


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line: its text without comment, the comment, and the lines ``first`` to ``last`` (from 0) it came from.

    ``key`` and ``quoted`` are the spans of key and value, quotes included, if the value is quoted. ``hidden`` is the
    place of a line that a comment ending in a backslash has swallowed, and ``split_quote`` the place of a quote that a
    comment cuts.
    """

    text: str
    pieces: Pieces
    comment: str
    first: int
    last: int
    key: tuple[int, int] = (0, 0)
    quoted: tuple[int, int] | None = None
    hidden: Location | None = None
    split_quote: Location | None = None
    escaped: Location | None = None

    def at(self, offset: int = 0) -> Location:
        """Return the place of the character at *offset*."""
        start, place = self.pieces[bisect_right(self.pieces, offset, key=_FIRST) - 1]
        return Location(place.file, place.line, place.column + offset - start)

    def value(self, start: int, end: int, key: int) -> Value:
        """Return the text from *start* to *end* as a value whose key stands at offset *key*."""
        breaks = () if len(self.pieces) == 1 else tuple((o - start, at) for o, at in self.pieces if start < o < end)
        return Value(self.text[start:end], self.at(start), self.at(key), breaks)

    def quoted_value(self) -> Value:
        """Return the value that stands in quotes; ``\\"`` and ``\\\\`` are escapes in double quotes, as for a shell."""
        assert self.quoted is not None
        start, end = self.quoted
        raw = self.value(start + 1, end - 1, self.key[0])
        text, breaks = raw.text, ((0, raw.location), *raw.breaks)
        if self.text[start] == '"' and "\\" in text:
            text, breaks = _without_backslashes(text, breaks, _ESCAPE)
        return Value(text, self.at(start), raw.key_location, breaks, quoted=True)

    @property
    def whole(self) -> Value:
        """The whole line, for faults that mean all of it."""
        return self.value(0, len(self.text), 0)


def logical_lines(lines: Sequence[str], name: str) -> Iterator[Line]:
    """Yield every logical line that is not blank without its comment; *name* is what places call the text.

    A line of a comment alone is yielded, with no text, if it hides another line.
    """
    number = 0
    while number < len(lines):
        first = number
        text = lines[number].strip()
        number += 1
        if text.endswith("\\"):
            text, pieces, number = _continued(text, lines, name, number)
        elif text and text[0] != "#":
            pieces = ((0, _beginning(lines[first], name, first)),)
        if text and text[0] != "#":
            line = _cut(text, pieces, first, number - 1)
            if line.text:
                yield line
        elif number - 1 > first and (hidden := _hidden(text, pieces, 0)):
            yield Line("", pieces, text, first, number - 1, hidden=hidden)


def _continued(text: str, lines: Sequence[str], name: str, number: int) -> tuple[str, Pieces, int]:
    """Append the lines that follow a backslash; return the text, its pieces and the number of the next line."""
    parts: list[str] = []
    pieces, length = [(0, _beginning(lines[number - 1], name, number - 1))], 0
    while text.endswith("\\") and number < len(lines):
        parts.append(text[:-1])
        length += len(text) - 1
        pieces.append((length, _beginning(lines[number], name, number)))
        text = lines[number].strip()
        number += 1
    # at the end of the text nothing is left to continue with
    parts.append(text[:-1] if text.endswith("\\") else text)
    joined = "".join(parts)
    # of pieces that begin at one offset the last has the character
    starts = dict(pieces)
    lead = len(joined) - len(joined.lstrip())
    return joined.strip(), _shifted(tuple(starts.items()), lead), number


def _shifted(pieces: Pieces, lead: int) -> Pieces:
    """Return the pieces of a text from which *lead* characters were taken off the front."""
    if not lead:
        return pieces
    start, place = next(piece for piece in reversed(pieces) if piece[0] <= lead)
    head = (0, Location(place.file, place.line, place.column + lead - start))
    return (head, *((offset - lead, at) for offset, at in pieces if offset > lead))


def _cut(text: str, pieces: Pieces, first: int, last: int) -> Line:
    """Take the comment off a joined line, and look for a quoted value."""
    if ('"' in text or "'" in text) and text[0] != "<" and (found := _quoted(text)):
        end = found.end(3)
        comment, key = text[end:].lstrip(), found.span(1) if found[1] is not None else found.span(2)
        hidden = _hidden(text, pieces, end) if comment else None
        return Line(text[:end], pieces, comment, first, last, key, found.span(3), hidden)
    if "#" not in text:
        return Line(text, pieces, "", first, last)
    comment_at = _COMMENT.search(text)
    end = comment_at.start() if comment_at else len(text)
    code, hidden = text[:end].rstrip(), _hidden(text, pieces, end)
    cut = _split_quote(text, pieces, code) if comment_at else None
    if "\\#" not in code:
        return Line(code, pieces, text[end:], first, last, hidden=hidden, split_quote=cut)
    place = Line(code, pieces, "", first, last).at(code.index("\\#"))
    code, pieces = _without_backslashes(code, pieces, _ESCAPED_HASH)
    return Line(code, pieces, text[end:], first, last, hidden=hidden, split_quote=cut, escaped=place)


def _quoted(text: str) -> re.Match[str] | None:
    """Match a line whose value is quoted, unless a comment begins before that."""
    found = _QUOTED.match(text)
    return None if found is None or _COMMENT.search(text, 0, found.start(3)) else found


def _hidden(text: str, pieces: Pieces, end: int) -> Location | None:
    """Return the place of the first line behind a comment that begins at *end* and is neither blank nor a comment."""
    ends = [offset for offset, _ in pieces[1:]] + [len(text)]
    lines = [(text[offset:stop].strip(), at) for (offset, at), stop in zip(pieces, ends, strict=True) if offset > end]
    return next((at for line, at in lines if line and line[0] != "#"), None)


def _split_quote(text: str, pieces: Pieces, code: str) -> Location | None:
    """Return where a value opens with a quote that is closed only behind the ``#``."""
    found = _OPEN_QUOTE.match(code)
    if found is None or found[1] in code[found.end() :] or found[1] not in text[len(code) :]:
        return None
    return Line(code, pieces, "", 0, 0).at(found.start(1))


def _without_backslashes(text: str, pieces: Pieces, escape: re.Pattern[str]) -> tuple[str, Pieces]:
    """Take the backslash off every *escape*: each leaves the text shorter by one, with a new piece behind it."""
    line, cuts = Line(text, pieces, "", 0, 0), [found.start() for found in escape.finditer(text)]
    starts = {offset - bisect_left(cuts, offset): place for offset, place in pieces}
    starts |= {cut - number: line.at(cut + 1) for number, cut in enumerate(cuts)}
    return escape.sub(r"\1", text), tuple(sorted(starts.items()))


def _beginning(line: str, name: str, index: int) -> Location:
    return Location(name, index + 1, len(line) - len(line.lstrip()) + 1)

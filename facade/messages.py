"""Message patterns: what is looked for in what programs print (desdm.md §7), all patterns at once.

The regular expressions are those of RE2 (https://github.com/google/re2/wiki/Syntax): Perl's without look-around and
back-references, and in return linear in the text, whatever it is. They are blind to case; `^` and `$` are the ends of
a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

ERROR, WARNING, INFORMATION = LEVELS = (1, 2, 3)
"""Levels of messages, the most severe first."""
EXEC, COMMAND, NOTE = OURS = ("--- ", "$ ", "facade: ")
"""How lines of a log begin that the job writes, not a program: around one, its command line, a note."""
MEMORY = 64 << 20
"""Bytes that the automaton of all patterns may take."""

_TOKEN = re.compile(
    r"\\Q.*?(?:\\E|$) | \\[pPx]\{[^}]*\} | \\. | \[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]"
    r" | \(\?[a-zA-Z-]*\) | \((?:\?P?<\w+>|\?[a-zA-Z-]*:)? | .",
    re.VERBOSE | re.DOTALL,
)
_QUANTIFIER = re.compile(r"(?:[*+?]|\{\d+(?:,\d*)?\})\??")
_OPTIONAL = ("*", "?", "{0")
_TELLING = 3  # letters that a part must have to be worth looking for


class Pattern(NamedTuple):
    """A pattern and what becomes of a line in which it is found."""

    pattern: str
    level: int = ERROR
    lines: int = 1
    """How many lines a message has, the one that matches included."""
    only_matched: bool = False
    """The message is what matches, not the line."""


class Filter(NamedTuple):
    """A literal text that is replaced before anything is looked for; the log itself stays as it is."""

    replace: str
    by: str = ""


class Rules(NamedTuple):
    """What is looked for in the output of one program: of several patterns that a line matches, the first counts."""

    patterns: tuple[Pattern, ...]
    excludes: tuple[str, ...] = ()
    """A line that matches one of these gives no message."""
    filters: tuple[Filter, ...] = ()


def rules_of(plain: Any) -> Rules:
    """Return rules from their JSON: lists in the place of tuples. Raises TypeError or ValueError if they are none."""
    patterns, excludes, filters = plain
    found = Rules(tuple(Pattern(*one) for one in patterns), tuple(excludes), tuple(Filter(*one) for one in filters))
    texts = [one.pattern for one in found.patterns] + [
        *found.excludes,
        *(text for one in found.filters for text in one),
    ]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("patterns, excludes and filters are texts")
    return found


class Finder:
    """Finds which of many patterns a line matches. Texts are valid UTF-8; lines end with a newline.

    One automaton looks for all patterns at once. What makes such an automaton large, and so slow, is ``.*`` between
    words: so it looks for the parts in between, and a line in which those of a pattern are found is looked at again.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        import re2  # only where something is looked for

        self._whole = [re2.compile(_lines(pattern), _options()) for pattern in patterns]
        self._parts = re2.Set.SearchSet(_options())
        self._sure: set[int] = set()
        self._needs: dict[int, list[tuple[int, frozenset[int]]]] = {}
        """Part -> (pattern, what it needs besides), where this is the part of the pattern that says most."""
        numbers: dict[str, int] = {}
        for pattern, text in enumerate(patterns):
            ways = parts_of(text)
            self._sure |= {pattern} if ways == [[text]] else set()
            for parts in ways:
                found = [numbers.setdefault(part, len(numbers)) for part in parts]
                self._needs.setdefault(found[0], []).append((pattern, frozenset(found[1:])))
        for part in numbers:
            self._parts.Add(_lines(part))
        self._parts.Compile()

    def may(self, text: bytes) -> bool:
        """Return False if no line of *text* matches a pattern."""
        found = self._parts.Match(text)
        return found is not None and bool(self._candidates(found))

    def first(self, line: bytes) -> int:
        """Return the number of the first pattern that *line* matches, or -1."""
        found = self._parts.Match(line)
        if found is not None:
            for number in sorted(self._candidates(found)):
                if number in self._sure or self._whole[number].search(line) is not None:
                    return number
        return -1

    def _candidates(self, found: Sequence[int]) -> list[int]:
        """Return the patterns of which all parts were found."""
        have = set(found)
        return [number for part in found for number, besides in self._needs.get(part, ()) if besides <= have]

    def span(self, number: int, line: bytes) -> tuple[int, int]:
        """Return where the match of a pattern starts and ends in a line that it matches."""
        found = self._whole[number].search(line)
        return found.span() if found else (0, 0)


def fault_in(pattern: str) -> str:
    """Return what is wrong with a regular expression, or "" if it can be used."""
    import re2

    tokens = _TOKEN.findall(pattern)
    if any(end in pattern for end in "\0\n\r"):
        return "it holds an end of line or a zero byte, which no line has"
    if ends := [token for token in tokens if token in (r"\A", r"\z")]:
        return f"{ends[0]} is not supported: write ^ and $, which are the ends of a line"
    if any(re.match(r"\(\?\w*-\w*m", token) for token in tokens):
        return "'m' cannot be switched off: ^ and $ are always the ends of a line"
    try:
        found = re2.compile(pattern, _options()).search(b"".decode())
        Finder([pattern])
    except re2.error as error:
        text = error.args[0]
        return _in_words(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text), tokens)
    return "it matches an empty text, and so every line" if found else ""


def _in_words(error: str, tokens: Sequence[str]) -> str:
    """Return what RE2 says, or where Perl and Python allow more than it does, what that is."""
    if any(re.match(r"\\[1-9]", token) or token.startswith("(?P=") for token in tokens) and "invalid" in error:
        return "it refers to a group (\\1), which is not supported"
    if error.startswith("invalid perl operator: (?") and error[25:26] in ("=", "!", "<"):
        return f"'{error[23:]}' looks ahead or behind, which is not supported"
    return error


def parts_of(pattern: str) -> list[list[str]]:
    """Return parts of a regular expression that are all found, in any order, in every line in which the whole is found.

    One list for each way in which the whole can match; the part that says most stands first.

    >>> parts_of("flux.*is NaN"), parts_of("cannot open .+"), parts_of("abc.*d|ef")
    ([['is NaN', 'flux']], [['cannot open ']], [['abc'], ['ef']])
    """
    ways: list[list[str]] = [[]]
    for part in _parts(pattern):
        if part == "|":
            ways.append([])
        else:
            ways[-1].append(part)
    if len(ways) == sum(map(len, ways)):  # nothing lies between parts
        return [[pattern]]
    found = [sorted(dict.fromkeys(parts), key=_literal, reverse=True) for parts in ways]
    if not all(_literal(parts[0]) for parts in found):
        return [[pattern]]
    return [[part for part in parts if part is parts[0] or _literal(part) >= _TELLING] for parts in found]


def _parts(pattern: str) -> Iterator[str]:
    """Yield what stands between repetitions of nearly everything, and each ``|``, outside of groups."""
    at, depth, part = 0, 0, ""
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)[0]  # type: ignore[index]
        at += len(token)
        quantifier = found[0] if (found := _QUANTIFIER.match(pattern, at)) and token not in ("|", "(") else ""
        at += len(quantifier)
        depth += token.startswith("(") and not token.endswith(")")
        depth -= token == ")"
        wide = quantifier and (token in (".", r"\S", r"\w", r"\W", r"\D") or token.startswith("[^"))
        if depth == 0 and (token == "|" or wide):
            yield part
            part = ""
            if token == "|":
                yield token
        elif depth or not re.fullmatch(r"\(\?[a-zA-Z-]*\)", token):
            part += token + quantifier
    yield part


def _literal(part: str) -> int:
    """Return how many characters a line must have, at least, to match this part."""
    count, depth, at = 0, 0, 0
    while at < len(part):
        token = _TOKEN.match(part, at)[0]  # type: ignore[index]
        at += len(token)
        depth += (token.startswith("(") and not token.endswith(")")) - (token == ")")
        plain = len(token) == 1 and (token.isalnum() or token in " _-:=<>/,")
        count += depth == 0 and plain and not part.startswith(_OPTIONAL, at)
    return count


def _lines(pattern: str) -> bytes:
    """Return a pattern with the ends of lines as its ends."""
    return f"(?m:{pattern})".encode()


def _options() -> Any:
    import re2

    options = re2.Options()
    options.case_sensitive = False
    options.never_nl = True  # \s and [^a] match no newline: what is found in many lines is found in one of them
    options.log_errors = False
    options.max_mem = MEMORY
    return options

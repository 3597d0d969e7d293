"""Find messages in what a program prints, however the bytes come in: the same rows for any chunks. Reads no file.

Lines among which no pattern matches are passed over together; of the others every line is looked at by itself. What
one quantum may leave is bounded: `FIRST` and `LAST` messages of each pattern, `MOST` of each level; all are counted.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from facade.messages import Finder, Pattern, Rules

FIRST, LAST = 90, 10
"""Messages of one pattern that a quantum keeps: so many from the beginning, so many from the end."""
MOST = 1000
"""Messages of one level that a quantum keeps from the beginning, whatever their patterns."""
LONGEST = 4000
"""Characters of a message; what is beyond is cut, and `CUT` put in its place."""
CUT = "…"
WINDOW = 1 << 12
"""Bytes that are passed over at once if nothing matches in them."""
GROUP = 1 << 9
"""The same for what lies around a message."""
PIECE = 1 << 16
"""Bytes of a line that are looked at together: a longer line is looked at in pieces."""
_TRACEBACK = b"Traceback (most recent call last):"
_TRACE_LINES = 200  # of a traceback, at most
_KNOWN = 4096  # messages remembered with their patterns: programs repeat themselves
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # zero bytes no database takes, the others play with terminals
_COLOURS = re.compile(rb"\x1b\[[0-9;:?]*[A-Za-z]")
"""Control sequences of terminals: colours, and what progress bars use."""
_TIME = re.compile(
    rb"\d{4}([-/])(?:0[1-9]|1[0-2])\1[0-3]\d[T ]+[0-2]\d:[0-5]\d:[0-5]\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d\b)?"
)


@dataclass(slots=True)
class Found:
    """A message as it was found: ``line`` is the number of its first line in the log."""

    pattern: Pattern
    execnum: int
    line: int
    seen: str
    first: bytes
    """The line that matched; with `lines`, what the message says."""
    lines: list[bytes]

    def row(self) -> dict[str, Any]:
        """Return the message as receipts have it."""
        return {
            "execnum": self.execnum,
            "level": self.pattern.level,
            "pattern": self.pattern.pattern,
            "line": self.line,
            "time": _time(self.first) or self.seen,
            "message": _text(self.lines),
        }


@dataclass(slots=True)
class _Tally:
    found: int = 0
    last: deque[Found] = field(default_factory=lambda: deque(maxlen=LAST))


class Findings:
    """What was found in the output of one quantum."""

    def __init__(self) -> None:
        self._tallies: dict[Pattern, _Tally] = {}
        self._kept: Counter[int] = Counter()
        self._ready: list[Found] = []

    def add(self, found: Found) -> None:
        """Count a message, and keep it if it is among the first; the last are kept until `rest`."""
        tally = self._tallies.get(found.pattern)
        if tally is None:
            tally = self._tallies[found.pattern] = _Tally()
        tally.found += 1
        if tally.found <= FIRST and self._kept[found.pattern.level] < MOST:
            self._kept[found.pattern.level] += 1
            self._ready.append(found)
        else:
            tally.last.append(found)

    def take(self) -> list[Found]:
        """Return the messages kept since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def rest(self) -> list[Found]:
        """Return the last messages of the patterns that had more than were kept."""
        late = [found for tally in self._tallies.values() for found in tally.last]
        return sorted(late, key=lambda found: (found.execnum, found.line))

    def counts(self) -> list[tuple[str, int, int]]:
        """Return (pattern, level, messages) of every pattern that was found."""
        return [(pattern.pattern, pattern.level, tally.found) for pattern, tally in self._tallies.items()]


class Finders:
    """What finds patterns and excludes of some rules. Made once, for all programs that they hold for."""

    def __init__(self, rules: Rules) -> None:
        self.patterns = Finder([one.pattern for one in rules.patterns])
        self.excludes = Finder(rules.excludes) if rules.excludes else None


class Scanner:
    """Looks at the output of one program; *line* is the number of its first line in the log."""

    def __init__(self, rules: Rules, finders: Finders, findings: Findings, execnum: int = 1, line: int = 1) -> None:
        self._rules, self._finders, self._findings = rules, finders, findings
        self._filters = [(one.replace.encode(), one.by.encode()) for one in rules.filters]
        self._execnum, self._line = execnum, line
        self._rest, self._seen = b"", ""
        self._known: dict[bytes, int] = {}
        self._open: Found | None = None
        """A message that takes further lines: `_wanted` in all, or those of a traceback."""
        self._wanted, self._trace = 0, False

    def feed(self, data: bytes, seen: str) -> None:
        """Look at *data*, which came at the time *seen*; a line that has not ended yet waits."""
        self._seen = seen
        self._look(self._rest + data if self._rest else data, final=False)

    def end(self) -> None:
        """The program has ended: what waits is looked at."""
        self._look(self._rest, final=True)
        self._close()

    def _look(self, block: bytes, final: bool) -> None:
        start = 0
        while (stop := _window(block, start, WINDOW, final)) > start:
            window = block[start:stop]
            if not window.isascii():
                window = window.decode("utf-8", "backslashreplace").encode()
            if b"\x1b[" in window:
                window = _COLOURS.sub(b"", window)
            if self._open is not None or self._may(window):
                self._narrow(window)
            else:
                self._line += window.count(b"\n")
            start = stop
        self._rest = block[start:]

    def _narrow(self, window: bytes) -> None:
        """Look at the lines among which a message may be, or at a piece of a long one."""
        start = 0
        while (stop := _window(window, start, GROUP, True)) > start:
            group = window[start:stop]
            if self._open is not None or len(group) == len(window) or self._may(group):
                self._each(group)
            self._line += group.count(b"\n")
            start = stop

    def _may(self, text: bytes) -> bool:
        """Return False if no line of *text* is a message."""
        return self._finders.patterns.may(self._filtered(text.replace(b"\r", b"\n") if b"\r" in text else text))

    def _each(self, group: bytes) -> None:
        """Look at each line."""
        filters, known = self._filters, self._known
        for number, line in _numbered(group, self._line):
            if filters:
                line = self._filtered(line)
            verdict = known.get(line)
            if verdict is None:
                verdict = self._judged(line)
            if verdict >= 0 or self._open is not None:
                self._take(number, line, verdict)

    def _filtered(self, text: bytes) -> bytes:
        for replace, by in self._filters:
            text = text.replace(replace, by)
        return text

    def _judged(self, line: bytes) -> int:
        """Return the number of the first pattern in *line*; -1 if there is none or something excludes the line."""
        verdict, excludes = self._finders.patterns.first(line), self._finders.excludes
        if verdict < 0 or (excludes is not None and excludes.first(line) >= 0):
            return -1
        if len(line) < WINDOW:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[line] = verdict
        return verdict

    def _take(self, number: int, line: bytes, verdict: int) -> None:
        """Take a line: for the message that is open, unless the line says something worse, or as a message."""
        if self._open is not None:
            if verdict < 0 or self._rules.patterns[verdict].level >= self._open.pattern.level:
                self._open.lines.append(_around(line, 0))
                length = len(self._open.lines)
                self._trace = self._trace and line[:1] in (b" ", b"\t") and length < _TRACE_LINES
                if length >= self._wanted and not self._trace:
                    self._close()
                return
            self._close()
        if verdict >= 0:
            self._begin(number, line, verdict)

    def _begin(self, number: int, line: bytes, verdict: int) -> None:
        pattern = self._rules.patterns[verdict]
        span = self._finders.patterns.span(verdict, line) if pattern.only_matched or len(line) > LONGEST else (0, 0)
        first = _around(line, span[1])
        self._open = Found(pattern, self._execnum, number, self._seen, first, [first])
        if pattern.only_matched:
            self._open.lines = [line[slice(*span)]]
            self._close()
            return
        self._wanted = pattern.lines + line.rstrip().endswith(b":")
        self._trace = _TRACEBACK in line
        if self._wanted <= 1 and not self._trace:
            self._close()

    def _close(self) -> None:
        if self._open is not None:
            self._findings.add(self._open)
        self._open = None


def _window(block: bytes, start: int, most: int, final: bool) -> int:
    """Return where the next lines, of *most* bytes if they can, end; *start* if more has to come first.

    Lines end with ``\\n``, ``\\r\\n`` or, where progress bars are drawn, ``\\r``.
    """
    size = len(block)
    if not final and block.endswith(b"\r"):  # whether it is half of a \r\n is not known yet
        size -= 1
    limit = min(start + most, size)
    last = max(block.rfind(b"\n", start, limit), block.rfind(b"\r", start, limit))
    if last < 0:
        longest = min(start + PIECE, size)
        ends = [at for end in (b"\n", b"\r") if (at := block.find(end, start, longest)) >= 0]
        if not ends:
            return longest if final or size > start + PIECE else start
        last = min(ends)
    stop = last + 1
    return stop + 1 if block[last] == 13 and block[stop : stop + 1] == b"\n" else stop


def _numbered(window: bytes, line: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a window with their numbers in the log, where only ``\\n`` counts."""
    lines = window.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if b"\r" not in window:
        yield from enumerate(lines, line)
        return
    for number, text in enumerate(lines, line):
        parts = text.split(b"\r")
        if len(parts) > 1 and not parts[-1]:
            parts.pop()
        for part in parts:
            yield number, part


def _around(line: bytes, end: int) -> bytes:
    """Return what a message tells of a very long line: what lies around the *end* of the match."""
    if len(line) <= LONGEST:
        return line
    start = max(0, min(end - LONGEST // 2, len(line) - LONGEST))
    kept = line[start : start + LONGEST]
    return (CUT.encode() if start else b"") + kept + (CUT.encode() if start + LONGEST < len(line) else b"")


def _text(lines: list[bytes]) -> str:
    """Return lines as a text that databases take and that is safe to print."""
    text = b"\n".join(lines).decode("utf-8", "replace")
    text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + CUT


def _time(line: bytes) -> str:
    """Return the time that a line tells, in UTC as receipts write it, or "". Without a zone it is this host's."""
    found = _TIME.search(line)
    if found is None:
        return ""
    text = found[0].decode().replace("/", "-").replace(",", ".")
    day, _, clock = text.replace("T", " ").partition(" ")
    try:
        return datetime.fromisoformat(f"{day}T{clock.strip()}").astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        return ""

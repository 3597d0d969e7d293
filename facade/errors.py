"""Errors an operator can act on, the place they point at, and the exit code each one means.

Exit codes are a contract (docs/architecture.md, "The command line"): 0 done or nothing to do, 1 something failed,
2 bad input or usage, 3 missing inputs, 4 refused, 130 interrupted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DONE, FAILED, BAD_INPUT, MISSING_INPUT, REFUSED, INTERRUPTED = 0, 1, 2, 3, 4, 130


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a text: file name, line and column, both counted from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with what the operator gave us: what, where, and what would mend it.

    ``excerpt`` is the source line the location points into; ``width`` how many columns to underline; ``included_from``
    the includes through which the text was reached, innermost first. ``code`` names the kind of fault (`facade.codes`);
    ``severity`` is ``error``, ``warning`` or ``note``.
    """

    message: str
    code: str = ""
    location: Location | None = None
    included_from: tuple[Location, ...] = ()
    remedy: str = ""
    excerpt: str = ""
    width: int = 1
    severity: str = "error"
    others: tuple[tuple[str, Location], ...] = ()
    """Other places that have a part in it, and which."""

    def __str__(self) -> str:
        head = f"{self.location}: " if self.location else ""
        tail = f" [{self.code}]" if self.code else ""
        lines = [f"{head}{self.severity}: {self.message.translate(_VISIBLE)}{tail}"]
        if self.excerpt and self.location:
            lines += _underlined(self.excerpt, self.location.column - 1, self.width)
        lines += [f"  included from {place}" for place in self.included_from]
        lines += [f"  {place}: {what}" for what, place in self.others]
        if self.remedy:
            lines.append(f"  {self.remedy}")
        return "\n".join(lines)


_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}
"""Control characters as pictures: what a campaign holds must not move the cursor of a terminal."""
MAX_EXCERPT = 120
"""Longest part of a source line that is shown, in characters."""


def _underlined(line: str, start: int, width: int) -> list[str]:
    """Return *line*, or what stands around *start* if it is long, and carets below *width* characters of it."""
    if len(line) > MAX_EXCERPT:
        first = max(0, min(start - MAX_EXCERPT // 2, len(line) - MAX_EXCERPT))
        last = first + MAX_EXCERPT
        line = ("…" if first else "") + line[first:last] + ("…" if last < len(line) else "")
        start -= first - bool(first)
        width = min(width, len(line) - start)
    lead = "".join("\t" if c == "\t" else " " * _columns(c) for c in line[:start])
    under = line[start : start + width]
    carets = "^" * max(1, sum(map(_columns, under)) + (width - len(under)))
    return [f"    {line.translate(_VISIBLE)}", f"    {lead}{carets}"]


def _columns(character: str) -> int:
    """Return how many columns of a terminal a character takes."""
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def some(names: Sequence[str], most: int) -> str:
    """Return *names* as a comma list, and beyond *most* of them only how many there are.

    >>> some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


class FacadeError(Exception):
    """Something failed; the message says where and what, ``remedy`` what to do about it, ``code`` as a fault has it."""

    exit_code = FAILED

    def __init__(self, message: str, *, remedy: str = "", location: Location | None = None, code: str = "") -> None:
        super().__init__(message)
        self.message, self.remedy, self.location, self.code = message, remedy, location, code

    def __str__(self) -> str:
        return str(Fault(message=self.message, location=self.location, remedy=self.remedy)).replace("error: ", "", 1)


class InputError(FacadeError):
    """The operator gave something unusable: a bad campaign, file, option or name."""

    exit_code = BAD_INPUT


class CampaignError(InputError):
    """Every fault found in a campaign, in the order of the text; ``warnings`` are told by whoever tells those too.

    ``mended`` is the document as it would be without the faults, if it is clear what was meant: to look for more.
    """

    def __init__(self, faults: Iterable[Fault], warnings: Iterable[Fault] = (), mended: object = None) -> None:
        self.faults, self.warnings, self.mended = tuple(faults), tuple(warnings), mended
        super().__init__("\n".join(str(fault) for fault in self.faults))

    def __str__(self) -> str:
        return self.message


class MissingInputError(FacadeError):
    """Inputs that the campaign asks for are not in the registry or the archive."""

    exit_code = MISSING_INPUT


class RefusedError(FacadeError):
    """Doing it would overwrite, double or contradict something; nothing was changed."""

    exit_code = REFUSED


class RegistryError(FacadeError):
    """The database could not be reached, or refused a statement."""


class TransferError(FacadeError):
    """A copy did not arrive as it should: lost, short, or with other bytes."""

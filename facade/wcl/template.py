"""Compiled texts: literal parts, and parts that are filled when the data are known.

A planner fills the same pattern a hundred thousand times, so a `Template` is compiled once (`facade.wcl.scope`) and
then only joins strings. What fills a slot is data: it is never looked into again, so patch ``8,6`` stays one value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from facade.wcl.tree import Value

Scalar = str | int | float | bool | None
_ATTNUM = re.compile(r"\$\{attnum(?::0*([0-9]{1,3}))?\}")
_ATTNUM_BYTES = re.compile(_ATTNUM.pattern.encode())
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,1000}\s*$")
_TOKEN = re.compile(r"""[^ \t\r\n'"\\]++|'[^']*+'|"[^"\\]*+(?:\\.[^"\\]*+)*"|\\.|[ \t\r\n]++""", re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')


class MissingVariable(KeyError):
    """A ``${name}`` that no scope knows; ``at`` is the place of the reference if another variable holds it."""

    code = "F101"

    def __init__(self, name: str, near: Sequence[str] = (), at: Value | None = None) -> None:
        super().__init__(name)
        self.name, self.near, self.at = name, tuple(near), at

    def __str__(self) -> str:
        return f"undefined variable '{self.name}'"


class BadReference(ValueError):
    """A reference that can never be replaced: unclosed, circular, not a number where one is padded.

    ``at`` is the value that holds the reference, if that is another variable's; ``written`` the reference as it stands
    there, if it is one; ``code`` the kind of fault.
    """

    at: Value | None = None

    def __init__(self, message: str, *, code: str, written: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.code, self.written, self.remedy = code, written, remedy


class Quoted(str):
    """Literal text that is one scalar, because it came from quotes or data: never split into words."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Slot:
    """A late name, to be filled by data; ``pad`` is the width of zero-padding, 0 for none.

    An ``optional`` slot (``$opt{name}``) is empty where the data have no such value.
    """

    name: str
    pad: int = 0
    optional: bool = False

    def format(self, values: Mapping[str, Scalar]) -> str:
        """Return the value of this slot as text; raises MissingVariable or BadReference."""
        value = values.get(self.name)
        if value is None:
            if self.optional:
                return ""
            if self.name in values:
                raise BadReference(f"'{self.name}' has no value here (it is null)", code="F110")
            raise MissingVariable(self.name, tuple(values))
        return padded(value, self.pad, self.name) if self.pad else plain(value)


@dataclass(frozen=True, slots=True)
class Call:
    """``$FUNC{name,a,b}`` with arguments that are not known yet: called when they are (desdm.md §1.4)."""

    name: str
    function: Callable[[list[str]], object]
    arguments: tuple[Template, ...]

    def format(self, values: Mapping[str, Scalar]) -> str:
        """Return what the function makes of its arguments; raises BadReference if it fails."""
        try:
            return result_text(self.function([argument.format(values) for argument in self.arguments]))
        except (MissingVariable, BadReference):
            raise
        except (Exception, SystemExit) as error:
            message = f"$FUNC{{{self.name}}} failed: {type(error).__name__}: {error}"
            raise BadReference(message, code="F113") from error


@dataclass(frozen=True, slots=True)
class Header:
    """``$HEAD{file,KEY,…}``: header values of a file that exists only once the program is about to run."""

    file: Template
    keys: tuple[str, ...]

    def format(self, values: Mapping[str, Scalar]) -> str:
        """Refuse: only the job can read the file."""
        raise BadReference("$HEAD{…} is known only when a program runs: use it in <cmdline>", code="F109")

    def reference(self, values: Mapping[str, Scalar]) -> tuple[str, ...]:
        """Return (path, key, …) for the job to look up."""
        return (self.file.format(values), *self.keys)


Part = str | Slot | Call | Header
_PLAIN = frozenset({str, int, float})


@dataclass(frozen=True, slots=True)
class Template:
    """Text with holes. ``parts`` alternates literal text and slots as they came.

    ``has_header`` says that a part is known only when a program runs (``$HEAD``).
    """

    parts: tuple[Part, ...]
    has_header: bool = field(init=False, repr=False, compare=False)
    _text: str | None = field(init=False, repr=False, compare=False)
    _name: str | None = field(init=False, repr=False, compare=False)
    _pick: Callable[[Mapping[str, Scalar]], tuple[Scalar, ...]] | None = field(init=False, repr=False, compare=False)
    _form: str = field(init=False, repr=False, compare=False)
    _fit: set[tuple[type, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare the fast ways: a text as it is, one value as it is, one look-up of all slots and one ``%``."""
        slots = [part for part in self.parts if isinstance(part, Slot)]
        quick = len(slots) > 1 and all(
            isinstance(p, str) or (isinstance(p, Slot) and not p.optional) for p in self.parts
        )
        only = self.parts[0] if len(self.parts) == 1 else None
        alone = isinstance(only, Slot) and not only.pad and not only.optional
        object.__setattr__(self, "_name", only.name if isinstance(only, Slot) and alone else None)
        object.__setattr__(self, "_text", self.literal)
        object.__setattr__(self, "_pick", itemgetter(*[slot.name for slot in slots]) if quick else None)
        form = [p.replace("%", "%%") if isinstance(p, str) else f"%0{p.pad}d" if p.pad else "%s"
                for p in self.parts if isinstance(p, str | Slot)] if quick else []  # fmt: skip
        object.__setattr__(self, "_form", "".join(form))
        object.__setattr__(self, "_fit", set())
        object.__setattr__(self, "has_header", any(isinstance(part, Header) for part in self.parts))

    @property
    def literal(self) -> str | None:
        """The text, if nothing is left to fill."""
        texts = [part for part in self.parts if isinstance(part, str)]
        return "".join(texts) if len(texts) == len(self.parts) else None

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the slots, those in arguments of functions too, each once, in order."""
        names: dict[str, None] = {}
        for part in self.parts:
            inner = part.arguments if isinstance(part, Call) else (part.file,) if isinstance(part, Header) else ()
            names |= dict.fromkeys(name for template in inner for name in template.slots)
            if isinstance(part, Slot):
                names[part.name] = None
        return tuple(names)

    def format(self, values: Mapping[str, Scalar]) -> str:
        """Fill the slots from *values*; raises MissingVariable or BadReference."""
        if self._text is not None:
            return self._text
        if self._name is not None:
            value = values.get(self._name)
            if type(value) is str or type(value) is int:
                return str(value)
        if self._pick is not None:
            try:
                picked = self._pick(values)
            except KeyError:
                return self._carefully(values)
            kinds = tuple(map(type, picked))
            # once values of these types were found to fit, "%" says the same as going through the parts
            if kinds in self._fit:
                return self._form % picked
            text = self._carefully(values)
            pads = [part.pad for part in self.parts if isinstance(part, Slot)]
            if all(kind is int if pad else kind in _PLAIN for kind, pad in zip(kinds, pads, strict=True)):
                self._fit.add(kinds)
            return text
        return self._carefully(values)

    def _carefully(self, values: Mapping[str, Scalar]) -> str:
        return "".join([part if isinstance(part, str) else part.format(values) for part in self.parts])

    def words(self) -> tuple[Template, ...]:
        """Split into words as a shell would; quoted values and slots are never split, whatever will fill them.

        Raises:
            BadReference: a quotation is not closed.
        """
        text, mark, wholes = self.marked()
        try:
            words = _shell_words(text)
        except ValueError as error:
            shown = "".join(_shown(part) for part in self.parts)
            remedy = "close it, or write \\ before a quotation mark that is data"
            raise BadReference(f"{error} in: {shown}", code="F117", remedy=remedy) from None
        return tuple(_refill(word.split(mark), wholes) for word in words)

    def marked(self) -> tuple[str, str, Iterator[Part]]:
        """Return the text with one and the same mark for each part that is not to be split, the mark, those parts."""
        literals = "".join(part for part in self.parts if type(part) is str)
        mark = next(c for c in map(chr, range(0xE000, 0x110000)) if c not in literals)
        text = "".join(part if type(part) is str else mark for part in self.parts)
        return text, mark, iter([part for part in self.parts if type(part) is not str])


def _shell_words(text: str) -> list[str]:
    """Split as a POSIX shell, and `shlex.split`, would: that one takes minutes for a word of megabytes."""
    words: list[str] = []
    word: list[str] | None = None
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ValueError("no escaped character" if text[position] == "\\" else "no closing quotation")
        token, position = found[0], found.end()
        if token[0] in " \t\r\n":
            words += [] if word is None else ["".join(word)]
            word = None
            continue
        word = [] if word is None else word
        if token[0] in "'\"":
            word.append(token[1:-1] if token[0] == "'" else _ESCAPED.sub(r"\1", token[1:-1]))
        else:
            word.append(token[1:] if token[0] == "\\" else token)
    return words if word is None else [*words, "".join(word)]


def _shown(part: Part) -> str:
    """Return a part as one would write it, for a message."""
    if isinstance(part, Slot):
        return f"${{{part.name}}}"
    return part if isinstance(part, str) else "$FUNC{…}" if isinstance(part, Call) else "$HEAD{…}"


def _refill(pieces: Sequence[str], wholes: Iterator[Part]) -> Template:
    parts: list[Part] = [pieces[0]] if pieces[0] else []
    for piece in pieces[1:]:
        parts.append(next(wholes))
        if piece:
            parts.append(piece)
    return Template(tuple(parts))


def joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Merge neighbouring literals and drop empty ones; what is quoted stays by itself."""
    result: list[Part] = []
    for plain_text, neighbours in groupby(parts, lambda part: type(part) is str):
        if not plain_text:
            result += neighbours
        elif text := "".join(map(str, neighbours)):
            result.append(text)
    return tuple(result)


def plain(value: Scalar) -> str:
    """Return a scalar as file names and command lines show it; None is an error, never the text "None"."""
    if isinstance(value, str):
        return value
    if value is None:
        raise BadReference("the value is null", code="F110")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def padded(value: Scalar, width: int, name: str) -> str:
    """Return an integer padded with zeros: ``-5:4`` gives ``-005`` (desdm.md §1.4)."""
    if type(value) is int:
        return f"{value:0{width}d}"
    text = plain(value)
    if isinstance(value, bool) or not _INTEGER.match(text):
        message = f"'{name}' is to be padded to {width} digits but is {value!r}, not an integer"
        raise BadReference(message, code="F106", remedy="remove the width, or give the variable a whole number")
    return f"{int(text):0{width}d}"


def result_text(result: object) -> str:
    """Return what a function gave as text: a scalar, or several joined by commas."""
    if isinstance(result, list | tuple):
        return ",".join(result_text(one) for one in result)
    if isinstance(result, str | int | float):
        return plain(result)
    raise BadReference(f"the function returned {type(result).__name__}, not a text or number", code="F113")


def bind_attempt_in(data: bytes, attnum: int) -> bytes:
    """Do what `bind_attempt` does in the bytes of a text in UTF-8."""
    while found := _ATTNUM_BYTES.search(data):
        data = data.replace(found[0], f"{attnum:0{int(found[1] or 0)}d}".encode())
    return data


def bind_attempt(text: str, attnum: int) -> str:
    """Put the attempt number into every reference that planning left open."""
    while found := _ATTNUM.search(text):  # a plan of megabytes writes it in one or two ways
        text = text.replace(found[0], f"{attnum:0{int(found[1] or 0)}d}")
    return text

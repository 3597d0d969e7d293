"""Variables: the search order of ``${name}`` and its replacement (desdm.md §1.3, §1.4).

Replacement happens in two steps, because a planner fills the same pattern a hundred thousand times: `Scope.compile`
resolves whatever the configuration says, once, and leaves a `Slot` for every *late* name (loop values, columns);
`Template.format` then only joins strings. A value that fills a slot is data: it is never looked into again, so patch
``8,6`` stays one value.

``${attnum}`` is special: the number is allocated by the registry at submission, after planning. Where the scope does
not know it, the reference itself stays in the text, and `bind_attempt` puts the number in.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from facade.wcl.tree import Section, Value

Scalar = str | int | float | bool | None
CLASSES = ("file", "list", "exec", "job", "module", "block", "archive", "site")
"""Section classes in the order in which a scoped look-up asks them."""

UNBOUND = frozenset({"attnum"})
_REFERENCE = re.compile(r"\$(opt|head|func|fmt)?\{", re.IGNORECASE)
_BRACE = re.compile(r"\}|\$(?:opt|head|func|fmt)?\{", re.IGNORECASE)
_ATTNUM = re.compile(r"\$\{attnum(?::0*([0-9]+))?\}")
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,1000}\s*$")

MAX_DEPTH = 100
"""How deep variables may refer to one another, as in the original (desdm.md §1.4)."""
MAX_REFERENCES = 10_000
"""How many references one text may hold, those of its variables included: a guard against values that double."""
MAX_WIDTH = 255


class MissingVariable(KeyError):
    """A ``${name}`` that no scope knows; ``at`` is the place of the reference if another variable holds it."""

    def __init__(self, name: str, near: Sequence[str] = (), at: Value | None = None) -> None:
        super().__init__(name)
        self.name, self.near, self.at = name, tuple(near), at

    def __str__(self) -> str:
        return f"undefined variable '{self.name}'"


class BadReference(ValueError):
    """A reference that can never be replaced: unclosed, circular, not a number where one is padded."""

    at: Value | None = None
    """The place of the reference, if another variable holds it."""


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
                raise BadReference(f"'{self.name}' has no value here (it is null)")
            raise MissingVariable(self.name, tuple(values))
        return padded(value, self.pad, self.name) if self.pad else plain(value)


@dataclass(frozen=True, slots=True)
class Template:
    """Text with holes. ``parts`` alternates literal text and slots as they came."""

    parts: tuple[str | Slot, ...]

    @property
    def literal(self) -> str | None:
        """The text, if nothing is left to fill."""
        texts = [part for part in self.parts if isinstance(part, str)]
        return "".join(texts) if len(texts) == len(self.parts) else None

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the slots, each once, in order."""
        return tuple(dict.fromkeys(p.name for p in self.parts if isinstance(p, Slot)))

    def format(self, values: Mapping[str, Scalar]) -> str:
        """Fill the slots from *values*; raises MissingVariable or BadReference."""
        if len(self.parts) == 1:  # most words of a command line
            only = self.parts[0]
            return only if isinstance(only, str) else only.format(values)
        return "".join([part if isinstance(part, str) else part.format(values) for part in self.parts])

    def words(self) -> tuple[Template, ...]:
        """Split into words as a shell would; a slot is never split, whatever will fill it.

        Raises:
            BadReference: a quotation is not closed.
        """
        slots = iter([part for part in self.parts if isinstance(part, Slot)])
        literals = "".join(part for part in self.parts if isinstance(part, str))
        # each slot stands for itself as one private-use character while the shell's rules are applied
        mark = next(c for c in map(chr, range(0xE000, 0xF900)) if c not in literals)
        text = "".join(part if isinstance(part, str) else mark for part in self.parts)
        try:
            words = shlex.split(text)
        except ValueError as error:
            shown = "".join(part if isinstance(part, str) else f"${{{part.name}}}" for part in self.parts)
            raise BadReference(f"{str(error).lower()} in: {shown}") from None
        return tuple(_refill(word.split(mark), slots) for word in words)


def _refill(pieces: Sequence[str], slots: Iterator[Slot]) -> Template:
    parts: list[str | Slot] = [pieces[0]] if pieces[0] else []
    for piece in pieces[1:]:
        parts.append(next(slots))
        if piece:
            parts.append(piece)
    return Template(tuple(parts))


def plain(value: Scalar) -> str:
    """Return a scalar as file names and command lines show it; None is an error, never the text "None"."""
    if isinstance(value, str):
        return value
    if value is None:
        raise BadReference("the value is null")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def padded(value: Scalar, width: int, name: str) -> str:
    """Return an integer padded with zeros: ``-5:4`` gives ``-005`` (desdm.md §1.4)."""
    text = plain(value)
    if isinstance(value, bool) or not _INTEGER.match(text):
        raise BadReference(f"'{name}' is to be padded to {width} digits but is {value!r}, not an integer")
    return f"{int(text):0{width}d}"


def bind_attempt(text: str, attnum: int) -> str:
    """Put the attempt number into every reference that planning left open."""
    return _ATTNUM.sub(lambda found: f"{attnum:0{int(found[1] or 0)}d}", text)


@dataclass(slots=True)
class Scope:
    """Who supplies values, nearest first: *current*, *search*, the current member of each class, the top level."""

    root: Section
    current: Mapping[str, Scalar] = field(default_factory=dict)
    search: Section | None = None
    members: Mapping[str, str] = field(default_factory=dict)
    late: frozenset[str] = frozenset()
    dotted: Callable[[str], Template | None] | None = None
    """Look-up of ``file.x.fullname`` and its kin, which depend on the quantum."""

    def lookup(self, name: str) -> Value | Scalar:
        """Return the raw value of *name*, or None. A dotted name is an exact path from the top."""
        if name in self.current:
            return self.current[name]
        if "." in name:
            found = self.root.path(name)
            return found if isinstance(found, Value) else None
        for section in self._sections():
            value = section.value(name)
            if value is not None:
                return value
        return None

    def _sections(self) -> list[Section]:
        # precedence: definition being expanded > file > list > exec > job > module > block > archive > site > global
        sections = [self.search] if self.search is not None else []
        for kind in CLASSES:
            member = self.members.get(kind)
            group = self.root.section(kind) if member else None
            found = group.section(member) if group is not None and member else None
            if found is not None:
                sections.append(found)
        sections.append(self.root)
        return sections

    def known(self) -> list[str]:
        """Return every undotted name that a look-up would find, each once, for "did you mean"."""
        names = [*self.current, *sorted(self.late)]
        for section in self._sections():
            names += [key for key, _ in section.values()]
        return list(dict.fromkeys(names))

    def compile(self, text: str) -> Template:
        """Replace what is known and leave a slot for what is late.

        Raises:
            MissingVariable: a name that nothing supplies.
            BadReference: an unclosed or circular reference, a padded value that is no integer.
        """
        return _Compiler(self).compile(text, ())

    def resolve(self, text: str) -> str:
        """Replace every reference; late names are not allowed. Raises as `compile`."""
        literal = self.compile(text).literal
        if literal is None:
            raise BadReference(f"'{text}' depends on values that are not known yet")
        return literal


class _Compiler:
    def __init__(self, scope: Scope) -> None:
        self.scope, self.references = scope, 0

    def compile(self, text: str, active: tuple[str, ...], nested: int = 0) -> Template:
        """Compile *text*, met while the variables *active* are being replaced, *nested* braces deep."""
        if len(active) + nested > MAX_DEPTH:
            chain = " -> ".join([*active[:3], "…", *active[-1:]]) if active else f"{text[:20]}…"
            raise BadReference(f"references go more than {MAX_DEPTH} deep: {chain}")
        parts: list[str | Slot] = []
        position = 0
        while found := _REFERENCE.search(text, position):
            self.references += 1
            if self.references > MAX_REFERENCES:
                raise BadReference(f"more than {MAX_REFERENCES} references are needed to replace one text")
            parts.append(text[position : found.start()])
            end = _closing(text, found.start(), found.end())
            inner = self.compile(text[found.end() : end], active, nested + 1).literal
            if inner is None:
                raise BadReference(f"'{text[found.start() : end + 1]}': a name cannot depend on a loop value")
            parts += self.reference((found[1] or "").lower(), inner, active).parts
            position = end + 1
        parts.append(text[position:])
        return Template(_joined(parts))

    def reference(self, marker: str, inner: str, active: tuple[str, ...]) -> Template:
        """Return what stands for the reference ``${inner}`` or ``$opt{inner}``."""
        if marker not in ("", "opt"):
            raise BadReference(f"${marker.upper()}{{…}} is not supported here")
        name, colon, width = inner.lower().partition(":")
        if not name.strip():
            raise BadReference(f"'${{{inner}}}' names no variable")
        if colon and not (width.isascii() and width.isdecimal() and len(width) < 9 and int(width) <= MAX_WIDTH):
            raise BadReference(f"'${{{inner}}}': the width after ':' must be a whole number up to {MAX_WIDTH}")
        pad = int(width or 0)
        if name in active:
            chain = [*active[active.index(name) :], name]
            raise BadReference(f"variables refer to each other in a circle: {' -> '.join(chain)}")
        if name in self.scope.late:
            return Template((Slot(name, pad, marker == "opt"),))
        if self.scope.dotted is not None and (found := self.scope.dotted(name)) is not None:
            if marker == "opt":
                found = Template(tuple(p if isinstance(p, str) else replace(p, optional=True) for p in found.parts))
            return self.pad(found, pad, name)
        value = self.scope.lookup(name)
        if value is None:
            if name in UNBOUND:
                return Template((f"${{{name}:{pad}}}" if pad else f"${{{name}}}",))
            if marker == "opt":
                return Template(())
            raise MissingVariable(name, self.scope.known())
        if not isinstance(value, Value):
            return Template((padded(value, pad, name) if pad else plain(value),))
        try:
            return self.pad(self.compile(value.text, (*active, name)), pad, name)
        except (MissingVariable, BadReference) as error:
            error.at = error.at or value
            raise

    def pad(self, template: Template, pad: int, name: str) -> Template:
        """Pad what a variable was replaced by; a slot is padded when it is filled."""
        if not pad:
            return template
        if template.literal is not None:
            if _ATTNUM.fullmatch(template.literal):
                return Template((f"${{attnum:{pad}}}",))
            return Template((padded(template.literal, pad, name),))
        if len(template.parts) == 1 and isinstance(template.parts[0], Slot):
            return Template((replace(template.parts[0], pad=pad),))
        raise BadReference(f"'{name}' is to be padded but is made of several parts")


def _closing(text: str, marker: int, start: int) -> int:
    """Return where the brace opened just before *start*, with its ``$`` at *marker*, is closed; references nest."""
    depth = 1
    for found in _BRACE.finditer(text, start):
        depth += -1 if found[0] == "}" else 1
        if not depth:
            return found.start()
    raise BadReference(f"'{_shortened(text[marker:])}': the brace is not closed")


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _joined(parts: Sequence[str | Slot]) -> tuple[str | Slot, ...]:
    """Merge neighbouring literals and drop empty ones."""
    result: list[str | Slot] = []
    for part in parts:
        if isinstance(part, str) and result and isinstance(result[-1], str):
            result[-1] += part
        elif part != "":
            result.append(part)
    return tuple(result)

"""Variables: the search order of ``${name}`` and its replacement (desdm.md §1.3, §1.4).

`Scope.compile` resolves whatever the configuration says, once, and leaves a `Slot` for every *late* name (loop values,
columns); `Template.format` then only joins strings. `Scope.expand` does the same for texts in which a variable with
several values stands for several texts.

``${attnum}`` is special: the number is allocated by the registry at submission, after planning. Where the scope does
not know it, the reference itself stays in the text, and `bind_attempt` puts the number in.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from facade.wcl.lists import is_list, listed
from facade.wcl.template import (
    BadReference,
    Call,
    Header,
    MissingVariable,
    Part,
    Quoted,
    Scalar,
    Slot,
    Template,
    joined,
    padded,
    plain,
)
from facade.wcl.tree import Section, Value

CLASSES = ("file", "list", "exec", "job", "module", "block", "archive", "site")
"""Section classes in the order in which a scoped look-up asks them."""

UNBOUND = frozenset({"attnum"})
_REFERENCE = re.compile(r"\$(opt|head|func|fmt)?\{", re.IGNORECASE)
_BRACE = re.compile(r"\}|\$(?:opt|head|func|fmt)?\{", re.IGNORECASE)
_ATTNUM = re.compile(r"\$\{attnum(?::0*([0-9]{1,3}))?\}")

Functions = Callable[[str], Callable[..., object]]
"""name -> function; raises LookupError, with words for the operator, if there is none or it is not permitted."""

MAX_DEPTH = 100
"""How deep variables may refer to one another, as in the original (desdm.md §1.4)."""
MAX_REFERENCES = 10_000
"""How many references one text may hold, those of its variables included: a guard against values that double."""
MAX_LENGTH = 100_000_000
"""How many characters the references of one text may come to, each level of variables counted: a guard likewise."""
MAX_WIDTH = 255
SHORT = 100
"""Length of texts, in characters, whose templates are kept."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """A text whose variables may have several values: a template, and the values of each, in the order of the text.

    A variable that occurs twice moves together. Combinations come with the first variable slowest.
    """

    template: Template
    choices: Mapping[str, tuple[str, ...]]

    def combinations(self) -> Iterator[dict[str, str]]:
        """Yield one value for each variable, for every combination: one empty one if there are no variables."""
        for chosen in itertools.product(*self.choices.values()):
            yield dict(zip(self.choices, chosen, strict=True))


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
    functions: Functions | None = None

    def lookup(self, name: str) -> Value | Scalar:
        """Return the raw value of *name*, or None. A dotted name is an exact path from the top.

        Every member of a class knows its own name: in module x ``modulename`` is ``x``, everywhere
        ``module.x.modulename`` is (desdm.md §1.3).
        """
        if name in self.current:
            return self.current[name]
        if "." in name:
            found = self.root.path(name)
            if isinstance(found, Value):
                return found
            group, member, *rest = name.split(".")
            named = rest == [f"{group}name"] and isinstance(self.root.path(f"{group}.{member}"), Section)
            return member if named else None
        for section in self.sections():
            value = section.value(name)
            if value is not None:
                return value
        return self.members.get(name.removesuffix("name")) if name.endswith("name") else None

    def sections(self) -> list[Section]:
        """Return the sections that a look-up of an undotted name asks, nearest first (desdm.md §1.3)."""
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
        names = [*self.current, *sorted(self.late), *(f"{kind}name" for kind, name in self.members.items() if name)]
        for section in self.sections():
            names += [key for key, _ in section.values()]
        return list(dict.fromkeys(names))

    def compile(self, text: str | Value) -> Template:
        """Replace what is known and leave a slot for what is late; a quoted value stays one scalar.

        Raises:
            MissingVariable: a name that nothing supplies.
            BadReference: an unclosed or circular reference, a padded value that is no integer.
        """
        return _Compiler(self).whole(text)

    def resolve(self, text: str | Value) -> str:
        """Replace every reference; late names are not allowed. Raises as `compile`."""
        literal = self.compile(text).literal
        if literal is None:
            raise BadReference(f"'{text}' depends on values that are not known yet", code="F111")
        return literal

    def expand(self, text: str | Value) -> Expansion:
        """Replace as `compile` does, but let a variable that is a list stand for each of its items.

        Raises:
            MissingVariable, BadReference: as `compile`; a list is malformed.
        """
        compiler = _Compiler(self, choices={})
        template = compiler.whole(text)
        order = [name for name in template.slots if name in (compiler.choices or {})]
        return Expansion(template, {name: (compiler.choices or {})[name] for name in order})

    def items(self, value: Value) -> tuple[str, ...]:
        """Return the items of a list, references replaced first; a quoted value is one. Raises as `expand`."""
        template = self.compile(value)
        if template.literal is None:
            raise BadReference(f"'{value}' depends on values that are not known yet", code="F111")
        return (template.literal,) if value.quoted else listed(template)


class _Compiler:
    """One compilation. With *choices*, variables that are lists become slots, and their items are noted there."""

    def __init__(self, scope: Scope, choices: dict[str, tuple[str, ...]] | None = None) -> None:
        self.scope, self.references, self.length, self.choices = scope, 0, 0, choices

    def whole(self, text: str | Value) -> Template:
        """Compile a whole text."""
        if isinstance(text, str):
            return self.compile(text, ())
        template = self.compile(text.text, ())
        return _one_scalar(template) if text.quoted else template

    def compile(self, text: str, active: tuple[str, ...], nested: int = 0) -> Template:
        """Compile *text*, met while the variables *active* are being replaced, *nested* braces deep."""
        if len(active) + nested > MAX_DEPTH:
            chain = " -> ".join([*active[:3], "…", *active[-1:]]) if active else f"{text[:20]}…"
            raise BadReference(f"references go more than {MAX_DEPTH} deep: {chain}", code="F104")
        if "$" not in text:
            return _literal(text) if len(text) < SHORT else Template((text,))
        parts: list[Part] = []
        position = 0
        while found := _REFERENCE.search(text, position):
            self.references += 1
            if self.references > MAX_REFERENCES:
                raise BadReference(f"more than {MAX_REFERENCES} references are needed to replace one text", code="F104")
            parts.append(text[position : found.start()])
            end = _closing(text, found.start(), found.end())
            inner = self.compile(text[found.end() : end], active, nested + 1)
            written = text[found.start() : end + 1]
            try:
                parts += self.part((found[1] or "").lower(), inner, written, active)
            except BadReference as error:
                error.written = error.written or written
                raise
            position = end + 1
        parts.append(text[position:])
        return Template(joined(parts))

    def part(self, marker: str, inner: Template, written: str, active: tuple[str, ...]) -> tuple[Part, ...]:
        """Return what stands for one reference: a variable, a header value, what a function returns."""
        if marker == "func":
            return (self.call(inner, written),)
        if marker == "head":
            return (_header(inner, written),)
        added = self.reference(marker, inner, written, active).parts
        self.length += sum(len(part) for part in added if isinstance(part, str))
        if self.length > MAX_LENGTH:
            raise BadReference(f"one text comes to more than {MAX_LENGTH:,} characters", code="F104")
        return added

    def reference(self, marker: str, written_name: Template, written: str, active: tuple[str, ...]) -> Template:
        """Return what stands for the reference ``${name}`` or ``$opt{name}``."""
        if marker == "fmt":
            message = f"'{written}': $FMT{{…}} is a column of a list; it stands in 'columns' only"
            raise BadReference(message, code="F109", remedy="write ${NAME:WIDTH} to pad a number with zeros")
        inner = written_name.literal
        if inner is None:
            message = f"'{written}': a name cannot depend on a loop value"
            raise BadReference(message, code="F108", remedy="write the name out, or let a query supply a column")
        name, colon, width = inner.lower().partition(":")
        if not name.strip():
            raise BadReference(f"'{written}' names no variable", code="F105", remedy="write ${NAME}")
        if colon and not (width.isascii() and width.isdecimal() and len(width) < 9 and int(width) <= MAX_WIDTH):
            message = f"'{written}': the width after ':' must be a whole number up to {MAX_WIDTH}"
            raise BadReference(message, code="F105", remedy="write ${NAME:WIDTH}, such as ${ccd:3}")
        pad = int(width or 0)
        if name in active:
            chain = [*active[active.index(name) :], name]
            message = f"variables refer to each other in a circle: {' -> '.join(chain)}"
            raise BadReference(message, code="F103", remedy="give one of them a value that does not use the others")
        if name in self.scope.late:
            return Template((Slot(name, pad, marker == "opt"),))
        if self.scope.dotted is not None and (found := self.scope.dotted(name)) is not None:
            if marker == "opt":
                optional = [replace(p, optional=True) if isinstance(p, Slot) else p for p in found.parts]
                found = Template(tuple(optional))
            return self.pad(found, pad, name)
        return self.known(name, pad, marker == "opt", active)

    def known(self, name: str, pad: int, optional: bool, active: tuple[str, ...]) -> Template:
        """Return what the configuration puts in the place of *name*."""
        value = self.scope.lookup(name)
        if value is None:
            if name in UNBOUND:
                return Template((f"${{{name}:{pad}}}" if pad else f"${{{name}}}",))
            if optional:
                return Template(())
            raise MissingVariable(name, self.scope.known())
        if not isinstance(value, Value):
            return Template((Quoted(padded(value, pad, name) if pad else plain(value)),))
        try:
            if self.choices is not None and not value.quoted and is_list(value.text):
                return self.choice(name, pad, value, active)
            template = self.compile(value.text, (*active, name))
        except (MissingVariable, BadReference) as error:
            error.at = error.at or value
            raise
        return self.pad(_one_scalar(template) if value.quoted else template, pad, name)

    def choice(self, name: str, pad: int, value: Value, active: tuple[str, ...]) -> Template:
        """Return a slot for a variable that is a list, and note its items."""
        assert self.choices is not None
        if name not in self.choices:
            choices, self.choices = self.choices, None
            template = self.compile(value.text, (*active, name))
            self.choices = choices
            if template.has_header:
                template.format({})
            if template.literal is None:
                raise BadReference(f"the list '{name}' depends on values that are not known yet", code="F111")
            if not (items := listed(template)):
                raise BadReference(f"the list '{name}' has no items", code="F114")
            self.choices[name] = items
        return Template((Slot(name, pad),))

    def call(self, inner: Template, written: str) -> Part:
        """Return ``$FUNC{name,a,b}``: its result if all arguments are known, else the call to come."""
        name, *arguments = _arguments(inner)
        called = name.literal
        if not called:
            why = "names no function" if called is not None else "must name a function: not a loop value"
            raise BadReference(f"'{written}' {why}", code="F112")
        if self.scope.functions is None:
            raise BadReference(f"'{written}': no function can be called here", code="F112")
        try:
            function = self.scope.functions(called)
        except LookupError as error:
            raise BadReference(f"'{written}': {error.args[0]}", code="F112") from None
        call = Call(called, function, tuple(arguments))
        return call if any(argument.literal is None for argument in arguments) else Quoted(call.format({}))

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
        message = f"'{name}' is to be padded but is made of several parts"
        raise BadReference(message, code="F107", remedy="pad its parts instead: ${PART:WIDTH}")


@lru_cache(maxsize=4096)
def _literal(text: str) -> Template:
    """Return the template of a text without references: most are names of variables, asked for again and again."""
    return Template((text,) if text else ())


def _one_scalar(template: Template) -> Template:
    """Return the template of a quoted value: all of its text is one scalar."""
    if template.literal is not None and not _ATTNUM.search(template.literal):
        return Template((Quoted(template.literal),))
    return Template(tuple(Quoted(part) if isinstance(part, str) else part for part in template.parts))


def _arguments(template: Template) -> list[Template]:
    """Split at commas as written; commas in data stay where they are."""
    arguments: list[list[Part]] = [[]]
    for part in template.parts:
        if type(part) is not str:
            arguments[-1].append(part)
            continue
        first, *others = part.split(",")
        arguments[-1].append(first)
        arguments += [[other] for other in others]
    return [_stripped(argument) for argument in arguments]


def _stripped(parts: list[Part]) -> Template:
    """Return the template without blanks at its ends, unless they were quoted."""
    if parts and type(parts[0]) is str:
        parts[0] = parts[0].lstrip()
    if parts and type(parts[-1]) is str:
        parts[-1] = parts[-1].rstrip()
    return Template(joined(parts))


def _header(inner: Template, written: str) -> Header:
    """Return ``$HEAD{file,KEY,…}``."""
    file, *keys = _arguments(inner)
    names = tuple(key.literal or "" for key in keys)
    if not file.parts or not names or not all(names):
        raise BadReference(f"'{written}' must read $HEAD{{file,KEY}} or $HEAD{{file,KEY,KEY}}", code="F105")
    return Header(file, names)


def _closing(text: str, marker: int, start: int) -> int:
    """Return where the brace opened just before *start*, with its ``$`` at *marker*, is closed; references nest."""
    depth = 1
    for found in _BRACE.finditer(text, start):
        depth += -1 if found[0] == "}" else 1
        if not depth:
            return found.start()
    written = text[marker:]
    message = f"'{_shortened(written)}': the brace is not closed"
    raise BadReference(message, code="F102", written=written, remedy="add '}' behind the name")


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"

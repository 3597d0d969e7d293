"""Command lines: exec section + quantum -> argument list (desdm.md §4.2, §4.4).

A template is split into words before data are filled in, so a value with blanks or commas stays one word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from facade.campaign import ExecSpec, Module, Ref, joined
from facade.campaign.faults import fault_of, key_of
from facade.campaign.module import POSITIONAL
from facade.errors import Fault
from facade.plan.bench import ListLine
from facade.plan.model import Word
from facade.wcl.scope import Scope
from facade.wcl.template import BadReference, Header, MissingVariable, Part, Scalar, Slot, Template, plain
from facade.wcl.template import joined as merged
from facade.wcl.tree import Document, Value

FLAG = "_flag"
NUL = "\0"
_COLUMN = re.compile(r"\$\((\w+)\)")


@dataclass(frozen=True, slots=True)
class PerFile:
    """``per_file_cmdline``: words appended once per line of list ``ref``."""

    ref: Ref
    words: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """``add_cmdline``: distinct values of ``column`` of list ``ref``, joined and glued to the last word."""

    ref: Ref
    column: str
    separator: str


@dataclass(frozen=True, slots=True)
class Quick:
    """The fast way to a command line, several times faster than filling each word: what is fixed is shared by all
    quanta, what is one value is taken as it is, and the rest is one template with NUL, which no word can hold, between
    the words. ``order`` puts the three together."""

    fixed: tuple[str, ...]
    values: tuple[str, ...]
    rest: Template | None
    count: int
    order: Callable[[Sequence[str]], tuple[str, ...]]

    @classmethod
    def of(cls, words: Sequence[Template]) -> Quick:
        """Prepare the fast way; none of *words* may vanish or be left to the job."""
        fixed = [i for i, word in enumerate(words) if word.literal is not None]
        values = [i for i, word in enumerate(words) if _value(word)]
        rest = [i for i in range(len(words)) if i not in fixed and i not in values]
        parts = [part for i in rest for part in (NUL, *words[i].parts)][1:]
        place = {word: index for index, word in enumerate([*fixed, *values, *rest])}
        return cls(
            fixed=tuple(str(words[i].literal) for i in fixed),
            values=tuple(name for i in values for name in words[i].slots),
            rest=Template(merged(parts)) if rest else None,
            count=len(words),
            order=itemgetter(*[place[i] for i in range(len(words))]),
        )

    def argv(self, values: Mapping[str, Scalar]) -> tuple[str, ...]:
        """Return the argument list, or nothing if it has to be made word by word."""
        pool = [*self.fixed]
        for name in self.values:
            value = values.get(name)
            if value is None:
                return ()
            pool.append(value if isinstance(value, str) else plain(value))
        if self.rest is not None:
            pool += self.rest.format(values).split(NUL)
        return self.order(pool) if len(pool) == self.count else ()  # a value with NUL in it makes one word two


def _value(word: Template) -> bool:
    """Say whether a word is one value as it is."""
    only = word.parts[0] if len(word.parts) == 1 else None
    return isinstance(only, Slot) and not only.pad and not only.optional


@dataclass(frozen=True, slots=True)
class Command:
    """A compiled command line; ``quick`` is None where a word may vanish or is left to the job."""

    words: tuple[Template, ...]
    per_file: PerFile | None = None
    joined: Joined | None = None
    quick: Quick | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the fast way."""
        simple = len(self.words) > 1 and not any(word.has_header or _vanishes(word) for word in self.words)
        object.__setattr__(self, "quick", Quick.of(self.words) if simple else None)

    def argv(self, values: Mapping[str, Scalar], lines: Mapping[str, Sequence[ListLine]]) -> tuple[Word, ...]:
        """Return the argument list of one quantum; *lines* are the lines of each list, in list order.

        Raises:
            MissingVariable, BadReference: a value is missing or unfit.
        """
        argv: Sequence[Word] = self.quick.argv(values) if self.quick is not None else ()
        if len(argv) != len(self.words):
            argv = [text for word in self.words if (text := _word(word, values)) or not _vanishes(word)]
        if self.joined is None and self.per_file is None:
            return tuple(argv)
        argv = list(argv)
        if self.joined is not None:
            ref, wanted = self.joined.ref, self.joined.column
            column = [line.get(ref.member, wanted) for line in lines[ref.name]]
            if None in column:
                raise BadReference(f"add_cmdline: a line of list '{ref.name}' has no column '{wanted}'", code="F509")
            glued, last = self.joined.separator.join(dict.fromkeys(plain(value) for value in column)), argv[-1]
            argv[-1] = last + glued if isinstance(last, str) else (*last, glued)
        if self.per_file is not None:
            member = self.per_file.ref.member
            for line in lines[self.per_file.ref.name]:
                together = {**values, **line.columns, **line.own.get(member, {})}
                argv += [_word(word, together) for word in self.per_file.words]
        return tuple(argv)


def compile_command(module: Module, spec: ExecSpec, scope: Scope, document: Document, faults: list[Fault]) -> Command:
    """Compile the command line of *spec*; what cannot be compiled is added to *faults* with its place."""

    def words(value: Value) -> tuple[Template, ...]:
        try:
            return scope.compile(value).words()
        except (MissingVariable, BadReference) as error:
            faults.append(fault_of(document, error, value))
        return ()

    # groups of words that belong together: the program, an option with its value, a positional argument
    groups = [words(spec.execname)]
    if any(word.has_header for word in groups[0]):
        faults.append(document.fault("a program's name cannot be a header value", spec.execname, code="F109"))
    positionals: dict[int, tuple[str, Value]] = {}
    for key, value in spec.cmdline:
        if found := POSITIONAL.match(key):
            number = int(found[1])
            if number in positionals:
                message = f"'{key}' has the same position as '{positionals[number][0]}'"
                remedy = "number them _01, _02 …; 1 is the first"
                faults.append(document.fault(message, key_of(key, value), code="F520", remedy=remedy))
            positionals[number] = key, value
        elif value.text == FLAG and not value.quoted:
            groups.append((_literal(spec.hyphen.option(key)),))
        else:
            groups.append((_literal(spec.hyphen.option(key)), *words(value)))
    for number, (_, value) in sorted(positionals.items(), key=lambda pair: pair[0]):
        # as in the original: inserted there once all options are in place, 1 = right behind the program
        groups.insert(number, words(value))
    last = spec is module.execs[-1]
    return Command(
        tuple(word for group in groups for word in group),
        _per_file(module, scope, document, faults) if last and module.per_file else None,
        _joined(module) if last and module.joined else None,
    )


def _word(word: Template, values: Mapping[str, Scalar]) -> Word:
    """Return a word with what is known filled in; header values are left to the job."""
    if not word.has_header:
        return word.format(values)
    return tuple(
        part.reference(values) if isinstance(part, Header) else part if isinstance(part, str) else part.format(values)
        for part in word.parts
    )


def _vanishes(word: Template) -> bool:
    """Say whether an empty word is none at all: ``$opt{name}`` without a value, as the shell would see it."""
    return bool(word.parts) and all(isinstance(part, Slot) and part.optional for part in word.parts)


def _literal(text: str) -> Template:
    return Template((text,))


def _per_file(module: Module, scope: Scope, document: Document, faults: list[Fault]) -> PerFile | None:
    value = module.per_file
    assert value is not None
    target, _, text = value.text.partition(":")
    parts = target.strip().lower().split(".")
    spec = module.lists[parts[1]]
    members = [nick for nick in spec.members if nick in module.files]
    ref = Ref("list", spec.name, parts[2] if len(parts) > 2 else members[0] if len(members) == 1 else "")
    try:
        template = scope.compile(text.strip())
        columns: list[Part] = []
        for part in template.parts:
            columns += _split_columns(part) if type(part) is str else [part]
        return PerFile(ref, Template(tuple(columns)).words())
    except (MissingVariable, BadReference) as error:
        faults.append(fault_of(document, error, value, "per_file_cmdline: "))
        return None


def _split_columns(text: str) -> list[Part]:
    """Turn ``visit=$(visit)`` into text and a slot for the line's column."""
    pieces = _COLUMN.split(text)
    return [Slot(piece.lower()) if index % 2 else piece for index, piece in enumerate(pieces) if piece or index % 2]


def _joined(module: Module) -> Joined:
    assert module.joined is not None
    separator, ref, column = joined(module.joined)
    return Joined(ref, column, separator)

"""Command lines: exec section + quantum -> argument list (desdm.md §4.2, §4.4).

A template is split into words before data are filled in, so a value with blanks or commas stays one word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facade.campaign import ExecSpec, Module, Ref, joined
from facade.errors import Fault
from facade.wcl.scope import BadReference, MissingVariable, Scalar, Scope, Slot, Template
from facade.wcl.tree import Document, Value

FLAG = "_flag"
_POSITIONAL = re.compile(r"_(\d+)(?:_.*)?$")
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
class Command:
    """A compiled command line."""

    words: tuple[Template, ...]
    per_file: PerFile | None = None
    joined: Joined | None = None

    def argv(
        self, values: Mapping[str, Scalar], lines: Mapping[str, Sequence[Mapping[str, Scalar]]]
    ) -> tuple[str, ...]:
        """Return the argument list of one quantum; *lines* are the columns of each list's lines, in list order."""
        argv = [word.format(values) for word in self.words]
        if self.joined is not None:
            wanted = self.joined.column
            column = [str(line[wanted]) for line in lines[self.joined.ref.name] if wanted in line]
            argv[-1] += self.joined.separator.join(dict.fromkeys(column))
        if self.per_file is not None:
            for line in lines[self.per_file.ref.name]:
                together = {**values, **line}
                argv += [word.format(together) for word in self.per_file.words]
        return tuple(argv)


def compile_command(module: Module, spec: ExecSpec, scope: Scope, document: Document, faults: list[Fault]) -> Command:
    """Compile the command line of *spec*; what cannot be compiled is added to *faults* with its place."""

    def words(value: Value) -> tuple[Template, ...]:
        try:
            return scope.compile(value.text).words()
        except MissingVariable as missing:
            message = f"undefined variable '{missing.name}'"
            if missing.name.startswith(("file.", "list.")):
                message = f"'{missing.name}' names no file or list of module '{module.name}'"
            faults.append(document.fault(message, value))
        except BadReference as error:
            faults.append(document.fault(str(error), value))
        return ()

    argv = list(words(spec.execname))
    positionals: dict[int, tuple[Value, tuple[Template, ...]]] = {}
    for key, value in spec.cmdline:
        if found := _POSITIONAL.match(key):
            number = int(found[1])
            if number in positionals:
                faults.append(document.fault(f"two arguments have position {number}", value))
            positionals[number] = (value, words(value))
        elif value.text == FLAG:
            argv.append(_literal(spec.hyphen.option(key)))
        else:
            argv += [_literal(spec.hyphen.option(key)), *words(value)]
    for number in sorted(positionals):
        # as in the original: inserted at that index once all options are there, 1 = right behind the program
        argv[number:number] = positionals[number][1]
    last = spec is module.execs[-1]
    return Command(
        tuple(argv),
        _per_file(module, scope, document, faults) if last and module.per_file else None,
        _joined(module) if last and module.joined else None,
    )


def _literal(text: str) -> Template:
    return Template((text,))


def _per_file(module: Module, scope: Scope, document: Document, faults: list[Fault]) -> PerFile | None:
    value = module.per_file
    assert value is not None
    target, _, text = value.text.partition(":")
    parts = target.strip().lower().split(".")
    ref = Ref("list", parts[1], parts[2] if len(parts) > 2 else "")
    try:
        template = scope.compile(text.strip())
        columns: list[str | Slot] = []
        for part in template.parts:
            columns += _split_columns(part) if isinstance(part, str) else [part]
        return PerFile(ref, Template(tuple(columns)).words())
    except (MissingVariable, BadReference) as error:
        faults.append(document.fault(f"per_file_cmdline: {error}", value))
        return None


def _split_columns(text: str) -> list[str | Slot]:
    """Turn ``visit=$(visit)`` into text and a slot for the line's column."""
    pieces = _COLUMN.split(text)
    return [Slot(piece.lower()) if index % 2 else piece for index, piece in enumerate(pieces) if piece or index % 2]


def _joined(module: Module) -> Joined:
    assert module.joined is not None
    separator, ref, column = joined(module.joined)
    return Joined(ref, column, separator)

"""What a wrapper says that its programs did, held against what the plan declared: it may narrow that, never widen it.

Names of files are given as the plan calls them, or as they are called or lie in the directory of the quantum.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from facade.errors import InputError
from facade.job.capsule import FileType, Output, Quantum, Scalar, full
from facade.job.collect import OutputError
from facade.metadata import INTEGERS, TIMES, typed
from facade.provenance import illegal

Pair = tuple[str, str]
SHOWN = 5
"""Names that are listed in a message."""
_DOT = "\0"
"""Stands for the dots of file names: `facade.provenance` takes what is before a dot for the name of a list."""


@dataclass(frozen=True, slots=True)
class Written:
    """An output as a wrapper reports it: its declared name, where it lies ("": as declared), metadata to be added."""

    filename: str
    path: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


def used(names: Iterable[str], declared: Sequence[str], quantum: Quantum) -> tuple[str, ...]:
    """Return those of the *declared* names that a program really used.

    Raises:
        InputError: it was not declared to use one of *names*.
    """
    known = _known(quantum)
    given = {known.get(name, name): name for name in names}
    if unknown := [name for real, name in given.items() if real not in declared]:
        raise InputError(f"not declared to be used: {_shown(unknown)}", remedy=f"declared: {_shown(declared)}")
    return tuple([name for name in declared if name in given])


def outputs(
    reports: Sequence[Written], quantum: Quantum, filetypes: Mapping[str, FileType], directory: Path
) -> tuple[Output, ...]:
    """Return the declared outputs that were reported, with the metadata added; those that lie elsewhere are renamed.

    Raises:
        InputError: something was not declared, or is told twice, or metadata or path make no sense.
        OutputError: a required output is not reported.
    """
    known, declared = _known(quantum), {full(one.name): one for one in quantum.outputs}
    found: dict[str, Output] = {}
    moves: list[tuple[Path, Path]] = []
    problems: list[str] = []
    for report in reports:
        name = known.get(report.filename, report.filename)
        if name not in declared or name in found:
            what = "is reported twice" if name in found else "is no declared output"
            problems.append(f"{report.filename!r} {what}")
            continue
        output = declared[name]
        try:
            found[name] = _described(output, report.metadata, filetypes.get(output.filetype))
            moves += _moves(report.path, output, directory)
        except InputError as error:
            found[name] = output
            problems.append(f"{report.filename!r}: {error.message}")
    if problems:
        raise InputError("; ".join(problems), remedy=f"declared: {_shown(declared)}")
    if missing := [name for name, one in declared.items() if name not in found and not one.optional]:
        raise OutputError(f"promised outputs are not there: not reported by the wrapper: {_shown(missing)}")
    _move(moves, quantum, directory)
    return tuple([found[name] for name in declared if name in found])


def derived(pairs: Iterable[Pair], quantum: Quantum, really: Mapping[int, Sequence[str]]) -> tuple[Pair, ...]:
    """Return the pairs (child, parent) under the names of the plan; *really* says what each program used.

    Raises:
        InputError: the Open Provenance Model knows no such edge; all of them are told.
    """
    known = _known(quantum)
    named = list(dict.fromkeys((known.get(child, child), known.get(parent, parent)) for child, parent in pairs))
    makers = {name: item.execnum for item in quantum.execs for name in item.generated}
    earlier: set[str] = set()
    problems = [f"{child!r} is not made by any program of this quantum" for child, _ in named if child not in makers]
    for item in quantum.execs:
        mine = [pair for pair in named if makers.get(pair[0]) == item.execnum]
        edges = [(_safe(parent), _safe(child)) for child, parent in mine]
        sources, made = really.get(item.execnum, item.used), item.generated
        found = illegal({*map(_safe, sources)}, {*map(_safe, made)}, edges, {*map(_safe, earlier)})
        problems += [what.replace(_DOT, ".") for _, what in found]
        earlier.update(item.generated)
    if problems:
        raise InputError("; ".join(problems))
    return tuple(named)


def declared_derived(quantum: Quantum, really: Mapping[int, Sequence[str]]) -> tuple[Pair, ...]:
    """Return the declared pairs (child, parent), without those whose parent was not used after all."""
    earlier: set[str] = set()
    found: list[Pair] = []
    for item in quantum.execs:
        sources = {*really.get(item.execnum, item.used), *earlier}
        narrowed = {*item.used} - sources
        found += [pair for pair in item.derived if pair[1] not in narrowed]
        earlier.update(item.generated)
    return tuple(found)


def shown_name(quantum: Quantum, name: str) -> str:
    """Return what the plan's *name* of a file is called in the directory of the quantum."""
    return next((item.called for item in quantum.inputs if full(item.name) == name), name)


def _known(quantum: Quantum) -> dict[str, str]:
    """Return every way to name a file of the quantum, and its name in the plan."""
    found: dict[str, str] = {}
    for item in quantum.inputs:
        name = full(item.name)
        found |= {name: name, item.called: name, _join(item.path, item.called): name}
    made = [(one.path, full(one.name)) for one in quantum.lists] + [(o.path, full(o.name)) for o in quantum.outputs]
    for path, name in made:
        found |= {name: name, _join(path, name): name}
    return found


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _described(output: Output, more: Mapping[str, Any], filetype: FileType | None) -> Output:
    """Return *output* with further metadata, which must be columns of its type and no other than what was planned."""
    columns = {} if filetype is None else {name.lower(): (name, kind) for name, (kind, _) in filetype.columns.items()}
    planned = {name.lower(): name for name in output.metadata}
    added: dict[str, Scalar] = {}
    for given, value in more.items():
        name, kind = columns.get(given.lower(), (planned.get(given.lower(), ""), ""))
        if not name:
            raise InputError(f"filetype {output.filetype!r} has no column {given!r}")
        before = output.metadata.get(name)
        if before is not None and (value == before or str(value) == str(before)):
            continue
        added[name] = _typed(given, value, kind or _kind(before))
        if before is not None and added[name] != before:
            raise InputError(f"{given} = {value!r}, but {before!r} is planned")
    return replace(output, metadata={**output.metadata, **added})


def _kind(value: Scalar) -> str:
    kinds = {bool: "bool", int: "int", float: "float"}
    return kinds.get(type(value), "text")


_BOOLS = {"true": True, "1": True, "false": False, "0": False}


def _typed(name: str, value: object, kind: str) -> Scalar:
    """Return a value of metadata as its column has it; a text may stand for a number."""
    if value is None or value == "":
        return None
    if kind in TIMES:
        return typed(str(value), kind)
    try:
        if kind == "bool":
            return _BOOLS[str(value).lower()]
        if kind in INTEGERS:
            number = int(value) if isinstance(value, str) else value
            if isinstance(number, int):
                return int(number)
        elif kind == "float":
            if isinstance(value, str | int | float) and math.isfinite(real := float(value)):
                return real
        elif isinstance(value, str | int | float) and "\0" not in str(value):
            return str(value)
    except (KeyError, ValueError, OverflowError):
        pass
    raise InputError(f"{name} = {value!r} is no {kind or 'text'}")


def _moves(path: str, output: Output, directory: Path) -> list[tuple[Path, Path]]:
    """Return what is to be renamed for *output* to lie where it was declared.

    Raises:
        InputError: what lies at *path* is no file of the directory.
    """
    place = directory / output.path / full(output.name)
    source = Path(os.path.normpath(directory / path)) if path else place
    if source == Path(os.path.normpath(place)):
        return []
    inside = directory.resolve()
    try:
        real = source.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise InputError(f"there is no file {path!r}") from None
    if not (real.is_relative_to(inside) and source.parent.resolve().is_relative_to(inside)):
        raise InputError(f"{path!r} does not lie in the directory of the quantum")
    if source.is_symlink() or not real.is_file():
        raise InputError(f"{path!r} is not a regular file")
    if not place.parent.resolve().is_relative_to(inside) or os.path.lexists(place):
        raise InputError(f"{path!r} cannot be renamed: {_join(output.path, full(output.name))} is there already")
    return [(source, place)]


def _move(moves: Sequence[tuple[Path, Path]], quantum: Quantum, directory: Path) -> None:
    """Rename files; what was staged or listed stays where it is."""
    kept = [directory / item.path / item.called for item in quantum.inputs]
    kept += [directory / item.path / full(item.name) for item in quantum.lists]
    for source, place in moves:
        if any(one.exists() and one.samefile(source) for one in kept):
            raise InputError(f"{source.name!r} is an input and cannot become the output {place.name!r}")
    for source, place in moves:
        place.parent.mkdir(parents=True, exist_ok=True)
        source.rename(place)


def _safe(name: str) -> str:
    return name.replace(".", _DOT)


def _shown(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" … and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return (", ".join(map(repr, listed[:SHOWN])) or "nothing") + more

"""Look at what a quantum promised: is each output there, is it a real file of this job, what does it hold?"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facade import plugins
from facade.archive import Content, content_of
from facade.errors import FacadeError, InputError
from facade.job import cards
from facade.job.capsule import FileType, Output, Scalar, full
from facade.metadata import missing
from facade.outputs import AS_PLANNED, FUNCTION, HEADER, Handling

NOT_THERE = ("not written", "empty")
"""What an optional output may be."""


class OutputError(FacadeError):
    """Promised outputs are missing or unusable; the message lists every one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """An output that is there: its file, what it holds, and what is known about it."""

    output: Output
    file: Path
    content: Content
    metadata: Mapping[str, Scalar]


def collect(
    directory: Path,
    outputs: Sequence[Output],
    filetypes: Mapping[str, FileType],
    handling: Handling = AS_PLANNED,
    values: Mapping[str, Scalar] | None = None,
) -> list[Product]:
    """Return the outputs that exist below the job *directory*, in the order they were promised.

    Cards of the campaign are written into them first; those may use *values*.

    Raises:
        OutputError: a required one is missing, empty, no regular file, or lies outside the job directory; or what is
            to be read of one, or written into it, cannot be. All of that is told at once.
    """
    there, problems = [], []
    for output in outputs:
        file = directory / output.path / full(output.name)
        what = problem(file, directory)
        if not what or (what == "empty" and handling.of(output.section).empty):
            there.append((output, file))
        elif not (output.optional and what in NOT_THERE):
            problems.append(f"{output.path}/{full(output.name)}: {what}".removeprefix("/"))
    if problems:
        raise OutputError("promised outputs are not there: " + "; ".join(problems))
    products = []
    for output, file in there:
        try:
            products.append(_product(output, file, filetypes, handling, values or {}))
        except OutputError as error:
            problems.append(error.message)
    if problems:
        raise OutputError("; ".join(problems))
    return products


def problem(file: Path, directory: Path) -> str:
    """Tell in a few words why *file* is no acceptable output; "" if it is one."""
    try:
        real = file.resolve(strict=True)
        mode = real.stat()
    except (OSError, RuntimeError):  # RuntimeError: a loop of links
        return "a link to nothing" if file.is_symlink() else "not written"
    if not real.is_relative_to(directory.resolve()):
        return f"a link out of the job directory, to {real}"
    if not stat.S_ISREG(mode.st_mode):
        return "not a regular file"
    return "" if mode.st_size else "empty"


def _product(
    output: Output, file: Path, filetypes: Mapping[str, FileType], handling: Handling, values: Mapping[str, Scalar]
) -> Product:
    metadata = dict(output.metadata)
    if found := handling.of(output.section).cards:
        known = {**values, **metadata, "filename": full(output.name), "compression": output.name[1]}
        try:
            cards.write(file, found, known, lambda name: _called(name, file, metadata))
        except InputError as error:
            raise OutputError(error.message) from error
    filetype = filetypes.get(output.filetype)
    columns = {} if filetype is None else filetype.columns
    if columns and file.stat().st_size:
        headers = {name: column for name, column in columns.items() if column[1].startswith(HEADER)}
        if headers:
            metadata |= _headers(file, headers, metadata)
        for name, (kind, source) in columns.items():
            if source.startswith(FUNCTION):
                metadata[name] = _typed(_called(source.removeprefix(FUNCTION), file, metadata), kind, name, file)
        lacking = [name for name in sorted(filetype.required) if metadata.get(name) is None] if filetype else []
        if lacking:
            raise OutputError("; ".join(missing(name, columns[name][1], file.name) for name in lacking))
    return Product(output=output, file=file, content=content_of(file), metadata=metadata)


def _headers(file: Path, wanted: Mapping[str, tuple[str, str]], planned: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Read header columns; a value that was planned stands if the header has none."""
    from facade.ingestors import fits  # costs astropy; only jobs with header columns pay

    try:
        found = fits.headers(file, {name: source for name, (_, source) in wanted.items()})
        typed = {name: fits.typed(found[name], kind) for name, (kind, _) in wanted.items()}
    except InputError as error:
        raise OutputError(f"cannot read the header of {file.name}: {error.message}") from error
    return {name: planned.get(name) if value is None else value for name, value in typed.items()}


def _called(name: str, file: Path, metadata: Mapping[str, Scalar]) -> Scalar:
    try:
        return plugins.computed(name, file, metadata)
    except InputError as error:
        raise OutputError(error.message) from error


def _typed(value: Scalar, kind: str, name: str, file: Path) -> Scalar:
    from facade.ingestors import fits

    try:
        return fits.typed(value, kind)
    except InputError as error:
        raise OutputError(f"column '{name}' of {file.name}: {error.message}") from error

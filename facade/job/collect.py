"""Look at what a quantum promised: is each output there, is it a real file of this job, what does it hold?"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facade.archive import Content, content_of
from facade.errors import FacadeError, InputError
from facade.job.capsule import FileType, Output, Scalar, full


class OutputError(FacadeError):
    """Promised outputs are missing or unusable; the message lists every one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """An output that is there: its file, what it holds, and what is known about it."""

    output: Output
    file: Path
    content: Content
    metadata: Mapping[str, Scalar]


def collect(directory: Path, outputs: Sequence[Output], filetypes: Mapping[str, FileType]) -> list[Product]:
    """Return the outputs that exist below the job *directory*, in the order they were promised.

    Raises:
        OutputError: a required one is missing, empty, no regular file, or lies outside the job directory.
    """
    products, problems = [], []
    for output in outputs:
        file = directory / output.path / full(output.name)
        problem = _problem(file, directory)
        if not problem:
            products.append((output, file))
        elif not (output.optional and problem in ("not written", "empty")):
            problems.append(f"{output.path}/{full(output.name)}: {problem}".removeprefix("/"))
    if problems:
        raise OutputError("promised outputs are not there: " + "; ".join(problems))
    return [_product(output, file, filetypes) for output, file in products]


def _problem(file: Path, directory: Path) -> str:
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


def _product(output: Output, file: Path, filetypes: Mapping[str, FileType]) -> Product:
    filetype = filetypes.get(output.filetype)
    metadata = dict(output.metadata)
    columns = {} if filetype is None else filetype.columns
    wanted = {name: column for name, column in columns.items() if column[1].startswith("header:")}
    if wanted:
        metadata |= _headers(file, wanted, metadata)
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

"""Compression of outputs: a program of the quantum like any other, run once its outputs have been checked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from facade.archive import content_of
from facade.job.capsule import Exec, Name, Output, Quantum, full
from facade.job.collect import OutputError, Product, problem
from facade.job.execute import Ended
from facade.job.phases import Executed
from facade.links import make_own

Start = Callable[[Exec, Sequence[str]], Ended]


class Compressed(NamedTuple):
    """A compressed file: the run of the program, what it made if it succeeded, and what it was made of."""

    executed: Executed
    product: Product | None
    source: Product


def compressed(quantum: Quantum, products: Sequence[Product], directory: Path, start: Start,
               needed: Collection[Name]) -> Iterator[Compressed]:  # fmt: skip
    """Compress those *products* that the plan says, one after the other, and yield what became of each.

    Programs such as gzip remove what they compress; what is among *needed* is there afterwards all the same.

    Raises:
        OutputError: the program succeeded and made no file.
    """
    by, made = quantum.handling.compression, {product.output.name: product for product in products}
    last = max([item.execnum for item in quantum.execs], default=0)
    for number, output in enumerate(quantum.compressed, start=last + 1):
        source = made.get((output.name[0], ""))
        if source is None or by is None:  # an optional output that was not made
            continue
        make_own(source.file)
        place = source.file.relative_to(directory)
        argv = tuple(by.command(str(place) if not str(place).startswith("-") else f"./{place}"))
        item = _exec(number, argv, source.output, output)
        kept = _copied(source.file) if source.output.name in needed else None
        ended = start(item, argv)
        if kept is not None:
            os.replace(kept, source.file)
        elif ended.success and by.cleanup:
            source.file.unlink(missing_ok=True)
        product = _product(item, output, source, directory) if ended.success else None
        yield Compressed(Executed(item, argv, ended, item.used), product, source)


def _exec(number: int, argv: tuple[str, ...], source: Output, output: Output) -> Exec:
    child, parent = full(output.name), full(source.name)
    return Exec(
        execnum=number, name=argv[0], argv=argv, version_flag="", used=(parent,), generated=(child,),
        derived=((child, parent),),
    )  # fmt: skip


def _copied(file: Path) -> Path:
    copy = file.with_name(f".{file.name}.kept")
    shutil.copyfile(file, copy)
    return copy


def _product(item: Exec, output: Output, source: Product, directory: Path) -> Product:
    file = directory / output.path / full(output.name)
    if what := problem(file, directory):
        raise OutputError(f"{item.name} compressed {full(source.output.name)}, but {full(output.name)} is {what}")
    return Product(output=output, file=file, content=content_of(file), metadata=source.metadata)

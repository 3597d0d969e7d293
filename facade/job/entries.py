"""Files for the ``outputs`` lines of a receipt: what is registered, and stored if it has a place in the archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from facade import plugins
from facade.archive import Content, content_of
from facade.files import name_fault
from facade.job.capsule import Name, Quantum, full
from facade.job.collect import problem

FAILED = ".failed"
"""What the names of files end in that a failed quantum made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file for the ``outputs`` line; with an archive path if it is to be stored."""

    name: Name
    filetype: str
    file: Path
    content: Content
    archive_path: str | None
    execnum: int | None
    metadata: Mapping[str, plugins.Scalar]


def makers_of(quantum: Quantum) -> dict[str, int]:
    """Return the number of the program that makes each file of a quantum: of several, the last."""
    return {name: item.execnum for item in quantum.execs for name in item.generated}


def left_by(quantum: Quantum, directory: Path, run: int) -> list[Entry]:
    """Return what a quantum that failed made, under names that nothing looks for (docs/outputs.md)."""
    mark, makers, found = FAILED if run == 1 else f"{FAILED}_t{run}", makers_of(quantum), list[Entry]()
    for output in quantum.outputs:
        name = full(output.name)
        file = directory / output.path / name
        if problem(file, directory) in ("", "empty") and not name_fault(name + mark):
            found.append(
                Entry(name=(name + mark, ""), filetype="failed", file=file, content=content_of(file),
                      archive_path=output.archive_path, execnum=makers.get(name), metadata={})
            )  # fmt: skip
    return found

"""The provenance of files as one value: files, executions, and which used, made and was derived from which.

The Open Provenance Model's artifacts and processes (desdm.md §6); what draws or writes it down is `facade.exports`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A registered file; *made_by* is the execution that generated it, None if it was ingested; *depth* how many steps
    away from what was asked about; *path* its folder in archive *archive*, if it lies in one."""

    id: int
    name: str
    filetype: str
    size: int
    checksum: str
    attempt: str = ""
    made_by: int | None = None
    depth: int = 0
    archive: str = ""
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A program that ran, or facade's own work (*kind* is exec, quantum, query or ingest): what it is called, where and
    when it ran. Times are aware; *keys* are the loop values of its quantum."""

    id: int
    kind: str
    name: str
    argv: tuple[str, ...] = ()
    version: str = ""
    module: str = ""
    keys: Mapping[str, object] = field(default_factory=dict)
    attempt: str = ""
    host: str = ""
    operator: str = ""
    start: datetime | None = None
    end: datetime | None = None
    status: int | None = None

    @property
    def title(self) -> str:
        """``module key=value …: program``, as far as it is known."""
        keys = " ".join(f"{key}={value}" for key, value in self.keys.items())
        quantum = " ".join(part for part in (self.module, keys) if part)
        return f"{quantum}: {self.name}" if quantum and self.name != self.module else quantum or self.name


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Files and executions by id, and edges between them: *used* holds (execution, file), *derived* (child, parent).

    *about* is what was asked: files of depth 0 answer to it.
    """

    about: str
    files: Mapping[int, File]
    executions: Mapping[int, Execution]
    used: tuple[tuple[int, int], ...]
    derived: tuple[tuple[int, int], ...]

    @property
    def generated(self) -> Iterable[tuple[int, int]]:
        """Yield (file, execution) for every file that an execution made."""
        return ((one.id, one.made_by) for one in self.files.values() if one.made_by in self.executions and one.made_by)

    @cached_property
    def uses(self) -> Mapping[int, tuple[int, ...]]:
        """Execution -> files that it used."""
        return _grouped(self.used)

    @cached_property
    def makes(self) -> Mapping[int, tuple[int, ...]]:
        """Execution -> files that it made."""
        return _grouped((execution, file) for file, execution in self.generated)


def _grouped(pairs: Iterable[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    found: dict[int, list[int]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}

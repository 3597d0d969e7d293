"""The workbench of planning: what has been planned so far, and what was found wrong or missing on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from facade.campaign import Campaign
from facade.errors import Fault
from facade.plan.datasets import FILE_COLUMNS, Dataset, Inputs
from facade.plan.model import PlannedFile, PlannedList, Quantum, Use
from facade.wcl.scope import Scalar
from facade.wcl.tree import Section, Value


@dataclass(slots=True)
class Missing:
    """A file that a quantum needs and that neither the plan nor the given rows have."""

    name: str
    quantum: str
    fault: Fault


@dataclass(slots=True)
class Workbench:
    """What has been planned so far."""

    campaign: Campaign
    inputs: Inputs
    files: list[PlannedFile] = field(default_factory=list)
    by_name: dict[str, int] = field(default_factory=dict)
    quanta: list[Quantum] = field(default_factory=list)
    job_keys: list[tuple[int, Mapping[str, Scalar]]] = field(default_factory=list)
    published: dict[str, Dataset] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    empty: list[Fault] = field(default_factory=list)
    awaited: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Missing files: name -> (stand-in in the table, label of the first quantum that wants it)."""
    failed: set[str] = field(default_factory=set)
    """Modules that could not be planned; what depends on them is not reported again."""

    def fault(self, message: str, at: Value | Section | None, remedy: str = "") -> None:
        """Note a fault of the campaign; planning goes on, to find the others."""
        self.faults.append(self.campaign.document.fault(message, at, remedy=remedy))

    def add(self, file: PlannedFile) -> int:
        """Put a file into the table and return its index."""
        self.files.append(file)
        self.by_name[file.name] = index = len(self.files) - 1
        return index

    def registered(self, row: Mapping[str, Scalar]) -> int:
        """Return the index of the registered file that *row* describes."""
        filename, compression = str(row["filename"]), str(row.get("compression") or "")
        found = self.by_name.get(filename + compression)
        if found is not None:
            return found
        size = row.get("filesize")
        return self.add(
            PlannedFile(
                filename=filename,
                compression=compression,
                filetype=str(row.get("filetype") or ""),
                archive_path=str(row.get("path") or ""),
                size=int(size) if size is not None else None,
                checksum=str(row["checksum"]) if row.get("checksum") else None,
                metadata={k: v for k, v in row.items() if k not in FILE_COLUMNS and v is not None},
            )
        )


@dataclass(slots=True)
class Draft:
    """A quantum while it is being assembled."""

    wrapnum: int
    label: str
    keys: dict[str, Scalar]
    values: dict[str, Scalar]
    assigned: dict[str, list[int]] = field(default_factory=dict)
    inputs: list[Use] = field(default_factory=list)
    outputs: list[Use] = field(default_factory=list)
    lists: list[PlannedList] = field(default_factory=list)
    lines: dict[str, list[Mapping[str, Scalar]]] = field(default_factory=dict)

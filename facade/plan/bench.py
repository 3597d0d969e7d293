"""The workbench of planning: what has been planned so far, and what was found wrong or missing on the way."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from facade.campaign import Campaign, FileSpec, ListSpec
from facade.campaign.faults import in_order
from facade.errors import Fault
from facade.outputs import Handling
from facade.plan.datasets import Dataset, Inputs, Row, Source, metadata
from facade.plan.model import PlannedFile, PlannedList, Quantum, Use, label
from facade.wcl.template import Scalar
from facade.wcl.tree import Section, Value


@dataclass(slots=True)
class Missing:
    """A file that a quantum needs and that neither the plan nor the given rows have; ``name`` is "" where a query
    found no line for the quantum, so that there is no name to look for."""

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
    job_keys: list[tuple[int, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    published: dict[str, Dataset] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    empty: list[Fault] = field(default_factory=list)
    awaited: dict[str, tuple[int, str, FileSpec]] = field(default_factory=dict)
    """Missing files: name -> stand-in in the table, label of the first quantum that wants it, section that names it."""
    sought: dict[str, None] = field(default_factory=dict)
    """Names of files that may be missing, and are: the registry might have them."""
    unlocated: list[str] = field(default_factory=list)
    """Registered files that are wanted as inputs and lie in no archive."""
    failed: set[str] = field(default_factory=set)
    """Modules that could not be planned; what depends on them is not reported again."""
    wanted: Mapping[str, int] = field(default_factory=dict)
    """Dataset (``module.file.x``) -> number of the last module that depends on it."""
    made_by: dict[int, tuple[str, Mapping[str, Scalar], FileSpec | ListSpec]] = field(default_factory=dict)
    """File that the plan makes -> module and loop values of the quantum that makes it, section that names it."""
    handlings: dict[str, Handling] = field(default_factory=dict)
    """What becomes of the outputs of each module that was planned."""
    compressed: dict[int, int] = field(default_factory=dict)
    """Compressed file -> what it is made of."""
    unsaved: set[int] = field(default_factory=set)
    """Files of the plan that the archive will not have under their name."""
    _alike: dict[Hashable, list[int]] = field(default_factory=dict)
    _contested: set[tuple[int, str]] = field(default_factory=set)

    def fault(
        self,
        code: str,
        message: str,
        at: Value | Section | None,
        remedy: str = "",
        alike: Hashable = None,
        others: Iterable[tuple[str, Value | Section]] = (),
    ) -> None:
        """Note a fault of the campaign; planning goes on, to find the others.

        Of faults that are *alike* only the first is told, and how many there are: a wrong pattern meets every quantum.
        """
        if alike is not None and alike in self._alike:
            self._alike[alike][1] += 1
            return
        if alike is not None:
            self._alike[alike] = [len(self.faults), 0]
        self.faults.append(self.campaign.document.fault(message, at, code=code, remedy=remedy, others=others))

    def all_faults(self) -> list[Fault]:
        """Return the faults in the order of the text."""
        for index, more in self._alike.values():
            if more:
                told = self.faults[index]
                self.faults[index] = replace(told, message=f"{told.message} (and {more} more like it)")
        self._alike.clear()
        return in_order(self.faults)

    def maker(self, index: int) -> str | None:
        """Return the label of the quantum that makes a file, or None if it is registered."""
        return label(*self.made_by[index][:2]) if index in self.made_by else None

    def index(self, source: Source) -> int | None:
        """Return the index of the file that *source* is, or None if it is still to be named."""
        return source if source is None or isinstance(source, int) else self.registered(source)

    def add(self, file: PlannedFile) -> int:
        """Put a file into the table and return its index."""
        index = self.by_name[file.filename + file.compression] = len(self.files)
        self.files.append(file)
        return index

    def registered(self, row: Row) -> int:
        """Return the index of the registered file that *row* describes.

        A file may stand in several rows, once for each patch it overlaps: only what all rows agree on describes it.
        """
        filename, compression = str(row["filename"]), str(row.get("compression") or "")
        found = self.by_name.get(filename + compression)
        if found is not None:
            if found in self.made_by and filename + compression not in self.inputs.made:
                self.fault(
                    "F512",
                    f"'{filename + compression}' is registered as an input, and {self.maker(found)} makes it anew",
                    place_of_name(self.made_by[found][2]),
                    "let its pattern use ${reqnum} and ${attnum}, or keep the query from finding it",
                    alike=("made anew", found),
                )
            self._agree(found, row)
            return found
        if "path" in row and row["path"] is None:
            self.unlocated.append(filename + compression)
        size = row.get("filesize")
        return self.add(
            PlannedFile(
                filename=filename,
                compression=compression,
                filetype=str(row.get("filetype") or ""),
                archive_path=str(row.get("path") or ""),
                producer=0,
                size=int(size) if size is not None else None,
                checksum=str(row["checksum"]) if row.get("checksum") else None,
                metadata=metadata(row),
            )
        )

    def _agree(self, index: int, row: Row) -> None:
        file = self.files[index]
        if file.producer or not isinstance(file.metadata, dict):
            return
        for key, value in metadata(row).items():
            if (index, key) not in self._contested and file.metadata.setdefault(key, value) != value:
                del file.metadata[key]
                self._contested.add((index, key))


def place_of_name(spec: FileSpec | ListSpec) -> Value | Section:
    """Return where it is written how the files of a section are called."""
    full = spec.fullname if isinstance(spec, FileSpec) else None
    return spec.filename or full or spec.filepat or spec.section


class ListLine(NamedTuple):
    """A line of a list as a quantum sees it: its columns, and what is known of each of its files by nickname."""

    columns: Mapping[str, Scalar]
    own: Mapping[str, Mapping[str, Scalar]]

    def get(self, nick: str, column: str) -> Scalar:
        """Return column *column* of file *nick*, else of the line, or None."""
        value = self.own[nick].get(column) if nick in self.own else None
        return self.columns.get(column) if value is None else value


@dataclass(slots=True)
class Draft:
    """A quantum while it is being assembled."""

    wrapnum: int
    module: str
    keys: dict[str, Scalar]
    values: dict[str, Scalar]
    assigned: dict[str, list[int]] = field(default_factory=dict)
    inputs: dict[Use, None] = field(default_factory=dict)
    outputs: list[Use] = field(default_factory=list)
    lists: list[PlannedList] = field(default_factory=list)
    lines: dict[str, list[ListLine]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """``module key=value …``: how people are told about it."""
        return label(self.module, self.keys)

    def assign(self, section: str, index: int) -> None:
        """Note that file *index* serves *section*."""
        self.assigned.setdefault(section, []).append(index)

    def name(self, section: str, files: Sequence[tuple[str, str]]) -> None:
        """Make ``SECTION.fullname`` and ``.filename`` known: several files are joined by commas."""
        if len(files) == 1:
            full, name = files[0]
        else:
            full, name = ",".join([full for full, _ in files]), ",".join([name for _, name in files])
        self.values[section + ".fullname"], self.values[section + ".filename"] = full, name

"""Datasets: lines of files and columns, and their division by key (desdm.md §2.3, steps 2 to 6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from facade.files import natural_key
from facade.wcl.template import Scalar

Row = Mapping[str, Scalar]
Key = tuple[str, ...]

FILE_COLUMNS = frozenset(
    {"filename", "compression", "fullname", "filetype", "filesize", "checksum", "path", "desfile_id"}
)
"""Columns of a row that say which file it is; all others are metadata."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What planning is given besides the campaign: rows by dataset, and registered files by name.

    ``datasets`` maps ``module.file.x`` or ``module.list.l`` to lines (nickname -> row); ``names`` maps a file name with
    its compression to the registry's row, for inputs that the campaign names by pattern.
    ``times`` are the seconds that a quantum of a module took so far, where jobs are divided by that.
    """

    datasets: Mapping[str, Sequence[Mapping[str, Row]]] = field(default_factory=dict)
    names: Mapping[str, Row] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    made: Collection[str] = frozenset()
    """Files of the plan that are made already: rows may name them, and then mean those (`facade.plan.growth`)."""


Source = int | Row | None
"""A file of a line: one of the plan by index, a registered one by its row, or one still to be named by a pattern."""


class Line(NamedTuple):
    """One line of a dataset: files by nickname and the columns they agree on."""

    files: Mapping[str, Source]
    columns: Mapping[str, Scalar]


def metadata(row: Row) -> dict[str, Scalar]:
    """Return the columns of a row that describe the file, without those that identify it."""
    return {k: v for k, v in row.items() if v is not None and k not in FILE_COLUMNS}


class NoSingleValue(ValueError):
    """A line has no value, or several, where one is needed."""

    code = "F515"


def agreed(rows: Iterable[Mapping[str, Scalar]]) -> dict[str, Scalar]:
    """Return the columns that have one and the same value in all *rows*."""
    result: dict[str, Scalar] | None = None
    for row in rows:
        if result is None:
            result = {k: v for k, v in row.items() if v is not None}
        else:
            for key in [k for k, v in result.items() if row.get(k) != v]:
                del result[key]
    return result or {}


def key_of(columns: Mapping[str, Scalar], names: Sequence[str]) -> Key:
    """Return the values of *names* as comparable text: 7 and "7" are one key.

    Raises:
        KeyError: a column is missing.
    """
    return tuple(map(str, map(columns.__getitem__, names)))


@dataclass(slots=True)
class Dataset:
    """Lines of *what* (for messages), and their index by grouping keys (made once, on first use)."""

    lines: Sequence[Line]
    what: str = "the dataset"
    _index: dict[tuple[str, ...], dict[Key, list[Line]]] = field(default_factory=dict)

    def groups(self, names: tuple[str, ...]) -> dict[Key, list[Line]]:
        """Return the lines divided by *names*; order of lines is kept.

        Raises:
            NoSingleValue: a line lacks one of the columns.
        """
        found = self._index.get(names)
        if found is None:
            found = {}
            for line in self.lines:
                try:
                    found.setdefault(key_of(line.columns, names), []).append(line)
                except KeyError as missing:
                    has = ", ".join(line.columns) or "none"
                    raise NoSingleValue(
                        f"a line of {self.what} has no single value of '{missing.args[0]}'; its columns: {has}"
                    ) from None
            self._index[names] = found
        return found

    def tuples(self, names: tuple[str, ...]) -> list[tuple[Key, list[Line]]]:
        """Return (key, lines) in natural order of the keys. Raises NoSingleValue."""
        return sorted(self.groups(names).items(), key=lambda pair: natural_key(pair[0]))

    def select(self, names: tuple[str, ...], values: Mapping[str, Scalar]) -> Sequence[Line]:
        """Return the lines whose *names* equal those of *values*; all of them if there are no names.

        Raises:
            NoSingleValue: a line, or *values*, lacks one of the names.
        """
        if not names:
            return self.lines
        try:
            key = key_of(values, names)
        except KeyError as missing:
            has = ", ".join(name for name in values if "." not in name)
            lacks = f"of which the quantum has no single value; it has: {has}"
            raise NoSingleValue(f"{self.what} is divided by '{missing.args[0]}', {lacks}") from None
        return self.groups(names).get(key, ())

    @property
    def columns(self) -> frozenset[str]:
        """Every column that a line has."""
        return frozenset().union(*[line.columns for line in self.lines])

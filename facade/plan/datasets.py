"""Datasets: lines of files and columns, and their division by key (desdm.md §2.3, steps 2 to 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from facade.files import natural_key
from facade.wcl.scope import Scalar

Row = Mapping[str, Scalar]
Key = tuple[str, ...]

FILE_COLUMNS = frozenset(
    {"filename", "compression", "fullname", "filetype", "filesize", "checksum", "path", "desfile_id"}
)
"""Columns of a row that say which file it is; all others are metadata."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What planning is given besides the campaign: rows by dataset, and registered files by name.

    ``datasets`` maps ``module.file.x`` or ``module.list.l`` to lines (nickname -> row); ``names`` maps a file name with its
    compression to the registry's row, for inputs that the campaign names by pattern.
    """

    datasets: Mapping[str, Sequence[Mapping[str, Row]]] = field(default_factory=dict)
    names: Mapping[str, Row] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a dataset: files by nickname (None: still to be named by a pattern) and the columns they agree on."""

    files: Mapping[str, int | None]
    columns: Mapping[str, Scalar]


class NoSingleValue(ValueError):
    """A line has no value, or several, where one is needed."""


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
        NoSingleValue: a column is missing.
    """
    try:
        return tuple([str(columns[name]) for name in names])
    except KeyError as missing:
        raise NoSingleValue(f"no single value of '{missing.args[0]}'; columns: {', '.join(columns)}") from None


@dataclass(slots=True)
class Dataset:
    """Lines, and their index by grouping keys (made once, on first use)."""

    lines: Sequence[Line]
    _index: dict[tuple[str, ...], dict[Key, list[Line]]] = field(default_factory=dict)

    def groups(self, names: tuple[str, ...]) -> dict[Key, list[Line]]:
        """Return the lines divided by *names*; order of lines is kept. Raises NoSingleValue."""
        found = self._index.get(names)
        if found is None:
            found = {}
            for line in self.lines:
                found.setdefault(key_of(line.columns, names), []).append(line)
            self._index[names] = found
        return found

    def tuples(self, names: tuple[str, ...]) -> list[tuple[Key, list[Line]]]:
        """Return (key, lines) in natural order of the keys."""
        return sorted(self.groups(names).items(), key=lambda pair: natural_key(pair[0]))

    def select(self, names: tuple[str, ...], values: Mapping[str, Scalar]) -> Sequence[Line]:
        """Return the lines whose *names* equal those of *values*; all of them if there are no names."""
        return self.groups(names).get(key_of(values, names), ()) if names else self.lines

"""Tables for the registry's dimensions: CSV, columns of words, or a FITS table; each column checked, with its line.

The format is told by the content: a FITS file, else a text. A text whose name ends in ``.csv`` has commas between its
cells and the names of its columns on the first line; any other has blanks between them, names behind a ``#`` on the
first line (or the usual order, if there are none), and ``#`` before comments. Columns that the dimension has not are
passed by.
"""

from __future__ import annotations

import csv
import datetime
import difflib
import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from astropy.io import fits as astropy_fits

from facade.errors import InputError, Location
from facade.plugins import Scalar

Cells = Mapping[str, object]

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}$")
ALIKE = 0.6
"""How alike a column and one that is missing are if the one is taken for the other misspelt."""


def whole(value: object) -> int:
    """Read a whole number."""
    if isinstance(value, bool) or not (isinstance(value, int) or _WHOLE.match(str(value))):
        raise ValueError("is no whole number")
    return int(str(value))


def number(value: object) -> float:
    """Read a number."""
    try:
        found = float(str(value))
    except ValueError:
        raise ValueError("is no number") from None
    if not math.isfinite(found):
        raise ValueError("is no number")
    return found


def word(value: object) -> str:
    """Read a text."""
    text = str(value)
    if not text.isprintable():
        raise ValueError("holds a control character")
    return text


def date(value: object) -> str:
    """Read a day, of which ``2013-06-17T10:00:00`` tells more than is wanted."""
    try:
        return datetime.date.fromisoformat(str(value).partition("T")[0]).isoformat()
    except ValueError:
        raise ValueError("is no date such as 2013-06-17") from None


def with_patchname(row: dict[str, Scalar]) -> dict[str, Scalar]:
    """Add the name of the patch for file names, in which a comma would separate."""
    return {**row, "patchname": str(row["patch"]).replace(",", "x")}


class Dimension:
    """An ingestor of files that fill the dimension table *name*.

    *columns* are its columns in their usual order, each with what reads it; of those in *defaults* a row may have none.
    *complete* adds what follows from the others, or raises ValueError if they contradict each other.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, Callable[[object], Scalar]],
        *,
        defaults: Mapping[str, Scalar] | None = None,
        complete: Callable[[dict[str, Scalar]], dict[str, Scalar]] = lambda row: row,
    ) -> None:
        self.name, self.columns, self.complete = name, columns, complete
        self.defaults = {"version": None, **(defaults or {})}

    def metadata(self, path: Path, columns: Mapping[str, str]) -> dict[str, Scalar]:
        """Return None for every column: what matters is in `contents`."""
        return dict.fromkeys(columns)

    def contents(self, path: Path) -> tuple[str, list[dict[str, Scalar]]]:
        """Return the rows of the file, for the dimension table.

        Raises:
            InputError: the file is no such table; the message has the line.
        """
        rows: list[dict[str, Scalar]] = []
        seen: dict[tuple[Scalar, ...], int] = {}
        for place, cells in self.cells(path):
            row = self.row(cells, place)
            first = seen.setdefault(tuple(row.values()), place.line)
            if first != place.line:
                raise InputError(f"the same row stands on line {first}", location=place)
            rows.append(row)
        return self.name, rows

    def cells(self, path: Path) -> Iterator[tuple[Location, Cells]]:
        """Yield place and cells of each row."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        if data.startswith(b"SIMPLE  ="):
            yield from self.fits(path)
            return
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is no table for {self.name}: it is not text") from error
        yield from self.commas(path, text) if path.suffix.lower() == ".csv" else self.words(path, text)

    def commas(self, path: Path, text: str) -> Iterator[tuple[Location, Cells]]:
        """Yield the rows of a text with commas."""
        reader = csv.reader(io.StringIO(text), strict=True)
        names: list[str] = []
        try:
            for cells in reader:
                place = Location(str(path), reader.line_num)
                if not any(cell.strip() for cell in cells):
                    continue
                if not names:
                    names = [cell.strip().removeprefix("#").strip().lower() for cell in cells]
                    self.check(names, place)
                    continue
                if len(cells) != len(names):
                    raise InputError(
                        f"expected {len(names)} cells ({', '.join(names)}), found {len(cells)}", location=place
                    )
                yield place, dict(zip(names, (cell.strip() for cell in cells), strict=True))
        except csv.Error as error:
            raise InputError(f"this is no CSV: {error}", location=Location(str(path), reader.line_num)) from None

    def words(self, path: Path, text: str) -> Iterator[tuple[Location, Cells]]:
        """Yield the rows of a text with blanks between its cells."""
        names = [name for name in self.columns if name not in self.defaults]
        started = False
        for number_of, line in enumerate(text.split("\n"), 1):
            place, cells = Location(str(path), number_of), line.split()
            if line.lstrip().startswith("#") or not cells:
                header = line.lstrip().removeprefix("#").lower().split()
                if not started and header and set(header) & set(self.columns) == set(header) and len(header) > 1:
                    self.check(header, place)
                    names, started = header, True
                continue
            started = True
            if len(cells) != len(names):
                raise InputError(
                    f"expected {len(names)} columns ({' '.join(names)}), found {len(cells)}", location=place
                )
            yield place, dict(zip(names, cells, strict=True))

    def fits(self, path: Path) -> Iterator[tuple[Location, Cells]]:
        """Yield the rows of the first table of a FITS file; its lines are rows, counted from 1."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with astropy_fits.open(path, mode="readonly", memmap=False) as hdus:
                    tables = [hdu for hdu in hdus if isinstance(hdu, astropy_fits.BinTableHDU | astropy_fits.TableHDU)]
                    names = [str(name).lower() for name in tables[0].columns.names] if tables else []
                    columns = [tables[0].data.field(index).tolist() for index in range(len(names))]
        except Exception as error:  # astropy raises nearly anything for a damaged file
            raise InputError(f"{path} is a damaged FITS file: {error or type(error).__name__}") from error
        self.check(names, Location(str(path), 1))
        for index, cells in enumerate(zip(*columns, strict=True), 1):
            yield Location(str(path), index), {n: _plain(cell) for n, cell in zip(names, cells, strict=True)}

    def check(self, names: Sequence[str], place: Location) -> None:
        """Check that all columns are there that must be, and that none is misspelt."""
        lacks = [name for name in self.columns if name not in names and name not in self.defaults]
        known = [*self.columns, *self.defaults]
        for name in names:
            absent = [one for one in known if one not in names]
            if name not in known and (close := difflib.get_close_matches(name, absent, n=1, cutoff=ALIKE)):
                raise InputError(f"column {name!r} is not known", remedy=f"did you mean {close[0]!r}?", location=place)
        if lacks or len(set(names)) < len(names):
            what = f"has no column {' and '.join(map(repr, lacks))}" if lacks else "has a column twice"
            raise InputError(f"a table for {self.name} {what}", remedy=f"columns: {', '.join(known)}", location=place)

    def row(self, cells: Cells, place: Location) -> dict[str, Scalar]:
        """Read one row."""
        row: dict[str, Scalar] = {}
        for name, read in self.columns.items():
            value = cells.get(name)
            if value is None or value == "":
                if name not in self.defaults:
                    raise InputError(f"{name} has no value", location=place)
                row[name] = self.defaults[name]
                continue
            try:
                row[name] = read(value)
            except ValueError as error:
                raise InputError(f"{name} {value!r} {error}", location=place) from None
        if "version" not in self.columns and cells.get("version"):
            row["version"] = word(cells["version"])
        try:
            return self.complete(row)
        except ValueError as error:
            raise InputError(str(error), location=place) from None


def _plain(cell: Any) -> object:
    """Return a cell of a FITS table: blank and not-a-number are no value."""
    if isinstance(cell, str):
        return cell.strip() or None
    return None if isinstance(cell, float) and math.isnan(cell) else cell

"""The rows of a catalogue as lines for COPY: FITS tables, CSV and Parquet, by the definition of the filetype.

The format is told by the content. A column of the definition is looked for under its own name or that of its source
(``column:NAME``), whatever the case of its letters; ``column:NAME[2]`` is the second value of a column that has
several. Blank cells, nulls and not-a-number are no value.
"""

from __future__ import annotations

import csv
import errno
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from facade.errors import InputError, Location
from facade.files import COLUMN, FileType
from facade.metadata import INTEGERS, typed
from facade.wcl import did_you_mean

BLOCK = 50_000
"""Rows that are in memory at a time."""
NOTHING = "\\N"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PLACE = re.compile(r"(?P<name>.+?)(?:\[(?P<index>[1-9][0-9]*)\])?$")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
Columns = Sequence[Sequence[Any]]


class _Wanted:
    """A column of the definition, and where it is in the file."""

    def __init__(self, name: str, kind: str, source: str) -> None:
        found = _PLACE.match(source.removeprefix(COLUMN).strip() or name)
        assert found is not None
        self.name, self.kind, self.column = name, kind, found["name"].strip()
        self.index = int(found["index"]) if found["index"] else 0


def spooled(path: Path, filetype: FileType, folder: Path | None) -> tuple[Path | None, int]:
    """Write the rows of the catalogue at *path* into a new file in *folder*, each with its number; return that file,
    and how many rows there are. Without a *folder* they are only looked at.

    Raises:
        InputError: it is no catalogue, lacks a column, or a cell holds what its column cannot.
    """
    wanted = [_Wanted(*one) for one in filetype.contents]
    if folder is None:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            return None, _write(nowhere, path, wanted, filetype.contents_hdu)
    handle, name = tempfile.mkstemp(dir=folder, prefix="rows.")
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as spool:
            return Path(name), _write(spool, path, wanted, filetype.contents_hdu)
    except BaseException as error:
        os.unlink(name)
        if isinstance(error, OSError) and error.errno in FULL:
            what = f"no room for the rows of {path} in {folder.parent}: {error.strerror}"
            raise InputError(what, remedy="make room there, or name another folder: TMPDIR=FOLDER") from error
        raise


def _write(spool: IO[str], path: Path, wanted: Sequence[_Wanted], hdu: str) -> int:
    rows = 0
    for columns in _blocks(path, wanted, hdu):
        texts = [_texts(path, one, values, rows) for one, values in zip(wanted, columns, strict=True)]
        numbers = range(rows + 1, rows + 1 + len(texts[0]))
        spool.writelines(["\t".join(row) + "\n" for row in zip(map(str, numbers), *texts, strict=True)])
        rows += len(texts[0])
    return rows


def _blocks(path: Path, wanted: Sequence[_Wanted], hdu: str) -> Iterator[Columns]:
    """Yield some rows after the other, as the values of each wanted column."""
    with open(path, "rb") as stream:
        start = stream.read(9)
    if start.startswith(b"SIMPLE  ="):
        return _fits(path, wanted, hdu)
    return _parquet(path, wanted) if start.startswith(b"PAR1") else _commas(path, wanted)


def _found(path: Path, wanted: Sequence[_Wanted], names: Sequence[str]) -> list[int]:
    """Return which of the columns *names* of a file are wanted."""
    known = {name.lower(): at for at, name in reversed(list(enumerate(names)))}
    lacks = [one.column for one in wanted if one.column.lower() not in known]
    if lacks:
        hint = did_you_mean(lacks[0].lower(), known) or f"it has: {', '.join(names[:40])}"
        raise InputError(f"{path} has no column {' and '.join(map(repr, lacks))}", remedy=hint)
    return [known[one.column.lower()] for one in wanted]


def _fits(path: Path, wanted: Sequence[_Wanted], hdu: str) -> Iterator[Columns]:
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path, mode="readonly", memmap=True) as hdus:
                tables = [one for one in hdus if isinstance(one, fits.BinTableHDU | fits.TableHDU)]
                if hdu:
                    tables = [hdus[int(hdu) if hdu.isdecimal() else hdu]]
                if not tables or not hasattr(tables[0], "columns"):
                    raise InputError(f"{path} has no table{f' in HDU {hdu}' if hdu else ''}")
                table, columns = tables[0], tables[0].columns
                places = _found(path, wanted, list(columns.names))
                for at in range(0, len(table.data), BLOCK):
                    block = table.data[at : at + BLOCK]
                    yield [
                        _cells(path, one, block.field(place), columns[place].null)
                        for one, place in zip(wanted, places, strict=True)
                    ]
    except InputError:
        raise
    except Exception as error:  # astropy raises nearly anything for a damaged file
        raise InputError(f"{path} is a damaged FITS file: {error or type(error).__name__}") from error


def _cells(path: Path, one: _Wanted, values: Any, null: Any) -> Sequence[Any]:
    """Return the cells of a column of a FITS table as Python's own values."""
    several = values.ndim > 1 and values.shape[1:] != (1,)
    if several or one.index:
        if not one.index or values.ndim != 2 or one.index > values.shape[1]:
            has = " x ".join(map(str, values.shape[1:])) or "one"
            remedy = f"write column:{one.column}[1] for the first of them"
            raise InputError(f"{path}: column {one.column!r} has {has} values in each row", remedy=remedy)
        values = values[:, one.index - 1]
    cells: list[Any] = values.ravel().tolist()
    return [None if cell == null else cell for cell in cells] if isinstance(null, int) else cells


def _parquet(path: Path, wanted: Sequence[_Wanted]) -> Iterator[Columns]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise InputError(f"{path}: Parquet cannot be read here", remedy="pip install 'facade[parquet]'") from error
    try:
        with ParquetFile(path, memory_map=True) as file:
            names = list(file.schema_arrow.names)
            places = _found(path, wanted, names)
            for block in file.iter_batches(BLOCK, columns=sorted({names[place] for place in places})):
                yield [
                    _of_list(path, one, block.column(names[at]).to_pylist())
                    for one, at in zip(wanted, places, strict=True)
                ]
    except (ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path} is a damaged Parquet file: {str(error).partition(chr(10))[0]}") from error


def _of_list(path: Path, one: _Wanted, values: list[Any]) -> list[Any]:
    if not one.index:
        return values
    try:
        return [None if value is None else value[one.index - 1] for value in values]
    except (TypeError, IndexError):
        raise InputError(f"{path}: column {one.column!r} has no {one.index} values in each row") from None


def _commas(path: Path, wanted: Sequence[_Wanted]) -> Iterator[Columns]:
    with open(path, encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            names = [name.strip().removeprefix("#").strip() for name in next(reader, [])]
            places = _found(path, wanted, names)
            block: list[list[str]] = []
            for cells in reader:
                if len(cells) != len(names) and any(cells):
                    what = f"expected {len(names)} cells, found {len(cells)}"
                    raise InputError(what, location=Location(str(path), reader.line_num))
                if cells and any(cells):
                    block.append([cells[place].strip() for place in places])
                if len(block) == BLOCK:
                    yield list(zip(*block, strict=True))
                    block = []
            if block:
                yield list(zip(*block, strict=True))
        except csv.Error as error:
            raise InputError(f"this is no CSV: {error}", location=Location(str(path), reader.line_num)) from None
        except UnicodeDecodeError:
            raise InputError(f"{path} is no catalogue: neither FITS, nor Parquet, nor text") from None


def _texts(path: Path, one: _Wanted, values: Sequence[Any], before: int) -> list[str]:
    """Return the cells of a column as COPY reads them; *before* rows came before these."""
    types = set(map(type, values)) - {type(None)}
    if one.kind == "float" and types <= {int, float}:
        return [NOTHING if v is None or v != v else repr(v) for v in values]
    if one.kind in INTEGERS and types <= {int}:
        limit = 1 << INTEGERS[one.kind]
        if all(v is None or -limit <= v < limit for v in values):
            return [NOTHING if v is None else str(v) for v in values]
    return [_text(path, one, value, before + at) for at, value in enumerate(values, 1)]


def _text(path: Path, one: _Wanted, value: Any, row: int) -> str:
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return NOTHING
    if isinstance(value, str) and one.kind != "text":
        value = truth(value) if one.kind == "bool" else value.strip()
    if not isinstance(value, str | int | float | bool):
        value = value.isoformat() if hasattr(value, "isoformat") else str(value)
    try:
        text = str(typed(value, one.kind))
        if "\0" in text:
            raise InputError("it holds a NUL")
        text.encode()
    except (InputError, UnicodeEncodeError) as error:
        what = error.message if isinstance(error, InputError) else "it is no text"
        raise InputError(
            f"{path}: row {row}: {one.column}: {what}", remedy=f"the filetype says it is {one.kind}"
        ) from None
    return NOTHING if text == "nan" else text.rstrip().translate(_ESCAPES)


def truth(text: str) -> bool | str:
    """Return what a text says that is true or false; else the text."""
    known: Mapping[str, bool] = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    return known.get(text.strip().lower(), text)

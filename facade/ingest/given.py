"""Which files are to be ingested: arguments, globs, folders, lists and manifests as one sequence, each file once."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from facade.errors import FacadeError, InputError, Location
from facade.plugins import Scalar
from facade.wcl import did_you_mean

GLOB = re.compile(r"[*?\[]")
CHECKSUM = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})$")
LONGEST = 4095
"""Bytes that a path may have."""
FIELDS = ("path", "size", "checksum")
"""What a manifest may say of a file besides metadata; only the path must be there."""


_NOTHING: Mapping[str, Scalar] = {}


@dataclass(frozen=True, slots=True)
class Given:
    """A file to ingest, and what is said of it: size in bytes and SHA-256 that it should have, metadata; and where."""

    path: Path
    size: int | None = None
    checksum: str | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=lambda: _NOTHING)
    place: Location | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """All files that the operator named, each once, and what named none."""

    files: Sequence[Given]
    faults: Sequence[tuple[str, FacadeError]]
    """(what was named, what is wrong with it)"""


def gather(
    words: Sequence[str], lists: Sequence[str] = (), manifests: Sequence[str] = (), columns: Collection[str] = ()
) -> Wanted:
    """Return the files that *words* (files, globs, folders), *lists* (a path a line; ``-``: standard input) and
    *manifests* (CSV, or JSON a line) name, in that order; of a folder all files below it, by name.

    *columns* are the metadata that a manifest may have.

    Raises:
        InputError: a list or manifest cannot be read, or is none.
    """
    files: dict[str, Given] = {}
    faults: list[tuple[str, FacadeError]] = []

    def blind(error: OSError) -> None:
        what = f"cannot look into {error.filename}: {error.strerror}"
        faults.append((str(error.filename), InputError(what, remedy="nothing below it was found")))

    named: list[tuple[str, Callable[[], Iterable[Given]]]] = [(word, partial(_named, word, blind)) for word in words]
    named += [("", partial(_listed, one)) for one in lists]
    named += [("", partial(_manifest, one, columns)) for one in manifests]
    for what, found in named:
        try:
            for file in found():
                text = str(file.path)  # of a million, most are written in full
                files.setdefault(text if text.startswith("/") else os.path.abspath(text), file)
        except FacadeError as error:
            if not what:
                raise
            faults.append((what, error))
    return Wanted(list(files.values()), faults)


def _named(word: str, blind: Callable[[OSError], None]) -> Iterable[Given]:
    """Return the files that one argument names; what is there under that very name is no glob. *blind* is told of
    folders that cannot be looked into."""
    path = Path(word)
    if path.is_dir():
        found: Iterable[Path] = _below(path, blind)
    elif GLOB.search(word) and not os.path.lexists(word):
        found = [Path(name) for name in sorted(glob.glob(word, recursive=True)) if not os.path.isdir(name)]
        if not found:
            raise InputError(
                f"{word}: no file fits", remedy="** stands for any number of folders; hidden files do not count"
            )
    else:
        found = [path]
    return [Given(one) for one in found]


def _below(folder: Path, blind: Callable[[OSError], None]) -> Iterator[Path]:
    """Yield the files below a folder by name; hidden ones, and what is in hidden folders, are passed over."""
    none = True

    def stop(error: OSError) -> None:
        nonlocal none
        none = False  # there may be some
        blind(error)

    for where, folders, names in os.walk(folder, onerror=stop):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            none = False
            yield Path(where, name)
    if none:
        raise InputError(f"{folder}: no file is in this folder")


def _text(name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error
    return data.decode("utf-8-sig", "surrogateescape")  # a name may be no UTF-8, and is told as that file's fault


def _listed(name: str) -> Iterator[Given]:
    """Yield the files of a list of paths, one a line; empty lines are passed over."""
    for number, line in enumerate(_text(name).split("\n"), 1):
        if text := line.rstrip("\r"):
            place = Location(_called(name), number)
            if "\0" in text or len(text) > LONGEST:
                raise InputError("this line is no path", remedy="a list has a path a line", location=place)
            yield Given(Path(text), place=place)


def _called(name: str) -> str:
    return "standard input" if name == "-" else name


def _manifest(name: str, columns: Collection[str]) -> Iterator[Given]:
    """Yield the files of a manifest, CSV with names of columns in its first line, or a JSON object a line."""
    text, name = _text(name), _called(name)
    rows = _objects(name, text) if text.lstrip()[:1] == "{" else _cells(name, text)
    for place, row in rows:
        for key in row:
            if key not in FIELDS and key not in columns:
                known = [*FIELDS, *columns]
                remedy = did_you_mean(key, known) or f"columns: {', '.join(known)}"
                raise InputError(f"a manifest of this filetype has no column {key!r}", remedy=remedy, location=place)
        yield _given(place, row)


def _given(place: Location, row: Mapping[str, Scalar]) -> Given:
    path, size, checksum = (row.get(key) for key in FIELDS)
    if not isinstance(path, str) or not path:
        raise InputError("no path", remedy="the column 'path' names the file", location=place)
    if size not in (None, "") and (
        isinstance(size, bool | float) or not str(size).isascii() or not str(size).isdigit()
    ):
        raise InputError(f"size {size!r} is no number of bytes", location=place)
    found = CHECKSUM.match(str(checksum)) if checksum else None
    if checksum and not found:
        raise InputError(f"checksum {checksum!r} is no SHA-256", remedy="it has 64 hexadecimal digits", location=place)
    metadata = {key: value for key, value in row.items() if key not in FIELDS and value not in (None, "")}
    number = None if size in (None, "") else int(str(size))
    return Given(Path(path), number, found[1].lower() if found else None, metadata, place)


def _objects(name: str, text: str) -> Iterator[tuple[Location, dict[str, Scalar]]]:
    for number, line in enumerate(text.split("\n"), 1):
        place = Location(name, number)
        if not line.strip():
            continue
        try:
            found: Any = json.loads(line)
        except ValueError as error:
            raise InputError(f"this is no JSON: {error}", location=place) from None
        if not isinstance(found, dict):
            raise InputError("a line of a manifest is a JSON object", location=place)
        for key, value in found.items():
            if value is not None and not isinstance(value, str | int | float | bool):
                raise InputError(f"{key} is no text, number or bool", location=place)
        yield place, {str(key).strip().lower(): value for key, value in found.items()}


def _cells(name: str, text: str) -> Iterator[tuple[Location, dict[str, Scalar]]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            place = Location(name, reader.line_num)
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip().lower() for cell in cells]
                if "path" not in names or len(set(names)) < len(names):
                    what = "has a column twice" if "path" in names else "has no column 'path'"
                    raise InputError(f"the manifest {what}", remedy="its first line names the columns", location=place)
                continue
            if len(cells) != len(names):
                raise InputError(f"expected {len(names)} cells, found {len(cells)}", location=place)
            yield place, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise InputError(f"this is no CSV: {error}", location=Location(name, reader.line_num)) from None

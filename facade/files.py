"""What a file is called and where it lies.

A file's identity is (filename, compression); ``compression`` is "" or a suffix such as ``.fz`` after the filename.
Inside a job it lies at ``path/filename+compression``, in an archive below the archive's root likewise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from facade.metadata import FILENAME, NO_DETAIL, Detail
from facade.wcl.template import Scalar

COMPRESSIONS = (".fz", ".gz", ".zst", ".bz2")
MAX_NAME = 255  # bytes; the limit of every file system an archive is likely to lie on

WCL = "wcl:"
COLUMN = "column:"

_UNFIT = re.compile(r"[/\x00-\x1f]")
_NUMBER = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileType:
    """What is recorded about files of one type: the metadata table and its columns, each (type, source).

    ``source`` is "" (known from planning or given by the ingestor), ``wcl:NAME`` (likewise, under another name),
    ``header:[HDU:]KEY``, ``filename:PATTERN[:NAME]`` or ``function:NAME``.
    """

    name: str
    metadata_table: str = ""
    ingestor: str = "plain"
    columns: tuple[tuple[str, str, str], ...] = ()
    archive_path: str = ""
    """Template of the directory below the archive root, for files that are ingested."""
    details: Mapping[str, Detail] = field(default_factory=dict)
    """What is said of a column besides type and source, if anything is."""
    contents_table: str = ""
    """The table for the rows of such files, if they are catalogues."""
    contents: tuple[tuple[str, str, str], ...] = ()
    """Its columns, each (name, type, source): "" (the same name in the file) or ``column:NAME``."""
    contents_hdu: str = ""
    """Name or number of the HDU that has the rows; "" for the first table."""

    @property
    def contents_types(self) -> dict[str, str]:
        """Columns of the table for the rows -> type."""
        return {name: kind for name, kind, _ in self.contents}

    @property
    def planned(self) -> tuple[tuple[str, str], ...]:
        """Columns that planning fills, each with the name of the variable, key or column that it is filled from.

        What an output's name tells is what planning made the name of.
        """
        return tuple(
            (column, planned_name(column, source))
            for column, _, source in self.columns
            if not source or source.startswith((WCL, FILENAME))
        )

    def detail(self, column: str) -> Detail:
        """Return what is said of *column* besides type and source."""
        return self.details.get(column, NO_DETAIL)

    @property
    def required(self) -> tuple[tuple[str, str], ...]:
        """Columns that must have a value, each with its source."""
        return tuple((column, source) for column, _, source in self.columns if self.detail(column).required)

    def definition(self) -> dict[str, object]:
        """Return the plain form that capsules and the registry use (docs/contracts.md)."""
        return {
            "metadata_table": self.metadata_table,
            "columns": {
                name: {"type": kind, "source": source, **self.detail(name).said()}
                for name, kind, source in self.columns
            },
        }


def planned_name(column: str, source: str) -> str:
    """Return the name under which planning knows the value of a column."""
    if source.startswith(FILENAME):
        return source.removeprefix(FILENAME).partition(":")[2].strip().lower() or column
    return source.removeprefix(WCL).strip().lower() or column


def split_compression(name: str) -> tuple[str, str]:
    """Split a file name: ``a.fits.fz`` -> (``a.fits``, ``.fz``); a suffix counts only after another one."""
    if not name.endswith(COMPRESSIONS):
        return name, ""
    for suffix in COMPRESSIONS:
        stem = name.removesuffix(suffix)
        if stem != name and "." in stem:
            return stem, suffix
    return name, ""


def join(path: str, name: str) -> str:
    """Return ``path/name``, or the name alone for the top directory."""
    return f"{path}/{name}" if path else name


@lru_cache(maxsize=65536)
def clean_path(path: str) -> str | None:
    """Return a relative directory in its plainest spelling, or None if it leaves its root."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        return None
    return "/".join(parts)


def is_text(text: str) -> bool:
    """Say whether a database can hold *text*: it has no NULs, and no bytes of a file name that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def name_fault(name: str) -> str | None:
    """Say what is wrong with *name* as a file name, or None if nothing is."""
    if 2 < len(name) < MAX_NAME and name.isascii() and name.isprintable() and "/" not in name:
        return None  # as nearly every name is; to see that costs a quarter of what follows
    if not name or name in (".", ".."):
        return "is empty"
    if _UNFIT.search(name):
        return "holds a slash or a control character"
    if len(name.encode()) > MAX_NAME:
        return f"is longer than {MAX_NAME} bytes"
    return None


@lru_cache(maxsize=65536)
def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    # every second piece is a number; the longer of two numbers is the greater one once leading zeros are gone
    return tuple(
        (0, len(piece.lstrip("0")), piece.lstrip("0") + piece) if index % 2 else (1, 0, piece)
        for index, piece in enumerate(_NUMBER.split(text))
        if piece
    )


def natural_key(values: tuple[Scalar, ...]) -> tuple[object, ...]:
    """Return a sort key in which ``9`` comes before ``10``, in numbers and inside texts."""
    return tuple([_natural("" if v is None else str(v)) for v in values])

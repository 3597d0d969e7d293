"""Columns of metadata and contents: types and names, what a definition says of one, values as their column has them."""

from __future__ import annotations

import datetime
import re
from typing import NamedTuple

from facade.errors import InputError
from facade.wcl.template import Scalar

INTEGERS = {"smallint": 15, "int": 31, "bigint": 63}
"""Types of whole numbers -> how many bits a value has without its sign."""
TIMES = ("date", "timestamp")
COLUMN_TYPES = ("text", *INTEGERS, "float", "bool", *TIMES)
"""A ``timestamp`` knows its time zone (UTC, if none is written)."""
STORED = {
    "text": "text",
    "smallint": "smallint",
    "int": "integer",
    "bigint": "bigint",
    "float": "double precision",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamp with time zone",
}
"""Types of columns -> what PostgreSQL calls them."""
KINDS = {stored: kind for kind, stored in STORED.items()}
NAME = re.compile(r"[a-z][a-z0-9_]{0,58}")
"""Names of tables and columns; PostgreSQL cuts them off at 63, and constraints add their own ends."""

FILENAME = "filename:"
RESERVED = frozenset({"desfile_id", "filename", "compression", "filetype", "filesize", "checksum", "path"})
"""What is known of every file, and so is no column of metadata."""


class Detail(NamedTuple):
    """What a definition says of a column besides type and source."""

    required: bool = False
    unit: str = ""
    ucd: str = ""
    """IVOA's word for the quantity (Unified Content Descriptor)."""
    description: str = ""

    def said(self) -> dict[str, object]:
        """Return what is not left open."""
        return {name: value for name, value in self._asdict().items() if value}


NO_DETAIL = Detail()


def typed(value: Scalar, kind: str) -> Scalar:
    """Return *value* as a column of type *kind* has it; None stays None, times are written as ISO 8601 does.

    >>> typed("16", "int"), typed(16, "text"), typed("2013-06-17T10:00:00", "date")
    (16, '16', '2013-06-17')

    Raises:
        InputError: the value is of another kind, or has no room there.
    """
    if value is None:
        return None
    try:
        if kind in INTEGERS:
            return _whole(value, INTEGERS[kind])
        if kind == "float":
            return float(value)
        if kind in TIMES:
            return _moment(str(value), kind)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{value!r} is no {kind}") from error
    if kind == "bool" and not isinstance(value, bool):
        raise InputError(f"{value!r} is no bool")
    return str(value) if kind == "text" else value


def missing(name: str, source: str, file: str) -> str:
    """Say that *file* lacks the value of a required column, and where that should have come from."""
    said = f"{file}: required column '{name}' has no value"
    origins = {
        "header:": "its header has no",
        FILENAME: "its name does not fit",
        "function:": "none is computed by",
    }
    for prefix, words in origins.items():
        if source.startswith(prefix):
            return f"{said}: {words} {source.removeprefix(prefix).strip()}"
    return f"{said}: there is no '{source.removeprefix('wcl:').strip() or name}'"


def _whole(value: Scalar, bits: int) -> int:
    assert value is not None
    number = int(value)
    if not isinstance(value, str) and number != value:
        raise ValueError
    if not -(1 << bits) <= number < 1 << bits:
        raise OverflowError
    return number


def _moment(text: str, kind: str) -> str:
    text = text.strip()
    if kind == "date":
        return datetime.date.fromisoformat(text.partition("T")[0]).isoformat()
    found = datetime.datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).isoformat()

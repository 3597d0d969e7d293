"""Overlap tables: which CCDs of which visits cover which patch of the sky; a text of five columns.

The columns are ``tract patch visit ccd filter``, as in ``0 0,1 903334 16 HSC-I``; lines with ``#`` are comments.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from facade.errors import InputError, Location
from facade.plugins import Scalar

COLUMNS = ("tract", "patch", "visit", "ccd", "filter")


def metadata(path: Path, columns: Mapping[str, str]) -> dict[str, Scalar]:
    """Return None for every column: what matters is in `contents`."""
    return dict.fromkeys(columns)


def contents(path: Path) -> tuple[str, list[dict[str, Scalar]]]:
    """Return the rows of the table, with `patchname` (``0x1`` for patch ``0,1``), for the dimension table ``overlap``.

    Raises:
        InputError: the file is no such table; the message has the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not an overlap table: it is not text") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    rows: list[dict[str, Scalar]] = []
    seen: dict[tuple[Scalar, ...], int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        place = Location(str(path), number)
        row = _row(line.split(), place)
        first = seen.setdefault(tuple(row.values()), number)
        if first != number:
            raise InputError(f"the same row stands on line {first}", location=place)
        rows.append(row)
    return "overlap", rows


def _row(words: list[str], place: Location) -> dict[str, Scalar]:
    if len(words) != len(COLUMNS):
        raise InputError(f"expected {len(COLUMNS)} columns ({' '.join(COLUMNS)}), found {len(words)}", location=place)
    tract, patch, visit, ccd, band = words
    numbers = {}
    for name, word in (("tract", tract), ("visit", visit), ("ccd", ccd)):
        try:
            numbers[name] = int(word)
        except ValueError as error:
            raise InputError(f"{name} {word!r} is no whole number", location=place) from error
    return {
        "tract": numbers["tract"],
        "patch": patch,
        "patchname": patch.replace(",", "x"),
        "visit": numbers["visit"],
        "ccd": numbers["ccd"],
        "filter": band,
    }

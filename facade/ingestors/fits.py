"""FITS files: metadata columns whose source is ``header:KEY`` or ``header:EXTNAME:KEY``.

The only module that reads FITS headers; other ingestors and the job (for outputs) use `headers`.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from astropy.io import fits as astropy_fits

from facade.errors import InputError
from facade.ingestors import _corners
from facade.metadata import typed as typed
from facade.plugins import Scalar

PREFIX = "header:"
BLOCK = 2880
"""Bytes that the length of a FITS file is a multiple of."""


def metadata(path: Path, columns: Mapping[str, str]) -> dict[str, Scalar]:
    """Return the header values that *columns* ask for; None for columns with another source or without a value.

    Columns ``rac1`` ``decc1`` … ``decc4`` without a source are the corners of the image on the sky.
    """
    values = headers(path, {name: source for name, source in columns.items() if source.startswith(PREFIX)})
    if names := _corners.wanted(columns):
        values |= _corners.corners(path, names)
    return {name: values.get(name) for name in columns}


def contents(path: Path) -> tuple[str, list[dict[str, Scalar]]] | None:
    """Return None: the contents go into no table."""
    return None


def headers(path: Path, sources: Mapping[str, str]) -> dict[str, Scalar]:
    """Read ``header:[HDU:]KEY`` values, of an HDU by name or number; None where the key or the HDU is absent.

    Without HDU the primary header is asked, then the first extension, where compressed images keep their header.

    Raises:
        InputError: *path* is not a readable FITS file, or ends in the data of an HDU that was looked into; or a source
            is not written as above.
    """
    places = {name: _place(name, source) for name, source in sources.items()}
    try:
        with open(path, "rb") as stream:
            start = stream.read(30)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if not start.startswith(b"SIMPLE  ="):
        raise InputError(f"{path} is not a FITS file: {_kind(start)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with astropy_fits.open(path, mode="readonly", memmap=False, lazy_load_hdus=True) as hdus:
                values = {name: _value(hdus, *place) for name, place in places.items()}
                check_whole(hdus, path.stat().st_size)
                return values
    except Exception as error:  # astropy raises nearly anything for a damaged file
        raise InputError(f"{path} is a damaged FITS file: {error or type(error).__name__}") from error


def check_whole(hdus: Any, size: int) -> None:
    """Raise ValueError if a file of *size* bytes ends in the data of an HDU that is loaded.

    A last block that is not full may be: not all that write FITS fill it.
    """
    for number, hdu in enumerate(list.__iter__(hdus)):  # the list itself would load all others
        where = hdu.fileinfo()
        if where and where["datLoc"] + where["datSpan"] - size >= BLOCK:
            raise ValueError(f"it ends in the data of HDU {number}, after {size} bytes")


def required(header: Mapping[str, Scalar], key: str) -> str:
    """Return what a header says under *key*, as text.

    Raises:
        InputError: nothing.
    """
    value = header[key]
    if value is None:
        raise InputError(f"its header has no {key}")
    return str(value)


def degrees(header: Mapping[str, Scalar], key: str, unit: float) -> float | None:
    """Return a coordinate in degrees; *unit* is the size in degrees of one unit of a sexagesimal text.

    Raises:
        InputError: it is neither a number nor sexagesimal.
    """
    value = header[key]
    if not isinstance(value, str) or ":" not in value:
        number = typed(value, "float")
        return None if number is None else float(number)
    match = re.fullmatch(r"([+-]?)(\d+):(\d+):(\d+(?:\.\d*)?)", value.strip())
    if match is None:
        raise InputError(f"{key} {value!r} is no coordinate")
    size = (int(match[2]) + int(match[3]) / 60 + float(match[4]) / 3600) * unit
    return -size if match[1] == "-" else size


def _place(name: str, source: str) -> tuple[str, str]:
    extension, _, key = source.removeprefix(PREFIX).rpartition(":")
    if not source.startswith(PREFIX) or not key.strip():
        raise InputError(f"column {name!r}: source {source!r} is not header:KEY or header:HDU:KEY")
    return extension.strip(), key.strip()


def _value(hdus: Any, extension: str, key: str) -> Scalar:
    for place in (extension,) if extension else (0, 1):
        try:
            header = hdus[int(place) if isinstance(place, str) and place.isdecimal() else place].header
        except (KeyError, IndexError):
            continue
        if key in header:
            return _scalar(header[key])
    return None


def _scalar(value: Any) -> Scalar:
    """Return a header value as the registry can hold it; blank, undefined and not finite are None."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None


def _kind(start: bytes) -> str:
    """Say what a file seems to be, from its first bytes."""
    if not start:
        return "it is empty"
    if start.startswith(b"\x1f\x8b"):
        return "it is gzip-compressed"
    return f"it starts with {start!r}"

"""Read and write FITS: typed headers, faults that name the file, whole files or none, the same bytes every time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import fitsio

from hsc_mini.arrays import Array
from hsc_mini.faults import InputFault

Value: TypeAlias = str | int | float | bool
Cards: TypeAlias = Mapping[str, Value]
HDU: TypeAlias = tuple[str, Array, Cards]
"""What one extension is made of: its name, image or table, and further cards."""


class Header:
    """The cards of one HDU; a missing or senseless card is a fault of the file."""

    def __init__(self, cards: Cards, source: str):
        self.cards, self.source = cards, source

    def text(self, key: str) -> str:
        """Return a card as text without trailing blanks."""
        try:
            return str(self.cards[key]).strip()
        except KeyError:
            raise InputFault(f"{self.source}: header has no {key}") from None

    def number(self, key: str) -> float:
        """Return a card as a float."""
        try:
            return float(self.text(key))
        except ValueError:
            raise InputFault(f"{self.source}: {key} is not a number: {self.text(key)!r}") from None

    def integer(self, key: str) -> int:
        """Return a card as an int."""
        return int(self.number(key))

    def select(self, *keys: str) -> dict[str, Value]:
        """Return those of *keys* that the header has, in the order asked for."""
        return {key: self.cards[key] for key in keys if key in self.cards}


def read_header(path: Path) -> Header:
    """Return the primary header of *path*."""
    with _opened(path) as hdus:
        return _header(hdus[0], path)


def read_hdu(path: Path, extension: str | int) -> tuple[Header, Array]:
    """Return header and data of one extension."""
    with _opened(path) as hdus:
        return _header(hdus[extension], path), _data(hdus[extension], path)


def read_images(path: Path, names: Sequence[str]) -> tuple[Header, Header, list[Array]]:
    """Return the primary header, the first extension's header, and the data of all extensions *names*."""
    with _opened(path) as hdus:
        return _header(hdus[0], path), _header(hdus[names[0]], path), [_data(hdus[name], path) for name in names]


def write(path: Path, primary: Cards, hdus: Sequence[HDU], *, compression: str = "NONE") -> None:
    """Write a FITS file under a temporary name and move it into place, so that a killed task leaves no half file.

    No card depends on the time: CFITSIO's CHECKSUM carries the date in its comment, so there is none.
    """
    with fitsio.FITS("mem://", "rw") as out:
        out.write(None, header=_cards(primary))
        for name, data, cards in hdus:
            out.write(data, extname=name, header=_cards(cards), **_packing(data, compression))
        _put(path, out.read_raw())


def write_plain(path: Path, data: Array, cards: Cards) -> None:
    """Write one image or table with no more structure than FITS needs; the same care as :func:`write`."""
    with fitsio.FITS("mem://", "rw") as out:
        out.write(data, header=_cards(cards))
        _put(path, out.read_raw())


def _put(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Not by CFITSIO: on a full disk it closes half a file and says nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def _packing(data: Array, compression: str) -> dict[str, Any]:
    """How CFITSIO shall compress an extension; a fixed dither seed keeps the bytes the same from run to run."""
    if compression == "NONE" or data.dtype.names or data.size <= 10_000:
        return {}
    if data.dtype.kind == "f":
        return {"compress": "RICE_1", "qlevel": 16, "qmethod": "SUBTRACTIVE_DITHER_1", "dither_seed": 1}
    return {"compress": "RICE_1"}


def _cards(cards: Cards) -> list[dict[str, Value]]:
    return [{"name": name, "value": value} for name, value in cards.items()]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise InputFault(f"{path}: no such file")
    try:
        with fitsio.FITS(str(path)) as hdus:
            yield hdus
    except (OSError, ValueError, KeyError, IndexError) as fault:
        reason = str(fault).strip().splitlines() or [type(fault).__name__]
        raise InputFault(f"{path}: not readable as FITS: {reason[0]}") from fault


def _header(hdu: Any, path: Path) -> Header:
    header = hdu.read_header()
    return Header({key: header[key] for key in header if key}, str(path))


def _data(hdu: Any, path: Path) -> Array:
    data: Array | None = hdu.read()
    if data is None:
        raise InputFault(f"{path}: extension without data")
    return data

"""Raw exposures of Hyper Suprime-Cam: visit, CCD, filter … as the instrument's own pipeline derives them.

Only one visit numbering is not written in the header as it stands: until 2016 EXP-ID was ``HSCA90333400``, since
then ``HSCE00903334``; where the old form has visit 0 the FRAMEID tells it, rounded down to even.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from facade.errors import InputError
from facade.ingestors import _corners, fits
from facade.plugins import Scalar

Header = Mapping[str, Scalar]

MJD_OF_POINTING_0, DATE_OF_POINTING_0 = 55927, datetime.date(2012, 1, 1)
_KEYS = (
    "EXP-ID", "FRAMEID", "DET-ID", "FILTER01", "MJD", "DATE-OBS", "OBJECT", "EXPTIME", "AIRMASS", "PROP-ID", "INST-PA",
    "RA", "DEC", "DATA-TYP", "T_AG", "T_CCDTV", "T_CFGFIL",
)  # fmt: skip
# the focus CCDs bore other numbers in the second commissioning run (pointings 391 to 404)
_COMMISSIONING = {112: 106, 107: 105, 113: 107, 115: 109, 108: 110, 114: 108}


def metadata(path: Path, columns: Mapping[str, str]) -> dict[str, Scalar]:
    """Return the wanted columns: from their header key if they name one, else by the rules of the instrument.

    Raises:
        InputError: the file is not FITS, or not a raw exposure of HSC.
    """
    sources = {f"header:{key}": f"{fits.PREFIX}{key}" for key in _KEYS}
    sources |= {f"column:{name}": source for name, source in columns.items() if source.startswith(fits.PREFIX)}
    values = fits.headers(path, sources)
    header = {key: values[f"header:{key}"] for key in _KEYS}
    if wanted := _corners.wanted(columns):
        values |= {f"column:{name}": value for name, value in _corners.corners(path, wanted).items()}
    try:
        return {name: _column(name, header, values) for name in columns}
    except InputError as error:
        raise InputError(f"{path} is not a raw exposure of HSC: {error.message}") from error


def contents(path: Path) -> tuple[str, list[dict[str, Scalar]]] | None:
    """Return None: the contents go into no table."""
    return None


def _column(name: str, header: Header, values: Mapping[str, Scalar]) -> Scalar:
    if f"column:{name}" in values:
        return values[f"column:{name}"]
    rule = _RULES.get(name.lower())
    return None if rule is None else rule(header)


def _visit(header: Header) -> int:
    expid = fits.required(header, "EXP-ID")
    if match := re.fullmatch(r"HSCE(\d{8})", expid):
        return int(match[1])
    match = re.fullmatch(r"HSC([A-Z])(\d{6})00", expid)
    if match is None:
        raise InputError(f"EXP-ID {expid!r} holds no visit")
    letter, visit = match[1], int(match[2])
    if visit == 0:
        frameid = fits.required(header, "FRAMEID")
        match = re.fullmatch(r"HSC([A-Z])(\d{6})\d{2}", frameid)
        if match is None:
            raise InputError(f"FRAMEID {frameid!r} holds no visit")
        letter, visit = match[1], int(match[2]) // 2 * 2
    return visit + 1_000_000 * (ord(letter) - ord("A"))


def _pointing(header: Header) -> int | None:
    """Return the day of the observation, counted from the first of the survey: by MJD, else by the date."""
    mjd = fits.typed(header["MJD"], "float")
    if mjd is not None:
        return int(mjd) - MJD_OF_POINTING_0
    if not re.match(r"\d{4}-\d{2}-\d{2}", str(header["DATE-OBS"])):
        return None
    return (datetime.date.fromisoformat(_date(header)) - DATE_OF_POINTING_0).days


def _ccd(header: Header) -> int:
    if not re.fullmatch(r"\d+", said := fits.required(header, "DET-ID")):
        raise InputError(f"DET-ID {header['DET-ID']!r} is no CCD number")
    ccd = int(said)
    told = header["MJD"] is not None and _pointing(header) in range(391, 405)
    return _COMMISSIONING.get(ccd, ccd) if told else ccd


def _date(header: Header) -> str:
    date = fits.required(header, "DATE-OBS")
    try:
        return datetime.date.fromisoformat(date[:10]).isoformat()
    except ValueError:
        raise InputError(f"DATE-OBS {date!r} is no date") from None


def _field(header: Header) -> str | None:
    name = header["OBJECT"]
    if name in (None, "#"):  # "#" is what the observing tool writes for no name
        return None if name is None else "UNKNOWN"
    return re.sub(r"[^A-Za-z0-9_-]", "_", str(name))


def _number(key: str) -> Callable[[Header], Scalar]:
    return lambda header: fits.typed(header[key], "float")


def _text(key: str) -> Callable[[Header], Scalar]:
    return lambda header: fits.typed(header[key], "text")


_RULES: Mapping[str, Callable[[Header], Scalar]] = {
    "visit": _visit,
    "ccd": _ccd,
    "filter": lambda header: fits.required(header, "FILTER01").upper(),
    "pointing": _pointing,
    "dateobs": _date,
    "taiobs": _date,
    "field": _field,
    "exptime": _number("EXPTIME"),
    "airmass": _number("AIRMASS"),
    "mjd": _number("MJD"),
    "pa": _number("INST-PA"),
    "ra": lambda header: fits.degrees(header, "RA", 15.0),
    "dec": lambda header: fits.degrees(header, "DEC", 1.0),
    "proposal": _text("PROP-ID"),
    "frameid": _text("FRAMEID"),
    "expid": _text("EXP-ID"),
    "datatype": _text("DATA-TYP"),
    "autoguider": lambda header: fits.typed(header["T_AG"], "int"),
    "ccdtemp": _number("T_CCDTV"),
    "config": _text("T_CFGFIL"),
}

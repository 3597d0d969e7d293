"""Raw exposures of the Dark Energy Camera: one file, of a primary header and an extension for each CCD.

Exposure and observation stand in the primary header; rules beside plain keys: the band is the first word of FILTER,
the night begins at 15 h UT (before that an exposure belongs to the night of the day before), coordinates are written
sexagesimally. Compressed files (``.fits.fz``) have the same headers.
"""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from astropy.io import fits as astropy_fits

from facade.errors import InputError
from facade.ingestors import fits
from facade.plugins import Scalar

Header = Mapping[str, Scalar]
BANDS = ("u", "g", "r", "i", "z", "Y", "VR", "N964", "N662", "N419", "N501", "N540", "N673", "N708", "solid", "block")
NIGHT_BEGINS = 15
"""Hour of UT: noon in Chile is at 15 or 16 h."""
_KEYS = (
    "EXPNUM", "FILTER", "DATE-OBS", "MJD-OBS", "OBJECT", "OBSTYPE", "EXPTIME", "AIRMASS", "PROPID", "RA", "DEC", "HA",
    "INSTRUME", "TELESCOP", "RADESYS",
)  # fmt: skip


def metadata(path: Path, columns: Mapping[str, str]) -> dict[str, Scalar]:
    """Return the wanted columns: from their header key if they name one, else by the rules of the instrument.

    ``nccd`` is the number of extensions that have a CCDNUM.

    Raises:
        InputError: the file is not FITS, or not a raw exposure of DECam.
    """
    sources = {f"header:{key}": f"{fits.PREFIX}{key}" for key in _KEYS}
    sources |= {f"column:{name}": source for name, source in columns.items() if source.startswith(fits.PREFIX)}
    values = fits.headers(path, sources)
    header = {key: values[f"header:{key}"] for key in _KEYS}
    try:
        if "decam" not in str(header["INSTRUME"]).lower():
            raise InputError(f"INSTRUME is {header['INSTRUME']!r}")
        return {name: _column(path, name, source, header, values) for name, source in columns.items()}
    except InputError as error:
        raise InputError(f"{path} is not a raw exposure of DECam: {error.message}") from error


def contents(path: Path) -> tuple[str, list[dict[str, Scalar]]] | None:
    """Return None: the contents go into no table."""
    return None


def _column(path: Path, name: str, source: str, header: Header, values: Mapping[str, Scalar]) -> Scalar:
    if f"column:{name}" in values:
        return values[f"column:{name}"]
    if source:
        return None
    if name.lower() == "nccd":
        return _ccds(path)
    rule = _RULES.get(name.lower())
    return None if rule is None else rule(header)


def _ccds(path: Path) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with astropy_fits.open(path, mode="readonly", memmap=False, lazy_load_hdus=True) as hdus:
                found = sum("CCDNUM" in hdu.header for hdu in hdus)
                fits.check_whole(hdus, path.stat().st_size)
                return found
        except Exception as error:  # astropy raises nearly anything for a damaged file
            raise InputError(f"it is damaged: {error or type(error).__name__}") from error


def _expnum(header: Header) -> int:
    found = fits.required(header, "EXPNUM")
    if not re.fullmatch(r"\d{1,10}", found):
        raise InputError(f"EXPNUM {found!r} is no exposure number")
    return int(found)


def _band(header: Header) -> str | None:
    words = str(header["FILTER"] or "").split()
    if words and words[0] not in BANDS:
        raise InputError(f"FILTER {header['FILTER']!r} begins with no band: {', '.join(BANDS)}")
    return words[0] if words else None


def _moment(header: Header) -> datetime.datetime:
    text = fits.required(header, "DATE-OBS")
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"DATE-OBS {text!r} is no date") from None


def _night(header: Header) -> str:
    moment = _moment(header)
    day = moment.date() - datetime.timedelta(days=moment.hour < NIGHT_BEGINS)
    return day.strftime("%Y%m%d")


def _field(header: Header) -> str | None:
    """Return what the survey calls the field, ``-582-365`` of ``DES survey hex -582-365 tiling 5``; else the object."""
    name = str(header["OBJECT"] or header["OBSTYPE"] or "UNKNOWN").strip()
    found = re.search(r" hex (\S+)", name)
    return found[1] if found else re.sub(r"[^A-Za-z0-9_+.-]", "_", name)


def _kind(key: str, kind: str) -> Callable[[Header], Scalar]:
    return lambda header: fits.typed(header[key], kind)


_RULES: Mapping[str, Callable[[Header], Scalar]] = {
    "expnum": _expnum,
    "visit": _expnum,
    "band": _band,
    "filter": _kind("FILTER", "text"),
    "dateobs": lambda header: _moment(header).date().isoformat(),
    "nite": _night,
    "night": _night,
    "mjd": _kind("MJD-OBS", "float"),
    "object": _kind("OBJECT", "text"),
    "field": _field,
    "obstype": lambda header: str(header["OBSTYPE"]).lower() if header["OBSTYPE"] else None,
    "exptime": _kind("EXPTIME", "float"),
    "airmass": _kind("AIRMASS", "float"),
    "proposal": _kind("PROPID", "text"),
    "propid": _kind("PROPID", "text"),
    "ra": lambda header: fits.degrees(header, "RA", 15.0),
    "dec": lambda header: fits.degrees(header, "DEC", 1.0),
    "instrument": _kind("INSTRUME", "text"),
    "telescope": _kind("TELESCOP", "text"),
}

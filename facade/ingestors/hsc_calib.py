"""Calibration products of Hyper Suprime-Cam: what their card CALIB_ID says (desdm.md §5).

``CALIB_ID = 'filter=HSC-I calibDate=2013-11-06 ccd=16 calibVersion=1'``: words of KEY=VALUE. Columns ``visit``,
``ccd``, ``filter``, ``calibdate`` (also called ``date``) and ``calibversion`` come from there, others from the header
key that they name.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from facade.errors import InputError
from facade.ingestors import fits
from facade.plugins import Scalar

_WORD = re.compile(r"([A-Za-z_]\w*)=(\S+)")
_NONE = ("NONE", "None")
"""What the pipeline writes as the filter of a bias or dark."""


def metadata(path: Path, columns: Mapping[str, str]) -> dict[str, Scalar]:
    """Return the wanted columns; None for those of which neither CALIB_ID nor the header knows.

    Raises:
        InputError: the file is not FITS, has no CALIB_ID, or it makes no sense.
    """
    sources = {name: source for name, source in columns.items() if source.startswith(fits.PREFIX)}
    values = fits.headers(path, {**sources, "CALIB_ID": f"{fits.PREFIX}CALIB_ID"})
    said = _words(path, values["CALIB_ID"])
    found = {name: values.get(name) for name in columns}
    for name, source in columns.items():
        if not source and (rule := _RULES.get(name.lower())):
            try:
                found[name] = rule(said)
            except ValueError as error:
                raise InputError(f"{path}: CALIB_ID {values['CALIB_ID']!r}: {error}") from None
    return found


def contents(path: Path) -> tuple[str, list[dict[str, Scalar]]] | None:
    """Return None: the contents go into no table."""
    return None


def _words(path: Path, calib_id: Scalar) -> dict[str, str]:
    if calib_id is None:
        raise InputError(f"{path} is no calibration product of HSC: its header has no CALIB_ID")
    said = {key.lower(): value for key, value in _WORD.findall(str(calib_id))}
    if not said:
        raise InputError(f"{path}: CALIB_ID {calib_id!r} holds no KEY=VALUE")
    return said


def _whole(key: str) -> Callable[[Mapping[str, str]], Scalar]:
    def rule(said: Mapping[str, str]) -> Scalar:
        text = said.get(key)
        if text is not None and not re.fullmatch(r"\d{1,9}", text):
            raise ValueError(f"{key} {text!r} is no number")
        return None if text is None else int(text)

    return rule


def _filter(said: Mapping[str, str]) -> Scalar:
    text = said.get("filter")
    return None if text is None or text in _NONE else text.upper()


def _date(said: Mapping[str, str]) -> Scalar:
    text = said.get("calibdate", said.get("date"))
    try:
        return None if text is None else datetime.date.fromisoformat(text.partition("T")[0]).isoformat()
    except ValueError:
        raise ValueError(f"calibDate {text!r} is no date such as 2013-11-06") from None


_RULES: Mapping[str, Callable[[Mapping[str, str]], Scalar]] = {
    "visit": _whole("visit"),
    "ccd": _whole("ccd"),
    "filter": _filter,
    "calibdate": _date,
    "date": _date,
    "calibversion": lambda said: said.get("calibversion"),
}

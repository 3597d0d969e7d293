"""Cards that the campaign writes into the headers of an output, before it is checksummed (desdm.md §5).

The only module of the job that changes a file that a program made; data are left as they are.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from facade.errors import InputError
from facade.job.capsule import Scalar
from facade.links import make_own
from facade.outputs import FUNCTION, HEADER, Card
from facade.wcl.template import BadReference, padded, plain

Call = Callable[[str], Scalar]
"""Calls the function of that name for the file."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$")
_BOOL = {"true": True, "t": True, "yes": True, "false": False, "f": False, "no": False}


def write(file: Path, cards: Sequence[Card], values: Mapping[str, Scalar], call: Call) -> None:
    """Write *cards* into *file*; *values* are what planning knows of quantum and output.

    Raises:
        InputError: the file is not FITS, has no such HDU, or a value is none that a card can hold.
    """
    from astropy.io import fits  # a third of a second, which jobs without cards need not pay

    made = {card: call(card.source.removeprefix(FUNCTION)) for card in cards if card.source.startswith(FUNCTION)}
    make_own(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(
                file, mode="update", memmap=False,
                do_not_scale_image_data=True, disable_image_compression=True,
            ) as hdus:  # fmt: skip
                for card in cards:
                    value = made[card] if card in made else _value(card, values, hdus)
                    for hdu in card.hdus:
                        _hdu(hdus, hdu).header[card.key] = (_typed(value, card), card.comment or None)
                for name in dict.fromkeys([hdu for card in cards for hdu in card.hdus]):
                    if "CHECKSUM" in _hdu(hdus, name).header:
                        _hdu(hdus, name).add_checksum(when="checksum of this HDU", override_datasum=True)
    except InputError as error:
        raise InputError(f"cannot write into the header of {file.name}: {error.message}") from None
    except Exception as error:  # astropy raises nearly anything for what is no FITS file
        reason = str(error) or type(error).__name__
        raise InputError(f"cannot write into the header of {file.name}: {reason}") from error


def _hdu(hdus: Any, name: str) -> Any:
    try:
        return hdus[int(name) if name.isdecimal() else name]
    except (KeyError, IndexError):
        there = ", ".join([str(hdu.name or index) for index, hdu in enumerate(hdus)])
        raise InputError(f"it has no HDU '{name}' (there are: {there})") from None


def _value(card: Card, values: Mapping[str, Scalar], hdus: Any) -> Scalar:
    """Return the value of a card that planning knows, or that another header has."""
    if card.source:
        hdu, _, key = card.source.removeprefix(HEADER).rpartition(":")
        header = _hdu(hdus, hdu.strip() or "0").header
        if key.strip() not in header:
            raise InputError(f"card '{card.key}': HDU '{hdu.strip() or '0'}' has no '{key.strip()}' to copy")
        found: Scalar = header[key.strip()]
        return found
    text = ""
    for piece in card.value:
        if isinstance(piece, str):
            text += piece
            continue
        name, pad = piece
        if values.get(name) is None:
            raise InputError(f"card '{card.key}': '{name}' has no value here")
        try:
            text += padded(values[name], pad, name) if pad else plain(values[name])
        except BadReference as error:
            raise InputError(f"card '{card.key}': {error}") from None
    return text


def _typed(value: Scalar, card: Card) -> Scalar:
    """Return a value in the type that the card is to have, or looks like having."""
    if not isinstance(value, str):
        return plain(value) if card.kind == "str" else value
    try:
        if card.kind == "int":
            return int(value)
        if card.kind == "float":
            return float(value)
    except ValueError:
        raise InputError(f"card '{card.key}': {value!r} is no {card.kind}") from None
    if card.kind == "bool" and value.lower() not in _BOOL:
        raise InputError(f"card '{card.key}': {value!r} is no bool")
    if card.kind == "bool" or (not card.kind and not card.source and value.lower() in ("true", "false")):
        return _BOOL[value.lower()]
    if not card.kind and not card.source and _NUMBER.match(value):
        return int(value) if value.lstrip("+-").isdecimal() else float(value)
    return value

"""``$HEAD{file,KEY,…}``: words of a command line that hold header values of FITS files (desdm.md §1.4).

They are read just before the program runs, because an earlier program of the quantum may have made the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from facade.errors import MissingInputError
from facade.job.capsule import Word

_HDU = re.compile(r"(.+)\[(\w+)\]$")


def filled(words: Sequence[Word], directory: Path) -> tuple[str, ...]:
    """Return the words as texts; the values of several keys are joined by commas.

    Raises:
        MissingInputError: a file of the job directory is not there, is no FITS file, or has no such key.
    """
    return tuple([word if isinstance(word, str) else _joined(word, directory) for word in words])


def _joined(word: Sequence[str | tuple[str, ...]], directory: Path) -> str:
    return "".join([p if isinstance(p, str) else ",".join(values(directory, p[0], p[1:])) for p in word])


def values(directory: Path, name: str, keys: Sequence[str]) -> list[str]:
    """Return header values of file *name*, from the HDU that ``name[hdu]`` says, else the first that has the key."""
    from astropy.io import fits  # a third of a second, which a job without $HEAD need not pay

    found = _HDU.match(name)
    path, hdu = (found[1], found[2]) if found else (name, "")
    try:
        with fits.open(directory / path, memmap=True) as hdus:
            headers = [hdus[int(hdu) if hdu.isdecimal() else hdu].header] if hdu else [one.header for one in hdus]
            return [_value(headers, key, name) for key in keys]
    except (OSError, KeyError, IndexError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MissingInputError(f"$HEAD: cannot read the header of '{name}': {reason}") from None


def _value(headers: Sequence[object], key: str, name: str) -> str:
    for header in headers:
        if key in header:  # type: ignore[operator]  # astropy's Header is a mapping without types
            return str(header[key]).strip()  # type: ignore[index]
    raise MissingInputError(
        f"$HEAD: '{name}' has no header key '{key}'", remedy="mend the key, or name the HDU: file[1]"
    )

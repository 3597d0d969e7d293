"""Two FITS files compared by content: which cards differ that may, and what else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

VOLATILE = ("DATE", "CHECKSUM", "DATASUM", "ZHECKSUM", "ZDATASUM")
"""Cards that change whenever a file is written: the time of writing, and sums over the header that holds it."""
SHOWN = 10


class Contents(NamedTuple):
    """How two files differ: in *cards* that may, and in words where else ([]: nowhere)."""

    cards: tuple[str, ...]
    others: tuple[str, ...]


def contents(a: Path, b: Path, ignore: Sequence[str] = ()) -> Contents | None:
    """Compare two FITS files, compressed or not; None if one of them is no FITS file.

    *ignore* are further cards that may differ, ``*`` in them stands for any text.
    """
    from astropy.io import fits  # costs half a second; only files that differ pay

    try:
        for path in (a, b):
            with fits.open(path, memmap=False) as file:
                file.verify("silentfix")
        keywords = [*VOLATILE, *ignore]
        strict = fits.FITSDiff(str(a), str(b), ignore_keywords=keywords, ignore_blank_cards=False)
        cards = _cards(fits.FITSDiff(str(a), str(b), ignore_blank_cards=False))
        return Contents(tuple(cards), tuple(_told(strict)[:SHOWN]))
    except OSError:
        return None


def _cards(diff: Any) -> list[str]:
    """Return the keywords whose cards differ, with the number of the HDU where that is not the first."""
    return [f"{key} of HDU {index}" if index else key for index, hdu, *_ in diff.diff_hdus
            for key in _keywords(hdu.diff_headers)]  # fmt: skip


def _told(diff: Any) -> list[str]:
    """Return in words what differs."""
    if diff.identical:
        return []
    told = [f"{diff.diff_hdu_count[0]} HDUs and {diff.diff_hdu_count[1]}"] if diff.diff_hdu_count else []
    for index, hdu, *_ in diff.diff_hdus:
        if hdu.diff_extension_types:
            told.append(f"HDU {index}: {' and '.join(map(str, hdu.diff_extension_types))}")
        header, data = hdu.diff_headers, hdu.diff_data
        told += [f"HDU {index}: card {key}" for key in _keywords(header)]
        if data is not None and not data.identical:
            ratio = getattr(data, "diff_ratio", 0)  # 0: not comparable value by value
            told.append(f"HDU {index}: the data" + (f" ({100 * ratio:.3g} %)" if ratio else ""))
    return told or ["they differ in how they are laid out"]


def _keywords(header: Any) -> list[str]:
    """Return the keywords of cards that differ, or are in one of the two only."""
    keys = [*header.diff_keyword_values, *header.diff_keyword_comments, *header.diff_duplicate_keywords]
    alone = [key for side in header.diff_keywords or () for key in side]
    return list(dict.fromkeys([*keys, *alone]))

"""Two FITS files compared by content: which cards differ that may, and what else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """Compare two FITS files, compressed or not; None if one of them is no FITS file, or not all of one.

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
        told = _told(strict) or _told_of_infinities(a, b)
        return Contents(tuple(cards), tuple(told[:SHOWN]))
    except Exception:  # a damaged header or stream may end in any: KeyError, TypeError, zlib.error, VerifyError …
        return None


def _told_of_infinities(a: Path, b: Path) -> list[str]:
    """Return in words where two files differ for which FITSDiff, to which infinities and NaNs are one, has no word."""
    import numpy as np
    from astropy.io import fits

    with fits.open(a) as one, fits.open(b) as other:
        return [
            f"HDU {index}: the data (NaN or infinity)"
            for index, pair in enumerate(zip(one, other, strict=True))
            if not all(np.array_equal(x, y, equal_nan=True) for x, y in zip(*map(_floats, pair), strict=True))
        ]


def _floats(hdu: Any) -> Iterator[Any]:
    """Yield the floating-point values of an HDU: its image, or column by column."""
    names = getattr(getattr(hdu, "columns", None), "names", None)
    for values in [hdu.data] if names is None else [hdu.data[name] for name in names]:
        if values is not None and values.dtype.kind in "fc":
            yield values


def _cards(diff: Any) -> list[str]:
    """Return the keywords whose cards differ, with the number of the HDU where that is not the first."""
    return [f"{key} of HDU {index}" if index else key for index, hdu, *_ in diff.diff_hdus
            for key in _keywords(hdu.diff_headers)]  # fmt: skip


def _told(diff: Any) -> list[str]:
    """Return in words what differs; that one has more cards than the other is told by their names alone, for those
    that may differ may also be missing."""
    told = [f"{diff.diff_hdu_count[0]} HDUs and {diff.diff_hdu_count[1]}"] if diff.diff_hdu_count else []
    for index, hdu, *_ in diff.diff_hdus:
        if hdu.diff_extension_types:
            told.append(f"HDU {index}: {' and '.join(map(str, hdu.diff_extension_types))}")
        header, data = hdu.diff_headers, hdu.diff_data
        told += [f"HDU {index}: card {key}" for key in _keywords(header)]
        if data is not None and not data.identical:
            ratio = getattr(data, "diff_ratio", 0)  # 0: not comparable value by value
            told.append(f"HDU {index}: the data" + (f" ({100 * ratio:.3g} %)" if ratio else ""))
    return told


def _keywords(header: Any) -> list[str]:
    """Return the keywords of cards that differ, or are in one of the two only."""
    keys = [*header.diff_keyword_values, *header.diff_keyword_comments, *header.diff_duplicate_keywords]
    alone = [key for side in header.diff_keywords or () for key in side]
    return list(dict.fromkeys([*keys, *alone]))

"""Where the four corners of an image lie on the sky, by its WCS: columns ``rac1`` ``decc1`` … ``rac4`` ``decc4``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

from astropy.io import fits as astropy_fits

from facade.plugins import Scalar

NAMES = tuple(f"{name}{n}" for n in range(1, 5) for name in ("rac", "decc"))


def wanted(columns: Mapping[str, str]) -> list[str]:
    """Return those of *columns* that are corners and have no other source."""
    return [name for name, source in columns.items() if name.lower() in NAMES and not source]


def corners(path: Path, names: Iterable[str]) -> dict[str, Scalar]:
    """Return the corners called *names*, in degrees; None if no image of the file has a celestial WCS.

    They are the outer corners of the pixels in the corners of the first image that has one.
    """
    from astropy.wcs import WCS  # half a second; most ingestions want no corners

    found: dict[str, Scalar] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with astropy_fits.open(path, mode="readonly", memmap=False, lazy_load_hdus=True) as hdus:
                for hdu in hdus:
                    if hdu.header.get("NAXIS") != 2 or not hdu.is_image or "CTYPE1" not in hdu.header:
                        continue
                    wcs = WCS(hdu.header)
                    if wcs.has_celestial:
                        places = wcs.calc_footprint(axes=(hdu.header["NAXIS1"], hdu.header["NAXIS2"]), center=False)
                        values = [float(value) for place in places for value in place]
                        found = dict(zip(NAMES, values, strict=True)) if all(map(math.isfinite, values)) else {}
                        break
        except Exception:  # a WCS that astropy cannot read is none
            found = {}
    return {name: found.get(name.lower()) for name in names}

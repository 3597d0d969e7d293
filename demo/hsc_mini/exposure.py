"""A calibrated image as the tasks pass it on: pixels, mask, variance, PSF and WCS in one FITS file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsc_mini import fitsfile
from hsc_mini.arrays import Array
from hsc_mini.fitsfile import Cards, Header
from hsc_mini.geometry import Tan

BAD, SATURATED, COSMIC_RAY, DETECTED, EDGE, NO_DATA = 1, 2, 4, 8, 16, 32
"""Bits of a mask."""

COADD_ZERO_POINT = 27.0
"""Every warp and coadd is scaled so that magnitude 27 is one count."""

COADD_CARDS = ("TRACT", "PATCH", "FILTER", "ZP", "NWARP", "VISITS", "BORDER", "SEEING")
"""What the products of a coadd repeat from its header."""


@dataclass(slots=True, kw_only=True, eq=False)
class Exposure:
    """Image and variance are float32, the mask int16; the PSF is a small image, normalised as fit_psf does."""

    header: Header
    wcs: Tan
    image: Array
    mask: Array
    variance: Array
    psf: Array

    @classmethod
    def read(cls, path: Path) -> Exposure:
        """Read what :meth:`write` wrote."""
        header, first, images = fitsfile.read_images(path, ("IMAGE", "MASK", "VARIANCE", "PSF"))
        image, mask, variance, psf = images
        image = np.ascontiguousarray(image, "f4")
        return cls(header=header, wcs=Tan.from_header(first), image=image, mask=mask, variance=variance, psf=psf)

    def write(self, path: Path, cards: Cards, *, compression: str, extra: tuple[fitsfile.HDU, ...] = ()) -> None:
        """Write the exposure with *cards* as its primary header and *extra* extensions behind."""
        wcs = self.wcs.cards()
        planes: list[fitsfile.HDU] = [
            ("IMAGE", self.image.astype("f4"), wcs),
            ("MASK", self.mask.astype("i2"), wcs),
            ("VARIANCE", self.variance.astype("f4"), wcs),
            ("PSF", self.psf.astype("f4"), {}),
        ]
        fitsfile.write(path, cards, [*planes, *extra], compression=compression)

    @property
    def empty(self) -> Array:
        """True where there is no data."""
        hollow: Array = (self.mask & NO_DATA) > 0
        return hollow

    def sigma(self) -> Array:
        """Return the noise of each pixel as float32; 1e5 where there is no data."""
        noise: Array = np.sqrt(np.where(self.variance > 0, self.variance, 1e10)).astype("f4")
        return noise

"""``forcedPhotCoadd``: fluxes in one filter at the positions of the reference measurements of a patch.

Reads deepCoadd_calexp, deepCoadd_ref; writes deepCoadd_forced_src.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep

from hsc_mini import fitsfile
from hsc_mini.arrays import Array
from hsc_mini.bands import check_patch
from hsc_mini.exposure import COADD_CARDS, SATURATED, Exposure
from hsc_mini.photometry import magnitude, magnitude_error, psf_flux
from hsc_mini.task import Config, Job, program

SATURATED_FLAG = 256
"""Flag of an object whose central pixel is saturated; sep's own flags are smaller."""
COLUMNS = [
    ("id", "i8"), ("ra", "f8"), ("dec", "f8"), ("psfflux", "f8"), ("psffluxerr", "f8"), ("apflux", "f8"),
    ("apfluxerr", "f8"), ("mag", "f4"), ("magerr", "f4"), ("primary", "i2"), ("extended", "i2"), ("flags", "i4"),
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedPhotCoaddConfig(Config):
    """``apertureRadius`` in arcsec."""

    apertureRadius: float = 2.0


def forced_phot_coadd(job: Job, config: ForcedPhotCoaddConfig) -> None:
    """Measure one patch in one filter at fixed positions."""
    coadd = Exposure.read(job.find("deepCoadd_calexp"))
    path = job.find("deepCoadd_ref")
    check_patch(job, coadd.header)
    check_patch(job, fitsfile.read_header(path))
    table = force(coadd, fitsfile.read_hdu(path, "REF")[1], config.apertureRadius / coadd.wcs.scale)
    cards = coadd.header.select(*COADD_CARDS) | {"NOBJ": len(table)}
    fitsfile.write(job.place("deepCoadd_forced_src"), cards, [("FORCED", table, {})])
    job.quality(nobj=len(table), nsnr5=int((table["psfflux"] > 5 * table["psffluxerr"]).sum()))


def force(coadd: Exposure, reference: Array, aperture: float) -> Array:
    """Return the table of fluxes at the positions of *reference*; *aperture* is a radius in pixels."""
    table = np.zeros(len(reference), dtype=COLUMNS)
    for name in ("id", "ra", "dec", "primary", "extended"):
        table[name] = reference[name]
    x, y = coadd.wcs.to_pixels(reference["ra"], reference["dec"])
    flux, error = psf_flux(coadd.image, coadd.variance, coadd.psf, x, y)
    table["psfflux"], table["psffluxerr"] = flux, error
    table["mag"] = magnitude(flux, coadd.header.number("ZP"))
    table["magerr"] = magnitude_error(flux, error)
    table["apflux"], table["apfluxerr"], flags = sep.sum_circle(coadd.image, x, y, aperture, err=coadd.sigma())
    rows, columns = coadd.mask.shape
    centre = np.clip(np.rint(y).astype(int), 0, rows - 1), np.clip(np.rint(x).astype(int), 0, columns - 1)
    table["flags"] = flags | np.where(coadd.mask[centre] & SATURATED, SATURATED_FLAG, 0)
    return table


main = program("forcedPhotCoadd", ForcedPhotCoaddConfig, forced_phot_coadd, keys=("tract", "patch", "filter"))

"""``measureCoaddSources``: measure the merged objects of a patch in one filter.

Reads deepCoadd_calexp, deepCoadd_mergeDet, ref_cat (not with ``-c doMatchSources=False``); writes deepCoadd_meas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep

from hsc_mini import fitsfile
from hsc_mini.arrays import Array
from hsc_mini.bands import check_patch
from hsc_mini.exposure import COADD_CARDS, Exposure
from hsc_mini.photometry import (
    GAUSSIAN_FWHM,
    magnitude,
    magnitude_error,
    match,
    psf_flux,
    psf_fwhm,
    refine_positions,
    robust_sigma,
)
from hsc_mini.refcat import read_reference, reference_magnitudes
from hsc_mini.task import Config, Job, program

EXTENDED = 0.05
"""A Kron magnitude this much brighter than the PSF's makes an object extended."""
MATCH_PIXELS = 2.0
COLUMNS = [
    ("id", "i8"), ("ra", "f8"), ("dec", "f8"), ("x", "f8"), ("y", "f8"), ("flux", "f8"), ("fluxerr", "f8"),
    ("psfflux", "f8"), ("psffluxerr", "f8"), ("kronflux", "f8"), ("kronfluxerr", "f8"), ("kronrad", "f4"),
    ("rhalf", "f4"), ("mag", "f4"), ("magerr", "f4"), ("flags", "i4"), ("primary", "i2"), ("extended", "i2"),
    ("refid", "i8"),
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureCoaddSourcesConfig(Config):
    """``apertureRadius`` in arcsec; ``doMatchSources`` compares with the reference catalogue, which must be there."""

    apertureRadius: float = 2.0
    doMatchSources: bool = True


def measure_coadd_sources(job: Job, config: MeasureCoaddSourcesConfig) -> None:
    """Measure one patch in one filter."""
    coadd = Exposure.read(job.find("deepCoadd_calexp"))
    path = job.find("deepCoadd_mergeDet")
    check_patch(job, coadd.header)
    check_patch(job, fitsfile.read_header(path))
    _, detections = fitsfile.read_hdu(path, "MERGEDET")
    table = measure(coadd, detections, config.apertureRadius / coadd.wcs.scale)
    if config.doMatchSources:
        compare_with_reference(job, coadd, table)
    primary = int(table["primary"].sum())
    cards = coadd.header.select(*COADD_CARDS) | {"NOBJ": len(table), "NPRIMARY": primary}
    fitsfile.write(job.place("deepCoadd_meas"), cards, [("MEAS", table, {})])
    job.quality(nobj=len(table), nprimary=primary)


def measure(coadd: Exposure, detections: Array, aperture: float) -> Array:
    """Return a table of *detections* measured with the PSF, in an aperture of *aperture* pixels and in Kron's."""
    table = np.zeros(len(detections), dtype=COLUMNS)
    fwhm = psf_fwhm(coadd.psf)
    x, y = refine_positions(coadd.image, detections["x"].astype(float), detections["y"].astype(float), fwhm)
    table["id"], table["x"], table["y"] = detections["id"], x, y
    table["ra"], table["dec"] = coadd.wcs.to_sky(x, y)
    sigma = coadd.sigma()
    table["flux"], table["fluxerr"], flags = sep.sum_circle(coadd.image, x, y, aperture, err=sigma, mask=coadd.empty)
    table["psfflux"], table["psffluxerr"] = psf_flux(coadd.image, coadd.variance, coadd.psf, x, y)
    table["flags"] = flags | measure_kron(coadd, table, fwhm, sigma)
    widest = np.full(len(table), 6.0 * aperture)
    norm = np.maximum(table["kronflux"], 1e-3)
    table["rhalf"], _ = sep.flux_radius(coadd.image, x, y, widest, 0.5, normflux=norm)
    zero_point = coadd.header.number("ZP")
    table["mag"] = magnitude(table["psfflux"], zero_point)
    table["magerr"] = magnitude_error(table["psfflux"], table["psffluxerr"])
    table["extended"] = table["mag"] - magnitude(table["kronflux"], zero_point) > EXTENDED
    border = coadd.header.integer("BORDER") - 0.5
    far = coadd.image.shape[0] - 1 - border
    table["primary"] = (x >= border) & (y >= border) & (x < far) & (y < far)
    return table


def measure_kron(coadd: Exposure, table: Array, fwhm: float, sigma: Array) -> Array:
    """Fill in Kron radius and flux of circular apertures; return sep's flags."""
    x, y = np.ascontiguousarray(table["x"]), np.ascontiguousarray(table["y"])
    size, angle = np.full(len(x), 1.2 * fwhm / GAUSSIAN_FWHM), np.zeros(len(x))
    radius, _ = sep.kron_radius(coadd.image, x, y, size, size, angle, 6.0)
    table["kronrad"] = radius = np.clip(np.nan_to_num(radius, nan=2.5), 1.5, 4.0)
    table["kronflux"], table["kronfluxerr"], flags = sep.sum_ellipse(
        coadd.image, x, y, size, size, angle, 2.5 * radius, err=sigma
    )
    kron_flags: Array = flags
    return kron_flags


def compare_with_reference(job: Job, coadd: Exposure, table: Array) -> None:
    """Note the reference star of each object and log how the magnitudes compare."""
    reference = read_reference(job.find("ref_cat"))
    x, y = coadd.wcs.to_pixels(reference["ra"], reference["dec"])
    stars, objects = match(x, y, table["x"], table["y"], MATCH_PIXELS)
    table["refid"][objects] = reference["id"][stars]
    job.quality(nref=len(stars))
    if len(stars):
        difference = table["mag"][objects] - reference_magnitudes(reference, job.text("filter"))[stars]
        job.quality(refdmag=float(np.median(difference)), refdmagrms=robust_sigma(difference))


main = program(
    "measureCoaddSources", MeasureCoaddSourcesConfig, measure_coadd_sources, keys=("tract", "patch", "filter")
)

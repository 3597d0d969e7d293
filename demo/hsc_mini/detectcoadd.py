"""``detectCoaddSources``: subtract what sky is left on a coadd, model its PSF, detect sources.

Reads deepCoadd; writes deepCoadd_calexp, deepCoadd_calexp_background, deepCoadd_det.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep

from hsc_mini import fitsfile
from hsc_mini.arrays import Array
from hsc_mini.exposure import COADD_CARDS, DETECTED, Exposure
from hsc_mini.faults import ScienceFault
from hsc_mini.fitsfile import Value
from hsc_mini.geometry import Tan
from hsc_mini.photometry import fit_psf, refine_positions, with_errors
from hsc_mini.task import ImageConfig, Job, program

PSF_HALF = 12
FEWEST_STARS = 5
BACKGROUND_STEP = 16
DETECTION_COLUMNS = [
    ("id", "i8"), ("ra", "f8"), ("dec", "f8"), ("x", "f8"), ("y", "f8"), ("peak", "f4"), ("npix", "i4"),
    ("flux", "f4"), ("flag", "i4"),
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectCoaddSourcesConfig(ImageConfig):
    """``detectSigma`` in sigma, ``skyMesh`` in pixels."""

    detectSigma: float = 5.0
    skyMesh: int = 128


def detect_coadd_sources(job: Job, config: DetectCoaddSourcesConfig) -> None:
    """Detect the sources of one patch in one filter."""
    coadd = Exposure.read(job.find("deepCoadd"))
    background, rms = subtract_sky(coadd, config.skyMesh)
    objects = detect_objects(coadd, config.detectSigma)
    stars = adopt_own_psf(job, coadd, objects)
    cards = coadd.header.select(*COADD_CARDS) | {"NDET": len(objects), "BKGRMS": rms, "NPSF": stars}
    coadd.write(job.place("deepCoadd_calexp"), cards, compression=config.compression)
    step: dict[str, Value] = {"STEP": BACKGROUND_STEP}
    sampled = np.ascontiguousarray(background[::BACKGROUND_STEP, ::BACKGROUND_STEP])
    fitsfile.write(job.place("deepCoadd_calexp_background"), cards, [("BACK", sampled, step)])
    fitsfile.write(job.place("deepCoadd_det"), cards, [("DET", detection_table(objects, coadd.wcs), {})])
    job.quality(ndet=len(objects), bkgrms=rms, npsf=stars)


def subtract_sky(coadd: Exposure, mesh: int) -> tuple[Array, float]:
    """Subtract the sky in place; return it and its rms."""
    sky = sep.Background(coadd.image, mask=coadd.empty, bw=mesh, bh=mesh)
    background: Array = sky.back().astype("f4")
    coadd.image = np.where(coadd.empty, 0, coadd.image - background).astype("f4")
    return background, float(sky.globalrms)


def detect_objects(coadd: Exposure, threshold: float) -> Array:
    """Return the detections of a matched filter with the core of the PSF; mark their pixels in the mask."""
    centre = coadd.psf.shape[0] // 2
    core = coadd.psf[centre - 4 : centre + 5, centre - 4 : centre + 5] / coadd.psf.max()
    found, segments = sep.extract(
        coadd.image, threshold, err=coadd.sigma(), mask=coadd.empty,
        filter_kernel=np.ascontiguousarray(core, "f4"), filter_type="matched",
        minarea=4, deblend_cont=0.003, segmentation_map=True,
    )  # fmt: skip
    coadd.mask[segments > 0] |= DETECTED
    objects = with_errors(found)
    filled = ~coadd.empty
    noise = np.median(coadd.variance[filled]) if filled.any() else 1.0
    objects["fluxerr"] = np.sqrt(objects["npix"] * noise)
    return objects


def adopt_own_psf(job: Job, coadd: Exposure, objects: Array) -> int:
    """Replace the coadd's PSF by that of its own stars, if there are enough; return how many.

    The mean of the inputs' PSFs knows nothing of the warping and biased the magnitudes. *objects* get their windowed
    positions on the way, which the second fit needs.
    """
    try:
        _, fwhm, _ = fit_psf(coadd.image, objects, coadd.mask, PSF_HALF)
        centred = objects.copy()
        centred["x"], centred["y"] = refine_positions(coadd.image, objects["x"], objects["y"], fwhm)
        psf, fwhm, stars = fit_psf(coadd.image, centred, coadd.mask, PSF_HALF)
    except ScienceFault as fault:
        job.info(psf="of the inputs", reason=repr(str(fault)))
        return 0
    if stars < FEWEST_STARS:
        return 0
    objects["x"], objects["y"] = centred["x"], centred["y"]
    coadd.psf = psf.astype("f4")
    return stars


def detection_table(objects: Array, wcs: Tan) -> Array:
    """Return the detections with their sky positions."""
    table = np.zeros(len(objects), dtype=DETECTION_COLUMNS)
    table["id"] = np.arange(1, len(objects) + 1)
    for name in ("x", "y", "peak", "npix", "flux", "flag"):
        table[name] = objects[name]
    table["ra"], table["dec"] = wcs.to_sky(objects["x"], objects["y"])
    return table


main = program("detectCoaddSources", DetectCoaddSourcesConfig, detect_coadd_sources, keys=("tract", "patch", "filter"))

"""``makeCoaddTempExp``: resample the ccds of one visit onto a patch.

Reads deepCoadd_skyMap and calexp (one per ``--selectId``); writes deepCoadd_tempExp.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hsc_mini.arrays import Array
from hsc_mini.exposure import COADD_ZERO_POINT, EDGE, NO_DATA, Exposure
from hsc_mini.faults import InputFault, ScienceFault, UsageFault
from hsc_mini.fitsfile import Value
from hsc_mini.geometry import Patch, SkyMap, pixel_map
from hsc_mini.pixels import Planes, empty_planes, resample
from hsc_mini.task import ImageConfig, Job, program

KERNELS = {"lanczos3": 3, "lanczos2": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeCoaddTempExpConfig(ImageConfig):
    """``warpKernel`` is lanczos2 or lanczos3."""

    warpKernel: str = "lanczos3"


def make_coadd_temp_exp(job: Job, config: MakeCoaddTempExpConfig) -> None:
    """Make the warp of one visit and patch from all ccds selected."""
    if config.warpKernel not in KERNELS:
        raise UsageFault(f"warpKernel must be one of {', '.join(KERNELS)}")
    visits = {selected["visit"] for selected in job.selected}
    if len(visits) != 1:
        raise UsageFault(f"one warp is of one visit, not of {sorted(visits)}")
    visit = visits.pop()
    skymap = SkyMap.load(job.find("deepCoadd_skyMap"))
    patch = skymap.patch(int(job.data_id["tract"]), job.text("patch"))
    exposures = [read_checked(job, int(selected["visit"]), int(selected["ccd"])) for selected in job.selected]
    warp, covered = combine(exposures, patch, KERNELS[config.warpKernel])
    write_warp(job, config, warp, patch, exposures, covered, visit=int(visit))


def read_checked(job: Job, visit: int, ccd: int) -> Exposure:
    """Return a selected exposure, which must be what its data ID says and in the patch's filter."""
    # the filter is left to the registry, as in Gen2: a visit selected for the wrong filter must not be found by chance
    exposure = Exposure.read(job.repo.find("calexp", {"visit": visit, "ccd": ccd}))
    header = exposure.header
    found = header.integer("VISIT"), header.integer("CCD"), header.text("FILTER")
    if found != (visit, ccd, job.text("filter")):
        raise InputFault(f"{header.source} is visit {found[0]} ccd {found[1]} in {found[2]}")
    return exposure


def combine(exposures: list[Exposure], patch: Patch, order: int) -> tuple[Planes, list[int]]:
    """Return the resampled planes, scaled to the coadds' zero point, and how many pixels each exposure gave."""
    warp = empty_planes((patch.side, patch.side))
    covered = []
    for exposure in exposures:
        x, y = pixel_map(patch.wcs, patch.side, exposure.wcs)
        source = Planes(image=exposure.image, variance=exposure.variance, mask=exposure.mask)
        part = resample(source, x, y, drop=EDGE, order=order)
        scale = flux_scale(exposure, patch)
        new = (part.mask & NO_DATA == 0) & np.isfinite(part.variance)
        warp.image[new] = part.image[new] * scale
        warp.variance[new] = part.variance[new] * scale**2
        warp.mask[new] = part.mask[new]
        covered.append(int(new.sum()))
    if not any(covered):
        raise ScienceFault(f"no exposure covers patch {patch.name}")
    return warp, covered


def flux_scale(exposure: Exposure, patch: Patch) -> float:
    """Return the factor from an exposure's counts per pixel to the patch's."""
    zero_points = COADD_ZERO_POINT - exposure.header.number("ZP")
    return float(10 ** (0.4 * zero_points)) * (patch.wcs.scale / exposure.wcs.scale) ** 2


def write_warp(
    job: Job,
    config: MakeCoaddTempExpConfig,
    warp: Planes,
    patch: Patch,
    exposures: list[Exposure],
    covered: list[int],
    *,
    visit: int,
) -> None:
    """Write the warp; its PSF is the mean of its exposures' by area."""
    header = exposures[0].header
    filled = float(np.mean(warp.mask & NO_DATA == 0))
    median_variance = float(np.median(warp.variance[np.isfinite(warp.variance)]))
    warp.variance[~np.isfinite(warp.variance)] = 0
    ccds = [exposure.header.integer("CCD") for exposure, pixels in zip(exposures, covered, strict=True) if pixels]
    cards: dict[str, Value] = {
        "TRACT": int(job.data_id["tract"]), "PATCH": patch.name, "VISIT": visit, "FILTER": job.text("filter"),
        "CCDS": ",".join(str(ccd) for ccd in ccds), "NINPUT": len(ccds), "ZP": COADD_ZERO_POINT,
        "SEEING": weighted(exposures, covered), "GOODFRAC": filled, "MEDVAR": median_variance,
        "BORDER": patch.border,
    }  # fmt: skip
    cards |= header.select("EXPTIME", "DATE-OBS", "MJD")
    psf: Array = np.average(np.array([exposure.psf for exposure in exposures]), axis=0, weights=covered)
    product = Exposure(header=header, wcs=patch.wcs, image=warp.image, mask=warp.mask, variance=warp.variance, psf=psf)
    product.write(job.place("deepCoadd_tempExp", visit=visit), cards, compression=config.compression)
    job.quality(goodfrac=filled, ninput=len(ccds), medvar=median_variance)


def weighted(exposures: list[Exposure], covered: list[int]) -> float:
    """Return the mean seeing by area."""
    return float(np.average([exposure.header.number("SEEING") for exposure in exposures], weights=covered))


main = program(
    "makeCoaddTempExp",
    MakeCoaddTempExpConfig,
    make_coadd_temp_exp,
    keys=("tract", "patch", "filter"),
    selects=("visit", "ccd"),
)

"""``assembleCoadd``: the clipped, weighted mean of the warps of one patch and filter.

Reads deepCoadd_skyMap and deepCoadd_tempExp (one per ``--selectId``); writes deepCoadd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hsc_mini.arrays import Array
from hsc_mini.exposure import COADD_ZERO_POINT, NO_DATA, SATURATED, Exposure
from hsc_mini.faults import InputFault
from hsc_mini.fitsfile import Value
from hsc_mini.geometry import Patch, SkyMap
from hsc_mini.task import ImageConfig, Job, program


@dataclass(frozen=True, slots=True, kw_only=True)
class AssembleCoaddConfig(ImageConfig):
    """``clipSigma`` is how far from the median of all warps a pixel may lie."""

    clipSigma: float = 5.0


def assemble_coadd(job: Job, config: AssembleCoaddConfig) -> None:
    """Make the coadd of one patch and filter from the warps selected."""
    visits = sorted({int(selected["visit"]) for selected in job.selected})
    patch = SkyMap.load(job.find("deepCoadd_skyMap")).patch(int(job.data_id["tract"]), job.text("patch"))
    warps = [read_checked(job, visit, patch) for visit in visits]
    images = np.array([np.where(usable(warp), warp.image, np.nan) for warp in warps])
    variances = np.array([np.where(usable(warp), warp.variance, np.nan) for warp in warps])
    weights = np.array([1 / warp.header.number("MEDVAR") for warp in warps])
    clipped = clip(images, variances, config.clipSigma)
    image, variance, depth = weighted_mean(images, variances, weights)
    mask = np.where(depth == 0, NO_DATA, 0).astype("i2")
    for warp in warps:
        mask |= (warp.mask & SATURATED) * usable(warp)
    psf: Array = np.average(np.array([warp.psf for warp in warps]), axis=0, weights=weights)
    first = warps[0]
    coadd = Exposure(header=first.header, wcs=first.wcs, image=image, mask=mask, variance=variance, psf=psf)
    seeing = float(np.average([warp.header.number("SEEING") for warp in warps], weights=weights))
    cards: dict[str, Value] = {
        "TRACT": int(job.data_id["tract"]), "PATCH": job.text("patch"), "FILTER": job.text("filter"),
        "ZP": COADD_ZERO_POINT, "NWARP": len(warps), "VISITS": ",".join(map(str, visits)), "NCLIP": clipped,
        "DEPTHMED": float(np.median(depth)), "SEEING": seeing, "BORDER": patch.border,
    }  # fmt: skip
    planes = (("NIMAGE", depth, first.wcs.cards()),)
    coadd.write(job.place("deepCoadd"), cards, compression=config.compression, extra=planes)
    job.quality(nwarp=len(warps), nclip=clipped, depthmed=float(np.median(depth)))


def read_checked(job: Job, visit: int, patch: Patch) -> Exposure:
    """Return the warp of a visit, which must be of this patch, in its pixels, and filter."""
    warp = Exposure.read(job.find("deepCoadd_tempExp", visit=visit))
    for key, value in (("PATCH", job.text("patch")), ("FILTER", job.text("filter")), ("VISIT", str(visit))):
        if warp.header.text(key) != value:
            raise InputFault(f"{warp.header.source}: {key} is {warp.header.text(key)}, not {value}")
    if warp.image.shape != (patch.side, patch.side) or not np.allclose(warp.wcs.crpix, patch.wcs.crpix):
        raise InputFault(f"{warp.header.source} is not on the pixels of patch {patch.name} of this sky map")
    return warp


def usable(warp: Exposure) -> Array:
    """Return where a warp has data."""
    has_data: Array = ~warp.empty & (warp.variance > 0)
    return has_data


def clip(images: Array, variances: Array, threshold: float) -> int:
    """Make NaN of pixels far from the median over the first axis, in place; return how many."""
    if len(images) < 3:
        return 0
    median = _median_of_finite(images)
    # 30 % of the signal is allowed, because the seeing differs between visits
    tolerance = threshold * np.sqrt(variances) + 0.3 * np.abs(median)
    with np.errstate(invalid="ignore"):
        far = np.abs(images - median) > tolerance
    images[far] = np.nan
    return int(far.sum())


def weighted_mean(images: Array, variances: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Return mean, its variance, and how many images gave each pixel; zero where none did."""
    finite = np.isfinite(images)
    share = weights[:, None, None] * finite
    total = share.sum(0)
    safe = np.where(total > 0, total, 1)
    image = (share * np.where(finite, images, 0)).sum(0) / safe
    variance = (share**2 * np.where(finite, variances, 0)).sum(0) / safe**2
    return image.astype("f4"), variance.astype("f4"), finite.sum(0).astype("i2")


def _median_of_finite(images: Array) -> Array:
    """Return the median over the first axis, NaN left out; sorting puts NaN last and is faster than nanmedian."""
    ordered, count = np.sort(images, axis=0), np.isfinite(images).sum(0)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.minimum(high, len(images) - 1)
    pick = [np.take_along_axis(ordered, index[None], axis=0)[0] for index in (low, high)]
    middle: Array = 0.5 * (pick[0] + pick[1])
    return middle


main = program(
    "assembleCoadd",
    AssembleCoaddConfig,
    assemble_coadd,
    keys=("tract", "patch", "filter"),
    selects=("visit",),
)

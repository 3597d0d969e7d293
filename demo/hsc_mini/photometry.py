"""Measure stars and galaxies: detection, PSF models, PSF fluxes, matching of positions."""

from __future__ import annotations

import numpy as np
import sep

from hsc_mini.arrays import Array
from hsc_mini.exposure import BAD, COSMIC_RAY, SATURATED
from hsc_mini.faults import ScienceFault
from hsc_mini.pixels import REACH, cut_out, lanczos, shift_stack

GAUSSIAN_FWHM = 2.3548
MATCHED_RADIUS = 7
"""PSF fluxes look no further than this many pixels."""


def magnitude(flux: Array, zero_point: float) -> Array:
    """Return magnitudes; a flux that is not positive becomes very faint, never NaN."""
    magnitudes: Array = zero_point - 2.5 * np.log10(np.maximum(flux, 1e-10))
    return magnitudes


def magnitude_error(flux: Array, error: Array) -> Array:
    """Return first-order magnitude errors, at most 99."""
    return np.clip(1.0857 * error / np.maximum(flux, 1e-9), 0, 99)


def robust_sigma(values: Array) -> float:
    """Return the median absolute deviation, scaled to a Gaussian's sigma."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def match(x1: Array, y1: Array, x2: Array, y2: Array, radius: float) -> tuple[Array, Array]:
    """Return the indices of mutually nearest pairs within *radius*; brute force, catalogues here are small."""
    if not (len(x1) and len(x2)):
        return np.zeros(0, int), np.zeros(0, int)
    squares = (x1[:, None] - x2[None, :]) ** 2 + (y1[:, None] - y2[None, :]) ** 2
    first, second = np.arange(len(x1)), squares.argmin(1)
    paired = (squares[first, second] < radius * radius) & (squares.argmin(0)[second] == first)
    return first[paired], second[paired]


def with_errors(found: Array) -> Array:
    """Return sep's detections with one more column, ``fluxerr``, still zero."""
    objects = np.zeros(len(found), dtype=[*found.dtype.descr, ("fluxerr", "f8")])
    for name in found.dtype.names or ():
        objects[name] = found[name]
    return objects


def refine_positions(image: Array, x: Array, y: Array, fwhm: float) -> tuple[Array, Array]:
    """Return windowed centroids, or the given position where that moves by a pixel or fails."""
    wx, wy, flags = sep.winpos(image, x, y, np.full(len(x), fwhm / GAUSSIAN_FWHM))
    good = (flags == 0) & (np.hypot(wx - x, wy - y) < 1)
    return np.where(good, wx, x), np.where(good, wy, y)


def fit_psf(image: Array, objects: Array, mask: Array, half: int) -> tuple[Array, float, int]:
    """Return the PSF, its FWHM in pixels, and of how many stars it is the median.

    Its sum is 1 within the radius that PSF fluxes use: normalised over the whole stamp, the error of the sky under the
    wings would scale every flux.
    """
    stars = _choose_stars(image.shape, objects, mask, half)
    x, y = objects["x"][stars], objects["y"][stars]
    ix, iy = np.rint(x).astype(int), np.rint(y).astype(int)
    stamps = shift_stack(cut_out(image, ix, iy, half + REACH), x - ix, y - iy)
    radius = _radius(half)
    core = stamps[:, radius < 4].sum(1)
    psf = np.median(stamps / core[:, None, None], axis=0)
    wings = np.median(psf[(radius > half - 1.5) & (radius < half + 0.5)])
    psf = np.where(radius < half + 0.5, psf - wings, 0)
    psf /= psf[radius <= MATCHED_RADIUS].sum()
    return psf, psf_fwhm(psf), len(stars)


def psf_fwhm(psf: Array) -> float:
    """Return the diameter of the circle with the area above half maximum, in pixels.

    The PSF is sampled finely first: whole pixels would make the seeing a step function.
    """
    steps, size = 8, psf.shape[0]
    fine = lanczos(np.arange(0, size - 1, 1 / steps)[:, None] - np.arange(size))
    image = fine @ psf @ fine.T
    return float(2 * np.sqrt((image > image.max() / 2).sum() / np.pi)) / steps


def psf_flux(image: Array, variance: Array, psf: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Return matched-filter PSF fluxes and errors at fixed positions of a sky-subtracted image.

    Pixels are weighted by the sky variance alone, so that errors of the PSF do not bias bright stars.
    """
    half = psf.shape[0] // 2
    ix, iy = np.rint(x).astype(int), np.rint(y).astype(int)
    data, noise = cut_out(image, ix, iy, half), cut_out(variance, ix, iy, half)
    wide = np.broadcast_to(np.pad(psf, REACH), (len(ix), psf.shape[0] + 2 * REACH, psf.shape[1] + 2 * REACH))
    model = shift_stack(wide, ix - x, iy - y)
    good = np.isfinite(noise) & (noise > 0) & (_radius(half)[None] <= min(half, MATCHED_RADIUS))
    weight = good / (np.median(noise[good]) if good.any() else 1.0)
    norm = np.maximum((weight * model * model).sum((1, 2)), 1e-30)
    flux = (weight * data * model).sum((1, 2)) / norm
    error = np.sqrt((weight**2 * model**2 * np.where(good, noise, 0)).sum((1, 2))) / norm
    return flux, error


def _choose_stars(shape: tuple[int, ...], objects: Array, mask: Array, half: int) -> Array:
    """Return the indices of up to 40 bright, round, clean detections on the stellar locus."""
    width = GAUSSIAN_FWHM * np.sqrt(np.maximum((objects["a"] ** 2 + objects["b"] ** 2) / 2, 1e-3))
    x, y, room = objects["x"], objects["y"], half + 4
    whole = (x > room) & (y > room) & (x < shape[1] - room - 1) & (y < shape[0] - room - 1)
    signal = objects["flux"] / np.maximum(objects["fluxerr"], 1e-9)
    clean = mask[np.rint(y).astype(int), np.rint(x).astype(int)] & (SATURATED | COSMIC_RAY | BAD) == 0
    round_ = objects["b"] / objects["a"] > 0.75
    stars = whole & clean & round_ & (signal > 60) & (objects["flag"] == 0) & (width > 1.2)
    if stars.sum() < 5:
        stars = whole & (signal > 20) & (width > 1.2)
    if stars.sum() < 3:
        raise ScienceFault("too few stars for a PSF")
    locus = _mode(width[stars])
    chosen = np.flatnonzero(stars & (np.abs(width - locus) < 0.15 * locus))
    brightest: Array = chosen[np.argsort(-objects["flux"][chosen], kind="stable")][:40]
    return brightest


def _mode(values: Array) -> float:
    """Return the middle of the densest half, halved until few are left."""
    values = np.sort(values)
    while len(values) > 6:
        half = len(values) // 2
        start = int(np.argmin(values[half:] - values[:-half]))
        values = values[start : start + half]
    return float(np.median(values))


def _radius(half: int) -> Array:
    span = np.arange(-half, half + 1)
    return np.hypot(span[:, None], span[None, :])

"""A simulated camera: paints the sky on a ccd, adds noise and cosmic rays, reads it out through four amplifiers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hsc_mini.arrays import Array
from hsc_mini.geometry import Tan

EXPOSURE_SECONDS = 60.0
AMPLIFIER_GAINS = (3.10, 3.17, 3.05, 3.22)
READ_NOISE = 4.5
OVERSCAN = 16
FULL_WELL = 180_000
COSMIC_RAYS = 25
ELECTRON_MAGNITUDE = {"HSC-R": 27.9, "HSC-I": 27.5}
"""Magnitude that gives one electron per second."""
SKY_MAGNITUDE = {"HSC-R": 20.9, "HSC-I": 19.9}
"""Per square arcsecond."""

# An exponential galaxy as Gaussians (Hogg & Lang 2013): amplitude, variance in effective radii squared; their first, a
# spike narrower than any pixel, is left out.
_HOGG_LANG = (
    (3.07995260e-02, 8.84526493e-03),
    (2.23364214e-01, 3.91463084e-02),
    (1.17949102e00, 1.39976817e-01),
    (4.33873750e00, 4.60962500e-01),
    (5.99820770e00, 1.50159566e00),
)
GALAXY_PROFILE = tuple((amplitude / sum(a for a, _ in _HOGG_LANG), variance) for amplitude, variance in _HOGG_LANG)
# A seeing disc as three Gaussians: amplitude, sigma relative to FWHM / 2.3548.
PSF_PROFILE = ((0.76, 0.92), (0.20, 1.75), (0.04, 3.6))


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a visit was like: filter, seeing in arcsec, transparency (1 is perfect)."""

    band: str
    seeing: float
    transparency: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detector:
    """One ccd's response: shape (rows, columns), bias structure in counts, flat field."""

    bias: Array
    flat: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns without overscan."""
        return self.flat.shape[0], self.flat.shape[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian:
    """One component of a profile: weight and covariance (xx, xy, yy) in pixels squared."""

    weight: float
    xx: float
    xy: float
    yy: float


def expose(rng: np.random.Generator, sky: Array, wcs: Tan, conditions: Conditions, detector: Detector) -> Array:
    """Return the raw counts of one ccd as uint16, overscan included."""
    electrons = paint(rng, sky, wcs, conditions, detector.shape)
    electrons += sky_background(wcs, conditions, detector.shape)
    electrons = rng.poisson(electrons * detector.flat).astype(float)
    hit_by_cosmic_rays(rng, electrons)
    np.minimum(electrons, FULL_WELL, out=electrons)
    return read_out(rng, electrons, detector)


def paint(rng: np.random.Generator, sky: Array, wcs: Tan, conditions: Conditions, shape: tuple[int, int]) -> Array:
    """Return the electrons of all objects, without noise."""
    rows, columns = shape
    image = np.zeros(shape)
    magnitudes = sky["mag_r" if conditions.band == "HSC-R" else "mag_i"]
    rate = 10 ** (0.4 * (ELECTRON_MAGNITUDE[conditions.band] - magnitudes))
    flux = EXPOSURE_SECONDS * conditions.transparency * rate
    x, y = wcs.to_pixels(sky["ra"], sky["dec"])
    sigma = conditions.seeing / 2.3548 / wcs.scale
    psf = draw_psf(rng, sigma)
    to_pixels = np.linalg.inv(wcs.cd * 3600)
    margin = 40
    for k in np.flatnonzero((x > -margin) & (x < columns + margin) & (y > -margin) & (y < rows + margin)):
        half = max(12, 5 * np.log10(max(flux[k], 10)) * sigma)
        if sky["isgal"][k]:
            profile = galaxy_profile(sky[k], psf, to_pixels)
            reach = min(int(half + 4 * sky["re"][k] / wcs.scale), 60)
        else:
            profile, reach = psf, min(int(half), 80)
        add_object(image, float(x[k]), float(y[k]), float(flux[k]), profile, reach)
    return image


def draw_psf(rng: np.random.Generator, sigma: float) -> list[Gaussian]:
    """Return a slightly elliptic PSF; *sigma* in pixels."""
    e1, e2 = rng.normal(0, 0.02, 2)
    widths = [(amplitude, (relative * sigma) ** 2) for amplitude, relative in PSF_PROFILE]
    return [Gaussian(weight=w, xx=v * (1 + e1), xy=v * e2, yy=v * (1 - e1)) for w, v in widths]


def galaxy_profile(galaxy: Array, psf: list[Gaussian], to_pixels: Array) -> list[Gaussian]:
    """Return the galaxy as seen through the PSF: every component of one with every component of the other."""
    radius, e1, e2 = galaxy["re"], galaxy["e1"], galaxy["e2"]
    shape = to_pixels @ (radius**2 * np.array([[1 + e1, e2], [e2, 1 - e1]])) @ to_pixels.T
    return [
        Gaussian(
            weight=amplitude * point.weight,
            xx=point.xx + variance * shape[0, 0],
            xy=point.xy + variance * shape[0, 1],
            yy=point.yy + variance * shape[1, 1],
        )
        for amplitude, variance in GALAXY_PROFILE
        for point in psf
    ]


def add_object(image: Array, x: float, y: float, flux: float, profile: list[Gaussian], reach: int) -> None:
    """Add an object to *image* in place, within *reach* pixels of its centre."""
    rows, columns = image.shape
    x0, x1 = max(0, int(x) - reach), min(columns, int(x) + reach + 1)
    y0, y1 = max(0, int(y) - reach), min(rows, int(y) + reach + 1)
    if x0 >= x1 or y0 >= y1:
        return
    dx, dy = (np.arange(x0, x1) - x)[None, :], (np.arange(y0, y1) - y)[:, None]
    light = np.zeros((y1 - y0, x1 - x0))
    for part in profile:
        determinant = part.xx * part.yy - part.xy**2
        form = (part.yy * dx * dx - 2 * part.xy * dx * dy + part.xx * dy * dy) / determinant
        light += part.weight / (2 * np.pi * np.sqrt(determinant)) * np.exp(-0.5 * form)
    image[y0:y1, x0:x1] += flux * light


def sky_background(wcs: Tan, conditions: Conditions, shape: tuple[int, int]) -> Array:
    """Return the sky in electrons, a few per cent brighter to one side."""
    rate = 10 ** (0.4 * (ELECTRON_MAGNITUDE[conditions.band] - SKY_MAGNITUDE[conditions.band]))
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    slope: Array = 1 + 0.03 * (columns / shape[1] - 0.5) + 0.02 * (rows / shape[0] - 0.5)
    return EXPOSURE_SECONDS * wcs.scale**2 * rate * slope


def hit_by_cosmic_rays(rng: np.random.Generator, electrons: Array) -> None:
    """Add short bright tracks in place."""
    rows, columns = electrons.shape
    for _ in range(rng.poisson(COSMIC_RAYS)):
        x, y, angle = rng.uniform(0, columns), rng.uniform(0, rows), rng.uniform(0, np.pi)
        for step in np.arange(0, rng.exponential(6) + 1, 0.5):
            i, j = int(x + step * np.cos(angle)), int(y + step * np.sin(angle))
            if 0 <= i < columns and 0 <= j < rows:
                electrons[j, i] += rng.exponential(1500)


def read_out(rng: np.random.Generator, electrons: Array, detector: Detector) -> Array:
    """Return counts: each amplifier's columns followed by its overscan, with a drifting level and read noise."""
    rows, columns = electrons.shape
    width = columns // len(AMPLIFIER_GAINS)
    parts = []
    for index, gain in enumerate(AMPLIFIER_GAINS):
        level = 1000 + 15 * index + 3 * np.sin(np.arange(rows) / 150.0)[:, None]
        own = np.s_[:, index * width : (index + 1) * width]
        exposed = electrons[own] / gain + level + detector.bias[own]
        part = np.concatenate([exposed, np.broadcast_to(level, (rows, OVERSCAN))], axis=1)
        parts.append(part + rng.normal(0, READ_NOISE / gain, part.shape))
    return np.clip(np.rint(np.concatenate(parts, axis=1)), 0, 65535).astype("u2")

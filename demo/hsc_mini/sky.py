"""What there is to see: simulated stars and galaxies, drawn from assumed number counts, not a real catalogue."""

from __future__ import annotations

import numpy as np

from hsc_mini.arrays import Array
from hsc_mini.geometry import SkyMap, Tan

TRUTH_COLUMNS = [
    ("id", "i8"), ("ra", "f8"), ("dec", "f8"), ("isgal", "i2"), ("mag_r", "f8"), ("mag_i", "f8"),
    ("re", "f8"), ("e1", "f8"), ("e2", "f8"),
]  # fmt: skip
REFERENCE_COLUMNS = [("id", "i8"), ("ra", "f8"), ("dec", "f8"), ("mag_r", "f4"), ("mag_i", "f4")]
MARGIN = 1.25
"""Objects are drawn over the tract's width times this, so that no exposure ends in the void."""
GALAXIES_PER_ARCMIN2 = 18.0
REFERENCE_LIMIT = 21.5


def draw_sky(rng: np.random.Generator, skymap: SkyMap) -> Array:
    """Return the table of all objects; magnitudes AB, ``re`` the effective radius in arcsec."""
    width = skymap.columns * skymap.patch_pixels * skymap.scale / 3600 * MARGIN
    area = (width * 60) ** 2
    stars, galaxies = int(stars_per_arcmin2(skymap.patch_pixels) * area), int(GALAXIES_PER_ARCMIN2 * area)
    count = stars + galaxies
    sky = np.zeros(count, dtype=TRUTH_COLUMNS)
    sky["id"] = np.arange(1, count + 1)
    xi, eta = rng.uniform(-width / 2, width / 2, (2, count))
    plane = Tan((skymap.ra, skymap.dec), (1, 1), np.eye(2))
    sky["ra"], sky["dec"] = plane.to_sky(xi, eta)
    sky["isgal"][stars:] = 1
    sky["mag_i"][:stars] = draw_magnitudes(rng, stars, 16.0, 23.5, 0.12)
    sky["mag_i"][stars:] = draw_magnitudes(rng, galaxies, 19.0, 24.5, 0.33)
    galaxy = sky["isgal"] == 1
    star_colour = np.clip(rng.gamma(2, 0.25, count), 0.05, 2.2)
    sky["mag_r"] = sky["mag_i"] + np.where(galaxy, rng.normal(0.45, 0.3, count), star_colour)
    log_radius = rng.normal(-0.35, 0.2, count) - 0.05 * (sky["mag_i"] - 22)
    sky["re"] = np.where(galaxy, 10**log_radius, 0)
    sky["e1"], sky["e2"] = rng.normal(0, 0.2, (2, count)).clip(-0.5, 0.5)
    return sky


def stars_per_arcmin2(patch_pixels: int) -> float:
    """Return a density that gives even a small ccd enough stars for its PSF and astrometry."""
    return max(5.0, 14.0 * (256 / patch_pixels) ** 2)


def draw_magnitudes(rng: np.random.Generator, count: int, bright: float, faint: float, slope: float) -> Array:
    """Return magnitudes whose numbers grow as 10 ** (slope * magnitude)."""
    low, high = 10 ** (slope * bright), 10 ** (slope * faint)
    magnitudes: Array = np.log10(low + rng.uniform(size=count) * (high - low)) / slope
    return magnitudes


def draw_reference(rng: np.random.Generator, sky: Array) -> Array:
    """Return the bright stars as a reference catalogue knows them: 20 mas and 0.01 mag of noise."""
    stars = sky[(sky["isgal"] == 0) & (sky["mag_i"] < REFERENCE_LIMIT)]
    reference = np.zeros(len(stars), dtype=REFERENCE_COLUMNS)
    reference["id"] = stars["id"]
    for name in ("ra", "dec"):
        reference[name] = stars[name] + rng.normal(0, 0.02 / 3600, len(stars))
    for name in ("mag_r", "mag_i"):
        reference[name] = stars[name] + rng.normal(0, 0.01, len(stars))
    return reference

"""Fit the WCS of a ccd to a reference catalogue: vote for a shift, then an affine map of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hsc_mini.arrays import Array
from hsc_mini.faults import ScienceFault
from hsc_mini.geometry import Tan
from hsc_mini.photometry import match

SEARCH = 25
"""Pixels within which the pointing error is looked for."""
ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """A fitted WCS, which source matched which reference star, and the median distance left, in mas."""

    wcs: Tan
    sources: Array
    stars: Array
    residual: float


def solve(wcs: Tan, x: Array, y: Array, ra: Array, dec: Array, *, radius: float, fewest: int) -> Solution:
    """Return the WCS that puts sources (x, y), brightest first, on stars (ra, dec).

    *radius* is the first match radius in arcsec; fewer than *fewest* matches is a failure.
    """
    star_x, star_y = wcs.to_pixels(ra, dec)
    pixels = radius / wcs.scale
    shift_x, shift_y = _vote(x, y, star_x, star_y)
    affine = np.array([[1.0, 0.0, shift_x], [0.0, 1.0, shift_y]])
    terms = np.stack([x, y, np.ones(len(x))], 1)
    for turn in range(ROUNDS):
        near = pixels if turn == 0 else max(1.0, pixels / 2**turn)
        moved = affine @ terms.T
        sources, stars = match(moved[0], moved[1], star_x, star_y, near)
        if len(sources) < fewest:
            raise ScienceFault(f"astrometry: only {len(sources)} of {fewest} matches")
        goal = np.stack([star_x[stars], star_y[stars]], 1)
        affine = np.linalg.lstsq(terms[sources], goal, rcond=None)[0].T
    moved = affine @ terms[sources].T
    distance = np.hypot(moved[0] - star_x[stars], moved[1] - star_y[stars])
    residual = float(np.median(distance)) * wcs.scale * 1000
    return Solution(wcs=_apply(affine, wcs), sources=sources, stars=stars, residual=residual)


def _vote(x: Array, y: Array, star_x: Array, star_y: Array) -> tuple[float, float]:
    """Return the shift that most pairs of a source and a star agree on."""
    dx, dy = (star_x[:, None] - x[None]).ravel(), (star_y[:, None] - y[None]).ravel()
    near = (np.abs(dx) < SEARCH) & (np.abs(dy) < SEARCH)
    limits = [[-SEARCH, SEARCH]] * 2
    votes, edges_x, edges_y = np.histogram2d(dx[near], dy[near], bins=SEARCH, range=limits)
    around = [np.roll(np.roll(votes, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    row, column = np.unravel_index(int(np.sum(around, axis=0).argmax()), votes.shape)
    return float(edges_x[row]) + 1, float(edges_y[column]) + 1


def _apply(affine: Array, wcs: Tan) -> Tan:
    """Return the WCS in which pixel p lies where *wcs* has the pixel that *affine* makes of p."""
    linear, shift = affine[:, :2], affine[:, 2]
    origin = np.linalg.solve(linear, wcs.crpix - 1 - shift) + 1
    crval = (float(wcs.crval[0]), float(wcs.crval[1]))
    return Tan(crval, (float(origin[0]), float(origin[1])), wcs.cd @ linear)

"""Which images fall on which patches of the sky: convex polygons of great circles, given by their corners.

lsst-sphgeom decides: polygons on the sphere itself, with predicates that are exact in spite of rounding, so RA 0, the
poles and slivers need no care. What only touches a patch falls on it. Comparing the caps around the polygons first, for
all images at once, leaves few pairs to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from lsst.sphgeom import ConvexPolygon, UnitVector3d

Array = np.ndarray[Any, np.dtype[Any]]

ROUNDING = 1e-6  # radians that two caps may be apart by no more than rounding: 0.2 arcsec
WIDEST = np.pi / 2  # radians; a wider cap need not hold the polygon between its corners


class Polygons:
    """Polygons of four corners each: *degrees* has the shape (n, 4, 2), RA and declination."""

    def __init__(self, degrees: Array) -> None:
        ra, dec = np.radians(degrees[..., 0]), np.radians(degrees[..., 1])
        self.corners = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
        self.centres, self.radii = _caps(self.corners)
        self._made: dict[int, ConvexPolygon | None] = {}

    def __len__(self) -> int:
        return len(self.corners)

    def polygon(self, index: int) -> ConvexPolygon | None:
        """Return a polygon, or None if its corners span no area, or half of the sky."""
        if index not in self._made:
            try:
                made = ConvexPolygon([UnitVector3d(*corner) for corner in self.corners[index].tolist()])
            except ValueError:
                made = None
            self._made[index] = made
        return self._made[index]


def _caps(corners: Array) -> tuple[Array, Array]:
    """Return centre and radius of a cap around each polygon; a radius of pi where no smaller one is sure."""
    sums = corners.sum(axis=1)
    lengths = np.linalg.norm(sums, axis=-1, keepdims=True)
    centres = np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 1e-9)
    radii = _angles(corners, centres[:, None, :]).max(axis=1)
    return centres, np.where((radii < WIDEST) & (lengths[:, 0] > 1e-9), radii, np.pi)


def _angles(one: Array, other: Array) -> Array:
    """Return the angles between unit vectors in radians."""
    angles: Array = np.arccos(np.clip((one * other).sum(axis=-1), -1.0, 1.0))
    return angles


def falls_on(patches: Polygons, images: Polygons) -> Iterator[tuple[int, int]]:
    """Yield (patch, image) for each image that shares a point with a patch, in the order of both.

    Raises:
        ValueError: the corners of a patch or image span no area, or half of the sky; its argument is ("patch" or
            "image", index).
    """
    near = _near_all(patches, images)
    for patch in range(len(patches)):
        polygon = patches.polygon(patch)
        if polygon is None:
            raise ValueError("patch", patch)
        apart = np.arccos(np.clip(images.centres[near] @ patches.centres[patch], -1.0, 1.0))
        reach = images.radii[near] + patches.radii[patch] + ROUNDING
        for image in near[apart <= reach].tolist():
            other = images.polygon(image)
            if other is None:
                raise ValueError("image", image)
            if polygon.overlaps(other) is not False:
                yield patch, image


def _near_all(patches: Polygons, images: Polygons) -> Array:
    """Return the indices of the images near the one cap that holds all patches."""
    centre = patches.centres.sum(axis=0)
    length = np.linalg.norm(centre)
    if length > 1e-9:
        reach = (_angles(patches.centres, centre / length) + patches.radii).max()
        apart = np.arccos(np.clip(images.centres @ (centre / length), -1.0, 1.0))
        return np.flatnonzero(apart <= images.radii + reach + ROUNDING)
    return np.arange(len(images))


def polygons(rows: Sequence[Sequence[float]]) -> Polygons:
    """Return polygons of rows ra1, dec1 … ra4, dec4 in degrees."""
    return Polygons(np.array(rows, dtype=float).reshape(len(rows), 4, 2))

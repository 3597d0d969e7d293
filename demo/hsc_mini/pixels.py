"""Pixel arithmetic: resampling, interpolation over bad pixels, cosmic rays. Knows arrays, not files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hsc_mini.arrays import Array
from hsc_mini.exposure import BAD, NO_DATA, SATURATED

REACH = 3
"""Half width in pixels of the largest Lanczos kernel."""


def lanczos(offset: Array, order: int = 3) -> Array:
    """Return the Lanczos kernel of *order* at *offset* pixels."""
    angle = np.pi * np.where(np.abs(offset) < 1e-9, 1e-9, offset)
    weight: Array = order * np.sin(angle) * np.sin(angle / order) / (angle * angle)
    return np.where(np.abs(offset) < order, weight, 0.0)


@dataclass(slots=True, kw_only=True, eq=False)
class Planes:
    """Image, variance and mask of one size, without a place on the sky."""

    image: Array
    variance: Array
    mask: Array


def empty_planes(shape: tuple[int, int]) -> Planes:
    """Return planes that hold no data yet."""
    return Planes(
        image=np.zeros(shape, "f4"), variance=np.full(shape, np.inf, "f4"), mask=np.full(shape, NO_DATA, "i2")
    )


def resample(source: Planes, x: Array, y: Array, *, drop: int, order: int) -> Planes:
    """Return *source* at the pixels (x, y), without pixels that have a mask bit of *drop*.

    Bad pixels were interpolated upstream, so the image uses the whole kernel; the mask travels by nearest neighbour,
    the variance by nearest neighbour times the kernel's sum of squares.
    """
    rows, columns = source.image.shape
    result = empty_planes((x.size, 1))
    image, variance, mask = result.image[:, 0], result.variance[:, 0], result.mask[:, 0]
    shape, x, y = x.shape, x.ravel(), y.ravel()
    inside = np.flatnonzero((x >= 2) & (y >= 2) & (x < columns - REACH) & (y < rows - REACH))
    if inside.size:
        x, y = x[inside], y[inside]
        nearest = np.rint(y).astype(np.int32) * columns + np.rint(x).astype(np.int32)
        values, spread = _convolve(source.image, x, y, order)
        bits = source.mask.ravel().take(nearest)
        good = (bits & drop) == 0
        kept = inside[good]
        image[kept], mask[kept] = values[good], bits[good]
        variance[kept] = (source.variance.ravel().take(nearest) * spread)[good]
    return Planes(image=image.reshape(shape), variance=variance.reshape(shape), mask=mask.reshape(shape))


def _convolve(image: Array, x: Array, y: Array, order: int) -> tuple[Array, Array]:
    """Return the interpolated values at (x, y) and the factor that the kernel puts on the variance."""
    columns = image.shape[1]
    left, low = x.astype(np.int32), y.astype(np.int32)
    across = _kernel(x - left, order)
    up = _kernel(y - low, order)
    flat, corner = image.ravel(), low * columns + left
    total = np.zeros(x.size, "f4")
    for j in range(2 * REACH):
        line = corner + (j - 2) * columns
        row = across[0] * flat.take(line - 2)
        for i in range(1, 2 * REACH):
            row += across[i] * flat.take(line + (i - 2))
        total += up[j] * row
    return total, (across**2).sum(0) * (up**2).sum(0)


def _kernel(fraction: Array, order: int) -> Array:
    fraction = fraction.astype("f4")
    weights = np.stack([lanczos(fraction - k, order) for k in range(-2, 4)]).astype("f4")
    weights /= weights.sum(0)
    return weights


def shift_stack(stack: Array, dx: Array, dy: Array) -> Array:
    """Return each image of *stack* moved by its own (dx, dy), at most half a pixel; three pixels go on each side."""
    offsets = np.arange(-REACH, REACH + 1)
    width = stack.shape[-1] - 2 * REACH
    across, up = lanczos(dx[:, None] - offsets), lanczos(dy[:, None] - offsets)
    across /= across.sum(1, keepdims=True)
    up /= up.sum(1, keepdims=True)
    steps = range(2 * REACH + 1)
    moved: Array = sum(across[:, j, None, None] * stack[:, :, j : j + width] for j in steps)  # type: ignore[assignment]
    moved = sum(up[:, j, None, None] * moved[:, j : j + width, :] for j in steps)  # type: ignore[assignment]
    return moved


def cut_out(image: Array, x: Array, y: Array, half: int) -> Array:
    """Return squares of *image* centred on whole pixels (x, y), edge pixels repeated beyond the image."""
    rows, columns = image.shape
    span = np.arange(-half, half + 1)
    iy = np.clip(y[:, None, None] + span[None, :, None], 0, rows - 1)
    ix = np.clip(x[:, None, None] + span[None, None, :], 0, columns - 1)
    squares: Array = image[iy, ix]
    return squares


def interpolate(image: Array, bad: Array) -> Array:
    """Return *image* with *bad* pixels replaced by the mean of their good 5x5 neighbours."""
    y, x = np.nonzero(bad)
    if not y.size:
        return image
    values, weights = np.where(bad, 0, image), (~bad).astype("f4")
    total, count = np.zeros(y.size), np.zeros(y.size)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            near = np.clip(y + dy, 0, image.shape[0] - 1), np.clip(x + dx, 0, image.shape[1] - 1)
            total += values[near]
            count += weights[near]
    repaired = image.copy()
    repaired[y, x] = np.where(count > 0, total / np.maximum(count, 1), 0)
    return repaired


def find_cosmic_rays(planes: Planes, fwhm: float, threshold: float, *, rounds: int = 2) -> tuple[Array, Array]:
    """Return where cosmic rays are and the image without them.

    A pixel is hit when it is *threshold* sigma bright and sharper than a PSF of *fwhm* pixels allows in any of four
    directions (R. Lupton's test).
    """
    hit = np.zeros(planes.image.shape, bool)
    image, sigma = planes.image.copy(), np.sqrt(planes.variance)
    usable = (planes.mask & (BAD | SATURATED)) == 0
    for _ in range(rounds):
        new = (image > threshold * sigma) & _too_sharp(image, sigma, fwhm) & usable & ~hit
        if not new.any():
            break
        hit |= new
        image = interpolate(image, hit)
    return hit, image.astype("f4")


def _too_sharp(image: Array, sigma: Array, fwhm: float) -> Array:
    rows, columns = image.shape
    padded = np.pad(image, 1, mode="edge")
    sharp = np.zeros(image.shape, bool)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        ahead = padded[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns]
        behind = padded[1 - dy : 1 - dy + rows, 1 - dx : 1 - dx + columns]
        expected = np.exp(-(dy * dy + dx * dx) / (2 * (fwhm / 2.3548) ** 2))
        sharp |= 0.5 * (ahead + behind) + sigma * expected < 0.55 * expected * (image - sigma)
    return sharp

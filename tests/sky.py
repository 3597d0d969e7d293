"""Squares on the sky for tests, by their corners."""

from __future__ import annotations

import math

Row = list[float]
"""RA and declination of each corner, in degrees."""


def box(ra: float, dec: float, width: float, height: float | None = None, turn: float = 0) -> Row:
    """Return the corners of a square on the tangent plane at (*ra*, *dec*): sides in degrees, *turn* too."""
    half, low, angle = math.radians(width) / 2, math.radians(height or width) / 2, math.radians(turn)
    row: Row = []
    for x, y in ((-half, -low), (half, -low), (half, low), (-half, low)):
        xi, eta = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
        row += place(ra, dec, math.degrees(xi), math.degrees(eta))
    return row


def place(ra: float, dec: float, xi: float, eta: float) -> Row:
    """Return where a point of the tangent plane at (*ra*, *dec*) is; everything in degrees."""
    x, y, sine, cosine = math.radians(xi), math.radians(eta), math.sin(math.radians(dec)), math.cos(math.radians(dec))
    below = cosine - y * sine
    return [
        (ra + math.degrees(math.atan2(x, below))) % 360,
        math.degrees(math.atan2(sine + y * cosine, math.hypot(x, below))),
    ]

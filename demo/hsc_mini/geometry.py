"""Where pixels are on the sky: gnomonic projections and a sky map of one tract. numpy only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hsc_mini.arrays import Array
from hsc_mini.faults import InputFault
from hsc_mini.fitsfile import Header, Value

DEGREE = np.pi / 180.0


class Tan:
    """A gnomonic WCS: reference point in degrees, reference pixel (1-based), CD matrix in degrees per pixel.

    Pixel coordinates in and out are 0-based.
    """

    def __init__(self, crval: tuple[float, float], crpix: tuple[float, float], cd: Array):
        self.crval = np.array(crval, float)
        self.crpix = np.array(crpix, float)
        self.cd = np.array(cd, float).reshape(2, 2)

    @classmethod
    def from_header(cls, header: Header) -> Tan:
        """Read the WCS cards of an image header."""
        cd = np.array([header.number(key) for key in ("CD1_1", "CD1_2", "CD2_1", "CD2_2")])
        crval = (header.number("CRVAL1"), header.number("CRVAL2"))
        return cls(crval, (header.number("CRPIX1"), header.number("CRPIX2")), cd)

    @property
    def scale(self) -> float:
        """Arcseconds per pixel."""
        return float(np.sqrt(abs(np.linalg.det(self.cd)))) * 3600

    def cards(self) -> dict[str, Value]:
        """Return the WCS as header cards."""
        return {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg",
            "CRVAL1": float(self.crval[0]), "CRVAL2": float(self.crval[1]),
            "CRPIX1": float(self.crpix[0]), "CRPIX2": float(self.crpix[1]),
            "CD1_1": float(self.cd[0, 0]), "CD1_2": float(self.cd[0, 1]),
            "CD2_1": float(self.cd[1, 0]), "CD2_2": float(self.cd[1, 1]),
            "RADESYS": "ICRS", "EQUINOX": 2000.0,
        }  # fmt: skip

    def to_sky(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return right ascension and declination in degrees of pixels."""
        dx = np.asarray(x, float) + 1 - self.crpix[0]
        dy = np.asarray(y, float) + 1 - self.crpix[1]
        xi = (self.cd[0, 0] * dx + self.cd[0, 1] * dy) * DEGREE
        eta = (self.cd[1, 0] * dx + self.cd[1, 1] * dy) * DEGREE
        ra0, dec0 = self.crval * DEGREE
        below = np.cos(dec0) - eta * np.sin(dec0)
        ra = ra0 + np.arctan2(xi, below)
        dec = np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(xi, below))
        return np.mod(ra / DEGREE, 360.0), dec / DEGREE

    def to_pixels(self, ra: Array, dec: Array) -> tuple[Array, Array]:
        """Return the pixels of sky positions in degrees."""
        xi, eta = self.to_plane(ra, dec)
        inverse = np.linalg.inv(self.cd)
        x = inverse[0, 0] * xi + inverse[0, 1] * eta + self.crpix[0] - 1
        y = inverse[1, 0] * xi + inverse[1, 1] * eta + self.crpix[1] - 1
        return x, y

    def to_plane(self, ra: Array, dec: Array) -> tuple[Array, Array]:
        """Return tangent-plane coordinates in degrees of sky positions in degrees."""
        ra0, dec0 = self.crval * DEGREE
        ra, dec = np.asarray(ra, float) * DEGREE, np.asarray(dec, float) * DEGREE
        cosine = np.cos(ra - ra0)
        below = np.sin(dec) * np.sin(dec0) + np.cos(dec) * np.cos(dec0) * cosine
        xi = np.cos(dec) * np.sin(ra - ra0) / below
        eta = (np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * cosine) / below
        return xi / DEGREE, eta / DEGREE

    def corners(self, shape: tuple[int, int]) -> tuple[Array, Array]:
        """Return the sky positions of the four outer corners of an image of *shape* (rows, columns)."""
        rows, columns = shape
        x = np.array([-0.5, columns - 0.5, columns - 0.5, -0.5])
        y = np.array([-0.5, -0.5, rows - 0.5, rows - 0.5])
        return self.to_sky(x, y)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One patch with its border: WCS, side in pixels, and how many of them on each edge are border."""

    name: str
    wcs: Tan
    side: int
    border: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SkyMap:
    """One tract of ``columns`` x ``rows`` square patches; JSON on disk, never a pickle."""

    tract: int
    ra: float
    dec: float
    columns: int
    rows: int
    patch_pixels: int
    border: int
    scale: float

    @classmethod
    def load(cls, path: Path) -> SkyMap:
        """Read a sky map."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as fault:
            raise InputFault(f"{path}: not a sky map: {fault}") from fault

    def dumps(self) -> str:
        """Return the text that :meth:`load` reads."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def names(self) -> list[str]:
        """Return the names of all patches: ``0,0 0,1 ...``."""
        return [f"{column},{row}" for column in range(self.columns) for row in range(self.rows)]

    def patch(self, tract: int, name: str) -> Patch:
        """Return one patch of the tract by name."""
        if tract != self.tract:
            raise InputFault(f"the sky map has tract {self.tract} only, not {tract}")
        if name not in self.names():
            raise InputFault(f"tract {self.tract} has no patch {name}")
        column, row = (int(part) for part in name.split(","))
        size, border, degrees = self.patch_pixels, self.border, self.scale / 3600
        crpix = (
            self.columns * size / 2 + 0.5 - (column * size - border),
            self.rows * size / 2 + 0.5 - (row * size - border),
        )
        wcs = Tan((self.ra, self.dec), crpix, np.diag([-degrees, degrees]))
        return Patch(name=name, wcs=wcs, side=size + 2 * border, border=border)


def pixel_map(target: Tan, side: int, source: Tan) -> tuple[Array, Array]:
    """Return the *source* pixel of every pixel of a square image with WCS *target*.

    A quadratic fitted on a 7x7 grid: two gnomonic projections of one field differ from it by < 1e-5 pixel, and it
    costs two orders less than exact trigonometry.
    """
    grid_x, grid_y = np.meshgrid(np.linspace(0, side - 1, 7), np.linspace(0, side - 1, 7))
    x, y = source.to_pixels(*target.to_sky(grid_x, grid_y))
    u, v = (grid_x / side - 0.5).ravel(), (grid_y / side - 0.5).ravel()
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], 1)
    line = np.arange(side) / side - 0.5

    def everywhere(values: Array) -> Array:
        c = np.linalg.lstsq(terms, values.ravel(), rcond=None)[0]
        along, up = line[None, :], line[:, None]
        surface: Array = (c[0] + c[1] * along + c[3] * along**2) + (c[2] * up + c[5] * up**2) + c[4] * along * up
        return surface

    return everywhere(x), everywhere(y)


def covered_pixels(target: Tan, side: int, source: Tan, shape: tuple[int, int], *, edge: int = 4) -> int:
    """Count the pixels of a square *target* image that fall on a *source* image, its outermost *edge* left out."""
    x, y = pixel_map(target, side, source)
    rows, columns = shape
    inside = (x >= edge) & (y >= edge) & (x < columns - edge) & (y < rows - edge)
    return int(inside.sum())

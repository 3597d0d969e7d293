"""Compare forced catalogues with the simulation's truth: ``python -m hsc_mini.check TRUTH FORCED.fits...``.

Exit codes: 0 within limits, 1 outside, 3 unreadable.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsc_mini.arrays import Array
from hsc_mini.faults import InputFault
from hsc_mini.fitsfile import read_hdu, read_header
from hsc_mini.forcedphot import SATURATED_FLAG
from hsc_mini.geometry import Tan
from hsc_mini.photometry import match, robust_sigma
from hsc_mini.refcat import reference_magnitudes

MAGNITUDE_LIMIT = 0.03
POSITION_LIMIT = 0.1
BRIGHT, FAINT = 18.0, 21.5
"""Stars between these magnitudes are compared."""
MATCH_ARCSEC = 0.8
FEWEST_STARS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How one filter's catalogue agrees with the truth: magnitudes, and arcsec."""

    band: str
    objects: int
    matched: int
    stars: int
    magnitude_offset: float
    magnitude_scatter: float
    position_offset: float

    @property
    def good(self) -> bool:
        """Whether there are stars to judge by and both offsets are within limits."""
        enough = self.stars >= FEWEST_STARS
        return enough and abs(self.magnitude_offset) <= MAGNITUDE_LIMIT and self.position_offset <= POSITION_LIMIT


def compare(truth: Path, forced: Iterable[Path]) -> list[Comparison]:
    """Return one comparison per filter of the *forced* catalogues, in order of the filters' names."""
    sky = read_hdu(truth, 1)[1]
    tables: dict[str, list[Array]] = {}
    for path in forced:
        tables.setdefault(read_header(path).text("FILTER"), []).append(read_hdu(path, "FORCED")[1])
    return [compare_band(band, np.concatenate(tables[band]), sky) for band in sorted(tables)]


def compare_band(band: str, catalogue: Array, sky: Array) -> Comparison:
    """Compare the primary objects of one filter with the truth."""
    catalogue = catalogue[catalogue["primary"] == 1]
    plane = Tan((float(sky["ra"].mean()), float(sky["dec"].mean())), (1, 1), np.eye(2))
    x, y = np.multiply(plane.to_plane(catalogue["ra"], catalogue["dec"]), 3600)
    true_x, true_y = np.multiply(plane.to_plane(sky["ra"], sky["dec"]), 3600)
    found, true = match(x, y, true_x, true_y, MATCH_ARCSEC)
    distance = np.hypot(x[found] - true_x[true], y[found] - true_y[true])
    magnitudes = reference_magnitudes(sky, band)[true]
    stars = (sky["isgal"][true] == 0) & (magnitudes > BRIGHT) & (magnitudes < FAINT)
    stars &= catalogue["flags"][found] & SATURATED_FLAG == 0
    difference = catalogue["mag"][found][stars] - magnitudes[stars]
    return Comparison(
        band=band,
        objects=len(catalogue),
        matched=len(found),
        stars=int(stars.sum()),
        magnitude_offset=float(np.median(difference)) if len(difference) else float("nan"),
        magnitude_scatter=robust_sigma(difference) if len(difference) else float("nan"),
        position_offset=float(np.median(distance)) if len(found) else float("nan"),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparison."""
    parser = argparse.ArgumentParser(prog="hsc_mini.check", description="Compare forced catalogues with the truth.")
    parser.add_argument("truth", type=Path)
    parser.add_argument("forced", type=Path, nargs="+")
    arguments = parser.parse_args(argv)
    try:
        comparisons = compare(arguments.truth, arguments.forced)
    except InputFault as fault:
        print(fault, file=sys.stderr)
        return fault.exit_code
    print(f"{'filter':8} {'objects':>7} {'matched':>7} {'stars':>5} {'dmag':>8} {'scatter':>8} {'arcsec':>7}")
    for one in comparisons:
        print(
            f"{one.band:8} {one.objects:7d} {one.matched:7d} {one.stars:5d} {one.magnitude_offset:+8.4f} "
            f"{one.magnitude_scatter:8.4f} {one.position_offset:7.3f}{'' if one.good else '  outside limits'}"
        )
    print(f"limits: {MAGNITUDE_LIMIT} mag, {POSITION_LIMIT} arcsec", file=sys.stderr)
    return 0 if all(one.good for one in comparisons) else 1


if __name__ == "__main__":
    sys.exit(main())

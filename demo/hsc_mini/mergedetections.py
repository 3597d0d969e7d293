"""``mergeCoaddDetections``: one list of objects for a patch from the detections in each filter.

Reads deepCoadd_det (one per filter of ``filter=HSC-I^HSC-R``); writes deepCoadd_mergeDet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hsc_mini import fitsfile
from hsc_mini.arrays import Array
from hsc_mini.bands import patch_cards, read_bands
from hsc_mini.photometry import match
from hsc_mini.task import Config, Job, program


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCoaddDetectionsConfig(Config):
    """Peaks closer than ``mergeRadius`` pixels are one object."""

    mergeRadius: float = 3.0


def merge_coadd_detections(job: Job, config: MergeCoaddDetectionsConfig) -> None:
    """Merge the detections of one patch."""
    tables = read_bands(job, "deepCoadd_det", "DET")
    merged = merge(tables, config.mergeRadius)
    cards = patch_cards(job, tables, len(merged))
    fitsfile.write(job.place("deepCoadd_mergeDet"), cards, [("MERGEDET", merged, {})])
    job.quality(nobj=len(merged), nboth=int((merged["npeak"] > 1).sum()))


def merge(tables: dict[str, Array], radius: float) -> Array:
    """Return one row per object, with a column per filter that says whether it was detected there.

    Positions come from the first filter; a later filter adds only peaks that are clear of all known ones.
    """
    flags = {band: "det_" + band.replace("-", "_").lower() for band in tables}
    columns = [("id", "i8"), ("ra", "f8"), ("dec", "f8"), ("x", "f8"), ("y", "f8"), ("npeak", "i2")]
    merged = np.zeros(0, dtype=[*columns, *((flag, "i2") for flag in flags.values())])
    for band, table in tables.items():
        peaks = np.zeros(len(table), dtype=merged.dtype)
        for name in ("ra", "dec", "x", "y"):
            peaks[name] = table[name]
        peaks[flags[band]] = 1
        _, known = match(peaks["x"], peaks["y"], merged["x"], merged["y"], radius)
        merged[flags[band]][known] = 1
        merged = np.concatenate([merged, peaks[clear_of(peaks, merged, radius)]])
    merged["id"] = np.arange(1, len(merged) + 1)
    merged["npeak"] = np.sum([merged[flag] for flag in flags.values()], axis=0)
    return merged


def clear_of(peaks: Array, known: Array, radius: float) -> Array:
    """Return which *peaks* have no *known* object within *radius* pixels."""
    if not len(known):
        return np.ones(len(peaks), bool)
    squares = (peaks["x"][:, None] - known["x"]) ** 2 + (peaks["y"][:, None] - known["y"]) ** 2
    clear: Array = squares.min(1) > radius**2
    return clear


main = program(
    "mergeCoaddDetections", MergeCoaddDetectionsConfig, merge_coadd_detections, keys=("tract", "patch", "filter")
)

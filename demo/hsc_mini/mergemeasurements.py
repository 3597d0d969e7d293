"""``mergeCoaddMeasurements``: choose for each object of a patch the filter whose measurement is the reference.

Reads deepCoadd_meas (one per filter of ``filter=HSC-I^HSC-R``); writes deepCoadd_ref.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hsc_mini import fitsfile
from hsc_mini.arrays import Array
from hsc_mini.bands import patch_cards, read_bands
from hsc_mini.faults import InputFault
from hsc_mini.task import Config, Job, program


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCoaddMeasurementsConfig(Config):
    """The preferred filter gives way below ``minSignalToNoise`` if another has more."""

    minSignalToNoise: float = 5.0


def merge_coadd_measurements(job: Job, config: MergeCoaddMeasurementsConfig) -> None:
    """Merge the measurements of one patch."""
    tables = read_bands(job, "deepCoadd_meas", "MEAS")
    if any(not np.array_equal(table["id"], next(iter(tables.values()))["id"]) for table in tables.values()):
        raise InputFault("the filters' measurements are not of the same objects")
    merged, others = choose(tables, config.minSignalToNoise)
    fitsfile.write(job.place("deepCoadd_ref"), patch_cards(job, tables, len(merged)), [("REF", merged, {})])
    job.quality(nobj=len(merged), nother=others)


def choose(tables: dict[str, Array], threshold: float) -> tuple[Array, int]:
    """Return the chosen rows with a column ``refband``, and how many are not of the first filter."""
    signal = np.array([table["psfflux"] / np.maximum(table["psffluxerr"], 1e-9) for table in tables.values()])
    chosen = np.where((signal[0] < threshold) & (signal.max(0) > signal[0]), signal.argmax(0), 0)
    first = next(iter(tables.values()))
    merged = np.zeros(len(first), dtype=[*first.dtype.descr, ("refband", "S8")])
    for index, (band, table) in enumerate(tables.items()):
        rows = chosen == index
        for name in table.dtype.names or ():
            merged[name][rows] = table[name][rows]
        merged["refband"][rows] = band.encode()
    return merged, int((chosen > 0).sum())


main = program(
    "mergeCoaddMeasurements", MergeCoaddMeasurementsConfig, merge_coadd_measurements, keys=("tract", "patch", "filter")
)

"""The reference catalogue: a directory of FITS shards with columns id, ra, dec and a magnitude per band."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hsc_mini.arrays import Array
from hsc_mini.faults import InputFault
from hsc_mini.fitsfile import read_hdu

BAND_COLUMNS = {"HSC-R": "mag_r", "HSC-I": "mag_i"}


def read_reference(directory: Path) -> Array:
    """Return all shards below *directory* as one table, in order of their names."""
    shards = sorted(directory.rglob("*.fits"))
    if not shards:
        raise InputFault(f"{directory}: no reference catalogue shards")
    return np.concatenate([read_hdu(shard, 1)[1] for shard in shards])


def reference_magnitudes(reference: Array, band: str) -> Array:
    """Return the column of magnitudes for a filter."""
    if band not in BAND_COLUMNS:
        raise InputFault(f"the reference catalogue has no magnitudes for {band}")
    magnitudes: Array = reference[BAND_COLUMNS[band]]
    return magnitudes

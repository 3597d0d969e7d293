"""What the two merging tasks share: catalogues of one patch in several filters, in a fixed order."""

from __future__ import annotations

from hsc_mini import fitsfile
from hsc_mini.arrays import Array
from hsc_mini.faults import InputFault, UsageFault
from hsc_mini.fitsfile import Cards
from hsc_mini.task import Job

PRIORITY = ("HSC-I", "HSC-R")
"""Filters whose measurements are preferred; others follow by name."""


def read_bands(job: Job, dataset: str, extension: str) -> dict[str, Array]:
    """Return filter -> table for ``filter=A^B`` of the job's data ID, the preferred filter first."""
    asked = job.text("filter").split("^")
    if len(set(asked)) != len(asked) or not all(asked):
        raise UsageFault(f"filter must be different names joined by ^, not {job.text('filter')!r}")
    tables = {}
    for band in sorted(asked, key=lambda name: (PRIORITY.index(name) if name in PRIORITY else len(PRIORITY), name)):
        path = job.find(dataset, filter=band)
        check_patch(job, fitsfile.read_header(path))
        tables[band] = fitsfile.read_hdu(path, extension)[1]
    return tables


def check_patch(job: Job, header: fitsfile.Header) -> None:
    """Refuse a product of another tract or patch."""
    found = header.integer("TRACT"), header.text("PATCH")
    if found != (job.data_id["tract"], job.data_id["patch"]):
        raise InputFault(f"{header.source} is of tract {found[0]} patch {found[1]}")


def patch_cards(job: Job, tables: dict[str, Array], objects: int) -> Cards:
    """Return the metadata of a product of several filters."""
    tract, patch = int(job.data_id["tract"]), job.text("patch")
    return {"TRACT": tract, "PATCH": patch, "FILTERS": "^".join(tables), "NOBJ": objects}

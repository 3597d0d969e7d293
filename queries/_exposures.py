"""What the queries for exposures share: their options, the raw files of visits, and lines by patch."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from facade.errors import InputError
from facade.plugins import Row, Rows, Scalar

FILE_COLUMNS = ("filename", "compression", "filetype", "filesize", "checksum", "path", "desfile_id")
CORNERS = tuple(f"{name}{n}" for n in range(1, 5) for name in ("rac", "decc"))
Exposure = tuple[int, int]
"""Visit and ccd."""


class Parser(argparse.ArgumentParser):
    """Reads the arguments of a query code; what is wrong with them is an InputError with the usage."""

    def __init__(self, name: str) -> None:
        super().__init__(prog=name, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        raise InputError(f"{self.prog} query: {message}", remedy=" ".join(self.format_usage().split()))

    def conditions(self, *names: str) -> None:
        """Add options whose values have the operators of the generic query; given again, any of the values counts."""
        for name in names:
            self.add_argument(f"--{name}", action="append", metavar="VALUE")


def where(options: argparse.Namespace, names: Iterable[str]) -> dict[str, object]:
    """Return what `Parser.conditions` called *names* ask for."""
    return {name: ",".join(values) for name in names if (values := getattr(options, name))}


def exposure(row: Row) -> Exposure:
    """Return which exposure a row is about."""
    return int(str(row["visit"])), int(str(row["ccd"]))


def raws(query: str, filetype: str, visits: Iterable[int], rows: Rows) -> dict[Exposure, dict[str, Scalar]]:
    """Return the raw file of each exposure of *visits* that is registered; raises as `once`."""
    return once(query, rows.files(filetype, {"visit": sorted(set(visits))}))


def once(query: str, files: Iterable[dict[str, Scalar]]) -> dict[Exposure, dict[str, Scalar]]:
    """Return *files* by exposure.

    Raises:
        InputError: two registered files claim to be the same exposure.
    """
    found: dict[Exposure, dict[str, Scalar]] = {}
    for row in files:
        key = exposure(row)
        if key in found:
            names = " and ".join(f"{one['filename']}{one['compression']}" for one in (found[key], row))
            raise InputError(
                f"{query} query: visit {key[0]} ccd {key[1]} is registered twice: {names}",
                remedy="take the location of one of them out of the registry",
            )
        found[key] = row
    return found


def by_raw(overlaps: Iterable[Row], files: Mapping[Exposure, Row]) -> list[Row]:
    """Return the raw of each exposure that *overlaps* name, ordered by visit and ccd."""
    return [files[key] for key in sorted({exposure(one) for one in overlaps}) if key in files]


def by_patch(overlaps: Sequence[Row], files: Mapping[Exposure, Row]) -> list[Row]:
    """Return one row per overlap: what is known of the raw, without the file itself, and tract, patch, patchname."""
    beside = (*FILE_COLUMNS, *CORNERS)
    known = {key: {k: v for k, v in row.items() if k not in beside} for key, row in files.items()}
    places = ((exposure(one), {name: one[name] for name in ("tract", "patch", "patchname")}) for one in overlaps)
    return [{**known[key], **place} for key, place in places if key in known]

"""The overlap query: which raw exposures lie on a tract, by an ingested table of (tract, patch, visit, ccd).

    overlap --tract 0 --version sim59 --filetype hsc_raw              one row per raw file, with its metadata
    overlap --tract 0 --version sim59 --filetype hsc_raw --by patch   one row per (patch, raw), without the file itself

Re-creates DMTN-059's specialised query, with the table in the registry instead of a text file (its step 8b).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from facade.plugins import Row, Rows

from ._exposures import Parser, by_patch, by_raw, raws, where


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("overlap")
    parser.add_argument("--tract", type=int, required=True)
    parser.add_argument("--version", required=True, help="version of the overlap table")
    parser.add_argument("--filetype", required=True, help="filetype of the raw exposures")
    parser.add_argument("--by", choices=("raw", "patch"), default="raw")
    parser.add_argument("--patch", action="append")
    parser.conditions("filter", "visit", "ccd")
    return parser.parse_args(list(arguments))


def query(arguments: Sequence[str], rows: Rows) -> Iterable[Row]:
    """Return rows ordered by patch, visit, ccd (by visit, ccd without ``--by patch``).

    Raises:
        InputError: bad arguments, or two registered files claim to be the same exposure.
    """
    options = _parse(arguments)
    wanted = {"tract": options.tract, "version": [options.version], **where(options, ("filter", "visit", "ccd"))}
    if options.patch:
        wanted["patch"] = options.patch
    overlaps = rows.table("overlap", wanted)
    if not overlaps:
        return []
    files = raws("overlap", options.filetype, (int(str(one["visit"])) for one in overlaps), rows)
    return by_raw(overlaps, files) if options.by == "raw" else by_patch(overlaps, files)

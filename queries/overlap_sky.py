"""The overlap query without a table: which raw exposures lie on a tract, by the corners of images and patches.

    overlap_sky --tract 0 --version sim59 --filetype hsc_raw              one row per raw file, with its metadata
    overlap_sky --tract 0 --version sim59 --filetype hsc_raw --by patch   one row per (patch, raw), without the file

Patches are those of an ingested sky map (dimension table ``skymap``), images have the metadata columns ``rac1``
``decc1`` … ``rac4`` ``decc4``; sides are great circles. With ``--csv``, ``facade query`` writes a table that can be
ingested as ``overlap``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from facade.errors import InputError
from facade.plugins import Row, Rows

from ._exposures import CORNERS, Parser, by_patch, by_raw, exposure, once, where
from ._sphere import falls_on, polygons

NARROW = ("filter", "visit", "ccd")
SHOWN = 5


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("overlap_sky")
    parser.add_argument("--tract", type=int, required=True)
    parser.add_argument("--version", required=True, help="version of the sky map")
    parser.add_argument("--filetype", required=True, help="filetype of the raw exposures")
    parser.add_argument("--by", choices=("raw", "patch"), default="raw")
    parser.add_argument("--patch", action="append")
    parser.conditions(*NARROW)
    return parser.parse_args(list(arguments))


def query(arguments: Sequence[str], rows: Rows) -> Iterable[Row]:
    """Return rows ordered by patch, visit, ccd (by visit, ccd without ``--by patch``).

    Raises:
        InputError: bad arguments, no such tract, images without corners, or two files of the same exposure.
    """
    options = _parse(arguments)
    patches = _patches(options, rows)
    images = rows.files(options.filetype, where(options, NARROW), ["visit", "ccd", *CORNERS])
    _check_corners(images)
    overlaps = _overlaps(patches, images)
    known = once("overlap_sky", images)
    names = sorted({str(known[exposure(one)]["filename"]) for one in overlaps})
    files = once("overlap_sky", rows.files(options.filetype, {"filename": names})) if names else {}
    return by_raw(overlaps, files) if options.by == "raw" else by_patch(overlaps, files)


def _patches(options: argparse.Namespace, rows: Rows) -> list[Row]:
    """Return the wanted patches in the order of their names."""
    patches: list[Row] = list(rows.table("skymap", {"tract": options.tract, "version": [options.version]}))
    if not patches:
        known = ", ".join(sorted({str(row["version"]) for row in rows.table("skymap", {"tract": options.tract})}))
        remedy = (
            f"versions that have it: {known}" if known else "ingest a sky map: facade ingest --filetype skymap FILE"
        )
        raise InputError(f"overlap_sky query: sky map '{options.version}' has no tract {options.tract}", remedy=remedy)
    names = {str(patch["patch"]) for patch in patches}
    if unknown := [name for name in options.patch or () if name not in names]:
        raise InputError(f"overlap_sky query: tract {options.tract} has no patch {unknown[0]}")
    return [patch for patch in patches if not options.patch or str(patch["patch"]) in options.patch]


def _check_corners(images: Sequence[Row]) -> None:
    if lacks := [str(row["filename"]) for row in images if any(row[name] is None for name in CORNERS)]:
        more = f" and {len(lacks) - SHOWN} more" if len(lacks) > SHOWN else ""
        raise InputError(
            f"overlap_sky query: no corners are known of {', '.join(lacks[:SHOWN])}{more}",
            remedy="ingest with columns rac1, decc1 … decc4 in the filetype, or leave them out with --visit, --ccd",
        )


def _overlaps(patches: Sequence[Row], images: Sequence[Row]) -> list[Row]:
    """Return tract, patch, patchname, visit and ccd of each overlap, ordered by patch, visit, ccd."""
    ends = [f"{name}{n}" for n in range(1, 5) for name in ("ra", "dec")]
    areas = polygons([[float(str(row[name])) for name in ends] for row in patches])
    ccds = polygons([[float(str(row[name])) for name in CORNERS] for row in images])
    try:
        pairs = list(falls_on(areas, ccds))
    except ValueError as error:
        what, index = error.args
        name = f"patch {patches[index]['patch']}" if what == "patch" else images[index]["filename"]
        raise InputError(f"overlap_sky query: the corners of {name} span no area, or half of the sky") from None
    keys = [(int(str(row["visit"])), int(str(row["ccd"]))) for row in images]
    places = [{name: row[name] for name in ("tract", "patch", "patchname")} for row in patches]
    pairs.sort(key=lambda pair: (pair[0], keys[pair[1]]))
    return [{**places[patch], "visit": keys[image][0], "ccd": keys[image][1]} for patch, image in pairs]

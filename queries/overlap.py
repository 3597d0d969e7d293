"""The overlap query: which raw exposures lie on a tract, by an ingested table of (tract, patch, visit, ccd).

    overlap --tract 0 --version sim59 --filetype hsc_raw              one row per raw file, with its metadata
    overlap --tract 0 --version sim59 --filetype hsc_raw --by patch   one row per (patch, raw), without the file itself

Re-creates DMTN-059's specialised query, with the table in the registry instead of a text file (its step 8b).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import NoReturn

from facade.errors import InputError
from facade.plugins import Row, Rows, Scalar

FILE_COLUMNS = ("filename", "compression", "filetype", "filesize", "checksum", "path", "desfile_id")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"overlap query: {message}", remedy=" ".join(self.format_usage().split()))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="overlap", add_help=False, allow_abbrev=False)
    parser.add_argument("--tract", type=int, required=True)
    parser.add_argument("--version", required=True, help="version of the overlap table")
    parser.add_argument("--filetype", required=True, help="filetype of the raw exposures")
    parser.add_argument("--by", choices=("raw", "patch"), default="raw")
    parser.add_argument("--patch", action="append")
    parser.add_argument("--filter", action="append")
    parser.add_argument("--visit", action="append", type=int)
    return parser.parse_args(list(arguments))


def query(arguments: Sequence[str], rows: Rows) -> Iterable[Row]:
    """Return rows ordered by patch, visit, ccd (by visit, ccd without ``--by patch``).

    Raises:
        InputError: bad arguments, or two registered files claim to be the same exposure.
    """
    options = _parse(arguments)
    where: dict[str, object] = {"tract": options.tract, "version": options.version}
    for name in ("patch", "filter", "visit"):
        if getattr(options, name):
            where[name] = getattr(options, name)
    overlaps = rows.table("overlap", where)
    if not overlaps:
        return []
    raws = _raws(options.filetype, overlaps, rows)
    if options.by == "raw":
        wanted = sorted({(int(str(o["visit"])), int(str(o["ccd"]))) for o in overlaps})
        return [raws[key] for key in wanted if key in raws]
    result: list[Row] = []
    for overlap in overlaps:
        raw = raws.get((int(str(overlap["visit"])), int(str(overlap["ccd"]))))
        if raw is not None:
            place = {name: overlap[name] for name in ("tract", "patch", "patchname")}
            result.append({**{k: v for k, v in raw.items() if k not in FILE_COLUMNS}, **place})
    return result


def _raws(filetype: str, overlaps: Sequence[Row], rows: Rows) -> dict[tuple[int, int], dict[str, Scalar]]:
    visits = sorted({int(str(o["visit"])) for o in overlaps})
    found: dict[tuple[int, int], dict[str, Scalar]] = {}
    for row in rows.files(filetype, {"visit": visits}):
        key = int(str(row["visit"])), int(str(row["ccd"]))
        if key in found:
            raise InputError(
                f"overlap query: visit {key[0]} ccd {key[1]} is registered twice: "
                f"{found[key]['filename']} and {row['filename']}",
                remedy="take the location of one of them out of the registry",
            )
        found[key] = row
    return found

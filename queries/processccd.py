"""The query for calibrating exposures: each raw of a tract with the calibration files that are valid for it.

    processccd --tract 0 --overlap-version sim59 --calibration-version c1 --filetype hsc_raw \\
               --calibration bias=hsc_bias --calibration flat=hsc_flat --optional dark=hsc_dark

One line per raw: nickname ``raw``, and one per calibration (the filetype's name, unless NICKNAME=FILETYPE says
another). A calibration is one of the table ``calibration_lookup`` with the raw's ccd, its filter or none, and its date
from ``validstart`` to ``validend``, both included. Raws can be chosen by patch, filter, visit, ccd and visit tag; what
is on the blacklist is left out unless --with-blacklisted says otherwise.

Re-creates the query that the original used for HSC (desdm.md §2.4), where a blacklist counted only if asked for, a
missing calibration was a KeyError, and of several valid ones the last came.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from facade.errors import InputError, MissingInputError
from facade.files import split_compression
from facade.plugins import Line, Row, Rows

from ._exposures import Exposure, Parser, exposure, raws, where

WHOLE_VISIT = -1  # ccd of a blacklist entry
SHOWN = 10
Files = Mapping[tuple[str, str], list[Row]]
"""Registered calibrations by filetype and name."""


class Kind(NamedTuple):
    """One calibration that a raw is to have."""

    nickname: str
    filetype: str
    optional: bool


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("processccd")
    parser.add_argument("--tract", type=int, required=True)
    parser.add_argument("--overlap-version", required=True)
    parser.add_argument("--calibration-version", required=True)
    parser.add_argument("--filetype", required=True, help="filetype of the raw exposures")
    parser.add_argument("--calibration", action="append", default=[], metavar="[NICKNAME=]FILETYPE")
    parser.add_argument("--optional", action="append", default=[], metavar="[NICKNAME=]FILETYPE")
    parser.add_argument("--patch", action="append")
    parser.add_argument("--date-column", default="dateobs", help="column of the raw with its date")
    parser.add_argument("--with-blacklisted", action="store_true")
    parser.conditions("filter", "visit", "ccd", "tag", "tag-version", "blacklist-code", "blacklist-version")
    return parser.parse_args(list(arguments))


def query(arguments: Sequence[str], rows: Rows) -> Iterable[Line]:
    """Return one line per raw, ordered by visit and ccd.

    Raises:
        InputError: bad arguments, a raw without a date, or several calibrations of a type for one raw.
        MissingInputError: a raw for which a calibration is missing that is not optional.
    """
    options = _parse(arguments)
    kinds = _kinds(options)
    wanted = _exposures(options, rows)
    known = raws("processccd", options.filetype, {visit for visit, _ in wanted}, rows) if wanted else {}
    chosen = {key: known[key] for key in sorted(wanted) if key in known}
    entries = _entries(options.calibration_version, kinds, rows)
    files = _files(entries.values(), rows)
    result: list[Line] = []
    several: list[str] = []
    missing: list[str] = []
    for key, raw in chosen.items():
        day = _day(raw, options.date_column)
        what = f"{raw['filename']} (visit {key[0]}, ccd {key[1]}, filter {raw.get('filter')}, {day})"
        line: dict[str, Row] = {"raw": raw}
        for kind in kinds:
            valid = [one for one in entries.get((kind.filetype, key[1]), ()) if _fits(one, raw, day)]
            names = sorted({str(one["filename"]) for one in valid})
            there = [row for name in names for row in files.get((kind.filetype, name), ())]
            if len(there) == len(names) == 1:
                line[kind.nickname] = there[0]
            elif len(names) > 1 or there:
                forms = names if len(names) > 1 else sorted(f"{row['filename']}{row['compression']}" for row in there)
                several.append(f"{what} has several {kind.filetype}: {', '.join(forms)}")
            elif not kind.optional:
                lost = f": {names[0]} is not registered" if names else ""
                missing.append(f"{what} has no {kind.filetype}{lost}")
        result.append(line)
    _raise(several, missing)
    return result


def _raise(several: Sequence[str], missing: Sequence[str]) -> None:
    """Raise what is wrong with any of the raws."""
    if several:
        remedy = "let validity ranges not overlap, in another version of the table"
        raise InputError(f"processccd query: {_shown(several)}", remedy=remedy)
    if missing:
        remedy = "ingest calibrations and lookup table, or name their type with --optional"
        raise MissingInputError(f"processccd query: {_shown(missing)}", remedy=remedy)


def _kinds(options: argparse.Namespace) -> list[Kind]:
    """Return the calibrations that a raw is to have."""
    kinds: list[Kind] = []
    words = [(word, False) for word in options.calibration] + [(word, True) for word in options.optional]
    for word, optional in words:
        first, _, last = word.rpartition("=")
        nickname, filetype = (first or last).strip().lower(), last.strip().lower()
        if not filetype or nickname in ("", "raw", *(kind.nickname for kind in kinds)):
            message = f"processccd query: '{word}' needs a nickname of its own"
            raise InputError(message, remedy="write NICKNAME=FILETYPE")
        kinds.append(Kind(nickname, filetype, optional))
    return kinds


def _exposures(options: argparse.Namespace, rows: Rows) -> set[Exposure]:
    """Return the exposures that are wanted, whether registered or not."""
    asked: dict[str, object] = {"tract": options.tract, "version": [options.overlap_version]}
    asked |= where(options, ("filter", "visit", "ccd"))
    if options.patch:
        asked["patch"] = options.patch
    wanted = {exposure(row) for row in rows.table("overlap", asked)}
    if options.tag:
        tags = {"tag": ",".join(options.tag), **_version(options.tag_version)}
        tagged = {int(str(row["visit"])) for row in rows.table("visit_tag", tags)}
        wanted = {one for one in wanted if one[0] in tagged}
    if not options.with_blacklisted:
        bad: dict[str, object] = {"code": ",".join(options.blacklist_code)} if options.blacklist_code else {}
        listed = {exposure(row) for row in rows.table("blacklist", {**bad, **_version(options.blacklist_version)})}
        wanted = {one for one in wanted if one not in listed and (one[0], WHOLE_VISIT) not in listed}
    return wanted


def _version(values: Sequence[str] | None) -> dict[str, object]:
    return {"version": ",".join(values)} if values else {}


def _entries(version: str, kinds: Sequence[Kind], rows: Rows) -> dict[tuple[str, int], list[Row]]:
    """Return the rows of the lookup table by filetype and ccd."""
    entries: dict[tuple[str, int], list[Row]] = {}
    asked = {"version": [version], "filetype": sorted({kind.filetype for kind in kinds})}
    for row in rows.table("calibration_lookup", asked) if kinds else ():
        entries.setdefault((str(row["filetype"]), int(str(row["ccd"]))), []).append(row)
    return entries


def _fits(entry: Row, raw: Row, day: str) -> bool:
    within = str(entry["validstart"]) <= day <= str(entry["validend"])
    return within and entry["filter"] in (None, raw.get("filter"))


def _day(raw: Row, column: str) -> str:
    """Return the date of a raw as ``2013-06-17``."""
    try:
        return datetime.date.fromisoformat(str(raw[column])[:10]).isoformat()
    except KeyError:
        raise InputError(
            f"processccd query: raws have no column '{column}'", remedy="name theirs: --date-column"
        ) from None
    except ValueError:
        raise InputError(f"processccd query: {column} of {raw['filename']} is {raw[column]!r}, no date") from None


def _files(entries: Iterable[Sequence[Row]], rows: Rows) -> Files:
    """Return the registered files that *entries* name; a name without a suffix means compressed forms as well."""
    names: dict[str, set[str]] = {}
    for one in (entry for group in entries for entry in group):
        names.setdefault(str(one["filetype"]), set()).add(split_compression(str(one["filename"]))[0])
    files: dict[tuple[str, str], list[Row]] = {}
    for filetype, wanted in sorted(names.items()):
        for row in rows.files(filetype, {"filename": sorted(wanted)}):
            for name in {str(row["filename"]), f"{row['filename']}{row['compression']}"}:
                files.setdefault((filetype, name), []).append(row)
    return files


def _shown(lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n  ".join([*lines[:SHOWN], *more])

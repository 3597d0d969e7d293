"""``createButlerRegistry LIST --output FILE.sqlite3``: the registry of a Gen2 repository from a list of raws.

The list is text, fields separated by a comma and blanks, its first line ``# visit, ccd, filter, field, dateObs, taiObs,
pointing, expTime``, then one raw per line. No FITS file is opened. The same list gives the same bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from hsc_mini import __version__
from hsc_mini.faults import InputFault, TaskFault, UsageFault
from hsc_mini.task import log

NAME = "createButlerRegistry"

# the columns of obs_subaru's ingest, in its order; names of columns are only ever taken from here
RAW_COLUMNS = {
    "proposal": "text", "dataType": "text", "expTime": "double", "ccd": "int", "pa": "double",
    "autoguider": "int", "ccdTemp": "double", "config": "text", "frameId": "text", "expId": "text",
    "dateObs": "text", "taiObs": "text", "field": "text", "visit": "int", "pointing": "int", "filter": "text",
}  # fmt: skip
VISIT_COLUMNS = ("visit", "field", "filter", "dateObs", "taiObs")
REQUIRED = ("visit", "ccd", "filter", "field", "dateObs", "taiObs", "pointing", "expTime")
TYPES = {"text": str, "int": int, "double": float}

Field: TypeAlias = str | int | float
Row: TypeAlias = dict[str, Field]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; exit codes as of the other tasks."""
    parser = argparse.ArgumentParser(prog=NAME, description="Write registry.sqlite3 from a list of raws.")
    parser.add_argument("list", type=Path, help="text: '# visit, ccd, filter, ...', then one raw per line")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.sqlite3")
    parser.add_argument("-c", "--config", nargs="*", action="append", default=[], metavar="failCode=N")
    parser.add_argument("--version", action="version", version=f"hsc_mini {__version__}")
    arguments = parser.parse_args(argv)
    try:
        code = _failure_code([word for words in arguments.config for word in words])
        if code:
            return code
        rows = read_list(arguments.list)
        write_registry(arguments.output, rows)
    except TaskFault as fault:
        log("FATAL", NAME, fault=repr(str(fault)))
        return fault.exit_code
    print("QC", NAME, "nraw", len(rows), file=sys.stderr)
    return 0


def read_list(path: Path) -> list[Row]:
    """Return the raws that *path* lists."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputFault(f"{path}: {fault}") from fault
    if not lines or not lines[0].startswith("#"):
        raise InputFault(f"{path}:1: the first line must be '# {', '.join(REQUIRED)}'")
    names = _split(lines[0][1:])
    missing, unknown = [n for n in REQUIRED if n not in names], [n for n in names if n not in RAW_COLUMNS]
    if missing or unknown or len(set(names)) != len(names):
        raise InputFault(f"{path}:1: columns missing: {missing}, not of the registry: {unknown}")
    rows = [_row(names, line, f"{path}:{number}") for number, line in enumerate(lines[1:], 2) if line.strip()]
    if not rows:
        raise InputFault(f"{path}: lists no raw")
    return rows


def write_registry(path: Path, rows: Sequence[Row]) -> None:
    """Write the tables ``raw`` and ``raw_visit`` in order of visit and ccd, then move the file into place."""
    ordered = sorted(rows, key=lambda row: (row["visit"], row["ccd"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(temporary)) as connection:
            connection.execute("pragma journal_mode = off")
            with connection:
                _fill(connection, ordered)
    except sqlite3.IntegrityError as fault:
        temporary.unlink(missing_ok=True)
        raise InputFault(f"two raws contradict each other: {fault}") from fault
    os.replace(temporary, path)


def _fill(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in RAW_COLUMNS.items())
    visit_columns = ", ".join(f"{name} {RAW_COLUMNS[name]}" for name in VISIT_COLUMNS)
    names = ", ".join(VISIT_COLUMNS)
    connection.execute("begin")
    connection.execute(f"create table raw (id integer primary key autoincrement, {columns}, unique(visit, ccd))")
    connection.execute(f"create table raw_visit ({visit_columns}, unique(visit))")
    connection.executemany(
        f"insert into raw values (null, {', '.join('?' * len(RAW_COLUMNS))})",  # noqa: S608  # question marks only
        [[row.get(name) for name in RAW_COLUMNS] for row in rows],
    )
    copy = f"insert into raw_visit select distinct {names} from raw order by visit"  # noqa: S608  # our own constants
    connection.execute(copy)


def _row(names: Sequence[str], line: str, place: str) -> Row:
    values = _split(line)
    if len(values) != len(names):
        raise InputFault(f"{place}: {len(values)} values for {len(names)} columns")
    try:
        return {name: TYPES[RAW_COLUMNS[name]](value) for name, value in zip(names, values, strict=True)}
    except ValueError as fault:
        raise InputFault(f"{place}: {fault}") from fault


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _failure_code(words: Sequence[str]) -> int:
    code = 0
    for word in words:
        key, _, value = word.partition("=")
        if key != "failCode" or not value.isdigit():
            raise UsageFault(f"unknown configuration {word!r}; known: failCode")
        code = int(value)
    return code

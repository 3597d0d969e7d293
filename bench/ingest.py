"""How fast do files that exist already come into the registry, and what does it take to read them?

    python bench/ingest.py [FILES] [--rounds N] [--read M]

FILES made-up raws (100,000 unless told otherwise) with eight columns of metadata are registered as ``facade ingest``
does, 2,000 in a transaction, in an embedded server that is made for this run and holds as many files. The floor is
what psycopg2 needs for a bare COPY of the same rows into the same three tables (desfile, file_location, image: indexes
and foreign keys included), as many in a transaction: no question whether a name is taken, nothing that could be done
again. Then the same files again: all are there, nothing changes. Rounds are pairs: both ways in turn, medians.

Apart from that, M FITS files of 1 MB with the header of an exposure (400) are read: the SHA-256 alone, the header
alone, and both as ``facade ingest`` does, by as many processes as this machine has cores.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from facade import plugins
from facade.archive import content_of
from facade.campaign import filetypes
from facade.ingest.readers import Readers
from facade.ingest.reading import Question, Reader
from facade.registry import Registry
from facade.registry.connection import Address, connect
from facade.registry.embedded import Embedded
from facade.registry.values import NewFile
from facade.site import Site
from facade.wcl import loads

BATCH = 2000
DEFINITIONS = """
<filetype_metadata>
<raw>
metadata_table = image
ingestor = hsc_raw
<columns>
visit = int
ccd = int
filter = text
field = text
dateobs = text
exptime = float
ra = float
dec = float
</columns>
</raw>
</filetype_metadata>
"""
COLUMNS = ("visit", "ccd", "filter", "field", "dateobs", "exptime", "ra", "dec")
TYPES: Any = {"raw": filetypes(loads(DEFINITIONS))["raw"].definition()}


def made_up(first: int, count: int) -> list[NewFile]:
    """Return *count* files, numbered from *first*."""
    return [
        NewFile(
            filename=f"HSCA{n:08d}.fits", compression="", filetype="raw", size=18_000_000 + n % 1000,
            checksum=hashlib.sha256(str(n).encode()).hexdigest(), path=f"raw/2026-11-{n % 28 + 1:02d}", archive="home",
            metadata={
                "visit": n // 112, "ccd": n % 112, "filter": "HSC-I", "field": "COSMOS", "dateobs": "2026-11-21",
                "exptime": 30.0, "ra": n % 3600 / 10, "dec": n % 900 / 10,
            },
        )
        for n in range(first, first + count)
    ]  # fmt: skip


def bare(address: Address, files: Sequence[NewFile], task: int) -> float:
    """Return the seconds that psycopg2 takes to COPY the same rows, ids reserved before."""
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute("select nextval(pg_get_serial_sequence('desfile', 'id')) as id")
        first = cursor.fetchone()["id"] + 1
        start = time.perf_counter()
        for at in range(0, len(files), BATCH):
            rows = list(enumerate(files[at : at + BATCH], first + at))
            cursor.execute("begin")
            for table, lines in (
                (
                    "desfile (id, filename, compression, filetype, filesize, checksum, wgb_task_id)",
                    (
                        f"{i}\t{f['filename']}\t\t{f['filetype']}\t{f['size']}\t{f['checksum']}\t{task}\n"
                        for i, f in rows
                    ),
                ),
                ("file_location (desfile_id, archive_name, path)", (f"{i}\thome\t{f['path']}\n" for i, f in rows)),
                (
                    f"image (desfile_id, {', '.join(COLUMNS)})",
                    ("\t".join([str(i), *[str(f["metadata"][c]) for c in COLUMNS]]) + "\n" for i, f in rows),
                ),
            ):
                cursor.copy_expert(f"copy {table} from stdin", io.StringIO("".join(lines)))
            cursor.execute("commit")
        took = time.perf_counter() - start
        cursor.execute("select setval(pg_get_serial_sequence('desfile', 'id'), max(id)) from desfile")
    return took


def registered(registry: Registry, files: Sequence[NewFile]) -> float:
    """Return the seconds that registering takes as ``facade ingest`` does: asked for first, then written."""
    start = time.perf_counter()
    for at in range(0, len(files), BATCH):
        batch = files[at : at + BATCH]
        names = [(f["filename"], f["compression"]) for f in batch]
        absent = set(names) - registry.intake.known(names, "home").keys()
        registry.intake.register("ingest raw", TYPES, batch, partial=True, absent=absent)
    return time.perf_counter() - start


def again(registry: Registry, files: Sequence[NewFile]) -> float:
    """Return the seconds that it takes to see that all are there."""
    start = time.perf_counter()
    for at in range(0, len(files), BATCH):
        names = [(f["filename"], f["compression"]) for f in files[at : at + BATCH]]
        assert len(registry.intake.known(names, "home")) == len(names)
    return time.perf_counter() - start


def forget(address: Address, above: int) -> None:
    """Remove files whose id is greater, and leave no work for later behind."""
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        for statement in (
            "delete from image where desfile_id > %s", "delete from file_location where desfile_id > %s",
            "delete from desfile where id > %s",
        ):  # fmt: skip
            cursor.execute(statement, (above,))
        for table in ("image", "file_location", "desfile"):
            cursor.execute(f"vacuum analyze {table}")
        cursor.execute("checkpoint")


def registering(address: Address, count: int, rounds: int) -> dict[str, list[float]]:
    """Return seconds of each round: floor, registered, again."""
    laps: dict[str, list[float]] = {"floor": [], "registered": [], "again": []}
    with Registry.open(address) as registry:
        registry.upgrade()
        registry.ensure_metadata_tables(TYPES)
        registry.set_archive("home", "/archive")
        registered(registry, made_up(0, count))
        ((task, newest),) = registry.run_sql("select max(wgb_task_id) as task, max(id) as newest from desfile").rows
        forget(address, newest)
        for number in range(rounds):
            ways: list[tuple[str, Callable[[Sequence[NewFile]], float]]] = [
                ("floor", lambda files: bare(address, files, task)),
                ("registered", lambda files: registered(registry, files)),
            ]
            files = made_up(count, count)
            for name, way in ways if number % 2 else ways[::-1]:
                laps[name].append(way(files))
                assert registry.run_sql("select count(*) from image").rows == ((2 * count,),)
                if name == "registered":
                    laps["again"].append(again(registry, files))
                forget(address, newest)
    return laps


def exposures(folder: Path, count: int) -> list[Path]:
    """Write FITS files of a megabyte, with the cards that an exposure of HSC has and a hundred more."""
    paths = []
    pixels = np.random.default_rng(1).integers(0, 30_000, (512, 1024), dtype=np.int16)
    for number in range(count):
        hdu = fits.PrimaryHDU(pixels)
        hdu.header.update({
            "EXP-ID": f"HSCE{number:08d}", "FRAMEID": f"HSCA{number:06d}16", "DET-ID": 16, "FILTER01": "HSC-i",
            "MJD": 56460.47, "DATE-OBS": "2013-06-17", "OBJECT": "STRIPE82L", "EXPTIME": 30.0, "AIRMASS": 1.2,
            "RA": "21:19:59.984", "DEC": "-00:30:00.06", "DATA-TYP": "OBJECT",
            **{f"T_KEY{card:03d}"[:8]: card for card in range(100)},
        })  # fmt: skip
        paths.append(folder / f"raw{number:04d}.fits")
        hdu.writeto(paths[-1])
    return paths


def reading(count: int, rounds: int) -> dict[str, list[float]]:
    """Return seconds of each round: hashes, headers, and both by several processes."""
    laps: dict[str, list[float]] = {"hashes": [], "headers": [], "both": []}
    definition = filetypes(loads(DEFINITIONS))["raw"]
    columns = {name: source for name, _, source in definition.columns}
    ingestor = plugins.ingestor("hsc_raw")
    with tempfile.TemporaryDirectory(prefix="facade-bench.") as folder:
        paths = exposures(Path(folder), count)
        for _ in range(rounds):
            start = time.perf_counter()
            for path in paths:
                content_of(path)
            middle = time.perf_counter()
            for path in paths:
                ingestor.metadata(path, columns)
            end = time.perf_counter()
            laps["hashes"].append(middle - start)
            laps["headers"].append(end - middle)
            with Readers(Reader(definition, {}), len(os.sched_getaffinity(0)), count) as readers:
                list(readers.start([Question(path) for path in paths[:64]]))  # the processes have begun
                start = time.perf_counter()
                found = list(readers.start([Question(path) for path in paths]))
                laps["both"].append(time.perf_counter() - start)
            assert not any(one.fault for one in found)
    return laps


def main() -> None:
    """Measure and print; the last lines are one JSON object per figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", type=int, nargs="?", default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--read", type=int, default=400)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facade-bench.") as folder:
        server = Embedded(Path(folder))
        server.start()
        try:
            Site.here({"FACADE_HOME": folder})
            laps = registering(server.address(), options.files, options.rounds)
        finally:
            server.stop()
    laps |= reading(options.read, options.rounds)
    share = statistics.median([f / r for f, r in zip(laps["floor"], laps["registered"], strict=True)])
    rates = {
        name: statistics.median(
            [(options.files if name in ("floor", "registered", "again") else options.read) / lap for lap in found]
        )
        for name, found in laps.items()
    }
    print(f"{options.files:,} files, {BATCH:,} in a transaction, beside as many; medians of {options.rounds}")
    for name, title in (
        ("registered", "registered"), ("floor", "floor: psycopg2 COPY"), ("again", "all there already"),
        ("hashes", "hashed, one process"), ("headers", "headers, one process"), ("both", "both, all cores"),
    ):  # fmt: skip
        slow, fast = max(laps[name]), min(laps[name])
        print(f"  {title:24} {rates[name]:10,.0f} files/s   (rounds of {fast:.2f} to {slow:.2f} s)")
    print(f"  registering goes at {share:.0%} of the floor (at least 50 % are wanted)")
    for name, value, unit, floor in (
        ("ingest_register", round(rates["registered"]), "files/s", round(rates["floor"])),
        ("ingest_register_share", round(share, 3), "of the floor", 0.5),
        ("ingest_present", round(rates["again"]), "files/s", None),
        ("ingest_hash", round(rates["hashes"]), "files/s", None),
        ("ingest_headers", round(rates["headers"]), "files/s", None),
        ("ingest_read", round(rates["both"]), "files/s", None),
    ):
        print(json.dumps({"name": name, "value": value, "unit": unit, "floor": floor}))


if __name__ == "__main__":
    main()

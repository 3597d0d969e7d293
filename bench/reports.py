"""How fast do jobs tell the registry what they did, and how fast are receipts ingested?

    python bench/reports.py [--quanta 20000] [--writers 50] [--rounds 3]

Quanta of one program each, twenty to a job: five changes of state, an exec that read one file, an output with metadata,
a log, two locations, two edges. First, as many processes as there are writers tell of them at once, each through the
thread and the login that a job has, until the server has everything on its disk. Then receipts of as many quanta lie in
a folder and are ingested as ``facade ingest-receipts`` does.

The floor of both is a bare COPY of the rows that were added, by psycopg2, in one transaction, into the same tables of a
copy of the database, with their indexes and foreign keys: it updates nothing.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from facade import receipts
from facade.registry import Registry
from facade.registry.address import Address
from facade.registry.connection import connect
from facade.registry.embedded import Embedded
from facade.registry.reporter import Reporter
from facade.registry.values import Ids

PER_JOB = 20
AT = "2026-11-20T15:20:00.000000+00:00"
ADDED = {
    "receipt": "job_task_id > %(task)s",
    "task": "id > %(last)s",
    "task_event": "id > %(event)s",
    "pfw_exec": "task_id > %(last)s",
    "desfile": "id > %(file)s",
    "file_location": "desfile_id > %(file)s",
    "bench": "desfile_id > %(file)s",
    "opm_used": "task_id > %(last)s",
    "opm_was_derived_from": "child_desfile_id > %(file)s",
}
"""Which rows of each table a report added, in an order in which they can be loaded."""


def registered(registry: Registry, quanta: int) -> Ids:
    """Register an attempt with that many quanta."""
    jobs = quanta // PER_JOB
    identity = {"project": "BENCH", "campaign": "reports", "reqnum": 1, "unitname": "u", "pipeline": None}
    with registry.submission(identity, uuid.uuid4(), "bench", None) as opened:
        return opened.register(
            plan_id=f"plan {opened.name}", plan_body=b"{}", run_dir="/runs", engine="local", archive_path="bench",
            blocks=[{"name": "all", "modules": ["step"]}],
            jobs=[{"jobnum": n, "block": 0, "keys": {}, "quanta": PER_JOB} for n in range(1, jobs + 1)],
            quanta=[
                {"wrapnum": n, "module": "step", "wrapper": "generic", "jobnum": (n - 1) // PER_JOB + 1, "keys": {}}
                for n in range(1, quanta + 1)
            ],
            queries=[],
        )  # fmt: skip


def told(ids: Ids, jobnum: int) -> Iterator[dict[str, Any]]:
    """Yield the lines of the receipt of one job, as a job writes them."""
    for seq, line in enumerate(_lines(ids, jobnum), 1):
        yield {"seq": seq, "at": AT, **line}


def _lines(ids: Ids, jobnum: int) -> Iterator[dict[str, Any]]:
    yield {
        "kind": "job-started", "receipt": str(uuid.uuid4()), "attempt_id": ids.attempt_id, "job": ids.jobs[jobnum],
        "run": 1, "host": "node", "pid": 1, "batch_id": "1.0", "slot": "", "directory": "/work", "memory": 0,
    }  # fmt: skip
    for wrapnum in range((jobnum - 1) * PER_JOB + 1, jobnum * PER_JOB + 1):
        yield from _quantum(ids.quanta[wrapnum], f"{ids.attempt_id}-{wrapnum:07}", wrapnum)
    yield {"kind": "job-ended", "state": "succeeded", "failure": None}


def _quantum(task: int, name: str, wrapnum: int) -> Iterator[dict[str, Any]]:
    output, log = f"out-{name}.fits", f"log-{name}.log"
    checksum = f"{task:064x}"
    for state in ("staging", "running"):
        yield {"kind": "quantum-state", "quantum": task, "state": state}
    yield {
        "kind": "exec", "quantum": task, "execnum": 1, "name": "step", "argv": ["step", "seed.fits", output],
        "version": "1", "start": AT, "end": AT, "exit_code": 0, "signal": 0, "utime": 0.5, "stime": 0.1,
        "maxrss": 100000, "inblock": 0, "oublock": 8, "used": [["seed.fits", ""]],
    }  # fmt: skip
    yield {"kind": "quantum-state", "quantum": task, "state": "saving"}
    made = {"compression": "", "size": 1000, "checksum": checksum}
    files = [
        {
            **made,
            "filename": output,
            "filetype": "bench",
            "execnum": 1,
            "metadata_table": "bench",
            "metadata": {"n": wrapnum},
        },
        {**made, "filename": log, "filetype": "log", "execnum": None, "metadata_table": "", "metadata": {}},
    ]
    derived = [[[output, ""], ["seed.fits", ""]]]
    yield {"kind": "outputs", "quantum": task, "files": files, "derived": derived}
    stored = [[output, "", "bench/out"], [log, "", "bench/log"]]
    yield {"kind": "stored", "quantum": task, "archive": "home", "files": stored}
    yield {"kind": "quantum-ended", "quantum": task, "state": "succeeded", "failure": None, "fp_run": f"{task:032x}"}


def write(address: Address, ids: Ids, jobs: list[int], ready: Any, done: Any) -> None:
    """Be one writer: tell of *jobs*, and come back when the registry has it all."""
    lines = [list(told(ids, jobnum)) for jobnum in jobs]
    ready.wait()
    reporter = Reporter(address)
    for job in lines:
        for line in job:
            reporter.put(line)
    done.put(reporter.close(600))


def by_writers(address: Address, ids: Ids, writers: int) -> float:
    """Return the seconds that as many processes need to tell of all quanta."""
    ready, done = multiprocessing.Event(), multiprocessing.Queue()  # type: ignore[var-annotated]
    jobs = list(ids.jobs)
    going = [
        multiprocessing.Process(target=write, args=(address, ids, jobs[n::writers], ready, done))
        for n in range(writers)
    ]
    for one in going:
        one.start()
    time.sleep(2)
    start = time.perf_counter()
    ready.set()
    assert all(done.get() for _ in going), "the registry was not told everything"
    spent = time.perf_counter() - start
    for one in going:
        one.join()
    return spent


def by_receipts(registry: Registry, ids: Ids, folder: Path) -> float:
    """Return the seconds that it takes to ingest the receipts of all quanta."""
    folder.mkdir()
    for jobnum in ids.jobs:
        text = "".join(json.dumps(line) + "\n" for line in told(ids, jobnum))
        (folder / f"j{jobnum:06}.receipt.01.jsonl").write_text(text)
    start = time.perf_counter()
    found = receipts.tell(registry, receipts.found([folder]))
    spent = time.perf_counter() - start
    assert not found.faults and found.receipts == len(ids.jobs), found.faults[:3]
    return spent


def copied(address: Address, marks: dict[str, int], twin: Address) -> tuple[float, int]:
    """Return the seconds of a bare COPY of the rows added since *marks* into the *twin*, and how many they are."""
    texts, rows = {}, 0
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        for table, added in ADDED.items():
            texts[table] = io.StringIO()
            query = cursor.mogrify(f"copy (select * from {table} where {added}) to stdout", marks)  # noqa: S608
            cursor.copy_expert(query, texts[table])
            rows += cursor.rowcount
            texts[table].seek(0)
    with closing(connect(twin)) as connection, connection.cursor() as cursor:
        start = time.perf_counter()
        cursor.execute("begin")
        for table, text in texts.items():
            cursor.copy_expert(f"copy {table} from stdin", text)
        cursor.execute("commit")
        return time.perf_counter() - start, rows


def once(server: Embedded, quanta: int, writers: int, number: int, folder: Path) -> dict[str, float]:
    """Return the seconds of one round."""
    with closing(connect(server.address())) as connection, connection.cursor() as cursor:
        cursor.execute(f"create database bench{number}")
    address = _sibling(server.address(), f"bench{number}")
    laps = {}
    with Registry.open(address) as registry:
        registry.upgrade()
        registry.ensure_metadata_tables({"bench": {"metadata_table": "bench", "columns": {"n": {"type": "int"}}}})
        seed = {"filename": "seed.fits", "compression": "", "filetype": "bench", "size": 1, "checksum": "0" * 64,
                "metadata": {"n": 0}, "path": "seed", "archive": "home"}  # fmt: skip
        registry.ingest("seed", {}, [seed])
        one, two = registered(registry, quanta), registered(registry, quanta)
        login = registry.address_for_jobs(f"bench{number}", one.attempt_id, folder)
        registry.close()
        laps["writers"] = by_writers(login, one, writers)
        marks = registry.run_sql(
            "select (select max(id) from task) as last, (select max(id) from desfile) as file,"
            " (select max(id) from task_event) as event"
        )
        known = dict(zip(marks.columns, marks.rows[0], strict=True)) | {"task": min(two.jobs.values()) - 1}
        registry.close()
        with closing(connect(server.address())) as connection, connection.cursor() as cursor:
            cursor.execute(f"create database twin{number} template bench{number}")
        laps["receipts"] = by_receipts(registry, two, folder / f"receipts{number}")
    laps["floor"], laps["rows"] = copied(address, known, _sibling(server.address(), f"twin{number}"))
    return laps


def _sibling(address: Address, name: str) -> Address:
    return Address(address.url.rpartition("/")[0] + f"/{name}", address.passfile)


def main() -> None:
    """Measure and print; the last lines are one JSON object per figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quanta", type=int, default=20_000)
    parser.add_argument("--writers", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facade-bench.") as folder:
        server = Embedded(Path(folder))
        server.start()
        try:
            laps = [once(server, options.quanta, options.writers, n, Path(folder)) for n in range(options.rounds)]
        finally:
            server.stop()
    middle = {name: statistics.median([lap[name] for lap in laps]) for name in laps[0]}
    print(f"{options.quanta:,} quanta, {middle['rows']:,.0f} rows added, medians of {options.rounds}")
    for name, title in (
        ("writers", f"{options.writers} writers"),
        ("receipts", "ingest-receipts"),
        ("floor", "bare COPY"),
    ):
        rate = options.quanta / middle[name]
        spread = f"{min(lap[name] for lap in laps):.2f} to {max(lap[name] for lap in laps):.2f}"
        print(
            f"  {title:18}{middle[name]:8.2f} s ({spread}) {60 * rate:12,.0f} quanta/min"
            f"{middle['rows'] / middle[name]:12,.0f} rows/s{100 * middle['floor'] / middle[name]:6.0f} % of COPY"
        )
        print(
            json.dumps(
                {
                    "name": f"reports_{name}",
                    "value": round(60 * rate),
                    "unit": "quanta/min",
                    "floor": round(60 * options.quanta / middle["floor"]),
                    "peers": {},
                    "n": options.quanta,
                }
            )
        )


if __name__ == "__main__":
    main()

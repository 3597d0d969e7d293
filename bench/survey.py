"""A survey in a registry, of any size: what bench/registry.py asks questions of. Nothing of it ever ran.

One attempt calibrates 500 exposures of single ccds, warps them onto ten patches, coadds those and measures the coadds:
a forced catalogue has 1,903 ancestors in seven steps, calibrations among them. Twenty attempts run at once, and their
rows lie mixed, in the order in which jobs would have reported them. The last twenty are running still.

Indexes and foreign keys are taken off, everything is loaded with COPY, and they are made again, which checks all edges.
"""

from __future__ import annotations

import io
import queue
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from facade.registry.connection import Address, Cursor, connect

AT_ONCE = 20
CCDS, EXPOSURES, PATCHES, WARPS, STACKED = 100, 500, 10, 100, 5
"""Ccds of the camera; exposures of single ccds in an attempt; its patches; warps of a patch; exposures in a warp."""
PER_JOB = 20
UNITS = 10
"""Attempts of a request, each at another unit."""
STEPS = ("isr", "calibrate", "warp", "coadd", "detect", "measure", "forced")
QUANTA = 2 * EXPOSURES + PATCHES * (WARPS + 4)
FILES = EXPOSURES + 2 * QUANTA + EXPOSURES
"""Of one attempt: its raws, a product and a log of each quantum, and the source catalogues of calibration."""

COLUMNS = {
    "task": "id, kind, name, parent_task_id, root_task_id, start_time, end_time, state, status, exec_host, run",
    "task_event": "task_id, run, state, at",
    "pfw_unit": "reqnum, unitname, last_attnum",
    "pfw_attempt": "id, reqnum, unitname, attnum, task_id, operator, submit_key, plan_id, run_dir, engine",
    "pfw_block": "task_id, pfw_attempt_id, blknum, name, modulelist, numexpjobs",
    "pfw_job": "task_id, pfw_attempt_id, pfw_block_task_id, jobnum, jobkeys, expect_num_wrap",
    "quantum": "task_id, pfw_attempt_id, pfw_block_task_id, pfw_job_task_id, wrapnum, modname, name, wrapkeys,"
    " fp_own, fp_plan, fp_run, reason, outputs, log_desfile_id",
    "pfw_exec": "task_id, pfw_attempt_id, pfw_wrapper_task_id, execnum, name, argv, cmdargs, version, exit_code,"
    " signal, utime, stime, maxrss",
    "desfile": "id, filename, compression, filetype, filesize, checksum, pfw_attempt_id, wgb_task_id",
    "file_location": "desfile_id, archive_name, path",
    "image": "desfile_id, visit, ccd, filter",
    "opm_used": "task_id, desfile_id",
    "opm_was_derived_from": "child_desfile_id, parent_desfile_id",
    "proctag": "tag, pfw_attempt_id, added_by",
}
"""What is written of each table, those before that others point at."""

FIXED = """
insert into plan (plan_id, body) values ('survey', '');
insert into pfw_request (reqnum, project, campaign) select n, 'BENCH', 'survey' from generate_series(0, REQUESTS) n;
insert into archive (name, root) values ('home', '/archive') on conflict do nothing;
create table image (desfile_id bigint primary key constraint image_file references desfile on delete cascade,
                    visit int, ccd int, filter text);
create index image_by_visit on image (visit);
insert into filetype (name, metadata_table, columns)
  select one, 'image', '{"visit": "int", "ccd": "int", "filter": "text"}' from unnest(array['raw', 'calibrate']) one;
"""


@dataclass
class Numbers:
    """The next free ids, and everything to be written, by table."""

    task: int = 1
    file: int = 1
    attempt: int = 1
    rows: dict[str, list[str]] = field(default_factory=lambda: {table: [] for table in COLUMNS})

    def taken(self) -> dict[str, list[str]]:
        """Return what has been written since, and start anew."""
        rows, self.rows = self.rows, {table: [] for table in COLUMNS}
        return rows


@dataclass
class Attempt:
    """One attempt while it is being made up: where its rows are."""

    id: int
    name: str
    task: int
    quanta: int
    """Task of its first quantum; the others follow."""
    active: bool
    files: dict[str, list[int]] = field(default_factory=lambda: {"raw": []})


def survey(address: Address, files: int, told: Callable[[str], None]) -> dict[str, int]:
    """Fill an empty registry with at least *files* files; return how many rows each table has.

    *told* hears what is being done.
    """
    groups = max(2, round(files / (FILES * AT_ONCE)))  # those that are done, and those that run
    with closing(connect(address)) as connection, connection.cursor() as cursor:
        for statement in FIXED.replace("REQUESTS", str(groups * AT_ONCE // UNITS)).split(";\n"):
            cursor.execute(statement) if statement.strip() else None
        again = _bare(cursor)
        counts = dict.fromkeys(COLUMNS, 0)
        waiting: queue.Queue[dict[str, list[str]] | None] = queue.Queue(2)
        maker = threading.Thread(target=_made, args=(groups, waiting), daemon=True)
        maker.start()
        done = 0
        while (rows := waiting.get()) is not None:
            for table, lines in rows.items():
                cursor.copy_expert(f"copy {table} ({COLUMNS[table]}) from stdin", io.StringIO("".join(lines)))
                counts[table] += len(lines)
            done += 1
            told(f"{done} of {groups} groups of attempts loaded")
        for statement in again:
            told(statement[:100])
            cursor.execute(statement)
        for table in ("task", "desfile", "pfw_attempt"):
            cursor.execute(f"select setval(pg_get_serial_sequence('{table}', 'id'), max(id)) from {table}")  # noqa: S608
        told("vacuum analyze")
        cursor.execute("vacuum analyze")
        cursor.execute("checkpoint")
        return counts


def _bare(cursor: Cursor) -> list[str]:
    """Take foreign keys and indexes off the tables; return what makes them again, parents' keys first."""
    names = list(COLUMNS)
    cursor.execute(
        "select conrelid::regclass::text as t, conname as name, contype::text as kind, pg_get_constraintdef(oid) as d"
        " from pg_constraint where contype in ('f', 'p', 'u') and (conrelid::regclass::text = any(%(t)s)"
        " or contype = 'f' and confrelid::regclass::text = any(%(t)s)) order by contype = 'f'", {"t": names},
    )  # fmt: skip
    constraints = cursor.fetchall()
    cursor.execute(
        "select i.indexdef as d, i.indexname as name from pg_indexes i where schemaname = 'public'"
        " and tablename = any(%s) and not exists (select from pg_constraint where conname = indexname)", (names,),
    )  # fmt: skip
    indexes = cursor.fetchall()
    for one in reversed(constraints):
        cursor.execute(f"alter table {one['t']} drop constraint {one['name']}")
    for one in indexes:
        cursor.execute(f"drop index {one['name']}")
    added = [f"alter table {c['t']} add constraint {c['name']} {c['d']}" for c in constraints]
    keys = sum(c["kind"] != "f" for c in constraints)
    return ["set maintenance_work_mem = '512MB'", *added[:keys], *[i["d"] for i in indexes], *added[keys:]]


def _made(groups: int, waiting: queue.Queue[dict[str, list[str]] | None]) -> None:
    numbers, dice = Numbers(), random.Random(1)
    calibrations = _calibrations(numbers)
    for group in range(groups):
        attempts = [_registered(numbers, dice, active=group == groups - 1) for _ in range(AT_ONCE)]
        for attempt in attempts:
            _ingested(numbers, attempt)
        for step in range(len(STEPS)):
            _run(numbers, dice, attempts, step, calibrations)
        waiting.put(numbers.taken())
    waiting.put(None)


def _task(numbers: Numbers, kind: str, name: str, parent: object, root: int, state: str) -> int:
    number = numbers.task
    numbers.task += 1
    times = (
        "\\N\t\\N"
        if state == "planned"
        else f"{_at(number)}\t{_at(number + 60) if state == 'succeeded' else chr(92) + 'N'}"
    )
    status = "0" if state == "succeeded" else "\\N"
    numbers.rows["task"].append(
        f"{number}\t{kind}\t{name}\t{parent}\t{root}\t{times}\t{state}\t{status}\tnode{number % 97}\t1\n"
    )
    return number


def _at(number: int) -> str:
    """Return a time: eight tasks begin in a second."""
    days, seconds = divmod(number // 8, 86400)
    months, day = divmod(days, 28)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}+00"
    return f"2026-{1 + months % 12:02}-{1 + day:02} {clock}"


def _file(numbers: Numbers, name: str, filetype: str, attempt: object, maker: int, path: str) -> int:
    number = numbers.file
    numbers.file += 1
    size, checksum = number * 7919 % 90_000_000, f"{number * 0x9E3779B97F4A7C15 % (1 << 64):064x}"
    numbers.rows["desfile"].append(f"{number}\t{name}\t\t{filetype}\t{size}\t{checksum}\t{attempt}\t{maker}\n")
    numbers.rows["file_location"].append(f"{number}\thome\t{path}\n")
    return number


def _calibrations(numbers: Numbers) -> list[list[int]]:
    """Return bias, dark and flat of each ccd, which all attempts use."""
    ingest = _task(numbers, "ingest", "ingest", "\\N", numbers.task, "succeeded")
    return [
        [
            _file(numbers, f"{kind}-{ccd:03}.fits", kind, "\\N", ingest, f"calib/{kind}")
            for kind in ("bias", "dark", "flat")
        ]
        for ccd in range(CCDS)
    ]


def _registered(numbers: Numbers, dice: random.Random, *, active: bool) -> Attempt:
    """Write what a submission writes: attempt, block, jobs and quanta."""
    number = numbers.attempt
    numbers.attempt += 1
    unit = f"t{9000 + number:05}"
    reqnum = number // UNITS
    name = f"{unit}_r{reqnum}p01"
    root = _task(numbers, "attempt", name, "\\N", numbers.task, "running" if active else "succeeded")
    block = _task(numbers, "block", "all", root, root, "running" if active else "succeeded")
    rows = numbers.rows
    rows["pfw_unit"].append(f"{reqnum}\t{unit}\t1\n")
    rows["pfw_attempt"].append(
        f"{number}\t{reqnum}\t{unit}\t1\t{root}\tops\t{dice.getrandbits(128):032x}\tsurvey\t/runs\tlocal\n"
    )
    rows["pfw_block"].append(f"{block}\t{number}\t1\tall\t{','.join(STEPS)}\t{QUANTA // PER_JOB}\n")
    if number % 4 == 0:
        rows["proctag"].append(f"RELEASE_{number // 400}\t{number}\toperator\n")
    jobs = []
    steps = [step for step, count in enumerate(_sizes()) for _ in range(count)]
    for start in range(0, QUANTA, PER_JOB):
        state = _state(steps[start], start, active)
        jobs.append(_task(numbers, "job", f"j{start // PER_JOB + 1}", block, root, state))
        rows["pfw_job"].append(f"{jobs[-1]}\t{number}\t{block}\t{start // PER_JOB + 1}\t{{}}\t{PER_JOB}\n")
    attempt = Attempt(number, name, root, numbers.task, active)
    for wrapnum, step in enumerate(steps, 1):
        job, module, state = jobs[(wrapnum - 1) // PER_JOB], STEPS[step], _state(step, wrapnum - 1, active)
        task = _task(numbers, "quantum", module, job, root, state)
        prints = "\t".join(f"{dice.getrandbits(128):032x}" for _ in range(3))
        rows["quantum"].append(
            f'{task}\t{number}\t{block}\t{job}\t{wrapnum}\t{module}\tgeneric\t{{"n": {wrapnum}}}\t{prints}\tnew\t'
            f"{{{module}-{name}-{wrapnum:05}.fits}}\t\\N\n"
        )
    return attempt


def _sizes() -> tuple[int, ...]:
    return (EXPOSURES, EXPOSURES, PATCHES * WARPS, *[PATCHES] * 4)


def _state(step: int, index: int, active: bool) -> str:
    """Return the state of a quantum or job: in an active attempt, warping has begun."""
    first = 2 * EXPOSURES
    if not active or step < 2:
        return "succeeded"
    return "running" if index < first + 2 * PER_JOB else "planned"


def _ingested(numbers: Numbers, attempt: Attempt) -> None:
    """Write the raws of an attempt, which came before it."""
    ingest = _task(numbers, "ingest", "ingest", "\\N", numbers.task, "succeeded")
    for exposure in range(EXPOSURES):
        visit, ccd = attempt.id * 100 + exposure // CCDS, exposure % CCDS
        file = _file(numbers, f"HSC-{visit:07}-{ccd:03}.fits", "raw", "\\N", ingest, f"raw/{visit:07}")
        numbers.rows["image"].append(f"{file}\t{visit}\t{ccd}\tHSC-I\n")
        attempt.files["raw"].append(file)


def _run(
    numbers: Numbers, dice: random.Random, attempts: list[Attempt], step: int, calibrations: list[list[int]]
) -> None:
    """Write what the jobs of all *attempts* report in one step; their quanta end in any order."""
    going = [attempt for attempt in attempts if not attempt.active or step < 2]
    first, size = sum(_sizes()[:step]), _sizes()[step]
    for attempt in going:
        attempt.files[STEPS[step]] = [0] * size
        attempt.files["src"] = attempt.files.get("src", [])
    turns = [(attempt, index) for index in range(size) for attempt in going]
    for start in range(0, len(turns), 10 * AT_ONCE):
        few = turns[start : start + 10 * AT_ONCE]
        dice.shuffle(few)
        for attempt, index in few:
            _quantum(numbers, attempt, step, index, first + index, calibrations)


def _quantum(
    numbers: Numbers, attempt: Attempt, step: int, index: int, place: int, calibrations: list[list[int]]
) -> None:
    module, rows, quantum = STEPS[step], numbers.rows, attempt.quanta + place
    exec_ = _task(numbers, "exec", module, quantum, attempt.task, "succeeded")
    for state in ("staging", "running", "saving", "succeeded"):
        rows["task_event"].append(f"{quantum}\t1\t{state}\t{_at(exec_)}\n")
    output = f"{module}-{attempt.name}-{place + 1:05}.fits"
    rows["pfw_exec"].append(
        f"{exec_}\t{attempt.id}\t{quantum}\t1\t{module}\t{{{module},--output,{output}}}\t--output {output}\t1.0\t0\t0\t"
        f"{exec_ % 977}.5\t0.5\t{100000 + exec_ % 977000}\n"
    )
    made = _file(numbers, output, module, attempt.id, exec_, f"survey/{attempt.name}/{module}")
    attempt.files[module][index] = made
    read = list(_inputs(attempt, step, index))
    rows["opm_used"] += [f"{exec_}\t{file}\n" for file in read]
    rows["opm_was_derived_from"] += [f"{made}\t{file}\n" for file in read]
    if module == "isr":
        rows["opm_used"] += [f"{exec_}\t{file}\n" for file in calibrations[index % CCDS]]
    if module == "calibrate":
        rows["image"].append(f"{made}\t{attempt.id * 100 + index // CCDS}\t{index % CCDS}\tHSC-I\n")
        src = _file(numbers, output.replace("calibrate", "src"), "src", attempt.id, exec_, f"survey/{attempt.name}/src")
        rows["opm_was_derived_from"].append(f"{src}\t{made}\n")
    _file(
        numbers, f"{module}-{attempt.name}-{place + 1:05}.log", "log", attempt.id, quantum, f"survey/{attempt.name}/log"
    )


def _inputs(attempt: Attempt, step: int, index: int) -> Iterator[int]:
    """Yield the files that a quantum reads, calibrations left out."""
    before = attempt.files[STEPS[step - 1] if step else "raw"]
    if STEPS[step] == "warp":
        patch, number = divmod(index, WARPS)
        yield from (before[(number * STACKED + i + 37 * patch) % EXPOSURES] for i in range(STACKED))
    elif STEPS[step] == "coadd":
        yield from before[index * WARPS : (index + 1) * WARPS]
    else:
        yield before[index]

"""How fast is planning, and writing out what was planned?

    python bench/plan.py [JOBS] [--rounds N] [--million] [--peers [DIR]]

Independent chains of three one-quantum jobs (JOBS of them, 99,999 unless told otherwise), from the campaign's text and
made-up rows to the last file: parsed, planned, fingerprinted, run directory and DAG written. Each round is a process of
its own, so its CPU time and memory are those of one submission without database and queries; making the rows is left
out of the time. Medians of the rounds; three sizes, to see how it grows. ``--million`` adds a million quanta in 20,000
jobs.

The floor is what nobody can avoid: a bare Python loop that writes a DAG of as many nodes. ``--peers`` measures others
that write such DAGs in the same run: those that pip can install, into environments of their own (peers/).
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from facade.campaign import read
from facade.engines import dag
from facade.engines.descriptions import Hosts, Options
from facade.materialise import materialise
from facade.plan import Inputs, plan
from facade.plan.capsule import Tasks
from facade.plan.fingerprint import fingerprints
from facade.wcl import loads

HEAD = """
project = BENCH
campaign = plan
reqnum = 1
unitname = bench
ops_run_dir = ${project}/${campaign}/r${reqnum}/${unitname}/p${attnum:2}
run = r${reqnum}p${attnum:2}
<filename_pattern>
    img = ${flabel}-${band}-${visit}-${ccd:3}-${run}.fits
</filename_pattern>
<directory_pattern>
    <img>
        ops = ${ops_run_dir}/${flabel}
        runtime = ${flabel}
    </img>
</directory_pattern>
<filetype_metadata>
    <raw>
    </raw>
    <img>
        metadata_table = image
        <columns>
            visit = int
            ccd = int
            band = text
            seeing = float header:SEEING
        </columns>
    </img>
</filetype_metadata>
"""

MODULE = """
<module NAME>
    wrappername = generic
    wrapperloop = visit, ccd
    loopobj = file.SOURCE
    divide_jobs_by = JOBS
    <exec_1>
        execname = NAME
        used = file.SOURCE
        was_generated_by = file.NAME
        ancestry = file.SOURCE:file.NAME
        cmd_hyphen = mixed_gnu
        <cmdline>
            _01_in = ${file.SOURCE.fullname}
            output = ${file.NAME.fullname}
            id = visit=${visit} ccd=${ccd} filter=${band}
            doraise = _flag
        </cmdline>
    </exec_1>
    <file>
        <SOURCE>
            FROM
            divide_by = visit, ccd
            dirpat = img
            flabel = SOURCE
        </SOURCE>
        <NAME>
            filetype = img
            filepat = img
            flabel = NAME
            dirpat = img
        </NAME>
    </file>
</module>
"""


LAYOUTS = {
    # steps of a chain, chains per visit, divide_jobs_by
    "chains": (3, 100, "visit, ccd, modulename"),
    "million": (5, 10, "visit"),
}
"""``chains``: every quantum is a job. ``million``: 50 quanta to a job, all of a visit."""


def text(steps: int, jobs_by: str = "visit, ccd") -> str:
    """Return a campaign of *steps* modules, each of which reads what the one before it made."""
    modules, source, origin = "", "raw", "exec = find"
    for number in range(1, steps + 1):
        name = f"step{number}"
        module = MODULE.replace("NAME", name).replace("SOURCE", source)
        modules += module.replace("FROM", origin).replace("JOBS", jobs_by)
        source, origin = name, f"depends = {name}.file.{name}"
    names = ", ".join(f"step{number}" for number in range(1, steps + 1))
    return f"{HEAD}blocklist = b\n<block>\n<b>\nmodulelist = {names}\n</b>\n</block>\n{modules}"


def rows(count: int, per_visit: int = 100) -> list[dict[str, dict[str, Any]]]:
    """Return the lines of a query for *count* raw files, in no useful order."""
    numbers = sorted(range(count), key=lambda number: number * 7919 % count)
    return [
        {
            "raw": {
                "filename": f"raw-{number // per_visit}-{number % per_visit:03d}.fits",
                "compression": ".fz",
                "filetype": "raw",
                "filesize": 9_000_000 + number,
                "checksum": f"{number:064x}",
                "path": f"raw/{number // per_visit}",
                "visit": number // per_visit,
                "ccd": number % per_visit,
                "band": "rizgy"[number // per_visit % 5],
                "exptime": 30.0,
            }
        }
        for number in numbers
    ]


# -- in a process of its own -------------------------------------------------------------------------------------------


def submission(layout: str, quanta: int, folder: Path) -> dict[str, Any]:
    """Do once all that a submission does without a database; return CPU seconds of each step and what came of it."""
    steps, per_visit, jobs_by = LAYOUTS[layout]
    lines = rows(quanta // steps, per_visit)
    clock, last = {}, time.process_time()

    def lap(name: str) -> None:
        nonlocal last
        clock[name], last = time.process_time() - last, time.process_time()

    campaign = read(loads(text(steps, jobs_by), "bench"))
    lap("campaign read and checked")
    made = plan(campaign, Inputs({"step1.file.raw": lines}))
    lines.clear()  # as submission does
    lap("planned")
    fingerprints(made, {f"step{number}": f"{number:064x}" for number in range(1, steps + 1)})
    lap("fingerprints")
    ids = Tasks(
        attempt_id=1,
        attempt=1,
        blocks=(2,),
        jobs={job.jobnum: 2 + job.jobnum for job in made.jobs},
        quanta={quantum.wrapnum: 200_000 + quantum.wrapnum for quantum in made.quanta},
    )
    attempt: Any = SimpleNamespace(engine="local", run_dir=str(folder / "run"), name="bench_r1p01", attnum=1, id=1)
    site: Any = SimpleNamespace(archive="home", archive_root="/archive", archive_options={})
    assert made.plan_id
    lap("plan's id")
    run = materialise(site, attempt, made, ids)
    lap("run directory")
    hosts, finish = Hosts(python=sys.executable, environment={}), ["/bin/true"]
    nodes = dag.lines(run, done=(), environment={}, hosts=hosts, finish_argv=finish, options=Options())
    with (folder / "run/facade.dag").open("w", buffering=1 << 20) as stream:
        stream.writelines(line + "\n" for line in nodes)
    lap("DAG")
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "laps": clock,
        "seconds": sum(clock.values()),
        "process": time.process_time(),
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "quanta": len(made.quanta),
        "jobs": len(made.jobs),
    }


def bare(jobs: int, folder: Path) -> dict[str, Any]:
    """Write a DAG of as many nodes in chains of three, with no planning: the floor."""
    began = time.process_time()
    with (folder / "bare.dag").open("w", buffering=1 << 20) as stream:
        stream.writelines(_bare(jobs))
    return {"seconds": time.process_time() - began}


def _bare(jobs: int) -> Iterator[str]:
    yield "SUBMIT-DESCRIPTION job {\n  executable = /bin/true\n}\n"
    for chain in range(jobs // 3):
        first = 3 * chain + 1
        for step in range(3):
            node = first + step
            yield (
                f'JOB j{node:06} job\nVARS j{node:06} folder="jobs/{node // 1000:03}" jobnum="{node}"'
                f' label="visit={chain // 100} ccd={chain % 100} step={step}"\n'
            )
        yield f"PARENT j{first:06} CHILD j{first + 1:06}\nPARENT j{first + 1:06} CHILD j{first + 2:06}\n"


# -- rounds ------------------------------------------------------------------------------------------------------------


def rounds_of(what: str, number: int, rounds: int) -> list[dict[str, Any]]:
    """Do *what* in a process of its own, *rounds* times; return the results, the median one (by time) in the middle."""
    results = []
    for _ in range(rounds):
        folder = tempfile.mkdtemp(prefix="facade-bench.")
        try:
            argv = [sys.executable, __file__, str(number), "--one", what, folder]
            done = subprocess.run(argv, capture_output=True, text=True, check=True)
            results.append(json.loads(done.stdout))
        finally:
            shutil.rmtree(folder)
    return sorted(results, key=lambda one: float(one["seconds"]))


def median(results: list[dict[str, Any]], key: str) -> float:
    """Return the median of one value of all rounds."""
    return statistics.median([float(one[key]) for one in results])


def told(title: str, results: list[dict[str, Any]]) -> None:
    """Print what the rounds of one size cost."""
    middle = results[len(results) // 2]
    thousands = middle["jobs"] / 1000
    print(f"{title}: {middle['quanta']:,} quanta in {middle['jobs']:,} jobs")
    for name, seconds in middle["laps"].items():
        print(f"  {name:27} {seconds:8.3f} s CPU")
    spread = f"{results[0]['seconds']:.2f} to {results[-1]['seconds']:.2f}"
    print(f"  {'all':27} {median(results, 'seconds'):8.3f} s CPU   median of {len(results)} ({spread})")
    print(f"  all of the process          {median(results, 'process'):8.3f} s CPU   with imports, and making rows")
    print(f"  memory at its peak          {median(results, 'rss'):8.0f} MB")
    print(f"  files                       {middle['files']:8}      {middle['files'] / thousands:.1f} per 1,000 jobs")
    print(f"  on disk                     {middle['bytes'] / 1e6:8.1f} MB")


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Return b of the best seconds = a * size ** b (least squares of the logarithms)."""
    x, y = [math.log(size) for size in sizes], [math.log(one) for one in seconds]
    return statistics.linear_regression(x, y).slope


def main() -> None:
    """Measure and print; the last lines are one JSON object per figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("jobs", type=int, nargs="?", default=99_999)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--peers", nargs="?", const="", metavar="DIR", help="where they are, or are to be, installed")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        what, folder = options.one[0], Path(options.one[1])
        result = bare(options.jobs, folder) if what == "bare" else submission(what, options.jobs, folder)
        print(json.dumps(result))
        return
    jobs, rounds = options.jobs // 3 * 3, options.rounds
    floor = median(rounds_of("bare", jobs, rounds), "seconds")
    sizes = [jobs // 27 * 3, jobs // 9 * 3, jobs]
    measured = [rounds_of("chains", size, rounds) for size in sizes]
    growth = exponent(sizes, [median(results, "seconds") for results in measured])
    told("chains of three one-quantum jobs", measured[-1])
    seconds = median(measured[-1], "seconds")
    print(f"  floor: a DAG, nothing else  {floor:8.3f} s CPU   {seconds / floor:.0f} times the floor")
    print(f"  grows with the exponent     {growth:8.3f}         over {', '.join(f'{size:,}' for size in sizes)} jobs")
    peers: dict[str, Any] = {}
    if options.peers is not None:
        from peers import measured as measured_peers

        peers = measured_peers(jobs, Path(options.peers) if options.peers else None)
    figures = [
        figure("plan_cpu", seconds, "s CPU", jobs, round(floor, 3), peers),
        figure("plan_memory", median(measured[-1], "rss"), "MB", jobs),
        figure("plan_files_per_1000_jobs", measured[-1][0]["files"] / jobs * 1000, "files", jobs),
        figure("plan_growth_exponent", growth, "", jobs, 1.0),
    ]
    if options.million:
        results = rounds_of("million", 1_000_000, 1)
        told("a million quanta", results)
        figures.append(figure("plan_million_cpu", median(results, "seconds"), "s CPU", 1_000_000))
        figures.append(figure("plan_million_memory", median(results, "rss"), "MB", 1_000_000))
    for one in figures:
        print(json.dumps(one))


def figure(
    name: str, value: float, unit: str, n: int, floor: float | None = None, peers: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a figure as the last lines tell it."""
    return {"name": name, "value": round(value, 3), "unit": unit, "floor": floor, "peers": peers or {}, "n": n}


if __name__ == "__main__":
    main()

"""What a quantum costs: the local engine with all provenance on, against others that run the same commands.

    python bench/job.py [--quanta 1000] [--rounds 3] [--peers [DIR]]

All copy one small file N times with two workers. facade stages the input and verifies it, writes log and receipt,
hashes, stores and registers the output, and records who made it from what. Rounds are paired; medians are shown.
``make -j2`` is the floor, ``--peers`` adds snakemake and parsl, which are installed into environments of their own.
Then what a job costs before its first program runs, and how often the registry hears of a quantum.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers.runners import runners

BIN = Path(sys.executable).parent
WORKERS = 2

CAMPAIGN = """
project = BENCH
campaign = local
reqnum = 1
unitname = trivial
ops_run_dir = bench/r${{reqnum}}/p${{attnum:2}}
job = {jobs}
n = {numbers}
blocklist = only
<block only>
    modulelist = copy
    {divide}
</block>
<filename_pattern>
    out = out-${{job:5}}-${{n:5}}-p${{attnum:2}}.txt
</filename_pattern>
<directory_pattern>
    <work>
        ops = ${{ops_run_dir}}
        runtime = work
    </work>
</directory_pattern>
<filetype_metadata>
    <seed>
        archive_path = seed
    </seed>
    <copy>
        metadata_table = copy
        <columns>
            n = int
        </columns>
    </copy>
</filetype_metadata>
<module copy>
    wrappername = generic
    wrapperloop = job, n
    <file>
        <seed>
            filename = seed.txt
            dirpat = work
        </seed>
        <out>
            filetype = copy
            filepat = out
            dirpat = work
        </out>
    </file>
    <exec_1>
        execname = cp
        used = file.seed
        was_generated_by = file.out
        ancestry = file.seed:file.out
        <cmdline>
            _01 = ${{file.seed.fullname}}
            _02 = ${{file.out.fullname}}
        </cmdline>
    </exec_1>
</module>
"""


def campaign(quanta: int, jobs: int) -> str:
    """Return a campaign of *quanta* quanta, in that many jobs or in *jobs* of equal size."""
    per_job = quanta // jobs
    return CAMPAIGN.format(
        jobs=",".join(str(j) for j in range(jobs)),
        numbers=",".join(str(n) for n in range(per_job)),
        divide="divide_jobs_by = job",
    )


def timed(argv: list[str], **kw: object) -> float:
    """Run a command and return its wall time in seconds."""
    started = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, **kw)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{argv}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return time.perf_counter() - started


def make(folder: Path, quanta: int) -> float:
    """Run the same copies under ``make -j2``."""
    folder.mkdir()
    (folder / "seed.txt").write_text("seed\n")
    targets = " ".join(f"out-{n}.txt" for n in range(quanta))
    (folder / "Makefile").write_text(f"all: {targets}\nout-%.txt: seed.txt\n\tcp seed.txt $@\n")
    return timed(["make", "-s", f"-j{WORKERS}"], cwd=folder)


def asked(facade: str, env: dict[str, str], sql: str) -> float:
    """Return the one number that a query of the registry gives."""
    argv = [facade, "sql", "--json", "-c", sql]
    text = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout
    return float(next(iter(json.loads(text)[0].values())))


ENGINE = """select extract(epoch from t.end_time - t.start_time)::float as s from task t
  join pfw_attempt a on a.task_id = t.id order by a.id desc limit 1"""
"""Wall time of the newest attempt, as the registry has it."""
TRANSACTIONS = "select sum(xact_commit + xact_rollback)::float from pg_stat_database"


def start_up(facade: str, env: dict[str, str], home: Path) -> float:
    """Return the CPU seconds that a job used when its first program began, as that program sees it."""
    path = home / "startup.wcl"
    program = home / "look"
    program.write_text("#!/bin/sh\ncat /proc/$PPID/stat > $2\n")
    program.chmod(0o755)
    path.write_text(campaign(1, 1).replace("execname = cp", f"execname = {program}"))
    timed([facade, "submit", str(path), "--wait", "-j", "1", "--reuse", "none"], env=env)
    run = Path(json.loads(subprocess.run(
        [facade, "sql", "--json", "-c", "select run_dir from pfw_attempt order by id desc limit 1"],
        env=env, capture_output=True, text=True, check=True,
    ).stdout)[0]["run_dir"])  # fmt: skip
    capsule = json.loads(subprocess.run([facade, "job", "show", f"{run}/jobs/000/capsules.jsonl#1"], env=env,
                                        capture_output=True, text=True, check=True).stdout)  # fmt: skip
    (place := home / "startup").mkdir(exist_ok=True)
    kept = place / "stat"
    capsule["quanta"][0]["execs"][0]["argv"][-1] = str(kept)
    capsule["quanta"][0]["outputs"] = []
    found = []
    for number in range(5):
        for old in place.glob("*.receipt.*"):
            old.unlink()
        capsule["quanta"][0]["log"]["filename"] = f"start-{number}.log"  # an archive takes no other content for a name
        (place / "j000001.json").write_text(json.dumps(capsule))
        argv = [sys.executable, "-P", "-m", "facade.job", str(place / "j000001.json"), "--workdir", str(place / "work")]
        timed(argv, env=env)
        fields = kept.read_text().rpartition(")")[2].split()
        found.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
    return statistics.median(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quanta", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="?", const="", metavar="DIR", help="where they are, or are to be, installed")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="facade-bench."))
    env = {**os.environ, "FACADE_HOME": str(home)}
    env.pop("FACADE_DB", None)
    facade = str(BIN / "facade")
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    try:
        (home / "seed.txt").write_text("seed\n")
        definitions = home / "campaign.wcl"
        definitions.write_text(campaign(options.quanta, 20))
        single = home / "single.wcl"
        single.write_text(campaign(options.quanta, options.quanta))
        timed(
            [facade, "ingest", "--filetype", "seed", "--definitions", str(definitions), str(home / "seed.txt")], env=env
        )
        peers = runners(home, options.peers) if options.peers is not None else {}
        for number in range(options.rounds):
            note("make", make(home / f"make{number}", options.quanta))
            for name, run in peers.items():
                note(name, run(home / f"{name}{number}", options.quanta))
            for suffix, path in (("", definitions), ("_one", single)):
                before = asked(facade, env, TRANSACTIONS)
                argv = [facade, "submit", str(path), "--wait", "-j", str(WORKERS), "--reuse", "none"]
                note("submit" + suffix, timed(argv, env=env))
                note("engine" + suffix, asked(facade, env, ENGINE))
                note("trips" + suffix, (asked(facade, env, TRANSACTIONS) - before) / options.quanta)
        note("start-up", start_up(facade, env, home))
        report(figures, options.quanta, [*peers])
    finally:
        subprocess.run([facade, "db", "stop"], env=env, capture_output=True)
        shutil.rmtree(home)


def report(figures: dict[str, list[float]], quanta: int, peers: list[str]) -> None:
    """Print the table and one JSON object per figure."""
    median = {name: statistics.median(values) for name, values in figures.items()}
    print(f"{quanta} trivial quanta, {WORKERS} workers, medians of {len(figures['make'])} paired rounds")
    print(f"{'':34} {'s':>8} {'ms/quantum':>11} {'x make':>8}")
    labels = {
        "make": "make -j2",
        **{name: f"{name}, {WORKERS} workers" for name in peers},
        "engine": "facade, 20 jobs: engine",
        "submit": "facade, 20 jobs: submit --wait",
        "engine_one": "facade, one job each: engine",
        "submit_one": "facade, one job each: submit --wait",
    }
    for name, label in labels.items():
        value = median[name]
        print(f"{label:34} {value:8.2f} {1000 * value / quanta:11.2f} {value / median['make']:8.1f}")
    trips = f"20 jobs {median['trips']:.2f}, one job each {median['trips_one']:.2f}"
    print(f"transactions of the registry per quantum: {trips}")
    print(f"a job until its first program begins: {1000 * median['start-up']:.0f} ms CPU")
    floor = round(1000 * median["make"] / quanta, 3)
    others = {name: round(1000 * median[name] / quanta, 3) for name in peers}
    for name in ("engine", "submit", "engine_one", "submit_one"):
        value = 1000 * median[name] / quanta
        tell(f"job_{name}", value, "ms/quantum", floor, others, len(figures[name]))
    tell("job_transactions", median["trips"], "per quantum", None, {}, len(figures["trips"]))
    tell("job_start_up", 1000 * median["start-up"], "ms CPU", None, {}, 5)


def tell(name: str, value: float, unit: str, floor: float | None, peers: dict[str, float], n: int) -> None:
    """Print one figure as the last lines have it."""
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, "floor": floor, "peers": peers, "n": n}))


if __name__ == "__main__":
    main()

"""What a quantum costs: the local engine with all provenance on, against ``make -j2`` running the same commands.

    python bench/local.py [--quanta 1000] [--rounds 3]

Both copy one small file N times with two workers. facade stages the input and verifies it, writes log and receipt,
hashes, stores and registers the output, and records who made it from what. Rounds are paired; medians are shown.
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


def engine_seconds(facade: str, env: dict[str, str]) -> float:
    """Return the wall clock of the newest attempt as the registry has it."""
    sql = (
        "select extract(epoch from t.end_time - t.start_time)::float as s"
        " from task t join pfw_attempt a on a.task_id = t.id"
    )
    text = subprocess.run([facade, "sql", "--json", "-c", f"{sql} order by a.id desc limit 1"], env=env,
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    return float(json.loads(text)[0]["s"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quanta", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="facade-bench."))
    env = {**os.environ, "FACADE_HOME": str(home)}
    env.pop("FACADE_DB", None)
    facade = str(BIN / "facade")
    figures: dict[str, list[float]] = {"make": [], "submit": [], "engine": [], "submit_one": [], "engine_one": []}
    try:
        (home / "seed.txt").write_text("seed\n")
        definitions = home / "campaign.wcl"
        definitions.write_text(campaign(options.quanta, 20))
        single = home / "single.wcl"
        single.write_text(campaign(options.quanta, options.quanta))
        timed(
            [facade, "ingest", "--filetype", "seed", "--definitions", str(definitions), str(home / "seed.txt")], env=env
        )
        for number in range(options.rounds):
            figures["make"].append(make(home / f"make{number}", options.quanta))
            for suffix, path in (("", definitions), ("_one", single)):
                argv = [facade, "submit", str(path), "--wait", "-j", str(WORKERS)]
                figures["submit" + suffix].append(timed(argv, env=env))
                figures["engine" + suffix].append(engine_seconds(facade, env))
        report(figures, options.quanta)
    finally:
        subprocess.run([facade, "db", "stop"], env=env, capture_output=True)
        shutil.rmtree(home)


def report(figures: dict[str, list[float]], quanta: int) -> None:
    """Print the table and one JSON object per figure."""
    median = {name: statistics.median(values) for name, values in figures.items()}
    print(f"{quanta} trivial quanta, {WORKERS} workers, medians of {len(figures['make'])} paired rounds")
    print(f"{'':34} {'s':>8} {'ms/quantum':>11} {'x make':>8}")
    for name, label in (
        ("make", "make -j2"),
        ("engine", "facade, 20 jobs: engine"),
        ("submit", "facade, 20 jobs: submit --wait"),
        ("engine_one", "facade, one job each: engine"),
        ("submit_one", "facade, one job each: submit --wait"),
    ):
        value = median[name]
        print(f"{label:34} {value:8.2f} {1000 * value / quanta:11.2f} {value / median['make']:8.1f}")
    floor = 1000 * median["make"] / quanta
    for name in ("engine", "submit", "engine_one", "submit_one"):
        value = 1000 * median[name] / quanta
        print(json.dumps({"name": f"local_{name}", "value": round(value, 3), "unit": "ms/quantum",
                          "floor": {"make -j2": round(floor, 3)}, "peers": {}, "n": len(figures[name])}))  # fmt: skip


if __name__ == "__main__":
    main()

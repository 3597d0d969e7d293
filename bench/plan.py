"""How fast is planning? One-quantum jobs and three-step chains, from made-up rows to the plan's canonical JSON.

    python bench/plan.py [QUANTA]

The floor, measured in the same run, is what nobody can avoid: a bare Python loop that writes one DAG node per quantum
and the JSON of dictionaries that say the same.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from facade.campaign import Campaign, read
from facade.plan import Inputs, Plan, plan
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
    divide_jobs_by = visit, ccd
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


def text(steps: int) -> str:
    """Return a campaign of *steps* modules, each of which reads what the one before it made."""
    modules, source, origin = "", "raw", "exec = find"
    for number in range(1, steps + 1):
        name = f"step{number}"
        modules += MODULE.replace("NAME", name).replace("SOURCE", source).replace("FROM", origin)
        source, origin = name, f"depends = {name}.file.{name}"
    names = ", ".join(f"step{number}" for number in range(1, steps + 1))
    return f"{HEAD}blocklist = b\n<block>\n<b>\nmodulelist = {names}\n</b>\n</block>\n{modules}"


def rows(count: int) -> list[dict[str, dict[str, Any]]]:
    """Return the lines of a query for *count* raw files, 100 to a visit, in no useful order."""
    numbers = sorted(range(count), key=lambda number: number * 7919 % count)
    return [
        {
            "raw": {
                "filename": f"raw-{number // 100}-{number % 100:03d}.fits",
                "compression": ".fz",
                "filetype": "raw",
                "filesize": 9_000_000 + number,
                "checksum": f"{number:064x}",
                "path": f"raw/{number // 100}",
                "visit": number // 100,
                "ccd": number % 100,
                "band": "rizgy"[number // 100 % 5],
                "exptime": 30.0,
            }
        }
        for number in numbers
    ]


def least(work: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Return the least CPU seconds of several rounds, and what the last one returned."""
    best, result = float("inf"), None
    for _ in range(rounds):
        result = None
        gc.collect()
        began = time.process_time()
        result = work()
        best = min(best, time.process_time() - began)
    return best, result


def planned(campaign: Campaign, lines: list[dict[str, dict[str, Any]]]) -> Plan:
    """Return the plan, its canonical JSON made."""
    found = plan(campaign, Inputs({"step1.file.raw": lines}))
    assert found.text
    return found


def bare(lines: list[dict[str, dict[str, Any]]], steps: int) -> tuple[str, str]:
    """Return DAG text and JSON for as many quanta, with no planning: the floor."""
    dag: list[str] = []
    quanta: list[Mapping[str, Any]] = []
    for line in lines:
        row = line["raw"]
        for step in range(1, steps + 1):
            name = f"step{step}-{row['band']}-{row['visit']}-{row['ccd']:03d}-r1p01.fits"
            source = f"step{step - 1}/{name}" if step > 1 else f"raw/{row['filename']}"
            dag.append(f'JOB j{len(quanta):06d} quantum.sub\nVARS j{len(quanta):06d} number="{len(quanta)}"\n')
            quanta.append(
                {
                    "keys": {"visit": row["visit"], "ccd": row["ccd"]},
                    "argv": [f"step{step}", source, "--output", f"step{step}/{name}", "--id", f"visit={row['visit']}",
                             f"ccd={row['ccd']}", f"filter={row['band']}", "--doraise"],
                    "inputs": [["file.raw", len(quanta), "raw", ""]],
                    "outputs": [[f"file.step{step}", len(quanta), f"step{step}", ""]],
                    "file": [name, "", "img", "BENCH/plan/r1/bench/p01/img", 1, None, None,
                             {"visit": row["visit"], "ccd": row["ccd"], "band": row["band"]}],
                }
            )  # fmt: skip
    return "".join(dag), json.dumps(quanta, sort_keys=True, separators=(",", ":"))


def measure(name: str, count: int, steps: int, rounds: int) -> dict[str, Any]:
    """Plan *count* quanta in chains of *steps* and print what it cost."""
    lines = rows(count // steps)
    seconds_read, campaign = least(lambda: read(loads(text(steps))), rounds)
    seconds, found = least(lambda: planned(campaign, lines), rounds)
    floor, _ = least(lambda: bare(lines, steps), rounds)
    number = len(found.quanta)
    print(f"{name}: {number} quanta in {len(found.jobs)} jobs, {len(found.text) / 1e6:.1f} MB of JSON")
    print(f"  campaign read and checked   {seconds_read:7.3f} s CPU")
    print(f"  planned, JSON included      {seconds:7.3f} s CPU   {number / seconds:8.0f} quanta/s")
    print(f"  floor: DAG lines and JSON   {floor:7.3f} s CPU   {seconds / floor:8.1f} times the floor")
    return {
        "name": name,
        "value": round(seconds, 3),
        "unit": "s CPU",
        "floor": round(floor, 3),
        "peers": {},
        "n": number,
    }


def main() -> None:
    """Measure and print; the last lines are one JSON object per figure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    figures = [
        measure("plan, one-quantum jobs", count, 1, 3),
        measure("plan, chains of three one-quantum jobs", count, 3, 3),
    ]
    for figure in figures:
        print(json.dumps(figure))


if __name__ == "__main__":
    main()

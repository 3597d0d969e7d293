"""The local engine with the real worker: deaths, interruption, running again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

from engines.kit import DIAMOND, Watch, alive, make_real, wait_for

from facade.engines import local
from facade.engines.rundir import RunDirectory
from facade.engines.workers import COMMAND


def worker_of(run: RunDirectory, jobnum: int, number: int = 1) -> int:
    """Return the process that a receipt names, once it does."""

    def named() -> int:
        receipts = run.receipts(jobnum)
        lines = receipts[number - 1].read_text().splitlines() if len(receipts) >= number else []
        return int(json.loads(lines[0])["pid"]) if lines else 0

    return int(wait_for(named))


def last_line(run: RunDirectory, jobnum: int, number: int = 1) -> dict[str, str]:
    line: dict[str, str] = json.loads(run.receipts(jobnum)[number - 1].read_text().splitlines()[-1])
    return line


def tries(run: RunDirectory) -> list[int]:
    return [len(run.receipts(job.jobnum)) for job in run.jobs]


def test_a_diamond_leaves_receipts_that_say_so(tmp_path: Path):
    run = make_real(tmp_path, DIAMOND, {n: f"echo {n} >> {tmp_path}/order" for n in DIAMOND})
    assert Watch(run, command=COMMAND)()
    assert {last_line(run, n)["state"] for n in DIAMOND} == {"succeeded"}
    order = (tmp_path / "order").read_text().split()
    assert (order[0], sorted(order[1:3]), order[3]) == ("1", ["2", "3"], "4")


def test_a_failing_payload_is_not_tried_again_and_mending_it_suffices(tmp_path: Path):
    run = make_real(tmp_path, {**DIAMOND, 5: (1, ())}, {2: f"test -e {tmp_path}/mended"})
    watch = Watch(run, command=COMMAND)
    assert not watch()
    assert watch.kinds(2) == ["started", "failed"]
    assert watch.jobs("blocked") == [4, 5]
    (tmp_path / "mended").touch()
    assert Watch(run, command=COMMAND, done={1, 3})()
    assert tries(run) == [1, 2, 1, 1, 1]


def test_a_bad_capsule_is_told_as_such(tmp_path: Path):
    run = make_real(tmp_path, {1: (0, ())}, {}, {1: "no JSON"})
    watch = Watch(run, command=COMMAND)
    assert not watch()
    assert (watch.events[-1].code, watch.events[-1].detail) == (2, "the capsule is bad")
    assert "is no capsule" in (tmp_path / "engine.log").read_text()


def test_a_killed_worker_costs_its_job_one_more_run(tmp_path: Path):
    first = f"test -e {tmp_path}/again || {{ touch {tmp_path}/again; sleep 60; }}"
    run = make_real(tmp_path, {1: (0, ()), 2: (0, ())}, {1: first})
    watch = Watch(run, command=COMMAND)
    killer = threading.Thread(target=lambda: (wait_for((tmp_path / "again").exists), os.kill(worker_of(run, 1), 9)))
    killer.start()
    assert watch()
    killer.join()
    assert watch.kinds(1) == ["started", "lost", "retry", "started", "succeeded"]
    assert tries(run) == [2, 1]


def test_stop_lets_the_job_write_its_receipt(tmp_path: Path):
    run = make_real(tmp_path, {n: (0, ()) for n in (1, 2, 3)}, {1: "sleep 60", 2: "sleep 60"})
    watch = Watch(run, command=COMMAND)
    stopper = threading.Thread(target=lambda: (worker_of(run, 1), worker_of(run, 2), watch.stop.set()))
    stopper.start()
    assert not watch()
    stopper.join()
    assert [(event.jobnum, event.code) for event in sorted(watch.events, key=lambda e: e.jobnum) if event.code] == [
        (1, 143), (2, 143),
    ]  # fmt: skip
    assert {last_line(run, n)["kind"] for n in (1, 2)} == {"job-ended"}
    assert tries(run) == [1, 1, 0]


ENGINE = """
    import sys, threading
    from pathlib import Path
    from facade.engines import local
    from facade.engines.rundir import RunDirectory
    run = RunDirectory.read(Path(sys.argv[1]))
    local.run(run, workers=2, done=(), environment={}, on_event=print, stop=threading.Event())
"""


def test_a_killed_engine_leaves_a_run_that_goes_on_where_it_was(tmp_path: Path):
    table = {n: (0, ()) for n in range(1, 7)}
    run = make_real(tmp_path, table, dict.fromkeys(table, "sleep 0.4"))
    engine = subprocess.Popen([sys.executable, "-c", textwrap.dedent(ENGINE), tmp_path], stdout=subprocess.DEVNULL)
    workers = {worker_of(run, 1), worker_of(run, 2)}
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    wait_for(lambda: not local.running(run))
    assert not any(alive(pid) for pid in workers)
    assert tries(run) == [1, 1, 0, 0, 0, 0], "jobs at hand were finished, no others begun"
    assert Watch(run, command=COMMAND)(), "nothing is said to be done, and yet nothing is done twice"
    execs = [(tmp_path / f"jobs/000/j00000{n}.receipt.02.jsonl").read_text().count('"exec"') for n in (1, 2)]
    assert execs == [0, 0]


def test_nobody_keeps_a_workers_input_open(tmp_path: Path):
    """Neither the payload nor another worker holds the pipe by which a worker learns that the engine is dead."""
    run = make_real(
        tmp_path, {1: (0, ()), 2: (0, ())}, dict.fromkeys((1, 2), f"readlink /proc/$$/fd/* > {tmp_path}/$$; true")
    )
    assert Watch(run, command=COMMAND)()
    held = [line for file in tmp_path.glob("[0-9]*") for line in file.read_text().splitlines()]
    assert held
    assert not [line for line in held if line.startswith("pipe:") or "engine.lock" in line]

"""What quanta may take: time, memory, cpus; what happens to those that take more, and to what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from job.house import House

from facade.job import watch
from facade.job.watch import Limits, memory_of, watched
from facade.needs import Allowance

SLEEP = "import time; time.sleep(60)"
GREEDY = "data = bytearray(400 << 20)\nimport time; time.sleep(60)"


def allowed(**what: Any) -> dict[str, Any]:
    return {"allowance": Allowance(**what)._asdict()}


def classes(house: House, run: int = 1) -> dict[int, str | None]:
    return {task: (line["failure"] or {}).get("class") for task, line in house.ended(run).items()}


class TestTime:
    def test_a_program_that_takes_too_long_is_ended_and_never_tried_again(self, house: House) -> None:
        house.add(house.python(SLEEP), **allowed(seconds=1))
        house.add(house.copy("out/b.txt"), outputs=[house.output("b.txt")], **allowed(seconds=30))
        assert house.run() == 1
        assert classes(house) == {41: "timeout", 42: None}
        assert "ran for longer than 1 s" in house.ended()[41]["failure"]["message"]

    def test_one_that_ignores_it_is_killed_after_a_while_of_grace(self, house: House) -> None:
        code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
        house.add(house.python(code), **allowed(seconds=1))
        began = time.monotonic()
        assert house.run(grace=0.5) == 1
        assert 1.4 < time.monotonic() - began < 15
        failure = house.ended()[41]["failure"]
        assert (failure["class"], failure["signal"]) == ("timeout", 9)

    def test_time_counts_from_the_start_of_each_program(self, house: House) -> None:
        wait = "import time; time.sleep(0.7)"
        house.add(house.python(wait), house.python(wait), house.python(wait), **allowed(seconds=2))
        assert house.run() == 0

    def test_waiting_without_process_handles(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(os, "pidfd_open")
        for limits, broken in ((Limits(), ""), (Limits(seconds=0.2), "time"), (Limits(memory=1), "memory")):
            process = subprocess.Popen(["sleep", "0.8"], start_new_session=True)
            assert watched(process.pid, limits, 0.1) == broken
            process.wait()


class TestMemory:
    def test_all_processes_of_a_program_count(self) -> None:
        child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {GREEDY!r}]).wait()"
        process = subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
        try:
            deadline = time.monotonic() + 20
            while memory_of(process.pid) < 400 << 20:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            os.killpg(process.pid, 9)
            process.wait()
        assert memory_of(process.pid) == 0

    def test_without_growth_it_is_the_payloads_fault(self, house: House) -> None:
        house.add(house.python(GREEDY), **allowed(memory=100))
        assert house.run() == 1
        assert classes(house) == {41: "out-of-memory"}
        assert "took more than 100 MB" in house.ended()[41]["failure"]["message"]

    def test_with_growth_it_is_tried_again_with_more_up_to_a_limit(self, house: House) -> None:
        house.add(house.python(GREEDY.replace("60", "1.2")), **allowed(memory=100, growth=3.0, most=700))
        house.add(house.copy("out/b.txt"), outputs=[house.output("b.txt")], **allowed(memory=100, growth=3.0))
        assert house.run() == 76
        assert "it is tried again with 300 MB" in house.ended()[41]["failure"]["message"]
        assert house.run() == 77
        assert classes(house, 2) == {41: "out-of-memory"}, "the other one is done"
        assert house.run() == 0

    def test_it_is_not_tried_again_when_there_is_no_more(self, house: House) -> None:
        house.add(house.python(GREEDY), **allowed(memory=100, growth=2.0, most=150))
        assert [house.run(), house.run()] == [76, 1]

    def test_one_that_was_killed_when_it_had_nearly_all(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """As the kernel does it where the batch system bounds memory."""
        monkeypatch.setattr(watch, "LOOK", 60.0)
        code = "data = bytearray(480 << 20)\nimport os; os.kill(os.getpid(), 9)"
        house.add(house.python(code), **allowed(memory=500, growth=2.0))
        assert house.run() == 76
        house.add(house.python("import os; os.kill(os.getpid(), 9)"), **allowed(memory=5000, growth=2.0))
        assert house.run() == 1
        assert classes(house, 2)[42] == "killed"

    def test_a_run_that_was_granted_no_more_asks_again(
        self, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ad = tmp_path / "ad"
        monkeypatch.setenv("_CONDOR_JOB_AD", str(ad))
        ad.write_text("ClusterId = 3\nProcId = 0\nRequestMemory = 128\n")
        house.add(house.python(GREEDY.replace("60", "1.2")), **allowed(memory=100, growth=8.0))
        assert house.run() == 76
        assert house.run() == 76, "granted as little as before"
        assert "granted 128 MB" in house.lines(2)[-1]["failure"]["message"] and not house.ended(2)
        ad.write_text("ClusterId = 3\nProcId = 0\nRequestMemory = 1024\n")
        assert house.run() == 0


class TestSideBySide:
    def test_quanta_of_a_module_run_at_once_in_folders_of_their_own(self, house: House) -> None:
        meet = (
            "import os, sys, time\n"
            "open('same-name', 'w').write(sys.argv[1])\n"
            f"open({str(house.root)!r} + '/here' + sys.argv[1], 'w').close()\n"
            "deadline = time.time() + 20\n"
            f"while not all(os.path.exists({str(house.root)!r} + f'/here{{n}}') for n in (1, 2)):\n"
            "    assert time.time() < deadline; time.sleep(0.01)\n"
            "time.sleep(0.1); text = open('same-name').read() + open('in/raw').read()\n"
            "open(f'out/{sys.argv[1]}.txt', 'w').write(text)\n"
        )
        raw = house.input("raw")
        for number in (1, 2):
            house.add(house.exec(sys.executable, "-c", meet, str(number)), inputs=[raw], **allowed(threads=2),
                      outputs=[house.output(f"{number}.txt")])  # fmt: skip
        both = house.copy("out/sum.txt", "out/1.txt", "out/2.txt")
        house.add(both, inputs=[house.made("1.txt"), house.made("2.txt")], outputs=[house.output("sum.txt")],
                  module="sum")  # fmt: skip
        assert house.run() == 0
        assert (house.archive / "red/sum.txt").read_text() == "1RAW\n2RAW\n"
        assert not list((house.root / "work").iterdir())

    def test_no_more_run_than_may_and_what_failed_blocks_only_its_own(self, house: House) -> None:
        code = (
            "import os, sys, time\n"
            f"os.chdir({str(house.root)!r}); open(f'on{{os.getpid()}}', 'w').close()\n"
            "print('together:', len([n for n in os.listdir('.') if n.startswith('on')])); time.sleep(0.2)\n"
            "os.remove(f'on{os.getpid()}'); sys.exit(int(sys.argv[1]))\n"
        )
        for number in range(6):
            house.add(house.exec(sys.executable, "-c", code, str(int(number == 2))), **allowed(threads=3, cpus=1))
        house.quanta[2]["outputs"] = [house.output("x.txt")]
        house.add(house.copy("out/y.txt", "out/x.txt"), inputs=[house.made("x.txt")], outputs=[house.output("y.txt")])
        assert house.run() == 1
        assert {line["quantum"]: line["state"] for line in house.ended().values()} == {
            **dict.fromkeys((41, 42, 44, 45, 46), "succeeded"), 43: "failed", 47: "blocked"
        }  # fmt: skip
        together = [int(house.log(n).split("together: ")[1].split()[0]) for n in range(1, 7)]
        assert max(together) <= 3

    def test_all_end_when_the_job_is_told_to(self, house: House) -> None:
        for number in (1, 2):
            ready = str(house.root / f"r{number}")
            house.add(house.python(f"open({ready!r}, 'w').close(); {SLEEP}"), **allowed(threads=2))
        command = [sys.executable, "-m", "facade.job", str(house.write()), "--workdir", str(house.root / "work")]
        job = subprocess.Popen(command)
        deadline = time.monotonic() + 20
        while not all((house.root / f"r{n}").exists() for n in (1, 2)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        job.terminate()
        assert job.wait(20) == 143
        assert classes(house) == {41: "evicted", 42: "evicted"}


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in range(3): os.close(n)
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
"""


def test_a_daemon_that_a_program_leaves_behind_is_killed_and_told(house: House) -> None:
    pid = house.root / "pid"
    house.add(house.exec(sys.executable, "-c", DAEMON, str(pid)))
    command = [sys.executable, "-m", "facade.job", str(house.write()), "--workdir", str(house.root / "work")]
    done = subprocess.run(command)
    assert done.returncode == 0
    assert f"killed what {Path(sys.executable).name} left running: {pid.read_text()} (" in house.log()
    assert not Path(f"/proc/{pid.read_text()}").exists()


def test_a_program_whose_job_was_killed_is_ended_by_the_next_run(house: House) -> None:
    ready = house.root / "ready"
    first = f"import os, time; old = os.path.exists({str(ready)!r})\n"
    house.add(house.python(first + f"if not old: open({str(ready)!r}, 'w').write(str(os.getpid())); time.sleep(600)"))
    command = [sys.executable, "-m", "facade.job", str(house.write()), "--workdir", str(house.root / "work")]
    job = subprocess.Popen(command)
    deadline = time.monotonic() + 20
    while not (ready.exists() and ready.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job.kill()
    job.wait()
    program = Path(f"/proc/{ready.read_text()}")
    assert program.exists()
    assert house.run() == 0
    deadline = time.monotonic() + 5
    while program.exists() and "Z" not in (program / "stat").read_text().rpartition(")")[2].split()[0]:
        assert time.monotonic() < deadline
        time.sleep(0.01)

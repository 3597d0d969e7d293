"""Jobs that are told to end, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from job.house import House

from facade.job import execute
from facade.job.stop import Stop

STUBBORN = """\
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open({ready!r}, "w").write(str(os.getpid()))
time.sleep(60)
"""
SHORT_GRACE = "import sys; from facade.job import runner; " \
    "sys.exit(runner.run_job(sys.argv[1], workdir=sys.argv[2], grace=0.5))"  # fmt: skip


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 15
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)
    return path.read_text()


def start(house: House) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SHORT_GRACE, str(house.write()), str(house.root / "work")])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_job_that_is_told_to_end_takes_a_stubborn_program_with_it(house: House, number: int, code: int) -> None:
    ready = house.root / "ready"
    house.add(house.python(STUBBORN.format(ready=str(ready))), outputs=[house.output("a.txt")])
    house.add(house.copy("out/b.txt"), outputs=[house.output("b.txt")])
    job = start(house)
    program = int(wait_for(ready))
    job.send_signal(number)
    assert job.wait(20) == code
    assert not Path(f"/proc/{program}").exists()
    failure = house.ended()[41]["failure"]
    assert (failure["class"], failure["step"], failure["signal"]) == ("evicted", "exec", number)
    assert 42 not in house.ended()
    assert house.kinds()[-3:] == ["stored", "quantum-ended", "job-ended"]
    ran = next(line for line in house.lines() if line["kind"] == "exec")
    assert ran["signal"] == signal.SIGKILL and ran["exit_code"] is None
    assert house.log()


def test_a_job_that_is_killed_can_be_resumed(house: House) -> None:
    ready = house.root / "ready"
    house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
    house.add(
        house.python(
            f"import os, time; old = os.path.exists({str(ready)!r}); open({str(ready)!r}, 'w').write('x'); "
            "old or time.sleep(60); open('out/b.txt', 'w').write(open('out/a.txt').read())"
        ),
        inputs=[house.made("a.txt")],
        outputs=[house.output("b.txt")],
    )
    job = start(house)
    wait_for(ready)
    job.kill()
    job.wait(10)
    assert house.run() == 0
    assert set(house.ended(2)) == {42}
    assert (house.archive / "red/b.txt").read_text() == "MADE\n"


def test_a_second_process_on_one_capsule_is_refused(house: House) -> None:
    ready = house.root / "ready"
    house.add(house.python(STUBBORN.format(ready=str(ready))))
    job = start(house)
    try:
        wait_for(ready)
        second = subprocess.run(
            [sys.executable, "-m", "facade.job", str(house.capsule)], capture_output=True, text=True
        )
        assert second.returncode == 4 and "another process" in second.stderr
    finally:
        job.send_signal(signal.SIGTERM)
        job.wait(10)


def test_a_worker_runs_job_after_job_and_keeps_its_stdout_clean(house: House, tmp_path: Path) -> None:
    house.add(house.python("print('noise')"))
    other = House(tmp_path / "other")
    other.add(other.python("raise SystemExit(1)"))
    requests = [{"capsule": str(h.write()), "workdir": str(h.root / "work")} for h in (house, other)]
    requests.append({"capsule": "/nowhere", "workdir": None})  # type: ignore[dict-item]
    text = "".join(json.dumps(request) + "\n" for request in requests) + "nonsense\n"
    done = subprocess.run([sys.executable, "-m", "facade.job.worker"], input=text, capture_output=True, text=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["code"] for answer in answers] == [0, 1, 2, 1]
    assert [answer["capsule"] for answer in answers[:2]] == [str(house.capsule), str(other.capsule)]
    assert done.returncode == 0


def test_a_stop_that_came_before_the_program_ends_it_at_once(tmp_path: Path) -> None:
    stop = Stop(0.5)
    stop.signum = signal.SIGTERM
    log = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY)
    with stop.listening():
        ended = execute.run(["sleep", "60"], cwd=tmp_path, env=os.environ, log=log, stop=stop)
    os.close(log)
    assert ended.signal == signal.SIGTERM


def test_starting_a_job_imports_nothing_heavy() -> None:
    code = "import sys, facade.job.runner, facade.job.worker; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"facade.registry", "sqlalchemy", "psycopg2", "click", "rich", "astropy", "numpy", "yaml"}
    assert heavy.isdisjoint(modules)

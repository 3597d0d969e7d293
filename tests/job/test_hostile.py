"""Programs that mean harm, or might as well: contained, and reported as what they did."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from job.house import House

FLOOD = "import os\nblock = b'x' * ((1 << 20) - 1) + b'\\n'\nfor _ in range({}): os.write(1, block)\n"


def run(house: House, memory: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the capsule in a process of its own, which may use so many MB of memory."""
    command = [sys.executable, "-m", "facade.job", str(house.write()), "--workdir", str(house.root / "work")]

    def bound() -> None:
        if memory:
            resource.setrlimit(resource.RLIMIT_DATA, (memory << 20, memory << 20))

    return subprocess.run(command, capture_output=True, text=True, preexec_fn=bound, timeout=200)


def failure(house: House, quantum: int = 41) -> tuple[str, str]:
    found = house.ended()[quantum]["failure"]
    return found["class"], found["message"]


@pytest.mark.parametrize("megabytes", [1024])
def test_a_flood_on_stdout_is_kept_whole_in_little_memory(house: House, megabytes: int) -> None:
    house.add(house.python(FLOOD.format(megabytes)))
    assert run(house, memory=400).returncode == 0
    log = house.archive / "log/step/Ht0_r11p01_step_w00001.log"
    assert megabytes << 20 < log.stat().st_size < (megabytes << 20) + 4096
    log.unlink()


def test_a_flood_that_ends_badly_is_told_by_its_last_lines(house: House) -> None:
    house.add(house.python(FLOOD.format(64) + "print('no sky'); raise SystemExit(9)"))
    assert run(house, memory=400).returncode == 1
    line = house.ended()[41]["failure"]
    assert line["class"] == "exec-failed" and "no sky" in line["tail"] and len(line["tail"]) < 20_000


def test_a_program_that_closes_what_it_was_given(house: House) -> None:
    code = "import os\nos.closerange(0, 64)\nopen('out/a.txt', 'w').write('a')\nos._exit(0)"
    house.add(house.python(code), outputs=[house.output("a.txt")])
    assert run(house).returncode == 0
    assert (house.archive / "red/a.txt").read_text() == "a"


@pytest.mark.parametrize("number", [11, 6, 4, 34])
def test_a_program_that_dies_of_a_signal(house: House, number: int) -> None:
    house.add(house.python(f"import os; os.kill(os.getpid(), {number})"))
    assert run(house).returncode == 1
    assert failure(house)[0] == "killed" and f"signal {number}" in failure(house)[1]
    assert house.ended()[41]["failure"]["signal"] == number


def test_a_program_that_stops_itself_is_ended_in_time(house: House) -> None:
    from facade.needs import Allowance

    house.add(house.python("import os; os.kill(os.getpid(), 19)"), allowance=Allowance(seconds=1)._asdict())
    assert run(house).returncode == 1
    assert failure(house)[0] == "timeout"


def test_a_program_that_kills_all_that_it_may_in_its_group(house: House) -> None:
    house.add(house.python("import os; os.killpg(0, 9)"))
    house.add(house.copy("out/b.txt"), outputs=[house.output("b.txt")])
    assert run(house).returncode == 1
    assert failure(house)[0] == "killed" and house.ended()[42]["state"] == "succeeded"


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("os.symlink('/etc/passwd', 'out/a.txt')", "a.txt"),
        ("os.mkfifo('out/a.txt')", "a.txt"),
        ("os.mkdir('out/a.txt')", "a.txt"),
        ("os.rmdir('out'); os.symlink('/etc', 'out')", "a.txt"),
        ("os.symlink('a.txt', 'out/a.txt')", "a.txt"),
    ],
)
def test_an_output_that_is_no_file_of_the_job(house: House, made: str, told: str) -> None:
    house.add(house.python(f"import os; {made}"), outputs=[house.output("a.txt")])
    assert run(house).returncode == 1
    kind, message = failure(house)
    assert kind == "output-missing" and told in message
    assert not (house.archive / "red/a.txt").exists()


def test_a_program_that_removes_its_job_directory(house: House) -> None:
    house.add(house.python("import os, shutil; shutil.rmtree(os.getcwd())"), outputs=[house.output("a.txt")])
    done = run(house)
    assert done.returncode in (1, 75), done.stderr
    assert house.lines()[-1]["kind"] == "job-ended" and "Traceback" not in done.stderr


def test_a_program_that_writes_over_its_inputs_spoils_no_other(house: House) -> None:
    raw = house.input("a.txt", "raw\n")
    house.add(house.python("open('in/a.txt', 'w').write('spoilt')"), inputs=[raw])
    house.add(house.copy("out/b.txt", "in/a.txt"), inputs=[raw], outputs=[house.output("b.txt")])
    assert run(house).returncode == 0
    assert (house.archive / "red/b.txt").read_text() == "RAW\n"
    assert (house.archive / "raw/a.txt").read_text() == "raw\n"


@pytest.mark.parametrize("name", ["new\nline.txt", "tab\t.txt", "\x1b[31m.txt", "a" * 300])
def test_names_that_no_file_may_have(house: House, name: str) -> None:
    house.add(house.copy("out/x"), outputs=[house.output(name)])
    assert run(house).returncode in (1, 2)
    assert not list((house.archive / "red").glob("*")) if (house.archive / "red").exists() else True


def test_what_a_program_says_moves_no_cursor(house: House) -> None:
    house.add(house.python("print('\\x1b[2J\\x1b]0;title\\x07\\x00 gone'); raise SystemExit(1)"))
    assert run(house).returncode == 1
    assert "\0" not in house.ended()[41]["failure"]["tail"]
    assert Path("/proc/self").exists() and os.getpid()

"""Ctrl-C at moments in which nobody expects it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from facade.registry.face import Registry

SLOW = """
import time
print("here", flush=True)
time.sleep(30)
"""


def test_ctrl_c_while_modules_are_imported_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(SLOW)  # stands before the real one, and is what is imported first
    process = subprocess.Popen(
        [sys.executable, "-m", "facade", "--version"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "here\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (130, "")


def test_ctrl_c_while_the_interpreter_ends_changes_no_exit_code(tmp_path: Path) -> None:
    text = "import atexit, time\natexit.register(lambda: (print('ending', flush=True), time.sleep(1)))\n"
    (tmp_path / "sitecustomize.py").write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "facade", "--version"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert process.stdout is not None
    while process.stdout.readline() not in ("ending\n", ""):
        pass
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (0, "")


def test_ctrl_c_ends_a_long_question_here_and_in_the_server(registry: Registry) -> None:
    env = {**os.environ, **registry.address.environment()}
    words = [sys.executable, "-m", "facade", "sql", "-c", "select pg_sleep(60)"]
    process = subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    asleep = "select count(*) from pg_stat_activity where query like '%from answer' and wait_event = 'PgSleep'"
    deadline = time.monotonic() + 30
    while registry.run_sql(asleep).rows != ((1,),):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=10)
    assert (process.returncode, out, told.strip()) == (130, "", "")
    assert registry.run_sql(asleep).rows == ((0,),)

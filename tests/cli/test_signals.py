"""Ctrl-C at moments in which nobody expects it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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


def environment(registry: Registry, home: Path) -> dict[str, str]:
    return {**os.environ, **registry.address.environment(), "FACADE_HOME": str(home / "home")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_query_that_is_interrupted_leaves_no_folder(tmp_path: Path, registry: Registry, number: int) -> None:
    (tmp_path / "slow").write_text("#!/bin/sh\ntouch here\nsleep 20\n")
    (tmp_path / "slow").chmod(0o755)
    (tmp_path / "temporary").mkdir()
    text = f"""project = P
campaign = c
ops_run_dir = o
reqnum = 1
unitname = u
blocklist = b
<block b>
    modulelist = m
</block>
<module m>
    noop = True
    <file>
        <f>
            exec = {tmp_path / "slow"}
            args = --qoutfile ${{qoutfile}}
            dirpat = d
        </f>
    </file>
</module>
<directory_pattern>
    <d>
        runtime = d
        ops = d
    </d>
</directory_pattern>
"""
    (tmp_path / "campaign.wcl").write_text(text)
    env = {**environment(registry, tmp_path), "TMPDIR": str(tmp_path / "temporary")}
    words = [sys.executable, "-m", "facade", "plan", str(tmp_path / "campaign.wcl")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("temporary/*/here")):
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 130 and list((tmp_path / "temporary").iterdir()) == []


def test_ctrl_c_ends_a_long_question_here_and_in_the_server(tmp_path: Path, registry: Registry) -> None:
    env = environment(registry, tmp_path)
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

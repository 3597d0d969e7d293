"""The HTCondor that tools/condor.py builds and runs is a real one: jobs, DAGs with rescue, and a clean end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from condor_pool import Pool

if TYPE_CHECKING:
    from pool import CondorPool

CLIENT = Path(__file__).with_name("condor_client.py")
TOOL = Path(__file__).resolve().parents[2] / "tools/condor.py"


def submit(pool: CondorPool, directory: Path, verb: str, file: str) -> int:
    """Run a job or a DAG through the Python bindings, and return its exit code."""
    command = [sys.executable, str(CLIENT), verb, file]
    done = subprocess.run(command, cwd=directory, env=pool.env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search("^exit code ([0-9]+)$", done.stdout, re.MULTILINE)  # the bindings print there too
    assert found, done.stdout
    return int(found[1])


def tool(*arguments: object, env: dict[str, str] | None = None) -> str:
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    return subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@pytest.mark.parametrize("code", [0, 3])
def test_a_job_runs_and_reports_its_exit_code(condor_pool: CondorPool, tmp_path: Path, code: int):
    (tmp_path / "job.sh").write_text(f"echo ran > result.txt; exit {code}\n")
    assert submit(condor_pool, tmp_path, "job", "job.sh") == code
    assert (tmp_path / "result.txt").read_text() == "ran\n"


def test_a_dag_with_a_failing_node_is_rescued(condor_pool: CondorPool, tmp_path: Path):
    (tmp_path / "node.sh").write_text('echo "$1" >> ran.txt; test "$1" != B || test -e mended\n')
    (tmp_path / "three.dag").write_text(
        "SUBMIT-DESCRIPTION node {\n"
        "  executable = /bin/sh\n  arguments = node.sh $(name)\n  log = nodes.log\n  should_transfer_files = no\n}\n"
        + "".join(f'JOB {name} node\nVARS {name} name="{name}"\n' for name in "ABC")
        + "PARENT A CHILD B\nPARENT B CHILD C\n"
    )
    assert submit(condor_pool, tmp_path, "dag", "three.dag") != 0
    assert (tmp_path / "three.dag.rescue001").exists()
    (tmp_path / "mended").touch()
    assert submit(condor_pool, tmp_path, "dag", "three.dag") == 0
    assert (tmp_path / "ran.txt").read_text().split() == ["A", "B", "B", "C"]


def test_the_users_own_configuration_is_not_read(condor_pool: CondorPool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("_CONDOR_COLLECTOR_HOST", "elsewhere.example")
    monkeypatch.setenv("CONDOR_CONFIG", "/nonexistent")
    env = Pool(condor_pool.directory, Path(tool("prefix"))).env
    command = ["condor_config_val", "-verbose", "COLLECTOR_HOST"]
    shown = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "elsewhere" not in shown
    assert env["CONDOR_CONFIG"] == str(condor_pool.config)


def test_a_stopped_pool_leaves_no_process(condor_pool: CondorPool, tmp_path: Path):
    pool = Pool(tmp_path / "p", Path(tool("prefix")))
    assert tool("start", pool.directory, "--cpus", 2, "--set", "FACADE_COLOUR=blue") == str(pool.config)
    (tmp_path / "long.sh").write_text("touch started; sleep 1000\n")
    client = subprocess.Popen([sys.executable, str(CLIENT), "job", "long.sh"], cwd=tmp_path, env=pool.env)
    try:
        wait_for(lambda: (tmp_path / "started").exists())
        running = pool.processes()
        assert any("condor_startd" in name(pid) for pid in running)
        assert any("sleep" in name(pid) or "sh" in name(pid) for pid in running)
        assert tool("status", pool.directory).startswith("running")
    finally:
        client.kill()
        client.wait()
        tool("stop", pool.directory)
    assert not [pid for pid in running if name(pid)]
    assert pool.processes() == []
    assert "FACADE_COLOUR = blue" in pool.config.read_text()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_pool_ends_with_its_owner(condor_pool: CondorPool, tmp_path: Path, end: signal.Signals):
    owner = subprocess.Popen(["sleep", "1000"])
    pool = Pool(tmp_path / "p", Path(tool("prefix")))
    try:
        tool("start", pool.directory, "--cpus", 1, "--owner", owner.pid)
        assert pool.master()
        owner.send_signal(end)
        owner.wait()
        wait_for(lambda: not pool.processes())
    finally:
        owner.kill()
        tool("stop", pool.directory)


def test_a_start_cleans_up_after_a_pool_whose_master_was_killed(condor_pool: CondorPool, tmp_path: Path):
    pool = Pool(tmp_path / "p", Path(tool("prefix")))
    tool("start", pool.directory, "--cpus", 1)
    before = pool.processes()
    os.kill(pool.master(), signal.SIGKILL)
    try:
        tool("start", pool.directory, "--cpus", 1)
        assert not set(before) & set(pool.processes())
    finally:
        tool("stop", pool.directory)


def name(pid: int) -> str:
    """The command line of a process; nothing of one that has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def wait_for(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)

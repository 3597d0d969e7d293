"""Blocks that are planned by the DAG, between those before them and themselves: on a real HTCondor."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.late import campaign, report_of
from e2e.world import World
from pool import CondorPool

BOTH = "hello 9\nhello 10\n"


@pytest.fixture
def home(tmp_path: Path, condor_pool: CondorPool) -> Iterator[World]:
    clean = World(tmp_path)
    path = clean.env()["PATH"] + ":" + condor_pool.env["PATH"]
    made = World(tmp_path, {"CONDOR_CONFIG": condor_pool.env["CONDOR_CONFIG"], "PATH": path})
    yield made
    made.facade("db", "stop")


def queue(home: World) -> bytes:
    return subprocess.run(["condor_q", "-af", "ClusterId"], env=home.env(), capture_output=True, check=True).stdout


def test_the_dag_plans_each_block_when_the_one_before_is_done(home: World) -> None:
    path = campaign(home)
    home.facade("submit", path, "--engine", "htcondor", "--wait")
    report = home.json("stat", "u_r4p01")
    assert (report["attempt"]["state"], report["quanta"]) == ("succeeded", {"succeeded": 6})
    assert report["unplanned"] == [] and report_of(home, 1) == BOTH
    hosts = home.rows("select distinct batch_id ~ '^[0-9]+[.]0$' as told from pfw_job")
    assert hosts == [{"told": True}] and queue(home) == b""
    # the second attempt runs the block that is another; the first is taken as it is, the last would be the same again
    home.facade("submit", campaign(home, gather="echo"), "--engine", "htcondor", "--wait")
    assert home.json("stat", "u_r4p02")["quanta"] == {"succeeded": 2}


def test_what_cannot_be_planned_or_fails_late_is_told_and_resumed(home: World) -> None:
    flag = home.home / "flag"
    flag.touch()
    path = campaign(home, gather=f"test ${{n}} != 9 || test ! -e {flag} || exit 7")
    home.facade("submit", path, "--engine", "htcondor", "--wait", "--set", "wanted=20:30", code=1)
    report = home.json("stat", "u_r4p01")
    assert report["blocks"] == {"calib": "succeeded", "coadd": "failed", "last": "blocked"}
    assert "found nothing" in report["unplanned"][0]["detail"]
    home.facade("resume", "u_r4p01", "--wait", code=1)
    assert "found nothing" in home.json("stat", "u_r4p01")["unplanned"][0]["detail"]

    home.facade("submit", path, "--engine", "htcondor", "--wait", code=1)
    report = home.json("stat", "u_r4p02")
    assert report["blocks"] == {"calib": "succeeded", "coadd": "failed", "last": "blocked"}
    assert (report["quanta"], report["reused"]) == ({"succeeded": 1, "failed": 1}, {"u_r4p01": 3})
    flag.unlink()
    home.facade("resume", "u_r4p02", "--wait")
    assert home.json("stat", "u_r4p02")["quanta"] == {"succeeded": 3} and report_of(home, 2) == BOTH


def test_jobs_of_a_late_block_are_counted_and_taken_away_with_the_dag(home: World) -> None:
    go = home.home / "go"
    path = campaign(home, gather=f"test -e {go} || sleep 60")
    path.write_text("dagman_max_jobs = 3\ndagman_max_idle = 4\n" + path.read_text())
    home.facade("submit", path, "--engine", "htcondor")
    deadline = time.monotonic() + 120
    report = home.json("stat", "u_r4p01")
    # DAGMan itself is no job of ours; those of the first block leave the queue a moment after they have told their end
    while ({job["module"] for job in report["running"]}, report["queue"]["running"]) != ({"gather"}, 1):
        assert time.monotonic() < deadline, report
        time.sleep(0.5)
        report = home.json("stat", "u_r4p01")
    assert report["carried_out_by"].startswith("HTCondor cluster")
    assert report["queue"]["idle"] == 0
    told = (home.home / "runs/u_r4p01/dag/later_coadd.dag.dagman.out").read_text()
    assert "DAGMAN_MAX_JOBS_SUBMITTED setting: 3" in told and "DAGMAN_MAX_JOBS_IDLE setting: 4" in told
    assert "being carried out" in home.facade("resume", "u_r4p01", code=4).stderr
    home.facade("remove", "u_r4p01")
    assert home.json("stat", "u_r4p01")["attempt"]["state"] == "removed"
    assert queue(home) == b""
    go.touch()
    home.facade("resume", "u_r4p01", "--wait")
    assert home.json("stat", "u_r4p01")["quanta"] == {"succeeded": 6} and report_of(home, 1) == BOTH

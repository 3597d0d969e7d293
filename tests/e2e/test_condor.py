"""HTCondor through the command line: failure, removal, and going on from the truth."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.test_site import CAMPAIGN
from e2e.world import World
from pool import CondorPool

STUMBLE = "c = 'test ! -e FLAG || test ${n} = 9 || exit 7; echo hello > ${file.out.fullname}'"
"""The quantum of n=10 fails with 7 as long as a flag is there."""


@pytest.fixture
def home(tmp_path: Path, condor_pool: CondorPool) -> Iterator[World]:
    clean = World(tmp_path)
    path = clean.env()["PATH"] + ":" + condor_pool.env["PATH"]
    made = World(tmp_path, {"CONDOR_CONFIG": condor_pool.env["CONDOR_CONFIG"], "PATH": path})
    yield made
    made.facade("db", "stop")


def campaign(home: World, command: str) -> Path:
    path = home.home / "campaign.wcl"
    text = CAMPAIGN.replace("modulelist = hello", "modulelist = hello\n    divide_jobs_by = n")
    path.write_text(text.replace("c = 'echo hello > ${file.out.fullname}'", command))
    return path


def test_a_failed_node_is_explained_and_only_it_is_run_again(home: World) -> None:
    flag = home.home / "flag"
    flag.touch()
    path = campaign(home, STUMBLE.replace("FLAG", str(flag)))
    home.facade("submit", path, "--engine", "htcondor", "--wait", code=1)
    report = home.json("stat", "u_1_r3p01")
    assert report["attempt"]["state"] == "failed" and report["quanta"] == {"succeeded": 1, "failed": 1}
    [failure] = report["failures"]
    assert (failure["keys"], failure["exit_code"], failure["class"]) == ({"n": "10"}, 7, "exec-failed")
    flag.unlink()
    home.facade("resume", "u_1_r3p01", "--wait")
    assert home.json("stat", "u_1_r3p01")["quanta"] == {"succeeded": 2}
    assert home.rows("select count(*) as runs from pfw_exec") == [{"runs": 3}]
    hosts = home.rows("select distinct batch_id ~ '^[0-9]+[.]0$' as told from pfw_job")
    assert hosts == [{"told": True}]


def test_held_jobs_are_told_released_and_an_attempt_on_the_pool_is_stopped(home: World) -> None:
    home.facade("submit", campaign(home, "c = 'sleep 60; echo hello > ${file.out.fullname}'"), "--engine", "htcondor")
    deadline = time.monotonic() + 60
    while not (report := home.json("stat", "u_1_r3p01"))["quanta"].get("running"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert report["queue"]["running"] >= 1 and report["queue"]["holds"] == {}
    assert "in HTCondor's queue: 0 idle" in home.facade("stat", "u_1_r3p01").stdout
    hold = ["condor_hold", "-constraint", "facade_job > 0", "-reason", "the disk is full"]
    subprocess.run(hold, env=home.env(), check=True, capture_output=True)
    while home.json("stat", "u_1_r3p01")["queue"]["held"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    shown = home.facade("stat", "u_1_r3p01").stdout
    assert "held, 2 jobs: the disk is full" in shown and "facade release u_1_r3p01" in shown
    assert "starts no more jobs" in home.facade("hold", "u_1_r3p01").stderr
    assert "2 of its jobs were held" in home.facade("release", "u_1_r3p01").stderr
    while (queue := home.json("stat", "u_1_r3p01")["queue"])["holds"] or not queue["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    home.facade("remove", "u_1_r3p01")
    assert home.json("stat", "u_1_r3p01")["attempt"]["state"] == "removed"
    assert subprocess.run(["condor_q", "-af", "ClusterId"], env=home.env(), capture_output=True).stdout == b""


def test_why_jobs_were_never_started_is_told_when_they_are_gone(home: World) -> None:
    """The Python that the site file names is not there; nobody but HTCondor can tell."""
    lines = ["python = /nowhere/python", "shared_filesystem = False", "<archive>", "<home>", "shared = True"]
    (home.home / "site.wcl").write_text("\n".join([*lines, "</home>", "</archive>", ""]))
    home.facade("submit", campaign(home, "c = 'echo hello > ${file.out.fullname}'"), "--engine", "htcondor")
    deadline = time.monotonic() + 60
    while home.json("stat", "u_1_r3p01")["queue"]["held"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    home.facade("remove", "u_1_r3p01")
    report = home.json("stat", "u_1_r3p01")
    assert report["attempt"]["state"] == "removed" and len(report["failures"]) == 2
    for failure in report["failures"]:
        assert failure["class"] == "evicted"
        assert "held" in failure["message"] and "/nowhere/python" in failure["message"], failure["message"]
        assert "removed on" in failure["message"]


def test_an_archive_that_jobs_cannot_reach_is_refused_before_anything_is_registered(home: World) -> None:
    (home.home / "site.wcl").write_text("shared_filesystem = False\n")
    path = campaign(home, "c = 'echo hello > ${file.out.fullname}'")
    told = home.facade("submit", path, "--engine", "htcondor", code=2).stderr
    assert "jobs cannot reach archive 'home'" in told and "shared = True" in told
    assert home.json("stat") == []


def test_without_htcondor_nothing_is_registered(home: World) -> None:
    bare = World(home.home, {"CONDOR_CONFIG": home.environment["CONDOR_CONFIG"]})
    path = campaign(home, "c = 'echo hello > ${file.out.fullname}'")
    told = bare.facade("submit", path, "--engine", "htcondor", code=1).stderr
    assert "condor_dagman is not on PATH\n  add the bin directory of HTCondor to PATH" in told
    assert home.json("stat") == []


def test_a_dag_taken_out_of_the_queue_is_noticed_and_carried_on(home: World) -> None:
    path = campaign(home, "c = 'test -e GO || sleep 60; echo hello > ${file.out.fullname}'".replace(
        "GO", str(home.home / "go")))  # fmt: skip
    home.facade("submit", path, "--engine", "htcondor")
    deadline = time.monotonic() + 60
    while not (report := home.json("stat", "u_1_r3p01"))["quanta"].get("running"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert report["carried_out_by"].startswith("HTCondor cluster")
    assert "being carried out" in home.facade("resume", "u_1_r3p01", code=4).stderr
    cluster = report["attempt"]["engine_job"]
    subprocess.run(["condor_rm", cluster], env=home.env(), check=True, capture_output=True)
    while home.json("stat", "u_1_r3p01")["attempt"]["state"] not in ("failed", "lost"):
        assert time.monotonic() < deadline + 60
        time.sleep(0.5)
    while subprocess.run(["condor_q", cluster, "-af", "ClusterId"], env=home.env(), capture_output=True).stdout:
        assert time.monotonic() < deadline + 60
        time.sleep(0.5)
    (home.home / "go").touch()
    home.facade("resume", "u_1_r3p01", "--wait")
    assert home.json("stat", "u_1_r3p01")["quanta"] == {"succeeded": 2}

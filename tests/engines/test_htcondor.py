"""The HTCondor engine with a real pool: runs, failures, resume, rescue by hand, removal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.kit import make_real, wait_for

from facade.engines.rundir import RunDirectory
from facade.needs import Allowance, Needs

if TYPE_CHECKING:
    from pool import CondorPool

CLIENT = Path(__file__).with_name("condor_client.py")
SECONDS = 90


def call(env: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CLIENT), *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def ask(pool: CondorPool, *arguments: object) -> Any:
    """Return the client's answer; nothing but JSON may be on its stdout."""
    done = call(pool.env, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wait_for_end(pool: CondorPool, run: RunDirectory) -> None:
    wait_for(lambda: ask(pool, "running", run.path) is None, SECONDS)


def tries(run: RunDirectory) -> dict[int, int]:
    return {job.jobnum: len(run.receipts(job.jobnum)) for job in run.jobs}


def finished(run: RunDirectory) -> list[str]:
    file = run.path / "finished"
    return file.read_text().splitlines() if file.exists() else []


def dagman_exit(run: RunDirectory) -> str:
    log = (run.path / "dag/facade.dag.dagman.log").read_text()
    return log.rpartition("(return value ")[2].partition(")")[0]


def test_one_failure_holds_up_nothing_else_and_resume_runs_what_is_missing(condor_pool: CondorPool, tmp_path: Path):
    mended, one = tmp_path / "mended", tmp_path / "one"
    table = {1: (0, ()), 2: (0, ()), 3: (1, ()), 4: (1, ())}
    scripts = {1: f"sleep 1; touch {one}", 3: f"test -e {mended}", 4: f"test -e {one}"}
    run = make_real(tmp_path, table, scripts)
    cluster = ask(condor_pool, "submit", run.path)
    assert ask(condor_pool, "running", run.path) == f"HTCondor cluster {cluster}"
    wait_for_end(condor_pool, run)
    assert tries(run) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert finished(run) == ['2 1 it\'s "one" $(word)'], "only 3 failed: 4 came after 1, which is of the block before"
    assert dagman_exit(run) == "1"
    assert ask(condor_pool, "status", cluster)["alive"] is False
    mended.touch()
    ask(condor_pool, "submit", run.path, 1, 2, 4)
    wait_for_end(condor_pool, run)
    assert tries(run) == {1: 1, 2: 1, 3: 2, 4: 1}
    assert finished(run)[1:] == ['0 0 it\'s "one" $(word)']
    assert dagman_exit(run) == "0"
    assert (tmp_path / "dag.01/facade.dag.rescue001").exists(), "out of the way, and kept"
    assert not list((tmp_path / "dag").glob("*.rescue*"))


def test_a_rescue_by_hand_goes_on_too(condor_pool: CondorPool, tmp_path: Path):
    mended = tmp_path / "mended"
    run = make_real(tmp_path, {1: (0, ()), 2: (0, ()), 3: (0, (2,))}, {2: f"test -e {mended}"})
    ask(condor_pool, "submit", run.path)
    wait_for_end(condor_pool, run)
    assert tries(run) == {1: 1, 2: 1, 3: 0}
    mended.touch()
    command = ["condor_submit_dag", "facade.dag"]
    subprocess.run(command, cwd=tmp_path / "dag", env=condor_pool.env, check=True, capture_output=True)
    assert ask(condor_pool, "running", run.path)
    wait_for_end(condor_pool, run)
    assert tries(run) == {1: 1, 2: 2, 3: 1}
    assert dagman_exit(run) == "0"


def test_only_what_the_surroundings_did_is_tried_again(condor_pool: CondorPool, tmp_path: Path):
    """1 loses its process once, 2 always, 3 fails, 4 is no capsule."""
    table = {n: (0, ()) for n in range(1, 5)}
    once = f"test -e {tmp_path}/once || {{ touch {tmp_path}/once; kill -9 $PPID; }}"
    run = make_real(tmp_path, table, {1: once, 2: "kill -9 $PPID", 3: "exit 75"}, {4: "no JSON"})
    cluster = ask(condor_pool, "submit", run.path)
    wait_for(lambda: ask(condor_pool, "status", cluster)["waiting"], SECONDS)
    wait_for_end(condor_pool, run)
    assert tries(run) == {1: 2, 2: 3, 3: 1, 4: 0}
    assert "is no capsule" in (tmp_path / "jobs/000/j000004.err").read_text()
    log = (tmp_path / "dag/facade.dag.nodes.log").read_text()
    assert log.count("return value 2)") == 1, "a bad capsule is not tried again"
    assert finished(run) == ['2 3 it\'s "one" $(word)']


def test_removal_ends_the_jobs_gently_and_leaves_a_run_that_can_be_resumed(condor_pool: CondorPool, tmp_path: Path):
    slow = f"test -e {tmp_path}/mended || {{ touch {tmp_path}/began; sleep 600; }}"
    run = make_real(tmp_path, {1: (0, ()), 2: (0, ())}, {1: slow})
    cluster = ask(condor_pool, "submit", run.path)
    wait_for((tmp_path / "began").exists, SECONDS)
    refused = call(condor_pool.env, "submit", run.path)
    assert f"RefusedError: run Ht0_r11p01 is being run by HTCondor cluster {cluster}" in refused.stderr
    wait_for(lambda: ask(condor_pool, "status", cluster)["running"] == 1, SECONDS)
    assert ask(condor_pool, "status", cluster)["dagman"] == "running"
    assert ask(condor_pool, "remove", cluster) is True
    wait_for_end(condor_pool, run)
    assert finished(run)[0].startswith("4 ")
    last = json.loads(run.receipts(1)[0].read_text().splitlines()[-1])
    assert (last["kind"], last["state"]) == ("job-ended", "failed")
    assert ask(condor_pool, "remove", cluster) is False
    (tmp_path / "mended").touch()
    ask(condor_pool, "submit", run.path, 2)
    wait_for_end(condor_pool, run)
    assert tries(run) == {1: 2, 2: 1}
    assert dagman_exit(run) == "0"


def test_a_held_run_starts_nothing_until_it_is_released(condor_pool: CondorPool, tmp_path: Path):
    run = make_real(tmp_path, {1: (0, ()), 2: (0, (1,))}, {1: "sleep 1"})
    cluster = ask(condor_pool, "submit", run.path)
    wait_for(lambda: run.receipts(1), SECONDS)
    ask(condor_pool, "hold", cluster)
    wait_for(lambda: not ask(condor_pool, "status", cluster)["running"], SECONDS)
    time.sleep(3)
    assert tries(run) == {1: 1, 2: 0}
    ask(condor_pool, "release", cluster)
    wait_for_end(condor_pool, run)
    assert tries(run) == {1: 1, 2: 1}
    assert f"DAGMan {cluster} did not halt: Job not in queue" in call(condor_pool.env, "hold", cluster).stderr


def test_a_thousand_jobs_pass_the_checker(condor_pool: CondorPool, tmp_path: Path):
    from facade.engines import dag
    from facade.engines.descriptions import Hosts, Options

    table = {n: (n // 300, (n - 1, n - 2) if n % 300 > 1 else ()) for n in range(1000)}
    run = make_real(tmp_path, table, {})
    hosts, finish = Hosts(python="/p", environment={}), ["/bin/true"]
    text = dag.lines(run, done={3}, environment={}, hosts=hosts, finish_argv=finish, options=Options())
    (tmp_path / "facade.dag").write_text("\n".join(text) + "\n")
    command = ["condor_dag_checker", tmp_path / "facade.dag"]
    checked = subprocess.run(command, env=condor_pool.env, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_bad_surrounding_is_told_with_a_remedy(condor_pool: CondorPool, tmp_path: Path):
    run = make_real(tmp_path, {1: (0, ())}, {})
    bare = {key: value for key, value in condor_pool.env.items() if key != "CONDOR_CONFIG"}
    if not Path("/etc/condor/condor_config").exists():
        told = call(bare | {"HOME": str(tmp_path)}, "submit", run.path)
        assert told.stderr.startswith(
            "FacadeError: HTCondor is not set up here: CONDOR_CONFIG is not set\n  set CONDOR"
        )
    nobody = tmp_path / "condor_config"
    nobody.write_text(f"COLLECTOR_HOST = 127.0.0.1:1\nLOCAL_DIR = {tmp_path}\n")
    told = call(condor_pool.env | {"CONDOR_CONFIG": str(nobody)}, "status", "1")
    assert told.returncode == 1
    assert "no schedd can be reached" in told.stderr
    told = call(condor_pool.env | {"PATH": os.defpath}, "submit", run.path)
    assert "condor_dagman is not on PATH" in told.stderr
    told = call(condor_pool.env, "status", "twelve")
    assert "InputError: 'twelve' is no cluster" in told.stderr
    assert ask(condor_pool, "status", 99999)["dagman"] == "gone"


def test_what_jobs_need_reaches_the_queue(condor_pool: CondorPool, tmp_path: Path):
    """1 and 2 share a throttle of one, 3 is urgent, 4 runs for longer than it may, 5 asks for nothing."""
    slow = f"echo start $PPID >> {tmp_path}/io; sleep 2; echo end $PPID >> {tmp_path}/io"
    needs = {
        1: Needs(memory=80, disk=50, category="io", limits=(("tape", 2), ("db", 1))),
        2: Needs(memory=72, category="io"),
        3: Needs(cpus=1, priority=12, requirements="TARGET.Cpus > 0"),
        4: Needs(walltime=1),
    }
    table = {n: (0, ()) for n in range(1, 6)}
    run = make_real(tmp_path, table, {1: slow, 2: slow, 4: "sleep 300"}, needs=needs, max_jobs={"io": 1})
    cluster = ask(condor_pool, "submit", run.path)
    wait_for_end(condor_pool, run)
    lines = (tmp_path / "io").read_text().split()[::2]
    assert lines == ["start", "end", "start", "end"], "one of the category at a time"
    log = (tmp_path / "dag/facade.dag.dagman.out").read_text()
    assert log.index("Submitting HTCondor Node j000003") < log.index("Submitting HTCondor Node j000005")
    assert finished(run) == ['2 1 it\'s "one" $(word)'], "only 4 failed"
    ads = history(condor_pool, cluster)
    # the client asks for 64 MB of memory and 10 of disk where jobs say nothing
    assert {n: (ad["RequestMemory"], ad["RequestDisk"], ad["JobPrio"]) for n, ad in ads.items()} == {
        1: (80, 50 << 10, 0), 2: (72, 10 << 10, 0), 3: (64, 10 << 10, 12), 4: (64, 10 << 10, 0), 5: (64, 10 << 10, 0),
    }  # fmt: skip
    assert ads[1]["ConcurrencyLimits"].lower() == "db,tape:2"
    assert "facade_walltime" in ads[4]["RemoveReason"] or "PeriodicRemove" in ads[4]["RemoveReason"]
    assert [n for n, ad in ads.items() if "ConcurrencyLimits" in ad] == [1]


def history(pool: CondorPool, cluster: str) -> dict[int, dict[str, Any]]:
    """Return what HTCondor remembers of the jobs of a DAGMan, by number."""
    command = ["condor_history", "-json", "-constraint", f"DAGManJobId == {cluster} && facade_job =!= undefined"]
    done = subprocess.run(command, env=pool.env, capture_output=True, text=True, check=True)
    return {int(ad["facade_job"]): ad for ad in sorted(json.loads(done.stdout), key=lambda ad: int(ad["facade_job"]))}


def test_a_job_that_runs_out_of_memory_gets_more_and_keeps_it(condor_pool: CondorPool, tmp_path: Path):
    """128 MB, 256, 512: the third is enough; in between it is killed once, which is no reason for more."""
    greedy = "data = bytearray(300 << 20); import time; time.sleep(1.2)"
    script = f"test $(ls {tmp_path}/jobs/000/*.receipt.* | wc -l) != 2 || kill -9 $PPID; {sys.executable} -c '{greedy}'"
    grows = {"memory": 128, "growth": 2.0}
    run = make_real(tmp_path, {1: (0, ())}, {1: script}, needs={1: Needs(**grows)}, allowance=Allowance(**grows))
    cluster = ask(condor_pool, "submit", run.path)
    wait_for_end(condor_pool, run)
    assert finished(run) == ['0 0 it\'s "one" $(word)']
    runs = [json.loads(path.read_text().splitlines()[0]) for path in run.receipts(1)]
    assert [line["memory"] for line in runs] == [128, 256, 256, 512]
    assert history(condor_pool, cluster)[1]["LastHoldReasonSubCode"] == 77

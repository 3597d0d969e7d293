"""Jobs that do not see the run directory: HTCondor brings the capsule, the receipt is written on the submit host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engines.kit import make_real, wait_for
from engines.test_htcondor import SECONDS, ask, finished, tries, wait_for_end

from facade import engines
from facade.errors import RefusedError

if TYPE_CHECKING:
    from pool import CondorPool


def test_a_run_whose_directory_no_job_sees(condor_pool: CondorPool, tmp_path: Path):
    """2 is killed once and tried again; 3 fails; what they write lies where the capsules do."""
    passwords = tmp_path / "passwd"
    passwords.write_text("*:*:*:me:secret\n")
    passwords.chmod(0o600)
    once = f"test -e {tmp_path}/once || {{ touch {tmp_path}/once; kill -9 $PPID; }}"
    scripts = {1: f"pwd > {tmp_path}/where; stat -c %a ../passwd > {tmp_path}/mode", 2: once, 3: "exit 3"}
    run = make_real(tmp_path, {1: (0, ()), 2: (0, (1,)), 3: (0, (1,))}, scripts)
    cluster = ask(condor_pool, "remote", run.path)
    wait_for_end(condor_pool, run)
    assert finished(run) == ['2 1 it\'s "one" $(word)'], (tmp_path / "jobs/000/j000001.err").read_text()
    assert tries(run) == {1: 1, 2: 2, 3: 1}
    assert "/execute/" in (tmp_path / "where").read_text()
    assert (tmp_path / "mode").read_text().strip() == "600"
    for job in (1, 2):
        lines = [json.loads(line) for line in run.receipts(job)[-1].read_text().splitlines()]
        assert (lines[-1]["kind"], lines[-1]["state"]) == ("job-ended", "succeeded")
        assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
        assert lines[0]["batch_id"] and lines[0]["slot"]
    assert not list(tmp_path.glob("jobs/000/*.lock"))
    text = "".join(path.read_text() for path in (tmp_path / "dag").iterdir())
    assert cluster and "secret" not in text


def test_what_a_job_wrote_is_at_home_when_it_is_removed(condor_pool: CondorPool, tmp_path: Path):
    (tmp_path / "passwd").touch()
    run = make_real(tmp_path, {1: (0, ())}, {1: f"touch {tmp_path}/began; sleep 600"})
    cluster = ask(condor_pool, "remote", run.path)
    wait_for((tmp_path / "began").exists, SECONDS)
    assert json.loads(run.receipts(1)[0].read_text().splitlines()[0])["kind"] == "job-started"
    assert ask(condor_pool, "remove", cluster) is True
    wait_for_end(condor_pool, run)
    last = json.loads(run.receipts(1)[0].read_text().splitlines()[-1])
    assert (last["kind"], last["failure"]["class"]) == ("job-ended", "evicted")


def test_an_engine_without_a_queue_says_what_to_do_instead():
    for verb in (engines.hold, engines.release):
        with pytest.raises(RefusedError, match="engine local has no queue") as told:
            verb("local", "")
        assert "facade remove" in told.value.remedy

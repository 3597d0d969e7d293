"""What is done when nobody carries an attempt out any more: the registry is told all, and what is of no use goes."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

from database import Receipt, checksum, submit

from facade import leftovers
from facade.engines.rundir import EngineJob, RunDirectory
from facade.registry import Registry
from facade.run import read_receipts
from facade.states import State


def on_disk(run: Path, receipt: Receipt, number: int) -> None:
    lines = "".join(json.dumps(line) + "\n" for line in receipt.lines)
    (run / f"jobs/000/j000001.receipt.{number:02d}.jsonl").write_text(lines)


def test_what_a_killed_job_did_not_tell_is_told_though_its_second_run_succeeded(
    registry: Registry, tmp_path: Path
) -> None:
    registry.ensure_metadata_tables({})
    ids = submit(registry, quanta=1)
    (tmp_path / "jobs/000").mkdir(parents=True)
    run = RunDirectory(tmp_path, "u_r1p01", ids.attempt_id, ("coadd",), (EngineJob(1, 0, ()),))
    killed = Receipt(ids).started().add("quantum-state", quantum=ids.quanta[1], state="staging")
    made = [{"filename": "a.fits", "compression": "", "filetype": "x", "size": 1, "checksum": checksum("a"),
             "execnum": None, "metadata": {}, "metadata_table": ""}]  # fmt: skip
    killed.add("outputs", quantum=ids.quanta[1], files=made, derived=[])
    killed.add("quantum-ended", quantum=ids.quanta[1], state="succeeded", failure=None)
    on_disk(tmp_path, killed, 1)
    again = Receipt(ids, run=2).started().ended()
    on_disk(tmp_path, again, 2)
    registry.report(again.id, again.lines)
    assert registry.job_states(ids.attempt_id) == {1: State.SUCCEEDED}
    assert registry.quantum_states(ids.attempt_id) == {1: State.PLANNED}
    read_receipts(registry, run)
    assert registry.quantum_states(ids.attempt_id) == {1: State.SUCCEEDED}
    assert ("a.fits", "") in registry.lookup([("a.fits", "")])
    assert registry.job_states(ids.attempt_id) == {1: State.SUCCEEDED}


def littered(tmp_path: Path) -> RunDirectory:
    """A run whose jobs 1 and 2 write into red/, and job 3 into blue/; job 1 and 3 have succeeded."""
    archive, run = tmp_path / "archive", tmp_path / "run"
    (run / "jobs/000").mkdir(parents=True)
    for number, folder in ((1, "red"), (2, "red"), (3, "blue")):
        (archive / folder).mkdir(parents=True, exist_ok=True)
        (archive / folder / f".{number}.fits.part-0123456789ab").touch()
        (archive / folder / f"{number}.fits").touch()
        (run / f"work/u_r1p01_j{number:06d}_t01").mkdir(parents=True)
        state = "failed" if number == 2 else "succeeded"
        line = json.dumps({"kind": "job-ended", "state": state, "failure": None})
        (run / f"jobs/000/j{number:06d}.receipt.01.jsonl").write_text(line + "\n")
    for draft in (".run.json.4711", ".plan.json.part", "jobs/000/.capsules.jsonl.part"):
        (run / draft).touch()
    capsules = [
        {"jobnum": number, "archive": {"name": "home", "root": str(archive), "options": {}},
         "quanta": [{"log": {"archive_path": "log"}, "outputs": [{"archive_path": folder}],
                     "inputs": [{"archive_path": "blue"}]}]}
        for number, folder in ((1, "red"), (2, "red"), (3, "blue"))
    ]  # fmt: skip
    lines = [json.dumps(one) + "\n" for one in capsules]
    starts = [sum(map(len, lines[:n])) for n in range(3)]
    head = {"format": 2, "common": None, "jobs": [1, 2, 3], "starts": starts}
    (run / "jobs/000/capsules.jsonl").write_text("".join([json.dumps(head) + "\n", *lines]))
    jobs = tuple(EngineJob(number, 0, ()) for number in (1, 2, 3))
    return RunDirectory(run, "u_r1p01", 1, ("one",), jobs)


def test_what_killed_jobs_left_goes_and_nothing_else(tmp_path: Path) -> None:
    run = littered(tmp_path)
    leftovers.clear(run, [1, 2])
    there = {
        str(path.relative_to(tmp_path / "archive")) for path in (tmp_path / "archive").rglob("*") if path.is_file()
    }
    assert there == {"red/1.fits", "red/2.fits", "blue/3.fits", "blue/.3.fits.part-0123456789ab"}
    assert [path.name for path in (run.path / "work").iterdir()] == [
        "u_r1p01_j000002_t01"
    ]  # for who looks why it failed
    assert not [path for path in run.path.rglob(".*")]


def test_while_somebody_runs_a_job_by_hand_nothing_is_taken_away(tmp_path: Path) -> None:
    run = littered(tmp_path)
    with open(run.stem(2).with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert leftovers.clear(run, [1, 2]) == []
    assert len(leftovers.clear(run, [1, 2])) == 2 + 2 + 3


def test_an_archive_that_is_away_is_no_reason_to_fail(tmp_path: Path) -> None:
    run = littered(tmp_path)
    (tmp_path / "archive").rename(tmp_path / "away")
    assert len(leftovers.clear(run, [1, 2])) == 2 + 3

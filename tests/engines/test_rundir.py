"""The run directory: what engines know of a run, and the faults they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engines.kit import DIAMOND, make_run

from facade.engines.rundir import EngineJob, RunDirectory
from facade.errors import InputError


def test_it_is_read_back_as_it_was_written(tmp_path: Path):
    run = make_run(tmp_path, DIAMOND)
    assert RunDirectory.read(tmp_path) == run
    waiting = replace(run, later=("coadd",))
    waiting.write()
    assert RunDirectory.read(tmp_path) == waiting
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize(("jobnum", "capsule", "stem"), [
    (1, "jobs/000/capsules.jsonl#1", "jobs/000/j000001"), (999, "jobs/000/capsules.jsonl#999", "jobs/000/j000999"),
    (1000, "jobs/001/capsules.jsonl#1000", "jobs/001/j001000"),
    (1234567, "jobs/1234/capsules.jsonl#1234567", "jobs/1234/j1234567"),
])  # fmt: skip
def test_a_thousand_jobs_share_a_folder_and_a_file_of_capsules(tmp_path: Path, jobnum: int, capsule: str, stem: str):
    run = RunDirectory(tmp_path, "x", 1, (), ())
    assert (run.capsule(jobnum), run.stem(jobnum)) == (tmp_path / capsule, tmp_path / stem)


def test_receipts_come_in_the_order_of_runs(tmp_path: Path):
    run = make_run(tmp_path, {1: (0, ()), 11: (0, ())})
    for name in ("j000001.receipt.100", "j000001.receipt.09", "j000001.receipt.10", "j000011.receipt.01"):
        (tmp_path / f"jobs/000/{name}.jsonl").touch()
    (tmp_path / "jobs/000/j000001.receipt.01.jsonl.part").touch()
    assert [path.name[16:-6] for path in run.receipts(1)] == ["09", "10", "100"]


@pytest.mark.parametrize(("text", "says"), [
    (None, "is no run directory: run.json: No such file"), ("", "is damaged"), ("[]", "is damaged"),
    ('{"format": 1}', "has format 1"), ('{"format": 2, "name": "x"}', "damaged: KeyError: 'jobs'"),
    ('{"format":2,"name":"x","attempt_id":1,"blocks":["b"],"jobs":[[1,0,[]]]}', "damaged: ValueError"),
])  # fmt: skip
def test_a_bad_one_is_told_with_a_remedy(tmp_path: Path, text: str | None, says: str):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=says) as raised:
        RunDirectory.read(tmp_path)
    assert "facade resume" in raised.value.remedy


@pytest.mark.parametrize(("jobs", "says"), [
    ([(1, 0, ()), (1, 0, ())], "two jobs have one number"), ([(1, 2, ())], "job 1 is in block number 2"),
    ([(1, 0, (7,))], "job 1 waits for 7"), ([(1, 0, ()), (2, 1, (1,))], "job 2 waits for 1"),
    ([(1, 0, (1,))], "job 1 waits for 1"),
])  # fmt: skip
def test_what_no_engine_could_run_is_refused(tmp_path: Path, jobs: list[tuple[int, int, tuple[int, ...]]], says: str):
    made = tuple(EngineJob(n, block, parents) for n, block, parents in jobs)
    with pytest.raises(InputError, match=says):
        RunDirectory(tmp_path, "x", 1, ("a", "b"), made)

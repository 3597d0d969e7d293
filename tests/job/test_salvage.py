"""The logs of runs that were killed, or could not store them, are kept by the next run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from job.house import House


def cut(house: House, before: str) -> None:
    """Have the first receipt end as if the job had been killed before a line of that kind."""
    path = house.jobs / "j000007.receipt.01.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: house.kinds().index(before)]))


def stored(house: House, run: int) -> list[Any]:
    lines = map(json.loads, (house.jobs / f"j000007.receipt.{run:02d}.jsonl").read_text().splitlines())
    return [entry for line in lines if line["kind"] == "stored" for entry in line["files"]]


def test_a_log_that_was_stored_and_not_told_is_told(house: House) -> None:
    house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
    assert house.run() == 0
    cut(house, "stored")
    assert house.run() == 0
    assert stored(house, 2)[0] == ["Ht0_r11p01_step_w00001.log", "", "log/step"]
    assert house.kinds(2)[:3] == ["job-started", "outputs", "stored"]  # the registry may hear of run 2 first
    assert house.run() == 0 and stored(house, 3) == []


def test_the_log_of_a_run_that_was_killed_while_its_program_ran_is_kept(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = house.root / "trial"
    code = f"import os, sys; print('so far'); os.path.exists({str(trial)!r}) or sys.exit(3); open('out/a.txt', 'x')"
    house.add(house.python(code), outputs=[house.output("a.txt", optional=True)])
    assert house.run() == 1
    (house.archive / "log/step/Ht0_r11p01_step_w00001.log").unlink()
    cut(house, "exec")
    trial.touch()
    assert house.run() == 0
    assert "so far" in house.log()
    assert "kept the logs of earlier runs: Ht0_r11p01_step_w00001.log" in capsys.readouterr().err
    assert house.lines(2)[1]["files"][0]["filetype"] == "log"


def test_an_archive_that_takes_no_log_at_the_beginning_gets_it_at_the_end(house: House) -> None:
    back, trial = house.root / "away", house.root / "trial"
    code = f"import os; os.path.exists({str(trial)!r}) and os.rename({str(back)!r}, {str(house.archive)!r})"
    house.add(house.python(code))
    house.archive.rename(back)
    assert house.run() == 75
    trial.touch()
    assert house.run() == 0
    assert [name for name, *_ in stored(house, 2)] == [
        "Ht0_r11p01_step_w00001_t2.log", "Ht0_r11p01_step_w00001.log",
    ]  # fmt: skip
    assert "transfer" in house.log()

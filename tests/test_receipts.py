"""Receipts that are brought home: from any number of hosts, torn, copied, damaged, with anything in them."""

from __future__ import annotations

import json
from pathlib import Path

from database import FILETYPES, Receipt, checksum, submit

from facade import receipts
from facade.registry.face import Registry
from facade.states import State

pytest_plugins = ["database"]


def write(folder: Path, receipt: Receipt, *, torn: str = "") -> Path:
    """Write a receipt as a job does; *torn* is half a line after its last."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"j{receipt.jobnum:06}.receipt.{receipt.run:02}.jsonl"
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in receipt.lines)
    path.write_bytes((text + torn).encode("utf-8", "backslashreplace"))
    return path


def told(registry: Registry, place: Path) -> receipts.Told:
    return receipts.tell(registry, receipts.found([place]))


def test_all_is_told_once(registry: Registry, tmp_path: Path) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry, quanta=40, jobs=20)
    for jobnum in ids.jobs:
        job = Receipt(ids, jobnum).started().quantum(jobnum).quantum(jobnum + 20).ended()
        write(tmp_path / f"host{jobnum % 3}", job)
    first = told(registry, tmp_path)
    assert (first.receipts, first.faults, list(first.attempts)) == (20, [], [ids.attempt_id])
    assert first.new == first.lines
    assert set(registry.quantum_states(ids.attempt_id).values()) == {State.SUCCEEDED}
    again = told(registry, tmp_path)
    assert (again.receipts, again.new) == (20, 0)


def test_runs_of_a_job_are_told_in_order_wherever_they_lie(registry: Registry, tmp_path: Path) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry)
    died = Receipt(ids).started().quantum(1, content="first")
    del died.lines[-2:]
    write(tmp_path / "z", died, torn='{"seq": 8, "ki')
    write(tmp_path / "a", Receipt(ids, run=2).started().quantum(1, content="second").ended())
    assert told(registry, tmp_path).faults == []
    assert registry.lookup([("calexp-1.fits", "")])[("calexp-1.fits", "")]["checksum"] == checksum("second")


def test_of_copies_the_longest_counts(registry: Registry, tmp_path: Path) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry)
    whole = Receipt(ids).started().quantum(1).quantum(2).ended()
    write(tmp_path / "a", whole)
    part = Receipt(ids)
    part.id, part.lines = whole.id, whole.lines[:5]
    write(tmp_path / "b", part)
    assert told(registry, tmp_path).faults == []
    assert registry.job_states(ids.attempt_id)[1] is State.SUCCEEDED


def test_what_is_damaged_is_told_and_the_others_go_in(registry: Registry, tmp_path: Path) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    ids = submit(registry, quanta=3, jobs=3)
    write(tmp_path, Receipt(ids, 1).started().quantum(1).ended())
    damaged = write(tmp_path, Receipt(ids, 2).started().quantum(2).ended())
    damaged.write_text(damaged.read_text().replace('"kind": "exec"', '"kind": exec'))
    write(tmp_path, Receipt(ids, 3).started().quantum(3).ended())
    found = told(registry, tmp_path)
    assert found.receipts == 2
    (fault,) = found.faults
    assert "j000002.receipt.01.jsonl:4: not a line of a receipt" in fault
    states = registry.job_states(ids.attempt_id)
    assert [states[n] for n in (1, 2, 3)] == [State.SUCCEEDED, State.PLANNED, State.SUCCEEDED]


def test_what_programs_print_does_not_matter(registry: Registry, tmp_path: Path) -> None:
    ids = submit(registry)
    write(tmp_path, Receipt(ids).started().failed(1, "exit \0 3 \udcff \x1b[31m 🔭").ended("failed"))
    assert told(registry, tmp_path).faults == []
    (failure,) = registry.overview(ids.attempt_id).failures
    assert failure.message == "exit \ufffd 3 ? \x1b[31m 🔭"


def test_a_job_that_died_before_its_first_line_has_nothing_to_tell(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "j000001.receipt.01.jsonl").write_text('{"seq": 1, "kind": "job-st')
    (tmp_path / "j000002.receipt.01.jsonl").write_text('{"seq": 1, "kind": "exec"}\n')
    found = told(registry, tmp_path)
    assert found.receipts == 0
    assert [fault.rpartition(": ")[2] for fault in found.faults] == ["this receipt does not begin with job-started"]

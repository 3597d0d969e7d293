"""Receipts, versions, reports: the parts of a job by themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from facade.errors import InputError
from facade.job import execute, receipt, surroundings
from facade.job.stop import Stop


def test_receipts_count_up_and_lines_are_numbered(tmp_path: Path) -> None:
    first = receipt.Receipt.create(tmp_path, "j000001")
    second = receipt.Receipt.create(tmp_path, "j000001")
    assert (first.run, second.run) == (1, 2)
    first.write({"kind": "job-started", "text": "é \udcff\n"})
    first.write({"kind": "quantum-state"}, {"kind": "job-ended"})
    first.close()
    lines = list(receipt.read(first.path))
    assert [(line["seq"], line["kind"]) for line in lines] == [
        (1, "job-started"),
        (2, "quantum-state"),
        (3, "job-ended"),
    ]
    assert lines[0]["at"].endswith("+00:00")
    second.close()


def test_lines_that_must_not_be_lost_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    journal = receipt.Receipt.create(tmp_path, "j")
    monkeypatch.setattr(os, "fsync", synced.append)
    journal.write({"kind": "quantum-state"})
    journal.write({"kind": "exec"})
    assert synced == []
    journal.write({"kind": "outputs"})
    assert len(synced) == 1
    journal.close()


@pytest.mark.parametrize("end", [b'{"seq": 2, "ki', b'{"seq": 2, "ki\n', b"\n", b""])
def test_a_torn_last_line_is_left_out(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "j.receipt.01.jsonl"
    path.write_bytes(b'{"seq": 1, "kind": "job-started"}\n' + end)
    assert [line["seq"] for line in receipt.read(path)] == [1]


def test_a_broken_line_in_the_middle_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "j.receipt.01.jsonl"
    path.write_bytes(b'{"seq": 1, "ki\n{"seq": 2, "kind": "x"}\n')
    with pytest.raises(InputError, match=r"j\.receipt\.01\.jsonl:1: "):
        list(receipt.read(path))


@pytest.mark.parametrize(
    ("code", "version"),
    [("print(); print(' v1.2 ')", "v1.2"), ("import sys; sys.exit('no such option')", "")],
)
def test_the_version_is_the_first_line_of_a_program_that_knows_it(tmp_path: Path, code: str, version: str) -> None:
    assert execute.version(["python3", "-c", code], cwd=tmp_path, env=os.environ) == version


def test_programs_that_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "noexec").write_text("x")
    (tmp_path / "nobang").write_text("echo hello\n")
    (tmp_path / "nobang").chmod(0o755)
    (tmp_path / "badbang").write_text("#!/no/such/interpreter\n")
    (tmp_path / "badbang").chmod(0o755)
    ended = {
        name: execute.run([f"./{name}"], cwd=tmp_path, env={}, log=2, stop=Stop())
        for name in ("noexec", "nobang", "badbang", "nothing")
    }
    assert {name: end.exit_code for name, end in ended.items()} == {
        "noexec": 126, "nobang": 126, "badbang": 127, "nothing": 127,
    }  # fmt: skip
    assert "#! line" in ended["nobang"].problem and "interpreter" in ended["badbang"].problem


def test_the_batch_system_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ad = tmp_path / ".job.ad"
    ad.write_text('Owner = "x"\nClusterId = 12\nProcId = 0\n')
    assert surroundings.batch_id() == ""
    monkeypatch.setenv("_CONDOR_JOB_AD", str(ad))
    monkeypatch.setenv("_CONDOR_SCRATCH_DIR", str(tmp_path))
    assert surroundings.batch_id() == "12.0"
    assert surroundings.workspace(Path("/run/j.json"), None) == tmp_path

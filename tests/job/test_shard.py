"""Shards: what a job reads of them is what the plan says of it, and nothing of its neighbours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from campaigns import demo_plan
from job.house import House, chain

from facade.errors import InputError
from facade.job import capsule as capsules
from facade.job.capsule import full
from facade.job.runner import run_job
from facade.plan import Plan, Quantum
from facade.plan.capsule import Cutter, Surroundings, Tasks, shard

SIZE = 10


@pytest.fixture(scope="module")
def found() -> Plan:
    return demo_plan()


@pytest.fixture
def run(found: Plan, tmp_path: Path) -> Path:
    """The capsules of the demonstration, ten to a shard."""
    tasks = Tasks(
        attempt_id=3,
        attempt=4,
        blocks=tuple(range(5, 5 + len(found.blocks))),
        jobs={job.jobnum: 100 + job.jobnum for job in found.jobs},
        quanta={quantum.wrapnum: 1000 + quantum.wrapnum for quantum in found.quanta},
    )
    around = Surroundings(name="Ht0_r11p07", attnum=7, archive="home", archive_root="/a", environment={"PATH": "/bin"})
    cutter = Cutter(found, tasks, around)
    (tmp_path / "common.json").write_bytes(cutter.common())
    for number, text in cutter.shards(SIZE, "../../common.json"):
        folder = tmp_path / f"jobs/{number:03}"
        folder.mkdir(parents=True)
        (folder / "capsules.jsonl").write_bytes(text)
    return tmp_path


def name(run: Path, jobnum: int) -> Path:
    return run / f"jobs/{jobnum // SIZE:03}/capsules.jsonl#{jobnum}"


def test_a_job_reads_what_the_plan_says_of_it(found: Plan, run: Path) -> None:
    bound = found.bind(7)
    for job in bound.jobs:
        told = capsules.read(name(run, job.jobnum))
        assert (told.jobnum, told.task_id, told.keys) == (job.jobnum, 100 + job.jobnum, job.keys)
        assert (told.attempt, told.attempt_id, told.identity) == ("Ht0_r11p07", 3, bound.identity)
        assert told.stem == f"j{job.jobnum:06}"
        assert told.environment == {"PATH": "/bin", **bound.environment}
        makers = {bound.files[use.file].producer for n in job.quanta for use in bound.quantum(n).inputs}
        assert told.parents == tuple(sorted({bound.job_of[n] for n in makers if n > 0} - {job.jobnum}))
        assert [quantum.wrapnum for quantum in told.quanta] == list(job.quanta)
        for quantum in told.quanta:
            same(bound, bound.quantum(quantum.wrapnum), quantum)


def same(bound: Plan, wanted: Quantum, told: capsules.Quantum) -> None:
    """Say that a job is told of a quantum what the plan says."""
    assert told.task_id == 1000 + wanted.wrapnum
    assert (told.module, told.wrapper) == (wanted.module, bound.wrappers[wanted.module])
    assert [*told.keys.items()] == [*wanted.keys.items()], "in the order of the loop"
    assert told.parameters == wanted.parameters
    assert (told.log_name, told.log_archive_path) == (wanted.log, wanted.log_path)
    for use, file in zip((*wanted.inputs, *wanted.outputs), (*told.inputs, *told.outputs), strict=True):
        planned = bound.files[use.file]
        assert (full(file.name), file.path, file.filetype) == (planned.name, use.path, planned.filetype)
        assert (file.archive_path, file.metadata) == (planned.archive_path, planned.metadata)
    for use, read in zip(wanted.inputs, told.inputs, strict=True):
        planned = bound.files[use.file]
        assert (read.section, read.rename) == (use.section, use.rename)
        assert (read.size, read.checksum) == (planned.size, planned.checksum)
        assert read.producer == (bound.job_of[planned.producer] if planned.producer > 0 else None)
    for use, made in zip(wanted.outputs, told.outputs, strict=True):
        assert (made.optional, made.save) == (bound.files[use.file].optional, bound.files[use.file].save)
    assert [(full(one.name), one.content) for one in told.lists] == [
        (bound.files[one.file].name, one.content) for one in wanted.lists
    ]
    for planned_exec, exec_ in zip(wanted.execs, told.execs, strict=True):
        assert (exec_.execnum, exec_.argv, exec_.version_flag) == (*planned_exec[:2], planned_exec.version_flag)
        assert exec_.used == tuple(bound.files[i].name for i in planned_exec.used)
        assert exec_.generated == tuple(bound.files[i].name for i in planned_exec.generated)
        assert exec_.derived == tuple((bound.files[c].name, bound.files[p].name) for c, p in planned_exec.derived)


def test_what_a_module_has_in_common_is_written_once(found: Plan, run: Path) -> None:
    shards = "".join(path.read_text() for path in sorted(run.rglob("*.jsonl")))
    common = (run / "common.json").read_text()
    shared = [(q.parameters, q.log_path) for q in found.quanta if q.parameters]
    assert shared
    for parameters, log_path in shared:
        for text in (json.dumps(dict(parameters), separators=(",", ":")), log_path.replace("${attnum:2}", "07")):
            assert text in common
            assert text not in shards
    assert "${attnum" not in shards + common


def test_a_job_reads_its_own_line_only(run: Path) -> None:
    file = run / "jobs/001/capsules.jsonl"
    head, *lines = file.read_bytes().split(b"\n")
    before = capsules.read(name(run, 13))
    spoilt = [line if json.loads(line)["jobnum"] == 13 else b"x" * len(line) for line in lines[:-1]]
    file.write_bytes(b"\n".join([head, *spoilt, b""]))
    assert capsules.read(name(run, 13)) == before
    with pytest.raises(InputError, match=r"capsules.jsonl#12 is no capsule: it is not JSON"):
        capsules.read(name(run, 12))


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda run: None, r"jobs/001/capsules.jsonl holds no job 99, but 10 to 19"),
    (lambda run: (run / "jobs/001/capsules.jsonl").unlink(), r"cannot read capsule .*#99: .*capsules.jsonl: No such"),
    (lambda run: (run / "jobs/001/capsules.jsonl").write_text(""), "is no capsule: it is not JSON"),
    (lambda run: (run / "jobs/001/capsules.jsonl").write_text("[]\n"), "is damaged: TypeError"),
    (lambda run: (run / "jobs/001/capsules.jsonl").write_text('{"format": 9}\n'), "has format 9"),
])  # fmt: skip
def test_what_is_no_shard_is_an_input_error(run: Path, spoil: object, message: str) -> None:
    spoil(run)  # type: ignore[operator]
    with pytest.raises(InputError, match=message):
        capsules.read(run / "jobs/001/capsules.jsonl#99")


@pytest.mark.parametrize(("common", "message"), [
    ('{"columns": {"file": []}, "blocks": [{}, {}, {}]}', "#13 is damaged: ValueError"),
    (None, r"cannot read capsule .*#13: .*common.json: No such file"), ("{}", "#13 is damaged: KeyError: 'columns'"),
])  # fmt: skip
def test_a_shard_without_its_common_part_is_told(run: Path, common: str | None, message: str) -> None:
    (run / "common.json").unlink()
    if common is not None:
        (run / "common.json").write_text(common)
    with pytest.raises(InputError, match=message):
        capsules.read(name(run, 13))


def test_jobs_of_one_shard_have_receipts_and_locks_of_their_own(house: House) -> None:
    chain(house)
    text = house.write().read_bytes()
    house.capsule.unlink()
    (house.jobs / "capsules.jsonl").write_bytes(shard([6, 7], [b"{}", text], None))
    assert run_job(house.jobs / "capsules.jsonl#7", workdir=house.root / "work") == 0
    assert run_job(house.jobs / "capsules.jsonl#6", workdir=house.root / "work") == 2, "another line, no capsule"
    assert sorted(path.name for path in house.jobs.iterdir()) == [
        "capsules.jsonl", "j000007.lock", "j000007.receipt.01.jsonl",
    ]  # fmt: skip
    assert [line["state"] for line in house.lines() if line["kind"] == "quantum-ended"] == ["succeeded", "succeeded"]

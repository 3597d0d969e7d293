"""The database is down for as long as every job runs; receipts tell it all afterwards, as often as one likes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from e2e.world import World

FILES = """
select replace(d.filename, 'p%(attnum)02d', 'pNN') as filename, d.compression, d.filetype, d.filesize,
       case d.filetype when 'list' then 'names the attempt' else d.checksum end as checksum,
       f.path is not null as kept, d.wgb_task_id is not null as made,
       (select count(*) from opm_used u join pfw_exec e on e.task_id = u.task_id
         where u.desfile_id = d.id and e.pfw_attempt_id = %(attempt)d) as used,
       (select count(*) from opm_was_derived_from o where o.child_desfile_id = d.id) as derived
  from desfile d left join file_archive_info f on f.desfile_id = d.id
 where d.pfw_attempt_id = %(attempt)d and d.filetype <> 'log' order by 1, 2"""


def made(world: World, attempt: dict[str, Any]) -> list[dict[str, Any]]:
    return world.rows(FILES % {"attempt": attempt["id"], "attnum": attempt["attnum"]})


def counts(world: World) -> dict[str, int]:
    tables = ("desfile", "opm_used", "opm_was_derived_from", "pfw_exec", "task_event", "receipt", "pending_edge",
              "file_location")  # fmt: skip
    query = " union all ".join(f"select '{name}' as name, count(*) as n from {name}" for name in tables)
    return {row["name"]: row["n"] for row in world.rows(query)}


def test_jobs_without_a_database_leave_the_same_behind(world: World) -> None:
    world.submit("-j", 2)
    plain = world.latest()
    # while no schedd answers the attempt is registered and its run directory written, but nothing starts
    (world.home / "condor_config").write_text(f"COLLECTOR_HOST = 127.0.0.1:1\nLOCAL_DIR = {world.home}\n")
    (world.home / "bin").mkdir()
    (world.home / "bin/condor_dagman").symlink_to("/bin/false")
    path = f"{world.env()['PATH']}:{world.home}/bin"
    mute = world.with_environment({"CONDOR_CONFIG": str(world.home / "condor_config"), "PATH": path})
    assert "no schedd can be reached" in mute.submit("--engine", "htcondor", code=1).stderr
    attempt = world.latest()
    assert attempt["id"] > plain["id"] and attempt["quanta"] == {"planned": 89}
    run = Path(world.rows(f"select run_dir from pfw_attempt where id = {attempt['id']}")[0]["run_dir"])
    world.facade("db", "stop")
    for number, *_ in json.loads((run / "run.json").read_text())["jobs"]:
        capsule = f"{run}/jobs/{number // 1000:03}/capsules.jsonl#{number}"
        job = [sys.executable, "-m", "facade.job", capsule, "--workdir", str(world.home / "work")]
        done = subprocess.run(job, env=world.env(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    told = world.facade("ingest-receipts", run, "--json")
    first = json.loads(told.stdout)
    assert first["attempts"] == {attempt["name"]: "succeeded"} and not first["faults"]
    assert first["new"] == first["lines"] > 89
    after = world.json("stat", attempt["name"])
    assert after["quanta"] == {"succeeded": 89} and after["attempt"]["state"] == "succeeded"
    assert made(world, attempt) == made(world, plain)

    before = counts(world)
    again = json.loads(world.facade("ingest-receipts", run, run / "jobs", "--json").stdout)
    assert again == {**first, "new": 0}
    assert counts(world) == before
    assert "0 of them new" in world.facade("ingest-receipts", run).stderr


def test_a_receipt_that_is_none(world: World, tmp_path: Path) -> None:
    (tmp_path / "j000001.receipt.01.jsonl").write_text('{"seq": 1, "kind": "job-ended"}\n')
    (tmp_path / "j000002.receipt.01.jsonl").write_text("nonsense\n{}\n")
    (tmp_path / "j000003.receipt.01.jsonl").write_text('{"seq": 1, "kind": "job-sta')
    told = world.facade("ingest-receipts", tmp_path, code=2).stderr
    assert "j000001.receipt.01.jsonl: this receipt does not begin with job-started" in told
    assert "j000002.receipt.01.jsonl:1: not a line of a receipt" in told
    assert "0 receipts of 0 lines" in told
    assert "is not there" in world.facade("ingest-receipts", tmp_path / "nowhere", code=2).stderr

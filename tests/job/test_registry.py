"""What a real registry makes of what a job tells it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from database import submit
from job.house import House

from facade.registry.connection import connect
from facade.registry.face import Registry
from facade.states import State

pytest_plugins = ["database"]


def enter(house: House, registry: Registry) -> None:
    """Give the house's quanta the identities that the registry allots."""
    ids = submit(registry, quanta=len(house.quanta))
    house.jobnum, house.task_id, house.attempt_id = 1, ids.jobs[1], ids.attempt_id
    for quantum in house.quanta:
        quantum["task_id"] = ids.quanta[quantum["wrapnum"]]
        for item in quantum["inputs"]:
            item["producer"] = 1 if item["producer"] else None


def work(house: House, registry: Registry) -> list[int]:
    """Run the capsule twice, in one worker."""
    request = json.dumps({"capsule": str(house.write()), "workdir": str(house.root / "work")}) + "\n"
    env = dict(os.environ) | registry.address.environment()
    command = [sys.executable, "-m", "facade.job.worker"]
    done = subprocess.run(command, env=env, input=2 * request, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line)["code"] for line in done.stdout.splitlines()]


def states(registry: Registry) -> list[tuple[str, str]]:
    sql = "select t.kind::text, t.state::text from task t where t.kind in ('quantum', 'job', 'exec') order by t.id"
    with closing(connect(registry.address)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return [(row["kind"], row["state"]) for row in cursor]


def test_a_worker_tells_the_registry_of_every_job(house: House, registry: Registry) -> None:
    house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
    second = house.copy("out/b.txt", "out/a.txt", used=["a.txt"], derived=[["b.txt", "a.txt"]])
    house.add(second, inputs=[house.made("a.txt")], outputs=[house.output("b.txt")])
    enter(house, registry)
    assert work(house, registry) == [0, 0]
    assert registry.job_states(house.attempt_id) == {1: State.SUCCEEDED}
    with closing(connect(registry.address)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select d.filename, l.path from desfile d join file_location l on l.desfile_id = d.id order by 1"
        )
        found = [tuple(row.values()) for row in cursor]
        cursor.execute("select count(*) as n from opm_was_derived_from")
        derived = [row["n"] for row in cursor]
    logs = [(f"Ht0_r11p01_step_w0000{n}.log", "log/step") for n in (1, 2)]
    assert sorted(found) == sorted([("a.txt", "red"), ("b.txt", "red"), *logs])
    assert derived == [1]


def test_a_parent_without_a_receipt_is_looked_up(house: House, registry: Registry, tmp_path: Path) -> None:
    house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
    enter(house, registry)
    assert work(house, registry) == [0, 0]
    child = House(tmp_path / "child")
    child.archive.rmdir()
    child.archive.symlink_to(house.archive)
    child.add(
        child.copy("out/b.txt", "out/a.txt"),
        inputs=[child.made("a.txt")],
        outputs=[child.output("b.txt")],
        log={"filename": "b.log", "archive_path": "log/step"},
    )
    enter(child, registry)
    child.quanta[0]["inputs"][0]["producer"] = 99
    assert work(child, registry) == [0, 0]
    assert (house.archive / "red/b.txt").read_text() == "MADE\n"


def test_a_retry_after_the_archive_failed_makes_other_bytes(house: House, registry: Registry) -> None:
    house.add(house.python("import os; open('out/a.txt', 'wb').write(os.urandom(9))"), outputs=[house.output("a.txt")])
    enter(house, registry)
    (house.archive / "red").write_text("in the way of the folder")
    assert work(house, registry) == [75, 75]
    (house.archive / "red").unlink()
    assert work(house, registry) == [0, 0]
    assert registry.job_states(house.attempt_id) == {1: State.SUCCEEDED}


@pytest.mark.parametrize("text", ["plain", "nul \\0 byte", "\\udcff not utf-8"])
def test_a_failure_arrives_whatever_the_program_printed(house: House, registry: Registry, text: str) -> None:
    code = f"import os; os.write(1, {text!r}.encode('utf-8', 'surrogateescape')); raise SystemExit(3)"
    house.add(house.python(code.replace("\\\\", "\\")))
    house.add(house.copy("out/b.txt"), outputs=[house.output("b.txt")])
    enter(house, registry)
    assert work(house, registry) == [1, 1]
    assert registry.job_states(house.attempt_id) == {1: State.FAILED}
    assert sorted(states(registry)) == [
        ("exec", "failed"), ("exec", "failed"), ("exec", "succeeded"), ("job", "failed"), ("quantum", "failed"),
        ("quantum", "succeeded"),
    ]  # fmt: skip


def test_what_the_registry_has_of_compressed_files_of_failed_quanta_and_of_junk(
    house: House, registry: Registry
) -> None:
    by = [["gzip", "-n", "${__UCFILE__}"], ".gz", True]
    outputs = [house.output("a.txt", save=False), house.output("a.txt", compression=".gz")]
    house.add(
        house.copy("out/a.txt", generated=["a.txt"]),
        outputs=outputs,
        handling=["file", by, {"file.out": [False, True, []]}],
    )
    code = "open('out/b.txt', 'w').write('half'); open('core', 'w').write('c'); raise SystemExit(3)"
    house.add(house.python(code), outputs=[house.output("b.txt")], handling=["failure", None, {}])
    enter(house, registry)
    assert work(house, registry) == [1, 1]
    sql = """
      select d.filename || d.compression as name, d.filetype, t.kind::text, t.name as maker, l.path,
             array(select f.filename || f.compression from opm_used u join desfile f on f.id = u.desfile_id
                    where u.task_id = d.wgb_task_id) as used,
             array(select f.filename || f.compression from opm_was_derived_from w
                     join desfile f on f.id = w.parent_desfile_id where w.child_desfile_id = d.id) as parents
        from desfile d join task t on t.id = d.wgb_task_id left join file_location l on l.desfile_id = d.id
       where d.filetype <> 'log' order by 1"""
    with closing(connect(registry.address)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        found = [tuple(row.values()) for row in cursor]
    python = Path(sys.executable).name
    assert found == [
        ("Ht0_r11p01_j000001_junk.tar.gz", "junk", "job", "j000001", "log/step", [], []),
        ("Ht0_r11p01_j000001_t02_junk.tar.gz", "junk", "job", "j000001", "log/step", [], []),
        ("a.txt", "mid", "exec", python, None, [], []),
        ("a.txt.gz", "mid", "exec", "gzip", "red", ["a.txt"], ["a.txt"]),
        ("b.txt.failed", "failed", "exec", python, "red", [], []),
        ("b.txt.failed_t2", "failed", "exec", python, "red", [], []),
    ]

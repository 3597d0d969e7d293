"""report() in any portions: what receipts tell ends the same, told line by line or thousands of lines at once."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from database import FILETYPES, Receipt, make_database, raw, submit

from facade.registry.embedded import Embedded
from facade.registry.face import Registry

pytest_plugins = ["database"]
JOBS, QUANTA = 4, 12
ASKED = {
    "tasks": "select kind, name, state, run, status, exec_host, start_time, end_time from task where kind <> 'ingest'",
    "events": "select t.name, t.kind, e.run, e.state, e.at, e.detail from task_event e join task t on t.id = e.task_id"
    " where t.kind <> 'ingest' and e.state <> 'planned'",
    "jobs": "select jobnum, batch_id, slot, failure_class, failure_message from pfw_job",
    "quanta": "select wrapnum, failure_class, failure_step, failure_message, l.filename from quantum"
    " left join desfile l on l.id = log_desfile_id",
    "execs": "select q.wrapnum, t.run, e.execnum, argv, exit_code from pfw_exec e join task t on t.id = e.task_id"
    " join quantum q on q.task_id = e.pfw_wrapper_task_id",
    "files": "select filename, filesize, checksum, t.kind, t.run from desfile join task t on t.id = wgb_task_id",
    "metadata": "select filename, visit, ccd, seeing from image join desfile d on d.id = desfile_id",
    "places": "select filename, archive_name, path from file_location join desfile d on d.id = desfile_id",
    "used": "select q.wrapnum, t.run, d.filename from opm_used u join task t on t.id = u.task_id"
    " join quantum q on q.task_id = t.parent_task_id join desfile d on d.id = u.desfile_id",
    "derived": "select c.filename, p.filename from opm_was_derived_from w join desfile c on c.id = child_desfile_id"
    " join desfile p on p.id = parent_desfile_id",
    "waiting": "select filename, compression from pending_edge",
}


def story(dice: random.Random, registry: Registry) -> list[Receipt]:
    """Make up what some jobs tell that fail, are run again, read each other's files, and die in the middle."""
    ids = submit(registry, quanta=QUANTA, jobs=JOBS)
    told: list[Receipt] = []
    alike = dice.random() < 0.5  # what a second run makes anew, with other content, nobody may have read
    for jobnum in range(1, JOBS + 1):
        for run in range(1, dice.choice((1, 2, 3)) + 1):
            left = [n for n in range(jobnum, QUANTA + 1, JOBS) if not done(told, ids.quanta[n])]
            if not left:
                break
            told.append(receipt := Receipt(ids, jobnum, run).started())
            for wrapnum in left:
                if dice.random() < 0.3:
                    receipt.failed(wrapnum, f"exit code 3, run {run}")
                else:
                    used = [f"calexp-{dice.randint(1, wrapnum)}.fits" for _ in range(2)] if alike else []
                    content = "" if alike else f"run {run}"
                    used = [name for name in dict.fromkeys(used) if name != f"calexp-{wrapnum}.fits"]
                    receipt.quantum(wrapnum, content=content, used=[*used, "raw1.fits"])
            if dice.random() < 0.4:
                del receipt.lines[dice.randint(1, len(receipt.lines)) :]  # it died
            else:
                receipt.ended("succeeded" if all(done(told, ids.quanta[n]) for n in left) else "failed")
    return told


def done(told: list[Receipt], quantum: int) -> bool:
    """Tell whether a quantum has succeeded, as far as *told*."""
    lines = (line for receipt in told for line in receipt.lines if line["kind"] == "quantum-ended")
    return any(line["quantum"] == quantum and line["state"] == "succeeded" for line in lines)


def found(registry: Registry) -> dict[str, list[str]]:
    """Return everything that was told, without ids."""
    return {name: sorted(map(repr, registry.run_sql(sql).rows)) for name, sql in ASKED.items()}


@pytest.fixture
def fresh(postgres: Embedded, template: str) -> Iterator[list[Registry]]:
    """Registries in databases of their own, all alike."""
    opened = [Registry.open(make_database(postgres, template)) for _ in range(3)]
    for registry in opened:
        registry.ingest("raws", FILETYPES, [raw("raw1.fits", visit=901, ccd=1)])
    yield opened
    for registry in opened:
        registry.close()


@pytest.mark.parametrize("seed", range(6))
def test_the_portions_do_not_matter(seed: int, fresh: list[Registry]) -> None:
    by_line, by_job, at_once = fresh
    stories = [story(random.Random(seed), registry) for registry in fresh]
    for receipt in stories[0]:
        for line in receipt.lines:
            by_line.report(receipt.id, [line])
    for receipt in stories[1]:
        assert by_job.report(receipt.id, receipt.lines) == len(receipt.lines)
    applied = at_once.report_all({receipt.id: receipt.lines for receipt in stories[2]})
    assert list(applied.values()) == [len(receipt.lines) for receipt in stories[2]]
    assert at_once.report_all({receipt.id: receipt.lines[3:] for receipt in stories[2]}) == applied
    assert found(by_job) == found(by_line)
    assert found(at_once) == found(by_line)
    assert re.search("succeeded", str(found(by_line)["events"]))

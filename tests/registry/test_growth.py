"""Blocks that are planned later: added in one transaction, once; and what their queries see."""

from __future__ import annotations

import os
import signal
import uuid
from typing import Any

import pytest
from database import FILETYPES, IDENTITY, Receipt, checksum, raw, submit

from facade.errors import InputError
from facade.plugins import Rows
from facade.registry.face import Registry
from facade.registry.values import Ids, Planning
from facade.states import State

pytest_plugins = ["database"]
PLANNING = Planning(campaign="project = P\n", found=b"{}", reuse="unit", verify="size")


def job(number: int, block: int) -> Any:
    return {"jobnum": number, "block": block, "keys": {}, "quanta": 1}


def quantum(number: int, jobnum: int, module: str, **more: Any) -> Any:
    return {"wrapnum": number, "module": module, "wrapper": "generic", "jobnum": jobnum, "keys": {"n": number}, **more}


def growing(registry: Registry) -> Ids:
    """Register an attempt of block one, with blocks two and three to come."""
    with registry.submission(IDENTITY, uuid.uuid4(), "me") as opened:
        return opened.register(
            plan_id="short",
            plan_body=b"{}",
            run_dir="/runs",
            programs={"sh": "1"},
            blocks=[{"name": "one", "modules": ["reduce"]}],
            later=[{"name": "two", "modules": ["stack", "report"]}, {"name": "three", "modules": ["last"]}],
            planning=PLANNING,
            jobs=[job(1, 0)],
            quanta=[quantum(1, 1, "reduce", outputs=[("a.fits", ".fz"), ("b.fits", "")])],
        )


MORE: dict[str, Any] = {
    "blocks": 2, "plan_id": "long", "plan_body": b'{"long": 1}', "programs": {"cp": "2"}, "found": b'{"rows": 1}',
    "jobs": [job(2, 1)], "quanta": [quantum(2, 2, "stack"), quantum(3, 2, "report")],
    "queries": [{"modname": "stack", "dataname": "file.x", "program": "generic", "version": "1", "arguments": "",
                 "row_count": 3}],
    "left_out": [],
}  # fmt: skip


def counts(registry: Registry) -> tuple[int, ...]:
    tables = "task", "pfw_job", "quantum", "plan", "pfw_data_query"
    return tuple(registry.run_sql(f"select count(*) from {table}").rows[0][0] for table in tables)


def test_blocks_are_added_once_and_the_ids_of_those_before_stay(registry: Registry) -> None:
    ids = growing(registry)
    assert registry.planning(ids.attempt_id) == PLANNING
    assert [(u.name, u.modules, u.state) for u in registry.unplanned(ids.attempt_id)] == [
        ("two", ("stack", "report"), State.PLANNED), ("three", ("last",), State.PLANNED),
    ]  # fmt: skip
    assert not registry.extend(ids.attempt_id, 2, **MORE | {"blocks": 3})
    assert registry.extend(ids.attempt_id, 1, **MORE)
    more, before = registry.ids(ids.attempt_id), counts(registry)
    assert more.blocks == ids.blocks and set(more.jobs) == {1, 2} and set(more.quanta) == {1, 2, 3}
    assert more.jobs[1] == ids.jobs[1] and registry.run_plan_body(ids.attempt_id) == b'{"long": 1}'
    assert [block.name for block in registry.unplanned(ids.attempt_id)] == ["three"]
    assert registry.planning(ids.attempt_id).found == b'{"rows": 1}'
    assert registry.run_sql("select programs, numexpjobs from pfw_attempt, pfw_block order by blknum").rows == (
        ({"sh": "1", "cp": "2"}, 1), ({"sh": "1", "cp": "2"}, 1), ({"sh": "1", "cp": "2"}, None),
    )  # fmt: skip
    assert not registry.extend(ids.attempt_id, 1, **MORE)
    assert counts(registry) == before
    blocks = registry.run_sql("select b.name from pfw_job j join pfw_block b on b.task_id = j.pfw_block_task_id").rows
    assert sorted(blocks) == [("one",), ("two",)]


class Deadly(dict[str, Any]):
    """A quantum that kills the process that registers it."""

    def __getitem__(self, key: str) -> Any:
        if key == "keys":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(key)


def test_a_kill_while_blocks_are_added_leaves_nothing_and_it_can_be_said_again(registry: Registry) -> None:
    ids = growing(registry)
    before = counts(registry)
    child = os.fork()
    if not child:
        with Registry.open(registry.address) as own:
            own.extend(ids.attempt_id, 1, **MORE | {"quanta": [MORE["quanta"][0], Deadly(MORE["quanta"][1])]})
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert counts(registry) == before and len(registry.unplanned(ids.attempt_id)) == 2
    assert registry.extend(ids.attempt_id, 1, **MORE)
    assert registry.quantum_states(ids.attempt_id) == dict.fromkeys((1, 2, 3), State.PLANNED)


def test_why_planning_failed_is_kept_when_the_attempt_is_closed(registry: Registry) -> None:
    ids = growing(registry)
    for state, detail in ((State.RUNNING, "planning"), (State.FAILED, "the query found nothing")):
        registry.mark([ids.blocks[1]], state, detail)
    registry.finish(ids.attempt_id, State.FAILED)
    first, second = registry.overview(ids.attempt_id).unplanned
    assert (first.state, first.detail) == (State.FAILED, "the query found nothing")
    assert (second.state, second.detail) == (State.BLOCKED, "")
    assert registry.overview(ids.attempt_id).attempt.state is State.FAILED


def test_an_attempt_without_later_blocks_has_nothing_to_go_on_from(registry: Registry) -> None:
    ids = submit(registry)
    assert registry.unplanned(ids.attempt_id) == ()
    with pytest.raises(InputError, match="no blocks that are planned later"):
        registry.planning(ids.attempt_id)
    with pytest.raises(InputError, match="there is no attempt 99"):
        registry.extend(99, 1, **MORE)


def test_queries_of_later_blocks_see_what_the_attempt_made_or_took_over_and_raws(
    registry: Registry,
) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    registry.set_archive("home", "/archive")
    registry.ingest("raws", FILETYPES, [raw("raw.fits", visit=901, ccd=1)])
    attempts = [submit(registry, quanta=2) for _ in range(2)]
    for ids, suffix in zip(attempts, "ab", strict=True):
        receipt = Receipt(ids).started().quantum(1, suffix=suffix).quantum(2, suffix=suffix).ended()
        registry.report(receipt.id, receipt.lines)
    rows = registry.rows_of([attempts[0].quanta[1], attempts[1].quanta[2]])

    def names(filetype: str, seen: Rows = rows, join: str = "", **where: object) -> list[Any]:
        return [row["filename"] for row in seen.files(filetype, where, join=join)]

    assert names("calexp") == ["calexp-1a.fits", "calexp-2b.fits"]
    assert names("calexp", unitname="Ht0", reqnum=11) == ["calexp-1a.fits", "calexp-2b.fits"]
    assert names("log") == ["detect-1a.log", "detect-2b.log"]
    assert names("raw") == ["raw.fits"]
    assert names("calexp", registry.rows_of([])) == []
    assert names("calexp", attnum=1) == ["calexp-1a.fits", "calexp-2a.fits"]
    assert names("calexp", pfw_attempt_id=attempts[1].attempt_id) == ["calexp-1b.fits", "calexp-2b.fits"]
    registry.tag(attempts[1].attempt_id, "GOOD", "me")
    tagged = "desfile.pfw_attempt_id = proctag.pfw_attempt_id"
    assert names("calexp", join=tagged, **{"proctag.tag": "GOOD"}) == ["calexp-1b.fits", "calexp-2b.fits"]
    assert names("calexp", join=tagged) == ["calexp-2b.fits"]
    assert len(names("calexp", registry.rows)) == 4


def test_what_was_carried_names_the_files_that_quanta_made_or_took_over(registry: Registry) -> None:
    registry.ensure_metadata_tables(FILETYPES)
    registry.set_archive("home", "/archive")
    first = submit(registry, quanta=1)
    with registry.submission(IDENTITY, uuid.uuid4(), "me") as opened:
        ids = opened.register(
            plan_id="p", plan_body=b"{}", run_dir="/runs", blocks=[{"name": "one", "modules": ["detect"]}],
            jobs=[job(1, 0)],
            quanta=[quantum(1, 1, "detect", reason="new", outputs=[("calexp-1.fits", ""), ("never.fits", ".fz")])],
            left_out=[{"wrapnum": 2, "module": "detect", "keys": {}, "decision": "reuse", "reason": "succeeded",
                       "source": first.quanta[1]}],
        )  # fmt: skip
    receipt = Receipt(ids).started().quantum(1).ended()
    registry.report(receipt.id, receipt.lines)
    made, taken = registry.carried(ids.attempt_id, ["home"])
    size = len("calexp-1.fits")
    assert made.files == (("calexp-1.fits", "", size, checksum("calexp-1.fits"), "MMG/red"), None)
    assert (made.wrapnum, made.own, made.decision, made.reason, made.task_id) == (1, True, "run", "new", ids.quanta[1])
    assert (taken.wrapnum, taken.own, taken.decision, taken.attempt) == (2, False, "reuse", "Ht0_r11p01")
    assert taken.task_id == first.quanta[1] and taken.files == ()
    assert next(iter(registry.carried(ids.attempt_id, ["elsewhere"]))).files[0] == (*made.files[0][:4], None)

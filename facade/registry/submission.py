"""Making an attempt: its number from the unit's counter, then its tasks, all in one transaction.

The counter row stays locked until the transaction ends, so simultaneous submissions of a unit queue up and no number
is given twice, or lost when a submission fails.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from facade.errors import InputError, RefusedError
from facade.registry import reuse, runs
from facade.registry.connection import Cursor, Session, copy
from facade.registry.values import Attempt, Block, DataQuery, Ids, Job, LeftOut, Planning, Quantum

ZLIB_LEVEL = 1
"""Of plans: a tenth of the text, as with the usual level, for a quarter of the time."""


class _AbandonedError(Exception):
    """The block of `submission` ended without an attempt: roll back."""


class Submission:
    """One open submission. ``attnum`` is its attempt number; ``existing`` the attempt its key made before, if any."""

    def __init__(
        self, cursor: Cursor, identity: Mapping[str, Any], submit_key: uuid.UUID, operator: str, attnum: int | None
    ) -> None:
        self._cursor, self._identity, self._key, self._operator = cursor, identity, submit_key, operator
        self.registered = False
        self._lock_unit()
        self.existing: Attempt | None = runs.attempt_with_key(cursor, submit_key)
        self.attnum = self.existing.attnum if self.existing else self._allocate(attnum)

    @property
    def name(self) -> str:
        """``UNIT_rREQpATT``."""
        return runs.attempt_name(self._identity["unitname"], int(self._identity["reqnum"]), self.attnum)

    def _lock_unit(self) -> None:
        given = {key: self._identity.get(key) for key in ("project", "campaign", "pipeline", "jira_id")}
        unit = {"reqnum": self._identity["reqnum"], "unitname": self._identity["unitname"]}
        self._cursor.execute(
            "insert into pfw_request (reqnum, project, campaign, pipeline, jira_id)"
            " values (%(reqnum)s, %(project)s, %(campaign)s, %(pipeline)s, %(jira_id)s) on conflict do nothing",
            given | unit,
        )
        self._cursor.execute("select project from pfw_request where reqnum = %(reqnum)s", unit)
        project = _one(self._cursor)["project"]
        if project != given["project"]:
            raise RefusedError(
                f"request {unit['reqnum']} belongs to project {project}, not to {given['project']}",
                remedy="give the campaign another reqnum, or the project of the request",
            )
        self._cursor.execute(
            "insert into pfw_unit (reqnum, unitname) values (%(reqnum)s, %(unitname)s) on conflict do nothing", unit
        )
        self._cursor.execute(
            "select last_attnum from pfw_unit where reqnum = %(reqnum)s and unitname = %(unitname)s for update", unit
        )
        self._last_attnum: int = _one(self._cursor)["last_attnum"]

    def _allocate(self, wanted: int | None) -> int:
        values = {"reqnum": self._identity["reqnum"], "unitname": self._identity["unitname"]}
        attnum = self._last_attnum + 1 if wanted is None else wanted
        if attnum < 1:
            raise InputError(f"attempt numbers count from 1, not {attnum}")
        self._cursor.execute(
            "select from pfw_attempt where reqnum = %(reqnum)s and unitname = %(unitname)s and attnum = %(attnum)s",
            values | {"attnum": attnum},
        )
        if self._cursor.rowcount:
            raise RefusedError(
                f"attempt {runs.attempt_name(values['unitname'], int(values['reqnum']), attnum)} exists already",
                remedy="leave attnum out to get the next number",
            )
        self._cursor.execute(
            "update pfw_unit set last_attnum = %(attnum)s"
            " where reqnum = %(reqnum)s and unitname = %(unitname)s and last_attnum < %(attnum)s",
            values | {"attnum": attnum},
        )
        return attnum

    def register(
        self,
        *,
        plan_id: str,
        plan_body: bytes,
        run_plan: tuple[str, bytes] | None = None,
        programs: Mapping[str, str] | None = None,
        run_dir: str,
        engine: str | None = None,
        archive_path: str | None = None,
        blocks: Sequence[Block] = (),
        jobs: Sequence[Job] = (),
        quanta: Sequence[Quantum] = (),
        queries: Sequence[DataQuery] = (),
        left_out: Sequence[LeftOut] = (),
        later: Sequence[Block] = (),
        planning: Planning | None = None,
    ) -> Ids:
        """Write the attempt and all its tasks, state planned; *plan_body* is the plan's canonical JSON.

        *run_plan* is id and JSON of what remains of the plan without what is *left_out*; *programs* says what the
        programs were when the fingerprints were made. Blocks that come *later* are planned by what *planning* holds.

        A repeated submit key writes nothing and returns the ids of the attempt it made before.
        """
        if self.existing:
            self.registered = True
            return runs.read_ids(self._cursor, self.existing.id)
        keep_plans(self._cursor, [(plan_id, plan_body), *([run_plan] if run_plan else [])])
        how = {"plan_id": plan_id, "run_dir": run_dir, "engine": engine, "archive_path": archive_path}
        how |= {"run_plan_id": run_plan[0] if run_plan else None, "programs": json.dumps(dict(programs or {}))}
        attempt, task = self._register_attempt(how)
        self.registered = True
        reuse.register_left_out(self._cursor, attempt, left_out)
        if planning is not None:
            self._cursor.execute(
                "insert into planning (pfw_attempt_id, campaign, found, reuse, verify) values (%s, %s, %s, %s, %s)",
                (attempt, planning.campaign, zlib.compress(planning.found), planning.reuse, planning.verify),
            )
        of_block = _register_blocks(self._cursor, attempt, task, blocks, jobs, later)
        return register_parts(self._cursor, attempt, task, of_block, jobs, quanta, queries)

    def _register_attempt(self, how: Mapping[str, Any]) -> tuple[int, int]:
        self._cursor.execute(
            "with numbered as (select nextval(pg_get_serial_sequence('task', 'id')) as id)"
            " insert into task (id, kind, name, root_task_id) select id, 'attempt', %s, id from numbered returning id",
            (self.name,),
        )
        task: int = _one(self._cursor)["id"]
        columns = {
            "reqnum": self._identity["reqnum"],
            "unitname": self._identity["unitname"],
            "attnum": self.attnum,
            "task_id": task,
            "operator": self._operator,
            "submit_key": str(self._key),
            **how,
        }
        self._cursor.execute(
            "insert into pfw_attempt (reqnum, unitname, attnum, task_id, operator, submit_key, plan_id,"
            " run_plan_id, programs, engine, run_dir, archive_path)"
            " values (%(reqnum)s, %(unitname)s, %(attnum)s, %(task_id)s, %(operator)s, %(submit_key)s, %(plan_id)s,"
            " %(run_plan_id)s, %(programs)s, %(engine)s, %(run_dir)s, %(archive_path)s) returning id",
            columns,
        )
        attempt: int = _one(self._cursor)["id"]
        self._cursor.execute(
            "insert into task_event (task_id, run, state, at) values (%s, 0, 'planned', now())", (task,)
        )
        return attempt, task


@contextmanager
def submission(
    session: Session, identity: Mapping[str, Any], submit_key: uuid.UUID, operator: str, attnum: int | None
) -> Iterator[Submission]:
    """Open the transaction of one submission (see `Registry.submission`)."""
    missing = [key for key in ("project", "reqnum", "unitname") if identity.get(key) in (None, "")]
    if missing:
        raise InputError(f"an attempt needs {' and '.join(missing)}")
    try:
        with session.transaction() as cursor:
            opened = Submission(cursor, identity, submit_key, operator, attnum)
            yield opened
            if not opened.registered:
                raise _AbandonedError
    except _AbandonedError:
        pass


def keep_plans(cursor: Cursor, plans: Sequence[tuple[str, bytes]]) -> None:
    """Keep plans by their ids."""
    for plan_id, body in plans:
        cursor.execute(
            "insert into plan (plan_id, body) values (%s, %s) on conflict do nothing",
            (plan_id, zlib.compress(body, ZLIB_LEVEL)),
        )


def register_parts(
    cursor: Cursor,
    attempt: int,
    root: int,
    of_block: Sequence[int],
    jobs: Sequence[Job],
    quanta: Sequence[Quantum],
    queries: Sequence[DataQuery],
) -> Ids:
    """Write jobs and quanta of blocks that are there, whose tasks are *of_block*."""
    numbers = _reserve(cursor, len(jobs) + len(quanta))
    of_job = {job["jobnum"]: next(numbers) for job in jobs}
    of_quantum = {quantum["wrapnum"]: next(numbers) for quantum in quanta}
    home = {job["jobnum"]: of_block[job["block"]] for job in jobs}
    tasks = [(of_job[j["jobnum"]], "job", f"j{j['jobnum']:06d}", home[j["jobnum"]], root) for j in jobs]
    tasks += [(of_quantum[q["wrapnum"]], "quantum", q["module"], of_job[q["jobnum"]], root) for q in quanta]
    copy(cursor, "task", ("id", "kind", "name", "parent_task_id", "root_task_id"), tasks)
    copy(
        cursor,
        "pfw_job",
        ("task_id", "pfw_attempt_id", "pfw_block_task_id", "jobnum", "jobkeys", "expect_num_wrap"),
        ((of_job[j["jobnum"]], attempt, home[j["jobnum"]], j["jobnum"], _json(j["keys"]), j["quanta"]) for j in jobs),
    )
    copy(
        cursor,
        "quantum",
        (
            *("task_id", "pfw_attempt_id", "pfw_block_task_id", "pfw_job_task_id"),
            *("wrapnum", "modname", "name", "wrapkeys", *reuse.COLUMNS),
        ),
        (
            (
                *(of_quantum[q["wrapnum"]], attempt, home[q["jobnum"]], of_job[q["jobnum"]]),
                *(q["wrapnum"], q["module"], q["wrapper"], _json(q["keys"]), *reuse.columns(q)),
            )
            for q in quanta
        ),
    )
    asked = ("modname", "dataname", "program", "version", "arguments", "row_count")
    rows = ([attempt, *(query[key] for key in asked)] for query in queries)  # type: ignore[literal-required]
    copy(cursor, "pfw_data_query", ("pfw_attempt_id", *asked), rows)
    return Ids(attempt_id=attempt, attempt_task=root, blocks=tuple(of_block), jobs=of_job, quanta=of_quantum)


def _register_blocks(
    cursor: Cursor, attempt: int, root: int, blocks: Sequence[Block], jobs: Sequence[Job], later: Sequence[Block]
) -> Sequence[int]:
    """Write the blocks of an attempt, return their tasks. How many jobs those have that come *later* is not known."""
    every = [*blocks, *later]
    tasks = list(_reserve(cursor, len(every)))
    expected = Counter(job["block"] for job in jobs)
    rows = [(task, "block", block["name"], root, root) for task, block in zip(tasks, every, strict=True)]
    copy(cursor, "task", ("id", "kind", "name", "parent_task_id", "root_task_id"), rows)
    copy(
        cursor,
        "pfw_block",
        ("task_id", "pfw_attempt_id", "blknum", "name", "modulelist", "numexpjobs"),
        (
            (task, attempt, index + 1, block["name"], ",".join(block["modules"]), expected[index])
            if index < len(blocks)
            else (task, attempt, index + 1, block["name"], ",".join(block["modules"]), None)
            for index, (task, block) in enumerate(zip(tasks, every, strict=True))
        ),
    )
    return tasks


def _reserve(cursor: Cursor, count: int) -> Iterator[int]:
    cursor.execute(
        # the sequence is looked up once: to do so for each number takes ten times as long
        "with one as materialized (select pg_get_serial_sequence('task', 'id')::regclass as sequence)"
        " select coalesce(array_agg(nextval(sequence)), '{}') as ids from one, generate_series(1, %s)",
        (count,),
    )
    return iter(_one(cursor)["ids"])


def _json(keys: Mapping[str, Any]) -> str:
    return json.dumps(dict(keys), ensure_ascii=False)


def _one(cursor: Cursor) -> dict[str, Any]:
    row = cursor.fetchone()
    assert row is not None
    return dict(row)

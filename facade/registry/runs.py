"""Attempts and their tasks after submission: finding them, their states, and what jobs report."""

from __future__ import annotations

import json
import re
import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from facade.errors import InputError
from facade.registry.connection import DEADLOCK, Cursor, Session, repeated
from facade.registry.values import Attempt, Ids, Line
from facade.states import MOVES, State

ATTEMPTS = """
select a.id, a.task_id, attempt_name(a) as name, a.reqnum, a.unitname, a.attnum,
       r.project, r.campaign, r.pipeline, a.operator, a.submit_key::text, a.plan_id,
       a.engine, a.engine_job, a.run_dir, a.archive_path, a.data_state, a.submittime,
       t.state::text, t.start_time, t.end_time,
       array(select tag from proctag p where p.pfw_attempt_id = a.id order by tag) as tags
  from pfw_attempt a
  join pfw_request r on r.reqnum = a.reqnum
  join task t on t.id = a.task_id
"""
NAME = re.compile(r"(?P<unit>.+)_r(?P<reqnum>[0-9]{1,9})p(?P<attnum>[0-9]{1,9})", re.DOTALL)
ACTIVE = [state.value for state in State if not state.final]


def attempt_name(unitname: str, reqnum: int, attnum: int) -> str:
    """Return how operators call an attempt, as ``attempt_name`` does in the database.

    >>> attempt_name("Ht0", 11, 5)
    'Ht0_r11p05'
    """
    return f"{unitname}_r{reqnum}p{attnum:02d}"


def attempts(
    session: Session, *, reqnum: int | None, unitname: str | None, active: bool, limit: int | None
) -> list[Attempt]:
    """Return attempts, newest first."""
    found = session.rows(
        ATTEMPTS + " where (%(reqnum)s::int is null or a.reqnum = %(reqnum)s)"
        " and (%(unitname)s::text is null or a.unitname = %(unitname)s)"
        " and (not %(active)s or t.state = any(%(states)s::task_state[])) order by a.id desc limit %(limit)s",
        {"reqnum": reqnum, "unitname": unitname, "active": active, "states": ACTIVE, "limit": limit},
    )
    return [_attempt(row) for row in found]


def attempt(session: Session, name_or_id: str | int) -> Attempt | None:
    """Return one attempt, by ``UNIT_rREQpATT`` or id."""
    text = str(name_or_id)
    if re.fullmatch(r" *[0-9]{1,18} *", text):
        found = session.rows(ATTEMPTS + " where a.id = %s", (int(text),))
    elif parts := NAME.fullmatch(text):
        found = session.rows(
            ATTEMPTS + " where a.unitname = %s and a.reqnum = %s and a.attnum = %s",
            (parts["unit"], int(parts["reqnum"]), int(parts["attnum"])),
        )
    else:
        found = []
    return _attempt(found[0]) if found else None


def attempt_with_key(cursor: Cursor, submit_key: uuid.UUID) -> Attempt | None:
    """Return the attempt that *submit_key* made."""
    cursor.execute(ATTEMPTS + " where a.submit_key = %s", (str(submit_key),))
    row = cursor.fetchone()
    return _attempt(dict(row)) if row else None


def _attempt(row: Mapping[str, Any]) -> Attempt:
    return Attempt(**dict(row, state=State(row["state"]), tags=tuple(row["tags"])))


def ids(session: Session, attempt_id: int) -> Ids:
    """Return the ids of an attempt's tasks."""
    with session.transaction() as cursor:
        return read_ids(cursor, attempt_id)


def read_ids(cursor: Cursor, attempt_id: int) -> Ids:
    """Return the ids of an attempt's tasks, inside a transaction."""
    cursor.execute(
        "select task_id, array(select task_id from pfw_block where pfw_attempt_id = a.id order by blknum) as blocks"
        " from pfw_attempt a where id = %s",
        (attempt_id,),
    )
    top = cursor.fetchone()
    if top is None:
        raise InputError(f"there is no attempt {attempt_id}")
    cursor.execute("select jobnum, task_id from pfw_job where pfw_attempt_id = %s order by jobnum", (attempt_id,))
    jobs = {row["jobnum"]: row["task_id"] for row in cursor.fetchall()}
    cursor.execute("select wrapnum, task_id from quantum where pfw_attempt_id = %s order by wrapnum", (attempt_id,))
    quanta = {row["wrapnum"]: row["task_id"] for row in cursor.fetchall()}
    return Ids(
        attempt_id=attempt_id, attempt_task=top["task_id"], blocks=tuple(top["blocks"]), jobs=jobs, quanta=quanta
    )


def job_states(session: Session, attempt_id: int) -> dict[int, State]:
    """Return the state of each job, by jobnum."""
    rows = session.rows(
        "select jobnum, state::text from pfw_job join task on id = task_id where pfw_attempt_id = %s order by jobnum",
        (attempt_id,),
    )
    return {row["jobnum"]: State(row["state"]) for row in rows}


def troubled_jobs(session: Session, attempt_id: int) -> dict[int, int]:
    """Return the jobs that have not succeeded at the first try, and how often each was started, as far as is known."""
    rows = session.rows(
        "select jobnum, run from pfw_job join task on id = task_id where pfw_attempt_id = %s"
        " and (state <> 'succeeded' or run > 1) order by jobnum",
        (attempt_id,),
    )
    return {row["jobnum"]: row["run"] for row in rows}


def quantum_states(session: Session, attempt_id: int) -> dict[int, State]:
    """Return the state of each quantum, by wrapnum."""
    rows = session.rows(
        "select wrapnum, state::text from quantum join task on id = task_id where pfw_attempt_id = %s order by wrapnum",
        (attempt_id,),
    )
    return {row["wrapnum"]: State(row["state"]) for row in rows}


def report(session: Session, told: Mapping[str, Sequence[Line]]) -> dict[str, int]:
    """Apply lines of receipts, all or none; return the last ``seq`` applied of each."""
    return report_texts(session, {name: "[" + ",".join(map(encode, lines)) + "]" for name, lines in told.items()})


def report_texts(session: Session, told: Mapping[str, str]) -> dict[str, int]:
    """Do what `report` does, with the lines of each receipt as the text of a JSON list. A deadlock is tried again."""
    question, values = "select report(%s::uuid[], %s::jsonb[]) as applied", (list(told), list(told.values()))
    rows = repeated(lambda _: session.rows(question, values), {DEADLOCK}, (0.05, 0.2))
    return dict(zip(told, rows[0]["applied"], strict=True))


def receipt_lines(session: Session, receipts: Sequence[str]) -> dict[str, int]:
    """Return how many lines of receipts have been applied, of those that are known."""
    rows = session.rows("select id::text, last_seq from receipt where id = any(%s::uuid[])", (list(receipts),))
    return {row["id"]: row["last_seq"] for row in rows}


def encode(line: Line) -> str:
    """Return *line* as JSON that PostgreSQL takes: no NaN (as text, which a float column reads), no NUL characters."""
    try:
        text = json.dumps(line, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_plain(line), ensure_ascii=False)
    if "\\u0000" in text:
        text = json.dumps(_plain(line), ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8")  # names with bytes that were no UTF-8


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value


def mark(session: Session, task_ids: Iterable[int], state: State, detail: str) -> list[int]:
    """Move tasks to *state* where that is legal, with events; return those that moved."""
    with session.transaction() as cursor:
        return _move(cursor, sorted(task_ids), state, detail)


def _move(cursor: Cursor, task_ids: Sequence[int], state: State, detail: str) -> list[int]:
    cursor.execute(
        """
        with chosen as (
          select id from task where id = any(%(ids)s) and state = any(%(before)s::task_state[]) order by id for update
        ), moved as (
          update task t
             set state = %(state)s,
                 start_time = case when %(active)s then coalesce(t.start_time, now()) else t.start_time end,
                 end_time = case when %(final)s then now() end
            from chosen where t.id = chosen.id returning t.id, t.run
        ), told as (
          insert into task_event (task_id, run, state, at, detail)
          select id, run, %(state)s, now(), %(detail)s from moved order by id
        )
        select id from moved order by id
        """,
        {
            "ids": list(task_ids),
            "before": [before.value for before, after in MOVES.items() if state in after and before != state],
            "state": state.value,
            "active": state.active,
            "final": state.final,
            "detail": detail,
        },
    )
    return [row["id"] for row in cursor.fetchall()]


def fail_jobs(session: Session, failures: Mapping[int, tuple[str, str]], state: State) -> list[int]:
    """Move jobs, and the quanta they were busy with, to *state*; note why (task id -> failure class, message).

    Of a job that was busy with none, the first quantum that it had still to run has failed: somebody must tell why.
    """
    with session.transaction() as cursor:
        moved = _move(cursor, sorted(failures), state, "")
        for task_id in moved:
            failure = {"task": task_id, "class": failures[task_id][0], "message": failures[task_id][1]}
            cursor.execute(
                "update pfw_job set failure_class = %(class)s, failure_message = %(message)s where task_id = %(task)s",
                failure,
            )
            cursor.execute(
                "select q.task_id from quantum q join task t on t.id = q.task_id"
                " where q.pfw_job_task_id = %(task)s and t.state in ('staging', 'running', 'saving')",
                failure,
            )
            busy = _move(cursor, [row["task_id"] for row in cursor.fetchall()], state, failures[task_id][1])
            if not busy:
                cursor.execute(
                    "select q.task_id from quantum q join task t on t.id = q.task_id"
                    " where q.pfw_job_task_id = %(task)s and t.state = 'planned' order by q.wrapnum limit 1",
                    failure,
                )
                first = [row["task_id"] for row in cursor.fetchall()]
                busy = _move(cursor, first, State.FAILED, failures[task_id][1])
            cursor.execute(
                "update quantum set failure_class = %(class)s, failure_message = %(message)s"
                " where task_id = any(%(busy)s)",
                failure | {"busy": busy},
            )
        return moved


def finish(session: Session, attempt_id: int, state: State) -> None:
    """Close an attempt and its blocks: a block whose jobs all succeeded has succeeded, whatever became of the rest."""
    with session.transaction() as cursor:
        cursor.execute("select settle_edges()")  # two reports that crossed did not see each other's rows
        cursor.execute(
            """
            with ended as (
              select b.task_id, max(t.end_time) as last,
                     bool_and(t.state = 'succeeded') as good, bool_or(t.start_time is not null) as begun,
                     b.numexpjobs is null as late, bt.state as was
                from pfw_block b
                join task bt on bt.id = b.task_id
                left join pfw_job j on j.pfw_block_task_id = b.task_id
                left join task t on t.id = j.task_id
               where b.pfw_attempt_id = %(attempt)s group by b.task_id, bt.state
            ), closing (id, state, at) as (
              select task_id, (case when coalesce(good, not late) then 'succeeded'
                when late and was = 'failed' and %(state)s = 'failed' then 'failed'
                when not coalesce(begun, false) and %(state)s = 'failed' then 'blocked' else %(state)s end)::task_state,
                coalesce(last, now()) from ended
              union all
              select a.task_id, %(state)s, coalesce((select max(last) from ended), now())
                from pfw_attempt a where a.id = %(attempt)s
            ), closed as (
              update task t set state = c.state, end_time = c.at from closing c
               where t.id = c.id and (t.state <> c.state or t.end_time is distinct from c.at)
              returning t.id, t.run, t.state, t.end_time
            )
            insert into task_event (task_id, run, state, at) select id, run, state, end_time from closed order by id
            """,
            {"attempt": attempt_id, "state": state.value},
        )


def set_engine(session: Session, attempt_id: int, engine: str, engine_job: str) -> None:
    """Note which engine runs an attempt."""
    session.rows("update pfw_attempt set engine = %s, engine_job = %s where id = %s", (engine, engine_job, attempt_id))


def set_data_state(session: Session, attempt_id: int, data_state: str) -> None:
    """Say what an attempt's files are worth."""
    if data_state not in ("active", "junk"):
        raise InputError(f"data are active or junk, not {data_state!r}")
    session.rows("update pfw_attempt set data_state = %s where id = %s", (data_state, attempt_id))


def run_plan_body(session: Session, attempt_id: int) -> bytes:
    """Return the canonical JSON of what an attempt runs of its plan."""
    found = session.rows("select coalesce(run_plan_id, plan_id) as id from pfw_attempt where id = %s", (attempt_id,))
    if not found:
        raise InputError(f"there is no attempt {attempt_id}")
    return plan_body(session, found[0]["id"])


def plan_body(session: Session, plan_id: str) -> bytes:
    """Return a plan's canonical JSON."""
    found = session.rows("select body from plan where plan_id = %s", (plan_id,))
    if not found:
        raise InputError(f"the registry has no plan {plan_id}")
    return zlib.decompress(bytes(found[0]["body"]))

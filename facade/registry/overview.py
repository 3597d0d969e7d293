"""One attempt at a glance: how far it is, what failed and why, what runs where."""

from __future__ import annotations

import json
from collections.abc import Sequence

from facade.errors import InputError
from facade.registry import growth, runs
from facade.registry.connection import Session
from facade.registry.values import Count, Failure, Message, Overview, RunningJob
from facade.states import State

TOTALS = """
select a.id, t.state::text, count(*) as quanta
  from pfw_attempt a join task t on t.root_task_id = a.task_id and t.kind = 'quantum'
 where a.id = any(%s) group by a.id, t.state
"""
MESSAGES = 3
"""Messages of its programs that a failed quantum is shown with."""
BLOCKS = """
select b.name, t.state::text from pfw_block b join task t on t.id = b.task_id
 where b.pfw_attempt_id = %s order by b.blknum
"""
COUNTS = """
select b.blknum, b.name as block, q.modname, t.state::text, count(*) as quanta
  from quantum q join task t on t.id = q.task_id join pfw_block b on b.task_id = q.pfw_block_task_id
 where q.pfw_attempt_id = %s group by b.blknum, b.name, q.modname, t.state
 order by b.blknum, min(min(q.wrapnum)) over (partition by b.blknum, q.modname), t.state
"""
JOBS = """
select t.state::text, count(*) as jobs from pfw_job j join task t on t.id = j.task_id
 where j.pfw_attempt_id = %s group by t.state order by t.state
"""
FAILURES = """
select q.task_id, q.wrapnum, j.jobnum, q.modname, q.wrapkeys as keys, t.state::text, q.failure_class,
       q.failure_step as step, q.failure_message as message, t.status as exit_code, q.failure_tail as tail,
       t.exec_host as host, t.end_time,
       (select coalesce(a.root || '/', '') || l.path || '/' || d.filename || d.compression
          from desfile d join file_location l on l.desfile_id = d.id join archive a on a.name = l.archive_name
         where d.id = q.log_desfile_id order by a.name limit 1) as log,
       (select coalesce(jsonb_agg(jsonb_build_array(message_lvl, message, log_line) order by execnum, log_line), '[]')
          from (select * from task_message m where m.task_id = q.task_id and m.run = t.run
                 order by message_lvl, execnum desc, log_line desc limit %s) worst) as messages
  from quantum q join task t on t.id = q.task_id join pfw_job j on j.task_id = q.pfw_job_task_id
 where q.pfw_attempt_id = %s and t.state in ('failed', 'blocked', 'lost')
 order by t.state, q.wrapnum
"""
REUSED = """
select a.unitname, a.reqnum, a.attnum, count(*) as quanta
  from left_out l join quantum q on q.task_id = l.source_task_id join pfw_attempt a on a.id = q.pfw_attempt_id
 where l.pfw_attempt_id = %s group by a.id order by a.id
"""
LEFT_OUT = """
select decision::text, count(*) as quanta from left_out where pfw_attempt_id = %s group by decision order by decision
"""
RUNNING = """
select j.task_id, j.jobnum, t.run, t.exec_host as host, j.batch_id, j.slot, t.start_time,
       s.wrapnum, s.modname, s.step, s.step_since
  from pfw_job j
  join task t on t.id = j.task_id
  left join lateral (
    select q.wrapnum, q.modname, qt.state::text as step,
           (select max(e.at) from task_event e where e.task_id = q.task_id and e.run = qt.run) as step_since
      from quantum q join task qt on qt.id = q.task_id
     where q.pfw_job_task_id = j.task_id and qt.state in ('staging', 'running', 'saving')
     order by q.wrapnum desc limit 1) s on true
 where j.pfw_attempt_id = %s and t.state in ('staging', 'running', 'saving')
 order by j.jobnum
"""


def totals(session: Session, attempt_ids: Sequence[int]) -> dict[int, dict[State, int]]:
    """Return how many quanta of each state attempts have."""
    found: dict[int, dict[State, int]] = {number: {} for number in attempt_ids}
    for row in session.rows(TOTALS, (list(attempt_ids),)):
        found[row["id"]][State(row["state"])] = row["quanta"]
    return found


def overview(session: Session, attempt_id: int) -> Overview:
    """Return an attempt at a glance; raises InputError if there is no such attempt."""
    attempt = runs.attempt(session, attempt_id)
    if attempt is None:
        raise InputError(f"there is no attempt {attempt_id}")
    params = (attempt_id,)
    return Overview(
        attempt=attempt,
        blocks={row["name"]: State(row["state"]) for row in session.rows(BLOCKS, params)},
        unplanned=growth.unplanned(session, attempt_id),
        counts=tuple(Count(**row | {"state": State(row["state"])}) for row in session.rows(COUNTS, params)),
        jobs={State(row["state"]): row["jobs"] for row in session.rows(JOBS, params)},
        failures=tuple(
            Failure(
                **row
                | {
                    "state": State(row["state"]),
                    "keys": json.loads(row["keys"]),
                    "messages": tuple(Message(*one) for one in row["messages"]),
                }
            )
            for row in session.rows(FAILURES, (MESSAGES, *params))
        ),
        running=tuple(
            RunningJob(**row | {"step": State(row["step"]) if row["step"] else None})
            for row in session.rows(RUNNING, params)
        ),
        reused={
            runs.attempt_name(row["unitname"], row["reqnum"], row["attnum"]): row["quanta"]
            for row in session.rows(REUSED, params)
        },
        left_out={row["decision"]: row["quanta"] for row in session.rows(LEFT_OUT, params)},
    )

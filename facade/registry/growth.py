"""Blocks that are planned later: what planning goes on from, what the blocks before have made, and adding the rest."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from facade.errors import InputError
from facade.registry import reuse, runs
from facade.registry.connection import Session
from facade.registry.files import located
from facade.registry.submission import keep_plans, register_parts
from facade.registry.values import Carried, DataQuery, Job, LeftOut, Planning, Quantum, Unplanned
from facade.states import State

UNPLANNED = """
select b.task_id, b.name, b.modulelist, t.state::text,
       case when t.state = 'failed' then coalesce(
         (select e.detail from task_event e where e.task_id = b.task_id and e.state = 'failed' and e.detail <> ''
           order by e.id desc limit 1), '') else '' end as detail
  from pfw_block b join task t on t.id = b.task_id
 where b.pfw_attempt_id = %s and b.numexpjobs is null order by b.blknum
"""
CARRIED = """
with part (wrapnum, own, decision, reason, task_id) as (
  select wrapnum, true, 'run', coalesce(reason, ''), task_id from quantum where pfw_attempt_id = %(attempt)s
  union all
  select wrapnum, false, decision::text, reason, source_task_id from left_out where pfw_attempt_id = %(attempt)s
)
select p.wrapnum, p.own, p.decision, p.reason, p.task_id, a.unitname, a.reqnum, a.attnum,
       o.n, d.filename, d.compression, d.filesize, d.checksum, {path}
  from part p
  left join quantum q on q.task_id = p.task_id
  left join pfw_attempt a on a.id = q.pfw_attempt_id
  left join lateral unnest(q.outputs, q.suffixes) with ordinality o (name, suffix, n) on true
  left join desfile d on d.filename = o.name and d.compression = coalesce(o.suffix, '')
  {places}
 order by p.wrapnum, o.n
"""


def unplanned(session: Session, attempt_id: int) -> tuple[Unplanned, ...]:
    """Return the blocks of an attempt that are not planned yet, in their order."""
    return tuple(
        Unplanned(
            task_id=row["task_id"],
            name=row["name"],
            modules=tuple(row["modulelist"].split(",")),
            state=State(row["state"]),
            detail=row["detail"],
        )
        for row in session.rows(UNPLANNED, (attempt_id,))
    )


def planning(session: Session, attempt_id: int) -> Planning:
    """Return what the planning of later blocks goes on from."""
    found = session.rows("select campaign, found, reuse, verify from planning where pfw_attempt_id = %s", (attempt_id,))
    if not found:
        raise InputError(f"attempt {attempt_id} has no blocks that are planned later")
    return Planning(**found[0] | {"found": zlib.decompress(bytes(found[0]["found"]))})


def carried(session: Session, attempt_id: int, archives: Sequence[str]) -> Iterator[Carried]:
    """Yield what became of each quantum of an attempt's plan, by number; files lie in the first of *archives* that has
    them."""
    places, path, names = located(archives)
    rows = session.tuples(CARRIED.format(places=places, path=path), {"attempt": attempt_id, **names})
    files: list[tuple[str, str, int, str, str | None] | None] = []
    for index, (wrapnum, own, decision, reason, task, unit, reqnum, attnum, place, *file) in enumerate(rows):
        if place is not None:
            files.append(None if file[0] is None else tuple(file))
        if index + 1 == len(rows) or rows[index + 1][0] != wrapnum:
            name = runs.attempt_name(unit, reqnum, attnum) if unit is not None else ""
            yield Carried(wrapnum, own, decision, reason, task, name, tuple(files))
            files = []


def extend(
    session: Session,
    attempt_id: int,
    planned: int,
    *,
    blocks: int,
    plan_id: str,
    plan_body: bytes,
    run_plan: tuple[str, bytes] | None,
    programs: Mapping[str, str],
    found: bytes,
    jobs: Sequence[Job],
    quanta: Sequence[Quantum],
    queries: Sequence[DataQuery],
    left_out: Sequence[LeftOut],
) -> bool:
    """Add to an attempt of which *planned* blocks are planned those up to *blocks* (see `Registry.extend`)."""
    with session.transaction() as cursor:
        cursor.execute("select task_id from pfw_attempt where id = %s for update", (attempt_id,))
        if (attempt := cursor.fetchone()) is None:
            raise InputError(f"there is no attempt {attempt_id}")
        cursor.execute(
            "select task_id, numexpjobs from pfw_block where pfw_attempt_id = %s order by blknum", (attempt_id,)
        )
        known = cursor.fetchall()
        if sum(row["numexpjobs"] is not None for row in known) != planned:
            return False
        keep_plans(cursor, [(plan_id, plan_body), *([run_plan] if run_plan else [])])
        cursor.execute(
            "update pfw_attempt set plan_id = %s, run_plan_id = %s, programs = programs || %s::jsonb where id = %s",
            (plan_id, run_plan[0] if run_plan else None, json.dumps(dict(programs)), attempt_id),
        )
        cursor.execute("update planning set found = %s where pfw_attempt_id = %s", (zlib.compress(found), attempt_id))
        reuse.register_left_out(cursor, attempt_id, left_out)
        tasks = [row["task_id"] for row in known]
        register_parts(cursor, attempt_id, attempt["task_id"], tasks, jobs, quanta, queries)
        expected = Counter(job["block"] for job in jobs)
        for index in range(planned, blocks):
            cursor.execute("update pfw_block set numexpjobs = %s where task_id = %s", (expected[index], tasks[index]))
        return True

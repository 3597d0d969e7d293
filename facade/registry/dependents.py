"""Who needs files: attempts whose data are not junk, and those that carry a tag (docs/asking.md, "Removing files").

Needed is what such an attempt made, what it read, what it took from another attempt instead of making it, and what it
is still going to read: the last stands in its plan, as it has not been read yet.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from facade.registry.connection import Session
from facade.registry.runs import attempt_name
from facade.wcl import bind_attempt

NEEDS = """
with w as materialized (select d.* from unnest(%(ids)s::bigint[]) i (id) join desfile d on d.id = i.id)
select w.id, w.filename || w.compression, 'made by', w.pfw_attempt_id from w where w.pfw_attempt_id is not null
union
select w.id, w.filename || w.compression, 'read by', coalesce(e.pfw_attempt_id, q.pfw_attempt_id)
  from w join opm_used u on u.desfile_id = w.id
  left join pfw_exec e on e.task_id = u.task_id
  left join quantum q on q.task_id = u.task_id
union
select w.id, w.filename || w.compression, 'taken by', o.pfw_attempt_id
  from w
  left join pfw_exec e on e.task_id = w.wgb_task_id
  join left_out o on o.source_task_id = coalesce(e.pfw_wrapper_task_id, w.wgb_task_id)
"""
LIVE = """
select a.id, a.unitname, a.reqnum, a.attnum, a.data_state,
       array(select tag from proctag p where p.pfw_attempt_id = a.id order by tag) as tags
  from pfw_attempt a
 where a.id = any(%s) and (a.data_state = 'active' or exists (select from proctag p where p.pfw_attempt_id = a.id))
"""
UNFINISHED = """
select a.unitname, a.reqnum, a.attnum, coalesce(a.run_plan_id, a.plan_id) as plan_id
  from pfw_attempt a join task t on t.id = a.task_id
 where a.data_state = 'active' and t.state <> 'succeeded' and a.id > %s
"""
FOLLOWERS = """
select a.unitname, a.reqnum, a.attnum from pfw_attempt a
 where a.data_state = 'active' and a.id <> %(attempt)s and (
   exists (select from left_out o join quantum q on q.task_id = o.source_task_id
            where o.pfw_attempt_id = a.id and q.pfw_attempt_id = %(attempt)s)
   or a.id in (select e.pfw_attempt_id from desfile d join opm_used u on u.desfile_id = d.id
                 join pfw_exec e on e.task_id = u.task_id where d.pfw_attempt_id = %(attempt)s))
 order by a.id
"""


class Need(NamedTuple):
    """File ``name`` is needed: ``how`` (made by, read by, taken by, planned by) and by which attempt, with its tags."""

    id: int
    name: str
    how: str
    attempt: str
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        tagged = f" (tagged {', '.join(self.tags)})" if self.tags else ""
        return f"{self.name} is {self.how} {self.attempt}{tagged}"


def followers(session: Session, attempt_id: int) -> list[str]:
    """Return the other live attempts that read files of an attempt, or took some of them."""
    rows = session.rows(FOLLOWERS, {"attempt": attempt_id})
    return [attempt_name(row["unitname"], row["reqnum"], row["attnum"]) for row in rows]


def needs(session: Session, ids: Sequence[int], after: int = 0) -> list[Need]:
    """Return who needs the files *ids*, ordered by file; plans are looked into of attempts with ids above *after*."""
    if not ids:
        return []
    edges = session.tuples(NEEDS, {"ids": list(ids)})
    live = {row["id"]: row for row in session.rows(LIVE, (sorted({row[3] for row in edges if row[3] is not None}),))}
    found = [_need(file, name, how, live[attempt]) for file, name, how, attempt in edges if attempt in live]
    found += _planned(session, ids, {(one.id, one.attempt) for one in found}, after)
    return sorted(found)


def _need(file: int, name: str, how: str, attempt: dict[str, Any]) -> Need:
    called = attempt_name(attempt["unitname"], attempt["reqnum"], attempt["attnum"])
    return Need(file, name, how, called, tuple(attempt["tags"]))


def _planned(session: Session, ids: Sequence[int], known: Collection[tuple[int, str]], after: int) -> Iterator[Need]:
    """Yield what attempts that are not done are going to read."""
    unfinished = session.rows(UNFINISHED, (after,))
    if not unfinished:
        return
    rows = session.tuples("select id, filename, compression from desfile where id = any(%s)", (list(ids),))
    wanted = {(name, suffix): file for file, name, suffix in rows}
    for one in unfinished:
        called = attempt_name(one["unitname"], one["reqnum"], one["attnum"])
        for key in _files(session, one["plan_id"], one["attnum"]) & wanted.keys():
            if (wanted[key], called) not in known:
                yield Need(wanted[key], "".join(key), "in the plan of", called)


def _files(session: Session, plan_id: str, attnum: int) -> set[tuple[str, str]]:
    """Return the files that a plan names; of a plan of a hundred thousand quanta, in less than a second."""
    import msgspec

    class Files(msgspec.Struct):
        files: list[list[Any]]

    body = session.rows("select body from plan where plan_id = %s", (plan_id,))[0]["body"]
    text = bind_attempt(zlib.decompress(bytes(body)).decode(), attnum)
    return {(file[0], file[1]) for file in msgspec.json.decode(text, type=Files).files}

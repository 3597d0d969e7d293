"""Provenance graphs out of the registry: around a file, an attempt, a quantum or a tag, up, down or both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from facade.errors import InputError
from facade.graph import Execution, File, Graph
from facade.registry import finding, runs
from facade.registry.connection import Session
from facade.registry.runs import attempt_name

DEEPEST = 200
"""Steps that are walked at most."""

_UP = """select w.parent_desfile_id as id from opm_was_derived_from w where w.child_desfile_id = l.id
      union all
      select u.desfile_id from desfile made join opm_used u on u.task_id = made.wgb_task_id where made.id = l.id"""
_DOWN = """select w.child_desfile_id as id from opm_was_derived_from w where w.parent_desfile_id = l.id
      union all
      select made.id from opm_used u join desfile made on made.wgb_task_id = u.task_id where u.desfile_id = l.id"""
_STEPS = {"up": _UP, "down": _DOWN}

WALK = """
with recursive lineage (id, depth) as (
  select unnest(%(start)s::bigint[]), 0
  union
  select step.id, l.depth + 1 from lineage l cross join lateral ({step}) step where l.depth < %(depth)s
)
select id, min(depth) from lineage group by id
"""

FILES = """
select d.id, d.filename || d.compression, d.filetype, d.filesize, d.checksum, d.wgb_task_id,
       a.unitname, a.reqnum, a.attnum, l.archive_name, l.path
  from unnest(%(ids)s::bigint[]) w (id) join desfile d on d.id = w.id
  left join pfw_attempt a on a.id = d.pfw_attempt_id
  left join lateral (select archive_name, path from file_location where desfile_id = d.id order by 1 limit 1) l on true
 order by d.id
"""

EXECUTIONS = """
select t.id, t.kind::text, coalesce(e.name, t.name), e.argv, coalesce(e.version, ''), coalesce(q.modname, ''),
       q.wrapkeys, a.unitname, a.reqnum, a.attnum, coalesce(t.exec_host, p.exec_host, ''), coalesce(a.operator, ''),
       t.start_time, t.end_time, coalesce(e.exit_code, t.status)
  from unnest(%(ids)s::bigint[]) w (id) join task t on t.id = w.id
  left join pfw_exec e on e.task_id = t.id
  left join quantum q on q.task_id = coalesce(e.pfw_wrapper_task_id, t.id)
  left join task p on p.id = q.task_id
  left join pfw_attempt a on a.id = q.pfw_attempt_id
 order by t.id
"""

# by what read or was made, never by what was read: a calibration has been read by everybody (offset 0 insists)
USED = """
select u.task_id, u.desfile_id from unnest(%(executions)s::bigint[]) w (id)
 cross join lateral (select * from opm_used where task_id = w.id offset 0) u order by 1, 2
"""
DERIVED = """
select w.child_desfile_id, w.parent_desfile_id from unnest(%(ids)s::bigint[]) c (id)
 cross join lateral (select * from opm_was_derived_from where child_desfile_id = c.id offset 0) w order by 1, 2
"""


OF_ATTEMPT = "select id from desfile where pfw_attempt_id = %(attempt)s"
OF_QUANTUM = """
select d.id from quantum q join desfile d on d.wgb_task_id = q.task_id
 where q.pfw_attempt_id = %(attempt)s and q.wrapnum = %(wrapnum)s
 union
select d.id from quantum q join pfw_exec e on e.pfw_wrapper_task_id = q.task_id
  join desfile d on d.wgb_task_id = e.task_id
 where q.pfw_attempt_id = %(attempt)s and q.wrapnum = %(wrapnum)s
"""
OF_TAG = "select d.id from desfile d join proctag p on p.pfw_attempt_id = d.pfw_attempt_id where p.tag = %(about)s"


def graph(session: Session, about: str, directions: Sequence[str], depth: int | None = None) -> Graph:
    """Return the graph around what *about* names: a file, an attempt, ``ATTEMPT:WRAPNUM`` or a tag.

    *directions* are "up" (what it was made from) and "down" (what was made from it), *depth* is in steps from file to
    file. An execution is there with a file that it made; its inputs are, as far as *depth* goes.

    Raises:
        InputError: nothing is called so.
    """
    start = _start(session, about)
    depths = dict.fromkeys(start, 0)
    for direction in directions:
        wanted = {"start": start, "depth": DEEPEST if depth is None else depth}
        for file, steps in session.tuples(WALK.format(step=_STEPS[direction]), wanted):
            depths[file] = min(steps, depths.get(file, steps))
    ids = sorted(depths)
    files = {row[0]: _file(row, depths[row[0]]) for row in session.tuples(FILES, {"ids": ids})}
    makers = sorted({one.made_by for one in files.values() if one.made_by is not None})
    executions = {row[0]: _execution(row) for row in session.tuples(EXECUTIONS, {"ids": makers})}
    used, derived = session.tuples(USED, {"executions": makers}), session.tuples(DERIVED, {"ids": ids})
    return Graph(
        about=about,
        files=files,
        executions=executions,
        used=tuple((task, file) for task, file in used if file in files),
        derived=tuple((child, parent) for child, parent in derived if parent in files),
    )


def _start(session: Session, about: str) -> list[int]:
    """Return the files that *about* stands for."""
    name = about.rpartition("/")[2]
    by_name = "select id from desfile where (filename, compression) in %s"
    if found := session.tuples(by_name, (finding.keys(name),)):
        return [row[0] for row in found]
    attempt, _, wrapnum = about.partition(":")
    found_attempt = runs.attempt(session, attempt)
    if found_attempt is not None:
        number = {"attempt": found_attempt.id, "wrapnum": int(wrapnum) if wrapnum.isdecimal() else 0}
        if found := session.tuples(OF_QUANTUM if wrapnum.isdecimal() else OF_ATTEMPT, number):
            return [row[0] for row in found]
    if found := session.tuples(OF_TAG, {"about": about}):
        return [row[0] for row in found]
    raise InputError(
        f"no file, attempt, quantum or tag is called {about!r}",
        remedy=f"{finding.hint(session, name)}\n  an attempt is named as Ht0_r11p95, a quantum as Ht0_r11p95:17",
    )


def _file(row: Sequence[Any], depth: int) -> File:
    number, name, filetype, size, checksum, made_by, unit, reqnum, attnum, archive, path = row
    attempt = attempt_name(unit, reqnum, attnum) if unit is not None else ""
    return File(
        id=number, name=name, filetype=filetype, size=size, checksum=checksum, attempt=attempt, made_by=made_by,
        depth=depth, archive=archive or "", path=path,
    )  # fmt: skip


def _execution(row: Sequence[Any]) -> Execution:
    number, kind, name, argv, version, module, keys, unit, reqnum, attnum, host, operator, start, end, status = row
    return Execution(
        id=number, kind=kind, name=name, argv=tuple(argv or ()), version=version, module=module,
        keys=json.loads(keys) if keys else {}, attempt=attempt_name(unit, reqnum, attnum) if unit is not None else "",
        host=host, operator=operator, start=start, end=end, status=status,
    )  # fmt: skip

"""Which quantum made a file, and what the programs of an attempt were."""

from __future__ import annotations

from typing import NamedTuple

from facade.registry.connection import Session
from facade.registry.values import FileKey

MAKER = """
select q.pfw_attempt_id, q.wrapnum, q.modname, j.jobnum
  from desfile d
  left join pfw_exec e on e.task_id = d.wgb_task_id
  join quantum q on q.task_id = coalesce(e.pfw_wrapper_task_id, d.wgb_task_id)
  join pfw_job j on j.task_id = q.pfw_job_task_id
 where d.filename = %s and d.compression = %s
"""
VERSIONS = """
select e.name, coalesce(e.version, '') as version, count(*) as runs
  from pfw_exec e where e.pfw_attempt_id = %s group by 1, 2 order by 1, 2
"""


class Maker(NamedTuple):
    """A quantum that made a file."""

    attempt_id: int
    wrapnum: int
    module: str
    jobnum: int


class Version(NamedTuple):
    """A program that ran, what it said its version is, and how often that was."""

    name: str
    version: str
    runs: int


def maker(session: Session, file: FileKey) -> Maker | None:
    """Return the quantum that made a file; None if it was ingested, kept as junk, or is not registered."""
    rows = session.tuples(MAKER, file)
    return Maker._make(rows[0]) if rows else None


def programs(session: Session, attempt_id: int) -> dict[str, str]:
    """Return what each program of an attempt's plan was when the attempt was planned."""
    rows = session.rows("select programs from pfw_attempt where id = %s", (attempt_id,))
    return dict(rows[0]["programs"]) if rows else {}


def versions(session: Session, attempt_id: int) -> list[Version]:
    """Return which programs an attempt ran, in which version, how often."""
    return [Version._make(row) for row in session.tuples(VERSIONS, (attempt_id,))]

"""What a file was made from and what was made from it: one recursive question each (sql/queries/lineage-*.sql)."""

from __future__ import annotations

from typing import Any

from facade.registry import finding, questions
from facade.registry.connection import Session

EDGES = """
select 'used' as kind, t.name as effect, u.task_id as effect_task, d.filename || d.compression as cause
  from pfw_exec e join task t on t.id = e.task_id
  join opm_used u on u.task_id = e.task_id join desfile d on d.id = u.desfile_id
 where e.pfw_attempt_id = %(attempt)s
union all
select 'generated', d.filename || d.compression, d.wgb_task_id, t.name
  from desfile d join task t on t.id = d.wgb_task_id where d.pfw_attempt_id = %(attempt)s
union all
select 'derived', c.filename || c.compression, null, p.filename || p.compression
  from desfile c join opm_was_derived_from w on w.child_desfile_id = c.id join desfile p on p.id = w.parent_desfile_id
 where c.pfw_attempt_id = %(attempt)s
 order by 1, 3, 2, 4
"""


def ancestors(session: Session, filename: str) -> list[dict[str, Any]]:
    """Return what *filename* was made from, nearest first; raises InputError if it is not registered."""
    return _walk(session, "lineage-up", filename)


def descendants(session: Session, filename: str) -> list[dict[str, Any]]:
    """Return what was made from *filename*, nearest first; raises InputError if it is not registered."""
    return _walk(session, "lineage-down", filename)


def _walk(session: Session, question: str, filename: str) -> list[dict[str, Any]]:
    rows = questions.run_named(session, question, {"file": filename}).dicts()
    if not rows:
        raise finding.unknown(session, filename)
    return rows


def edges(session: Session, attempt_id: int) -> list[dict[str, Any]]:
    """Return an attempt's edges: kind, effect, effect_task, cause.

    ``used``: the task *effect* read file *cause*; ``generated``: task *cause* made file *effect* (effect_task is that
    task in both); ``derived``: file *effect* was made out of file *cause*.
    """
    return session.rows(EDGES, {"attempt": attempt_id})

"""In which archives files lie: what of an attempt is still to come home, and what was said of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from facade.registry.connection import Session
from facade.registry.values import FileKey

ASTRAY = """
with maker as (
  select q.task_id from quantum q join task t on t.id = q.task_id
   where q.pfw_attempt_id = %(attempt)s and t.state = 'succeeded'
  union select source_task_id from left_out where pfw_attempt_id = %(attempt)s and source_task_id is not null
), made as (
  select task_id from maker
  union all select e.task_id from pfw_exec e join maker m on m.task_id = e.pfw_wrapper_task_id
  union all select j.task_id from pfw_job j join task t on t.id = j.task_id
             where j.pfw_attempt_id = %(attempt)s and t.state = 'succeeded'
)
select d.id, d.filename, d.compression, d.filesize, d.checksum, l.path
  from made m
  join desfile d on d.wgb_task_id = m.task_id
  join file_location l on l.desfile_id = d.id and l.archive_name = %(source)s
 where d.id > %(after)s
   and not exists (select from file_location h where h.desfile_id = d.id and h.archive_name = %(home)s)
 order by d.id limit %(limit)s
"""


class Copy(NamedTuple):
    """A registered file that is to be copied from one archive to another, to the same folder; ``size`` in bytes."""

    id: int
    filename: str
    compression: str
    size: int
    checksum: str
    path: str

    @property
    def place(self) -> str:
        """Where it lies below the root of an archive."""
        return f"{self.path}/{self.filename}{self.compression}".lstrip("/")


def astray(session: Session, attempt_id: int, source: str, home: str, after: int, limit: int) -> list[Copy]:
    """Return files of an attempt, in the order of their ids from *after* on, that lie in archive *source* and not yet
    in *home*: those of quanta that succeeded, in this attempt or in one whose outputs it took."""
    wanted = {"attempt": attempt_id, "source": source, "home": home, "after": after, "limit": limit}
    return [Copy._make(row) for row in session.tuples(ASTRAY, wanted)]


def add(session: Session, archive: str, copies: Sequence[Copy]) -> None:
    """Note that *copies* lie in *archive* now."""
    session.rows("insert into archive (name) values (%s) on conflict do nothing", (archive,))
    session.rows(
        "insert into file_location (desfile_id, archive_name, path) select id, %s, path"
        " from unnest(%s::bigint[], %s::text[]) c (id, path) order by id on conflict do nothing",
        (archive, [one.id for one in copies], [one.path for one in copies]),
    )


def elsewhere(session: Session, names: Sequence[FileKey], archive: str, source: str) -> list[Copy]:
    """Return those of the registered files *names* that lie in *source* and not in *archive*, ordered by name."""
    rows = session.tuples(
        "select d.id, d.filename, d.compression, d.filesize, d.checksum, l.path"
        "  from unnest(%(names)s::text[], %(suffixes)s::text[]) n (filename, compression)"
        "  join desfile d using (filename, compression)"
        "  join file_location l on l.desfile_id = d.id and l.archive_name = %(source)s"
        " where not exists (select from file_location a where a.desfile_id = d.id and a.archive_name = %(archive)s)"
        " order by d.filename, d.compression",
        {
            "names": [name for name, _ in names],
            "suffixes": [compression for _, compression in names],
            "source": source,
            "archive": archive,
        },
    )
    return [Copy._make(row) for row in rows]


def note(session: Session, task_id: int, detail: str) -> None:
    """Write down something about a task, whose state stays as it is."""
    session.rows(
        "insert into task_event (task_id, run, state, at, detail)"
        " select id, run, state, clock_timestamp(), %s from task where id = %s",
        (detail, task_id),
    )


def noted(session: Session, task_id: int) -> str:
    """Return what was written down last about a task, "" if nothing was."""
    rows = session.rows(
        "select detail from task_event where task_id = %s and detail <> '' order by id desc limit 1", (task_id,)
    )
    return str(rows[0]["detail"]) if rows else ""

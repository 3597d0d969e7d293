"""What should lie in an archive, page by page; what is known of a name that was found there; and forgetting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from facade.registry.connection import Session
from facade.registry.finding import keys
from facade.registry.locations import Copy

REMOVING = 0xFACADE4  # key of the advisory lock: see `alone`
WHERE = """
  from file_location l join desfile d on d.id = l.desfile_id
 where l.archive_name = %(archive)s
   and (%(attempt)s::bigint is null or d.pfw_attempt_id = %(attempt)s)
   and (%(under)s = '' or l.path = %(under)s or starts_with(l.path, %(under)s || '/'))
"""
PAGE = (
    "select d.id, d.filename, d.compression, d.filesize, d.checksum, l.path"
    + WHERE
    + " and l.desfile_id > %(after)s order by l.desfile_id limit %(limit)s"
)
REGISTERED = """
select d.filename || d.compression, d.id, d.filename, d.compression, d.filesize, d.checksum, l.path
  from unnest(%(names)s::text[], %(suffixes)s::text[]) n (filename, compression)
  join desfile d using (filename, compression)
  left join file_location l on l.desfile_id = d.id and l.archive_name = %(archive)s
"""


class Registered(NamedTuple):
    """A registered file, as it is known; ``path`` is its folder in the archive that was asked about, if it has one."""

    id: int
    filename: str
    compression: str
    size: int
    checksum: str
    path: str | None

    @property
    def name(self) -> str:
        """Its name on disk."""
        return self.filename + self.compression


def page(session: Session, archive: str, after: int, limit: int, attempt: int | None, under: str) -> list[Copy]:
    """Return files that should lie in *archive* (of an attempt, below a folder), by id from *after* on."""
    values = {"archive": archive, "after": after, "limit": limit, "attempt": attempt, "under": under}
    return [Copy._make(row) for row in session.tuples(PAGE, values)]


def number(session: Session, archive: str, attempt: int | None, under: str) -> int:
    """Return how many there are."""
    values = {"archive": archive, "attempt": attempt, "under": under}
    return int(session.tuples(f"select count(*) {WHERE}", values)[0][0])


def registered(session: Session, archive: str, names: Sequence[str]) -> dict[str, Registered]:
    """Return name -> what is known of it, of those *names* (as on disk) that are registered."""
    wanted = [key for name in names for key in keys(name)]
    values = {"names": [key[0] for key in wanted], "suffixes": [key[1] for key in wanted], "archive": archive}
    return {row[0]: Registered._make(row[1:]) for row in session.tuples(REGISTERED, values)}


def forget(session: Session, archive: str, ids: Sequence[int]) -> int:
    """Note that files are no longer in *archive*; return how many were."""
    text = "delete from file_location where archive_name = %s and desfile_id = any(%s) returning desfile_id"
    return len(session.tuples(text, (archive, list(ids))))


@contextmanager
def alone(session: Session) -> Iterator[None]:
    """Let nobody else into such a block meanwhile; what is noted in it is noted at its end."""
    with session.transaction() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", (REMOVING,))
        yield

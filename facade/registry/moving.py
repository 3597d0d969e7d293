"""Taking a registry to another home: what was a laptop's goes on where a survey keeps its databases."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from facade.errors import RefusedError
from facade.registry.backup import ensure_empty, opened, restore, save, snapshot
from facade.registry.connection import Address, Cursor, Session
from facade.registry.definitions import MOVED, version
from facade.registry.dump import Label
from facade.registry.tally import Step, nothing, quoted

OWNED = "select pg_has_role(datdba, 'usage') as owned from pg_database where datname = current_database()"
UNFINISHED = """
select public.attempt_name(a) as name
  from public.pfw_attempt a join public.task t on t.id = a.task_id
 where t.state in ('planned', 'staging', 'running', 'saving') order by a.id limit 6"""


def move(source: Address, target: Address, path: Path, step: Step = nothing) -> Label:
    """Make the registry at *source* anew at *target*, by a backup in *path* (which stays), and close the old one.

    While it lasts the old one can be read only; in the end it says where the registry is now, and takes no more writes.

    Raises:
        RefusedError: attempts are not finished, the new home is not empty, or the old one has moved already, or is not
            ours to close.
        InputError, RegistryError: as `backup` and `restore`; then the old registry goes on.
    """
    with closing(Session(source)) as session:
        version(session)  # refused, if it has moved already
        if not session.rows(OWNED)[0]["owned"]:
            message = f"the database at {source.place} belongs to somebody else, so it cannot be closed"
            raise RefusedError(message, remedy="log in as its owner; or use 'facade db backup' and 'facade db restore'")
    with opened(target) as cursor:
        ensure_empty(cursor, target)
    with snapshot(source, still=True) as cursor:
        cursor.execute(UNFINISHED)
        if found := [row["name"] for row in cursor.fetchall()]:
            shown = ", ".join(found[:5]) + (" …" if found[5:] else "")
            remedy = "wait until they are done, or stop them with 'facade remove': their jobs report to the old home"
            raise RefusedError(f"attempts are not finished: {shown}", remedy=remedy)
        label = save(source, cursor, path, step)
        restore(target, path, step)
        _close(cursor, target)
    return label


def _close(cursor: Cursor, target: Address) -> None:
    """Leave word where the registry is now, and let nobody write any more who comes later or waits for us."""
    cursor.execute("select current_database() as name")
    row = cursor.fetchone()
    assert row is not None
    name = quoted(row["name"])
    cursor.execute(f"comment on database {name} is %s", (MOVED + target.url,))
    cursor.execute(f"alter database {name} set default_transaction_read_only = on")
    cursor.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pg_backend_pid() = any(pg_blocking_pids(pid))"
    )

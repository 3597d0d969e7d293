"""Taking a registry to another home: what was a laptop's goes on where a survey keeps its databases."""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path

from facade.errors import RefusedError, some
from facade.registry.backup import ensure_empty, opened, restore, save, snapshot
from facade.registry.connection import Address, Cursor, Session
from facade.registry.definitions import MOVED, version
from facade.registry.dump import Label
from facade.registry.tally import Step, differences, nothing, quoted, tally

OWNED = "select pg_has_role(datdba, 'usage') as owned from pg_database where datname = current_database()"
APART = "select pg_try_advisory_xact_lock(%s) as other, current_setting('transaction_read_only') as fixed"
UNFINISHED = """
select public.attempt_name(a) as name
  from public.pfw_attempt a join public.task t on t.id = a.task_id
 where t.state in ('planned', 'staging', 'running', 'saving') order by a.id limit 6"""


def move(source: Address, target: Address, path: Path, step: Step = nothing) -> Label:
    """Make the registry at *source* anew at *target*, by a backup in *path* (which stays), and close the old one.

    While it lasts the old one can be read only; in the end it says where the registry is now, and takes no more writes.
    If *target* has the same rows already, because an earlier move was killed before its last step, that step is taken.

    Raises:
        RefusedError: attempts are not finished, the new home has something else, or the old one has moved already, or
            is not ours to close.
        InputError, RegistryError: as `backup` and `restore`; then the old registry goes on.
    """
    from facade.registry import schema  # costs Alembic

    with closing(Session(source)) as session:
        version(session)  # refused, if it has moved already
        if not session.rows(OWNED)[0]["owned"]:
            message = f"the database at {source.place} belongs to somebody else, so it cannot be closed"
            raise RefusedError(message, remedy="log in as its owner; or use 'facade db backup' and 'facade db restore'")
    with closing(Session(target)) as session:
        there = version(session) is not None  # refused, if it is the old home of a registry that has moved
    if not there:
        with opened(target) as cursor:
            ensure_empty(cursor, target)
    with snapshot(source, still=True) as cursor:
        cursor.execute(UNFINISHED)
        if found := [row["name"] for row in cursor.fetchall()]:
            shown = ", ".join(found[:5]) + (" …" if found[5:] else "")
            remedy = "wait until they are done, or stop them with 'facade remove': their jobs report to the old home"
            raise RefusedError(f"attempts are not finished: {shown}", remedy=remedy)
        if there:
            _ensure_same(cursor, target, step)
            schema.upgrade(target)  # what else a restore ends with
        label = save(source, cursor, path, step)
        if not there:
            restore(target, path, step)
        _close(cursor, target)
    return label


def _ensure_same(cursor: Cursor, target: Address, step: Step) -> None:
    """Make sure that the registry at *target* is another one, takes writes, and has the rows that *cursor* sees.

    Raises:
        RefusedError: it is not so.
    """
    key = (secrets.randbits(62),)
    cursor.execute("select pg_advisory_xact_lock(%s)", key)
    with opened(target) as other:
        # a lock that is taken already is taken in the same database
        other.execute(APART, key)
        row = other.fetchone()
        assert row is not None
        if not row["other"]:
            raise RefusedError(f"the registry is in the database at {target.place} already")
        if row["fixed"] == "on":
            raise RefusedError(f"the database at {target.place} can only be read")
        if told := differences(tally(cursor, step), tally(other, step)):
            remedy = (
                "name an empty database; if an earlier move that was cut short left it, and nobody has used it since:"
                f" FACADE_DB={target.url} facade db downgrade base --with-data"
            )
            raise RefusedError(f"there is another registry at {target.place}: {some(told, 5)}", remedy=remedy)


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

"""Saving a registry into a file, and making one from it: by PostgreSQL's own programs, all or nothing, compared."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, cast

from facade.errors import FacadeError, InputError, RefusedError, RegistryError
from facade.registry import binaries, dump, roles
from facade.registry.connection import LOCKED, Address, Connection, Cursor, StatementError, connect, translated
from facade.registry.definitions import known_versions
from facade.registry.dump import BLOCK, Label
from facade.registry.tally import PASSWORDS, Step, differences, nothing, quoted, tables, tally

OLDEST = 14
PATIENCE = 60
"""Seconds that a registry which is to stand still waits for those who write to it."""
RESTORING = 0xFACADE3  # key of the advisory lock: two processes that restore at once go one after the other
_SAVING = re.compile(r'dumping contents of table "public\.(.*)"')
THINGS = """
select c.relname::text as name from pg_class c
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
   and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
 order by c.relkind <> 'r', 1 limit 4"""


def backup(address: Address, path: Path, step: Step = nothing) -> Label:
    """Save the registry at *address* as it is now, whoever writes meanwhile; the file has its name when it is whole.

    It has been read back then, and every table in it has as many rows as in the registry at that moment.

    Raises:
        RefusedError: *path* exists.
        RegistryError: there is no registry, no program to save it, or not all of it could be saved.
    """
    with snapshot(address) as cursor:
        return save(address, cursor, path, step)


@contextmanager
def snapshot(address: Address, *, still: bool = False) -> Iterator[Cursor]:
    """Give a transaction that sees the registry at *address* as it is at one moment.

    *still* keeps it so: until the end of the block others can only read, and the transaction may write.

    Raises:
        RegistryError: the database cannot be reached.
        RefusedError: somebody writes for long.
    """
    with (
        _unlocked(),
        closing(connect(address)) as connection,
        translated(),
        connection.cursor(cursor_factory=Cursor) as cursor,
    ):
        names = ", ".join(f"public.{quoted(name)}" for name in tables(cursor))
        begin = "begin isolation level repeatable read" + ("" if still else " read only")
        if still and names:
            # before anything that would settle what the transaction sees
            begin += f"; set local lock_timeout = '{PATIENCE}s'; lock table {names} in share mode"
        with _transaction(cursor, begin + "; set local idle_in_transaction_session_timeout = 0"):
            yield cursor


@contextmanager
def _unlocked() -> Iterator[None]:
    try:
        yield
    except StatementError as error:
        if error.sqlstate != LOCKED:
            raise
        remedy = "wait until ingestions and submissions have ended ('facade stat'), and say it again"
        raise RefusedError(f"somebody has been writing to the registry for {PATIENCE} s", remedy=remedy) from error


@contextmanager
def opened(address: Address) -> Iterator[Cursor]:
    """Give a transaction of the database at *address*: all of it, or nothing."""
    with (
        closing(connect(address)) as connection,
        translated(),
        connection.cursor(cursor_factory=Cursor) as cursor,
        _transaction(cursor, "begin"),
    ):
        yield cursor


@contextmanager
def _transaction(cursor: Cursor, begin: str) -> Iterator[None]:
    try:
        cursor.execute(begin)
        yield
        cursor.execute("commit")
    except BaseException:
        with suppress(Exception):
            cursor.execute("rollback")
        raise


def save(address: Address, cursor: Cursor, path: Path, step: Step = nothing) -> Label:
    """Save what the transaction of *cursor* sees; see `backup`."""
    if os.path.lexists(path):
        raise RefusedError(f"{path} exists", remedy="choose another name; no backup is ever overwritten")
    server = major(cursor.connection)
    program = binaries.client("pg_dump", server)
    version = _version(address, cursor)
    cursor.execute("select pg_export_snapshot() as name")
    shown = _one(cursor)["name"]
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    argv = [
        str(program), f"--dbname={address.url}", "--no-password", f"--snapshot={shown}", "--format=custom",
        "--schema=public", f"--exclude-table-data=public.{PASSWORDS}", "--no-owner", "--no-privileges",
        "--no-publications", "--no-subscriptions", "--no-security-labels", "--no-tablespaces", "--compress=1",
        "--verbose", f"--file={draft}",
    ]  # fmt: skip
    environment = os.environ | {"LC_ALL": "C"} | ({"PGPASSFILE": str(address.passfile)} if address.passfile else {})
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    try:
        with _running(argv, environment, step, len(tables(cursor))):
            held = tally(cursor)
        size, sha256 = _digest(draft)
        label = Label(
            datetime.now(UTC).isoformat(timespec="seconds"), address.place, version, server, size, sha256, held
        )
        check(draft, label, step)
        with draft.open("ab") as file:
            file.write(label.line())
            file.flush()
            os.fsync(file.fileno())
        _name(draft, path)
    except OSError as error:
        raise FacadeError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return label


def _name(draft: Path, path: Path) -> None:
    """Give the file its name, unless somebody else has taken it meanwhile."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise RefusedError(f"{path} exists", remedy="choose another name; no backup is ever overwritten") from None
    except OSError:  # a file system without hard links
        draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _running(argv: list[str], environment: dict[str, str], step: Step, total: int) -> Iterator[None]:
    """Run pg_dump beside the block, to the end of both; tell when it comes to each of the *total* tables."""
    process = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True, errors="replace")
    words: list[str] = []

    def listen() -> None:
        assert process.stderr is not None
        saved = 0
        for line in process.stderr:
            words[:] = [*words[-9:], line.strip()]
            if found := _SAVING.search(line):
                step(f"saving {found[1]}", saved, total)
                saved += 1

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield
        code = process.wait()
        listener.join()
        if code:
            told = [word for word in words if "error" in word or "detail" in word.lower()] or words
            raise RegistryError(f"pg_dump saved nothing: {' '.join(told)}")
    finally:
        process.kill()
        process.wait()
        listener.join()
        assert process.stderr is not None
        process.stderr.close()


def check(path: Path, label: Label, step: Step = nothing) -> None:
    """Read a dump back, all of it.

    Raises:
        RegistryError: it cannot be read, or tables in it have other numbers of rows than *label* says.
    """
    found = dict.fromkeys(label.tally, 0)
    for number, one in enumerate(rows for rows in dump.data(path, label.server) if isinstance(rows, dump.Rows)):
        step(f"reading back {one.table}", number, len(found))
        while one.read():
            pass
        found[one.table] = one.count
    wrong = [
        f"{name} {found[name]} instead of {one.rows}" for name, one in label.tally.items() if found[name] != one.rows
    ]
    if wrong:
        raise RegistryError(f"the backup does not hold what the registry does: {'; '.join(wrong)}")


def restore(address: Address, path: Path, step: Step = nothing) -> Label:
    """Make the registry that was saved in *path* in the empty database at *address*; in the end it has this facade's
    version, and its roles their rights.

    All in one transaction, at whose end every table is compared with what was saved: whatever happens, the database
    holds all of the registry, or stays empty.

    Raises:
        InputError: *path* is no backup, or one of a newer facade.
        RefusedError: the database is not empty.
        RegistryError: it cannot be reached, or refuses; or what it has then is not what was saved.
    """
    from facade.registry import schema  # costs Alembic

    label = dump.read_label(path)
    if label.version not in known_versions():
        remedy = "restore it with the facade that made it, or a newer one"
        raise InputError(f"{path} was made by a newer facade (tables of version {label.version})", remedy=remedy)
    step("reading the file", 0, 0)
    if _digest(path, label.size) != (label.size, label.sha256):
        raise InputError(f"{path} is damaged: its content is not what was saved", remedy="take another copy of it")
    with opened(address) as cursor:
        ensure_empty(cursor, address)
        _fill(cursor, path, label, step)
        cursor.execute("set local search_path = public")
        if told := differences(dict(label.tally), tally(cursor, step)):
            raise RegistryError(
                f"what was restored is not what was saved: {'; '.join(told)}", remedy="nothing of it stays"
            )
        _give_rights(cursor)
        step("making it last", 0, 0)
    schema.upgrade(address)
    return label


def ensure_empty(cursor: Cursor, address: Address) -> None:
    """Lock the database against others who restore, and see to it that it is fit and empty.

    Raises:
        RefusedError: it is not.
    """
    cursor.execute("select pg_advisory_xact_lock(%s)", (RESTORING,))
    if major(cursor.connection) < OLDEST:
        raise RefusedError(f"the server at {address.place} is older than PostgreSQL {OLDEST}")
    cursor.execute("select getdatabaseencoding() as name")
    if (encoding := _one(cursor)["name"]) != "UTF8":
        remedy = "make one with: create database … encoding 'UTF8' template template0"
        raise RefusedError(f"the database at {address.place} has encoding {encoding}", remedy=remedy)
    cursor.execute(THINGS)
    if found := [row["name"] for row in cursor.fetchall()]:
        raise RefusedError(
            f"the database at {address.place} is not empty: it has {', '.join(found[:3])}{' …' if found[3:] else ''}",
            remedy="name an empty one; tables of facade without a row go with 'facade db downgrade base'",
        )


def _fill(cursor: Cursor, path: Path, label: Label, step: Step) -> None:
    server = major(cursor.connection)
    for text in dump.statements(path, "pre-data", server):
        cursor.execute(text)
    done = 0
    for one in dump.data(path, server):
        if isinstance(one, str):
            cursor.execute(one)
            continue
        step(f"restoring {one.table}", done, len(label.tally))
        cursor.copy_expert(one.statement, cast(IO[bytes], one), BLOCK)  # which only reads
        done += 1
    after = dump.statements(path, "post-data", server)
    for number, text in enumerate(after):
        step("making indexes", number, len(after))
        cursor.execute(text)
    step("making statistics", 0, 0)
    for name in label.tally:
        cursor.execute(f"analyze public.{quoted(name)}")


def _give_rights(cursor: Cursor) -> None:
    """Make the roles of this database and give them their rights, as far as its server lets us."""
    cursor.execute("savepoint rights")
    try:
        with translated():
            roles.apply(cursor)
    except FacadeError:
        cursor.execute("rollback to savepoint rights")


def major(connection: Connection) -> int:
    """Return the major version of the server."""
    return int(connection.info.server_version) // 10000


def _version(address: Address, cursor: Cursor) -> str:
    cursor.execute("select to_regclass('public.alembic_version') is not null as made")
    if not _one(cursor)["made"]:
        raise RegistryError(f"there is no registry in the database at {address.place}")
    cursor.execute("select version_num from public.alembic_version")
    return str(_one(cursor)["version_num"])


def _digest(path: Path, size: int | None = None) -> tuple[int, str]:
    """Return size and SHA-256 of a file, or of its first *size* bytes."""
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK if size is None else min(BLOCK, size - length)):
            digest.update(block)
            length += len(block)
    return length, digest.hexdigest()


def _one(cursor: Cursor) -> dict[str, object]:
    row = cursor.fetchone()
    assert row is not None
    return dict(row)

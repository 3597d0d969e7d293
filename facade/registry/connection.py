"""The only module that knows the database driver: connections, transactions, and its errors as ours.

Must not import SQLAlchemy at the top: every job process pays for what this module imports.
"""

from __future__ import annotations

import io
import random
import re
import select
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import psycopg2
from psycopg2 import extensions, extras, sql

from facade.errors import FacadeError, InputError, RefusedError, RegistryError
from facade.registry.address import Address as Address
from facade.registry.address import write_passfile as write_passfile

if TYPE_CHECKING:
    from sqlalchemy import Engine

Connection = extensions.connection
Cursor = extras.RealDictCursor
Result = TypeVar("Result")

OTHER_CONTENT, UNKNOWN_TASK = "ZF001", "ZF002"
"""SQLSTATEs that sql/report.sql raises: a file clashes, or would be made from
itself; a line names something that was never registered."""
DENIED = "42501"
"""SQLSTATE of what a role may not do."""
DEADLOCK, LOCKED = "40P01", "55P03"
"""SQLSTATEs of two who wait for each other, and of a lock that somebody had for too long."""

TOO_LONG = "54000"
"""SQLSTATE of what does not fit into an index."""

PASSING = frozenset({"08", "53", "57", "58"})
"""SQLSTATE classes that say more about the server's day than about the statement."""

PATIENCE = 60.0
"""Seconds that `connect` waits for a server whose connections are all taken: other clients end."""
_FULL = re.compile("too many (clients|connections)|remaining connection slots")


class UnreachableError(RegistryError):
    """The server does not answer, went away, or has no room: trying later may help."""


class StatementError(RegistryError):
    """The server refused a statement; ``sqlstate`` says why."""

    def __init__(self, message: str, *, sqlstate: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.sqlstate = sqlstate


def repeated(action: Callable[[int], Result], states: Collection[str], pauses: Sequence[float]) -> Result:
    """Return what ``action(number of the try)`` does; if it ends by one of *states*, try again after each of *pauses*.

    The numbers begin at 0, the pauses are in seconds.

    Raises:
        StatementError: by another state, or at the last try.
    """
    for number, pause in enumerate(pauses):
        try:
            return action(number)
        except StatementError as error:
            if error.sqlstate not in states:
                raise
        time.sleep(pause)
    return action(len(pauses))


def connect(address: Address, timeout: float = 10, *, patience: float = PATIENCE) -> Connection:
    """Return a new connection in autocommit mode; *timeout* in seconds is for connecting (libpq's least is 2).

    *patience* in seconds is for a server that has all the clients it can take. A connection carries no settings of its
    own: behind a pooler, each transaction may meet another session of the server.

    Raises:
        UnreachableError: nobody answers there, or there was no room for all that time.
        RegistryError: the server refuses us; the message says what to do.
    """
    settings: dict[str, Any] = {
        "connect_timeout": max(2, int(timeout)),
        "application_name": "facade",
        "client_encoding": "UTF8",
        "keepalives_idle": 60,
    }
    if address.password:
        settings["password"] = address.password
    elif address.passfile:
        settings["passfile"] = str(address.passfile)
    deadline = time.monotonic() + patience
    while True:
        try:
            connection: Connection = psycopg2.connect(address.url, cursor_factory=Cursor, **settings)
            break
        except psycopg2.Error as error:
            reason = str(error).strip()
            if not _FULL.search(reason) or time.monotonic() >= deadline:
                raise _refused(address, reason) from None
        time.sleep(random.uniform(0.1, 0.5))  # whoever waits must not come back all at once
    connection.autocommit = True
    for kind in (_TIMESTAMP, _TIMESTAMPS):
        extensions.register_type(kind, connection)
    if connection.info.parameter_status("TimeZone") not in ("UTC", "Etc/UTC"):
        with connection.cursor() as cursor:  # the one setting that poolers keep with their clients
            cursor.execute("set timezone = 'UTC'")
    return connection


def _utc(text: str | bytes | None, cursor: Any) -> datetime | None:
    """Read a time; whatever time zone the server writes, Python sees UTC."""
    moment: datetime | None = extensions.PYDATETIMETZ(text, cursor)
    return moment.astimezone(UTC) if moment is not None and moment.utcoffset() else moment


_TIMESTAMP = extensions.new_type((1184,), "TIMESTAMP IN UTC", _utc)
_TIMESTAMPS = extensions.new_array_type((1185,), "TIMESTAMPS IN UTC", _TIMESTAMP)


def set_password(cursor: Cursor, role: str, password: str) -> None:
    """Let *role* log in with *password*, which is sent as the server keeps it: a server may log its statements."""
    kept = extensions.encrypt_password(password, role, scope=cursor.connection, algorithm="scram-sha-256")
    words = sql.SQL("alter role {} login password {}").format(sql.Identifier(role), sql.Literal(kept))
    cursor.execute(words)


def engine(address: Address) -> Engine:
    """Return a SQLAlchemy engine over `connect`; what the driver raises comes out as our errors."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.pool import NullPool

    def opened() -> Connection:
        connection = connect(address)
        connection.autocommit, connection.cursor_factory = False, extensions.cursor
        return connection

    made = create_engine("postgresql+psycopg2://", creator=opened, poolclass=NullPool)

    @event.listens_for(made, "handle_error")
    def handle(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, psycopg2.Error):
            raise translate(context.original_exception) from context.original_exception

    return made


def _refused(address: Address, reason: str) -> RegistryError:
    first = reason.partition("\n")[0].rpartition("failed: ")[2] or "no reason given"
    if "password authentication failed" in reason or "no password supplied" in reason:
        remedy = f"see the password in {address.passfile or 'PGPASSFILE or ~/.pgpass'}"
        return RegistryError(f"the database at {address.place} refuses the login", remedy=remedy)
    if "does not exist" in reason:
        return RegistryError(f"the database at {address.place} refuses: {first}", remedy="see 'facade db status'")
    if _FULL.search(reason):
        remedy = "wait until other clients have ended, or raise the server's max_connections"
        return UnreachableError(f"the database at {address.place} has no room: {first}", remedy=remedy)
    return UnreachableError(
        f"the database at {address.place} does not answer: {first}",
        remedy="start facade's own server with 'facade db start', or see FACADE_DB",
    )


def translate(error: psycopg2.Error) -> FacadeError:
    """Return *error* of the driver as one of ours, with what to do about it."""
    diagnosis = error.diag
    state = error.pgcode or ""
    message = diagnosis.message_primary or str(error).strip() or type(error).__name__
    if state == OTHER_CONTENT:
        return RefusedError(message, remedy=diagnosis.message_hint or "")
    if state == "25006":
        return RefusedError(f"this question may only read: {message}")
    if not state or state[:2] in PASSING:
        return UnreachableError(f"the database went away: {message}", remedy="see 'facade db status'")
    if state in ("42P01", "42883", "3F000"):
        return StatementError(
            f"the database does not have what this facade needs: {message}",
            sqlstate=state,
            remedy="bring it up to date with 'facade db upgrade'",
        )
    if state == TOO_LONG:
        return StatementError(
            "the registry cannot look things up by so long a text",
            sqlstate=state,
            remedy="names and paths have 2,000 characters at most",
        )
    if state == DENIED:
        return StatementError(
            f"the database role may not do this: {message}",
            sqlstate=state,
            remedy="log in as one that may; docs/database.md says which role is for what",
        )
    detail = f" ({diagnosis.message_detail})" if diagnosis.message_detail else ""
    return StatementError(f"the database refused: {message}{detail}", sqlstate=state)


@contextmanager
def translated() -> Iterator[None]:
    """Let no driver error through: see `translate`."""
    try:
        yield
    except psycopg2.Error as error:
        raise translate(error) from error
    except ValueError as error:  # what the driver refuses before the server sees it
        if isinstance(error, UnicodeEncodeError) or "NUL" in str(error):
            raise InputError("a text holds NULs or bytes that are no text: no database keeps those") from error
        raise


class Session:
    """One connection, made when first needed and made anew after the server went away."""

    def __init__(self, address: Address, *, patience: float = PATIENCE) -> None:
        self.address = address
        self._patience = patience
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        """Return the live connection."""
        if self._connection is not None and _hung_up(self._connection):
            self.close()
        if self._connection is None:
            self._connection = connect(self.address, patience=self._patience)
        return self._connection

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self, *, begin: str = "begin", bare: bool = False) -> Iterator[Cursor]:
        """Run one transaction: committed at the end of the block, rolled back if it raises.

        The rows of a *bare* cursor are tuples: two columns may have one name.

        Raises:
            RegistryError, RefusedError: what `translate` makes of the driver's errors.
        """
        connection = self.connection()
        with translated(), connection.cursor(cursor_factory=extensions.cursor if bare else Cursor) as cursor:
            cursor.execute(begin)
            try:
                yield cast(Cursor, cursor)
                cursor.execute("commit")
            except BaseException:
                with suppress(psycopg2.Error):
                    cursor.execute("rollback")
                raise

    def rows(self, statement: str, params: Mapping[str, Any] | Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Run one statement in a transaction of its own; return its rows (none, if it returns no rows)."""
        with translated(), self.connection().cursor() as cursor:
            cursor.execute(statement, params)
            return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def tuples(self, statement: str, params: Mapping[str, Any] | Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of one statement as bare tuples: for a hundred thousand of them."""
        with translated(), self.connection().cursor(cursor_factory=extensions.cursor) as cursor:
            cursor.execute(statement, params)
            return cursor.fetchall()


def _hung_up(connection: Connection) -> bool:
    """Tell whether the server has gone from an idle connection: only a farewell makes it readable."""
    if connection.closed:
        return True
    if connection.info.transaction_status != extensions.TRANSACTION_STATUS_IDLE:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def copy(cursor: Cursor, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Load *rows* into *table* with COPY; a value is None, text, a number, or anything that ``str`` makes text."""
    text = io.StringIO()
    text.writelines("\t".join(map(_copied, row)) + "\n" for row in rows)
    text.seek(0)
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    cursor.copy_expert(statement, text)


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": None})


def _copied(value: Any) -> str:
    if type(value) is int:
        return str(value)
    if value is None:
        return "\\N"
    text = value if type(value) is str else str(value)
    # nearly every text is plain, and to see that costs a tenth of a translation
    return text if text.isprintable() and "\\" not in text else text.translate(_ESCAPES)

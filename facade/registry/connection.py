"""The only module that knows the database driver: addresses, connections, transactions, and its errors as ours.

Must not import SQLAlchemy at the top: every job process pays for what this module imports.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import re
import select
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import psycopg2
from psycopg2 import extensions, extras
from psycopg2 import sql as composed

from facade.errors import FacadeError, InputError, RefusedError, RegistryError

if TYPE_CHECKING:
    from sqlalchemy import Engine

Connection = extensions.connection
Cursor = extras.RealDictCursor

OTHER_CONTENT, UNKNOWN_TASK = "ZF001", "ZF002"
"""SQLSTATEs that sql/report.sql raises: a file clashes; a line names something that was never registered."""

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


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is: a URL that anybody may see, and the file that holds the password."""

    url: str
    passfile: Path | None = None

    @classmethod
    def parse(cls, url: str, home: Path) -> Address:
        """Return the address of *url*; a password in it moves to a file of mode 0600 below *home*/credentials.

        Raises:
            InputError: *url* is not a PostgreSQL URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("postgresql", "postgres"):
            raise InputError(
                "not the URL of a PostgreSQL database", remedy="write postgresql://USER@HOST:PORT/DATABASE"
            )
        options = parse_qsl(parts.query, keep_blank_values=True)
        login, at, place = parts.netloc.rpartition("@")
        user, colon, password = login.partition(":")
        if not colon:
            password = quote(dict(options).get("password", ""))
        kept = urlencode([(key, value) for key, value in options if key != "password"], safe="/")
        shown = f"postgresql://{user}{at}{place}{parts.path}" + (f"?{kept}" if kept else "")
        if not password:
            return cls(shown)
        name = hashlib.sha256(shown.encode()).hexdigest()[:16]
        passfile = home / "credentials" / f"{name}.pgpass"
        write_passfile(passfile, ["*"], unquote(user) or "*", unquote(password))
        return cls(shown, passfile)

    @classmethod
    def received(cls, environment: Mapping[str, str]) -> Address | None:
        """Return the address that `environment` of another process handed on, or None."""
        url, passfile = environment.get("FACADE_DB"), environment.get("PGPASSFILE")
        return cls(url, Path(passfile) if passfile else None) if url else None

    def environment(self) -> dict[str, str]:
        """Return the environment variables that take this address to another process; no secret is among them."""
        return {"FACADE_DB": self.url} | ({"PGPASSFILE": str(self.passfile)} if self.passfile else {})

    @property
    def local(self) -> bool:
        """True if only this machine reaches it: by a socket, or by its own address for itself."""
        parts = urlsplit(self.url)
        host = dict(parse_qsl(parts.query)).get("host", "") or parts.hostname or ""
        return not host or host.startswith("/") or host in ("localhost", "::1") or host.startswith("127.")

    @property
    def place(self) -> str:
        """Return host, port and database, for messages."""
        parts = urlsplit(self.url)
        return f"{parts.netloc.rpartition('@')[2] or 'local socket'}{parts.path}"


def write_passfile(path: Path, hosts: Sequence[str], user: str, password: str) -> None:
    """Write a libpq password file of mode 0600, in one move, in a folder of mode 0700."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    escaped = [text.replace("\\", "\\\\").replace(":", "\\:") for text in (user, password)]
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.writelines(f"{host}:*:*:{':'.join(escaped)}\n" for host in hosts)
    draft.replace(path)


def connect(address: Address, timeout: float = 10, *, options: str = "", patience: float = PATIENCE) -> Connection:
    """Return a new connection in autocommit mode; *timeout* in seconds is for connecting (libpq's least is 2).

    *options* are server settings, such as ``-c synchronous_commit=off``. *patience* in seconds is for a server that has
    all the clients it can take.

    Raises:
        UnreachableError: nobody answers there, or there was no room for all that time.
        RegistryError: the server refuses us; the message says what to do.
    """
    settings: dict[str, Any] = {
        "connect_timeout": max(2, int(timeout)),
        "application_name": "facade",
        "options": f"-c timezone=UTC {options}",
        "keepalives_idle": 60,
    }
    if address.passfile:
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
    return connection


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
    if state == "42501":
        return StatementError(f"the database role may not do this: {message}", sqlstate=state)
    detail = f" ({diagnosis.message_detail})" if diagnosis.message_detail else ""
    return StatementError(f"the database refused: {message}{detail}", sqlstate=state)


@contextmanager
def translated() -> Iterator[None]:
    """Let no driver error through: see `translate`."""
    try:
        yield
    except psycopg2.Error as error:
        raise translate(error) from error


class Session:
    """One connection, made when first needed and made anew after the server went away."""

    def __init__(self, address: Address, *, options: str = "", patience: float = PATIENCE) -> None:
        self.address = address
        self._options, self._patience = options, patience
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        """Return the live connection."""
        if self._connection is not None and _hung_up(self._connection):
            self.close()
        if self._connection is None:
            self._connection = connect(self.address, options=self._options, patience=self._patience)
        return self._connection

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self, *, begin: str = "begin") -> Iterator[Cursor]:
        """Run one transaction: committed at the end of the block, rolled back if it raises.

        Raises:
            RegistryError, RefusedError: what `translate` makes of the driver's errors.
        """
        connection = self.connection()
        with translated(), connection.cursor(cursor_factory=Cursor) as cursor:
            cursor.execute(begin)
            try:
                yield cursor
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
    statement = composed.SQL("copy {} ({}) from stdin").format(
        composed.Identifier(table), composed.SQL(", ").join(map(composed.Identifier, columns))
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

"""The roles of a database beside its owner: making them, and logging in as them for jobs and for questions.

What each may do is said in sql/roles.sql. A database whose roles could not be made works with one login for everything.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from facade.errors import RegistryError
from facade.registry.address import Address, url_of, write_passfile
from facade.registry.connection import (
    DENIED,
    Connection,
    Cursor,
    Session,
    StatementError,
    UnreachableError,
    connect,
    set_password,
)

KINDS = ("job", "submit", "reader")
LOGINS = ("job", "reader")
"""Those as whom facade logs in by itself; submit is a group, which an administrator grants to operators."""
LONGEST = 63  # bytes of a name
UNDEFINED = ("42P01", "42883")
ROUTE = ("host", "hostaddr", "port", "dbname", "sslrootcert", "sslcrl", "require_auth", "require_peer")
DEFAULTS = {
    "sslmode": "prefer",
    "sslnegotiation": "postgres",
    "ssl_min_protocol_version": "TLSv1.2",
    "channel_binding": "prefer",
    "gssencmode": "prefer",
    "target_session_attrs": "any",
    "load_balance_hosts": "disable",
}
"""Connection parameters that hold for every role, with what libpq takes for them by itself."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of a database: kind -> name, of those that there are; and what is not as it should be."""

    names: Mapping[str, str]
    problems: tuple[str, ...]


def names(database: str) -> dict[str, str]:
    """Return what the roles of *database* are called; names belong to the server, so they begin with the database's.

    >>> names("sky")["job"]
    'sky_job'
    """
    longest = LONGEST - max(len(kind) + 1 for kind in KINDS)
    if len(database.encode()) > longest:
        digest = hashlib.sha256(database.encode()).hexdigest()[:8]
        database = database.encode()[: longest - 9].decode(errors="ignore") + "_" + digest
    return {kind: f"{database}_{kind}" for kind in KINDS}


def apply(cursor: Cursor) -> None:
    """Make the roles that are missing, if this login may, and give all their rights anew; safe to repeat.

    What could not be done is told by `state`. Runs inside the transaction of *cursor*.
    """
    cursor.execute(
        "select current_database() as database,"
        " (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) as makes,"
        " pg_has_role((select relowner from pg_class where oid = 'task'::regclass), 'usage') as owns"
    )
    here = _one(cursor)
    wanted = names(here["database"])
    made, strange = _present(cursor, here["database"], wanted)
    complete = len(made) == len(wanted)
    if strange or not here["owns"] or not (complete or here["makes"]):
        return
    for kind, name in wanted.items():
        if kind not in made:
            _make(cursor, here["database"], name)
    if here["makes"]:
        _give_passwords(cursor, wanted)
    cursor.execute("select give_rights(%(job)s, %(submit)s, %(reader)s)", wanted)


def _present(cursor: Cursor, database: str, wanted: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return those of the *wanted* roles that there are, and the names of those that are not this database's."""
    cursor.execute(
        "select rolname::text, shobj_description(oid, 'pg_authid') as mark from pg_roles where rolname = any(%s)",
        (list(wanted.values()),),
    )
    marks = {row["rolname"]: row["mark"] for row in cursor.fetchall()}
    made = {kind: name for kind, name in wanted.items() if name in marks}
    return made, [name for name, mark in marks.items() if mark != _mark(database)]


def _mark(database: str) -> str:
    return f"facade: database {database}"


def _make(cursor: Cursor, database: str, name: str) -> None:
    cursor.execute(
        "select format('create role %%1$I; comment on role %%1$I is %%2$L', %s, %s)", (name, _mark(database))
    )
    cursor.execute(_one(cursor)["format"])


def _give_passwords(cursor: Cursor, wanted: Mapping[str, str]) -> None:
    """Give a new password to each role that facade logs in as and has none for that fits."""
    cursor.execute("select kind, rolname::text, password from role_login")
    known = {row["kind"]: (row["rolname"], row["password"]) for row in cursor.fetchall()}
    for kind in LOGINS:
        name = wanted[kind]
        statement = "select format('alter role %%I reset all', rolname) as text from pg_roles where rolname = %s"
        cursor.execute(statement, (name,))
        cursor.execute(_one(cursor)["text"])  # roles may change their own settings, and their own passwords
        if kind in known and known[kind][0] == name and _fits(cursor, *known[kind]):
            continue
        cursor.execute(
            "insert into role_login (kind, rolname, password)"
            " select %s, %s, replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')"
            " on conflict (kind) do update set rolname = excluded.rolname, password = excluded.password"
            " returning password",
            (kind, name),
        )
        set_password(cursor, name, _one(cursor)["password"])


def _fits(cursor: Cursor, name: str, password: str) -> bool:
    try:
        connect(Address(_route(cursor.connection, name), password=password), patience=0).close()
    except UnreachableError:
        return True  # for all we know
    except RegistryError:
        return False
    return True


def state(session: Session) -> Roles:
    """Return how it stands with the roles, without changing anything; who may not see it is told nothing is wrong."""
    with session.transaction(begin="begin read only") as cursor:
        cursor.execute("select current_database() as database, session_user as login")
        here = _one(cursor)
        wanted = names(here["database"])
        made, strange = _present(cursor, here["database"], wanted)
        cursor.execute("select has_database_privilege('public', current_database(), 'temporary') as temporary")
        temporary = _one(cursor)["temporary"]
    problems = [f"role {name} belongs to somebody else: no roles are used here" for name in strange]
    if len(made) < len(wanted) and not strange:
        problems.append(
            f"there are no roles, so jobs log in as {here['login']} too: have an administrator run 'facade db upgrade'"
            f" once, with FACADE_DB naming an account that may make {', '.join(wanted.values())}"
        )
    if len(made) == len(wanted) and temporary:
        problems.append("jobs may make temporary tables: everybody may in this database, which its owner can change")
    if not problems:
        problems += [problem for kind in LOGINS if (problem := _refused(session, kind))]
    return Roles({} if strange else made, tuple(problems))


def _refused(session: Session, kind: str) -> str:
    """Return why nobody can log in as that role, "" if one can or this login may not know."""
    address = login(session, kind)
    if address is None:
        return ""
    try:
        connect(address, patience=0).close()
    except RegistryError as error:
        return f"{kind}s cannot log in: {error.message}; see the server's pg_hba.conf, or its pooler"
    return ""


def login(session: Session, kind: str) -> Address | None:
    """Return the address of role *kind*, for this process alone; None if there is none that we may use."""
    found = _asked(session, "select rolname::text, password from role_login where kind = %s", (kind,))
    if not found:
        return None
    return Address(_route(session.connection(), found[0]["rolname"]), password=found[0]["password"])


def for_readers(session: Session, folder: Path) -> Address | None:
    """Return the address with which notebooks and other programs may read, its password in a file in *folder*; None if
    this database has no role for that, or we may not use it."""
    found = login(session, "reader")
    if found is None:
        return None
    role = str(urlsplit(found.url).username)
    passfile = _passfile(folder, "reader", found.url)
    write_passfile(passfile, ["*"], unquote(role), found.password)
    return Address(found.url, passfile)


def for_jobs(session: Session, name: str, attempt_id: int | None, folder: Path) -> Address | None:
    """Return the address with which jobs of attempt *name* log in, and mint a token for them.

    Password and token are in a file of mode 0600 in *folder*. Without an id the attempt is only thought of, and nothing
    is written. None if this database has no role for jobs.

    Raises:
        RegistryError: the database cannot be reached.
    """
    token = secrets.token_urlsafe(24)
    digest = hashlib.sha256(token.encode()).digest()
    found = _asked(
        session,
        "with minted as (insert into job_token (digest, pfw_attempt_id)"
        " select %s, %s from role_login where kind = 'job' and %s)"
        " select rolname::text, password from role_login where kind = 'job'",
        (digest, attempt_id, attempt_id is not None),
    )
    if not found:
        return None
    role = found[0]["rolname"]
    url = _route(session.connection(), role)
    passfile = _passfile(folder, name, url)
    if attempt_id is not None:
        write_passfile(passfile, ["*"], role, found[0]["password"], token)
    return Address(url, passfile)


def _passfile(folder: Path, name: str, url: str) -> Path:
    return folder / f"{name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.pgpass"


def _asked(session: Session, statement: str, params: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Return the rows of a *statement* about logins; none where we may not see them, or there are none yet."""
    try:
        return session.rows(statement, params)
    except StatementError as error:
        if error.sqlstate == DENIED or error.sqlstate in UNDEFINED:
            return []
        raise


def _one(cursor: Cursor) -> dict[str, Any]:
    row = cursor.fetchone()
    assert row is not None
    return dict(row)


def _route(connection: Connection, role: str) -> str:
    """Return the URL of this database for another *role*: what service files and environment say is put in, for jobs
    have neither."""
    now = connection.info.dsn_parameters
    kept = {key: now[key] for key in ROUTE if now.get(key)}
    kept |= {key: now[key] for key, usual in DEFAULTS.items() if now.get(key, usual) != usual}
    return url_of({"user": role} | kept)

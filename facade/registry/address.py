"""Where a database is, and the files that hold passwords: values, and libpq's ways to write them. No driver."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from facade.errors import InputError

TOKEN = "# facade's token: "
FILES = ("sslrootcert", "sslcrl")
"""Connection parameters that name files which every role needs."""
_SETTING = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)", re.DOTALL)
_WRITE = "write postgresql://USER@HOST:PORT/DATABASE, or service=NAME for one of pg_service.conf"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is: a URL that anybody may see, and the file that holds the password.

    A ``password`` of its own has an address that lives in this process only: it is handed on to nobody.
    """

    url: str
    passfile: Path | None = None
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str, home: Path) -> Address:
        """Return the address of *url*; a password in it moves to a file of mode 0600 below *home*/credentials.

        *url* may also be what libpq calls a connection string, such as ``service=sky``.

        Raises:
            InputError: *url* is not a PostgreSQL URL.
        """
        if "://" not in url and "=" in url:
            url = url_of(_settings(url))
        parts = split(url)
        options = parse_qsl(parts.query, keep_blank_values=True)
        login, at, place = parts.netloc.rpartition("@")
        user, colon, password = login.partition(":")
        if not colon:
            password = quote(dict(options).get("password", ""))
        kept = urlencode([(key, value) for key, value in options if key != "password"], safe="/", quote_via=quote)
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
        options = dict(parse_qsl(parts.query))
        service = f"service {options['service']}" if "service" in options else ""
        host = parts.netloc.rpartition("@")[2] or options.get("host", "")
        return f"{host or service or 'local socket'}{parts.path}"

    def with_option(self, key: str, value: str) -> str:
        """Return the URL with one more connection parameter."""
        return (
            f"{self.url}{'&' if urlsplit(self.url).query else '?'}{urlencode({key: value}, safe='/', quote_via=quote)}"
        )

    def taken_along(self) -> tuple[Address, list[Path]]:
        """Return the address as of a folder to which the files have been brought that it names, and those files."""
        named = {key: value for key, value in parse_qsl(urlsplit(self.url).query) if key in FILES}
        url = self.url
        for key, value in named.items():
            old, new = (urlencode({key: text}, safe="/", quote_via=quote) for text in (value, Path(value).name))
            url = url.replace(old, new)
        files = [*map(Path, named.values()), *([self.passfile] if self.passfile else [])]
        passfile = Path(self.passfile.name) if self.passfile else None
        return replace(self, url=url, passfile=passfile), files

    @property
    def token(self) -> str | None:
        """What a job shows with each report, if a token is in the password file (`write_passfile`)."""
        try:
            text = self.passfile.read_text(encoding="utf-8") if self.passfile else ""
        except OSError:
            return None
        first = text.partition("\n")[0]
        return first.removeprefix(TOKEN) if first.startswith(TOKEN) else None


def split(url: str) -> SplitResult:
    """Return the parts of the URL of a PostgreSQL database; messages never hold its text, which may hold a password.

    Raises:
        InputError: it is none, or a character in it is not written as in a URL.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"the URL of the database cannot be read: {error}", remedy=_WRITE) from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise InputError("not the URL of a PostgreSQL database", remedy=_WRITE)
    if "#" in url or "@" in parts.path:
        remedy = "in user, password and database write # as %23, / as %2F, ? as %3F, @ as %40"
        raise InputError(
            "the URL of the database cannot be read: what is before and behind @ is not clear", remedy=remedy
        )
    return parts


def _settings(text: str) -> dict[str, str]:
    """Return the parameters of a connection string, ``key=value key='value'``.

    >>> _settings("service=sky  application_name = 'a b'")
    {'service': 'sky', 'application_name': 'a b'}
    """
    found, at = {}, 0
    while match := _SETTING.match(text, at):
        found[match[1]] = re.sub(r"\\(.)", r"\1", match[2] if match[2] is not None else match[3], flags=re.DOTALL)
        at = match.end()
    if text[at:].strip():
        # without its text: it may hold a password
        raise InputError("the connection string of the database cannot be read", remedy=_WRITE)
    return found


def url_of(settings: Mapping[str, str]) -> str:
    """Return connection parameters as a URL.

    >>> url_of({"service": "sky"}), url_of({"user": "me", "host": "db.org", "dbname": "sky", "sslmode": "require"})
    ('postgresql://?service=sky', 'postgresql://me@db.org/sky?sslmode=require')
    """
    rest = dict(settings)
    plain = re.fullmatch(r"[\w.-]+", rest.get("host", ""))
    user, host, port = rest.pop("user", ""), rest.pop("host", "") if plain else "", ""
    if plain and re.fullmatch(r"\d+", rest.get("port", "")):
        port = ":" + rest.pop("port")
    path = "/" + quote(rest.pop("dbname"), safe="") if "dbname" in rest else ""
    login = quote(user, safe="") + "@" if user else ""
    query = urlencode(rest, safe="/", quote_via=quote)
    return f"postgresql://{login}{host}{port}{path}" + (f"?{query}" if query else "")


def write_passfile(path: Path, hosts: Sequence[str], user: str, password: str, token: str = "") -> None:
    """Write a libpq password file of mode 0600, in one move, in a folder of mode 0700.

    The *token* of a job goes along in a comment, which libpq passes over: one file to guard, and to hand on.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    escaped = [text.replace("\\", "\\\\").replace(":", "\\:") for text in (user, password)]
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{TOKEN}{token}\n" if token else "")
        file.writelines(f"{host}:*:*:{':'.join(escaped)}\n" for host in hosts)
    draft.replace(path)

"""Asking a web server: connections that are kept, credentials, redirections, and what its answers mean.

The only importer of ``http.client``: nothing that had to be installed was faster or found more faults in transfers.
"""

from __future__ import annotations

import contextlib
import http.client
import netrc
import os
import select
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from facade.archive.parts import private
from facade.archive.transfers import Transient
from facade.errors import InputError, TransferError

CHUNK = 1 << 20
"""Bytes that are read or written at once."""
PASSING = frozenset({408, 423, 425, 429, 500, 502, 503, 504})
"""Answers that may be others another time."""
REDIRECTIONS = frozenset({301, 302, 307, 308})
MOST_REDIRECTIONS, LONGEST_AFTER = 5, 300.0

Pieces = Callable[[], Iterable[bytes | memoryview]]
"""Gives what a request carries, from the beginning each time it is called."""


class Client:
    """Asks the server at *root* (``https://host:port/path``). Safe to use from several threads: each has its own
    connections.

    *options*: ``timeout`` of anything that takes seconds, ``credentials`` (a netrc file; without it ``~/.netrc``, if
    that has the host), ``token_file`` (a bearer token), ``ca_file`` (who may vouch for the server).
    """

    def __init__(self, root: str, options: Mapping[str, str], timeout: float) -> None:
        self._root, self._timeout = urlsplit(root.rstrip("/")), timeout
        self._credentials = _credentials(self._root, options)
        self._context = _context(options) if self._root.scheme == "https" else None
        self._of_thread = threading.local()

    def url(self, key: str) -> str:
        """Return the whole address of *key*; that of "/" is the root as a folder."""
        return self._root.geturl() + (f"/{quote(key.lstrip('/'))}" if key else "")

    @property
    def path(self) -> str:
        """The path of the root on the server, quoted, without a slash at its end."""
        return self._root.path

    @contextlib.contextmanager
    def ask(
        self,
        method: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        *,
        fine: Collection[int],
        pieces: Pieces | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request and give the answer, which has one of the statuses that are *fine*.

        Raises:
            Transient: no answer, or one that may be another another time.
            TransferError: any other answer.
        """
        url = urlsplit(self.url(key))
        for _ in range(MOST_REDIRECTIONS):
            reply = self._sent(method, url, headers or {}, pieces)
            place = reply.headers.get("Location", "")
            if reply.status not in REDIRECTIONS or reply.status in fine or not place:
                break
            self._done_with(url, reply)
            url = urlsplit(urljoin(url.geturl(), place))
        if reply.status >= 300 or method == "HEAD":
            self._done_with(url, reply)  # so that whoever gets it can ask something else
        if reply.status not in fine:
            raise self._refusal(method, url, reply)
        try:
            yield reply
        except BaseException:
            if not reply.isclosed():
                self._drop(url)
            raise
        self._done_with(url, reply)

    def pieces(self, reply: http.client.HTTPResponse, key: str) -> Iterator[memoryview]:
        """Yield what an answer about *key* holds; a piece is good until the next one is asked for.

        Raises:
            Transient: nothing more comes, though there should be more.
        """
        buffer = memoryview(bytearray(CHUNK))
        while True:
            try:
                count = reply.readinto(buffer)
            except (OSError, http.client.HTTPException) as error:
                raise _lost("GET", urlsplit(self.url(key)), error) from error
            if not count:
                return
            yield buffer[:count]

    def _sent(
        self, method: str, url: SplitResult, headers: Mapping[str, str], pieces: Pieces | None
    ) -> http.client.HTTPResponse:
        """Send a request, anew on another connection if one that was kept turns out to be dead."""
        kept = url[:2] in self._connections
        try:
            return self._sent_once(method, url, headers, pieces)
        except (OSError, http.client.HTTPException) as error:
            self._drop(url)
            # the server may have closed it long ago; or what came was the rest of the answer before: there are servers
            # that send a body after the answer to a HEAD
            closed = pieces is None and isinstance(error, ConnectionError)
            if not kept or not (closed or type(error) is http.client.BadStatusLine):
                raise _lost(method, url, error) from error
        except BaseException:
            self._drop(url)
            raise
        try:
            return self._sent_once(method, url, headers, pieces)
        except (OSError, http.client.HTTPException) as error:
            self._drop(url)
            raise _lost(method, url, error) from error

    def _sent_once(
        self, method: str, url: SplitResult, headers: Mapping[str, str], pieces: Pieces | None
    ) -> http.client.HTTPResponse:
        connection = self._connection(url)
        every = {"User-Agent": "facade", **headers}
        if (url.scheme, url.netloc) == (self._root.scheme, self._root.netloc):  # nobody else gets our credentials
            every |= self._credentials()
        target = url.path + (f"?{url.query}" if url.query else "")
        try:
            connection.request(method, target or "/", body=pieces() if pieces else None, headers=every)
        except (BrokenPipeError, ConnectionResetError):
            # a server that wants no more of a body says why before it hangs up; if it did not, this raises as well
            return connection.getresponse()
        return connection.getresponse()

    @property
    def _connections(self) -> dict[tuple[str, ...], http.client.HTTPConnection]:
        try:
            found: dict[tuple[str, ...], http.client.HTTPConnection] = self._of_thread.connections
        except AttributeError:
            found = self._of_thread.connections = {}
        return found

    def _connection(self, url: SplitResult) -> http.client.HTTPConnection:
        made = self._connections.get(url[:2])
        if made is not None and made.sock is not None and _has_something(made.sock):
            self._drop(url)
            made = None
        if made is None:
            host, port = url.hostname or "", url.port
            if url.scheme == "https":
                made = http.client.HTTPSConnection(
                    host, port, timeout=self._timeout, context=self._context or _context({}), blocksize=CHUNK
                )
            else:
                made = http.client.HTTPConnection(host, port, timeout=self._timeout, blocksize=CHUNK)
            made.response_class = _Response
            self._connections[url[:2]] = made
        return made

    def _done_with(self, url: SplitResult, reply: http.client.HTTPResponse) -> None:
        """Keep the connection if the answer was read, or is soon read; else close it."""
        try:
            if not reply.isclosed() and (reply.length is None or reply.length > 1 << 16):
                return self._drop(url)
            reply.read()
        except (OSError, http.client.HTTPException):
            self._drop(url)

    def _drop(self, url: SplitResult) -> None:
        if connection := self._connections.pop(url[:2], None):
            connection.close()

    def _refusal(self, method: str, url: SplitResult, reply: http.client.HTTPResponse) -> TransferError:
        message = f"{method} {url.geturl()}: {reply.status} {reply.reason}"
        if reply.status in PASSING:
            after = reply.headers.get("Retry-After", "")
            return Transient(message, after=min(float(after), LONGEST_AFTER) if after.isdigit() else 0.0)
        remedies = {401: "see 'credentials' and 'token_file' in the site file", 507: "the archive is full"}
        remedies[403] = "whoever the credentials belong to may not do this there"
        return TransferError(message, remedy=remedies.get(reply.status, ""))


def _has_something(connection: socket.socket) -> bool:
    """Tell whether something comes that nobody asked for: its end, or more of an answer than there should be."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


class _Response(http.client.HTTPResponse):
    """An answer whose headers came to their end; the library takes those that were cut for whole ones."""

    def begin(self) -> None:
        """Read the headers."""
        stream = self.fp
        self.fp = _Lines(stream)  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            if self.fp is not None:  # it is None once the answer was closed
                self.fp = stream


class _Lines:
    """Gives the lines of a stream, and raises if there is none where one must be."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readline(self, limit: int) -> bytes:
        line = self._stream.readline(limit)
        if not line.endswith(b"\n") and len(line) < limit:
            raise http.client.RemoteDisconnected("the connection ended before the answer did")
        return line

    def close(self) -> None:
        self._stream.close()

    def flush(self) -> None:
        self._stream.flush()


def _lost(method: str, url: SplitResult, error: OSError | http.client.HTTPException) -> TransferError:
    """Return what is to be said when a server does not answer, or stops in the middle."""
    message = f"{method} {url.geturl()}: {getattr(error, 'strerror', '') or str(error) or type(error).__name__}"
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = "name who vouches for the server as 'ca_file' in the site file"
        return TransferError(f"{message} ({error.verify_message})", remedy=remedy)
    return Transient(message)


def _context(options: Mapping[str, str]) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=options.get("ca_file") or None)
    except OSError as error:
        raise InputError(f"cannot use the 'ca_file' {options.get('ca_file')}: {error}") from error


def _credentials(root: SplitResult, options: Mapping[str, str]) -> Callable[[], Mapping[str, str]]:
    """Return what gives the header that says who we are; a token is read anew each time, for others renew it.

    Raises:
        InputError: credentials lie open, or would go over the network unhidden.
    """
    token, named, usual = options.get("token_file", ""), options.get("credentials", ""), Path("~/.netrc").expanduser()
    found: Callable[[], Mapping[str, str]] | None = None
    if token:
        found = _token(Path(token))
    elif named:
        found = _password(Path(named), root)
        if found is None:
            remedy = f"machine {root.hostname} login USER password PASSWORD"
            raise InputError(f"{named} has no credentials for {root.hostname}", remedy=remedy)
    elif usual.is_file():
        found = _password(usual, root)
    if found is None:
        return dict
    if root.scheme != "https" and root.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise InputError(
            f"credentials for {root.hostname} would be sent for all to read", remedy="use https:// for this archive"
        )
    return found


def _token(path: Path) -> Callable[[], Mapping[str, str]]:
    private(path)
    return lambda: {"Authorization": f"Bearer {private(path).read_text().strip()}"}


def _password(path: Path, root: SplitResult) -> Callable[[], Mapping[str, str]] | None:
    try:
        entry = netrc.netrc(os.fspath(path)).authenticators(root.hostname or "")
    except netrc.NetrcParseError as error:
        raise InputError(f"cannot read {path}: {error.msg}, line {error.lineno}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if entry is None:
        return None
    private(path)
    word = b64encode(f"{entry[0]}:{entry[2]}".encode()).decode()
    return lambda: {"Authorization": f"Basic {word}"}

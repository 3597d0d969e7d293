"""Files of the submit host, for a job that cannot see them: HTCondor's chirp, as far as receipts need it.

HTCondor's starter listens on the execute host and passes what it is asked on to the job's shadow on the submit host,
which opens files as the owner of the job, relative to the job's initial directory. A request is a line of text, maybe
with data behind it; the answer begins with a number, which is negative if it was refused. Where the starter listens
stands in the file that ``_CONDOR_CHIRP_CONFIG`` names, if the job has ``WantIOProxy`` set.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

TIMEOUT = 60.0
"""Seconds until an answer counts as lost."""
PIECE = 1 << 16
"""Bytes in one request."""
T = TypeVar("T")
_NOT_ALLOWED, _NOT_THERE, _THERE = (-1, -2), -3, -4


class NoChirpError(OSError):
    """HTCondor offers no chirp here, or does not allow it: trying again does not help."""


class Chirp:
    """One connection to the starter, opened when needed. Paths are relative to the job's initial directory.

    Whatever fails on its way raises OSError, after which it is not known whether it was done; everything here may be
    said again.
    """

    def __init__(self, host: str, port: int, cookie: str) -> None:
        self._address, self._cookie = (host, port), cookie
        self._socket: socket.socket | None = None
        self._unread = b""

    @classmethod
    def here(cls, environment: Mapping[str, str] = os.environ) -> Chirp:
        """Return what leads to the submit host of this job.

        Raises:
            NoChirpError: nothing does.
        """
        place = environment.get("_CONDOR_CHIRP_CONFIG", "")
        try:
            host, port, cookie = Path(place).read_text().split()
            return cls(host, int(port), cookie)
        except (OSError, ValueError) as error:
            raise NoChirpError(f"no way to the submit host: HTCondor's chirp is not configured here: {error}") from None

    def read(self, path: str) -> bytes | None:
        """Return what a file holds, or None if there is none."""
        handle = self._open(path, "r")
        if handle == _NOT_THERE:
            return None
        _checked(handle, path)
        pieces = []
        try:
            while size := _checked(self._ask(f"read {handle} {PIECE}"), path):
                pieces.append(self._guarded(partial(self._take, size)))
        finally:
            self._close(handle)
        return b"".join(pieces)

    def create(self, path: str) -> None:
        """Make an empty file.

        Raises:
            FileExistsError: there is one of that name.
        """
        handle = self._open(path, "wcx")
        if handle == _THERE:
            raise FileExistsError(path)
        _checked(handle, path)
        self._close(handle)

    def write(self, path: str, offset: int, data: bytes) -> None:
        """Write *data* at byte *offset* of a file that is there; return when it is on the submit host's disk."""
        # opened anew each time: a number means another file once HTCondor has exchanged the shadow
        handle = _checked(self._open(path, "w"), path)
        try:
            for start in range(0, len(data), PIECE):
                piece = data[start : start + PIECE]
                written = self._ask(f"pwrite {handle} {len(piece)} {offset + start}", piece)
                if _checked(written, path) != len(piece):
                    raise OSError(f"{path} on the submit host: {written} of {len(piece)} bytes were written")
            _checked(self._ask(f"fsync {handle}"), path)
        finally:
            self._close(handle)

    def _open(self, path: str, how: str) -> int:
        # a starter that is asked to open while it has lost its shadow dies, and the job with it (HTCondor 25.14,
        # io_proxy_handler.cpp: "Unable to map file"); asked this, it says so
        if (answer := self._ask(f"access . {os.R_OK}")) not in (0, *_NOT_ALLOWED):
            raise OSError(f"{path} on the submit host: HTCondor has lost its way there ({answer})")
        handle = self._ask(f"open {path} {how} {0o666}")
        if handle >= 0:
            self._guarded(self._line)  # what stat says of the file
        return handle

    def _close(self, handle: int) -> None:
        if self._socket is not None:  # else the number may mean another file by now
            with suppress(OSError):
                self._ask(f"close {handle}")

    def _ask(self, line: str, data: bytes = b"") -> int:
        """Send a request and return the number of the answer; the connection is given up if anything goes wrong."""
        return self._guarded(lambda: self._exchange(line, data))

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            if self._socket is None:
                self._connect()
            return call()
        except OSError:
            self._disconnect()
            raise

    def _connect(self) -> None:
        self._socket, self._unread = socket.create_connection(self._address, TIMEOUT), b""
        if self._exchange(f"cookie {self._cookie}") != 0:
            raise NoChirpError("HTCondor's chirp does not know this job")

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, line: str, data: bytes = b"") -> int:
        assert self._socket is not None
        self._socket.sendall(line.encode() + b"\n" + data)
        answer = self._line()
        try:
            return int(answer)
        except ValueError:
            raise OSError(f"HTCondor's chirp said {answer[:40]!r}") from None

    def _line(self) -> bytes:
        while b"\n" not in self._unread:
            self._receive()
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _take(self, size: int) -> bytes:
        """Return the *size* bytes that follow an answer."""
        while len(self._unread) < size:
            self._receive()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _receive(self) -> None:
        assert self._socket is not None
        received = self._socket.recv(PIECE)
        if not received:
            raise ConnectionResetError("HTCondor's chirp hung up")
        self._unread += received


def _checked(answer: int, path: str) -> int:
    if answer in _NOT_ALLOWED:
        raise NoChirpError(f"{path} on the submit host: HTCondor's chirp does not allow it")
    if answer < 0:
        raise OSError(f"{path} on the submit host: HTCondor's chirp failed ({answer})")
    return answer

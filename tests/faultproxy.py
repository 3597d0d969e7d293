"""A proxy that spoils what goes through it: cuts, resets, altered bytes, silence, slowness, and answers of its own."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Fault:
    """What happens at byte *after* of one direction, counted from when it was armed, *times* times."""

    kind: str
    up: bool
    after: int
    times: int
    answer: bytes = b""
    seen: int = 0

    def hit(self, up: bool, count: int) -> int | None:
        """Count bytes; return where among them the fault strikes."""
        if up is not self.up or not self.times:
            return None
        at, self.seen = self.after - self.seen, self.seen + count
        if not 0 <= at < count:
            return None
        self.times, self.seen = self.times - 1, 0
        return at


class FaultProxy:
    """Listens on ``port`` of this machine and passes everything on to *target*, another port of it."""

    def __init__(self, target: int) -> None:
        self._target, self._lock = target, threading.Lock()
        self._fault = Fault("none", False, 0, 0)
        self.rate = 0.0
        """Bytes a second that each connection lets through in each direction; 0: as many as come."""
        self.down = self.up = 0
        """Bytes that came from the server, and from its clients."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = True
        threading.Thread(target=self._listen, daemon=True).start()

    def arm(self, kind: str, *, up: bool = False, after: int = 0, times: int = 1) -> None:
        """Have *kind* (cut, reset, flip, stall) strike at byte *after* of what comes down, or goes *up*."""
        with self._lock:
            self._fault = Fault(kind, up, after, times)

    def answer(self, status: str, *, times: int = 1, headers: str = "") -> None:
        """Answer the next requests with *status* instead of passing them on."""
        text = f"HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
        with self._lock:
            self._fault = Fault("answer", True, 0, times, text.encode())

    @property
    def left(self) -> int:
        """How many more times the fault will strike."""
        return self._fault.times

    def close(self) -> None:
        self._open = False
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits for a client
        self._listener.close()

    def _listen(self) -> None:
        while self._open:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                continue
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                with self._lock:
                    fault, at = self._fault, self._fault.hit(up, len(data))
                    self.up += len(data) * up
                    self.down += len(data) * (not up)
                if at is not None and not self._strike(fault, at, data, source, sink):
                    break
                if at is not None and fault.kind == "flip":
                    data = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
                if self.rate:
                    time.sleep(len(data) / self.rate)
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _strike(self, fault: Fault, at: int, data: bytes, source: socket.socket, sink: socket.socket) -> bool:
        """Do what the fault does; return whether the connection goes on."""
        if fault.kind == "flip":
            return True
        if fault.kind == "answer":
            source.sendall(fault.answer)
            source.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):  # read what still comes, or the answer would be lost with a reset
                source.settimeout(1)
                while source.recv(1 << 16):
                    pass
            return False
        sink.sendall(data[:at])
        if fault.kind == "stall":
            time.sleep(3600)
        if fault.kind == "reset":
            for one in (source, sink):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False


@contextlib.contextmanager
def proxied(target: int) -> Iterator[FaultProxy]:
    """Give a proxy of a port."""
    proxy = FaultProxy(target)
    try:
        yield proxy
    finally:
        with contextlib.suppress(OSError):
            proxy.close()

"""A small WebDAV server that checks and tells checksums (RFC 9530): digest_server.py ROOT PORT.

A PUT whose Repr-Digest is not that of what arrived is answered with 422; one that is cut leaves nothing. What lies
below ``/secret`` is for user ``night`` with password ``shift``, or with the token ``t0ken``; ``/forbidden`` is for
nobody. Who reads or writes ``/moved/X`` is sent to ``/X``.
"""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import sys
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path
from urllib.parse import unquote, urlsplit

ALLOWED = {"Basic " + b64encode(b"night:shift").decode(), "Bearer t0ken"}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    root: Path

    def log_message(self, *_: object) -> None:
        pass

    def place(self, url: str = "") -> Path:
        return self.root / unquote(urlsplit(url or self.path).path).removeprefix("/moved").strip("/")

    def say(self, status: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def refused(self) -> bool:
        """Answer requests that are not allowed, once all of them has come."""
        if self.path.startswith("/moved/") and self.command in ("GET", "HEAD", "PUT"):
            self.say_after_reading(307, Location=self.path.removeprefix("/moved"))
        elif self.path.startswith("/forbidden"):
            self.say_after_reading(403)
        elif self.path.startswith("/secret") and self.headers.get("Authorization") not in ALLOWED:
            self.say_after_reading(401, **{"WWW-Authenticate": "Basic"})
        else:
            return False
        return True

    def say_after_reading(self, status: int, **headers: str) -> None:
        """Answer once all of the request has come: whoever still sends might not see the answer."""
        left = int(self.headers.get("Content-Length", "0"))
        while left and (piece := self.rfile.read(min(1 << 20, left))):
            left -= len(piece)
        self.say(status, **headers)

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, body: bool = True) -> None:
        if self.refused():
            return
        path = self.place()
        if not path.is_file():
            return self.say(200 if path.is_dir() else 404)
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            size, tag, first = status.st_size, f'"{status.st_mtime_ns:x}-{status.st_ino:x}"', 0
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if wanted and self.headers.get("If-Range", tag) == tag:
                first = int(wanted[1])
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(size - first))
            self.send_header("ETag", tag)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
            if "Want-Repr-Digest" in self.headers:
                digest = hashlib.file_digest(file, "sha256").digest()
                self.send_header("Repr-Digest", f"sha-256=:{b64encode(digest).decode()}:")
            self.end_headers()
            file.seek(first)
            while body and (piece := file.read(1 << 20)):
                self.wfile.write(piece)

    def do_PUT(self) -> None:
        if self.refused():
            return
        path, left, digest = self.place(), int(self.headers["Content-Length"]), hashlib.sha256()
        if not path.parent.is_dir():
            return self.say_after_reading(409)
        handle, part = tempfile.mkstemp(dir=self.root)
        with os.fdopen(handle, "wb") as file:
            while left and (piece := self.rfile.read(min(1 << 20, left))):
                digest.update(piece)
                file.write(piece)
                left -= len(piece)
        told = re.search(r"sha-256=:([^:]+):", self.headers.get("Repr-Digest", ""))
        if left or (told and b64decode(told[1]) != digest.digest()):
            os.remove(part)
            self.close_connection = bool(left)
            return None if left else self.say(422)
        os.replace(part, path)
        self.say(201)

    def do_DELETE(self) -> None:
        if self.refused():
            return
        there = self.place().is_file()
        self.place().unlink(missing_ok=True)
        self.say(204 if there else 404)

    def do_MKCOL(self) -> None:
        if self.refused():
            return
        try:
            self.place().mkdir()
            self.say(201)
        except FileExistsError:
            self.say(405)
        except FileNotFoundError:
            self.say(409)

    def do_MOVE(self) -> None:
        if self.refused():
            return
        source, target = self.place(), self.place(self.headers["Destination"])
        if not source.is_file():
            return self.say(404)
        try:
            if self.headers.get("Overwrite") == "F":
                os.link(source, target)
                source.unlink()
            else:
                os.replace(source, target)
            self.say(201)
        except FileExistsError:
            self.say(412)


class Server(http.server.ThreadingHTTPServer):
    """One thread for each connection."""

    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Handler.root = Path(sys.argv[1])
    Server(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()

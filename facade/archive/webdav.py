"""An archive on a web server: GET with ranges, and of WebDAV PUT, MOVE, MKCOL, DELETE, and PROPFIND for sweeping.

A copy is PUT under ``.NAME.part-<unique>`` in the folder where it will lie, because some servers keep what they have of
a PUT that was cut. Then the server is asked for the SHA-256 of what it has (RFC 9530, or RFC 3230); one that does not
know it has the copy read back. MOVE without overwriting names it. So a name is never that of a half or altered file,
whoever is killed when. A cut PUT starts again: no two servers agree on how to continue one.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from posixpath import dirname
from urllib.parse import unquote, urlsplit

from facade.archive.content import Content, Listed, Stat
from facade.archive.http import CHUNK, Client
from facade.archive.parts import PART, part_name, reported
from facade.archive.remote import Body, Page, RemoteArchive, Taken, Tick, read_through
from facade.archive.transfers import Transfers, Transient
from facade.errors import MissingInputError, TransferError

ASKING = {"Want-Repr-Digest": "sha-256=10", "Want-Digest": "sha-256"}
"""Headers that ask for the checksum of a file: RFC 9530 and, as grid storage has it, RFC 3230."""
LISTING = b'<propfind xmlns="DAV:"><prop><resourcetype/><getlastmodified/><getcontentlength/></prop></propfind>'


def open_webdav(name: str, root: str, options: Mapping[str, str], transfers: Transfers) -> RemoteArchive:
    """Return the archive called *name* at the address *root*; its connections outlive it, for the next job.

    Raises:
        InputError: credentials or certificates are not as they should be.
    """
    return RemoteArchive(name, root, _store(root, tuple(sorted(options.items())), transfers.habits.timeout), transfers)


@lru_cache(8)
def _store(root: str, options: tuple[tuple[str, str], ...], timeout: float) -> WebdavStore:
    return WebdavStore(Client(root, dict(options), timeout))


class WebdavStore:
    """The files below one address; satisfies `facade.archive.remote.Store`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._folders: set[str] = set()
        self._seen = False

    def address(self, key: str) -> str:
        """Return the address of a file as people write it."""
        return unquote(self.client.url(key))

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """Return size and, if it is wanted and the server tells it, checksum of a file."""
        with self.client.ask("HEAD", key, ASKING if checksum else {}, fine=(200, 404, 410)) as reply:
            if reply.status == 200:
                if not reply.headers.get("Content-Length", "").isdigit():
                    raise Transient(f"{self.address(key)}: the server does not say how long it is")
                return Stat(int(reply.headers["Content-Length"]), _digest(reply.headers))
        self._be_there()
        return None

    @contextlib.contextmanager
    def read(self, key: str, start: int, version: str) -> Iterator[Body]:
        """Open a file from byte *start* on."""
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-"} | ({"If-Range": version} if version else {})
        with self.client.ask("GET", key, headers, fine=(200, 206, 404, 410, 416)) as reply:
            if reply.status == 416:  # the file is shorter than what we have of it
                raise Transient(f"GET {self.address(key)}: it has changed while it was read")
            if reply.status in (404, 410):
                self._be_there()
                raise MissingInputError(f"{self.address(key)} is not in the archive")
            first, size = _extent(reply.status, reply.headers, reply.length)
            if first not in (0, start):
                raise Transient(f"GET {self.address(key)}: asked for byte {start}, got byte {first}")
            tag = reply.headers.get("ETag", "")
            yield Body(
                first, size, "" if tag.startswith("W/") else tag, _digest(reply.headers), self.client.pieces(reply, key)
            )

    def upload(self, source: Path, key: str, content: Content, tick: Tick) -> WebdavUpload:
        """Return the upload of *source*."""
        return WebdavUpload(self, source, key, content, tick)

    def remove(self, key: str) -> bool:
        """Delete a file."""
        with self.client.ask("DELETE", key, fine=(200, 202, 204, 404, 410)) as reply:
            return reply.status < 300

    def sweep(self, older_than: float) -> list[str]:
        """Delete uploads without a name, looking through every folder."""
        swept, folders = [], [""]
        while folders:
            page = self.page(folders.pop(), "")
            folders += page.folders
            for one in page.files:
                if PART.fullmatch(one.path.rpartition("/")[2]) and one.age > older_than and self.remove(one.path):
                    swept.append(one.path)
        return swept

    def make_folders(self, folder: str) -> None:
        """Make *folder* and those above it, below the root; servers that need none made are not asked for long."""
        missing: list[str] = []
        while folder and folder not in self._folders:
            if self._made(folder):
                self._folders.add(folder)
                break
            missing.append(folder)
            folder = dirname(folder)
        if missing and not folder:
            self._be_there()
        for one in reversed(missing):
            if not self._made(one):
                raise Transient(f"MKCOL {self.address(one)}: the folder above it is gone")
            self._folders.add(one)

    def forget_folders(self) -> None:
        """Look at folders again before relying on them: somebody may have removed one."""
        self._folders.clear()

    def _made(self, folder: str) -> bool:
        """Make one folder; False if the one above it is missing. 405: it exists; 403, 501: PUT will tell."""
        with self.client.ask("MKCOL", f"{folder}/", fine=(200, 201, 204, 301, 403, 404, 405, 409, 501)) as reply:
            return reply.status not in (404, 409)

    def _be_there(self) -> None:
        """Raise TransferError if the archive itself is not there: then a missing file means nothing."""
        if self._seen:
            return
        with self.client.ask("HEAD", "/", fine=range(200, 500)) as reply:
            if reply.status in (404, 409, 410):
                raise TransferError(f"the archive {self.address('')} is not there", remedy="create that folder")
        self._seen = True

    def page(self, folder: str, more: str) -> Page:
        """Return everything in *folder*."""
        from xml.etree import ElementTree  # only those who sweep or compare pay for it

        headers = {"Depth": "1", "Content-Type": "application/xml"}
        fine = (207, 404, 405, 501)
        key = f"{folder}/"
        with self.client.ask(
            "PROPFIND", key, headers | {"Content-Length": str(len(LISTING))}, fine=fine, pieces=lambda: [LISTING]
        ) as reply:
            if reply.status in (405, 501):
                raise TransferError(
                    f"{self.address(key)}: this server lists no folders (PROPFIND)",
                    remedy="have it swept as a local folder, on the machine where it lies",
                )
            pieces = self.client.pieces(reply, key) if reply.status == 207 else [b"<none/>"]
            text, now = b"".join([bytes(piece) for piece in pieces]), _moment(reply.headers.get("Date", ""))
        found = Page([], [])
        for one in ElementTree.fromstring(text).iter("{DAV:}response"):
            path = unquote(urlsplit(one.findtext("{DAV:}href", "")).path)
            name = path.removeprefix(unquote(self.client.path)).strip("/")
            if name != folder:
                changed = next((e.text or "" for e in one.iter("{DAV:}getlastmodified")), "")
                size = next((e.text or "" for e in one.iter("{DAV:}getcontentlength")), "")
                if next(one.iter("{DAV:}collection"), None) is not None:
                    found.folders.append(name)
                else:
                    found.files.append(Listed(name, int(size) if size.isdecimal() else 0, now - _moment(changed)))
        return found


class WebdavUpload:
    """One copy on its way to a web server."""

    def __init__(self, store: WebdavStore, source: Path, key: str, content: Content, tick: Tick) -> None:
        self._store, self._source, self._key, self._content, self._tick = store, source, key, content, tick
        folder, _, name = key.rpartition("/")
        self._part = f"{folder}/{part_name(name)}".lstrip("/")
        self._begun = self._arrived = False

    def send(self) -> None:
        """Bring it over, unless it is there already, and verify it."""
        if not self._arrived:
            self._store.make_folders(dirname(self._key))
            self._begun = True
            self._put()
            self._arrived = True
        self._verify()

    def commit(self, *, replace: bool) -> None:
        """Move it to its name. That it is gone may mean that an earlier try moved it, and the answer was lost."""
        headers = {"Destination": self._store.client.url(self._key), "Overwrite": "T" if replace else "F"}
        with self._store.client.ask("MOVE", self._part, headers, fine=(200, 201, 204, 404, 412)) as reply:
            if reply.status in (404, 412):
                raise Taken
        found = self._store.stat(self._key)  # there are servers that misread a destination with odd characters
        if found is None or found.size != self._content.size:
            raise TransferError(
                f"the server was to move a file to {self._store.address(self._key)}, and it is not there"
            )

    def discard(self) -> None:
        """Delete it; what cannot be deleted now will be swept."""
        if self._begun:
            with contextlib.suppress(TransferError):
                self._store.remove(self._part)

    def _put(self) -> None:
        sum64 = b64encode(bytes.fromhex(self._content.checksum)).decode()
        headers = {
            "Content-Length": str(self._content.size),
            "Content-Type": "application/octet-stream",
            "Repr-Digest": f"sha-256=:{sum64}:",
        }
        put = self._store.client.ask(
            "PUT", self._part, headers, fine=(200, 201, 204, 400, 404, 409, 422), pieces=self._pieces
        )
        with put as reply:
            if reply.status in (404, 409):
                self._store.forget_folders()
            if reply.status >= 400:
                raise Transient(f"PUT {self._store.address(self._part)}: {reply.status} {reply.reason}")

    def _pieces(self) -> Iterator[memoryview]:
        """Yield what the source holds; raises TransferError if it is no longer what was to be sent."""
        digest, buffer, left = hashlib.sha256(), memoryview(bytearray(CHUNK)), self._content.size
        with reported(f"cannot read {self._source}"), open(self._source, "rb", buffering=0) as file:
            while left and (count := file.readinto(buffer[: min(left, CHUNK)])):
                self._tick()
                digest.update(buffer[:count])
                left -= count
                if not left:  # before the last piece is sent, so that the server has no whole file
                    self._check_source(digest.hexdigest())
                yield buffer[:count]
        if left or not self._content.size:
            self._check_source("" if left else digest.hexdigest())

    def _check_source(self, checksum: str) -> None:
        if checksum != self._content.checksum:
            raise TransferError(f"{self._source} is no longer what was to be sent: {self._content}")

    def _verify(self) -> None:
        """Raise Transient unless the server has what was sent."""
        found = self._store.stat(self._part, checksum=True)
        if found is not None and found.size == self._content.size and found.checksum is None:
            content = read_through(self._store, self._part, self._tick)
        else:
            content = Content(found.size, found.checksum or "unknown") if found else Content(0, "unknown")
        if content != self._content:
            self._arrived = False
            raise Transient(
                f"copy of {self._source} to {self._store.address(self._key)} is not what it should be: "
                f"expected {self._content}; copy has {content}"
            )


def _digest(headers: Message) -> str | None:
    """Return the SHA-256 that a server tells of a file."""
    said = headers.get("Repr-Digest", "") + ", " + headers.get("Digest", "")
    if match := re.search(r"\bsha-256=:?([A-Za-z0-9+/]{43}=)", said, re.IGNORECASE):
        return b64decode(match[1]).hex()
    return None


def _extent(status: int, headers: Message, length: int | None) -> tuple[int, int | None]:
    """Return where an answer begins in its file, and how long the file is."""
    if status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
        if match is None:
            raise Transient("part of a file came, and was not said to be which")
        return int(match[1]), None if match[2] == "*" else int(match[2])
    return 0, length


def _moment(text: str) -> float:
    """Return seconds since the epoch of a date in a header; now if there is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return time.time()

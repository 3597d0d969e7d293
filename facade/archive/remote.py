"""Archives at the other end of a network: what is the same whatever server is there.

A fetched copy is written under a temporary name beside its destination and hashed as it comes; one that was cut goes
on where it was. A copy that is sent is invisible until it is verified and named. Servers differ in a few things only:
those that a `Store` does.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from facade.archive.content import Content, Listed, Stat, content_of, expectation
from facade.archive.local import SentLocally
from facade.archive.naming import named
from facade.archive.parts import part_name, reported, steps
from facade.archive.transfers import Transfer, Transfers, Transient
from facade.errors import MissingInputError, RefusedError, TransferError

Tick = Callable[[], None]
"""Called for each piece that is transferred; raises if the transfer is to end."""


class Taken(Exception):
    """The name that a copy was to get is taken; or the copy is no longer there, and perhaps has its name already."""


@dataclass(frozen=True, slots=True)
class Body:
    """A file as it comes in from byte ``start`` on; ``size`` is that of all of it, None if the server does not say.

    ``version`` changes when the file does, "" if that is not known. A chunk is good until the next one is asked for.
    """

    start: int
    size: int | None
    version: str
    checksum: str | None
    chunks: Iterable[bytes | memoryview]


class Upload(Protocol):
    """One copy on its way to a server."""

    def send(self) -> None:
        """Bring it over and verify it: one try. Called again after Transient; goes on where it was if it can."""

    def commit(self, *, replace: bool) -> None:
        """Give it its name: one try; raises Taken. With *replace* a file of that name is replaced."""

    def discard(self) -> None:
        """Take it away; never fails."""


class Page(NamedTuple):
    """A part of what a server lists: files, folders that are to be looked into, and what to ask for more with (""
    at the end)."""

    files: list[Listed]
    folders: list[str]
    more: str = ""


class Store(Protocol):
    """What each kind of server does in its own way. Each method is one try, raises Transient if another may help."""

    def address(self, key: str) -> str:
        """Return how people call the file *key*."""

    def stat(self, key: str, *, checksum: bool = False) -> Stat | None:
        """Return what the server says of a file; None if it is not there, but the archive is.

        The *checksum* is asked for if it is wanted: to tell it, the server may have to read all of the file.
        """

    def read(self, key: str, start: int, version: str) -> AbstractContextManager[Body]:
        """Open a file from byte *start* on if it still has that *version*, else from its beginning.

        Raises:
            MissingInputError: there is no such file.
        """

    def upload(self, source: Path, key: str, content: Content, tick: Tick) -> Upload:
        """Return the upload of *source*, which has that *content*; nothing is sent yet."""

    def remove(self, key: str) -> bool:
        """Take a file away; return whether it was there."""

    def page(self, folder: str, more: str) -> Page:
        """Return what lies in *folder*, or below it; *more* is what the page before said."""

    def sweep(self, older_than: float) -> list[str]:
        """Remove what uploads that were never named left, begun more than *older_than* seconds ago; return it."""


class RemoteArchive:
    """The files of a `Store` as an archive; satisfies `facade.archive.Archive`."""

    def __init__(self, name: str, root: str, store: Store, transfers: Transfers) -> None:
        self.name = name
        self._root, self._store, self._transfers = root, store, transfers

    def fetch(self, source: str, target: Path, size: int | None, checksum: str | None) -> Transfer:
        """Copy archive file *source* to *target*, verified."""
        key = self._key(source)
        with reported(f"cannot copy {self._store.address(key)} to {target}"):
            if size is not None and checksum is not None and os.path.lexists(target):
                SentLocally(None, target, Content(size, checksum), durable=False).commit()
                return Transfer(Content(size, checksum))
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(part_name(target.name))
            try:
                with open(part, "xb") as file:
                    download = _Download(self._store, key, file, target, (size, checksum), self._transfers.habits.check)
                    content, tried = self._transfers.run(download.run)
                SentLocally(part, target, content, durable=False).commit()
            finally:
                part.unlink(missing_ok=True)
        return Transfer(content, content.size, tried.seconds, tried.tries)

    def stat(self, source: str) -> Stat | None:
        """Return what the server says of archive file *source*."""
        key = self._key(source)
        return self._transfers.run(lambda: self._store.stat(key), small=True)[0]

    def holds(self, source: str, size: int, checksum: str | None) -> bool:
        """Say whether archive file *source* is there with that size and, unless it is None, checksum."""
        key, found = self._key(source), self.stat(source)
        if found is None or found.size != size:
            return False
        return checksum is None or self._transfers.run(lambda: self._read(key))[0] == Content(size, checksum)

    def send(self, source: Path, target: str, checksum: str | None, *, stale: Container[Content] = ()) -> SentRemotely:
        """Copy *source* to where archive file *target* will be, verified; a *stale* file there will be replaced."""
        key = self._key(target)
        content = _source_content(source, checksum)
        found = self._transfers.run(lambda: self.content(key))[0]
        if found == content:
            return SentRemotely(self, key, None, Transfer(content), stale)
        if found is not None and found not in stale:
            raise self.refused(key, found, content)
        upload = self._store.upload(source, key, content, self._transfers.habits.check)
        try:
            _, tried = self._transfers.run(upload.send)
        except BaseException:
            upload.discard()
            raise
        return SentRemotely(self, key, upload, Transfer(content, content.size, tried.seconds, tried.tries), stale)

    def store(self, source: Path, target: str, checksum: str | None) -> Transfer:
        """Copy *source* to archive file *target*, verified."""
        sent = self.send(source, target, checksum)
        named(sent)
        return sent.transfer

    def remove(self, source: str) -> bool:
        """Take archive file *source* away; return whether it was there."""
        key = self._key(source)
        return self._transfers.run(lambda: self._store.remove(key), small=True)[0]

    def files(self, folder: str) -> Iterator[Listed]:
        """Yield every file below *folder*."""
        folders = [self._key(folder) if folder else ""]
        while folders:
            key, more, first = folders.pop(), "", True
            while first or more:
                page, _ = self._transfers.run(partial(self._store.page, key, more), small=True)
                yield from page.files
                folders += page.folders
                more, first = page.more, False

    def sweep(self, older_than: float) -> list[str]:
        """Remove uploads that nobody named, begun more than *older_than* seconds ago by the server's clock."""
        return self._transfers.run(lambda: self._store.sweep(older_than), small=True)[0]

    def named(self, action: Callable[[], None]) -> None:
        """Carry out the naming of an upload."""
        self._transfers.run(action, small=True)

    def content(self, key: str) -> Content | None:
        """Return what file *key* holds, read through unless the server knows its checksum: one try."""
        found = self._store.stat(key, checksum=True)
        if found is None:
            return None
        return Content(found.size, found.checksum) if found.checksum is not None else self._read(key)

    def refused(self, key: str, found: Content | None, content: Content) -> RefusedError | TransferError:
        """Return what is to be said of a name under which there is not what there should be."""
        place = self._store.address(key)
        if found is None:
            return TransferError(f"{place} is not there any more; it should have {content}")
        return RefusedError(f"{place} exists with other content: it has {found}; it should have {content}")

    def _read(self, key: str) -> Content | None:
        """Return what file *key* holds by reading it through, None if it is not there: one try."""
        try:
            return read_through(self._store, key, self._transfers.habits.check)
        except MissingInputError:
            return None

    def _key(self, relative: str) -> str:
        return "/".join(steps(self.name, self._root, relative))


class SentRemotely:
    """A verified copy that has no name yet; or, without *upload*, one that was there already."""

    def __init__(
        self, archive: RemoteArchive, key: str, upload: Upload | None, transfer: Transfer, stale: Container[Content]
    ) -> None:
        self._archive, self._key, self._upload, self._stale = archive, key, upload, stale
        self.transfer = transfer

    @property
    def content(self) -> Content:
        """What was sent."""
        return self.transfer.content

    def commit(self) -> None:
        """Give the copy its name; raises RefusedError if another file has it."""
        self._archive.named(self._commit)
        self._upload = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """None: the server answers when a name will last."""
        return ()

    def discard(self) -> None:
        """Take the copy away if it never got its name."""
        if self._upload is not None:
            self._upload.discard()
            self._upload = None

    def _commit(self) -> None:
        """Make one try; a name that is taken is looked into."""
        if self._upload is not None:
            try:
                return self._upload.commit(replace=False)
            except Taken:
                pass
        found = self._archive.content(self._key)
        if found == self.content:  # another job was faster, or our last try succeeded and its answer was lost
            return self.discard()
        if self._upload is None or found is None or found not in self._stale:
            self.discard()
            raise self._archive.refused(self._key, found, self.content)
        with contextlib.suppress(Taken):
            return self._upload.commit(replace=True)
        raise self._archive.refused(self._key, None, self.content)


class _Download:
    """A file on its way here; what has come is kept from try to try."""

    def __init__(
        self,
        store: Store,
        key: str,
        file: _File,
        target: Path,
        expected: tuple[int | None, str | None],
        tick: Tick,
    ) -> None:
        self._store, self._key, self._file, self._target, self._tick = store, key, file, target, tick
        self._size, self._checksum = expected
        self._have, self._version, self._digest = 0, "", hashlib.sha256()
        self._wrong: Content | None = None

    def run(self) -> Content:
        """Fetch what is still missing, and verify the whole: one try."""
        start = (
            self._have if self._version or self._checksum else 0
        )  # without either, parts of two files might be mixed
        with self._store.read(self._key, start, self._version) as body:
            if body.start != self._have:
                self._restart()
            self._version = body.version
            for chunk in body.chunks:
                self._tick()
                self._file.write(chunk)
                self._digest.update(chunk)
                self._have += len(chunk)
        if body.size is not None and self._have != body.size:
            raise Transient(f"{self._place()} was cut: {self._have} of {body.size} bytes arrived")
        self._file.flush()
        return self._verified(self._checksum or body.checksum)

    def _verified(self, checksum: str | None) -> Content:
        found = Content(self._have, self._digest.hexdigest())
        if self._size in (None, found.size) and checksum in (None, found.checksum):
            return found
        self._restart()  # nobody knows which of the bytes are wrong
        expected = expectation(self._size, checksum)
        message = f"{self._place()} is not what it should be: expected {expected}; copy has {found}"
        if found == self._wrong:
            raise TransferError(f"{message}, and had so twice: it is the archive's file that is wrong")
        self._wrong = found
        raise Transient(message)

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._have, self._version, self._digest = 0, "", hashlib.sha256()

    def _place(self) -> str:
        return f"copy of {self._store.address(self._key)} to {self._target}"


class _File(Protocol):
    """What a download writes into."""

    def write(self, data: bytes | memoryview, /) -> object: ...
    def seek(self, offset: int, /) -> object: ...
    def truncate(self) -> object: ...
    def flush(self) -> object: ...


def read_through(store: Store, key: str, tick: Tick) -> Content:
    """Return what the file *key* holds by reading all of it: one try.

    Raises:
        MissingInputError: there is no such file.
    """
    digest, have = hashlib.sha256(), 0
    with store.read(key, 0, "") as body:
        for chunk in body.chunks:
            tick()
            digest.update(chunk)
            have += len(chunk)
    if body.size is not None and have != body.size:
        raise Transient(f"{store.address(key)} was cut: {have} of {body.size} bytes arrived")
    return Content(have, digest.hexdigest())


def _source_content(source: Path, checksum: str | None) -> Content:
    """Return what is to be sent; its checksum is verified while it is sent."""
    with reported(f"cannot read {source}"):
        if not source.is_file():
            raise TransferError(f"cannot send {source}: it is not a regular file")
        return content_of(source) if checksum is None else Content(source.stat().st_size, checksum)

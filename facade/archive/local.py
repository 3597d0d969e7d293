"""An archive on a mounted file system: every copy is verified before it gets its name, and no name is ever taken over.

A copy is written under ``.NAME.part-<unique>`` in the folder of its destination, read back, and then linked to its
name, which fails if the name is taken. So a reader sees a whole file or none, two writers of one name cannot both win,
and what a killed process leaves behind is in nobody's way.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from facade.archive.content import Content, Listed, Stat, content_of, expectation
from facade.archive.naming import named, sync_folder
from facade.archive.parts import PART, part_name, reported, steps
from facade.archive.transfers import Transfer, Transfers, Transient
from facade.errors import MissingInputError, RefusedError, TransferError

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
NOTHING = Transfer(Content(0, ""))


@dataclass(frozen=True, slots=True)
class SentLocally:
    """A verified copy under a temporary name (`part`), or None if the destination already held the same content."""

    part: Path | None
    target: Path
    content: Content
    durable: bool
    stale: Container[Content] = ()
    transfer: Transfer = NOTHING

    def commit(self) -> None:
        """Give the copy its name; raises RefusedError if another file has it."""
        if self.part is None or not self.part.exists():
            _must_hold(self.target, self.content)
            return
        with reported(f"cannot copy {self.part} to {self.target}"):
            try:
                _link_or_rename(self.part, self.target)
            except FileExistsError:
                if not _is_stale(self.target, self.content, self.stale):
                    return
                os.replace(self.part, self.target)
            finally:
                self.part.unlink(missing_ok=True)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folder that got a new name, if that is to outlive a crash."""
        return (self.target.parent,) if self.durable and self.part is not None else ()

    def discard(self) -> None:
        """Remove the copy if it never got its name."""
        if self.part is not None:
            with contextlib.suppress(OSError):
                self.part.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class LocalArchive:
    """The folder *root* as an archive; satisfies `facade.archive.Archive`."""

    name: str
    root: Path
    transfers: Transfers

    def fetch(self, source: str, target: Path, size: int | None, checksum: str | None) -> Transfer:
        """Copy archive file *source* to *target*, verified."""
        path = self._path(source)
        sent, tried = self.transfers.run(lambda: _staged(path, target, size, checksum))
        moved = sent.content.size if sent.part is not None else 0
        return Transfer(sent.content, moved, tried.seconds, tried.tries)

    def stat(self, source: str) -> Stat | None:
        """Return the size of archive file *source*, or None if it is not there."""
        path = self._path(source)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise TransferError(f"cannot look at {path}: {error.strerror or error}") from error
        return Stat(status.st_size) if stat.S_ISREG(status.st_mode) else None

    def holds(self, source: str, size: int, checksum: str | None) -> bool:
        """Say whether archive file *source* is there with that size and, unless it is None, checksum."""
        found = self.stat(source)
        if found is None or found.size != size or checksum is None:
            return found is not None and found.size == size
        path = self._path(source)
        with reported(f"cannot read {path}"):
            return content_of(path).checksum == checksum

    def send(self, source: Path, target: str, checksum: str | None, *, stale: Container[Content] = ()) -> SentLocally:
        """Copy *source* next to archive file *target*, verified and on disk; a *stale* file there is replaced."""
        path = self._path(target)
        sent, tried = self.transfers.run(lambda: send(source, path, checksum, stale=stale))
        moved = sent.content.size if sent.part is not None else 0
        return replace(sent, transfer=Transfer(sent.content, moved, tried.seconds, tried.tries))

    def store(self, source: Path, target: str, checksum: str | None) -> Transfer:
        """Copy *source* to archive file *target*, verified and on disk."""
        sent = self.send(source, target, checksum)
        named(sent)
        return sent.transfer

    def remove(self, source: str) -> bool:
        """Take archive file *source* away; return whether it was there."""
        path = self._path(source)
        with reported(f"cannot remove {path}"):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return False
            sync_folder(path.parent)
        return True

    def files(self, folder: str) -> Iterator[Listed]:
        """Yield every regular file below *folder*; links count as what they lead to."""
        top = self._path(folder) if folder else self._present()
        if not top.is_dir():
            return
        for place, _, names in os.walk(top, onerror=_unreadable):
            for path in (Path(place, name) for name in names):
                with reported(f"cannot look at {path}"), contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    if stat.S_ISREG(status.st_mode):
                        age = time.time() - status.st_mtime
                        yield Listed(str(path.relative_to(self.root)), status.st_size, age)

    def sweep(self, older_than: float) -> list[str]:
        """Remove copies that nobody named, last written to more than *older_than* seconds ago."""
        swept = []
        for folder, _, names in os.walk(self._present()):
            for path in (Path(folder, name) for name in names if PART.fullmatch(name)):
                with reported(f"cannot remove {path}"), contextlib.suppress(FileNotFoundError):
                    if time.time() - path.lstat().st_mtime > older_than:
                        path.unlink()
                        swept.append(str(path.relative_to(self.root)))
        return swept

    def _path(self, relative: str) -> Path:
        parts = steps(self.name, str(self.root), relative)
        return self._present().joinpath(*parts)

    def _present(self) -> Path:
        if not os.path.isdir(self.root):  # creating it would fill the mount point of a file system that is not mounted
            raise TransferError(f"archive {self.name!r}: {self.root} is not there", remedy="create or mount it")
        return self.root


def _unreadable(error: OSError) -> None:
    if isinstance(error, FileNotFoundError):
        return  # somebody took the folder away meanwhile
    raise TransferError(f"cannot list {error.filename}: {error.strerror or error}") from error


def stage_in(source: Path, target: Path, size: int | None, checksum: str | None) -> Content:
    """Copy *source* to *target* and verify that *target* has the expected *size* and *checksum* (None: not known).

    Raises:
        MissingInputError: *source* does not exist.
        TransferError: the copy could not be made, is short, or differs.
        RefusedError: *target* exists with other content.
    """
    return _staged(source, target, size, checksum).content


def _staged(source: Path, target: Path, size: int | None, checksum: str | None) -> SentLocally:
    with reported(f"cannot look at {source}"):
        there = source.exists()
    if not there:
        raise MissingInputError(f"{source} is not in the archive")
    sent = _copy(source, target, size, checksum, durable=False)
    sent.commit()
    return sent


def store(source: Path, target: Path, checksum: str | None) -> Content:
    """Copy *source* to *target* so that it survives a crash, and verify what then lies there; raises as `send`."""
    sent = send(source, target, checksum)
    named(sent)
    return sent.content


def send(source: Path, target: Path, checksum: str | None, *, stale: Container[Content] = ()) -> SentLocally:
    """Copy *source* into the folder of *target*, synced and read back, without naming it yet.

    A *target* with one of the *stale* contents counts as absent; committing replaces it.

    Raises:
        TransferError: the copy could not be made, is short, or differs.
        RefusedError: *target* exists with other content.
    """
    return _copy(source, target, None, checksum, durable=True, stale=stale)


def _copy(
    source: Path,
    target: Path,
    size: int | None,
    checksum: str | None,
    *,
    durable: bool,
    stale: Container[Content] = (),
) -> SentLocally:
    """Return a verified copy of *source*; without *durable* it may be lost in a crash, as job directories may."""
    with reported(f"cannot copy {source} to {target}"):
        if not stat.S_ISREG(source.stat().st_mode):
            raise TransferError(f"cannot copy {source} to {target}: it is not a regular file")
        if os.path.lexists(target):
            wanted = content_of(source)
            _check(source, target, wanted, size, checksum)
            if not _is_stale(target, wanted, stale):
                return SentLocally(None, target, wanted, durable)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(part_name(target.name))
        try:
            _pour(source, part, durable=durable)
            copy = content_of(part, from_disk=durable)
            if checksum is None:
                checksum = content_of(source).checksum
            _check(source, target, copy, size, checksum)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return SentLocally(part, target, copy, durable, stale)


def _pour(source: Path, part: Path, *, durable: bool) -> None:
    with open(source, "rb", buffering=0) as reader, open(part, "xb", buffering=0) as writer:
        while os.sendfile(writer.fileno(), reader.fileno(), None, 1 << 30):
            pass
        if durable:
            os.fsync(writer.fileno())


def _check(source: Path, target: Path, found: Content, size: int | None, checksum: str | None) -> None:
    """Raise TransferError unless *found* is what was expected; tell on which side the difference arose."""
    if (size is None or found.size == size) and (checksum is None or found.checksum == checksum):
        return
    there = content_of(source)
    sound = (size is None or there.size == size) and (checksum is None or there.checksum == checksum)
    raise (Transient if sound else TransferError)(
        f"copy of {source} to {target} is not what it should be: "
        f"expected {expectation(size, checksum)}; source has {there}; copy has {found}"
    )


def _is_stale(target: Path, content: Content, stale: Container[Content]) -> bool:
    """Tell whether *target* may be replaced by *content*; False if it holds that already.

    Raises:
        RefusedError: it may not, and holds something else.
    """
    if target.is_file() and not target.is_symlink() and (found := content_of(target)) != content and found in stale:
        return True
    _must_hold(target, content)
    return False


def _must_hold(target: Path, content: Content) -> None:
    """Raise RefusedError if *target* is anything but a file that holds *content*, TransferError if it is gone."""
    if not os.path.lexists(target):
        raise TransferError(f"{target} is not there any more; it should have {content}")
    found = content_of(target) if target.is_file() else "no regular file"
    if found != content:
        raise RefusedError(f"{target} exists with other content: it has {found}; it should have {content}")


def _link_or_rename(part: Path, target: Path) -> None:
    """Name *part* without replacing anything."""
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):  # not atomic, but such file systems offer nothing better
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        os.rename(part, target)

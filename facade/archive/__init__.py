"""Archives: where managed files lie outside jobs, and how they come and go, verified.

Callers see the `Archive` Protocol only; which kind of place it is, the archive's address says: a folder
(`facade.archive.local`), a WebDAV server (`facade.archive.http`) or an S3 bucket (`facade.archive.s3`). Of those three,
and of the libraries behind them, a process loads the one that it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from facade.archive.content import Content, Listed, Stat, content_of
from facade.archive.transfers import Habits, Transfer, Transfers
from facade.errors import InputError

__all__ = ["Archive", "Content", "Listed", "Sent", "Stat", "Transfer", "content_of", "open_archive"]


class Sent(Protocol):
    """A copy that has arrived and was verified, but does not bear its name yet."""

    @property
    def content(self) -> Content:
        """What was sent."""

    @property
    def transfer(self) -> Transfer:
        """What it took to send it."""

    def commit(self) -> None:
        """Give the copy its name; never replaces a file with other content (RefusedError). Safe to repeat.

        That the name outlives a crash, `facade.archive.naming.settle` sees to, for many copies at once.
        """

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of mounted file systems that got new names by `commit`."""

    def discard(self) -> None:
        """Take the unnamed copy away; does nothing after `commit`, and never fails."""


class Archive(Protocol):
    """Managed files, named by a path relative to the archive's root. May be used from several threads.

    Every method may raise TransferError: the archive cannot be reached, does not let us, or what arrived is not what
    was sent. Where that may go right another time, it was tried several times.
    """

    @property
    def name(self) -> str:
        """What the archive is called in the registry (``home``)."""

    def fetch(self, source: str, target: Path, size: int | None, checksum: str | None) -> Transfer:
        """Copy archive file *source* to the local *target*, verified against what is known of it.

        Raises:
            MissingInputError: the archive has no such file.
            RefusedError: *target* exists with other content.
        """

    def send(self, source: Path, target: str, checksum: str | None, *, stale: Container[Content] = ()) -> Sent:
        """Copy the local *source* to where archive file *target* will be, verified; `Sent.commit` makes it visible.

        A *target* that holds one of the *stale* contents is left over from a run that never succeeded; it is replaced.

        Raises:
            RefusedError: *target* exists with other content.
        """

    def store(self, source: Path, target: str, checksum: str | None) -> Transfer:
        """Send and commit in one step; raises as `send` does."""

    def stat(self, source: str) -> Stat | None:
        """Return what the archive says of its file *source*, or None if there is none."""

    def holds(self, source: str, size: int, checksum: str | None) -> bool:
        """Say whether archive file *source* is there with that size; with a *checksum*, it is read through."""

    def remove(self, source: str) -> bool:
        """Take archive file *source* away; return whether it was there."""

    def files(self, folder: str) -> Iterator[Listed]:
        """Yield every file below *folder* ("": everywhere), also those that transfers left without a name."""

    def sweep(self, older_than: float) -> list[str]:
        """Remove what transfers that died left without a name, begun more than *older_than* seconds ago; return it."""


def open_archive(
    name: str, root: str, options: Mapping[str, str] | None = None, *, check: Callable[[], None] | None = None
) -> Archive:
    """Return the archive called *name* that lies at *root*, an absolute path or an address; nothing is looked at yet.

    *options* are the keys of its section in the site file; *check* is called while a transfer goes on, and ends it by
    raising.

    Raises:
        InputError: *root* is not a kind of place that facade can reach, or an option is wrong.
    """
    options = options or {}
    scheme = root.partition("://")[0] if "://" in root else ""
    transfers = Transfers(Habits.of(options, check), root)
    if scheme in ("", "file") and root.removeprefix("file://").startswith("/"):
        from facade.archive.local import LocalArchive

        return LocalArchive(name, Path(root.removeprefix("file://")), transfers)
    if "@" in root.removeprefix(f"{scheme}://").partition("/")[0]:  # not repeated: it holds a password
        raise InputError(f"archive {name!r}: its address holds a user or password", remedy="see 'credentials'")
    if scheme in ("http", "https"):
        from facade.archive.webdav import open_webdav

        return open_webdav(name, root, options, transfers)
    if scheme == "s3":
        from facade.archive.s3 import open_s3

        return open_s3(name, root, options, transfers)
    raise InputError(
        f"archive {name!r}: cannot reach {root!r}", remedy="give the absolute path of a folder, or https:// or s3://"
    )

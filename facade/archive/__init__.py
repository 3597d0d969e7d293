"""Archives: where managed files lie outside jobs, and how they come and go, verified.

Callers see the `Archive` Protocol only. Today an archive is a folder; HTTP(S) and S3 fit behind the same face: `send`
is an upload under a temporary name, `Sent.commit` the move to the final one.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Protocol

from facade.archive.content import Content, content_of
from facade.archive.local import LocalArchive
from facade.errors import InputError

__all__ = ["Archive", "Content", "Sent", "content_of", "open_archive"]


class Sent(Protocol):
    """A copy that has arrived and was verified, but does not bear its name yet."""

    @property
    def content(self) -> Content:
        """What was sent."""

    def commit(self) -> None:
        """Give the copy its name; never replaces a file with other content (RefusedError). Safe to repeat."""

    def discard(self) -> None:
        """Take the unnamed copy away; does nothing after `commit`."""


class Archive(Protocol):
    """Managed files, named by a path relative to the archive's root."""

    @property
    def name(self) -> str:
        """What the archive is called in the registry (``home``)."""

    def stage_in(self, source: str, target: Path, size: int | None, checksum: str | None) -> Content:
        """Copy archive file *source* to the local *target* and verify that it is what was expected.

        Raises:
            MissingInputError: the archive has no such file.
            TransferError: the copy is short or differs, or the archive cannot be reached.
            RefusedError: *target* exists with other content.
        """

    def holds(self, source: str, size: int, checksum: str | None) -> bool:
        """Say whether archive file *source* is there with that size and, unless it is None, checksum.

        Raises:
            TransferError: the archive cannot be reached.
        """

    def send(self, source: Path, target: str, checksum: str | None, *, stale: Container[Content] = ()) -> Sent:
        """Copy the local *source* next to archive file *target*, verified; `Sent.commit` makes it visible.

        A *target* that holds one of the *stale* contents is left over from a run that never succeeded; it is replaced.

        Raises:
            TransferError: what arrived is not what was sent, or the archive cannot be reached.
            RefusedError: *target* exists with other content.
        """

    def store(self, source: Path, target: str, checksum: str | None) -> Content:
        """Send and commit in one step; raises as `send` does."""


def open_archive(name: str, root: str) -> Archive:
    """Return the archive called *name* that lies at *root*, a local path or ``file://`` address.

    Raises:
        InputError: *root* is not a kind of place that facade can reach.
    """
    path = root.removeprefix("file://")
    if "://" in path or not path.startswith("/"):
        raise InputError(f"archive {name!r}: cannot reach {root!r}", remedy="give the absolute path of a folder")
    return LocalArchive(name, Path(path))

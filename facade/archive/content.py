"""What a file holds: its size and SHA-256. The one place that hashes files."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Content:
    """Size in bytes and SHA-256 (lower-case hex): equal contents are equal values."""

    size: int
    checksum: str

    def __str__(self) -> str:
        return f"{self.size} bytes, sha256 {self.checksum}"


@dataclass(frozen=True, slots=True)
class Stat:
    """What an archive says of one of its files without reading it: the size, and the SHA-256 if it knows that."""

    size: int
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that an archive lists: its path below the root, its size in bytes, and how many seconds ago it was
    written."""

    path: str
    size: int
    age: float


def content_of(path: Path, *, from_disk: bool = False) -> Content:
    """Read the file at *path* through and return what it holds.

    With *from_disk* the kernel is asked to forget its pages first, so that a remote or failing disk is really read.
    """
    with open(path, "rb", buffering=0) as stream:
        if from_disk:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        digest = hashlib.file_digest(stream, "sha256")
        return Content(stream.tell(), digest.hexdigest())


def expectation(size: int | None, checksum: str | None) -> str:
    """Return in words what a file should hold, as far as that is known."""
    return f"{'any number of' if size is None else size} bytes, sha256 {checksum or 'unknown'}"

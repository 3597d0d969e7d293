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


def content_of(path: Path, *, from_disk: bool = False) -> Content:
    """Read the file at *path* through and return what it holds.

    With *from_disk* the kernel is asked to forget its pages first, so that a remote or failing disk is really read.
    """
    with open(path, "rb", buffering=0) as stream:
        if from_disk:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        digest = hashlib.file_digest(stream, "sha256")
        return Content(stream.tell(), digest.hexdigest())

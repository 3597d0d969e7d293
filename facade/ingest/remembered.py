"""What was hashed already: an ingestion that is started again need not read terabytes again.

A file of lines in facade's home, one for each file that was registered: path, the state in which it was read, SHA-256.
It is believed only as long as the file has not been written since, and only as a checksum: whether the file is
registered, the registry says. An ingestion that ends without faults takes it away.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from facade.ingest.reading import stamp_of

SETTLED = 100_000_000
"""Nanoseconds after its last change from which on the clock of a file system tells another change from it."""


class Remembered:
    """The checksums that one ingestion noted."""

    def __init__(self, home: Path, *about: str) -> None:
        name = hashlib.sha256("\0".join(about).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._path = home / "ingest" / f"{name}.jsonl"
        self._known: dict[str, tuple[tuple[int, ...], str]] = {}
        with suppress(OSError), open(self._path, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                with suppress(ValueError, TypeError):  # the last one of a process that was killed
                    path, stamp, checksum = json.loads(line)
                    self._known[path] = tuple(map(int, stamp)), str(checksum)

    def checksum(self, path: Path) -> str | None:
        """Return the checksum of a file that has not been written since it was noted, else None."""
        found = self._known.get(os.path.abspath(path))
        with suppress(OSError):
            if found is not None and stamp_of(path) == found[0]:
                return found[1]
        return None

    def note(self, files: Iterable[tuple[Path, tuple[int, ...], str]]) -> None:
        """Note files: path, `stamp_of` it when it was read, checksum."""
        now = time.time_ns()
        lines = [
            json.dumps([os.path.abspath(path), stamp, checksum]) + "\n"
            for path, stamp, checksum in files
            if stamp and now - max(stamp[1], stamp[2]) > SETTLED
        ]
        with suppress(OSError):  # only time is lost by it
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a", encoding="utf-8") as stream:
                stream.writelines(lines)

    def forget(self, files: Iterable[Path]) -> None:
        """Take it away, unless it knows of others than *files*, which an ingestion that was interrupted noted."""
        if not self._known.keys() - {os.path.abspath(path) for path in files}:
            self._path.unlink(missing_ok=True)

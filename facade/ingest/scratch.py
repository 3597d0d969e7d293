"""A folder for what an ingestion needs only for a while, such as the rows of catalogues on their way."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

PREFIX = "facade-ingest."
YOUNG = 60.0
"""Seconds in which a folder may be new and not locked yet."""


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a new folder, and take it away afterwards; also those that ingestions left which were killed."""
    for left in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else's, or gone meanwhile
            if time.time() - left.stat().st_mtime > YOUNG and left.stat().st_uid == os.getuid():
                with _locked(left) as mine:
                    if mine:
                        shutil.rmtree(left)
    with TemporaryDirectory(prefix=PREFIX) as name, _locked(Path(name)):
        yield Path(name)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock *folder* until this process ends, however it does, or leaves; say whether it could be locked: not if another
    one has it, nor on a file system that cannot."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = True
        except OSError:
            locked = False
        yield locked
    finally:
        os.close(handle)

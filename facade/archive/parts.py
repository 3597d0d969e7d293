"""Names of files on their way, and what is said when something about a file goes wrong; shared by all archives."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from facade.archive.transfers import Transient
from facade.errors import InputError, RefusedError, TransferError

PART = re.compile(r"\..*\.part-[0-9a-f]{12}", re.DOTALL)
"""What a file that is still on its way is called, in the folder where it will lie: see `part_name`."""
PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO, errno.EAGAIN, errno.EINTR, errno.EHOSTDOWN)
"""What a file system that is at the other end of a network says when it is worth trying again."""


def part_name(name: str) -> str:
    """Return an unused temporary name for the file *name*, shortened so that it fits wherever the name itself fits."""
    head = os.fsencode(name)[:200].decode(errors="ignore")
    return f".{head}.part-{os.urandom(6).hex()}"


def steps(archive: str, root: str, relative: str) -> tuple[str, ...]:
    """Return the folders and the name on the way from the *root* of an archive to its file *relative*.

    Raises:
        RefusedError: the file would lie elsewhere.
    """
    found = PurePosixPath(relative).parts
    if not found or relative.startswith("/") or ".." in found:
        raise RefusedError(f"archive {archive!r}: {relative!r} does not lie below its root {root}")
    return found


@contextlib.contextmanager
def reported(doing: str) -> Iterator[None]:
    """Turn what the operating system says into a TransferError that says what was being done."""
    try:
        yield
    except OSError as error:
        kind = Transient if error.errno in PASSING else TransferError
        raise kind(f"{doing}: {error.strerror or error}") from error


def private(path: Path) -> Path:
    """Return *path* if it is a file that its owner alone can read: what holds a secret must be.

    Raises:
        InputError: it is not.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(f"cannot read the credentials in {path}: {error.strerror or error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(f"the credentials in {path} can be read by others", remedy=f"chmod 600 {path}")
    return path

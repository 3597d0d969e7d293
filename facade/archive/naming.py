"""Giving copies that have arrived their names, so that the names outlive a crash."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from facade.archive.parts import reported

if TYPE_CHECKING:
    from facade.archive import Sent


def named(sent: Sent) -> None:
    """Give a copy its name for good, or take it away."""
    try:
        sent.commit()
        settle([sent])
    finally:
        sent.discard()


def settle(sent: Iterable[Sent]) -> None:
    """Make sure that names which were given outlive a crash; each folder of a mounted file system is synced once."""
    for folder in dict.fromkeys(folder for one in sent for folder in one.folders):
        with reported(f"cannot sync {folder}"):
            sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Have the names in *folder* written to its disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

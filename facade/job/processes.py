"""What descends from a process, as Linux tells it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the children of a process, of all its threads; none if it is gone."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for task in tasks:
        with contextlib.suppress(OSError, ValueError):
            found += [int(child) for child in Path(f"/proc/{pid}/task/{task}/children").read_bytes().split()]
    return found


def descendants(pid: int) -> list[int]:
    """Return *pid* and every process that descends from it, as far as it was not left by its parent."""
    found = [pid]
    for one in found:
        found += children(one)
    return found

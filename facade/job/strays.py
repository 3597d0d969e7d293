"""Processes that programs leave behind: daemons that left their group, and programs whose job was killed.

A job adopts the orphans among its descendants. Those of one program are told from those of another by a variable in
their environment; one that cleared it is found when the job ends, for then nobody else's children are left.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from facade.job.processes import children

MARK = "FACADE_EXEC"
"""Variable that every program of a job gets: which exec of which quantum it is."""
_PR_SET_CHILD_SUBREAPER = 36


_reaping: list[frozenset[int]] = []


def adopt_orphans() -> None:
    """Have orphans among the descendants of this process become its children, from now on; only Linux can."""
    import ctypes

    try:
        if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0:
            _reaping.append(frozenset(children(os.getpid())))
    except (OSError, AttributeError):
        return


def end_children(mark: str = "") -> list[str]:
    """Kill the orphans that this process adopted, those that carry *mark* or all of them; return what they were."""
    ended: list[str] = []
    if not _reaping:
        return ended
    known = _reaping[0]
    while found := [p for p in children(os.getpid()) if p not in known and (not mark or _carries(p, mark))]:
        for pid in found:  # what they leave behind becomes ours in turn
            ended.append(f"{pid} ({_name(pid)})")
            _kill(pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
    return ended


def end_inside(folder: Path) -> list[str]:
    """Kill processes of this user that work in *folder*, the directory of a job whose own process is gone."""
    inside = str(folder)

    def works_there(pid: int) -> bool:
        with contextlib.suppress(OSError):
            place = os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")
            return place == inside or place.startswith(inside + "/")
        return False

    found = [pid for pid in _processes(works_there) if pid != os.getpid()]
    told = [f"{pid} ({_name(pid)})" for pid in found]
    for pid in found:
        _kill(pid)
    return told


def _processes(wanted: Callable[[int], bool]) -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and wanted(int(name))]


def _carries(pid: int, mark: str) -> bool:
    with contextlib.suppress(OSError):
        return f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    return "gone"


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)

"""Waiting for a program, and ending it when it takes more time or memory than it may."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from facade.job.processes import descendants
from facade.job.stop import signal_group

LOOK = 0.5
"""How often the memory of a program is looked at, in seconds."""
_Ended = Callable[[float | None], bool]
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may take: *seconds* from its start, *memory* in MB of all its processes together (0: no limit)."""

    seconds: float = 0.0
    memory: int = 0


def watched(pid: int, limits: Limits, grace: float) -> str:
    """Wait until *pid*, the leader of a process group, has ended; return the limit that it broke: time, memory or "".

    It is left as a zombie, so that the number of its group cannot be used again before the group is killed. A group
    that takes too long gets SIGTERM and *grace* seconds, one that takes too much memory SIGKILL: it would take more.
    """
    started, broken = time.monotonic(), ""
    deadline = started + limits.seconds if limits.seconds else None
    with _waiter(pid) as ended:
        while not ended(_patience(deadline, limits)):
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                signal_group(pid, signal.SIGKILL if broken else signal.SIGTERM)
                broken, deadline = broken or "time", now + grace
            if limits.memory and memory_of(pid) > limits.memory << 20:
                broken = broken or "memory"
                signal_group(pid, signal.SIGKILL)
    return broken


def _patience(deadline: float | None, limits: Limits) -> float | None:
    left = None if deadline is None else max(0.0, deadline - time.monotonic())
    return left if not limits.memory else min(LOOK, LOOK if left is None else left)


@contextlib.contextmanager
def _waiter(pid: int) -> Iterator[_Ended]:
    """Yield what waits so many seconds for *pid* to end, or for ever, and tells whether it has."""
    try:
        handle = os.pidfd_open(pid)
    except (OSError, AttributeError):  # Linux before 5.3
        yield _polling(pid)
        return
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        yield lambda seconds: bool(poll.poll(None if seconds is None else max(1, round(seconds * 1000))))
    finally:
        os.close(handle)


def _polling(pid: int) -> _Ended:
    def ended(seconds: float | None) -> bool:
        flags = os.WEXITED | os.WNOWAIT
        if seconds is None:
            return os.waitid(os.P_PID, pid, flags) is not None
        deadline, pause = time.monotonic() + seconds, 0.001
        while os.waitid(os.P_PID, pid, flags | os.WNOHANG) is None:
            if (left := deadline - time.monotonic()) <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(2 * pause, 0.05)
        return True

    return ended


def memory_of(pid: int) -> int:
    """Return the resident memory of a process and all that it started, in bytes."""
    total = 0
    for one in descendants(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{one}/statm").read_bytes().split()[1]) * _PAGE
    return total

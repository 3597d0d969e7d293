"""A job that is told to end ends its programs in good order: SIGTERM, a while of grace, SIGKILL."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

GRACE = 10.0
"""Seconds between asking a program to end and killing it."""


class Stopped(Exception):
    """The job was told to end; raised where it is safe to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"the job was told to end by {signal.Signals(signum).name}")
        self.signum = signum


class Stop:
    """Remembers that the job was told to end, and passes it on to the programs that run: first TERM, later KILL."""

    def __init__(self, grace: float = GRACE) -> None:
        self.signum, self.grace = 0, grace
        self._groups: set[int] = set()

    def check(self) -> None:
        """Raise Stopped if the job was told to end."""
        if self.signum:
            raise Stopped(self.signum)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Handle SIGTERM and SIGINT inside; does nothing outside the main thread, where signals do not arrive."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {signal.SIGTERM: self._told, signal.SIGINT: self._told, signal.SIGALRM: self._kill}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def guarding(self, group: int) -> Iterator[None]:
        """Send on to process group *group* what arrives inside, or has arrived already."""
        self._groups.add(group)
        try:
            if self.signum:  # it arrived while the program was being started
                signal_group(group, signal.SIGTERM)
            yield
        finally:
            self._groups.discard(group)

    def _told(self, signum: int, _frame: FrameType | None) -> None:
        again, self.signum = self.signum != 0, self.signum or signum
        for group in tuple(self._groups):
            signal_group(group, signal.SIGKILL if again else signal.SIGTERM)
        if not again:
            signal.setitimer(signal.ITIMER_REAL, self.grace, self.grace)

    def _kill(self, _signum: int, _frame: FrameType | None) -> None:
        for group in tuple(self._groups):
            signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group, if there still is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)

"""Run programs: the only place in the job that starts processes.

A program gets its own session, so that it and everything it started can be ended together, and no shell ever sees its
arguments. `Stop` turns a signal to the job into an orderly end of the program that runs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from facade.job.receipt import now

GRACE = 10.0
"""Seconds between asking a program to end and killing it."""

PRIVATE = ("FACADE_DB", "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE")
"""Variables that lead to the database; programs do not get them."""


class Stopped(Exception):
    """The job was told to end; raised where it is safe to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"the job was told to end by {signal.Signals(signum).name}")
        self.signum = signum


class Stop:
    """Remembers that the job was told to end, and passes it on to the program that runs: first TERM, later KILL."""

    def __init__(self, grace: float = GRACE) -> None:
        self.signum = 0
        self._grace, self._group = grace, 0

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
        self._group = group
        try:
            if self.signum:
                self._end()
            yield
        finally:
            self._group = 0
            if self.signum:
                signal.setitimer(signal.ITIMER_REAL, 0)

    def _told(self, signum: int, _frame: FrameType | None) -> None:
        again, self.signum = self.signum != 0, self.signum or signum
        if self._group and again:
            _signal_group(self._group, signal.SIGKILL)
        elif self._group:
            self._end()

    def _end(self) -> None:
        _signal_group(self._group, signal.SIGTERM)
        signal.setitimer(signal.ITIMER_REAL, self._grace)

    def _kill(self, _signum: int, _frame: FrameType | None) -> None:
        if self._group:
            _signal_group(self._group, signal.SIGKILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended and what it used. ``maxrss`` (kB) is at least that of the process that started it."""

    start: str
    end: str
    exit_code: int | None
    signal: int = 0
    utime: float = 0.0
    stime: float = 0.0
    maxrss: int = 0
    inblock: int = 0
    oublock: int = 0
    problem: str = ""
    """Why the program could not be started, if it could not."""

    @property
    def success(self) -> bool:
        """True if the program ran and returned 0."""
        return self.exit_code == 0

    def __str__(self) -> str:
        how = f"signal {signal_name(self.signal)}" if self.signal else f"exit {self.exit_code}"
        usage = f"{self.utime:.2f} s user, {self.stime:.2f} s system, {self.maxrss // 1024} MB"
        return self.problem or f"{how}; {usage}; {self.inblock} blocks in, {self.oublock} out; ended {self.end}"


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of programs: ours without what leads to the database, and *extra* on top."""
    return {key: value for key, value in os.environ.items() if key not in PRIVATE} | dict(extra)


def run(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: int, stop: Stop) -> Ended:
    """Run *argv* in *cwd* with its output appended to file descriptor *log*; kill what it leaves running."""
    start = now()
    try:
        process = subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    except (OSError, ValueError) as error:
        code = 127 if isinstance(error, FileNotFoundError) else 126
        return Ended(start=start, end=now(), exit_code=code, problem=_not_started(argv[0], env, error))
    with stop.guarding(process.pid):
        # waitid leaves the zombie in place, so that the group's number cannot be reused before the group is killed
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        _signal_group(process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(process.pid, 0)
    code = process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(
        start=start,
        end=now(),
        exit_code=code if code >= 0 else None,
        signal=max(0, -code),
        utime=round(usage.ru_utime, 6),
        stime=round(usage.ru_stime, 6),
        maxrss=usage.ru_maxrss,
        inblock=usage.ru_inblock,
        oublock=usage.ru_oublock,
    )


def version(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> str:
    """Return the first line that *argv* prints about itself, or "" if it does not say within ten seconds."""
    try:
        result = subprocess.run(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=10, check=False, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    lines = result.stdout.decode(errors="replace").replace("\0", "").split("\n")
    return next((line.strip() for line in lines if line.strip()), "")[:200] if result.returncode == 0 else ""


def signal_name(number: int) -> str:
    """Return ``9 (SIGKILL)`` for 9."""
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:  # real-time signals have no names
        return str(number)


def _not_started(program: str, env: Mapping[str, str], error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and "/" not in program:
        return f"program {program!r} not found; PATH={env.get('PATH', '')}"
    if isinstance(error, FileNotFoundError):
        return f"program {program!r} not found, or the interpreter that its first line names"
    if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
        return f"program {program!r} cannot be run: neither a binary for this machine nor a script with a #! line"
    return f"program {program!r} cannot be run: {error.strerror if isinstance(error, OSError) else error}"


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)

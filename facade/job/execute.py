"""Run programs: the only place in the job that starts processes.

A program gets its own session, so that it and everything it started can be ended together, and no shell ever sees its
arguments. What it leaves running, in its group or as a daemon of its own, is killed when it ends.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facade.job.receipt import now
from facade.job.stop import Stop, signal_group
from facade.job.strays import MARK, end_children
from facade.job.watch import Limits, watched

NONE = Limits()

PRIVATE = ("FACADE_DB", "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE",
           "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")  # fmt: skip
"""Variables that lead to the database or open the archive; programs do not get them."""


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
    broke: str = ""
    """Which limit it was ended for: time or memory."""
    strays: tuple[str, ...] = ()
    """Daemons that it left behind, and that were killed."""

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


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: int,
    stop: Stop,
    limits: Limits = NONE,
    mark: str = "",
) -> Ended:
    """Run *argv* in *cwd* with its output appended to file descriptor *log*; kill what it leaves running.

    *mark* tells its processes from those of other programs (`facade.job.strays`).
    """
    start = now()
    try:
        process = subprocess.Popen(
            argv, cwd=cwd, env={**env, MARK: mark} if mark else env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        code = 127 if isinstance(error, FileNotFoundError) else 126
        return Ended(start=start, end=now(), exit_code=code, problem=_not_started(argv[0], env, error))
    with stop.guarding(process.pid):
        broke = watched(process.pid, limits, stop.grace)
        signal_group(process.pid, signal.SIGKILL)
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
        broke=broke,
        strays=tuple(end_children(mark)) if mark else (),
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

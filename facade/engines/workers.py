"""Worker processes of the local engine: one process runs job after job, asked and answered by pipes.

The protocol is that of `facade.job.worker`: a JSON line per job in, a JSON line with its exit code out, end at EOF.
No pipe end reaches another worker (Python's pipes are close-on-exec): it sees EOF the moment the engine dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMAND = (sys.executable, "-P", "-m", "facade.job.worker")
"""What runs jobs; ``-P`` keeps the directory it is started in out of the module path."""

LAST_WORDS = 15.0
"""Seconds that an idle worker gets to end by itself (it may still be talking to the registry)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all workers of a run share. *lock* is inherited: it stays held while any worker lives."""

    environment: Mapping[str, str]
    directory: Path
    log: Path
    lock: int
    command: Sequence[str] = COMMAND


class Worker:
    """One worker process and the job it runs, if any."""

    def __init__(self, around: Surroundings) -> None:
        self.jobnum: int | None = None
        self.retired = False
        self._buffer = b""
        with open(around.log, "ab") as log:
            self._process = subprocess.Popen(
                around.command,
                cwd=around.directory,
                env=around.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                pass_fds=(around.lock,),
                process_group=0,  # Ctrl-C in a terminal is for the engine, which then asks its workers to end
            )
        assert self._process.stdin and self._process.stdout
        self._requests, self._answers = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the worker answers or dies."""
        return self._answers.fileno()

    def start(self, jobnum: int, capsule: Path, workdir: Path) -> None:
        """Give it a job. If the worker is dead already, the answer tells."""
        self.jobnum = jobnum
        request = json.dumps({"capsule": str(capsule), "workdir": str(workdir)}) + "\n"
        with contextlib.suppress(BrokenPipeError):
            self._requests.write(request.encode())

    def receive(self) -> list[int] | None:
        """Return the exit codes that have arrived; None if the worker is dead (if it talks nonsense, it is now)."""
        data = os.read(self.fileno(), 65536)
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        try:
            return [int(json.loads(line)["code"]) for line in lines]
        except (ValueError, KeyError, TypeError):
            self.signal(signal.SIGKILL)
            return None

    def retire(self) -> None:
        """Let it end after its current job: it sees EOF."""
        self.retired = True
        with contextlib.suppress(OSError):
            self._requests.close()

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Wait for its end, kill it after *seconds*; return its exit code, negative for a signal."""
        self.retire()
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._process.wait()
        self._answers.close()
        return int(self._process.returncode)


def end(workers: Iterable[Worker], seconds: float = LAST_WORDS) -> None:
    """End idle workers together, within *seconds*."""
    ending = list(workers)
    for worker in ending:
        worker.retire()
    deadline = time.monotonic() + seconds
    for worker in ending:
        worker.wait(deadline - time.monotonic())

"""The log of one quantum: what facade did, each command line, and everything the programs printed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from facade.job.execute import Ended
from facade.job.receipt import now
from facade.messages import COMMAND, EXEC, NOTE


class Log:
    """A log file, open for appending by us and by the programs (through `handle`)."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self.handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)

    @property
    def source(self) -> Path:
        """Where the log can be read, even if a program removed it."""
        return self.file if self.file.exists() else Path(f"/proc/self/fd/{self.handle}")

    def note(self, text: str) -> None:
        """Add lines of our own, marked so that they are told from what programs print."""
        lines = text.splitlines() or [""]
        self._write("".join(f"{NOTE}{line}\n" for line in lines))

    def starting(self, execnum: int, name: str, argv: Sequence[str]) -> None:
        """Add the header of a program."""
        self._write(f"{EXEC}exec {execnum} {name}, started {now()}\n{COMMAND}{shlex.join(argv)}\n")

    def ended(self, execnum: int, name: str, ended: Ended) -> None:
        """Add the footer of a program."""
        start = "" if self._at_line_start() else "\n"
        self._write(f"{start}{EXEC}exec {execnum} {name}: {ended}\n")
        if ended.strays:
            self.note(f"killed what {name} left running: {', '.join(ended.strays)}")

    def close(self) -> None:
        """Close the file; nothing may be added afterwards."""
        os.close(self.handle)

    def _at_line_start(self) -> bool:
        with open(self.source, "rb") as stream:
            if stream.seek(0, os.SEEK_END) == 0:
                return True
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"

    def _write(self, text: str) -> None:
        os.write(self.handle, text.encode("utf-8", "backslashreplace"))


def log_name(planned: str, run: int) -> str:
    """Return the name of a quantum's log in *run*; later runs never write over the log of an earlier one.

    >>> log_name("a_w00002.log", 1), log_name("a_w00002.log", 2)
    ('a_w00002.log', 'a_w00002_t2.log')
    """
    if run == 1:
        return planned
    stem, dot, suffix = planned.rpartition(".log")
    return f"{stem}_t{run}{dot}{suffix}" if dot else f"{planned}_t{run}"

"""Look for messages in a log while programs write it (docs/messages.md).

Programs write into the log themselves, and a thread reads what they have written: so the log is what they printed, byte
for byte, whatever becomes of the search. If that fails, or has to end early, this is told; the program knows nothing.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from facade.job.capsule import Exec
from facade.job.messages import Finders, Findings, Found, Scanner
from facade.job.receipt import now
from facade.messages import WARNING, Rules

LOOK = 1.0
"""Seconds between looks at a log that grows."""
HURRY = 2.0
"""Seconds that are left to the search once the job was told to end."""
CHUNK = 1 << 20
ROWS = 100
"""Messages in one line of a receipt."""


class Searches:
    """The rules of a job and what finds them: made when the first program that has them prints something."""

    def __init__(self, rules: Sequence[Rules]) -> None:
        self.rules = rules
        self._finders: dict[int, Finders] = {}

    def finders(self, index: int) -> Finders:
        """Return what finds the messages of rules number *index*; quanta that run at once may share it."""
        if index not in self._finders:
            self._finders[index] = Finders(self.rules[index])
        return self._finders[index]


class Follower:
    """Follows the log *file* of one quantum, which is open as *log*.

    *tell* takes lines for the receipt; *told_to_end* says whether the job is to end.
    """

    def __init__(
        self,
        file: Path,
        log: int,
        quantum: int,
        searches: Searches,
        tell: Callable[[dict[str, Any]], None],
        told_to_end: Callable[[], bool],
    ) -> None:
        self._file, self._log, self._quantum, self._searches = file, log, quantum, searches
        self._tell, self._told_to_end = tell, told_to_end
        self._findings = Findings()
        self._offset, self._line = 0, 1
        self._ended = threading.Event()
        self.trouble = ""
        """Why the output of the last program was not searched to its end, if it was not."""

    @contextlib.contextmanager
    def following(self, program: Exec) -> Iterator[None]:
        """Search what is written into the log inside; it has been searched afterwards."""
        self.trouble = ""
        if program.messages is None:
            yield
            return
        self._ended.clear()
        begin = os.fstat(self._log).st_size
        arguments = program.execnum, program.messages, begin
        thread = threading.Thread(target=self._follow, args=arguments, name="messages", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def finish(self) -> None:
        """Tell the last messages, and how many there were; nothing is told twice."""
        findings, self._findings = self._findings, Findings()
        rows, counts = [*findings.take(), *findings.rest()], findings.counts()
        if counts:
            self._write(rows, counts)

    def _follow(self, execnum: int, index: int, begin: int) -> None:
        """Run in the thread: look again and again from byte *begin*, until the program has ended and all is read."""
        try:
            with self._file.open("rb") as stream:
                while self._offset < begin:
                    self._read(stream.fileno(), begin)
                self._search(stream.fileno(), execnum, index)
        except Exception as error:  # whatever it is, it is told, and the program runs on
            with contextlib.suppress(OSError):  # if it is the receipt, who writes it next will meet it
                self._give_up(execnum, f"{type(error).__name__}: {error}")

    def _search(self, handle: int, execnum: int, index: int) -> None:
        scanner: Scanner | None = None
        hurry = 0.0
        while True:
            ended = self._ended.wait(LOOK)  # before what is read: what comes later is not the program's
            size = os.fstat(handle).st_size
            if size < self._offset:
                self._offset, self._line = 0, 1  # for the next program: what is there now is counted anew
                return self._give_up(execnum, "the program has cut the log")
            while self._offset < size:
                if self._told_to_end():
                    hurry = hurry or time.monotonic() + HURRY
                    if time.monotonic() > hurry:
                        return self._give_up(execnum, "the job was told to end")
                if scanner is None:
                    finders = self._searches.finders(index)
                    scanner = Scanner(self._searches.rules[index], finders, self._findings, execnum, self._line)
                scanner.feed(self._read(handle, size), now())
            if ended:
                break
            self._write(self._findings.take())
        if scanner is not None:
            scanner.end()  # what it has found goes with what the next program says, or with the last of the quantum

    def _read(self, handle: int, size: int) -> bytes:
        """Return what comes next of the first *size* bytes; its lines are counted."""
        data = os.pread(handle, min(CHUNK, size - self._offset), self._offset)
        if not data:
            raise OSError("the log has become shorter")
        self._offset += len(data)
        self._line += data.count(b"\n")
        return data

    def _give_up(self, execnum: int, why: str) -> None:
        self.trouble = f"messages were looked for up to line {self._line} only: {why}"
        self._write(self._findings.take())
        row = {
            "execnum": execnum,
            "level": WARNING,
            "pattern": "",
            "line": self._line,
            "time": now(),
            "message": self.trouble,
        }
        self._tell({"kind": "messages", "quantum": self._quantum, "log": self._file.name, "rows": [row]})

    def _write(self, found: Sequence[Found], counts: Sequence[tuple[str, int, int]] = ()) -> None:
        """Tell what was found, and with the last of it how many there were."""
        for start in range(0, len(found) or bool(counts), ROWS):
            rows = [one.row() for one in found[start : start + ROWS]]
            more = {"counts": counts} if counts and start + ROWS >= len(found) else {}
            self._tell({"kind": "messages", "quantum": self._quantum, "log": self._file.name, "rows": rows, **more})

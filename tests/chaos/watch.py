"""What an attempt does at the moment, seen from outside: its receipts, and the processes of this host."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Receipts:
    """All receipts of a run directory, read on as they grow."""

    run: Path
    states: dict[int, str] = field(default_factory=dict)
    """State of each quantum that a receipt speaks of."""
    fresh: list[str] = field(default_factory=list)
    """Kinds of the lines that the last look found; a quantum's state counts as one."""
    last: dict[Path, int] = field(default_factory=dict)
    """The last ``seq`` in each receipt."""
    busy: set[Path] = field(default_factory=set)
    _read: dict[Path, int] = field(default_factory=dict)

    def look(self) -> list[str]:
        """Read what is new; return the kinds of its lines."""
        self.fresh = []
        for folder in sorted(self.run.glob("jobs/*")):
            for entry in os.scandir(folder):
                if ".receipt." in entry.name and entry.stat().st_size > self._read.get(Path(entry.path), 0):
                    self._more(Path(entry.path))
        return self.fresh

    def _more(self, path: Path) -> None:
        start = self._read.get(path, 0)
        with path.open("rb") as stream:
            stream.seek(start)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read[path] = start + len(whole)
        for text in whole.splitlines():
            line: dict[str, Any] = json.loads(text)
            self.last[path] = line["seq"]
            self.fresh.append(line.get("state", "") if line["kind"] == "quantum-state" else line["kind"])
            if "quantum" in line:
                self.busy.add(path)
            if line["kind"] in ("quantum-state", "quantum-ended"):
                self.states[line["quantum"]] = line["state"]

    def idle(self, path: Path) -> bool:
        """Tell whether a receipt says of no quantum: a copy of a job came when all was done, and told nobody."""
        return path not in self.busy

    @property
    def succeeded(self) -> int:
        """How many quanta have succeeded."""
        return sum(state == "succeeded" for state in self.states.values())


def cmdline(pid: int) -> list[str]:
    """Return the words that a process was started with, none if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    return []


def alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def parent(pid: int) -> int:
    """Return the parent of a process, 0 if it is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def pids() -> list[int]:
    """Return all processes of this host."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def belongs(pid: int, home: Path) -> bool:
    """Tell whether a process works for *home*: by its environment, or by where it works."""
    with contextlib.suppress(OSError):
        if f"FACADE_HOME={home}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return True
        return os.readlink(f"/proc/{pid}/cwd").startswith(f"{home}/runs/")
    return False


def jobs(home: Path) -> list[int]:
    """Return the processes of *home* that run jobs."""
    return [
        pid for pid in pids()
        if any(word in ("facade.job", "facade.job.worker") for word in cmdline(pid)[:6]) and belongs(pid, home)
    ]  # fmt: skip


def programs(home: Path) -> list[int]:
    """Return the programs that jobs of *home* run."""
    running = set(jobs(home))
    return [pid for pid in pids() if parent(pid) in running and alive(pid)]


def left(home: Path) -> list[str]:
    """Return the processes of *home* other than the database."""
    found = [pid for pid in pids() if belongs(pid, home) and alive(pid)]
    told = {pid: " ".join(cmdline(pid))[:120] for pid in found}
    return [f"{pid} {text}" for pid, text in told.items() if text and "postgres" not in text and "pg_ctl" not in text]

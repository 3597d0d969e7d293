"""A job of a wrapper under test: filled with quanta, run in a process of its own, looked at afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facade.errors import RefusedError
from facade.job import receipt
from facade.job.execute import PRIVATE

PROGRAM = '''\
"""Reads files, writes what they hold to others, and keeps what it was called with."""
import json, os, signal, sys, time
options = {}
for word in sys.argv[1:]:
    name, equals, value = word.partition("=")
    if equals and name in ("--in", "--list", "--out", "--seen", "--exit", "--sleep", "--say"):
        options.setdefault(name, []).append(value)
def first(name):
    return options.get(name, [""])[0]
with open(first("--seen"), "w") as seen:
    json.dump({"argv": sys.argv[1:], "pid": os.getpid(), "directory": os.getcwd()}, seen)
if first("--say"):
    print(first("--say"))
    print("on stderr too", file=sys.stderr)
time.sleep(float(first("--sleep") or 0))
names = options.get("--in", [])
for one in options.get("--list", []):
    with open(one) as listing:
        names += [line.rstrip("\\n") for line in listing]
data = ""
for name in names:
    with open(name) as source:
        data += source.read()
for name in options.get("--out", []):
    with open(name, "w") as target:
        target.write(data)
sys.exit(int(first("--exit") or 0))
'''

PATIENCE = 120
"""Seconds that a case may take."""


@dataclass(slots=True)
class Job:
    """A job of the wrapper under test, to be filled with quanta and run."""

    root: Path
    wrapper: str
    parameters: Mapping[str, str]
    columns: Mapping[str, str]
    quanta: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _abandoned: bool = False

    def __post_init__(self) -> None:
        for name in ("archive/in", "jobs", "work", "seen"):
            (self.root / name).mkdir(parents=True)
        (self.root / "program.py").write_text(PROGRAM)

    # -- what it is made of

    def input(self, name: str, text: str, **more: Any) -> dict[str, Any]:
        """Put a file into the archive; return it as an input."""
        (self.root / "archive/in" / name).write_text(text)
        known = {"size": len(text.encode()), "checksum": hashlib.sha256(text.encode()).hexdigest()}
        metadata = {"visit": 903334, "ccd": 16, "filter": "HSC-I"}
        return {"section": "file.raw", "filename": name, "compression": "", "filetype": "raw", "path": "in",
                "archive_path": "in", "metadata": metadata, "producer": None, **known, **more}  # fmt: skip

    def output(self, name: str, **more: Any) -> dict[str, Any]:
        """Return an output."""
        return {"section": "file.made", "filename": name, "compression": "", "filetype": "made", "path": "out",
                "archive_path": "out", "metadata": {"visit": 903334}, **more}  # fmt: skip

    def program(self, *words: str, used: Sequence[str] = (), made: Sequence[str] = ()) -> dict[str, Any]:
        """Return a program that is called with *words*."""
        return {"name": "program", "argv": [sys.executable, str(self.root / "program.py"), *words],
                "used": list(used), "generated": list(made),
                "derived": [[child, parent] for child in made for parent in used]}  # fmt: skip

    def copy(self, source: str = "a.txt", target: str = "x.txt", *words: str) -> dict[str, Any]:
        """Return a program that copies an input to an output."""
        return self.program(f"--in=in/{source}", f"--out=out/{target}", *words, used=[source], made=[target])

    def quantum(self, *programs: dict[str, Any], **more: Any) -> None:
        """Add a quantum."""
        number = len(self.quanta) + 1
        for execnum, one in enumerate(programs, 1):
            one["execnum"] = execnum
            one["argv"].append(f"--seen={self.seen_file(number, execnum)}")
        self.quanta.append({
            "task_id": 40 + number, "wrapnum": number, "module": "conformance", "wrapper": self.wrapper,
            "keys": {"visit": 903334}, "parameters": dict(self.parameters),
            "log": {"filename": f"w{number}.log", "archive_path": "log"}, "execs": list(programs), **more,
        })  # fmt: skip

    def seen_file(self, quantum: int, execnum: int) -> Path:
        """Return where a program keeps what it was called with."""
        return self.root / f"seen/{quantum}_{execnum}.json"

    # -- running it

    def start(self) -> subprocess.Popen[bytes]:
        """Start the job in a process of its own, which knows no database."""
        columns = {name: {"type": kind, "source": ""} for name, kind in {"visit": "int", **self.columns}.items()}
        tree = {
            "format": 1,
            "attempt": {"name": "Test_r1p01", "id": 1, "task_id": 1, "identity": {
                "project": "TEST", "campaign": "conformance", "reqnum": 1, "unitname": "Test", "attnum": 1}},
            "job": {"jobnum": 1, "task_id": 12, "keys": {}},
            "archive": {"name": "scratch", "root": str(self.root / "archive")},
            "environment": {"PATH": os.environ.get("PATH", os.defpath)},
            "filetypes": {"made": {"metadata_table": "made", "columns": columns}},
            "quanta": self.quanta,
        }  # fmt: skip
        if self._abandoned:
            raise RefusedError("the test was interrupted")
        (self.root / "jobs/j.json").write_text(json.dumps(tree))
        env = {key: value for key, value in os.environ.items() if key not in PRIVATE and not key.startswith("_CONDOR")}
        with (self.root / "job.txt").open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "facade.job", "jobs/j.json", "--workdir", str(self.root / "work")],
                env=env, cwd=self.root, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        return self._process

    def abandon(self) -> None:
        """Tell the job to end its programs and itself, and start none any more."""
        self._abandoned = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def run(self, code: int = 0) -> None:
        """Run the job; its exit code must be *code*."""
        self.end(self.start(), code, PATIENCE)

    def end(self, process: subprocess.Popen[bytes], code: int, patience: float) -> None:
        """Wait for the job to end."""
        try:
            found = process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.wrong.append(f"the job did not end within {patience:.0f} s and was killed")
            self.end_programs()
            return
        if found != code:
            self.wrong.append(f"the job exited with {found}, not with {code}{self.why()}")

    def end_programs(self) -> list[int]:
        """Kill the programs that still run; return which those were."""
        ended = []
        for file in sorted((self.root / "seen").iterdir()):
            with contextlib.suppress(OSError, ValueError):  # it has ended, or was only about to start
                pid = int(json.loads(file.read_text())["pid"])
                if str(file).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    ended.append(pid)
        return ended

    def why(self) -> str:
        """Return what went wrong, as the receipt has it, else what the job said."""
        told = [_message(line["failure"]) for line in self.lines("quantum-ended") if line.get("failure")]
        said = (self.root / "job.txt").read_text(errors="replace").strip()
        return "".join([f": {text}" for text in [*told, said] if text][:1])

    # -- what came of it

    def lines(self, kind: str, quantum: int = 0) -> list[dict[str, Any]]:
        """Return lines of the receipt, of all quanta or of one."""
        found = [line for file in receipt.files(self.root / "jobs", "j") for line in receipt.read(file)]
        return [one for one in found if one["kind"] == kind and (not quantum or one.get("quantum") == 40 + quantum)]

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Note a problem unless *found* is what is *wanted*."""
        if found != wanted:
            self.wrong.append(f"{what}: expected {_short(wanted)}, found {_short(found)}")

    def content(self, name: str, wanted: str | None) -> None:
        """Say what the archive must hold under the name of an output, None for nothing."""
        file = self.root / "archive/out" / name
        self.expect(f"output {name}", file.read_text() if file.exists() else None, wanted)

    def failed(self, failure_class: str, exit_code: int | None = None) -> None:
        """Say how the first quantum must have failed."""
        failure = next((line["failure"] for line in self.lines("quantum-ended", 1)), None) or {}
        shown = f" ({_message(failure)})" if failure else ""
        if failure.get("class") != failure_class:
            self.wrong.append(f"failure class: expected {failure_class}, found {failure.get('class')}{shown}")
        elif exit_code is not None and failure.get("exit_code") != exit_code:
            self.wrong.append(f"exit code: expected {exit_code}, found {failure.get('exit_code')}{shown}")

    def seen(self, quantum: int = 1, execnum: int = 1) -> dict[str, Any]:
        """Return what a program was called with; nothing if it was not."""
        file = self.seen_file(quantum, execnum)
        found = json.loads(file.read_text()) if file.exists() else {}
        assert isinstance(found, dict)
        return found

    def log(self) -> str:
        """Return the log of the first quantum as it was saved."""
        file = self.root / "archive/log/w1.log"
        return file.read_text(errors="replace") if file.exists() else ""


def _message(failure: Mapping[str, Any]) -> str:
    return str(failure["message"]).partition("; job directory kept: ")[0]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."

"""A small house: an archive with inputs, a run directory, and a way to write capsules of it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facade.job import receipt
from facade.job.runner import run_job

PROGRAM = """\
import sys
out, *sources = sys.argv[1:]
data = "".join(open(name).read() for name in sources) or "made\\n"
open(out, "w").write(data.upper())
print("wrote", out)
"""


@dataclass
class House:
    """Builds capsules of one attempt and runs them."""

    root: Path
    quanta: list[dict[str, Any]] = field(default_factory=list)
    filetypes: dict[str, Any] = field(default_factory=dict)
    messages: list[Any] = field(default_factory=list)
    junk: list[Any] = field(default_factory=lambda: ["failure", 1 << 20])
    jobnum: int = 7
    task_id: int = 12
    attempt_id: int = 1

    def __post_init__(self) -> None:
        for name in ("archive", "run/jobs/000", "work"):
            (self.root / name).mkdir(parents=True)
        (self.root / "copy.py").write_text(PROGRAM)

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def jobs(self) -> Path:
        return self.root / "run/jobs/000"

    @property
    def capsule(self) -> Path:
        return self.jobs / f"j{self.jobnum:06d}.json"

    def input(self, filename: str, text: str = "raw\n", **more: Any) -> dict[str, Any]:
        """Put a file into the archive and return its entry."""
        at = self.archive / "raw" / filename
        at.parent.mkdir(exist_ok=True)
        at.write_text(text)
        known = {"size": len(text.encode()), "checksum": sha256(text), "producer": None}
        return {"section": "file.raw", "filename": filename, "compression": "", "filetype": "raw", "path": "in",
                "archive_path": "raw", "rename": None, "metadata": {}, **known, **more}  # fmt: skip

    def made(self, filename: str, producer: int | None = None, **more: Any) -> dict[str, Any]:
        """Return the entry of an input that this attempt makes."""
        return {"section": "file.mid", "filename": filename, "compression": "", "filetype": "mid", "path": "out",
                "archive_path": "red", "size": None, "checksum": None, "metadata": {},
                "producer": self.jobnum if producer is None else producer, **more}  # fmt: skip

    def output(self, filename: str, **more: Any) -> dict[str, Any]:
        return {"section": "file.out", "filename": filename, "compression": "", "filetype": "mid", "path": "out",
                "archive_path": "red", "optional": False, "save": True, "metadata": {"visit": 1}, **more}  # fmt: skip

    def exec(self, *argv: str, **more: Any) -> dict[str, Any]:
        return {"execnum": 1, "name": Path(argv[0]).name, "argv": list(argv), "version_flag": "", "used": [],
                "generated": [], "derived": [], **more}  # fmt: skip

    def python(self, code: str, **more: Any) -> dict[str, Any]:
        return self.exec(sys.executable, "-c", code, **more)

    def copy(self, out: str, *sources: str, **more: Any) -> dict[str, Any]:
        return self.exec(sys.executable, str(self.root / "copy.py"), out, *sources, **more)

    def add(self, *execs: dict[str, Any], **more: Any) -> int:
        """Add a quantum; return its task id."""
        number = len(self.quanta) + 1
        made = [item["filename"] + item["compression"] for item in more.get("outputs", [])]
        for execnum, item in enumerate(execs, 1):
            item.update(execnum=execnum, generated=item["generated"] or made)
        self.quanta.append(
            {"task_id": 40 + number, "wrapnum": number, "module": "step", "wrapper": "generic", "keys": {"visit": 1},
             "parameters": {}, "log": {"filename": f"Ht0_r11p01_step_w{number:05d}.log", "archive_path": "log/step"},
             "inputs": [], "lists": [], "outputs": [], "execs": list(execs), **more}
        )  # fmt: skip
        return 40 + number

    def write(self) -> Path:
        """Write the capsule."""
        identity = {"project": "MMG", "campaign": "test", "reqnum": 11, "unitname": "Ht0", "attnum": 1}
        tree = {
            "format": 1,
            "attempt": {"name": "Ht0_r11p01", "id": self.attempt_id, "task_id": 1, "identity": identity},
            "block": {"name": "coadd", "task_id": 3},
            "job": {"jobnum": self.jobnum, "task_id": self.task_id, "keys": {}},
            "parents": [],
            "archive": {"name": "home", "root": str(self.archive)},
            "environment": {"PATH": os.environ["PATH"], "FACADE_TEST": "yes"},
            "filetypes": self.filetypes,
            "messages": self.messages,
            "junk": self.junk,
            "quanta": self.quanta,
        }
        self.capsule.write_text(json.dumps(tree))
        return self.capsule

    def run(self, **more: Any) -> int:
        """Write the capsule and run it in this process."""
        return run_job(self.write(), workdir=self.root / "work", **more)

    def lines(self, run: int = 1) -> list[dict[str, Any]]:
        return list(receipt.read(self.jobs / f"{self.capsule.stem}.receipt.{run:02d}.jsonl"))

    def ended(self, run: int = 1) -> dict[int, dict[str, Any]]:
        """Return the quantum-ended lines of a run, by quantum."""
        return {line["quantum"]: line for line in self.lines(run) if line["kind"] == "quantum-ended"}

    def kinds(self, run: int = 1) -> list[str]:
        return [line.get("state") if line["kind"] == "quantum-state" else line["kind"] for line in self.lines(run)]

    def log(self, quantum: int = 1, suffix: str = "") -> str:
        return (self.archive / f"log/step/Ht0_r11p01_step_w{quantum:05d}{suffix}.log").read_text()

    def workdirs(self) -> list[Path]:
        return sorted((self.root / "work").iterdir())


def sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def chain(house: House, code: str = "") -> None:
    """Two quanta, the second reads the output of the first."""
    raw = house.input("raw.txt", "abc\n")
    house.add(house.copy("out/a.txt", "in/raw.txt"), inputs=[raw], outputs=[house.output("a.txt")])
    second = house.python(code) if code else house.copy("out/b.txt", "out/a.txt")
    second["used"], second["derived"] = ["a.txt"], [["b.txt", "a.txt"]]
    house.add(second, inputs=[house.made("a.txt")], outputs=[house.output("b.txt")])

"""Others that turn a workflow into a DAG, or say what would run: the same chains, each in a process of its own.

What pip can install comes into an environment that is made for it; what it cannot is told.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# bps of the Python that runs facade may still need the bindings that htcondor 25 has dropped
BPS = ("lsst-ctrl-bps", "lsst-ctrl-bps-htcondor", "htcondor<25")
SNAKEFILE = """
rule all:
    input: expand("three/{{n}}", n=range({chains}))
rule one:
    output: "one/{{n}}"
    shell: "touch {{output}}"
rule two:
    input: "one/{{n}}"
    output: "two/{{n}}"
    shell: "cp {{input}} {{output}}"
rule three:
    input: "two/{{n}}"
    output: "three/{{n}}"
    shell: "cp {{input}} {{output}}"
"""


def measured(jobs: int, place: Path | None) -> dict[str, Any]:
    """Measure every peer once with *jobs* jobs; peers are installed below *place*, or for this run only."""
    with tempfile.TemporaryDirectory(prefix="facade-peers.") as temporary:
        home = place or Path(temporary)
        peers: dict[str, Callable[[Path], list[str]]] = {
            "htcondor2.dags": lambda folder: [sys.executable, str(HERE / "dags.py"), str(jobs), str(folder)],
            "ctrl_bps + htcondor": lambda folder: [
                str(installed(home / "bps", BPS) / "python"), str(HERE / "bps.py"), str(jobs), str(folder),
            ],
            "snakemake -n": lambda folder: [
                str(installed(home / "snakemake", ("snakemake",)) / "snakemake"), "-n", "-q", "all",
                "-s", str(_snakefile(folder, jobs)), "-d", str(folder),
            ],
        }  # fmt: skip
        found = {}
        for name, argv in peers.items():
            with tempfile.TemporaryDirectory(prefix="facade-peer.") as folder:
                try:
                    found[name] = _run(argv(Path(folder)), Path(folder))
                    told = (
                        f"{found[name]['cpu']:8.2f} s CPU {found[name]['rss']:7.0f} MB {found[name]['files']:8} files"
                    )
                except (subprocess.CalledProcessError, OSError) as error:
                    found[name], told = None, f"not available: {_reason(error)}"
                print(f"  {name:27} {told}")
        return {name: one and one["cpu"] for name, one in found.items()}


def installed(venv: Path, packages: tuple[str, ...]) -> Path:
    """Return the bin directory of an environment with *packages* in it, made if it is not there."""
    if not (venv / "ready").exists():
        for argv in ([sys.executable, "-m", "venv", str(venv)], [str(venv / "bin/pip"), "install", "-q", *packages]):
            subprocess.run(argv, check=True, capture_output=True, text=True)
        (venv / "ready").touch()
    return venv / "bin"


def _snakefile(folder: Path, jobs: int) -> Path:
    file = folder / "Snakefile"
    file.write_text(SNAKEFILE.format(chains=jobs // 3))
    return file


def _run(argv: list[str], folder: Path) -> dict[str, Any]:
    """Run a peer; return CPU seconds (start and imports included), peak memory and the files it left."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            argv, stdout=said, stderr=said, env={**os.environ, "CONDOR_CONFIG": "/dev/null"}, cwd=folder
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise subprocess.CalledProcessError(process.returncode, argv, stderr=said.read().decode(errors="replace"))
    files = sum(1 for path in folder.rglob("*") if path.is_file() and ".snakemake" not in path.parts)
    return {"cpu": round(usage.ru_utime + usage.ru_stime, 2), "rss": usage.ru_maxrss / 1024, "files": files}


def _reason(error: Exception) -> str:
    lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__

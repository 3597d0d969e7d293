"""Others that run commands: the same copies of one small file, two at a time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from peers import installed

WORKERS = 2
SNAKEFILE = """
rule all:
    input: expand("out-{{n}}.txt", n=range({quanta}))
rule copy:
    input: "seed.txt"
    output: "out-{{n}}.txt"
    shell: "cp {{input}} {{output}}"
"""
PARSL = """
import sys, time
import parsl
from parsl import File, bash_app
from parsl.config import Config
from parsl.executors.threads import ThreadPoolExecutor

@bash_app
def copy(inputs=(), outputs=()):
    return f"cp {inputs[0].filepath} {outputs[0].filepath}"

began = time.perf_counter()
with parsl.load(Config(executors=[ThreadPoolExecutor(max_threads=int(sys.argv[2]))], usage_tracking=0)):
    made = [copy(inputs=[File("seed.txt")], outputs=[File(f"out-{n}.txt")]) for n in range(int(sys.argv[1]))]
    for one in made:
        one.result()
"""

Runner = Callable[[Path, int], float]


def runners(home: Path, place: str) -> dict[str, Runner]:
    """Return what runs so many copies in a folder and says how many seconds it took; installed below *place*."""
    where = Path(place) if place else home / "peers"

    def snakemake(folder: Path, quanta: int) -> float:
        (folder / "Snakefile").write_text(SNAKEFILE.format(quanta=quanta))
        argv = [str(installed(where / "snakemake", ("snakemake",)) / "snakemake"), "-q", "all", f"-j{WORKERS}"]
        return _timed(argv, folder)

    def parsl(folder: Path, quanta: int) -> float:
        (folder / "copies.py").write_text(PARSL)
        python = installed(where / "parsl", ("parsl",)) / "python"
        return _timed([str(python), "copies.py", str(quanta), str(WORKERS)], folder)

    return {name: _prepared(run) for name, run in (("snakemake", snakemake), ("parsl", parsl))}


def _prepared(run: Runner) -> Runner:
    def prepared(folder: Path, quanta: int) -> float:
        folder.mkdir()
        (folder / "seed.txt").write_text("seed\n")
        return run(folder, quanta)

    return prepared


def _timed(argv: list[str], folder: Path) -> float:
    began = time.perf_counter()
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{argv}: {done.returncode}\n{done.stderr[-2000:]}")
    return time.perf_counter() - began

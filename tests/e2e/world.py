"""A world of its own for end-to-end tests: a home, simulated exposures, and the command line as a user types it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
CAMPAIGN = ROOT / "wcl/demo/campaign.wcl"
FOREIGN = ("FACADE_", "CONDOR_CONFIG", "_CONDOR_", "PG")
"""Variables of whoever runs the tests that must not reach them …"""
PLACES = ("FACADE_CONDOR_PREFIX", "FACADE_PG_BINDIR", "FACADE_REWRITE")
"""… but for those that say where programs are, and that golden texts are to be written anew."""


def foreign(environ: Iterable[str]) -> list[str]:
    """Return the names in *environ* that tests must not see."""
    return [name for name in environ if name.startswith(FOREIGN) and name not in PLACES]


@dataclass(frozen=True)
class World:
    """``$FACADE_HOME`` and the environment in which commands run."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    """What is said before every command, such as what enters another host."""

    @property
    def data(self) -> Path:
        return self.home / "data"

    def env(self, **more: str) -> dict[str, str]:
        unwanted = foreign(os.environ)
        clean = {k: v for k, v in os.environ.items() if k not in unwanted}
        path = os.pathsep.join([str(BIN), clean.get("PATH", os.defpath)])
        return {**clean, "PATH": path, "FACADE_HOME": str(self.home), **self.environment, **more}

    def with_environment(self, more: Mapping[str, str]) -> World:
        return World(self.home, {**self.environment, **more}, self.prefix)

    def start(self, *words: object) -> subprocess.Popen[str]:
        argv = [*self.prefix, str(BIN / "facade"), *map(str, words)]
        return subprocess.Popen(
            argv, env=self.env(), cwd=self.home, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def facade(self, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run facade and expect exit *code*."""
        argv = [*self.prefix, str(BIN / "facade"), *map(str, words)]
        done = subprocess.run(argv, env=self.env(), cwd=self.home, text=True, capture_output=True, timeout=300)
        assert done.returncode == code, f"{argv} gave {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: object) -> Any:
        return json.loads(self.facade(*words, "--json").stdout)

    def rows(self, text: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("sql", "-c", text)
        return found

    def simulate(self) -> None:
        subprocess.run([str(BIN / "hsc-mini-simulate"), str(self.data)], check=True, env=self.env())

    def ingest(self) -> None:
        """Register everything that the demo campaign needs."""
        for filetype, pattern, *options in (
            ("hsc_raw", "raw/*.fits"),
            ("hsc_bias", "calib/BIAS-*"),
            ("hsc_flat", "calib/FLAT-*"),
            ("ref_cat", "refcat-*"),
            ("skymap", "skymap-*"),
            ("overlap", "overlap-*", "--set", "version=sim59"),
        ):
            self.facade("ingest", "--filetype", filetype, *options, *sorted(self.data.glob(pattern)))
        self.facade("ingest", "--filetype", "butler_template", ROOT / "wcl/demo/butler_template.yaml")

    def submit(self, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run all of the demo campaign, whatever was made before."""
        return self.facade("submit", CAMPAIGN, "--wait", "--reuse", "none", *words, code=code)

    def latest(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json("stat")[0]
        return found

    def newest(self) -> int:
        """Return the id of the newest attempt, 0 if there is none."""
        return int(self.rows("select coalesce(max(id), 0) as id from pfw_attempt")[0]["id"])

    def under_way(self, process: subprocess.Popen[str], known: int) -> str:
        """Wait until the attempt that *process* makes has finished some quanta; return its name.

        *known* is the id of the newest attempt before. (To count what ``stat`` shows would not do: it ends at twenty.)
        """
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            found = self.latest() if self.newest() > known else {}
            if found.get("state") == "running" and found["quanta"].get("succeeded", 0) >= 5:
                return str(found["name"])
            time.sleep(0.2)
        process.kill()
        raise AssertionError(f"the attempt never got going: {process.communicate()}")

    def shim(self, program: str, script: str) -> Sequence[str]:
        """Put a shell script before *program* on the path of jobs; return the options that make it so.

        ``$real`` is the program itself.
        """
        folder = self.home / "shim"
        folder.mkdir(exist_ok=True)
        path = folder / program
        path.write_text(f'#!/bin/sh\nreal="{BIN / program}"\n{script}\nexec "$real" "$@"\n')
        path.chmod(0o755)
        return ("--set", f"job_environment.path={folder}:{BIN}:/usr/bin:/bin")


@contextmanager
def temporary_world(files: Mapping[str, bytes] | None = None) -> Iterator[World]:
    """Give a home of its own with *files* in it; its database is stopped and all of it removed in the end."""
    home = Path(tempfile.mkdtemp(prefix="facade-e2e."))
    for name, data in (files or {}).items():
        (home / name).write_bytes(data)
    world = World(home)
    try:
        yield world
    finally:
        world.facade("db", "stop")
        shutil.rmtree(home)

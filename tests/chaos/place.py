"""Where things go wrong: a home of its own with small disks, a web server behind a proxy, an HTCondor pool."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from archive_servers import serving
from chaos.watch import belongs, pids
from e2e.world import ROOT, World
from faultproxy import FaultProxy, proxied

from facade.registry.embedded import Embedded

sys.path.insert(0, str(ROOT / "tools"))

import condor_prefix
from condor_pool import Pool

CAMPAIGNS = {"small": ROOT / "tests/chaos/small.wcl", "demo": ROOT / "wcl/demo/campaign.wcl"}
QUANTA = {"small": 31, "demo": 89}
SEED = hashlib.shake_256(b"seed").digest(800_000)
DISK = "4g"
INSIDE = "FACADE_CHAOS_INSIDE"
IMPATIENT = {"tries": "4", "pause": "0.1", "timeout": "4"}
"""Habits of the archive on the web server, so that a silent network costs seconds."""


def may_mount() -> list[str] | None:
    """Return what gives a process a mount namespace in which it may mount, None if nothing does."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    command = ["unshare", *user, "--mount", "--propagation", "private", "--"]
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run([*command, "mount", "-t", "tmpfs", "none", folder], capture_output=True)
    return command if tried.returncode == 0 else None


@dataclass
class Place:
    """One home for all attempts. ``mounts``: its disks are small file systems that can be filled and locked."""

    world: World
    web: Path
    proxy: FaultProxy
    mounts: bool
    campaigns: frozenset[str]
    pool: Pool | None = None
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def home(self) -> Path:
        return self.world.home

    @property
    def archive(self) -> Path:
        return self.home / "archive"

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    def settle(self, archive: str) -> None:
        """Have the site keep its files in *archive*: ``home``, a folder, or ``web``, a server behind the proxy."""
        lines = ["workers = 2", f"home_archive = {archive}"]
        if archive == "web":
            habits = [f"{key} = {value}" for key, value in IMPATIENT.items()]
            lines += [
                "<archive>",
                "<web>",
                f"root = http://127.0.0.1:{self.proxy.port}/web",
                *habits,
                "</web>",
                "</archive>",
            ]
        (self.home / "site.wcl").write_text("\n".join([*lines, ""]))

    def kept(self, archive: str) -> Path:
        """Return the folder in which the files of *archive* really lie."""
        return self.archive if archive == "home" else self.web

    def condor(self) -> World:
        """Return the world as it sees the pool, which is started for the first who asks."""
        if self.pool is None:
            pool = Pool(Path(tempfile.mkdtemp(prefix="facade-chaos-pool.")), condor_prefix.location())
            self.stack.callback(shutil.rmtree, pool.directory, ignore_errors=True)
            self.stack.callback(pool.stop)
            # a schedd that was killed is back at once, not after ten seconds; what it forgot to ask for neither
            pool.start(cpus=8, settings=["MASTER_BACKOFF_CONSTANT = 1", "MASTER_RECOVER_FACTOR = 5"])
            pool.start_guard(os.getpid())
            self.pool = pool
        path = self.world.env()["PATH"] + ":" + self.pool.env["PATH"]
        return self.world.with_environment({"CONDOR_CONFIG": self.pool.env["CONDOR_CONFIG"], "PATH": path})

    def postgres(self) -> list[int]:
        """Return the processes of the database server, the first of them first."""
        with contextlib.suppress(OSError, ValueError):
            first = int((self.home / "db/data/postmaster.pid").read_text().split()[0])
            return [first, *children(first)]
        return []


def children(pid: int) -> list[int]:
    """Return all descendants of a process."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split()):
                found += [child, *children(child)]
    return found


def mount(*words: object) -> None:
    """Call mount; it must succeed."""
    subprocess.run(["mount", *map(str, words)], check=True, capture_output=True)


@contextlib.contextmanager
def placed(campaigns: frozenset[str], *, mounts: bool) -> Iterator[Place]:
    """Make a place with all inputs of *campaigns* registered, and take everything away at the end."""
    with contextlib.ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="facade-chaos."))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        servers, world = home / "servers", World(home)
        for folder in (home / "archive", home / "runs", servers / "files/web"):
            folder.mkdir(parents=True)
        for folder in (home / "archive", home / "runs") if mounts else ():
            mount("-t", "tmpfs", "-o", f"size={DISK}", "none", folder)
            stack.callback(subprocess.run, ["umount", "-l", str(folder)], capture_output=True)
        port = stack.enter_context(serving(_wsgidav(servers), servers))
        proxy = stack.enter_context(proxied(port))
        place = Place(world, servers / "files/web", proxy, mounts, campaigns)
        stack.callback(_end_everything, place)
        stack.enter_context(place.stack)
        if "demo" in campaigns:
            world.simulate()
        (home / "seed.dat").write_bytes(SEED)
        for archive in ("home", "web"):
            place.settle(archive)
            if "demo" in campaigns:
                world.ingest()
            if "small" in campaigns:
                world.facade("ingest", "--filetype", "seed", "--definitions", CAMPAIGNS["small"], home / "seed.dat")
        yield place


def _wsgidav(folder: Path) -> list[str]:
    settings = {
        "host": "127.0.0.1",
        "provider_mapping": {"/": str(folder / "files")},
        "simple_dc": {"user_mapping": {"*": True}},
        "server": "cheroot",
        "server_args": {"numthreads": 20},
        "verbose": 1,
        "logging": {"enable": False},
    }
    (folder / "wsgidav.json").write_text(json.dumps(settings))
    return ["-m", "wsgidav.server.server_cli", "--config", str(folder / "wsgidav.json"), "--port", "PORT"]


def _end_everything(place: Place) -> None:
    """End what an interruption leaves: engines first, for they would start the database again."""
    for pid in pids():
        with contextlib.suppress(OSError):
            if belongs(pid, place.home) and not Path(f"/proc/{pid}/comm").read_text().startswith("postgres"):
                os.kill(pid, signal.SIGKILL)
    for pid in place.postgres():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)
    deadline = time.monotonic() + 10
    while Embedded(place.home).status().running and time.monotonic() < deadline:
        time.sleep(0.05)

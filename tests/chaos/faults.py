"""What goes wrong: each fault strikes when its context is entered, tells whom it hit, and is over when it is left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from chaos import watch
from chaos.place import Place, children, mount
from e2e.world import World

PATIENCE = 10.0
"""Seconds that a fault waits for somebody whom it can hit."""


@dataclass
class Scene:
    """An attempt on its way: who carries it out, and what its receipts say."""

    place: Place
    world: World
    run: Path
    engine: subprocess.Popen[bytes]
    receipts: watch.Receipts
    random: random.Random
    lies: list[str]


class TooLateError(Exception):
    """There is nobody any more whom the fault could hit."""


Strike = Callable[[Scene], AbstractContextManager[str]]


@dataclass(frozen=True)
class Kind:
    """A fault: with which engine and archive it makes sense, and whether it lasts."""

    name: str
    strike: Strike
    engine: str = "local"
    archive: str = "home"
    lasts: bool = False
    mounts: bool = False


def _kill(*pids: int) -> None:
    """Kill processes, all at once: none sees another die."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _told(pid: int) -> str:
    words = watch.cmdline(pid)
    return f"{pid} {' '.join(Path(word).name for word in words[:4])[:50]}"


def _awaited(scene: Scene, find: Callable[[], list[int]]) -> list[int]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := find():
            return found
        if scene.engine.poll() is not None:
            break
        time.sleep(0.005)
    raise TooLateError


def killing(find: Callable[[Scene], list[int]], *, everybody: bool = False) -> Strike:
    """Return the fault that kills one of those that *find* finds, or all of them."""

    @contextlib.contextmanager
    def strike(scene: Scene) -> Iterator[str]:
        found = _awaited(scene, lambda: find(scene))
        victims = found if everybody else [scene.random.choice(found)]
        told = _told(victims[0]) + (f" and {len(victims) - 1} more" if len(victims) > 1 else "")
        _kill(*victims)
        yield told

    return strike


def _jobs(scene: Scene) -> list[int]:
    return watch.jobs(scene.place.home)


def _programs(scene: Scene) -> list[int]:
    return watch.programs(scene.place.home)


def _engine(scene: Scene) -> list[int]:
    return [scene.engine.pid] if scene.engine.poll() is None else []


def _host(scene: Scene) -> list[int]:
    found = [*_engine(scene), *_jobs(scene)]
    return found and [*found, *[pid for job in _jobs(scene) for pid in children(job)]]


def _postgres(scene: Scene) -> list[int]:
    return scene.place.postgres()


def _daemon(name: str) -> Callable[[Scene], list[int]]:
    def find(scene: Scene) -> list[int]:
        assert scene.place.pool is not None
        # one that ends meanwhile has no command line any more
        return [pid for pid in scene.place.pool.processes() if Path((watch.cmdline(pid) or [""])[0]).name == name]

    return find


@contextlib.contextmanager
def copy_of_running(scene: Scene) -> Iterator[str]:
    """Start a job that runs already: it must be refused, with exit 4."""
    program = scene.random.choice(_awaited(scene, lambda: _programs(scene)))
    job = watch.parent(program)
    with contextlib.suppress(ProcessLookupError):
        os.kill(program, signal.SIGSTOP)
    try:
        capsule = _held_by(scene, job)
        if capsule is None or not watch.alive(program):
            raise TooLateError
        done = _copy(scene, capsule).wait(60)
        if watch.alive(program) and watch.parent(program) == job and done != 4:
            scene.lies.append(f"a second copy of {capsule} ended with {done}, not with 4")
        yield f"{Path(capsule).name}: exit {done}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(program, signal.SIGCONT)


@contextlib.contextmanager
def copies_of_any(scene: Scene) -> Iterator[str]:
    """Start two copies at once of a job that the engine will want too: one of three may run it."""
    done = {
        path.name.partition(".")[0]
        for path in scene.run.glob("jobs/*/*.receipt.*")
        if b'"job-ended", "state": "succeeded"' in path.read_bytes()
    }
    table = json.loads((scene.run / "run.json").read_text())["jobs"]
    ready = [
        number
        for number, _, parents, *_ in table
        if f"j{number:06d}" not in done and all(f"j{one:06d}" in done for one in parents)
    ]
    if not ready:
        raise TooLateError
    number = scene.random.choice(ready)
    capsule = f"{scene.run}/jobs/{number // 1000:03d}/capsules.jsonl#{number}"
    copies = [_copy(scene, capsule) for _ in range(2)]
    codes = [copy.wait(120) for copy in copies]
    if set(codes) - {0, 1, 4, 75}:
        scene.lies.append(f"two copies of job {number} ended with {codes}")
    yield f"job {number}: exits {codes}"


def _held_by(scene: Scene, job: int) -> str | None:
    """Return the capsule that process *job* works on: it has its lock open."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{job}/fd"):
            path = Path(os.readlink(entry.path))
            if path.suffix == ".lock" and path.name.startswith("j"):
                return f"{path.parent}/capsules.jsonl#{int(path.stem[1:])}"
    return None


def _copy(scene: Scene, capsule: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "facade.job", capsule, "--workdir", str(scene.run / "work")]
    with (scene.run / "copies.log").open("ab") as log:
        return subprocess.Popen(argv, env=scene.world.env(), stdout=log, stderr=log)


def full(folder: Callable[[Place], Path]) -> Strike:
    """Return the fault that leaves no room on the disk of *folder*."""

    @contextlib.contextmanager
    def strike(scene: Scene) -> Iterator[str]:
        place = folder(scene.place)
        status = os.statvfs(place)
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        room = scene.random.choice((0, 16, 256)) << 10
        for _ in range(20):  # it grows meanwhile, and cannot be made smaller than what is on it
            try:
                mount("-o", f"remount,size={(used + room) >> 10}k", place)
                break
            except subprocess.CalledProcessError:
                status = os.statvfs(place)
                used = (status.f_blocks - status.f_bfree) * status.f_frsize + (64 << 10)
        else:
            raise TooLateError
        try:
            yield f"{place.name}: {room >> 10} kB left"
        finally:
            mount("-o", "remount,size=4g", place)

    return strike


@contextlib.contextmanager
def read_only(scene: Scene) -> Iterator[str]:
    """Lay a read-only view of the archive over it."""
    mount("--bind", scene.place.archive, scene.place.archive)
    try:
        for _ in range(40):  # not while somebody writes through the view
            with contextlib.suppress(subprocess.CalledProcessError):
                mount("-o", "remount,ro,bind", scene.place.archive)
                break
            time.sleep(0.05)
        else:
            raise TooLateError
        yield "archive"
    finally:
        subprocess.run(["umount", "-l", str(scene.place.archive)], check=True, capture_output=True)


def spoiling(kind: str, *, up: bool) -> Strike:
    """Return the fault that does *kind* a few times to what goes to the web server, or comes from it."""

    @contextlib.contextmanager
    def strike(scene: Scene) -> Iterator[str]:
        after, times = scene.random.randrange(300_000), scene.random.randint(1, 8)
        scene.place.proxy.arm(kind, up=up, after=after, times=times)
        try:
            yield f"{'up' if up else 'down'}, every {after} bytes, at most {times} times"
        finally:
            scene.place.proxy.arm("none", times=0)

    return strike


def answering(*statuses: str) -> Strike:
    """Return the fault that the server answers everything with one of *statuses*."""

    @contextlib.contextmanager
    def strike(scene: Scene) -> Iterator[str]:
        status = scene.random.choice(statuses)
        scene.place.proxy.answer(status, times=100_000)
        try:
            yield status
        finally:
            scene.place.proxy.arm("none", times=0)

    return strike


@contextlib.contextmanager
def slow(scene: Scene) -> Iterator[str]:
    """Let each connection have a few bytes a second only."""
    scene.place.proxy.rate = scene.random.choice((50e3, 200e3, 1e6))
    try:
        yield f"{scene.place.proxy.rate / 1e3:g} kB/s"
    finally:
        scene.place.proxy.rate = 0.0


KINDS = {
    kind.name: kind
    for kind in (
        Kind("kill job", killing(_jobs)),
        Kind("kill program", killing(_programs)),
        Kind("kill engine", killing(_engine)),
        Kind("kill host", killing(_host, everybody=True)),
        Kind("kill database", killing(_postgres, everybody=True)),
        Kind("copy of a running job", copy_of_running),
        Kind("two copies of a job", copies_of_any),
        Kind("archive full", full(lambda place: place.archive), lasts=True, mounts=True),
        Kind("runs full", full(lambda place: place.runs), lasts=True, mounts=True),
        Kind("archive read-only", read_only, lasts=True, mounts=True),
        Kind("cut down", spoiling("cut", up=False), archive="web", lasts=True),
        Kind("cut up", spoiling("cut", up=True), archive="web", lasts=True),
        Kind("flip down", spoiling("flip", up=False), archive="web", lasts=True),
        Kind("flip up", spoiling("flip", up=True), archive="web", lasts=True),
        Kind("reset", spoiling("reset", up=True), archive="web", lasts=True),
        Kind("stall", spoiling("stall", up=False), archive="web", lasts=True),
        Kind("slow", slow, archive="web", lasts=True),
        Kind("server refuses", answering("403 Forbidden", "507 Insufficient Storage"), archive="web", lasts=True),
        Kind("server busy", answering("503 Busy", "502 Bad Gateway"), archive="web", lasts=True),
        Kind("kill job on pool", killing(_jobs), engine="htcondor"),
        Kind("kill program on pool", killing(_programs), engine="htcondor"),
        Kind("kill DAGMan", killing(_daemon("condor_dagman")), engine="htcondor"),
        Kind("kill schedd", killing(_daemon("condor_schedd")), engine="htcondor"),
        Kind("kill shadow", killing(_daemon("condor_shadow")), engine="htcondor"),
        Kind("kill starter", killing(_daemon("condor_starter")), engine="htcondor"),
        Kind("kill startd", killing(_daemon("condor_startd")), engine="htcondor"),
        Kind("kill watcher", killing(_engine), engine="htcondor"),
        Kind("kill database on pool", killing(_postgres, everybody=True), engine="htcondor"),
    )
}

"""The local engine: runs the jobs of a run on this machine, in a few worker processes that each run many.

Only the engine process knows what is ready; a worker runs what it is given. If the engine is killed, its workers finish
the job at hand and end; they hold ``RUN/engine.lock`` too, so nobody else starts until the last of them is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import re
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from facade.engines.frontier import Frontier
from facade.engines.rundir import RunDirectory
from facade.engines.slots import Slots
from facade.engines.workers import COMMAND, Surroundings, Worker, end
from facade.errors import FacadeError, InputError, RefusedError
from facade.keeping import BLOCK
from facade.needs import MARGIN, RETRIES, RETRY, SLACK

LOCK, LOG, WORK = "engine.lock", "engine.log", "work"
_HOLDER = re.compile(r"pid (?P<pid>\d+) on (?P<host>\S+)")

MEANING = {
    1: "a payload failed",
    2: "the capsule is bad",
    4: "another process runs this job",
    RETRY: "its surroundings failed",
    **dict.fromkeys(RETRIES[1:], "its surroundings failed, or its memory was not enough"),
}

STOP_SECONDS = 0.25
"""How late `stop` may be noticed: an Event cannot be selected on."""

LONGEST_BACKOFF = 60.0
STILLBORN = 5
"""So many workers in a row that die before their job begins, and the engine gives up."""


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something happened to a job. *code* is its exit code (minus the signal, if its worker was killed by one)."""

    jobnum: int
    kind: Literal["started", "succeeded", "failed", "blocked", "lost", "retry"]
    code: int | None = None
    detail: str = ""


def run(
    run_dir: RunDirectory,
    *,
    workers: int,
    done: Collection[int],
    environment: Mapping[str, str],
    without: Collection[str] = (),
    on_event: Callable[[JobEvent], None],
    stop: threading.Event,
    retries: int = 2,
    backoff: float = 2.0,
    grace: float = 30.0,
    command: Sequence[str] = COMMAND,
    grow: Callable[[str], RunDirectory | None] | None = None,
    home: Callable[[RunDirectory], bool] | None = None,
) -> bool:
    """Run every job that is not *done*; return True if in the end all have succeeded.

    Workers have our environment *without* some variables, and *environment* on top.

    When they have, blocks that are not planned yet are: *grow* is told the first of them and returns the run with it,
    or None if that failed. Nobody else can take the run up meanwhile. *home* brings outputs home, when the run says,
    and tells whether it did; at the end it is tried once more.

    A job whose surroundings failed (exit 75) or whose worker died is tried again up to *retries* times, first after
    *backoff* seconds, then twice as many and so on. *stop* ends the run: jobs get SIGTERM, *grace* seconds, SIGKILL.

    Raises:
        RefusedError: another engine, or a worker that one left behind, is at it.
        FacadeError: workers cannot be started.
    """
    if workers < 1:
        raise InputError(f"{workers} workers cannot run anything", remedy="give at least one")
    with _locked(run_dir) as lock:
        around = Surroundings(
            environment=_clean(os.environ, without) | dict(environment),
            directory=run_dir.path,
            log=run_dir.path / LOG,
            lock=lock,
            command=command,
        )
        while True:
            slots = Slots(run_dir, workers)
            engine = _Engine(
                run=run_dir, slots=slots, frontier=Frontier(run_dir, done, slots), around=around, on_event=on_event,
                stop=stop, workers=workers, retries=retries, backoff=backoff, grace=grace,
                home=partial(home, run_dir) if home is not None and run_dir.homing == BLOCK else None,
            )  # fmt: skip
            with engine:
                if not engine.loop():
                    engine.interrupt()
                    return False
            if engine.frontier.unsuccessful:
                return False
            if not run_dir.later:
                return home is None or not run_dir.homing or home(run_dir)
            done = frozenset(run_dir.by_number)
            if stop.is_set() or grow is None or (grown := grow(run_dir.later[0])) is None:
                return False
            run_dir = grown


def running(run_dir: RunDirectory) -> str | None:
    """Tell who runs this run locally (``pid 123 on host``), or None if nobody does."""
    try:
        handle = os.open(run_dir.path / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, 1000, 0).decode(errors="replace").strip() or "a process that is just starting"
    finally:
        os.close(handle)
    return None


def interrupt(run_dir: RunDirectory) -> bool:
    """Ask the process that runs this run to stop in good order; return False if nobody runs it.

    Raises:
        RefusedError: it runs on another machine.
    """
    holder = running(run_dir)
    if holder is None:
        return False
    found = _HOLDER.fullmatch(holder)
    if found is None or found["host"] != socket.gethostname():
        raise RefusedError(f"run {run_dir.name} is being run by {holder}", remedy="stop it there")
    with contextlib.suppress(ProcessLookupError):  # it died, its workers still hold the lock and end by themselves
        os.kill(int(found["pid"]), signal.SIGTERM)
    return True


@contextlib.contextmanager
def _locked(run_dir: RunDirectory) -> Iterator[int]:
    path = run_dir.path / LOCK
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise FacadeError(f"cannot write in run directory {run_dir.path}: {error.strerror}") from error
    try:
        _flock(handle, run_dir)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield handle
    finally:
        os.close(handle)


def _flock(handle: int, run_dir: RunDirectory) -> None:
    for patience in (0.01, 0.05, 0.2, None):  # `running` holds the lock for a moment, to look
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if patience:
            time.sleep(patience)
    raise RefusedError(
        f"run {run_dir.name} is being run by {running(run_dir) or 'another process'}",
        remedy="wait for it, or stop it; if that process is gone, its last jobs are still finishing",
    )


def _clean(environ: Mapping[str, str], without: Collection[str]) -> dict[str, str]:
    """Return *environ* *without* some variables, and without what HTCondor tells its own jobs, which would send ours to
    another scratch directory."""
    return {key: value for key, value in environ.items() if not key.startswith("_CONDOR_") and key not in without}


@dataclass(kw_only=True)
class _Engine(contextlib.AbstractContextManager["_Engine"]):
    """The loop: fill workers, wait for the first answer, note it. Leaving the context ends every worker."""

    run: RunDirectory
    slots: Slots
    frontier: Frontier
    around: Surroundings
    on_event: Callable[[JobEvent], None]
    stop: threading.Event
    workers: int
    retries: int
    backoff: float
    grace: float
    all: set[Worker] = field(default_factory=set)
    idle: list[Worker] = field(default_factory=list)
    tries: dict[int, int] = field(default_factory=dict)
    later: list[tuple[float, int]] = field(default_factory=list)
    limits: dict[int, float] = field(default_factory=dict)
    """When a running job must have ended; when it is killed, once it was told to end."""
    overdue: set[int] = field(default_factory=set)
    stillborn: int = 0
    home: Callable[[], bool] | None = None
    """What is done after each block."""
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def __exit__(self, *exc: object) -> None:
        for worker in self.all:
            if worker.jobnum is not None:
                worker.signal(signal.SIGTERM)
        end(self.all)
        self.selector.close()

    def loop(self) -> bool:
        """Run until no job is left (True) or until told to stop (False)."""
        while not self.frontier.finished:
            if self.stop.is_set():
                return False
            self.take_back()
            self.fill()
            self.watch()
            for key, _ in self.selector.select(self.patience()):
                self.hear(key.fileobj)  # type: ignore[arg-type]  # only workers are registered
        return True

    def take_back(self) -> None:
        """Make jobs ready again whose time to be tried again has come."""
        while self.later and self.later[0][0] <= time.monotonic():
            self.slots.push(heapq.heappop(self.later)[1])

    def patience(self) -> float:
        """Return for how long nothing but an answer matters."""
        return max(0.0, min(STOP_SECONDS, self.later[0][0] - time.monotonic())) if self.later else STOP_SECONDS

    def fill(self) -> None:
        """Give every free worker a job, as long as there are any."""
        while (self.idle or len(self.all) < self.workers) and (jobnum := self.slots.pop()) is not None:
            worker = self.idle.pop() if self.idle else self.hire()
            worker.start(jobnum, self.run.capsule(jobnum), self.run.path / WORK)
            if seconds := self.slots.needs(jobnum).walltime:
                self.limits[jobnum] = time.monotonic() + SLACK * seconds + MARGIN
            self.on_event(JobEvent(jobnum, "started"))
        if not self.later and len(self.idle) == len(self.all):
            raise InputError(f"run {self.run.name}: jobs wait for each other in a circle")

    def watch(self) -> None:
        """End jobs that run for longer than they may: SIGTERM, a while of grace, SIGKILL."""
        now = time.monotonic()
        late = {jobnum for jobnum, limit in self.limits.items() if limit <= now}
        for worker in [worker for worker in self.all if worker.jobnum in late] if late else ():
            assert worker.jobnum is not None
            worker.signal(signal.SIGKILL if worker.jobnum in self.overdue else signal.SIGTERM)
            self.overdue.add(worker.jobnum)
            self.limits[worker.jobnum] = now + self.grace

    def ended(self, jobnum: int) -> bool:
        """Note that a job runs no longer; tell whether it had run for longer than it may."""
        self.slots.ended(jobnum)
        self.limits.pop(jobnum, None)
        return jobnum in self.overdue

    def hire(self) -> Worker:
        """Start a worker."""
        try:
            worker = Worker(self.around)
        except OSError as error:
            raise FacadeError(f"cannot start a worker: {error}") from error
        self.all.add(worker)
        self.selector.register(worker, selectors.EVENT_READ)
        return worker

    def hear(self, worker: Worker) -> None:
        """Take in what a worker has to say: answers, or that it is gone."""
        codes = worker.receive()
        if codes is None:
            self.bury(worker)
            return
        for code in codes:
            jobnum, worker.jobnum = worker.jobnum, None
            if jobnum is None:
                continue
            self.stillborn = 0
            if code > 128:
                worker.retire()
            else:
                self.idle.append(worker)
            self.note(jobnum, code)

    def bury(self, worker: Worker) -> None:
        """Replace a worker that is gone; the job it had is lost."""
        self.selector.unregister(worker)
        self.all.discard(worker)
        if worker in self.idle:
            self.idle.remove(worker)
        code = worker.wait(1.0)
        if worker.jobnum is None:
            return
        if self.ended(worker.jobnum):
            return self.too_late(worker.jobnum, code)
        self.stillborn = 0 if self.run.receipts(worker.jobnum) else self.stillborn + 1
        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        if self.stillborn >= STILLBORN:
            raise FacadeError(
                f"{self.stillborn} workers in a row did not live to begin a job; the last one {how}",
                remedy=f"the reason stands in {self.around.log}",
            )
        self.again(worker.jobnum, "lost", code, f"its worker (pid {worker.pid}) {how}")

    def note(self, jobnum: int, code: int) -> None:
        """Note how a job ended."""
        overdue = self.ended(jobnum)
        if code == 0:
            self.on_event(JobEvent(jobnum, "succeeded", 0))
            over = self.frontier.over
            self.block(self.frontier.succeeded(jobnum))
            if self.home is not None and self.frontier.over > over:
                self.home()  # what goes wrong is tried again after the next block
        elif overdue:
            self.too_late(jobnum, code)
        elif code > 128:
            self.again(jobnum, "lost", code, f"it was told to end by signal {code - 128}")
        elif code in RETRIES:
            self.again(jobnum, "", code, MEANING[code])
        else:
            self.give_up(jobnum, code, MEANING.get(code, f"exit code {code}"))

    def again(self, jobnum: int, kind: Literal["lost", ""], code: int, why: str) -> None:
        """Try a job once more after a while, unless that was done often enough."""
        if kind:
            self.on_event(JobEvent(jobnum, kind, code, why))
        tried = self.tries[jobnum] = self.tries.get(jobnum, 0) + 1
        if tried > self.retries:
            self.give_up(jobnum, code, f"{why}, {tried} times in all")
            return
        seconds = min(self.backoff * 2 ** (tried - 1), LONGEST_BACKOFF)
        heapq.heappush(self.later, (time.monotonic() + seconds, jobnum))
        self.on_event(JobEvent(jobnum, "retry", code, f"{why}; try {tried + 1} of {self.retries + 1} in {seconds:g} s"))

    def too_late(self, jobnum: int, code: int) -> None:
        """A job took longer than it may."""
        seconds = self.slots.needs(jobnum).walltime
        self.give_up(jobnum, code, f"it ran for longer than {seconds} s, the walltime of its modules")

    def give_up(self, jobnum: int, code: int, why: str) -> None:
        """A job failed for good."""
        self.on_event(JobEvent(jobnum, "failed", code, why))
        self.block(self.frontier.failed(jobnum))

    def block(self, jobnums: Sequence[int]) -> None:
        """Tell about jobs that cannot run any more."""
        for jobnum in jobnums:
            self.on_event(JobEvent(jobnum, "blocked", None, self.frontier.unsuccessful[jobnum]))

    def interrupt(self) -> None:
        """End the jobs that run, gently; what has not started stays as it is."""
        busy = {worker for worker in self.all if worker.jobnum is not None}
        for worker in busy:
            worker.retire()
            worker.signal(signal.SIGTERM)
        deadline = time.monotonic() + self.grace
        while busy and (left := deadline - time.monotonic()) > 0:
            for key, _ in self.selector.select(left):
                self.last(key.fileobj, busy)  # type: ignore[arg-type]
        for worker in busy:
            worker.signal(signal.SIGKILL)
            self.on_event(JobEvent(worker.jobnum or 0, "lost", -signal.SIGKILL, "it did not end when told to"))
            worker.jobnum = None

    def last(self, worker: Worker, busy: set[Worker]) -> None:
        """Take in the end of a job during an interruption."""
        codes = worker.receive()
        if codes is None:
            self.selector.unregister(worker)
            self.all.discard(worker)
        if worker in busy and worker.jobnum is not None and codes != []:
            code = codes[0] if codes else worker.wait(1.0)
            kind: Literal["succeeded", "failed", "lost"] = "succeeded" if code == 0 else "failed" if codes else "lost"
            detail = "" if code == 0 else MEANING.get(code, "it was told to end")
            self.on_event(JobEvent(worker.jobnum, kind, code, detail))
            worker.jobnum = None
            busy.discard(worker)
        if codes is None:
            worker.wait(1.0)

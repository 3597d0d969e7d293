"""Copying registered files from archive to archive: outputs that come home, inputs that go to the cluster's disk.

A copy is verified, and recorded after that (docs/site.md). All of it may be done again and again, by whoever carries
the attempt out: what has arrived is not copied again, also if whoever copied it was killed before it was recorded.
"""

from __future__ import annotations

import fcntl
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from facade.archive import Archive, open_archive
from facade.archive.local import LocalArchive
from facade.engines.rundir import RunDirectory
from facade.errors import FacadeError, RegistryError, TransferError
from facade.plan import from_text
from facade.registry import Registry
from facade.registry.locations import Copy
from facade.registry.values import Attempt
from facade.site import Site

THREADS = 8
"""Files that are copied at once; ``transfers`` of the archives bounds them further."""
PAGE = 20_000
"""Files that the registry is asked for at once."""
BATCH, SECONDS = 200, 5.0
"""Copies, or seconds, after which they are recorded."""
ENOUGH, SHOWN = 20, 5
"""So many files that cannot be copied, and the rest is not tried; so many are named."""
NOT_HOME = "not all files came home: "
"""How what is noted with an attempt begins."""
POLL = 0.5
FOLDER = "homing"
"""Below the run directory: where files are for a moment that come from an archive that is no folder."""


class Interrupted(FacadeError):
    """Whoever carries the attempt out was told to stop."""


def astray(registry: Registry, run: RunDirectory) -> bool:
    """Say whether files of a run that are to come home have not."""
    return bool(run.homing and registry.astray(run.attempt_id, run.archives[1], run.archives[0]))


def trouble(registry: Registry, attempt: Attempt) -> str:
    """Return why files of an attempt did not come home when that was last tried, "" if nothing is said."""
    said = registry.noted(attempt.task_id)
    return said if said.startswith(NOT_HOME) else ""


def try_home(registry: Registry, site: Site, run: RunDirectory, stop: threading.Event | None = None) -> bool:
    """Bring files home; what goes wrong is noted with the attempt, for ``facade stat``. Return whether all are there.

    Raises:
        RegistryError: the registry cannot be reached.
    """
    try:
        bring_home(registry, site, run, stop)
    except (RegistryError, Interrupted) as error:
        if isinstance(error, RegistryError):
            raise
        return False
    except FacadeError as error:
        attempt = registry.attempt(run.attempt_id)
        if attempt is not None:
            registry.note(attempt.task_id, f"{NOT_HOME}{error}")
        return False
    return True


def bring_home(registry: Registry, site: Site, run: RunDirectory, stop: threading.Event | None = None) -> int:
    """Copy what quanta of a run that succeeded have stored in the target archive to that at home, and record it; return
    how many files those were.

    Raises:
        TransferError: some could not be copied; the others were.
        Interrupted: *stop* was set.
        InputError, RegistryError: an archive is not in the site file, or the registry cannot be reached.
    """
    if not run.homing:
        return 0
    home, target = run.archives
    return copied(registry, site, target, home, _pages(registry, run, target, home), run.path / FOLDER, stop)


def take_along(registry: Registry, site: Site, run: RunDirectory, stop: threading.Event | None = None) -> int:
    """Copy the registered inputs of a run that do not lie in the target archive there, if it is to be so; return how
    many those were. Raises as `bring_home` does."""
    if not run.taking:
        return 0
    home, target = run.archives
    plan = from_text(registry.run_plan_body(run.attempt_id).decode())
    names = [(file.filename, file.compression) for file in plan.files if file.producer == 0]
    found = registry.elsewhere(names, target, home)
    pages = [found[start : start + PAGE] for start in range(0, len(found), PAGE)]
    return copied(registry, site, home, target, pages, run.path / FOLDER, stop)


def copied(
    registry: Registry,
    site: Site,
    source: str,
    target: str,
    pages: Iterable[Sequence[Copy]],
    scratch: Path,
    stop: threading.Event | None = None,
) -> int:
    """Copy the files of all *pages* from archive *source* to *target* and record them; see `bring_home`."""

    def check() -> None:
        if stop is not None and stop.is_set():
            raise Interrupted("told to stop")

    giver, taker = (open_archive(*site.place(name), check=check) for name in (source, target))
    with _alone(scratch, check):
        work = _Work(registry, giver, taker, scratch)
        with ThreadPoolExecutor(THREADS, "facade-copy") as pool:
            for page in pages:
                work.copy(pool, page, check)
    if work.failed:
        raise work.error()
    return work.number


@contextmanager
def _alone(scratch: Path, check: Callable[[], None]) -> Iterator[None]:
    """Have the folder *scratch* to oneself: nodes of two blocks may copy at the same time, and would copy the same."""
    with open(scratch.with_suffix(".lock"), "a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                check()
                time.sleep(POLL)
        shutil.rmtree(scratch, ignore_errors=True)  # what one that was killed has left
        try:
            yield
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _pages(registry: Registry, run: RunDirectory, source: str, home: str) -> Iterator[list[Copy]]:
    after = 0
    while page := registry.astray(run.attempt_id, source, home, after, PAGE):
        yield page
        after = page[-1].id


@dataclass
class _Work:
    """Copies under way; only the thread that calls `copy` talks to the registry."""

    registry: Registry
    source: Archive
    target: Archive
    scratch: Path
    number: int = 0
    failed: list[tuple[Copy, FacadeError]] = field(default_factory=list)
    done: list[Copy] = field(default_factory=list)
    recorded: float = field(default_factory=time.monotonic)

    def copy(self, pool: ThreadPoolExecutor, page: Sequence[Copy], check: Callable[[], None]) -> None:
        """Copy the files of a page, and record those that have arrived; whatever ends it."""
        waiting, running = list(reversed(page)), dict[Future[None], Copy]()
        try:
            while (waiting or running) and len(self.failed) < ENOUGH:
                check()
                while waiting and len(running) < 2 * THREADS:
                    one = waiting.pop()
                    running[pool.submit(self._one, one)] = one
                for future in wait(running, SECONDS, FIRST_COMPLETED).done:
                    self._note(running.pop(future), future)
                self._record(BATCH)
        finally:
            for future in [future for future in running if future.cancel()]:
                del running[future]
            for future in wait(running).done:
                self._note(running[future], future)
            self._record(1)

    def _one(self, one: Copy) -> None:
        if isinstance(self.source, LocalArchive):
            self.target.store(self.source.root / one.place, one.place, one.checksum)
            return
        file = self.scratch / str(one.id)
        try:
            self.scratch.mkdir(exist_ok=True)
            self.source.fetch(one.place, file, one.size, one.checksum)
            self.target.store(file, one.place, one.checksum)
        finally:
            file.unlink(missing_ok=True)

    def _note(self, one: Copy, future: Future[None]) -> None:
        error = future.exception()
        if error is None:
            self.done.append(one)
        elif isinstance(error, OSError):
            self.failed.append((one, TransferError(str(error))))
        elif not isinstance(error, FacadeError):
            raise error
        elif not isinstance(error, Interrupted):
            self.failed.append((one, error))

    def _record(self, least: int) -> None:
        """Record what has arrived, if it is so many files, or some time has passed."""
        if not self.done or (len(self.done) < least and time.monotonic() - self.recorded < SECONDS):
            return
        self.registry.add_locations(self.target.name, self.done)
        self.number, self.recorded = self.number + len(self.done), time.monotonic()
        self.done.clear()

    def error(self) -> TransferError:
        """Return what to tell of the files that could not be copied."""
        each = [f"{one.filename}{one.compression}: {error.message}" for one, error in self.failed[:SHOWN]]
        more = f"; and {len(self.failed) - SHOWN} more" if len(self.failed) > SHOWN else ""
        how = f"{len(self.failed)} could not be copied from archive '{self.source.name}' to '{self.target.name}'"
        given_up = ", and no more were tried" if len(self.failed) >= ENOUGH else ""
        return TransferError(f"{how}{given_up}: {'; '.join(each)}{more}")

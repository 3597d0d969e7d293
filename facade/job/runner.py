"""Run one job from its capsule: the one execution path of every engine.

Exit codes: 0 all quanta succeeded; 1 a payload failed, trying again makes no sense; 2 bad capsule; 4 the job is being
run already; 75 the surroundings failed, trying again may help; 130 and 143 told to end (SIGINT, SIGTERM).
76 to 79 are 75 of a job that ran out of memory once, twice … so far, and is to get more.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from facade.archive import Archive
from facade.errors import BAD_INPUT, DONE, FAILED, REFUSED, InputError, RefusedError
from facade.job import capsule as capsules
from facade.job import execute, history, surroundings
from facade.job.capsule import Capsule, Name, Quantum, full
from facade.job.failure import Failure, failure_of
from facade.job.follow import Searches
from facade.job.history import Checksums, Expected, Made
from facade.job.order import Order, Room
from facade.job.places import open_archives
from facade.job.quantum import Job, QuantumRun
from facade.job.receipt import Beside, Shelf
from facade.job.staging import Stager
from facade.job.stop import GRACE, Stop, Stopped
from facade.job.strays import end_children, end_inside
from facade.needs import GROWTHS, RETRY
from facade.outputs import ALWAYS, FAILURE
from facade.states import FailureClass, State

if TYPE_CHECKING:
    from facade.job.salvage import Salvage


class Reporter(Protocol):
    """Who tells the registry; never blocks. The receipt is the truth, this only makes it known sooner."""

    def put(self, line: dict[str, Any]) -> object:
        """Take a line of the receipt, to send when it suits."""


def run_job(
    capsule_path: str | os.PathLike[str],
    *,
    workdir: str | os.PathLike[str] | None = None,
    reporter: Reporter | None = None,
    expected: Expected | None = None,
    grace: float = GRACE,
    remote: bool = False,
) -> int:
    """Run the quanta of a capsule that have not succeeded yet; return the exit code (see the module).

    The job directory is made below *workdir* (else in HTCondor's scratch directory, else in ``work`` beside the
    capsule). *expected* asks the registry what files hold when no receipt tells. The caller closes the *reporter*.
    A job that is told to end gives its program *grace* seconds before it kills it. With *remote* the receipts are kept
    on the submit host, in the folder that the capsule has below HTCondor's scratch directory (`facade.job.remote`).
    """
    path = Path(capsule_path).absolute()
    try:
        capsule = capsules.read(path)
        stop = Stop(grace)
        shelf: Shelf = Beside()
        if remote:
            shelf, capsule = _at_home(capsule, stop)
        archive = open_archives(capsule, stop.check)
        with surroundings.locked(path):
            workspace = surroundings.workspace(path, None if workdir is None else Path(workdir))
            job = JobRunner(capsule, archive, workspace, reporter=reporter, expected=expected, stop=stop, shelf=shelf)
            return job.run()
    except InputError as error:
        _say(str(error))
        return BAD_INPUT
    except RefusedError as error:
        _say(str(error))
        return REFUSED
    except OSError as error:  # the receipt or the job directory cannot be written
        _say(f"{path}: {error}")
        return RETRY


def _at_home(capsule: Capsule, stop: Stop) -> tuple[Shelf, Capsule]:
    """Return the shelf of a job whose receipts are kept on the submit host, and its capsule as of this host."""
    from facade.job import remote  # most jobs pay nothing for it
    from facade.job.chirp import Chirp

    top = Path(os.environ.get("_CONDOR_SCRATCH_DIR", os.curdir)).absolute()
    shelf = remote.SubmitHost(Chirp.here(), top, lambda: bool(stop.signum))
    target = capsule.target and replace(capsule.target, options=remote.at_hand(capsule.target.options, top))
    return shelf, replace(capsule, archive_options=remote.at_hand(capsule.archive_options, top), target=target)


class JobRunner:
    """One run of one job; `run` shows the order of events."""

    def __init__(
        self,
        capsule: Capsule,
        archive: Archive,
        workspace: Path,
        *,
        reporter: Reporter | None = None,
        expected: Expected | None = None,
        stop: Stop,
        shelf: Shelf,
    ) -> None:
        self._capsule, self._archive, self._reporter = capsule, archive, reporter
        self._checksums = Checksums(capsule, expected, shelf)
        self._stop, self._writing = stop, threading.Lock()
        self._earlier = shelf.files(capsule.path.parent, capsule.stem)
        self._history = history.read(self._earlier)
        for directory in self._history.directories:
            if killed := end_inside(directory):
                _say(f"killed what an earlier run left running in {directory}: {', '.join(killed)}")
        self._receipt = shelf.create(capsule.path.parent, capsule.stem)
        self._directory = _unused(workspace / f"{capsule.attempt}_{capsule.stem}_t{self._receipt.run:02d}")

    def run(self) -> int:
        """Run what is left to run; return the exit code."""
        with self._stop.listening():
            self._write(self._started())
            todo = [quantum for quantum in self._capsule.quanta if quantum.task_id not in self._history.done]
            salvage = self._salvage()
            failures = self._too_small(todo) or (self._run_all(todo) if todo else [])
            if self._stop.signum and not failures:
                failures.append(failure_of(Stopped(self._stop.signum), "upstream"))
            self._end_strays()
            if salvage is not None:
                salvage.attempt()
            self._keep_junk(failures)
            state = State.FAILED if failures else State.SUCCEEDED
            self._write({
                "kind": "job-ended", "state": state.value, "failure": failures[0].line() if failures else None,
            })  # fmt: skip
            self._receipt.close()
            if not failures:
                self._remove_directories()
            return self._exit_code(failures)

    def _salvage(self) -> Salvage | None:
        """Keep the logs that earlier runs lost; what the archive does not take now, it may at the end of this run."""
        if not self._earlier:
            return None
        from facade.job.salvage import Salvage  # a job that is run once pays nothing for it

        salvage = Salvage.of(self._capsule.quanta, self._history.done, self._earlier, self._archive, self._write)
        if kept := salvage.attempt():
            _say(f"kept the logs of earlier runs: {', '.join(kept)}")
        return salvage

    def _too_small(self, todo: Sequence[Quantum]) -> list[Failure]:
        """Return the failure that this run was granted no more memory than the one that ran out of it, if so."""
        granted, before = surroundings.granted_memory(), self._history.granted
        grows = any(quantum.allowance.growth > 1 for quantum in todo)
        if not (grows and granted and granted <= before):
            return []
        message = f"granted {granted} MB of memory, and an earlier run ran out of {before} MB; it asks for more"
        return [Failure(failure_class=FailureClass.OUT_OF_MEMORY, step="start", message=message, again=True)]

    def _end_strays(self) -> None:
        if left := end_children():
            _say(f"killed what programs left running: {', '.join(left)}")

    def _keep_junk(self, failures: Sequence[Failure]) -> None:
        """Keep what nobody declared, where that is wanted; whatever goes wrong with it is no failure of the job."""
        when = self._capsule.junk.when
        wanted = when == ALWAYS or (when == FAILURE and failures)
        if not wanted or self._stop.signum or not self._directory.is_dir():
            return
        from facade.job import junk

        try:
            kept = junk.keep(self._capsule, self._receipt.run, self._directory, self._archive, self._write)
        except Exception as error:
            kept = f"junk was not kept: {type(error).__name__}: {error}"
        if kept:
            _say(kept)

    def _run_all(self, todo: Sequence[Quantum]) -> list[Failure]:
        """Run *todo*; what needs the outputs of a failed quantum is blocked, the rest goes on."""
        job, room = self._job(), Room.of(todo)
        if self._capsule.ahead:
            job.stager.stage_ahead([item for quantum in todo for item in quantum.inputs])

        def run(quantum: Quantum) -> Failure | None:
            # quanta that run at the same time have folders of their own: programs leave all kinds of files behind
            own = job if room.cpus == 1 else replace(job, directory=job.directory / f"w{quantum.wrapnum:05}")
            return QuantumRun(own, quantum).run()

        return Order(self._capsule.jobnum, todo, room, run, self._blocked, lambda: bool(self._stop.signum)).run()

    def _blocked(self, quantum: Quantum, maker: Quantum, name: Name, why: Failure) -> Failure:
        """Write that *quantum* cannot run, because *maker*, which makes *name*, failed."""
        failure = Failure(
            failure_class=why.failure_class,
            step="upstream",
            message=f"needs {full(name)} of quantum {maker.wrapnum} ({maker.module}), which did not succeed",
        )
        self._write({
            "kind": "quantum-ended", "quantum": quantum.task_id, "state": State.BLOCKED.value,
            "failure": failure.line(),
        })  # fmt: skip
        return failure

    def _job(self) -> Job:
        self._directory.mkdir(parents=True)
        done = self._history.done
        resumed: dict[Name, Made] = {name: made for files in done.values() for name, made in files.items()}
        stager = Stager(
            self._directory,
            self._archive,
            self._checksums,
            jobnum=self._capsule.jobnum,
            resumed=resumed,
            kept=self._history.directories,
            check=self._stop.check,
        )
        return Job(
            capsule=self._capsule,
            run=self._receipt.run,
            directory=self._directory,
            archive=self._archive,
            stager=stager,
            abandoned=self._history.abandoned,
            short=self._history.short,
            stop=self._stop,
            env=execute.environment(self._capsule.environment),
            write=self._write,
            searches=Searches(self._capsule.messages),
        )

    def _started(self) -> dict[str, Any]:
        capsule = self._capsule
        return {
            "kind": "job-started", "receipt": _uuid4(), "attempt_id": capsule.attempt_id, "job": capsule.task_id,
            "run": self._receipt.run, "host": surroundings.host(), "pid": os.getpid(),
            "batch_id": surroundings.batch_id(), "slot": surroundings.slot(), "directory": str(self._directory),
            "memory": surroundings.granted_memory(),
        }  # fmt: skip

    def _write(self, *lines: dict[str, Any]) -> None:
        """Append *lines* to the receipt, then tell the reporter; one that fails is not asked again."""
        with self._writing:
            for line in self._receipt.write(*lines):
                if self._reporter is None:
                    continue
                try:
                    self._reporter.put(line)
                except Exception as error:  # the receipt has it; ingesting that mends everything
                    _say(f"cannot report to the registry: {error}; {self._receipt.path} has everything")
                    self._reporter = None

    def _exit_code(self, failures: Sequence[Failure]) -> int:
        if self._stop.signum:
            return 128 + self._stop.signum
        if not failures:
            return DONE
        if not all(failure.retryable for failure in failures):
            return FAILED
        ran_short = any(failure.again and failure.step != "start" for failure in failures)
        return RETRY + min(GROWTHS, self._history.short + ran_short)

    def _remove_directories(self) -> None:
        """Remove the job directory, and those that earlier runs left: they were kept until the job had succeeded."""
        earlier = [folder for folder in self._history.directories if folder.parent == self._directory.parent]
        for folder in (self._directory, *earlier):
            try:
                shutil.rmtree(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                _say(f"cannot remove job directory {folder}: {error}")


def _unused(directory: Path) -> Path:
    """Return *directory*, or with a further number if a dead run whose receipt is gone left one of that name."""
    candidate, number = directory, 1
    while candidate.exists():
        number += 1
        candidate = directory.with_name(f"{directory.name}.{number}")
    return candidate


def _uuid4() -> str:
    """Return a random UUID (without the cost of importing uuid)."""
    value = bytearray(os.urandom(16))
    value[6], value[8] = value[6] & 0x0F | 0x40, value[8] & 0x3F | 0x80
    text = value.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _say(text: str) -> None:
    print(f"facade: {text}", file=sys.stderr)

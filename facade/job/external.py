"""A wrapper that is a program, in any language: it gets an input WCL, runs the programs itself, writes an output WCL.

    PROGRAM --input INPUT.wcl --output OUTPUT.wcl

It runs in the directory of the quantum as any program does: in a session of its own, within limits, its output in the
quantum's log, told to end when the job is. What it reports counts only as far as the plan allows (`facade.job.claims`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from facade import plugins
from facade.errors import FacadeError, InputError
from facade.job import claims
from facade.job.capsule import Capsule, Exec, Output, Quantum
from facade.job.claims import Pair
from facade.job.execute import Ended
from facade.job.failure import Failure, StepError, exec_failure, failure_of
from facade.job.handover import Report, Told, input_text, place, read_output, scripts, write_input
from facade.job.headers import filled
from facade.job.phases import Executed, Start, View
from facade.job.watch import Limits
from facade.links import link_renamed
from facade.states import FailureClass

FOLDER = "wcl"
"""Where both texts lie, below the directory of the quantum."""


class External:
    """The wrapper program of one quantum; *check* raises if the job was told to end, *short* is how often it ran out of
    memory before."""

    def __init__(
        self,
        quantum: Quantum,
        capsule: Capsule,
        seen: View,
        limits: Limits,
        start: Start,
        *,
        check: Callable[[], None],
        short: int,
    ) -> None:
        self._quantum, self._capsule, self._view = quantum, capsule, seen
        self._start, self._check, self._short = start, check, short
        self._times = max(1, len(quantum.execs))
        self._limits = replace(limits, seconds=limits.seconds * self._times)
        self._each = limits
        self._program = plugins.executable(quantum.wrapper)
        self._input, self._output = (place(quantum, FOLDER, f"{what}.wcl") for what in ("input", "output"))
        self._report = Report({}, None, None, "")
        self._really: dict[int, tuple[str, ...]] = {}

    def prepare(self) -> None:
        """Give inputs their second names; the program may do more."""
        link_renamed(self._view)

    def executions(self) -> Iterator[Executed]:
        """Run the wrapper, and yield what it says of each program."""
        quantum, directory = self._quantum, self._view.directory
        argvs = [filled(item.argv, directory) for item in quantum.execs]
        given = {"seconds": self._each.seconds, "memory": self._each.memory, "cpus": quantum.allowance.cpus}
        with self._blamed("input WCL"):
            text = input_text(quantum, self._view, self._capsule.attempt, given, argvs, FOLDER)
            for path, one in {self._input: text, **scripts(quantum, argvs, FOLDER)}.items():
                write_input(directory / path, one, directory)
            (directory / self._output).unlink(missing_ok=True)
        ended = self._start(
            self._item(), [self._program, "--input", self._input, "--output", self._output], {}, self._limits
        )
        self._check()
        self._not_ended_by_force(ended)
        self._report = self._read(ended)
        yield from self._told(argvs, ended)
        if not ended.success:
            raise StepError(self._failure(f"it exited with {ended.exit_code}, but no program failed", ended))

    def outputs(self) -> Sequence[Output]:
        """Return the outputs that the wrapper reports."""
        if self._report.outputs is None:
            return self._quantum.outputs
        with self._blamed("output WCL", "collect"):
            filetypes = self._capsule.filetypes
            return claims.outputs(self._report.outputs, self._quantum, filetypes, self._view.directory)

    def derived(self) -> Sequence[Pair]:
        """Return the edges that the wrapper reports."""
        if self._report.derived is None:
            return claims.declared_derived(self._quantum, self._really)
        with self._blamed("output WCL", "collect"):
            return claims.derived(self._report.derived, self._quantum, self._really)

    def _item(self) -> Exec:
        """Return the wrapper as a program: what it prints is searched as the output of the first program is."""
        name = f"wrapper {self._program}"
        if self._quantum.execs:
            return replace(self._quantum.execs[0], name=name)
        return Exec(execnum=0, name=name, argv=(self._program,), version_flag="", used=(), generated=(), derived=())

    def _not_ended_by_force(self, ended: Ended) -> None:
        if not (ended.broke or ended.signal):
            return
        allowance = self._quantum.allowance
        allowance = allowance._replace(seconds=allowance.seconds * self._times)
        item = self._item()
        raise StepError(exec_failure(item.execnum, item.name, ended, allowance, self._short))

    def _read(self, ended: Ended) -> Report:
        if ended.problem:
            raise StepError(self._failure(ended.problem, ended))
        try:
            found = read_output(self._view.directory / self._output, self._output, self._view.directory)
        except (InputError, RecursionError) as error:
            raise StepError(self._failure(f"its output WCL makes no sense: {error}", ended)) from error
        if found is None:
            said = f"it exited with {ended.exit_code}" + (" but" if ended.success else " and")
            raise StepError(self._failure(f"{said} wrote no output WCL, {self._output}", ended))
        return found

    def _told(self, argvs: Sequence[Sequence[str]], ended: Ended) -> Iterator[Executed]:
        """Yield each program that the output WCL speaks of; it must speak of all, up to the first that failed."""
        told, execs = self._report.execs, self._quantum.execs
        if unknown := sorted(told.keys() - {item.execnum for item in execs}):
            raise StepError(self._failure(f"its output WCL tells of exec_{unknown[0]}, which was not planned", ended))
        silent = all(not one.usage for one in told.values())
        for item, argv in zip(execs, argvs, strict=True):
            one = told.get(item.execnum)
            if one is None:
                raise StepError(self._failure(f"its output WCL does not say how exec_{item.execnum} ended", ended))
            with self._blamed("output WCL"):
                used = item.used if one.used is None else claims.used(one.used, item.used, self._quantum)
            self._really[item.execnum] = used
            whole = silent and item.execnum == max(told)  # nobody knows which of the programs took what
            yield Executed(item, argv, _ended(one, ended, whole_usage=whole), used)

    def _failure(self, message: str, ended: Ended) -> Failure:
        said = f"; it says: {self._report.message}" if self._report.message else ""
        return Failure(
            failure_class=FailureClass.WRAPPER,
            step="exec",
            message=f"wrapper '{self._quantum.wrapper}': {message}{said}",
            exit_code=ended.exit_code,
        )

    @contextlib.contextmanager
    def _blamed(self, what: str, step: str = "exec") -> Iterator[None]:
        try:
            yield
        except FacadeError as error:
            failure = failure_of(error, step)
            message = f"wrapper '{self._quantum.wrapper}', {what}: {failure.message}"
            raise StepError(replace(failure, message=message)) from error


def _ended(told: Told, whole: Ended, *, whole_usage: bool) -> Ended:
    """Return how a program ended that a wrapper ran; times are those of the wrapper."""
    usage = {"utime": whole.utime, "stime": whole.stime, "maxrss": whole.maxrss} if whole_usage else told.usage
    return Ended(
        start=whole.start,
        end=whole.end,
        exit_code=told.status,
        signal=told.signal,
        utime=usage.get("utime", 0.0),
        stime=usage.get("stime", 0.0),
        maxrss=int(usage.get("maxrss", 0)),
        inblock=whole.inblock if whole_usage else 0,
        oublock=whole.oublock if whole_usage else 0,
    )

"""The phases of a wrapper plug-in around the programs of one quantum (docs/wrappers.md).

A plug-in defines those it wants; the others do what is usual. Whatever one raises or returns that is not right becomes
a failure of class ``wrapper`` that names the plug-in and the phase. What it reports is held against the plan
(`facade.job.claims`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from facade import plugins
from facade.errors import FacadeError, InputError
from facade.job import claims
from facade.job.capsule import Capsule, Exec, Output, Quantum, full
from facade.job.claims import Pair, Written
from facade.job.execute import Ended
from facade.job.failure import Failure, StepError, failure_of
from facade.job.headers import filled
from facade.job.receipt import now
from facade.job.stop import Stopped
from facade.job.watch import Limits
from facade.links import link_renamed

Start = Callable[[Exec, Sequence[str], Mapping[str, str], Limits], Ended]
"""Runs an argument list for a program, with further variables, within limits; output goes into the quantum's log."""

STEPS = {"prepare": "prepare", "outputs": "collect", "derive": "collect"}
"""The step of the quantum that a phase belongs to, if not that of its programs."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What a wrapper sees of its quantum; satisfies `facade.plugins.Run`."""

    directory: Path
    identity: Mapping[str, plugins.Scalar]
    keys: Mapping[str, plugins.Scalar]
    parameters: Mapping[str, str]
    inputs: Sequence[Mapping[str, Any]]
    lists: Sequence[Mapping[str, Any]]
    outputs: Sequence[Mapping[str, Any]]
    note: Callable[[str], None]

    def log(self, text: str) -> None:
        """Add a line to the quantum's log."""
        self.note(text)


def view(capsule: Capsule, quantum: Quantum, directory: Path, note: Callable[[str], None]) -> View:
    """Return what a wrapper sees of *quantum*."""

    def at(path: str, name: str) -> dict[str, Any]:
        return {"filename": name, "path": f"{path}/{name}".lstrip("/")}

    return View(
        directory=directory,
        identity=capsule.identity,
        keys=quantum.keys,
        parameters=quantum.parameters,
        inputs=[
            {"section": i.section, **at(i.path, i.called), "filetype": i.filetype, "rename": i.rename,
             "metadata": i.metadata} for i in quantum.inputs
        ],
        lists=[{"section": i.section, **at(i.path, full(i.name))} for i in quantum.lists],
        outputs=[
            {"section": i.section, **at(i.path, full(i.name)), "filetype": i.filetype, "optional": i.optional,
             "metadata": dict(i.metadata)} for i in quantum.outputs
        ],
        note=note,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Executed:
    """A program that ran: how it was called and ended, and what it used."""

    item: Exec
    argv: Sequence[str]
    ended: Ended
    used: tuple[str, ...]


class Wrapping(Protocol):
    """What stands between facade and the programs of a quantum: a plug-in (`Phases`), or a program (`External`)."""

    def prepare(self) -> None:
        """Make the directory ready."""

    def executions(self) -> Iterator[Executed]:
        """Run the programs, one after the other; whoever asks for no more after a failed one has the rest not run."""

    def outputs(self) -> Sequence[Output]:
        """Return the outputs that are to be looked for."""

    def derived(self) -> Sequence[Pair]:
        """Return (child, parent) of what was derived from what."""


class Phases:
    """The wrapper plug-in of one quantum."""

    def __init__(self, quantum: Quantum, capsule: Capsule, seen: View, limits: Limits, start: Start) -> None:
        self._quantum, self._capsule, self._view = quantum, capsule, seen
        self._limits, self._start = limits, start
        self._really: dict[int, tuple[str, ...]] = {}
        self._plugin: Any = None
        with self._phase("prepare"):
            found = _plugin(quantum.wrapper)
            self._plugin = found() if isinstance(found, type) else found

    def prepare(self) -> None:
        """Have the plug-in make the directory ready."""
        with self._phase("prepare"):
            (self._function("prepare") or link_renamed)(self._view)

    def executions(self) -> Iterator[Executed]:
        """Run the programs as the plug-in wants it."""
        for item in self._quantum.execs:
            argv = self._command(filled(item.argv, self._view.directory))
            program = Program(item, argv, self._quantum, self._start, self._limits)
            ended = self._run(program)
            used = self._used(program) if ended.success else item.used
            self._really[item.execnum] = used
            yield Executed(item, argv, ended, used)

    def outputs(self) -> Sequence[Output]:
        """Return the outputs that the plug-in reports."""
        function = self._function("outputs")
        if function is None:
            return self._quantum.outputs
        with self._phase("outputs"):
            found = function(self._view)
            if found is None:
                return self._quantum.outputs
            reports = [_written(one) for one in found]
            return claims.outputs(reports, self._quantum, self._capsule.filetypes, self._view.directory)

    def derived(self) -> Sequence[Pair]:
        """Return the edges that the plug-in reports."""
        if (function := self._function("derive")) is not None:
            with self._phase("derive"):
                if (found := function(self._view)) is not None:
                    return claims.derived([_pair(one) for one in found], self._quantum, self._really)
        return claims.declared_derived(self._quantum, self._really)

    def _command(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        if (function := self._function("command")) is None:
            return argv
        with self._phase("command"):
            return words(function(self._view, argv))

    def _run(self, program: Program) -> Ended:
        if (function := self._function("run")) is None:
            return program.execute()
        begun, cpu = now(), time.thread_time()
        with self._phase("run"):
            found = function(self._view, program)
            return program.result(found, begun, time.thread_time() - cpu)

    def _used(self, program: Program) -> tuple[str, ...]:
        if (function := self._function("inputs")) is None:
            return program.item.used
        with self._phase("inputs"):
            found = function(self._view, program)
            return program.item.used if found is None else claims.used(_texts(found), program.item.used, self._quantum)

    def _function(self, phase: str) -> Callable[..., Any] | None:
        found = getattr(self._plugin, phase, None)
        return found if callable(found) else None

    @contextlib.contextmanager
    def _phase(self, phase: str) -> Iterator[None]:
        """Make what is raised inside the failure of a phase; its traceback goes into the log."""
        try:
            yield
        except (StepError, Stopped):
            raise
        except (Exception, SystemExit) as error:
            if not isinstance(error, FacadeError):
                self._view.log("".join(traceback.format_exception(error)))
            known = error if isinstance(error, Exception) else RuntimeError(f"it called sys.exit({error.code!r})")
            failure = failure_of(known, STEPS.get(phase, "exec"))
            raise StepError(_blamed(failure, f"wrapper '{self._quantum.wrapper}', phase {phase}")) from error


@dataclass(slots=True)
class Program:
    """A program as a plug-in sees it; satisfies `facade.plugins.Program`."""

    item: Exec
    argv: Sequence[str]
    quantum: Quantum
    start: Start
    limits: Limits
    _done: list[Ended] = field(default_factory=list)
    _begun: float = 0.0

    @property
    def execnum(self) -> int:
        """The N of its section exec_N."""
        return self.item.execnum

    @property
    def name(self) -> str:
        """Its execname."""
        return self.item.name

    @property
    def used(self) -> Sequence[str]:
        """Names of the files that it is declared to use, as they are called in the directory."""
        return [claims.shown_name(self.quantum, name) for name in self.item.used]

    @property
    def generated(self) -> Sequence[str]:
        """Names of the files that it is declared to make."""
        return self.item.generated

    def execute(self, argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> Ended:
        """Run *argv* as facade runs programs. All calls together have the time that the program may take."""
        called = self.argv if argv is None else words(argv)
        more = {} if env is None else {str(key): str(value) for key, value in env.items()}
        self._begun = self._begun or time.monotonic()
        left = self.limits.seconds and max(0.001, self.limits.seconds - (time.monotonic() - self._begun))
        ended = self.start(self.item, called, more, replace(self.limits, seconds=left))
        self._done.append(ended)
        return ended

    def result(self, found: object, begun: str, cpu: float) -> Ended:
        """Return how the program ended, from what the phase ``run`` returned: what broke a limit has failed."""
        if isinstance(found, Ended):
            ended = found
        else:
            code, number = _code(found)
            ended = Ended(start=begun, end=now(), exit_code=code, signal=number, utime=round(cpu, 6))
        ended = next((one for one in self._done if one.broke), ended)
        if len(self._done) < 2:
            return ended
        total = {name: sum(getattr(one, name) for one in self._done) for name in _SUMMED}
        return replace(ended, start=begun, maxrss=max(one.maxrss for one in self._done), **total)


_SUMMED = ("utime", "stime", "inblock", "oublock")


def words(found: object) -> tuple[str, ...]:
    """Return an argument list; raises InputError if it is none."""
    listed = [] if isinstance(found, str | bytes) or not isinstance(found, Iterable) else list(found)
    argv = [os.fspath(word) if isinstance(word, os.PathLike) else word for word in listed]
    if not argv or not argv[0] or not all(isinstance(word, str) and "\0" not in word for word in argv):
        raise InputError(f"expected a list of texts that begins with a program, got {_short(found)}")
    return tuple(argv)


def _code(found: object) -> tuple[int | None, int]:
    """Return exit code and signal."""
    if isinstance(found, int) and not isinstance(found, bool):
        return (found, 0) if found >= 0 else (None, -found)
    code, number = getattr(found, "exit_code", "none"), getattr(found, "signal", 0)
    if isinstance(number, int) and number > 0 and code is None:
        return None, number
    if isinstance(code, int) and not isinstance(code, bool):
        return code, 0
    raise InputError(f"expected what program.execute() returns, or an exit code, got {_short(found)}")


def _texts(found: object) -> list[str]:
    listed = list(found) if isinstance(found, Iterable) and not isinstance(found, str | bytes) else [None]
    if not all(isinstance(one, str) for one in listed):
        raise InputError(f"expected names of files, got {_short(found)}")
    return [str(one) for one in listed]


_REPORTED = {"section", "filename", "path", "filetype", "optional", "metadata"}
"""Keys of what a plug-in reports of an output: those of ``run.outputs``."""


def _written(found: object) -> Written:
    if isinstance(found, str):
        return Written(found)
    if isinstance(found, Mapping) and set(found) <= _REPORTED:
        name, path, metadata = found.get("filename"), found.get("path") or "", found.get("metadata") or {}
        if isinstance(name, str) and isinstance(path, str | os.PathLike) and isinstance(metadata, Mapping):
            return Written(name, os.fspath(path), {str(key): value for key, value in metadata.items()})
    raise InputError(f"expected mappings with filename, perhaps path and metadata, got {_short(found)}")


def _pair(found: object) -> Pair:
    listed = _texts(found)
    if len(listed) != 2:
        raise InputError(f"expected pairs of names (child, parent), got {_short(found)}")
    return listed[0], listed[1]


def _blamed(failure: Failure, who: str) -> Failure:
    return replace(failure, message=f"{who}: {failure.message}")


def _short(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 80 else f"{text[:77]}..."


_plugin = functools.lru_cache(plugins.wrapper)  # looking one up reads every installed package's entry points

"""Failures of a quantum or job, and how what goes wrong at each step is classed."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facade.errors import FacadeError, MissingInputError, RefusedError, RegistryError, TransferError
from facade.job.collect import OutputError
from facade.job.execute import Ended, signal_name
from facade.job.stop import Stopped
from facade.needs import GROWTHS, Allowance
from facade.states import FailureClass

TAIL_LINES, TAIL_BYTES = 20, 16384
NEARLY = 0.9
"""Part of its memory that a program had when it was killed, if it was killed for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a quantum did not succeed, as the receipt has it."""

    failure_class: FailureClass
    step: str
    message: str
    exit_code: int | None = None
    signal: int = 0
    tail: str = ""
    again: bool = False
    """Whether trying again may help though it lies with the payload: a job gets more memory then."""

    @property
    def retryable(self) -> bool:
        """True if trying again may help."""
        return self.again or self.failure_class.retryable

    def line(self) -> dict[str, Any]:
        """Return the form of docs/contracts.md."""
        return {
            "class": self.failure_class.value,
            "step": self.step,
            "message": self.message,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "tail": self.tail,
        }

    def with_tail(self, log: Path) -> Failure:
        """Return the same with the last lines of *log*."""
        return replace(self, tail=tail(log))


class StepError(Exception):
    """A step of a quantum failed and its failure is already known in full."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def failure_of(error: Exception, step: str) -> Failure:
    """Return the failure that *error*, raised in *step*, stands for."""
    if isinstance(error, StepError):
        return error.failure
    message = str(error) if isinstance(error, FacadeError | Stopped) else f"{type(error).__name__}: {error}"
    signum = error.signum if isinstance(error, Stopped) else 0
    return Failure(failure_class=_class(error, step), step=step, message=message, signal=signum)


def _class(error: Exception, step: str) -> FailureClass:
    known: list[tuple[type[Exception], FailureClass]] = [
        (Stopped, FailureClass.EVICTED),
        (TransferError, FailureClass.TRANSFER),
        (RegistryError, FailureClass.REGISTRY),
        (MissingInputError, FailureClass.INPUT_MISSING),
        (OutputError, FailureClass.OUTPUT_MISSING),
        (RefusedError, FailureClass.REFUSED),
    ]
    for kind, failure_class in known:
        if isinstance(error, kind):
            return failure_class
    if isinstance(error, OSError) and step in ("stage-in", "stage-out"):  # a full or failing disk of this machine
        return FailureClass.TRANSFER
    return FailureClass.WRAPPER


def exec_failure(num: int, name: str, ended: Ended, allowance: Allowance, short: int) -> Failure:
    """Return why a program failed that *allowance* bound, in a job that ran out of memory *short* times before."""
    memory = allowance.memory_after(short)
    if ended.broke == "time":
        kind, how = FailureClass.TIMEOUT, f"ran for longer than {allowance.seconds} s and was ended"
    elif ended.broke == "memory":
        kind, how = FailureClass.OUT_OF_MEMORY, f"took more than {memory} MB of memory and was ended"
    elif ended.signal == signal.SIGKILL and memory and ended.maxrss > NEARLY * 1024 * memory:
        kind = FailureClass.OUT_OF_MEMORY
        how = f"was killed by signal {signal_name(ended.signal)} when it had {ended.maxrss // 1024} of {memory} MB"
    elif ended.signal:
        kind, how = FailureClass.KILLED, f"was killed by signal {signal_name(ended.signal)}"
    else:
        kind, how = FailureClass.EXEC_FAILED, f"exited with {ended.exit_code}"
    more = allowance.memory_after(short + 1)
    again = kind is FailureClass.OUT_OF_MEMORY and more > memory and short < GROWTHS
    return Failure(
        failure_class=kind,
        step="exec",
        message=f"exec {num} ({name}) {how}"
        + (f": {ended.problem}" if ended.problem else "")
        + (f"; it is tried again with {more} MB" if again else ""),
        exit_code=ended.exit_code,
        signal=ended.signal,
        again=again,
    )


def tail(log: Path) -> str:
    """Return the last lines of *log* as text that any database holds."""
    with open(log, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - TAIL_BYTES))
        text = stream.read().decode(errors="replace").replace("\0", "")
    return "\n".join(line[:500] for line in text.splitlines()[-TAIL_LINES:])

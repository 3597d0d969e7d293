"""Failures of a quantum or job, and how what goes wrong at each step is classed."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facade.errors import FacadeError, MissingInputError, RefusedError, RegistryError, TransferError
from facade.job.collect import OutputError
from facade.job.stop import Stopped
from facade.states import FailureClass

TAIL_LINES, TAIL_BYTES = 20, 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a quantum did not succeed, as the receipt has it."""

    failure_class: FailureClass
    step: str
    message: str
    exit_code: int | None = None
    signal: int = 0
    tail: str = ""

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
        (Stopped, FailureClass.KILLED),
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


def tail(log: Path) -> str:
    """Return the last lines of *log* as text that any database holds."""
    with open(log, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - TAIL_BYTES))
        text = stream.read().decode(errors="replace").replace("\0", "")
    return "\n".join(line[:500] for line in text.splitlines()[-TAIL_LINES:])

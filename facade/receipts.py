"""Bringing receipts home by hand: those of jobs that could not reach the registry, wherever they lie now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facade.errors import FacadeError, InputError
from facade.job import receipt
from facade.registry import Registry
from facade.registry.values import Attempt
from facade.run import alive, report_receipt
from facade.states import State

PATTERN = "*.receipt.[0-9][0-9]*.jsonl"


@dataclass
class Told:
    """What the registry was told: receipts, their lines, how many of those were new to it, and what went wrong."""

    receipts: int = 0
    lines: int = 0
    new: int = 0
    attempts: dict[int, None] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def found(places: Iterable[Path]) -> list[Path]:
    """Return the receipts in *places*, files or folders with all that is below them; earlier runs come first.

    Raises:
        InputError: a place is not there.
    """
    paths: dict[Path, None] = {}
    for place in places:
        if not place.exists():
            raise InputError(f"{place} is not there")
        paths |= dict.fromkeys(sorted(place.rglob(PATTERN)) if place.is_dir() else [place])
    return list(paths)


def tell(registry: Registry, paths: Sequence[Path], progress: Callable[[Path], object] = lambda path: None) -> Told:
    """Tell the registry what receipts say; lines that it knows change nothing. One that is damaged is left out."""
    told = Told()
    for path in paths:
        try:
            _tell(registry, path, told)
        except FacadeError as error:
            told.faults.append(f"{path}: {error.message}")
        progress(path)
    return told


def nobody_at(registry: Registry, attempt: Attempt) -> bool:
    """Return whether nobody carries an attempt out any more; one whose jobs have all succeeded needs nobody."""
    try:
        return alive(attempt) is None
    except FacadeError:  # its engine cannot be asked from here
        return all(state is State.SUCCEEDED for state in registry.job_states(attempt.id).values())


def _tell(registry: Registry, path: Path, told: Told) -> None:
    lines = list(receipt.read(path))
    if not lines:
        return  # the job died before its first line
    name = lines[0].get("receipt")
    if lines[0]["kind"] != "job-started" or not name:
        raise InputError("this receipt does not begin with job-started")
    known = registry.receipt_lines(name)
    report_receipt(registry, lines)
    told.receipts += 1
    told.lines += len(lines)
    told.new += max(0, len(lines) - known)
    told.attempts[int(lines[0]["attempt_id"])] = None

"""Bringing receipts home by hand: those of jobs that could not reach the registry, wherever they lie now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facade.errors import FacadeError, InputError
from facade.job import receipt
from facade.registry import Registry
from facade.registry.values import Attempt
from facade.run import alive, report_receipt
from facade.states import State

PATTERN = "*.receipt.[0-9][0-9]*.jsonl"
TOGETHER = 2000
"""Lines that are told in one call, about."""


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
    group: dict[Path, list[receipt.Line]] = {}
    for path in paths:
        try:
            group[path] = _lines(path)
        except FacadeError as error:
            told.faults.append(f"{path}: {error.message}")
        if sum(map(len, group.values())) >= TOGETHER:
            _tell(registry, group, told)
            group = {}
        progress(path)
    _tell(registry, group, told)
    return told


def nobody_at(registry: Registry, attempt: Attempt) -> bool:
    """Return whether nobody carries an attempt out any more; one whose jobs have all succeeded needs nobody."""
    try:
        return alive(attempt) is None
    except FacadeError:  # its engine cannot be asked from here
        return all(state is State.SUCCEEDED for state in registry.job_states(attempt.id).values())


def _lines(path: Path) -> list[receipt.Line]:
    """Return the lines of a receipt; none, if the job died before its first line."""
    lines = list(receipt.read(path))
    if lines and (lines[0]["kind"] != "job-started" or not lines[0].get("receipt")):
        raise InputError("this receipt does not begin with job-started")
    return lines


def _tell(registry: Registry, group: Mapping[Path, Sequence[receipt.Line]], told: Told) -> None:
    """Tell the registry receipts in one call; if it refuses, find out which it is."""
    by_name: dict[str, Sequence[receipt.Line]] = {}
    for lines in group.values():
        if lines and len(lines) > len(by_name.get(name := str(lines[0]["receipt"]), ())):  # there may be copies
            by_name[name] = lines
    if not by_name:
        return
    try:
        known = registry.receipt_lines(list(by_name))
        if len(group) == 1:
            report_receipt(registry, *by_name.values())
        else:
            registry.report_all(by_name)
    except FacadeError as error:
        if len(group) > 1:
            for path, lines in group.items():
                _tell(registry, {path: lines}, told)
        else:
            told.faults += [f"{path}: {error.message}" for path in group]
        return
    for name, lines in by_name.items():
        told.receipts += 1
        told.lines += len(lines)
        told.new += max(0, len(lines) - known.get(name, 0))
        told.attempts[int(lines[0]["attempt_id"])] = None

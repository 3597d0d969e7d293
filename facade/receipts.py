"""Bringing receipts home by hand: those of jobs that could not reach the registry, wherever they lie now."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue

from facade.errors import FacadeError, InputError
from facade.job import receipt
from facade.registry import Registry
from facade.registry.runs import encode
from facade.registry.values import Attempt
from facade.run import alive
from facade.states import State

PATTERN = "*.receipt.[0-9][0-9]*.jsonl"
TOGETHER = 400_000
"""Characters of receipts that are told in one call, about."""
TELLERS = 2
"""Calls that are under way at once."""


@dataclass
class Told:
    """What the registry was told: receipts, their lines, how many of those were new to it, and what went wrong."""

    receipts: int = 0
    lines: int = 0
    new: int = 0
    attempts: dict[int, None] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, more: Told) -> None:
        """Count in what was told beside this."""
        self.receipts += more.receipts
        self.lines += more.lines
        self.new += more.new
        self.attempts |= more.attempts
        self.faults += more.faults


@dataclass(frozen=True, slots=True)
class Read:
    """A receipt that was read: where, its first line, how many lines it has, and all of them as a JSON list."""

    path: Path
    first: receipt.Line
    lines: int
    text: str

    @property
    def name(self) -> str:
        """The id of the receipt."""
        return str(self.first["receipt"])


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
    return sorted(paths, key=_run)


def tell(registry: Registry, paths: Sequence[Path], progress: Callable[[Path], object] = lambda path: None) -> Told:
    """Tell the registry what receipts say; lines that it knows change nothing. One that is damaged is left out.

    Several calls are under way at once, but never two runs of one job: all first runs are told before all second ones.
    """
    told = Told()
    with ExitStack() as stack:
        clients: SimpleQueue[Registry] = SimpleQueue()
        for _ in range(TELLERS):
            clients.put(stack.enter_context(Registry.open(registry.address)))
        for _, wave in groupby(paths, key=_run):
            with ThreadPoolExecutor(TELLERS) as pool:
                going: deque[Future[Told]] = deque()
                for group in _groups(wave, told, progress):
                    going.append(pool.submit(_told, clients, group))
                    if len(going) > TELLERS:
                        told.add(going.popleft().result())
                for one in going:
                    told.add(one.result())
    return told


def _run(path: Path) -> int:
    try:
        return receipt.run_of(path)
    except InputError:  # a file of another name, which somebody named
        return 0


def _groups(paths: Iterable[Path], told: Told, progress: Callable[[Path], object]) -> Iterator[list[Read]]:
    """Yield receipts, as many as are told in one call; of copies of one receipt, the longest of those that meet."""
    group: dict[str, Read] = {}
    for path in paths:
        try:
            one = _read(path)
        except FacadeError as error:
            told.faults.append(f"{path}: {error.message}")
            one = None
        if one is not None and (one.name not in group or group[one.name].lines < one.lines):
            group[one.name] = one
        if sum(len(each.text) for each in group.values()) >= TOGETHER:
            yield list(group.values())
            group = {}
        progress(path)
    if group:
        yield list(group.values())


def nobody_at(registry: Registry, attempt: Attempt) -> bool:
    """Return whether nobody carries an attempt out any more; one whose jobs have all succeeded needs nobody."""
    try:
        return alive(attempt) is None
    except FacadeError:  # its engine cannot be asked from here
        return all(state is State.SUCCEEDED for state in registry.job_states(attempt.id).values())


def _read(path: Path) -> Read | None:
    """Read a receipt; None if the job died before its first line.

    Nearly all are taken as they are: what is in them, the server looks at. Those with escapes, which it may refuse, or
    with a torn end, are read line by line.
    """
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    pieces = text.split("\n")
    if "\\u" in text or pieces[-1] or len(pieces) < 2 or not pieces[-2].endswith("}"):
        return _read_line_by_line(path)
    try:
        first = json.loads(pieces[0])
    except ValueError:
        return _read_line_by_line(path)
    _must_begin(first)
    return Read(path, first, len(pieces) - 1, "[" + ",".join(pieces[:-1]) + "]")


def _read_line_by_line(path: Path) -> Read | None:
    lines = list(receipt.read(path))
    if not lines:
        return None
    _must_begin(lines[0])
    return Read(path, lines[0], len(lines), "[" + ",".join(map(encode, lines)) + "]")


def _must_begin(first: receipt.Line) -> None:
    if first.get("kind") != "job-started" or not first.get("receipt"):
        raise InputError("this receipt does not begin with job-started")


def _told(clients: SimpleQueue[Registry], group: Sequence[Read]) -> Told:
    """Tell the registry receipts in one call, by a client that has nothing else to do."""
    client = clients.get()
    try:
        return _tell(client, group)
    finally:
        clients.put(client)


def _tell(registry: Registry, group: Sequence[Read]) -> Told:
    """Tell the registry receipts in one call; if it refuses, find out which it is."""
    told = Told()
    try:
        known = registry.receipt_lines([one.name for one in group])
        registry.report_texts({one.name: one.text for one in group})
    except FacadeError as error:
        if len(group) > 1:
            for one in group:
                told.add(_tell(registry, [one]))
        else:
            told.faults += [f"{one.path}: {_why(one, error)}" for one in group]
        return told
    for one in group:
        told.receipts += 1
        told.lines += one.lines
        told.new += max(0, one.lines - known.get(one.name, 0))
        told.attempts[int(one.first["attempt_id"])] = None
    return told


def _why(one: Read, error: FacadeError) -> str:
    """Return why a receipt was refused: what is wrong in it, if that is the reason, else what the registry said."""
    try:
        list(receipt.read(one.path))
    except InputError as damage:
        return damage.message
    return error.message

"""Which quanta of a job run when: each after those whose files it reads, as many at a time as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

from facade.job.capsule import Name, Quantum
from facade.job.failure import Failure

Run = Callable[[Quantum], Failure | None]
Block = Callable[[Quantum, Quantum, Name, Failure], Failure]
"""Writes that a quantum cannot run, for it needs a file of another, which failed; returns that as its failure."""


class Room(NamedTuple):
    """Cpus, and memory in MB, that quanta share."""

    cpus: int
    memory: int

    @classmethod
    def of(cls, quanta: Sequence[Quantum]) -> Room:
        """Return the most that quanta of any one module use at once: so much their job asks for."""
        counts: dict[str, int] = {}
        for quantum in quanta:
            counts[quantum.module] = counts.get(quantum.module, 0) + 1
        wide = {q.module: (min(counts[q.module], q.allowance.threads), q.allowance) for q in quanta}
        cpus = max([width * one.cpus for width, one in wide.values()], default=1)
        return cls(cpus, max([width * one.memory for width, one in wide.values()], default=0))


class Order:
    """Runs the quanta of a job, with *room* to share for those that run at the same time.

    What needs a file of a quantum that failed is blocked, all the rest goes on. Once *stopped*, nothing more starts.
    """

    def __init__(
        self, jobnum: int, quanta: Sequence[Quantum], room: Room, run: Run, block: Block, stopped: Callable[[], bool]
    ) -> None:
        self._run, self._block, self._stopped = run, block, stopped
        self._room, self._free = room, room
        self._waiting = list(quanta)
        makers = {output.name: quantum for quantum in quanta for output in (*quantum.outputs, *quantum.compressed)}
        self._needs = {
            quantum.wrapnum: {
                item.name: makers[item.name]
                for item in quantum.inputs
                if item.producer == jobnum and item.name in makers
            }
            for quantum in quanta
        }
        self._busy: dict[str, int] = {}
        self._done: set[int] = set()
        self._failed: dict[int, Failure] = {}

    def run(self) -> list[Failure]:
        """Run them all; return why some did not succeed, in the order of their ends."""
        if self._room.cpus == 1:
            while self._waiting and not self._stopped():
                for quantum in self._startable():
                    self._ended(quantum, self._run(quantum))
        else:
            self._side_by_side()
        return list(self._failed.values())

    def _side_by_side(self) -> None:
        running: dict[Future[Failure | None], Quantum] = {}
        with ThreadPoolExecutor(self._room.cpus) as pool:
            while running or (self._waiting and not self._stopped()):
                for quantum in self._startable():
                    running[pool.submit(self._run, quantum)] = quantum
                for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                    self._ended(running.pop(future), future.result())

    def _startable(self) -> Collection[Quantum]:
        """Return the quanta that start now; those that never can are blocked on the way."""
        if self._stopped():
            return ()
        started: list[Quantum] = []
        waiting: list[Quantum] = []
        for index, quantum in enumerate(self._waiting):
            if self._free.cpus <= 0:
                waiting += self._waiting[index:]
                break
            needs = self._needs[quantum.wrapnum]
            lost = next(((n, maker) for n, maker in needs.items() if maker.wrapnum in self._failed), None)
            if lost is not None:
                name, maker = lost
                self._failed[quantum.wrapnum] = self._block(quantum, maker, name, self._failed[maker.wrapnum])
            elif all(maker.wrapnum in self._done for maker in needs.values()) and self._fits(quantum):
                self._busy[quantum.module] = self._busy.get(quantum.module, 0) + 1
                self._take(quantum, 1)
                started.append(quantum)
            else:
                waiting.append(quantum)
        self._waiting = waiting
        return started

    def _fits(self, quantum: Quantum) -> bool:
        full = self._busy.get(quantum.module, 0) >= quantum.allowance.threads
        need = self._needed(quantum)
        return not full and need.cpus <= self._free.cpus and need.memory <= self._free.memory

    def _needed(self, quantum: Quantum) -> Room:
        return Room(min(self._room.cpus, quantum.allowance.cpus), quantum.allowance.memory)

    def _take(self, quantum: Quantum, sign: int) -> None:
        need = self._needed(quantum)
        self._free = Room(self._free.cpus - sign * need.cpus, self._free.memory - sign * need.memory)

    def _ended(self, quantum: Quantum, failure: Failure | None) -> None:
        self._busy[quantum.module] -= 1
        self._take(quantum, -1)
        if failure is None:
            self._done.add(quantum.wrapnum)
        else:
            self._failed[quantum.wrapnum] = failure

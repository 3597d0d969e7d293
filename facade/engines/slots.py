"""Which of the jobs that are ready starts next on this machine: the most urgent one that throttles and cpus allow."""

from __future__ import annotations

import heapq

from facade.engines.rundir import RunDirectory
from facade.needs import Needs


class Slots:
    """Jobs that are ready, and those that run.

    A job takes as many of the *cpus* as it asks for, all of them if it asks for more. The most urgent job is never
    overtaken by a smaller one, for then it might wait for ever; one whose category is full is.
    """

    def __init__(self, run: RunDirectory, cpus: int) -> None:
        self._needs, self._of = run.needs, {job.jobnum: job.needs for job in run.jobs if job.needs}
        self._most, self._cpus, self._free = run.max_jobs, cpus, cpus
        self._ready: dict[str, list[tuple[int, int]]] = {}
        self._running: dict[int, str] = {}

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._ready.values())

    def push(self, jobnum: int) -> None:
        """Add a job that is ready."""
        needs = self.needs(jobnum)
        queue = self._ready.setdefault(self._category(needs), [])
        heapq.heappush(queue, (-needs.priority, jobnum))

    def pop(self) -> int | None:
        """Return the job that starts now, if one can."""
        waiting = [(queue[0], name) for name, queue in self._ready.items() if queue and self._open(name)]
        if not waiting or ("" in self._most and len(self._running) >= self._most[""]):
            return None
        (_, jobnum), name = min(waiting)
        if self._width(jobnum) > self._free:
            return None
        heapq.heappop(self._ready[name])
        self._running[jobnum] = name
        self._free -= self._width(jobnum)
        return jobnum

    def ended(self, jobnum: int) -> None:
        """Note that a job runs no longer, however it ended."""
        if self._running.pop(jobnum, None) is not None:
            self._free += self._width(jobnum)

    def needs(self, jobnum: int) -> Needs:
        """Return what a job needs."""
        return self._needs[self._of.get(jobnum, 0)]

    def _category(self, needs: Needs) -> str:
        return needs.category if needs.category in self._most else ""

    def _open(self, name: str) -> bool:
        return not name or list(self._running.values()).count(name) < self._most[name]

    def _width(self, jobnum: int) -> int:
        return min(self._cpus, max(1, self.needs(jobnum).cpus))

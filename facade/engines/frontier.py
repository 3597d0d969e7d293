"""Which jobs may run now: a pure account of a run, told of every end."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from facade.engines.rundir import RunDirectory
from facade.engines.slots import Slots
from facade.errors import InputError


class Frontier:
    """Puts jobs that are ready into *slots*: one is when its parents and all earlier blocks succeeded.

    A failed job blocks its descendants and the blocks after its own; all other jobs of its block go on.
    """

    def __init__(self, run: RunDirectory, done: Collection[int], slots: Slots) -> None:
        known = frozenset(done)
        self.unsuccessful: dict[int, str] = {}
        """Jobs that failed or are blocked, and why."""
        self.over = 0
        """Blocks all of whose jobs have succeeded, not counting the last."""
        self._children: dict[int, list[int]] = {}
        self._waiting: dict[int, int] = {}
        blocks: dict[int, list[int]] = {}
        for job in run.jobs:
            if job.jobnum in known:
                continue
            blocks.setdefault(job.block, []).append(job.jobnum)
            parents = [parent for parent in job.parents if parent not in known]
            self._waiting[job.jobnum] = len(parents)
            for parent in parents:
                self._children.setdefault(parent, []).append(job.jobnum)
        self._later = [blocks[index] for index in sorted(blocks, reverse=True)]
        self._open: set[int] = set()
        self._slots = slots
        self._advance()

    @property
    def finished(self) -> bool:
        """True when no job is left that could ever run."""
        return not self._open

    def succeeded(self, jobnum: int) -> list[int]:
        """Note that a job succeeded; return the jobs that this blocks (of later blocks, if it was its block's last)."""
        self._open.discard(jobnum)
        for child in self._children.get(jobnum, ()):
            self._waiting[child] -= 1
            if not self._waiting[child] and child in self._open:
                self._slots.push(child)
        return self._close()

    def failed(self, jobnum: int) -> list[int]:
        """Note that a job failed for good; return the jobs that this blocks."""
        self._open.discard(jobnum)
        self.unsuccessful[jobnum] = "failed"
        blocked = sorted(self._descendants(jobnum))
        for descendant in blocked:
            self._open.discard(descendant)
            self.unsuccessful[descendant] = f"needs job {jobnum}, which did not succeed"
        return blocked + self._close()

    def _descendants(self, jobnum: int) -> Iterator[int]:
        seen, stack = {jobnum}, [jobnum]
        while stack:
            for child in self._children.get(stack.pop(), ()):
                if child not in seen and child in self._open:
                    seen.add(child)
                    stack.append(child)
                    yield child

    def _close(self) -> list[int]:
        """Go on to the next block if this one is over; return the jobs that then cannot run."""
        if self._open:
            return []
        if not self.unsuccessful:
            self.over += bool(self._later)
            self._advance()
            return []
        why = f"its block waits for job {min(self.unsuccessful)}, which did not succeed"
        blocked = [jobnum for block in reversed(self._later) for jobnum in sorted(block)]
        self._later.clear()
        self.unsuccessful.update(dict.fromkeys(blocked, why))
        return blocked

    def _advance(self) -> None:
        if not self._later:
            return
        self._open = set(self._later.pop())
        ready = [jobnum for jobnum in self._open if not self._waiting[jobnum]]
        for jobnum in ready:
            self._slots.push(jobnum)
        if not ready:
            raise InputError(f"jobs wait for each other in a circle, among them {min(self._open)}")

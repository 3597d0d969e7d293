"""Groups of quanta -> jobs of a bounded size: as many quanta, or as much expected time, as the campaign allows.

What is connected by files stays together, so that clustering makes no edges where there were none: a job takes whole
chains (of raw, calexp, warp, …) until it is full. Only what is connected and too large by itself is cut, in the order
in which it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from facade.plan.model import PlannedFile, Quantum


class JobSize(NamedTuple):
    """How large jobs with quanta of a module may be: in quanta, and in seconds of *seconds* each (0: no bound)."""

    most: int = 0
    target: float = 0.0
    seconds: float = 0.0


ANY = JobSize()


class Clustering:
    """Splits groups of quanta by the *sizes* of their modules; a group obeys the narrowest bound of its modules."""

    def __init__(self, quanta: Sequence[Quantum], files: Sequence[PlannedFile], sizes: Mapping[str, JobSize]) -> None:
        self._quanta, self._files, self._sizes = quanta, files, sizes

    def split(self, members: Sequence[int]) -> list[list[int]]:
        """Return the jobs that a group becomes; *members* are wrapnums in the order in which they run."""
        sizes = [self._sizes.get(m, ANY) for m in {self._quanta[w - 1].module for w in members}]
        most = min([one.most for one in sizes if one.most], default=0)
        target = min([one.target for one in sizes if one.target], default=0.0)
        if (not most or len(members) <= most) and not (target and self._time(members) > target):
            return [list(members)]
        full: list[list[int]] = []
        for component in self._components(members):
            pieces = self._packed([[w] for w in component], most, target)
            full += pieces if len(pieces) > 1 else [component]
        return [sorted(job) for job in self._packed(full, most, target)]

    def _packed(self, pieces: Sequence[list[int]], most: int, target: float) -> list[list[int]]:
        """Put *pieces* together, one after the other, into jobs that stay within the bounds."""
        packed: list[list[int]] = []
        seconds = 0.0
        for piece in pieces:
            more = self._time(piece) if target else 0.0
            fits = packed and not (most and len(packed[-1]) + len(piece) > most)
            if fits and not (target and seconds + more > target):
                packed[-1].extend(piece)
                seconds += more
            else:
                packed.append(list(piece))
                seconds = more
        return packed

    def _time(self, members: Sequence[int]) -> float:
        """Return the seconds that *members* are expected to take, one after the other."""
        return sum([self._sizes.get(self._quanta[w - 1].module, ANY).seconds for w in members])

    def _components(self, members: Sequence[int]) -> list[list[int]]:
        """Return *members* by what is connected through files that one of them makes and another reads."""
        root = {w: w for w in members}

        def top(one: int) -> int:
            while root[one] != one:
                root[one] = one = root[root[one]]
            return one

        for w in members:
            for use in self._quanta[w - 1].inputs:
                producer = self._files[use.file].producer
                if producer in root:
                    first, second = sorted((top(w), top(producer)))
                    root[second] = first
        found: dict[int, list[int]] = {}
        for w in members:
            found.setdefault(top(w), []).append(w)
        return list(found.values())

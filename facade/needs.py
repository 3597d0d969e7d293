"""What a job asks of the host that runs it, and how the needs of many quanta become those of one job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Needs(NamedTuple):
    """What is asked for: *memory* and *disk* in MB, *walltime* in seconds; 0 and "" mean that nothing is said.

    *limits* are (name, number) of HTCondor's concurrency limits, *requirements* an expression about machines,
    *priority* says which of several jobs is started first, *category* which throttle the job counts against. After a
    job ran out of memory it gets *growth* times as much, but not above *most* MB.
    """

    cpus: int = 0
    memory: int = 0
    disk: int = 0
    walltime: int = 0
    gpus: int = 0
    limits: tuple[tuple[str, int], ...] = ()
    requirements: str = ""
    priority: int = 0
    category: str = ""
    growth: float = 0.0
    most: int = 0

    def over(self, outer: Needs) -> Needs:
        """Return these needs, and those of *outer* where these say nothing."""
        return Needs._make([mine or theirs for mine, theirs in zip(self, outer, strict=True)])


NOTHING = Needs()
RETRY = 75
"""Exit code of a job whose surroundings failed; 76, 77 … if it also ran out of memory once, twice … so far."""
GROWTHS = 4
"""How often a job gets more memory."""
SLACK, MARGIN = 1.1, 60
"""How much longer than its walltime a job may run, as a factor and in seconds: programs are ended in time, and files
are staged besides."""
RETRIES = range(RETRY, RETRY + GROWTHS + 1)
_SUMMED = ("disk", "walltime")
_LARGEST = ("cpus", "memory", "gpus", "priority", "growth", "most")


class Categories(ValueError):
    """The quanta of one job count against different throttles: *names*."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = tuple(names)


class Allowance(NamedTuple):
    """What a quantum may take in its job: *seconds* for each of its programs, *memory* in MB for all that one of them
    starts (0: as much as it likes), *growth* times as much after it ran out of it, up to *most*; and how many quanta of
    its module run at once, each with so many *cpus*."""

    seconds: int = 0
    memory: int = 0
    growth: float = 0.0
    most: int = 0
    threads: int = 1
    cpus: int = 1

    def memory_after(self, times: int) -> int:
        """Return the memory in MB that a quantum may take whose job ran out of it so many *times*.

        >>> Allowance(memory=1000, growth=1.5, most=2000).memory_after(1), Allowance(memory=1000).memory_after(1)
        (1500, 1000)
        """
        return grown(self.memory, self.growth, self.most, times)


def grown(memory: int, growth: float, most: int, times: int) -> int:
    """Return *memory* after it was too little so many *times*."""
    larger = round(memory * growth**times) if growth > 1 else memory
    return max(memory, min(larger, most) if most else larger)


def of_job(modules: Sequence[tuple[Needs, int, int]], job: Needs) -> Needs:
    """Return what a job needs that holds, of each module, so many quanta with such needs of one, so many at a time.

    Quanta share one directory: disk adds up. Time adds up over those that run one after the other, cpus and memory over
    those that run at the same time; of the rest the largest counts. *job* is
    what the block says of a whole job. It holds where the modules say nothing; where only some of them do, it counts as
    what the others together need.

    Raises:
        Categories: the modules name different categories.

    >>> of_job([(Needs(memory=2048, walltime=60), 10, 1), (Needs(memory=512, walltime=30), 1, 1)], Needs(cpus=2))[:4]
    (2, 2048, 0, 630)
    >>> of_job([(Needs(memory=2048, walltime=60), 10, 4)], Needs())[:4]
    (4, 8192, 0, 180)
    """
    found: dict[str, Any] = {}
    every = [one for one, _, _ in modules]
    modules = [(_side_by_side(one, min(number, threads)), number, threads) for one, number, threads in modules]
    for name in (*_SUMMED, *_LARGEST):
        said = [
            (getattr(one, name), -(-number // threads) if name == "walltime" else number)
            for one, number, threads in modules
            if getattr(one, name)
        ]
        outer = () if len(said) == len(modules) else (getattr(job, name),)
        if name in _SUMMED:
            found[name] = sum([value * number for value, number in said]) + sum(outer)
        else:
            values = [*[value for value, _ in said], *[value for value in outer if value or not said]]
            found[name] = max(values)
    categories = sorted({one.category or job.category for one in every})
    if len(categories) > 1:
        raise Categories([name or "none" for name in categories])
    return Needs(
        **found,
        limits=_united([one.limits for one in (job, *every)]),
        requirements=_all([one.requirements for one in (job, *every)]),
        category=categories[0],
    )


def _side_by_side(needs: Needs, width: int) -> Needs:
    """Return what *width* quanta take that run at the same time."""
    if width == 1:
        return needs
    memory, most = needs.memory * width, needs.most * width
    return needs._replace(cpus=max(1, needs.cpus) * width, memory=memory, gpus=needs.gpus * width, most=most)


def _united(limits: Sequence[tuple[tuple[str, int], ...]]) -> tuple[tuple[str, int], ...]:
    """Return every limit once, with the largest number that is asked for."""
    largest: dict[str, int] = {}
    for name, number in [limit for some in limits for limit in some]:
        largest[name] = max(number, largest.get(name, 0))
    return tuple(sorted(largest.items()))


def _all(requirements: Sequence[str]) -> str:
    """Return an expression that is true where all of *requirements* are."""
    parts = [text for text in dict.fromkeys(requirements) if text]
    return parts[0] if len(parts) == 1 else " && ".join([f"({text})" for text in parts])


def from_plain(plain: Sequence[Any]) -> Needs:
    """Return needs from what JSON made of them."""
    needs = Needs._make(plain)
    return needs._replace(limits=tuple([(str(name), int(number)) for name, number in needs.limits]))

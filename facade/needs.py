"""What a job asks of the host that runs it, and how the needs of many quanta become those of one job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Needs(NamedTuple):
    """What is asked for: *memory* and *disk* in MB, *walltime* in seconds; 0 and "" mean that nothing is said.

    *limits* are (name, number) of HTCondor's concurrency limits, *requirements* an expression about machines,
    *priority* says which of several jobs is started first, *category* which throttle the job counts against.
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

    def over(self, outer: Needs) -> Needs:
        """Return these needs, and those of *outer* where these say nothing."""
        return Needs._make([mine or theirs for mine, theirs in zip(self, outer, strict=True)])


NOTHING = Needs()
_SUMMED = ("disk", "walltime")
_LARGEST = ("cpus", "memory", "gpus", "priority")


class Categories(ValueError):
    """The quanta of one job count against different throttles: *names*."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = tuple(names)


def of_job(modules: Sequence[tuple[Needs, int]], job: Needs) -> Needs:
    """Return what a job needs that holds, of each module, so many quanta with such needs of one.

    Its quanta run one after the other, in one directory: disk and time add up, of the rest the largest counts. *job* is
    what the block says of a whole job. It holds where the modules say nothing; where only some of them do, it counts as
    what the others together need.

    Raises:
        Categories: the modules name different categories.

    >>> of_job([(Needs(memory=2048, walltime=60), 10), (Needs(memory=512, walltime=30), 1)], Needs(cpus=2))[:4]
    (2, 2048, 0, 630)
    """
    found: dict[str, int] = {}
    for name in (*_SUMMED, *_LARGEST):
        said = [(getattr(one, name), number) for one, number in modules if getattr(one, name)]
        outer = () if len(said) == len(modules) else (getattr(job, name),)
        if name in _SUMMED:
            found[name] = sum([value * number for value, number in said]) + sum(outer)
        else:
            values = [*[value for value, _ in said], *[value for value in outer if value or not said]]
            found[name] = max(values)
    every = [one for one, _ in modules]
    categories = sorted({one.category or job.category for one in every})
    if len(categories) > 1:
        raise Categories([name or "none" for name in categories])
    return Needs(
        **found,
        limits=_united([one.limits for one in (job, *every)]),
        requirements=_all([one.requirements for one in (job, *every)]),
        category=categories[0],
    )


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

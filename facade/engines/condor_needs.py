"""What jobs need, in HTCondor's words: submit descriptions for those that ask for more than cpus, memory and disk, and
what each node adds to its own.

Cpus, memory and disk have a value in every description, which a node may override by variables. Commands that must not
be there at all without a value (``request_gpus = 0`` asks for machines that know of GPUs) make another description.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from facade.needs import NOTHING, RETRIES, RETRY, SLACK, Needs

OUT_OF_MEMORY = 34
"""HTCondor's code for holding a job that took more memory than it asked for."""


class Shape(NamedTuple):
    """Which commands a submit description has besides those of all."""

    walltime: bool = False
    gpus: bool = False
    limits: bool = False
    growth: bool = False
    requirements: str = ""


class Told(NamedTuple):
    """How a node tells its needs: its submit description, the end of its VARS line, and lines that follow (``{}`` is
    the node's name)."""

    description: str
    variables: str
    lines: str


def shapes(needs: Sequence[Needs]) -> dict[Shape, str]:
    """Return the submit descriptions that jobs with such needs take, and what each is called."""
    found = dict.fromkeys([shape(one) for one in needs or (NOTHING,)])
    return {one: f"job_{number}" if number else "job" for number, one in enumerate(sorted(found))}


def shape(needs: Needs) -> Shape:
    """Return which commands are there for *needs*."""
    return Shape(bool(needs.walltime), bool(needs.gpus), bool(needs.limits), needs.growth > 1, needs.requirements)


def told(needs: Sequence[Needs], throttled: Mapping[str, int]) -> list[Told]:
    """Return how nodes tell each of *needs*; a category counts where it is *throttled*."""
    names = shapes(needs)
    return [Told(names[shape(one)], _variables(one), _lines(one, throttled)) for one in needs]


def _variables(needs: Needs) -> str:
    values: dict[str, object] = needs._asdict() | {
        "limits": ", ".join(f"{name}:{n}" if n > 1 else name for name, n in needs.limits)
    }
    names = ("cpus", "memory", "disk", "walltime", "gpus", "limits", *(("growth", "most") if needs.growth > 1 else ()))
    return "".join([f' need_{name}="{values[name]}"' for name in names if values[name]])


def _lines(needs: Needs, throttled: Mapping[str, int]) -> str:
    lines = f"\nPRIORITY {{0}} {needs.priority}" if needs.priority else ""
    return lines + (f"\nCATEGORY {{0}} {needs.category}" if needs.category and needs.category in throttled else "")


def memory(asked: Shape, default: int) -> str:
    """Return the memory of a job in MB: *default* where its node says nothing, more after it ran out of it.

    How often it did is in the code with which it was held last (`facade.needs.RETRIES`).
    """
    if not asked.growth:
        return f"$(need_memory:{default}) MB"
    code = "LastHoldReasonSubCode"
    times = f"(({code} > {RETRY} && {code} < {RETRIES.stop}) =?= true ? {code} - {RETRY} : 0)"
    times = f"(LastHoldReasonCode =?= {OUT_OF_MEMORY} ? NumHolds : {times})"
    larger = f"int($(need_memory:{default}) * pow($(need_growth), {times}))"
    return f"ifThenElse($(need_most:0) > 0 && {larger} > $(need_most:0), $(need_most:0), {larger})"


def commands(asked: Shape, requirements: str, margin: int) -> Iterator[tuple[str, str]]:
    """Yield the submit commands of a shape; *requirements* are those of the site, *margin* is in seconds."""
    if asked.gpus:
        yield "request_gpus", "$(need_gpus)"
    if asked.limits:
        yield "concurrency_limits", "$(need_limits)"
    if asked.walltime:
        yield "My.facade_walltime", "$(need_walltime)"
        most = f"{SLACK} * facade_walltime + {margin}"
        yield "periodic_remove", f"JobStatus == 2 && time() - JobCurrentStartDate > {most}"
    wanted = [text for text in (requirements, asked.requirements) if text]
    if wanted:
        yield "requirements", wanted[0] if len(wanted) == 1 else " && ".join(f"({text})" for text in wanted)

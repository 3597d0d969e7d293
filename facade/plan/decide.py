"""Which quanta run, and why: one pass backward over the plan (docs/reuse.md).

Wanted are the outputs that nobody in the plan reads, and whatever the operator selects. A quantum that is wanted, or
whose outputs a running quantum reads, is reused if one with its fingerprint has succeeded and those outputs are there;
else it runs, and what it reads is needed in turn. All others need not run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from facade.errors import InputError
from facade.plan.expression import Family, Test, comparison, matches
from facade.plan.model import Plan, Quantum


class Decision(StrEnum):
    """What becomes of a quantum of a plan."""

    RUN = "run"
    REUSE = "reuse"
    NOT_NEEDED = "not-needed"
    NOT_SELECTED = "not-selected"


class Reason(StrEnum):
    """Why. `MEANING` says it in words."""

    NEW = "new"
    UPSTREAM = "upstream"
    GONE = "gone"
    FORCED = "forced"
    SUCCEEDED = "succeeded"
    ALIKE = "alike"
    UNREAD = "unread"
    UNSELECTED = "unselected"


MEANING = {
    Reason.NEW: "nothing with its fingerprint has succeeded",
    Reason.UPSTREAM: "it reads what is made anew",
    Reason.GONE: "it succeeded, but what is needed of its outputs is no longer there",
    Reason.FORCED: "it is made again on demand",
    Reason.SUCCEEDED: "it succeeded before, and what is needed of its outputs is there",
    Reason.ALIKE: "what it reads was made anew and came out the same, and what is needed of its outputs is there",
    Reason.UNREAD: "nothing that runs reads its outputs",
    Reason.UNSELECTED: "it is outside of what was selected",
}


class Made(NamedTuple):
    """A file that an earlier quantum made; ``archive_path`` is None where no archive has it."""

    filename: str
    compression: str
    size: int
    checksum: str
    archive_path: str | None


class Success(NamedTuple):
    """An earlier quantum that succeeded: its task, its attempt's name, and its outputs in their order (None: an
    optional one that it did not make). ``alike``: it was planned as another, but did the same with the same contents.
    """

    task_id: int
    attempt: str
    files: tuple[Made | None, ...]
    alike: bool = False


class Decided(NamedTuple):
    """What becomes of one quantum; ``source`` is whose outputs are taken if it is reused."""

    decision: Decision
    reason: Reason
    source: Success | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What an operator asks of a plan; all of it left out is the whole of it.

    *select* and *rerun* are expressions (`facade.plan.expression`), *start* and *end* modules (``--from``, ``--to``),
    *where* ``key=value`` of loop keys.
    """

    select: str = ""
    start: str = ""
    end: str = ""
    where: tuple[str, ...] = ()
    rerun: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which quanta an operator wants, by number, and which files those read among themselves.

    Of the ``chosen``, the outputs that none of them reads are wanted; of the ``named``, all outputs; the ``forced`` are
    to be made again.
    """

    chosen: frozenset[int]
    named: frozenset[int]
    forced: frozenset[int]
    read: frozenset[int]

    def of(self, quantum: Quantum) -> list[int]:
        """Return the outputs of a quantum that are wanted for themselves."""
        if quantum.wrapnum not in self.chosen:
            return []
        everything = quantum.wrapnum in self.named
        return [use.file for use in quantum.outputs if everything or use.file not in self.read]

    def ends(self, quantum: Quantum) -> bool:
        """Say whether a quantum is wanted although it has no outputs, or made again."""
        return quantum.wrapnum in self.forced or (not quantum.outputs and quantum.wrapnum in self.chosen)


def wanted(plan: Plan, selection: Selection) -> Wanted:
    """Return what is wanted of a plan.

    Of a plan that will grow every output is wanted: who will read it is not known yet.

    Raises:
        InputError: an expression, module or key is not one of this plan, or means none of its quanta.
    """
    if plan.later and (selection.select or selection.start or selection.end or selection.where):
        name = plan.later[0].name
        raise InputError(
            f"nothing can be selected while block '{name}' is not planned",
            remedy=f"leave the selection out, or plan it at submission: --set block.{name}.planned=submission",
        )
    family = Family(plan)
    modules = frozenset(family.modules)
    if selection.start:
        modules &= family.downstream(selection.start)
    if selection.end:
        modules &= family.upstream(selection.end)
    tests = [_where(key, values, family) for key, values in _grouped(selection.where)]
    chosen = frozenset(
        [q.wrapnum for q in plan.quanta if q.module in modules and all([test(q) for test in tests])]
    )  # fmt: skip
    forced = frozenset[int]()
    named = chosen if plan.later else forced
    if selection.select:
        chosen = named = chosen & matches(plan, selection.select, "--select", family)
    if selection.rerun:
        forced = chosen & matches(plan, selection.rerun, "--rerun", family)
    if plan.quanta and (not chosen or (selection.rerun and not forced)):
        raise InputError(
            "no quantum is in all of what is selected", remedy="facade plan without options shows them all"
        )
    read = frozenset([use.file for q in plan.quanta if q.wrapnum in chosen for use in q.inputs])
    return Wanted(chosen=chosen, named=named, forced=forced, read=read)


def _grouped(where: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return (key, its values): a key that is given several times may have any of its values."""
    found: dict[str, list[str]] = {}
    for one in where:
        key, equals, value = one.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise InputError(f"--where {one}: not key=value", remedy="for example --where patch=0,1")
        found.setdefault(key.strip(), []).append(value.strip())
    return list(found.items())


def _where(key: str, values: Sequence[str], family: Family) -> Test:
    tests = [comparison(family, key, "=", value) for value in values]
    return lambda quantum: any(test(quantum) for test in tests)


_SPARED = {
    True: Decided(Decision.NOT_NEEDED, Reason.UNREAD),
    False: Decided(Decision.NOT_SELECTED, Reason.UNSELECTED),
}
_RUN = {reason: Decided(Decision.RUN, reason) for reason in (Reason.NEW, Reason.UPSTREAM, Reason.GONE, Reason.FORCED)}


def decide(
    plan: Plan,
    prints: Sequence[str],
    successes: Mapping[str, Sequence[Success]],
    asked: Wanted,
    there: Callable[[Made], bool],
) -> list[Decided]:
    """Decide for every quantum of *plan*, in its order.

    *prints* are the fingerprints of the quanta, *successes* earlier quanta by fingerprint, the best first; *there* says
    whether a file can be had.
    """
    files, found = plan.files, list[Decided]()
    needed: dict[int, set[int]] = {}
    for quantum, key in zip(reversed(plan.quanta), reversed(prints), strict=True):
        mine, ends = needed.pop(quantum.wrapnum, ()), asked.of(quantum)
        if not (mine or ends or asked.ends(quantum)):
            found.append(_SPARED[quantum.wrapnum in asked.chosen])
            continue
        decided = _RUN[Reason.FORCED]
        if quantum.wrapnum not in asked.forced:
            decided = _decided(plan, quantum, successes.get(key, ()), mine, ends, there)
        found.append(decided)
        if decided.decision is Decision.RUN:
            for use in quantum.inputs:
                if (producer := files[use.file].producer) > 0:
                    needed.setdefault(producer, set()).add(use.file)
    found.reverse()
    return _with_causes(plan, found)


def _decided(
    plan: Plan,
    quantum: Quantum,
    successes: Sequence[Success],
    mine: Collection[int],
    ends: Collection[int],
    there: Callable[[Made], bool],
) -> Decided:
    """Decide for a quantum of which the files *mine* are read by others that run, and *ends* wanted for themselves."""
    for success in successes:
        for use, made in zip(quantum.outputs, success.files, strict=True):
            file = plan.files[use.file]
            if use.file in mine:
                if made is None or not there(made):
                    break
            elif use.file in ends and file.save and not (there(made) if made is not None else file.optional):
                break
        else:
            return Decided(Decision.REUSE, Reason.ALIKE if success.alike else Reason.SUCCEEDED, success)
    return _RUN[Reason.GONE if successes else Reason.NEW]


def _with_causes(plan: Plan, found: list[Decided]) -> list[Decided]:
    """Tell those that run because of others from those that run because of themselves."""
    running: set[int] = set()
    new = _RUN[Reason.NEW]
    for index, quantum in enumerate(plan.quanta):
        if found[index].decision is not Decision.RUN:
            continue
        if found[index] is new and any(plan.files[use.file].producer in running for use in quantum.inputs):
            found[index] = _RUN[Reason.UPSTREAM]
        running.add(quantum.wrapnum)
    return found

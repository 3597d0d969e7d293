"""What of a plan is to run, given what was made before: asks the registry and the archive, then decides.

docs/reuse.md says what is decided; the decision itself is `facade.plan.decide`, which does no input or output.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from facade.archive import open_archive
from facade.archive.layers import layered
from facade.digest import combined, reading
from facade.errors import MissingInputError, RefusedError, some
from facade.keeping import NEVER, TARGET
from facade.plan import Plan, from_text
from facade.plan.applied import applied
from facade.plan.decide import Decided, Decision, Made, Reason, Selection, Success, decide, wanted
from facade.plan.explain import differences, read_differently
from facade.plan.fingerprint import Fingerprints, Forced, Teller, fingerprints, loop_key
from facade.plan.model import Quantum
from facade.programs import identities
from facade.registry import Registry
from facade.site import Site

NONE, REFUSE = "none", "refuse"
SCOPES = (NONE, "attempt", "unit", "campaign", "archive", REFUSE)
"""How far reuse reaches: not at all; to the unit's newest attempt; to all attempts of the unit; to those of the
campaign; to those and all that carry a tag; as far as the unit, but only to refuse."""
VERIFY = (NONE, "size", "hash")
"""What is looked at to see whether a file is there: the registry alone; its size in the archive; its content."""
DEFAULT_SCOPE, DEFAULT_VERIFY = "unit", "size"
ALL, SHOWN = Selection(), 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an operator asks: how far reuse reaches, how files are verified, and what is selected."""

    reuse: str = DEFAULT_SCOPE
    verify: str = DEFAULT_VERIFY
    selection: Selection = ALL


@dataclass(frozen=True)
class Considered:
    """A plan with what was decided for each of its quanta, in its order."""

    plan: Plan
    programs: Mapping[str, str]
    forced: Forced
    prints: Fingerprints
    decided: Sequence[Decided]
    gone: Mapping[str, Sequence[str]]
    """Fingerprint -> what is no longer there of what the newest success with it made."""

    @cached_property
    def remaining(self) -> Plan:
        """What is to run."""
        return applied(self.plan, self.decided)

    @cached_property
    def counts(self) -> Counter[Decision]:
        """How many quanta there are of each decision."""
        return Counter(one.decision for one in self.decided)

    @cached_property
    def sources(self) -> Counter[str]:
        """How many quanta are reused from each attempt."""
        return Counter(one.source.attempt for one in self.decided if one.source is not None)

    def by_module(self) -> dict[str, Counter[Decision]]:
        """Return how many quanta of each module there are of each decision."""
        found: dict[str, Counter[Decision]] = {}
        for quantum, one in zip(self.plan.quanta, self.decided, strict=True):
            found.setdefault(quantum.module, Counter())[one.decision] += 1
        return found

    def followed(self, plan: Plan, late: Considered) -> Considered:
        """Return what was decided for *plan*, which has grown: for its beginning as here, for the rest as in *late*."""
        return Considered(
            plan=plan,
            programs={**self.programs, **late.programs},
            forced=late.forced,
            prints=Fingerprints(self.prints.own + late.prints.own, self.prints.plan + late.prints.plan),
            decided=[*self.decided, *late.decided],
            gone={**self.gone, **late.gone},
        )

    def rows(self) -> Iterator[tuple[int, str, str, str | None]]:
        """Yield number, decision, reason and source attempt of each quantum."""
        for quantum, one in zip(self.plan.quanta, self.decided, strict=True):
            source = one.source.attempt if one.source is not None else None
            yield quantum.wrapnum, one.decision.value, one.reason.value, source


def consider(registry: Registry, site: Site, plan: Plan, wish: Wish, *, apart: int | None = None) -> Considered:
    """Decide what of *plan* is to run; *apart* is the attempt that it is planned for, if that is registered.

    Raises:
        InputError: a selection means nothing in this plan.
        RefusedError: reuse is to be refused, and there is something to reuse.
        TransferError: the archive cannot be reached.
        MissingInputError: inputs do not lie where jobs are to read them.
    """
    asked, scope = wanted(plan, wish.selection), "unit" if wish.reuse == REFUSE else wish.reuse
    programs, forced = identities(plan), registry.forced(*plan.unit)
    for quantum in plan.quanta if asked.forced else ():
        if quantum.wrapnum in asked.forced:
            forced[loop_key(quantum)] = forced.get(loop_key(quantum), 0) + 1
    prints = fingerprints(plan, programs, forced)
    successes = {} if scope == NONE else _Past(registry, site, plan, prints, scope, apart).successes()
    archive = _Watched(site, plan, wish.verify)
    found = decide(plan, prints.plan, successes, asked, archive.has)
    gone = {
        key: archive.missing(successes[key][0])
        for key, one in zip(prints.plan, found, strict=True)
        if one.reason is Reason.GONE
    }
    considered = Considered(plan, programs, forced, prints, found, gone)
    if plan.keeping.inputs == NEVER:
        _ensure_at_hand(registry, site, considered.remaining)
    if wish.reuse == REFUSE and considered.counts[Decision.REUSE]:
        raise _refused(considered)
    return considered


def _ensure_at_hand(registry: Registry, site: Site, plan: Plan) -> None:
    """Make sure that inputs lie in the target archive, where jobs are to take them from there alone."""
    names = [(file.filename, file.compression) for file in plan.files if file.producer == 0]
    target = plan.keeping.target
    if lost := [f"{one.filename}{one.compression}" for one in registry.elsewhere(names, target, site.archive)]:
        raise MissingInputError(
            f"with 'use_home_archive_input = never' inputs must lie in archive '{target}', and these do not:"
            f" {some(lost, SHOWN)}",
            remedy=f"use_home_archive_input = {TARGET} has them copied there before jobs start",
        )


class _Past:
    """What the registry knows of earlier quanta."""

    def __init__(
        self, registry: Registry, site: Site, plan: Plan, prints: Fingerprints, scope: str, apart: int | None
    ) -> None:
        self._registry, self._plan, self._prints = registry, plan, prints
        self._scope, self._apart = scope, apart
        self._archives = plan.keeping.read(site.archive)
        self._found: dict[str, list[Success]] = {}

    def successes(self) -> dict[str, list[Success]]:
        """Return earlier quanta that succeeded, by the fingerprints of the plan, the newest first."""
        self._look_up(dict(zip(self._prints.plan, self._prints.plan, strict=True)), contents=False)
        asked: set[str] = set()
        while self._found and (wanted := self._by_contents(asked)):
            asked.update(wanted.values())
            if not self._look_up(wanted, contents=True):
                break
        return self._found

    def _look_up(self, wanted: Mapping[str, str], *, contents: bool) -> bool:
        """Find what succeeded with one of the keys of *wanted*, for the fingerprint of the plan that it stands for."""
        quanta = dict(zip(self._prints.plan, self._plan.quanta, strict=True))
        rows = self._registry.successes(
            list(wanted),
            scope=self._scope,
            identity=self._plan.identity,
            archives=self._archives,
            contents=contents,
            apart=self._apart,
        )
        some = False
        for one in rows:
            key = wanted[one.fingerprint]
            files = tuple([None if file is None else Made._make(file) for file in one.files])
            if len(files) == len(quanta[key].outputs):
                self._found.setdefault(key, []).append(Success(one.task_id, one.attempt, files, contents))
                some = True
        return some

    def _by_contents(self, asked: Collection[str]) -> dict[str, str]:
        """Return what quanta that were not found would be called by their inputs' contents, as far as those are known.

        What was made anew may have come out as before; then what was made from it before serves as well.
        """
        plan, wanted = self._plan, dict[str, str]()
        contents = {index: file.checksum for index, file in enumerate(plan.files) if file.checksum}
        for quantum, own, key in zip(plan.quanta, self._prints.own, self._prints.plan, strict=True):
            if key in self._found:
                made = self._found[key][0].files
                contents |= {u.file: m.checksum for u, m in zip(quantum.outputs, made, strict=True) if m is not None}
            elif key not in asked and self._makes_known(quantum, contents):
                read = [reading(use.section, contents[use.file], use.rename) for use in quantum.inputs]
                wanted[combined(own, read)] = key
        return wanted

    def _makes_known(self, quantum: Quantum, contents: Collection[int]) -> bool:
        """Say whether all inputs of a quantum are known by now, and not all of them were from the start."""
        known = all([use.file in contents for use in quantum.inputs])
        return known and any([self._plan.files[use.file].producer > 0 for use in quantum.inputs])


def _refused(considered: Considered) -> RefusedError:
    labels = [
        f"{quantum.label} (by {one.source.attempt})"
        for quantum, one in zip(considered.plan.quanta, considered.decided, strict=True)
        if one.source is not None
    ]
    return RefusedError(
        f"made already: {some(labels, SHOWN)}",
        remedy="--reuse unit takes what is there, --reuse none makes it again",
    )


class _Watched:
    """The archives that jobs read, asked whether files are there; remembers which are not."""

    def __init__(self, site: Site, plan: Plan, verify: str) -> None:
        read = [open_archive(*site.place(name)) for name in plan.keeping.read(site.archive)]
        self._archive, self._verify = layered(read, read), verify
        self._missing: set[str] = set()

    def has(self, made: Made) -> bool:
        """Say whether a file can be had."""
        name = f"{made.filename}{made.compression}"
        found = made.archive_path is not None
        if found and self._verify != NONE:
            place = f"{made.archive_path}/{name}".lstrip("/")
            found = self._archive.holds(place, made.size, made.checksum if self._verify == "hash" else None)
        if not found:
            self._missing.add(name)
        return found

    def missing(self, success: Success) -> list[str]:
        """Return what of an earlier quantum's outputs was asked for and is not there."""
        names = [f"{made.filename}{made.compression}" for made in success.files if made is not None]
        return [name for name in names if name in self._missing] or ["an output that it did not make"]


_UNLIKE = (Reason.NEW, Reason.UPSTREAM)


class Explainer:
    """Says of each quantum why it is run or not, down to what differs from the likest one that succeeded."""

    def __init__(self, registry: Registry, considered: Considered) -> None:
        self._registry, self._considered = registry, considered
        self._teller = Teller(considered.plan, considered.programs, considered.forced)
        decided = zip(considered.plan.quanta, considered.decided, strict=True)
        self._running = {quantum.wrapnum: one for quantum, one in decided if one.decision is Decision.RUN}
        wanted = [loop_key(considered.plan.quantum(n)) for n, one in self._running.items() if one.reason in _UNLIKE]
        self._kin = registry.likest(*considered.plan.unit, wanted)
        self._tellers: dict[tuple[str, str], Teller] = {}

    def lines(self) -> Iterator[tuple[Quantum, Decided, list[str]]]:
        """Yield every quantum with what was decided, and the details in words."""
        considered = self._considered
        for index, (quantum, one) in enumerate(zip(considered.plan.quanta, considered.decided, strict=True)):
            yield quantum, one, self._details(index, quantum, one)

    def _details(self, index: int, quantum: Quantum, one: Decided) -> list[str]:
        if one.decision is Decision.REUSE and one.source is not None:
            return [f"from {one.source.attempt}"]
        if one.reason is Reason.GONE:
            return [f"not there: {', '.join(self._considered.gone[self._considered.prints.plan[index]])}"]
        return self._unlike(index, quantum) if one.reason in _UNLIKE else []

    def _unlike(self, index: int, quantum: Quantum) -> list[str]:
        kin = self._kin.get(loop_key(quantum))
        if kin is None:
            return ["nothing with these loop values has succeeded in this unit"]
        teller = self._teller_of(kin.plan_id, kin.programs)
        before, plan = teller.plan.quantum(kin.wrapnum), self._considered.plan
        told = []
        if kin.own != self._considered.prints.own[index]:
            told += differences(teller, before, self._teller, quantum)
        told += read_differently(teller.plan, before, plan, quantum, self._running)
        return [f"unlike in {kin.attempt}: {one}" for one in told]

    def _teller_of(self, plan_id: str, programs: Mapping[str, str]) -> Teller:
        key = plan_id, json.dumps(programs, sort_keys=True)
        if key not in self._tellers:
            plan = from_text(self._registry.plan_body(plan_id).decode())
            self._tellers[key] = Teller(plan, programs, {})
        return self._tellers[key]

"""How two attempts differ: what they were told to do, with which programs, what they read, and what came of it.

Quanta are matched by module and loop values, their outputs by place; names of files, which hold the attempt's number,
do not count. Pure: what the registry says comes in as a `Side`, differences go out as values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from facade.plan import Plan
from facade.plan.explain import differences
from facade.plan.fingerprint import Teller, loop_key
from facade.plan.model import Quantum, label

CONFIGURATION, VERSION, INPUT, OUTPUT, QUANTUM = "configuration", "version", "input", "output", "quantum"
KINDS = (CONFIGURATION, VERSION, INPUT, QUANTUM, OUTPUT)
_OWN = frozenset({"attnum"})
_WHOLE = ("blocks", "later", "allowances", "needs", "max_jobs", "max_idle", "messages", "keeping")
"""Parts of plans that no quantum shows."""


class Product(NamedTuple):
    """An output that is registered."""

    name: str
    checksum: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two attempts: its plan as a whole, what programs were when it was planned and said when they ran, and
    what it made of each quantum's outputs, in their order (None: not made), or took instead; without those quanta of
    which it needed nothing."""

    name: str
    plan: Plan
    programs: Mapping[str, str]
    versions: Mapping[str, Sequence[str]]
    made: Mapping[int, Sequence[Product | None]]


class Difference(NamedTuple):
    """Something that differs: of which kind, what it is, and how it is in either attempt ("" if it is not there).
    ``quanta`` is how many quanta it is said of."""

    kind: str
    what: str
    a: str
    b: str
    quanta: int = 0
    products: tuple[Product, Product] | None = None
    """The outputs themselves, where both sides have one."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs, how many outputs are the same byte by byte, and how many others hold the same."""

    differences: tuple[Difference, ...]
    same_outputs: int
    alike_outputs: int = 0

    def without(self, alike: Collection[Difference]) -> Compared:
        """Return the same without outputs that are found to hold the same."""
        left = tuple(one for one in self.differences if one not in alike)
        return Compared(left, self.same_outputs, self.alike_outputs + len(self.differences) - len(left))


def compared(a: Side, b: Side) -> Compared:
    """Return how *b* differs from *a*."""
    ours, theirs = ({loop_key(quantum): quantum for quantum in side.plan.quanta} for side in (a, b))
    both = [(ours[key], theirs[key]) for key in ours if key in theirs]
    found = [*_settings(a, b), *_quanta(a, b, both), *_versions(a, b), *_inputs(a, b)]
    found += [Difference(QUANTUM, label(q.module, q.keys), a.name, "") for key, q in ours.items() if key not in theirs]
    found += [Difference(QUANTUM, label(q.module, q.keys), "", b.name) for key, q in theirs.items() if key not in ours]
    pairs = list(_outputs(a, b, both))
    found += [one for one in pairs if one is not None]
    found.sort(key=lambda one: KINDS.index(one.kind))
    return Compared(tuple(found), pairs.count(None))


def _settings(a: Side, b: Side) -> Iterator[Difference]:
    for key in sorted({*a.plan.identity, *b.plan.identity} - _OWN):
        was, now = a.plan.identity.get(key, ""), b.plan.identity.get(key, "")
        if was != now:
            yield Difference(CONFIGURATION, key, str(was), str(now))
    for key in _WHOLE:
        was, now = getattr(a.plan, key), getattr(b.plan, key)
        if was != now:
            yield Difference(CONFIGURATION, key, _plain(was), _plain(now))


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(one)}" for key, one in value.items())
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain({key: one for key, one in value._asdict().items() if one})
    return " ".join(_plain(one) for one in value) if isinstance(value, tuple) else str(value)


def _quanta(a: Side, b: Side, both: Sequence[tuple[Quantum, Quantum]]) -> Iterator[Difference]:
    """Yield what quanta do otherwise, each change once, with how many quanta it is said of."""
    old, new = Teller(a.plan, a.programs, {}), Teller(b.plan, b.programs, {})
    told: dict[tuple[str, str], int] = {}
    for before, now in both:
        for text in differences(old, before, new, now):
            told[now.module, text] = told.get((now.module, text), 0) + 1
    for (module, text), number in told.items():
        kind = VERSION if text.startswith("program ") else CONFIGURATION
        yield Difference(kind, f"{module}: {text}", "", "", number)


def _versions(a: Side, b: Side) -> Iterator[Difference]:
    for program in sorted({*a.versions} & {*b.versions}):
        was, now = ", ".join(a.versions[program]), ", ".join(b.versions[program])
        if was != now:
            yield Difference(VERSION, program, was, now)


def _inputs(a: Side, b: Side) -> Iterator[Difference]:
    was, now = ({file.name: file.checksum or "" for file in side.plan.files if file.producer == 0} for side in (a, b))
    for name in sorted({*was} | {*now}):
        if was.get(name) != now.get(name):
            yield Difference(INPUT, name, was.get(name, ""), now.get(name, ""))


def _outputs(a: Side, b: Side, both: Sequence[tuple[Quantum, Quantum]]) -> Iterator[Difference | None]:
    """Yield how outputs differ, None for one that is the same. What one side had no need to make is passed over."""
    for before, now in both:
        if before.wrapnum not in a.made or now.wrapnum not in b.made:
            continue
        uses = now.outputs if len(now.outputs) >= len(before.outputs) else before.outputs
        pairs = zip_longest(uses, a.made[before.wrapnum], b.made[now.wrapnum])
        for use, first, second in pairs:
            if first is None and second is None:
                continue
            if first is not None and second is not None and first.checksum == second.checksum:
                yield None
            else:
                both_made = (first, second) if first is not None and second is not None else None
                what = f"{now.label}, {use.section}"
                yield Difference(OUTPUT, what, _told(first), _told(second), products=both_made)


def _told(product: Product | None) -> str:
    return f"{product.name} {product.checksum[:12]}, {product.size} bytes" if product else ""

"""The programs of a quantum: their command lines, and which of its files each reads, makes and derives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from facade.campaign import ExecSpec, Ref
from facade.plan.bench import Draft
from facade.plan.command import Command
from facade.plan.model import PlannedExec, maker_of
from facade.provenance import derive

planned_exec = maker_of(PlannedExec)
Names = tuple[str, ...]
"""Names under which a quantum's files are assigned: ``file.x``, ``list.l``, ``list.l.x``."""


class Program(NamedTuple):
    """One program of a module, and what it reads and makes, by the names under which a quantum's files are assigned."""

    num: int
    command: Command
    used: Names
    generated: Names
    ancestry: tuple[tuple[Names, Names], ...]
    version_flag: str

    @classmethod
    def of(cls, spec: ExecSpec, command: Command, assigns: Callable[[str], bool]) -> Program:
        """Return what *spec* says; *assigns* says whether the module assigns files to a reference itself.

        Whoever uses the members of a list also used the list; what is derived from them is not derived from the list.
        """

        def with_list(refs: Iterable[Ref]) -> Names:
            return tuple(n for ref in refs for n in ((f"list.{ref.name}", str(ref)) if ref.member else (str(ref),)))

        def alone(ref: Ref) -> Names:
            return (str(ref),) if not ref.member or assigns(str(ref)) else (f"list.{ref.name}",)

        ancestry = tuple((alone(parent), alone(child)) for parent, child in spec.ancestry)
        return cls(spec.num, command, with_list(spec.used), with_list(spec.generated), ancestry, spec.version_flag)

    def planned(self, draft: Draft) -> PlannedExec:
        """Return the program as a quantum runs it."""
        files = draft.assigned
        derived: tuple[tuple[int, int], ...] = ()
        for parents, children in self.ancestry:
            derived += derive(_files(files, parents), _files(files, children))
        if len(derived) > 1:
            derived = tuple(dict.fromkeys(derived))
        argv = self.command.argv(draft.values, draft.lines)
        used, generated = _files(files, self.used), _files(files, self.generated)
        return planned_exec((self.num, argv, used, generated, derived, self.version_flag))


def _files(assigned: Mapping[str, Sequence[int]], names: Names) -> tuple[int, ...]:
    """Return the files assigned to *names*, each once."""
    if len(names) == 1:
        found = assigned.get(names[0], ())
        return tuple(found) if len(found) < 2 else tuple(dict.fromkeys(found))
    return tuple(dict.fromkeys([index for name in names for index in assigned.get(name, ())]))

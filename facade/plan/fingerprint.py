"""Fingerprints: what a quantum does and reads, hashed, whatever its attempt is called (docs/reuse.md).

Two quanta with one fingerprint would make the same outputs. Names of files hold the attempt's number, so they do not
enter: a file stands in texts by its role (``<output 0>``), and counts by its content if it is registered, else by
the fingerprint of whoever makes it. So a change anywhere shows in everything downstream, before anything has run.

All is computed from the plan and a mapping program -> what it is; a plan that was stored gives the same again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from facade.digest import combined, digest
from facade.files import join
from facade.plan.memory import uncollected
from facade.plan.model import Plan, PlannedExec, PlannedList, Quantum, Use, Word
from facade.wcl.template import Scalar

Forced = Mapping[tuple[str, str], int]
"""(module, keys as JSON) -> how often an operator had the quantum made again (`loop_key`)."""

SEP, NUL = "\x1e", "\0"
MANY = 12
"""Files of a quantum above which texts are cut into words to find their names; below, each name is searched for."""

_WORD = re.compile(r"""([\s,=:;'"<>|&()\0\x1e]+)""")
_IDENTITY = frozenset({"reqnum", "unitname", "attnum"})
_DECLARED = ("pipeprod", "pipever")


class Fingerprints(NamedTuple):
    """Of all quanta of a plan, in its order. ``own``: what each one does, its inputs left out; ``plan``: the same with
    its inputs, as far as planning knows them."""

    own: tuple[str, ...]
    plan: tuple[str, ...]


def loop_key(quantum: Quantum) -> tuple[str, str]:
    """Return module and loop values of a quantum, these as the registry writes them."""
    return quantum.module, json.dumps(dict(quantum.keys), ensure_ascii=False)


def fingerprints(plan: Plan, programs: Mapping[str, str], forced: Forced | None = None) -> Fingerprints:
    """Return the fingerprints of all quanta.

    *programs* says what each program is (a hash of its file); *forced* which quanta were made again on demand: they
    count as others than before, and so does all that is made from them.
    """
    with uncollected():
        return Teller(plan, programs, forced or {}).all()


class Teller:
    """Tells what the quanta of one plan are, as texts to hash (`own`) or to compare (`parts`)."""

    def __init__(self, plan: Plan, programs: Mapping[str, str], forced: Forced) -> None:
        self.plan, self.programs, self.forced = plan, programs, forced
        self.common = common(plan)
        self._erased = _erased(plan)
        shared = self.erased(repr(self.common))
        self._heads = {
            name: digest(SEP.join([name, self._wrapper(name), shared, *map(self.erased, handled(plan, name))]))
            for name in plan.wrappers
        }
        self._mark = "" if "attnum" in plan.identity else "${attnum"
        self._shared: tuple[object, str] = (None, "")
        self._orders: dict[tuple[str, ...], tuple[str, Callable[[Mapping[str, Scalar]], object]]] = {}

    def all(self) -> Fingerprints:
        """Return every fingerprint; quanta come after those whose outputs they read."""
        owns, founds = [], []
        content = [file.checksum or file.name for file in self.plan.files]
        for quantum in self.plan.quanta:
            own = digest(self.own(quantum))
            # as `reading` has it; written out, for a fifth of the time goes into calls
            found = combined(own, [f"{section} {content[file]} {name}" for section, file, _, name in quantum.inputs])
            owns.append(own)
            founds.append(found)
            for index, use in enumerate(quantum.outputs):
                content[use.file] = f"{found}.{index}"
        return Fingerprints(tuple(owns), tuple(founds))

    def own(self, quantum: Quantum) -> str:
        """Return everything that a quantum does, its inputs left out, as one text."""
        if self._shared[0] is not quantum.parameters:  # most modules have one mapping for all their quanta
            self._shared = quantum.parameters, repr(sorted(quantum.parameters.items()))
        pieces = [self._heads[quantum.module], self._shared[1], str(quantum.keys)]
        for one in quantum.execs:
            pieces += [str(one.num), self.programs.get(one.argv[0], ""), _line(one)]  # type: ignore[arg-type]
        for listing in quantum.lists:
            pieces += [listing.section, listing.content]
        for use in quantum.outputs:
            pieces += [use.section, self.described(use)]
        text = self.replaced(SEP.join(pieces), quantum)
        if self._mark in text or self._erased[0][0] in text:
            text = self.erased(text)
        if self.forced and (times := self.forced.get(loop_key(quantum), 0)):
            text = f"{text}{SEP}{times}"
        return text

    def parts(self, quantum: Quantum) -> dict[str, str]:
        """Return the same as `own`, piece by piece under names that people know: for telling what differs."""
        found = {"wrapper": self._wrapper(quantum.module), **self.common}
        found |= {f"key {key}": repr(value) for key, value in quantum.keys.items()}
        found |= {f"parameter {key}": value for key, value in quantum.parameters.items()}
        for one in quantum.execs:
            program = str(one.argv[0]) if one.argv else ""
            found[f"program {program}"] = self.programs.get(program, "")
            found[f"command line of exec_{one.num}"] = _line(one)
        found |= {one.section: one.content for one in quantum.lists}
        for index, use in enumerate(quantum.outputs, start=1):
            found[f"output {index}"] = f"{use.section} {self.described(use)}"
        found |= {f"outputs {index}": text for index, text in enumerate(handled(self.plan, quantum.module), start=1)}
        times = self.forced.get(loop_key(quantum), 0) if self.forced else 0
        found["times made again on demand"] = str(times)
        return {name: self.erased(self.replaced(text, quantum)) for name, text in found.items()}

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _wrapper(self, module: str) -> str:
        """Return the wrapper of a module; of one that is a program, what that is as well."""
        name = self.plan.wrappers[module]
        return f"{name} {self.programs.get(name, '')}".rstrip()

    def replaced(self, text: str, quantum: Quantum) -> str:
        """Return *text* with roles for the names of the quantum's files: its first input, its second output …"""
        files = self.plan.files
        uses: tuple[Use | PlannedList, ...] = (*quantum.inputs, *quantum.lists, *quantum.outputs)
        roles = _roles(len(quantum.inputs), len(quantum.lists), len(quantum.outputs))
        if len(uses) > MANY:
            words = {}
            for use, (whole, alone) in zip(uses, roles, strict=True):
                file = files[use.file]
                words[file.filename] = alone
                words[join(use.path, file.name)] = whole
            return "".join([words.get(word, word) for word in _WORD.split(text)])
        for use, (whole, alone) in zip(uses, roles, strict=True):
            name, compression = files[use[1]][:2]
            path = use[2]
            text = text.replace(f"{path}/{name}{compression}" if path else name + compression, whole)
            if name in text:
                text = text.replace(name, alone)
        return text

    def erased(self, text: str) -> str:
        """Return *text* without the names of the attempt and of its directory."""
        for name, placeholder in self._erased:
            text = text.replace(name, placeholder)
        return text

    def described(self, use: Use) -> str:
        """Return what an output is: its type, and what will be recorded of it, whatever the order."""
        file = self.plan.files[use.file]
        names = tuple(file.metadata)
        if names not in self._orders:  # the outputs of one section have one and the same
            wanted = sorted(name for name in names if name not in _IDENTITY)
            self._orders[names] = f" {', '.join(wanted)}: ", itemgetter(*wanted) if wanted else lambda metadata: ""
        shown, values = self._orders[names]
        return f"{file.filetype}{shown}{values(file.metadata)!r}"


def common(plan: Plan) -> dict[str, str]:
    """Return what all quanta of a plan have in common: the environment of jobs, and the declared version."""
    found = {f"environment {key}": value for key, value in sorted(plan.environment.items())}
    return found | {key: str(plan.identity[key]) for key in _DECLARED if key in plan.identity}


def handled(plan: Plan, module: str) -> list[str]:
    """Return what else becomes of the outputs of a module and changes what files hold: cards, compression."""
    found = plan.outputs.modules.get(module)
    if found is None:
        return []
    sections = sorted(found.sections.items())
    texts = [f"{section} {one.compress} {one.cards}" for section, one in sections if one.compress or one.cards]
    by = found.compression
    return texts + ([f"compressed by {by.argv} {by.suffix}"] if by is not None else [])


@lru_cache
def _roles(*numbers: int) -> list[tuple[str, str]]:
    """Return (role, role of the name alone) of so many inputs, lists and outputs."""
    found = zip(("input", "list", "output"), numbers, strict=True)
    return [(f"<{kind} {n}>", f"<name of {kind} {n}>") for kind, number in found for n in range(number)]


def _line(one: PlannedExec) -> str:
    try:
        return NUL.join(one.argv)  # type: ignore[arg-type]  # words with header values are rare, and told by failing
    except TypeError:
        return NUL.join([_word(word) for word in one.argv])


def _word(word: Word) -> str:
    """Return a word as text, with what the job will read from headers as it stands in the plan."""
    if isinstance(word, str):
        return word
    return "".join([piece if isinstance(piece, str) else f"$HEAD({','.join(piece)})" for piece in word])


def _erased(plan: Plan) -> list[tuple[str, str]]:
    """Return (name, placeholder) of what is the attempt's own: its directory, and the usual ways of naming it."""
    reqnum, unit = plan.identity.get("reqnum"), plan.identity.get("unitname")
    return [(plan.archive_path or NUL + NUL, "<attempt directory>"), *_attempt_names(str(reqnum), str(unit), plan)]


def _attempt_names(reqnum: str, unit: str, plan: Plan) -> Iterator[tuple[str, str]]:
    numbers = ["${attnum:2}", "${attnum}"]
    if (attnum := plan.identity.get("attnum")) is not None:
        numbers.append(f"{int(str(attnum)):02d}")
    for number in numbers:
        yield f"{unit}_r{reqnum}p{number}", "<attempt>"
        yield f"r{reqnum}p{number}", "<attempt>"

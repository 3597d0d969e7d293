"""The texts between facade and a wrapper that is a program: the input WCL it gets, the output WCL it gives back.

docs/wrappers.md says every key. What comes back was written by anyone and is believed in nothing: its size is bounded,
each key is known or a fault, and what it reports is held against the plan (`facade.job.claims`).
"""

from __future__ import annotations

import math
import os
import shlex
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facade.errors import CampaignError, InputError
from facade.job.capsule import Exec, Quantum
from facade.job.claims import Pair, Written, shown_name
from facade.job.phases import View
from facade.wcl import Section, Value, decoded, dumps, loads
from facade.wcl.tree import BUILT_IN

FORMAT = 1
"""Version of both texts; the input WCL has it as ``format``."""
MOST = 4 << 20
"""Bytes of an output WCL that are read; one that has more is refused."""
SHOWN = 5
"""Faults of an output WCL that are told."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an output WCL says of one program. ``usage``: utime and stime (s), maxrss (kB), if it tells them."""

    status: int | None
    signal: int
    used: tuple[str, ...] | None
    usage: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Report:
    """An output WCL: programs by number; outputs and edges, None if it does not speak of them."""

    execs: Mapping[int, Told]
    outputs: tuple[Written, ...] | None
    derived: tuple[Pair, ...] | None
    message: str


# -- what goes in -----------------------------------------------------------------------------------------------------


def input_text(
    quantum: Quantum,
    seen: View,
    attempt: str,
    limits: Mapping[str, object],
    argvs: Sequence[Sequence[str]],
    folder: str,
) -> str:
    """Return the input WCL of *quantum*; *argvs* are the argument lists of its programs, *folder* is where texts lie.

    Raises:
        InputError: something holds a line break, which WCL cannot.
    """
    tree: dict[str, Any] = {
        "format": FORMAT, "attempt": attempt, "module": quantum.module, "wrapnum": quantum.wrapnum,
        "directory": seen.directory, "output": place(quantum, folder, "output.wcl"),
        "identity": seen.identity, "keys": seen.keys, "parameters": seen.parameters, "limits": limits,
        "inputs": {f"file_{n}": _file(one, "rename") for n, one in enumerate(seen.inputs, 1)},
        "lists": {f"file_{n}": _file(one) for n, one in enumerate(seen.lists, 1)},
        "outputs": {f"file_{n}": _file(one, "optional") for n, one in enumerate(seen.outputs, 1)},
    }  # fmt: skip
    for item, argv in zip(quantum.execs, argvs, strict=True):
        tree[f"exec_{item.execnum}"] = _program(item, argv, quantum, folder)
    try:
        return dumps(_section("", tree))
    except ValueError as error:
        raise InputError(f"this quantum cannot be told in WCL: {error}") from None


def _file(one: Mapping[str, Any], *more: str) -> dict[str, Any]:
    """Return a file; its path is called ``fullname``, as campaigns call it."""
    found = {"section": one["section"], "filename": one["filename"], "fullname": one["path"]}
    found |= {key: one[key] for key in ("filetype", *more) if one.get(key)}
    return found | {"metadata": one.get("metadata") or {}}


def place(quantum: Quantum, folder: str, what: str) -> str:
    """Return the path of a text of *quantum* below the directory, which other quanta may share."""
    return f"{folder}/w{quantum.wrapnum:05}_{what}"


def scripts(quantum: Quantum, argvs: Sequence[Sequence[str]], folder: str) -> dict[str, str]:
    """Return path -> text of the shell scripts that run the programs: so any language can, whatever is in the words."""
    return {
        place(quantum, folder, f"exec_{item.execnum}.sh"): f"exec {shlex.join(argv)}\n"
        for item, argv in zip(quantum.execs, argvs, strict=True)
    }


def _program(item: Exec, argv: Sequence[str], quantum: Quantum, folder: str) -> dict[str, Any]:
    def names(of: Iterable[str]) -> dict[str, str]:
        return {str(n): shown_name(quantum, name) for n, name in enumerate(of, 1)}

    return {
        "name": item.name,
        "script": place(quantum, folder, f"exec_{item.execnum}.sh"),
        "cmdline": shlex.join(argv),
        "argv": {str(n): word for n, word in enumerate(argv)},
        "used": names(item.used),
        "generated": names(item.generated),
    }


def _section(name: str, tree: Mapping[str, Any]) -> Section:
    section = Section(name)
    for key, entry in tree.items():
        if isinstance(entry, Mapping):
            section.set(key, _section(key, entry))
        elif entry is not None:
            section.set(key, Value(str(entry), BUILT_IN, BUILT_IN))
    return section


def write_input(file: Path, text: str, directory: Path) -> None:
    """Write what a wrapper is given; what lies in its place, if only a link, gives way.

    Raises:
        InputError: its folder was led out of the *directory*.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.parent.resolve().is_relative_to(directory.resolve()):
        raise InputError(f"{file.parent} is a link out of the directory of the quantum")
    file.unlink(missing_ok=True)
    with file.open("x", encoding="utf-8") as stream:
        stream.write(text)


# -- what comes back --------------------------------------------------------------------------------------------------


def read_output(file: Path, shown: str, directory: Path) -> Report | None:
    """Return the output WCL in *file*, which people know as *shown*; None if it was not written.

    Raises:
        InputError: it is no file of the *directory*, too large, or says what no output WCL can say.
    """
    text = _text(file, shown, directory)
    if text is None:
        return None
    try:
        document = loads(decoded(text, shown), shown)
    except CampaignError as error:
        raise InputError(_listed(error.faults, "\n")) from None
    return _Reader(document.root).report()


def _text(file: Path, shown: str, directory: Path) -> bytes | None:
    try:
        if not file.parent.resolve(strict=True).is_relative_to(directory.resolve()):
            raise InputError(f"{shown} lies outside the directory of the quantum")
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {error.strerror}; it must be a regular file") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InputError(f"{shown} is not a regular file")
        with open(handle, "rb", closefd=False) as stream:
            text = stream.read(MOST + 1)
    finally:
        os.close(handle)
    if len(text) > MOST:
        raise InputError(f"{shown} has more than {MOST >> 20} MB")
    return text


@dataclass(slots=True)
class _Reader:
    """Reads the tree of an output WCL; every fault is told with its place."""

    root: Section
    faults: list[str] = field(default_factory=list)

    def report(self) -> Report:
        execs: dict[int, Told] = {}
        for name, entry in self.root.items():
            number = name.removeprefix("exec_")
            if isinstance(entry, Section) and name.startswith("exec_") and number.isdecimal() and len(number) < 6:
                execs[int(number)] = self._told(entry)
            elif name not in ("outputs", "ancestry", "message", "format"):
                self._fault(entry, f"'{name}' is not known here", "exec_N, outputs, ancestry, message")
        outputs, ancestry = self.root.section("outputs"), self.root.section("ancestry")
        found = Report(
            execs=execs,
            outputs=None if outputs is None else tuple([self._written(one) for one in self._parts(outputs)]),
            derived=None if ancestry is None else tuple([p for one in self._parts(ancestry) for p in self._pairs(one)]),
            message=self.root.text("message")[:500],
        )
        if self.faults:
            raise InputError(_listed(self.faults, "; "))
        return found

    def _told(self, section: Section) -> Told:
        self._only(section, "status", "signal", "used", "utime", "stime", "maxrss", "name", "cmdline")
        usage = {key: number for key in ("utime", "stime", "maxrss") if (number := self._number(section, key)) >= 0}
        status, signal = self._number(section, "status"), self._number(section, "signal")
        if (status < 0) == (signal <= 0) or status > 255 or signal > 64 or status % 1 or signal % 1:
            self._fault(section, f"<{section.name}> needs status, an exit code from 0 to 255, or signal, from 1 to 64")
        used = self._names(section, "used") if "used" in section else None
        return Told(int(status) if status >= 0 else None, max(0, int(signal)), used, usage)

    def _written(self, section: Section) -> Written:
        self._only(section, "filename", "fullname", "metadata", "section", "filetype", "optional")
        metadata = section.section("metadata") or Section()
        self._only(metadata, *[key for key, _ in metadata.values()])
        if not section.text("filename"):
            self._fault(section, f"<{section.name}> needs a filename")
        values = {key: value.text for key, value in metadata.values()}
        return Written(section.text("filename"), section.text("fullname"), values)

    def _pairs(self, section: Section) -> list[Pair]:
        self._only(section, "children", "parents")
        children, parents = self._names(section, "children"), self._names(section, "parents")
        return [(child, parent) for child in children for parent in parents]

    def _names(self, section: Section, key: str) -> tuple[str, ...]:
        """Return names: a comma list, or a section of them, in which each one is a value."""
        entry = section.section(key)
        if entry is not None:
            self._only(entry, *[name for name, _ in entry.values()])
            return tuple([value.text for _, value in entry.values()])
        value = section.value(key)
        return () if value is None else tuple([one.text for one in value.items() if one.text])

    def _parts(self, section: Section) -> list[Section]:
        for name, value in section.values():
            self._fault(value, f"'{name}' is not known here", "sections, one for each file or group of files")
        return [one for _, one in section.sections()]

    def _number(self, section: Section, key: str) -> float:
        """Return a number, -1 if it is not given."""
        value = section.value(key)
        if value is None:
            return -1
        try:
            number = float(value.text)
            if math.isfinite(number) and number >= 0:
                return number
        except ValueError:
            pass
        self._fault(value, f"{key} = {value.text[:40]} is no number from 0 on")
        return -1

    def _only(self, section: Section, *known: str) -> None:
        for name, entry in section.items():
            if name not in known:
                self._fault(entry, f"'{name[:40]}' is not known here", ", ".join(known))

    def _fault(self, at: Value | Section, message: str, known: str = "") -> None:
        place = at.key_location if isinstance(at, Value) else at.location
        self.faults.append(f"{place}: {message}{f' (known: {known})' if known else ''}")


def _listed(faults: Sequence[object], between: str) -> str:
    more = f"{between}… and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return between.join(map(str, faults[:SHOWN])) + more

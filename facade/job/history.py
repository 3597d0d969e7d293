"""What earlier receipts tell: which quanta are done, and what the files they made hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from facade.archive import Content
from facade.errors import MissingInputError
from facade.job import receipt
from facade.job.capsule import Capsule, Input, Name, full
from facade.job.receipt import Beside, Shelf
from facade.states import FailureClass

OUT_OF_MEMORY = FailureClass.OUT_OF_MEMORY.value
Expected = Callable[[list[Name]], Mapping[Name, tuple[int, str]]]
"""Asks the registry for size and checksum of files; names it does not know are left out."""


@dataclass(frozen=True, slots=True)
class Made:
    """A file that a quantum made; *archive_path* is None if it was not stored."""

    content: Content
    archive_path: str | None


@dataclass(frozen=True, slots=True)
class History:
    """What the earlier runs of one job left behind."""

    done: Mapping[int, Mapping[Name, Made]]
    """Quanta that succeeded, each with the files it made."""
    abandoned: Mapping[int, frozenset[Content]]
    """What the other quanta recorded as outputs; they may make those files anew."""
    directories: tuple[Path, ...]
    """Job directories, newest first; they may be gone."""
    short: int = 0
    """How many runs ran out of memory."""
    granted: int = 0
    """How much memory, in MB, the last of those had been granted; 0 if nobody knows."""


def read(paths: Iterable[Path]) -> History:
    """Return what the receipts of one job (oldest first) tell."""
    done: dict[int, dict[Name, Made]] = {}
    recorded: dict[int, set[Content]] = {}
    directories: list[Path] = []
    short, granted = 0, 0
    for path in paths:
        memory, ran_short = 0, False
        contents: dict[int, dict[Name, Content]] = {}
        places: dict[int, dict[Name, str]] = {}
        for line in receipt.read(path):
            quantum = line.get("quantum", 0)
            if line["kind"] == "job-started":
                directories += [Path(line["directory"])] if line.get("directory") else []
                memory = line.get("memory") or 0
            elif line["kind"] == "outputs":
                files = {(f["filename"], f["compression"]): Content(f["size"], f["checksum"]) for f in line["files"]}
                contents.setdefault(quantum, {}).update(files)
                recorded.setdefault(quantum, set()).update(files.values())
            elif line["kind"] == "stored":
                places.setdefault(quantum, {}).update({(name, suffix): at for name, suffix, at in line["files"]})
            elif line["kind"] == "quantum-ended" and (line["failure"] or {}).get("class") == OUT_OF_MEMORY:
                ran_short = True
            elif line["kind"] == "quantum-ended" and line["state"] == "succeeded":
                at = places.get(quantum, {})
                done[quantum] = {name: Made(c, at.get(name)) for name, c in contents.get(quantum, {}).items()}
        short, granted = (short + 1, memory) if ran_short else (short, granted)
    abandoned = {quantum: frozenset(contents) for quantum, contents in recorded.items() if quantum not in done}
    return History(done, abandoned, tuple(reversed(directories)), short, granted)


class Checksums:
    """Finds out what an input made in this attempt must hold: from the maker's receipt, else from the registry."""

    def __init__(self, capsule: Capsule, expected: Expected | None = None, shelf: Shelf | None = None) -> None:
        self._folder, self._expected, self._shelf = capsule.path.parent, expected, shelf or Beside()
        self._parents: dict[int, dict[Name, Made]] = {}

    def of(self, inputs: Iterable[Input]) -> dict[Name, Content]:
        """Return what each of *inputs* must hold.

        Raises:
            MissingInputError: nobody knows; the message lists every such file.
        """
        found, unknown = {}, []
        for item in inputs:
            content = self._known(item)
            if content is None:
                unknown.append(item)
            else:
                found[item.name] = content
        if unknown and self._expected is not None:
            answers = self._expected([item.name for item in unknown])
            found |= {name: Content(size, checksum) for name, (size, checksum) in answers.items()}
        if lost := [item for item in unknown if item.name not in found]:
            raise MissingInputError(
                "no receipt or registry tells what these inputs hold: "
                + ", ".join(f"{full(item.name)} (made by job {item.producer})" for item in lost),
                remedy="the jobs that make them must have succeeded, and their receipts lie beside the capsules",
            )
        return found

    def _known(self, item: Input) -> Content | None:
        if item.size is not None and item.checksum is not None:
            return Content(item.size, item.checksum)
        if item.producer is None:
            return None
        if item.producer not in self._parents:
            self._parents[item.producer] = self._files_of(item.producer)
        made = self._parents[item.producer].get(item.name)
        return None if made is None else made.content

    def _files_of(self, jobnum: int) -> dict[Name, Made]:
        """Read the receipts of job *jobnum*, beside this capsule or in the folder of that job's thousand."""
        thousand = self._folder.parent / f"{jobnum // 1000:03d}"
        for folder in dict.fromkeys((self._folder, thousand)):
            if paths := self._shelf.files(folder, f"j{jobnum:06d}"):
                return {name: made for files in read(paths).done.values() for name, made in files.items()}
        return {}

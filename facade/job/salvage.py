"""Logs of runs that died, or could not store them: the next run of the job keeps them, so that none is lost.

What a killed run wrote into its log lies in its job directory, if that is on this host; a log that was recorded but not
told to be stored may be in the archive already. Both are done again, and told in the receipt of the run that does it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from facade.archive import Archive, Content, content_of
from facade.archive.layers import stored_in
from facade.errors import FacadeError
from facade.job import receipt
from facade.job.capsule import Quantum
from facade.job.logfile import log_name
from facade.job.stop import Stopped


@dataclass
class Lost:
    """The log of a quantum in an earlier run that is not known to be stored."""

    quantum: Quantum
    name: str
    directory: Path | None
    recorded: Content | None = None
    told: bool = False
    """Whether nothing more need be written of what it holds."""

    def file(self) -> Path | None:
        """Return where the log lies on this host; quanta may have had folders of their own."""
        folders = [self.directory, self.directory / f"w{self.quantum.wrapnum:05}"] if self.directory else []
        return next((file for folder in folders if (file := folder / "log" / self.name).is_file()), None)


@dataclass
class Salvage:
    """Keeps the logs that earlier runs of a job lost; *write* appends lines to the receipt."""

    archive: Archive
    write: Callable[..., None]
    lost: list[Lost] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        quanta: Iterable[Quantum],
        done: Container[int],
        earlier: Iterable[Path],
        archive: Archive,
        write: Callable[..., None],
    ) -> Salvage:
        """Return what is to be done for *quanta* after the runs whose receipts are *earlier*.

        A quantum that is *done* has the log that it is known by: none is recorded for it any more.
        """
        lost = _lost({quantum.task_id: quantum for quantum in quanta}, earlier)
        for one in lost:
            one.told = one.quantum.task_id in done
        return cls(archive, write, [one for one in lost if one.recorded or not one.told])

    def attempt(self) -> list[str]:
        """Store what can be stored; return what was kept. What could not be is tried again when called again."""
        kept, left = list[str](), list[Lost]()
        for one in self.lost:
            try:
                if self._keep(one):
                    kept.append(one.name)
            except (FacadeError, OSError, Stopped):
                left.append(one)
        self.lost = left
        return kept

    def _keep(self, one: Lost) -> bool:
        folder, file = one.quantum.log_archive_path, one.file()
        target, content = f"{folder}/{one.name}".lstrip("/"), one.recorded
        if file is not None and (content is None or content_of(file) == content):
            content = content_of(file)
            self._record(one, content)
            self.archive.store(file, target, content.checksum)
        elif content is not None and self.archive.holds(target, content.size, content.checksum):
            self._record(one, content)
        else:
            return False
        for place in stored_in(self.archive):
            files = [[one.name, "", folder]]
            self.write({"kind": "stored", "quantum": one.quantum.task_id, "archive": place, "files": files})
        return True

    def _record(self, one: Lost, content: Content) -> None:
        """Write what the log holds, also if a run before did: the registry may not have heard of that yet."""
        if one.told:
            return
        entry = {"filename": one.name, "compression": "", "filetype": "log", "size": content.size,
                 "checksum": content.checksum, "execnum": None, "metadata": {}, "metadata_table": ""}  # fmt: skip
        self.write({"kind": "outputs", "quantum": one.quantum.task_id, "files": [entry], "derived": []})
        one.recorded, one.told = content, True


def _lost(quanta: Mapping[int, Quantum], paths: Iterable[Path]) -> list[Lost]:
    """Return the logs that receipts speak of and that no line says to be stored."""
    found: dict[str, Lost] = {}
    for path in paths:
        directory = None
        for line in receipt.read(path):
            if line["kind"] == "job-started" and line.get("directory"):
                directory = Path(line["directory"])
            elif line["kind"] == "quantum-state" and (quantum := quanta.get(line["quantum"])):
                name = log_name(quantum.log_name, receipt.run_of(path))
                found.setdefault(name, Lost(quantum, name, directory))
            elif line["kind"] == "outputs":
                for one in line["files"]:
                    if one["filename"] in found:
                        found[one["filename"]].recorded = Content(one["size"], one["checksum"])
            elif line["kind"] == "stored":
                for name, *_ in line["files"]:
                    found.pop(name, None)
    return list(found.values())

"""Bring the inputs of a quantum into the job directory, verified, and write its lists."""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from facade.archive import Archive, Content, Transfer, content_of
from facade.archive.local import stage_in as copy_verified
from facade.errors import FacadeError, MissingInputError, RefusedError
from facade.job.capsule import Input, ListFile, Name, Output, full
from facade.job.history import Checksums, Made
from facade.job.stop import Stopped

Stamp = tuple[int, int, int]


class Stager:
    """Stages inputs for the quanta of one job; a file that several of them read is copied and verified once.

    *resumed* are files that an earlier run of this job made, *kept* the directories of such runs, *check* raises if
    the job was told to end.
    """

    def __init__(
        self,
        directory: Path,
        archive: Archive,
        checksums: Checksums,
        *,
        jobnum: int,
        resumed: Mapping[Name, Made],
        kept: Sequence[Path],
        check: Callable[[], None],
    ) -> None:
        self._directory, self._archive, self._checksums = directory, archive, checksums
        self._jobnum, self._resumed, self._kept, self._check = jobnum, resumed, kept, check
        self.contents: dict[Name, Content] = {}
        """What each file that was staged or made holds."""
        self.transfers: dict[Name, Transfer] = {}
        """What it took to fetch each file that came from the archive."""
        self._uncounted: dict[Name, Transfer] = {}
        self._made: dict[Name, Path] = {}
        self._locks: dict[Path, threading.Lock] = {}
        self._verified: dict[Path, tuple[Content, Stamp]] = {}

    def add(self, name: Name, file: Path, content: Content) -> None:
        """Remember that this run made *name*, which lies at *file*."""
        self._made[name] = file
        self.contents[name] = content

    def stage(self, inputs: Sequence[Input], directory: Path) -> int:
        """Bring every one of *inputs* to its place below *directory*; return how many bytes were copied.

        Quanta that run at the same time have directories of their own: each file is fetched once, and linked.

        Raises:
            MissingInputError, TransferError, RefusedError, RegistryError: see `facade.archive` and `Checksums`.
        """
        foreign = [item for item in inputs if item.producer != self._jobnum]
        expected = self._checksums.of(foreign)
        self.contents |= expected
        return sum(self._stage(item, expected.get(item.name), directory) for item in inputs)

    def counted(self, inputs: Sequence[Input]) -> list[Transfer]:
        """Return what it took to fetch *inputs*; each transfer is told once, to the first who asks."""
        found = [self._uncounted.pop(item.name, None) for item in inputs]
        return [one for one in found if one is not None]

    def stage_ahead(self, inputs: Sequence[Input]) -> None:
        """Fetch what quanta will read that this job does not make; what cannot be had is told by whoever reads it."""
        for item in {(one.path, one.called): one for one in inputs if one.producer != self._jobnum}.values():
            try:
                self.stage([item], self._directory)
            except MissingInputError:
                continue
            except (FacadeError, Stopped, OSError):  # an archive that is down would keep each of them waiting
                return

    def _stage(self, item: Input, expected: Content | None, directory: Path) -> int:
        self._check()
        place = directory / item.path / item.called
        if expected is None:
            return self._stage_own(item, place)
        target = self._directory / item.path / item.called
        with self._locks.setdefault(target, threading.Lock()):
            size = self._shared(item, target, expected)
        return size if target == place else size + _alias(target, place)

    def _shared(self, item: Input, target: Path, expected: Content) -> int:
        """Bring a file to its place in the directory that all quanta of the job share."""
        if self._verified.get(target) == (expected, _stamp(target)):
            return 0
        if target in self._verified:  # a program wrote over it, or removed it: what that was is its own affair
            target.unlink(missing_ok=True)
        content = self._fetch(item.name, _join(item), target, expected)
        self._verified[target] = (content, _stamp(target))
        return content.size

    def _fetch(self, name: Name, source: str, target: Path, expected: Content) -> Content:
        transfer = self._archive.fetch(source, target, expected.size, expected.checksum)
        self.transfers[name] = self._uncounted[name] = transfer
        return transfer.content

    def _stage_own(self, item: Input, target: Path) -> int:
        """Provide a file that an earlier quantum of this job made, in this run or in one before."""
        if item.name in self._made:
            return _alias(self._made[item.name], target)
        made = self._resumed.get(item.name)
        if made is None:
            raise MissingInputError(f"{full(item.name)} was to be made by this job, and was not")
        self.contents[item.name] = made.content
        if made.archive_path is not None:
            place = f"{made.archive_path}/{full(item.name)}".lstrip("/")
            return self._fetch(item.name, place, target, made.content).size
        for folder in self._kept:  # not saved, but the failed run may have left it on this machine
            for source_file in _left_in(folder, item, made):
                return copy_verified(source_file, target, made.content.size, made.content.checksum).size
        raise MissingInputError(
            f"{full(item.name)} was made by an earlier run of this job, which did not save it",
            remedy="run the attempt anew, or have the campaign save this file",
        )


def traffic(fetched: Sequence[Transfer], stored: Sequence[Transfer]) -> dict[str, object]:
    """Return what a receipt tells of transfers: bytes and seconds there and back, and how often one was tried again."""

    def sums(transfers: Sequence[Transfer]) -> list[float]:
        return [sum(one.moved for one in transfers), round(sum(one.seconds for one in transfers), 3)]

    retries = sum(one.tries - 1 for one in (*fetched, *stored) if one.tries)
    return {"fetched": sums(fetched), "sent": sums(stored), "retries": retries}


def write_lists(directory: Path, lists: Sequence[ListFile]) -> list[tuple[ListFile, Path]]:
    """Write list files below the job *directory*; return each with its path.

    Raises:
        RefusedError: another file of that name, with other content, is there.
    """
    written = []
    for item in lists:
        file, data = directory / item.path / full(item.name), item.content.encode()
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(file, "xb") as stream:
                stream.write(data)
        except FileExistsError:
            if file.read_bytes() != data:
                raise RefusedError(f"list {file} exists with other content") from None
        written.append((item, file))
    return written


def make_folders(directory: Path, outputs: Sequence[Output]) -> None:
    """Make the folders that the programs write their outputs into."""
    for folder in dict.fromkeys(output.path for output in outputs):
        (directory / folder).mkdir(parents=True, exist_ok=True)


def _left_in(folder: Path, item: Input, made: Made) -> Iterator[Path]:
    """Yield where *folder*, the directory of an earlier run, has a file; quanta may have had folders of their own."""
    name = full(item.name)
    for file in (folder / item.path / name, *folder.glob(f"w[0-9]*/{glob.escape(item.path)}/{glob.escape(name)}")):
        if file.is_file() and content_of(file) == made.content:
            yield file


def _join(item: Input) -> str:
    return f"{item.archive_path}/{full(item.name)}".lstrip("/")


def _alias(file: Path, target: Path) -> int:
    """Make *file* of the job directory known at *target* too; return how many bytes were copied."""
    if file == target:
        if not file.is_file():
            raise MissingInputError(f"{file} was made by an earlier quantum of this job and is gone")
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and os.path.samefile(file, target):
        return 0
    try:
        os.link(file.resolve(), target)
    except FileExistsError as error:
        raise RefusedError(f"{target} exists and is not {file}") from error
    except OSError:
        content = content_of(file)
        return copy_verified(file, target, content.size, content.checksum).size
    return 0


def _stamp(file: Path) -> Stamp:
    """Return what changes when somebody writes to *file*."""
    try:
        status = os.stat(file)
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_size, status.st_mtime_ns)

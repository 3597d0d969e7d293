"""Several archives as one: a file is taken from the first that has it, and stored in some of them.

Jobs of a cluster with a disk of its own see that disk and the archive at home so (docs/site.md).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from facade.archive import Archive, Sent, Stat
from facade.archive.content import Content, Listed
from facade.archive.naming import named
from facade.archive.transfers import Transfer
from facade.errors import MissingInputError


@dataclass(frozen=True, slots=True)
class SentToAll:
    """Copies of one file in several archives; satisfies `facade.archive.Sent`."""

    sent: tuple[Sent, ...]

    @property
    def content(self) -> Content:
        """What was sent."""
        return self.sent[0].content

    @property
    def transfer(self) -> Transfer:
        """What all copies took; tries are those of the worst."""
        each = [one.transfer for one in self.sent]
        moved, seconds = sum(one.moved for one in each), sum(one.seconds for one in each)
        return Transfer(self.content, moved, seconds, max(one.tries for one in each))

    def commit(self) -> None:
        """Give all copies their names, in the order of the archives."""
        for one in self.sent:
            one.commit()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders that got new names."""
        return tuple(folder for one in self.sent for folder in one.folders)

    def discard(self) -> None:
        """Take unnamed copies away."""
        for one in self.sent:
            one.discard()


@dataclass(frozen=True, slots=True)
class Layers:
    """Archives that are looked into one after the other, and those in which files are stored; satisfies `Archive`."""

    read: tuple[Archive, ...]
    kept: tuple[Archive, ...]

    @property
    def name(self) -> str:
        """The first archive in which files are stored."""
        return self.kept[0].name

    @property
    def names(self) -> tuple[str, ...]:
        """All archives in which files are stored."""
        return tuple(archive.name for archive in self.kept)

    def fetch(self, source: str, target: Path, size: int | None, checksum: str | None) -> Transfer:
        """Copy *source* from the first archive that has it."""
        missing: list[str] = []
        for archive in self.read:
            try:
                return archive.fetch(source, target, size, checksum)
            except MissingInputError as error:
                missing.append(error.message)
        raise MissingInputError("; ".join(missing))

    def send(self, source: Path, target: str, checksum: str | None, *, stale: Container[Content] = ()) -> SentToAll:
        """Copy *source* to where it will be in all archives in which files are stored."""
        sent: list[Sent] = []
        try:
            for archive in self.kept:
                sent.append(archive.send(source, target, checksum, stale=stale))
        except BaseException:
            for one in sent:
                one.discard()
            raise
        return SentToAll(tuple(sent))

    def store(self, source: Path, target: str, checksum: str | None) -> Transfer:
        """Send and commit in one step."""
        sent = self.send(source, target, checksum)
        named(sent)
        return sent.transfer

    def stat(self, source: str) -> Stat | None:
        """Return what the first archive that has *source* says of it."""
        return next((found for archive in self.read if (found := archive.stat(source)) is not None), None)

    def holds(self, source: str, size: int, checksum: str | None) -> bool:
        """Say whether one of the archives has *source* as it should be."""
        return any(archive.holds(source, size, checksum) for archive in self.read)

    def remove(self, source: str) -> bool:
        """Take *source* away where files are stored; return whether it was there."""
        return any([archive.remove(source) for archive in self.kept])

    def files(self, folder: str) -> Iterator[Listed]:
        """Yield the files of all archives."""
        for archive in self.read:
            yield from archive.files(folder)

    def sweep(self, older_than: float) -> list[str]:
        """Sweep the archives in which files are stored."""
        return [path for archive in self.kept for path in archive.sweep(older_than)]


def layered(read: Sequence[Archive], kept: Sequence[Archive]) -> Archive:
    """Return one archive in the place of several; the archive itself, if there is but one."""
    return read[0] if tuple(read) == tuple(kept) and len(read) == 1 else Layers(tuple(read), tuple(kept))


def stored_in(archive: Archive) -> tuple[str, ...]:
    """Return the names of all archives in which *archive* stores files."""
    return archive.names if isinstance(archive, Layers) else (archive.name,)
